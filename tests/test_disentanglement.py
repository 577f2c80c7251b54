"""Metrics of data with factors: closed forms, independent computations, and codes of which the answer is known."""

import itertools
import math
from collections import Counter

import numpy as np
import pytest
import torch
from conftest import cell
from scipy.stats import entropy, ortho_group, pearsonr
from torch import Tensor

from bench import registry
from bench.datasets import Data, Factor, Split
from bench.errors import NotApplicable
from bench.evaluation.context import EvaluationContext
from bench.evaluation.context.factors import forests
from bench.evaluation.feature_extractors import FeatureExtractors
from bench.evaluation.metrics.mig import BINS, mutual_information
from bench.evaluation.metrics.sap import best_balanced_accuracy

NAMES = ("mig", "sap", "dci_disentanglement", "dci_completeness", "dci_informativeness", "factor_vae_score")
M = {name: registry.load("metrics", name) for name in NAMES}
SIZES = (4, 5, 6, 10)
FACTORS = torch.from_numpy(np.indices(SIZES).reshape(len(SIZES), -1).T.copy())  # (1200, 4): every combination
ALIVE = torch.ones(6, dtype=torch.bool)
ORDERED = torch.zeros(len(SIZES), dtype=torch.bool)


def measured(codes: Tensor, factors: Tensor = FACTORS, categorical: Tensor = ORDERED) -> dict[str, float]:
    """All metrics of codes (N, D), the even rows as test codes and the odd ones as train codes of the forests."""
    order = torch.randperm(len(codes), generator=torch.Generator().manual_seed(0))
    test, train = order[::2], order[1::2]
    importances, accuracies = forests(codes[train], factors[train].numpy(), codes[test], factors[test].numpy())
    return {
        "mig": M["mig"](codes, factors),
        "sap": M["sap"](codes, factors, categorical),
        "dci_disentanglement": M["dci_disentanglement"](importances, codes),
        "dci_completeness": M["dci_completeness"](importances, codes),
        "dci_informativeness": M["dci_informativeness"](accuracies, factors[test]),
        "factor_vae_score": M["factor_vae_score"](codes, factors, ALIVE[: codes.shape[1]]),
    }


def perfect() -> Tensor:
    """A dimension for each factor, each on its own scale."""
    return FACTORS * torch.tensor([1.0, -3, 0.5, 20], dtype=torch.float64) + 7


