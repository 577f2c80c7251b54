"""The sanity checks of Räisä et al. 2025 for metrics of fidelity and diversity: the docstrings say which pass and fail.

https://arxiv.org/abs/2505.22450, with the distributions and criteria of the authors' code
(https://github.com/DPBayes/position-fidelity-diversity-metrics-flawed), on coarser grids, with 500 points instead of
1,000, in fewer dimensions, and as means of two draws. Each check has criteria for the shape of a curve (desiderata D1b,
D2, D3 and D5), some for its bounds (D4). A metric passes a check with both, and fails it with a wrong shape.

    python tests/test_sanity_checks.py      prints what the docstrings have to say
"""

import math
import re
from collections.abc import Callable, Iterator

import pytest
import torch
from test_field_metrics import fidelity_and_diversity
from torch import Tensor

from bench import registry

N, DRAWS = 500, 2
DIVERSITY = ("recall", "coverage")
METRICS = ("precision", "density", *DIVERSITY)
Curve = list[dict[str, float]]  #: the values of all metrics at the points of a grid
Verdict = tuple[bool, bool]  #: the right shape, the right bounds
Judge = Callable[[str, list[float]], Verdict]

_generator = torch.Generator()


def normal(n: int, dim: int, mean: float = 0.0, deviation: float = 1.0) -> Tensor:
    return mean + deviation * torch.randn(n, dim, generator=_generator, dtype=torch.float64)


def uniform(n: int, dim: int) -> Tensor:
    return torch.rand(n, dim, generator=_generator, dtype=torch.float64)


def curve(real: Tensor, samples: Iterator[Tensor]) -> Curve:
    return [fidelity_and_diversity(real, made) for made in samples]


# -- criteria


def near(value: float, target: float) -> bool:
    return abs(value - target) <= 0.05


def flat(values: list[float]) -> bool:
    return max(values) - min(values) <= 0.05


def rising(values: list[float]) -> bool:
    first, last = values[0], values[-1]
    return last - first >= 0.2 and first - min(values) <= 0.1 and max(values) - last <= 0.1


def falling(values: list[float]) -> bool:
    return rising(values[::-1])