def noise(seed: int, size: int = 4) -> Tensor:
    return torch.randn(len(FACTORS), size, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.fixture(scope="module")
def of_perfect() -> dict[str, float]:
    return measured(perfect())


@pytest.fixture(scope="module")
def of_random() -> dict[str, float]:
    return measured(noise(1, 5))


# -- codes of which the answer is known


def test_a_perfect_code_has_one(of_perfect):
    assert of_perfect == pytest.approx(dict.fromkeys(NAMES, 1), abs=1e-9)


def test_a_random_code_has_nothing(of_random):
    for name in ("mig", "sap", "dci_disentanglement", "dci_completeness"):
        assert 0 <= of_random[name] < 0.05, name
    for name in ("dci_informativeness", "factor_vae_score"):
        assert of_random[name] == pytest.approx(of_random[name].about["chance"], abs=0.05), name
    assert of_random["dci_informativeness"].about["chance"] == pytest.approx(np.mean([1 / n for n in SIZES]), abs=0.03)


def test_a_rotated_code_has_less(of_perfect):
    codes = perfect()
    mixed = ((codes - codes.mean(0)) / codes.std(0)) @ torch.from_numpy(ortho_group.rvs(4, random_state=0))
    found = measured(mixed)
    for name in NAMES:
        assert found[name] < of_perfect[name] - 0.1, name


@pytest.mark.parametrize("name", NAMES)
def test_the_order_signs_and_scales_of_dimensions_do_not_matter(of_perfect, name):
    changed = measured(perfect()[:, [3, 0, 2, 1]] * torch.tensor([-1.0, 1, 1, 4]))
    assert changed[name] == pytest.approx(of_perfect[name])


def test_the_order_of_images_does_not_matter():
    codes = perfect() + noise(2)
    order = torch.randperm(len(codes), generator=torch.Generator().manual_seed(3))
    for name, more in (("mig", ()), ("sap", (ORDERED,)), ("factor_vae_score", (ALIVE[:4],))):
        assert M[name](codes[order], FACTORS[order], *more) == pytest.approx(M[name](codes, FACTORS, *more)), name


# -- mutual information


def test_mutual_information_of_discretised_codes_in_closed_form():
    v = FACTORS[:, 3:]  # 10 values, equally frequent
    for step, information in ((1, math.log(10)), (2, math.log(5)), (5, math.log(2)), (10, 0)):
        code = v[:, 0] // step
        assert mutual_information(code.numpy(), v[:, 0].numpy()) == pytest.approx(information, abs=1e-12)
        codes = torch.stack([code, 0 * code], 1).double()
        assert M["mig"](codes, v) == pytest.approx(information / math.log(10), abs=1e-12)
    two = torch.stack([v[:, 0] // 2, v[:, 0] // 5], 1).double()
    assert M["mig"](two, v) == pytest.approx((math.log(5) - math.log(2)) / math.log(10))
    noisy = torch.tensor([[0, 0, 0, 1], [0, 1, 1, 1]])  # H = log 2 − … of a channel that errs with probability 1/4
    channel = math.log(2) + 0.25 * math.log(0.25) + 0.75 * math.log(0.75)
    both = torch.tensor([0, 0, 0, 0, 1, 1, 1, 1])
    assert mutual_information(noisy.flatten().numpy(), both.numpy()) == pytest.approx(channel)


def test_mig_equals_a_count_by_hand():
    rng = np.random.default_rng(0)
    codes, values = rng.normal(size=(300, 3)), rng.integers(0, 4, (300, 2))
    codes[:, 0] += values[:, 0]
    codes[:, 2] = np.round(codes[:, 2] + values[:, 1])

    def information(z, v):
        edges = np.linspace(z.min(), z.max(), BINS + 1)
        bins = [max(i for i in range(BINS) if edges[i] <= number) for number in z]
        pairs, left, right = Counter(zip(bins, v, strict=True)), Counter(bins), Counter(v)
        return sum(n / 300 * math.log(n * 300 / left[a] / right[b]) for (a, b), n in pairs.items())

    gaps = []
    for v in values.T:
        second, first = sorted(information(z, v.tolist()) for z in codes.T)[-2:]
        gaps.append((first - second) / entropy(np.bincount(v)))
    assert M["mig"](torch.from_numpy(codes), torch.from_numpy(values)) == pytest.approx(np.mean(gaps))


# -- separated attribute predictability


def test_the_best_thresholds_are_those_of_a_full_search():
    rng = np.random.default_rng(0)
    for size, n in ((2, 12), (3, 11)):
        values = np.concatenate([np.arange(size), rng.integers(0, size, n - size)])
        z = np.round(rng.normal(size=n) + 0.7 * values, 1)  # with ties
        places = np.unique(z)
        cuts = [-np.inf, *((places[1:] + places[:-1]) / 2)]
        best = 0.0
        for chosen in itertools.combinations_with_replacement(cuts, size - 1):
            interval = np.searchsorted(np.array(chosen), z)
            for names in itertools.product(range(size), repeat=size):
                right = np.array(names)[interval] == values
                best = max(best, np.mean([right[values == c].mean() for c in range(size)]))
        assert best_balanced_accuracy(z, values) == pytest.approx(best)


def test_sap_takes_the_order_of_values_or_leaves_it():
    rng = np.random.default_rng(1)
    codes, values = rng.normal(size=(400, 3)), rng.integers(0, 3, (400, 2))
    codes[:, 0] += values[:, 0]
    codes[:, 1] += 3 * (values[:, 1] == 1)  # not monotonic in the values, but separable
    ordered, categories = [], []
    for v in values.T:
        ordered.append(sorted(pearsonr(z, v).statistic ** 2 for z in codes.T))
        categories.append(sorted(best_balanced_accuracy(z, v) for z in codes.T))
    gaps = [first - second for _, second, first in (ordered[0], categories[1])]
    kinds = torch.tensor([False, True])
    assert M["sap"](torch.from_numpy(codes), torch.from_numpy(values), kinds) == pytest.approx(np.mean(gaps))
    assert categories[1][2] - categories[1][1] > ordered[1][2] - ordered[1][1] + 0.1


# -- DCI


def test_dci_of_a_matrix_of_importances_by_hand():
    r = torch.tensor([[0.8, 0.0], [0.2, 0.5], [0.0, 0.5], [0.0, 0.0]], dtype=torch.float64)
    codes = torch.zeros(7, 4)
    rows = [1 - entropy(row, base=2) for row in r[:3].numpy()]
    assert M["dci_disentanglement"](r, codes) == pytest.approx(np.average(rows, weights=[0.8, 0.7, 0.5]))
    columns = [1 - entropy(column, base=4) for column in r.numpy().T]
    assert M["dci_completeness"](r, codes) == pytest.approx(np.mean(columns))


# -- FactorVAE score


def test_the_votes_are_those_of_a_plain_loop():
    """With other draws, hence to within their spread."""
    codes = perfect() / perfect().std(0) + 2 * noise(4)
    rng, z, v, votes = np.random.default_rng(99), codes.numpy(), FACTORS.numpy(), []
    for _ in range(4000):
        k = int(rng.integers(4))
        same = np.flatnonzero(v[:, k] == rng.integers(SIZES[k]))
        rows = rng.choice(same, 64)
        votes.append((int(np.argmin(z[rows].var(0) / z.var(0))), k))
    table = Counter(votes[:2000])
    named = {d: max(range(4), key=lambda k: table[d, k]) for d in range(4)}
    expected = np.mean([named[d] == k for d, k in votes[2000:]])
    found = M["factor_vae_score"](codes, FACTORS, ALIVE[:4])
    assert 0.4 < found < 0.9
    assert found == pytest.approx(expected, abs=0.04)
    assert found.about["evaluation_draws"] == 5
    assert 0 < found.about["evaluation_sd"] < 0.02


def test_a_collapsed_dimension_has_no_vote():
    """After scaling, the tiny numbers that a collapsed posterior has would vote as others do."""
    codes = torch.cat([perfect() / perfect().std(0) + 2 * noise(5), 0.01 * noise(6, 1)], 1)
    with_posterior, without = context(None, codes=codes), context(None, codes=codes)
    with_posterior.model.has_posterior = True
    assert with_posterior.get("live_dimensions").tolist() == [True] * 4 + [False]
    assert without.get("live_dimensions").all()
    found = M["factor_vae_score"](codes, FACTORS, with_posterior.get("live_dimensions"))
    assert found == M["factor_vae_score"](codes[:, :4], FACTORS, ALIVE[:4])
    assert found != M["factor_vae_score"](codes, FACTORS, ALIVE[:5])


# -- in an evaluation


def context(factors: Tensor | None, known: tuple[Factor, ...] = (), **given: Tensor) -> EvaluationContext:
    images = torch.zeros(len(FACTORS), 1, 2, 2, dtype=torch.uint8)
    split = Split(images, None, factors)
    data = Data("x", split, split, (), "", factors=known)
    model = type("Model", (), {"has_code": True, "discrete": False, "has_posterior": False})()
    inputs = {(name, None): value for name, value in given.items()}
    return EvaluationContext(model, data, cell(), FeatureExtractors(), torch.device("cpu"), inputs)


def test_a_factor_of_one_value_is_left_out():
    with_constant = torch.cat([FACTORS[:, :1], torch.full_like(FACTORS[:, :1], 3), FACTORS[:, 1:]], 1)
    known = (Factor("a", 4), Factor("constant", 4), Factor("b", 5, True), Factor("c", 6), Factor("d", 10))
    made = context(with_constant, known, codes=perfect(), train_codes=perfect())
    assert torch.equal(made.get("factors"), FACTORS)
    assert made.get("factor_categorical").tolist() == [False, True, False, False]
    assert M["dci_disentanglement"](made.get("factor_importances"), perfect()) > 0.99
    assert M["dci_informativeness"](made.get("factor_accuracies"), FACTORS) == 1
    assert made.get("forest").startswith("scikit-learn 1.")


def test_what_cannot_be_measured_says_why():
    made = context(None, codes=perfect(), train_codes=perfect())
    for name in ("factors", "train_factors", "factor_categorical", "factor_importances", "factor_accuracies"):
        with pytest.raises(NotApplicable, match="the dataset has no factors of variation"):
            made.get(name)
    made = context(FACTORS, tuple(Factor("x", n) for n in SIZES), codes=perfect(), train_codes=perfect())
    made.model.discrete = True
    for name in ("continuous_codes", "factor_importances"):
        with pytest.raises(NotApplicable, match="needs continuous codes"):
            made.get(name)
    one, constant = perfect()[:, :1], torch.zeros(len(FACTORS), 2)
    for name, arguments, words in (
        ("mig", (one, FACTORS), "2 code dimensions"),
        ("sap", (one, FACTORS, ORDERED), "2 code dimensions"),
        ("dci_completeness", (torch.ones(1, 4), one), "2 code dimensions"),
        ("dci_completeness", (torch.zeros(2, 4), one), "no code dimension varies"),
        ("dci_disentanglement", (torch.zeros(2, 4), one), "no code dimension varies"),
        ("dci_disentanglement", (torch.ones(2, 1), one), "2 factors"),
        ("factor_vae_score", (one, FACTORS[:, :1], ALIVE[:1]), "2 factors"),
        ("factor_vae_score", (constant, FACTORS, ~ALIVE[:2]), "no code dimension varies"),
    ):
        with pytest.raises(NotApplicable, match=words):
            M[name](*arguments)