def bell(values: list[float]) -> bool:
    middle, ends = values[len(values) // 2], (values[0], values[-1])
    return middle - max(ends) >= 0.2 and max(values) - middle <= 0.1 and min(ends) - min(values) <= 0.1


def bell_from_zero_to_one(metric: str, v: list[float]) -> Verdict:
    return bell(v), near(v[len(v) // 2], 1) and near(v[0], 0) and near(v[-1], 0)


def flat_at_zero(metric: str, v: list[float]) -> Verdict:
    return flat(v), near(v[0], 0) and near(v[-1], 0)


# -- checks: curves, and how each is judged


def mean_difference() -> Iterator[tuple[Curve, Judge]]:
    for dim, most in ((1, 6), (64, 1)):
        real = normal(N, dim)
        yield curve(real, (normal(N, dim, most * at) for at in (-1, -0.5, 0, 0.5, 1))), bell_from_zero_to_one


def mean_difference_with_an_outlier() -> Iterator[tuple[Curve, Judge]]:
    for dim, most in ((1, 6), (64, 1)):
        real, outlier = normal(N, dim), torch.full((1, dim), float(most), dtype=torch.float64)
        for of_real in (True, False):
            known = torch.cat([real, outlier]) if of_real else real
            made = (normal(N, dim, most * at) for at in (-1, -0.5, 0, 0.5, 1))
            yield curve(known, (m if of_real else torch.cat([m, outlier]) for m in made)), bell_from_zero_to_one


def mean_difference_beside_a_heavy_tail() -> Iterator[tuple[Curve, Judge]]:
    def beside(x: Tensor) -> Tensor:
        return torch.cat([x, uniform(len(x), 1) ** (-1 / 1.01)], 1)  # Pareto

    real = beside(normal(N, 1))
    yield curve(real, (beside(normal(N, 1, mean)) for mean in (-6, -3, 0, 3, 6))), bell_from_zero_to_one


def deviation_difference() -> Iterator[tuple[Curve, Judge]]:
    def judge(metric: str, v: list[float]) -> Verdict:
        if metric not in DIVERSITY:
            return falling(v), near(v[0], 1) and near(v[2], 1) and near(v[-1], 0)
        return bell(v) or rising(v), near(v[0], 0) and near(v[2], 1) and (near(v[-1], 0) or near(v[-1], 1))

    for dim, decades in ((1, 3), (64, 0.5)):
        real = normal(N, dim)
        deviations = (10 ** (decades * at) for at in (-1, -0.5, 0, 0.5, 1))
        yield curve(real, (normal(N, dim, 0, deviation) for deviation in deviations)), judge


def mixture(weights: Tensor, means: Tensor, deviation: float) -> Tensor:
    """N points around the rows of `means`, (M, D)."""
    chosen = torch.multinomial(weights.double(), N, replacement=True, generator=_generator)
    return means[chosen] + normal(N, means.shape[1], 0, deviation)


def _dropping(weights: list[Tensor], middle: int) -> Iterator[tuple[Curve, Judge]]:
    def judge(metric: str, v: list[float]) -> Verdict:
        if metric in DIVERSITY:
            return falling(v) and v[0] - v[middle] >= 0.1, near(v[0], 1)
        return flat(v), near(v[0], 1) and near(v[-1], 1)

    for dim, deviation in ((1, 1 / 6), (64, 1)):
        means = torch.linspace(0, 10, 10, dtype=torch.float64)[:, None].expand(10, dim)
        real = mixture(torch.ones(10), means, deviation)
        yield curve(real, (mixture(w, means, deviation) for w in weights)), judge


def simultaneous_mode_dropping() -> Iterator[tuple[Curve, Judge]]:
    shares = torch.tensor([0.0, 0.25, 0.5, 0.75, 0.95, 1.0])
    yield from _dropping([torch.tensor([1.0] + 9 * [1 - share]) for share in shares.tolist()], middle=4)


def sequential_mode_dropping() -> Iterator[tuple[Curve, Judge]]:
    yield from _dropping([(torch.arange(10) < 10 - dropped).double() for dropped in (0, 2, 5, 7, 9)], middle=2)


def mode_dropping_and_invention() -> Iterator[tuple[Curve, Judge]]:
    def judge(metric: str, v: list[float]) -> Verdict:
        if metric in DIVERSITY:
            return rising(v), near(v[2], 1) and near(v[-1], 1)
        return falling(v), near(v[2], 1) and near(v[0], 1)

    angle = torch.arange(10, dtype=torch.float64) * 2 * math.pi / 10
    means = 15 * torch.stack([angle.cos(), angle.sin()], 1)
    real = mixture((torch.arange(10) < 5).double(), means, 0.25)
    yield curve(real, (mixture((torch.arange(10) < n).double(), means, 0.25) for n in (1, 3, 5, 8, 10))), judge


def mode_collapse() -> Iterator[tuple[Curve, Judge]]:
    """Two modes, and samples of one wide mode in their place."""

    def judge(metric: str, v: list[float]) -> Verdict:
        return falling(v) or (metric in DIVERSITY and flat(v)), near(v[0], 1)

    for dim in (1, 64):
        found = []
        for apart in (0.0, 1.25, 2.5, 3.75, 5.0):
            means = torch.tensor([[-apart / 2], [apart / 2]], dtype=torch.float64).expand(2, dim)
            real = mixture(torch.ones(2), means, 1)
            found.append(fidelity_and_diversity(real, normal(N, dim, 0, math.sqrt(1 + apart**2))))
        yield found, judge


def hypersphere_surface() -> Iterator[tuple[Curve, Judge]]:
    def surface(dim: int, radius: float) -> Tensor:
        x = normal(N, dim)
        return radius * x / x.norm(dim=1, keepdim=True)

    for dim in (2, 128):
        real = surface(dim, 1)
        yield curve(real, (surface(dim, radius) for radius in (0.1, 0.55, 1, 1.45, 1.9))), bell_from_zero_to_one


def _converges_to_a_fifth(metric: str, v: list[float]) -> Verdict:
    return flat(v[1:]) and near(v[-1], 0.2), True


def _cube(n: int, dim: int, overlap: float = 1.0) -> Tensor:
    return uniform(n, dim) + 1 - overlap ** (1 / dim)


def number_of_images_and_samples() -> Iterator[tuple[Curve, Judge]]:
    """Two cubes that share a fifth of their volume."""
    for dim in (1, 64):
        found = [fidelity_and_diversity(_cube(n, dim), _cube(n, dim, 0.2)) for n in (100, 1000, 2000)]
        yield found, _converges_to_a_fifth


def number_of_samples() -> Iterator[tuple[Curve, Judge]]:
    for dim in (1, 64):
        real = _cube(N, dim)
        yield curve(real, (_cube(n, dim, 0.2) for n in (100, 1000, 2000))), _converges_to_a_fifth


def _in_ball(n: int, dim: int) -> Tensor:
    x = normal(n, dim)
    return x / x.norm(dim=1, keepdim=True) * uniform(n, 1) ** (1 / dim)


def sphere_and_torus() -> Iterator[tuple[Curve, Judge]]:
    """A ball in the hole of a ring, and the other way round."""

    def torus(n: int) -> Tensor:
        angle, tube = 2 * math.pi * uniform(n, 1), 0.1 * _in_ball(n, 2)
        out = 1 + tube[:, :1]
        return torch.cat([out * angle.cos(), out * angle.sin(), tube[:, 1:]], 1)

    def ball(n: int) -> Tensor:
        return 0.8 * _in_ball(n, 3)

    def judge(metric: str, v: list[float]) -> Verdict:
        return flat(v[1:]), near(v[-1], 0)

    for real, other in ((ball, torus), (torus, ball)):
        yield curve(real(N), (other(n) for n in (100, 1000, 2000))), judge


def scaling_of_one_dimension() -> Iterator[tuple[Curve, Judge]]:
    found, apart = [], torch.tensor([6.0, 0.0], dtype=torch.float64)
    for scale in (1e-3, 1e-1, 1.0, 1e1, 1e3):
        unit = torch.tensor([1.0, scale], dtype=torch.float64)
        found.append(fidelity_and_diversity(normal(N, 2) * unit, (normal(N, 2) + apart) * unit))
    yield found, flat_at_zero


def one_disjoint_dimension_of_many() -> Iterator[tuple[Curve, Judge]]:
    found = []
    for others in (1, 10, 100, 1000):
        made = normal(N, others + 1)
        made[:, 0] += 6
        found.append(fidelity_and_diversity(normal(N, others + 1), made))
    yield found, flat_at_zero


def discrete_and_continuous_numbers() -> Iterator[tuple[Curve, Judge]]:
    def of_discrete(metric: str, v: list[float]) -> Verdict:
        ends = (v[0], v[-1])
        low, high = all(near(e, 0) for e in ends), all(near(e, 1) for e in ends)
        return flat(v), low or (high and metric in DIVERSITY)

    def of_continuous(metric: str, v: list[float]) -> Verdict:
        return flat(v), all(near(e, 0 if metric in DIVERSITY else 1) for e in (v[0], v[-1]))

    for judge, rounded in ((of_discrete, True), (of_continuous, False)):
        found = []
        for scale in (1, 30, 1000):
            real, made = normal(N, 1, 0, scale), normal(N, 1, 0, scale)
            pair = (real.round(), made) if rounded else (real, made.round())
            found.append(fidelity_and_diversity(*pair))
        yield found, judge


CHECKS = (
    mean_difference, mean_difference_with_an_outlier, mean_difference_beside_a_heavy_tail, deviation_difference,
    simultaneous_mode_dropping, sequential_mode_dropping, mode_dropping_and_invention, mode_collapse,
    hypersphere_surface, number_of_images_and_samples, number_of_samples, sphere_and_torus, scaling_of_one_dimension,
    one_disjoint_dimension_of_many, discrete_and_continuous_numbers,
)  # fmt: skip


def title(check: Callable[[], object]) -> str:
    return check.__name__.replace("_", " ")


def verdicts() -> dict[str, dict[str, list[str]]]:
    """Metric → "Passed", "In part", "Failed" → names of checks."""
    found = {metric: {"Passed": [], "In part": [], "Failed": []} for metric in METRICS}
    for check in CHECKS:
        draws = []
        for seed in range(DRAWS):
            _generator.manual_seed(seed)
            draws.append(list(check()))
        for metric in METRICS:
            parts = []
            for alike in zip(*draws, strict=True):  # the same curve of each draw
                points = zip(*(values for values, _ in alike), strict=True)
                parts.append(alike[0][1](metric, [sum(one[metric] for one in point) / DRAWS for point in points]))
            shape, bounds = (all(part) for part in zip(*parts, strict=True))
            found[metric]["Failed" if not shape else "Passed" if bounds else "In part"].append(title(check))
    return found


@pytest.fixture(scope="module")
def found():
    before = torch.get_num_threads()
    torch.set_num_threads(1)  # the sets are small
    yield verdicts()
    torch.set_num_threads(before)


@pytest.mark.parametrize("metric", METRICS)
def test_the_docstring_says_which_checks_pass_and_fail(found, metric):
    text = " ".join(registry.describe("metrics", metric).doc.split())
    for verdict, names in found[metric].items():
        said = re.search(rf"{verdict}(?: \([^)]*\))?: ([^.]*)\.", text)
        assert said, f"{metric} does not say {verdict}: {', '.join(names) or 'none'}."
        assert said[1].split(", ") == (names or ["none"]), f"{metric}, {verdict}: {', '.join(names) or 'none'}."


if __name__ == "__main__":
    for metric, parts in verdicts().items():
        print(metric, *(f"  {verdict}: {', '.join(names) or 'none'}." for verdict, names in parts.items()), sep="\n")
