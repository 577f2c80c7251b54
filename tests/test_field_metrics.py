"""Metrics of density, memorisation, few labels and codes: each by hand, against its definition, and what it means."""

import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from conftest import cell
from scipy.spatial.distance import cdist
from scipy.stats import mannwhitneyu, multivariate_normal, wasserstein_distance
from sklearn.manifold import trustworthiness as sklearn_trustworthiness
from sklearn.neighbors import KNeighborsClassifier
from torch import Tensor

from bench import registry
from bench.errors import NotApplicable
from bench.evaluation.context import EvaluationContext
from bench.evaluation.evaluate import measure
from bench.evaluation.feature_extractors import FeatureExtractors
from bench.evaluation.frechet import frechet_distance
from bench.evaluation.neighbors import balls_around, covered_by_each_other, neighbour_radii
from bench.models.likelihoods import Bernoulli, DiscretisedLogistic, Gaussian
from bench.models.nets import Size
from bench.suite import Choice

M = {name: registry.load("metrics", name) for name in registry.names("metrics")}


def randn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


# -- density and coverage


def density_and_coverage(real: Tensor, made: Tensor) -> tuple[float, float]:
    counts, hit = balls_around(made, real, neighbour_radii(real, 5))
    return M["density"](counts), M["coverage"](hit)


def test_density_and_coverage_on_a_line_by_hand():
    real = torch.arange(6.0)[:, None]  # the fifth neighbour is the farthest: radii 5, 4, 3, 3, 4, 5
    made = torch.tensor([[2.5], [9.5], [100.0]])
    counts, hit = balls_around(made, real, neighbour_radii(real, 5))
    assert counts.tolist() == [6, 1, 0]  # 9.5 lies in the ball around 5 only
    assert hit.all()
    assert M["density"](counts) == pytest.approx(7 / 15)
    assert M["coverage"](balls_around(made[1:], real, neighbour_radii(real, 5))[1]) == pytest.approx(1 / 6)


def test_density_and_coverage_equal_their_definition(monkeypatch):
    real, made = randn(60, 3), randn(45, 3, seed=1) + 0.5
    radii = np.sort(cdist(real, real), axis=1)[:, 5]
    inside = cdist(real, made) <= radii[:, None]
    expected = inside.sum() / (5 * 45), inside.any(1).mean()
    assert density_and_coverage(real, made) == pytest.approx(expected)
    monkeypatch.setattr("bench.evaluation.neighbors.CHUNK", 200)
    assert density_and_coverage(real, made) == pytest.approx(expected)


def test_samples_of_the_same_distribution_have_density_one_and_the_coverage_of_the_formula():
    density, coverage = density_and_coverage(randn(3000, 4), randn(3000, 4, seed=1))
    assert density == pytest.approx(1, abs=0.05)
    assert coverage == pytest.approx(1 - 0.5**5, abs=0.015)


# -- sanity checks of Räisä et al. 2025: simple distributions on which it is known what a metric should say


def fidelity_and_diversity(real: Tensor, made: Tensor) -> dict[str, float]:
    density, coverage = density_and_coverage(real, made)
    of_made, of_real = covered_by_each_other(made, real, neighbour_radii(made, 3), neighbour_radii(real, 3))
    return {
        "density": density,
        "coverage": coverage,
        "precision": M["precision"](of_made),
        "recall": M["recall"](of_real),
    }


def modes(n: int, count: int, seed: int) -> Tensor:
    """n points around each of so many centres, 100 apart."""
    centres = 100 * torch.arange(count, dtype=torch.float64).repeat_interleave(n)
    x = randn(n * count, 4, seed=seed)
    x[:, 0] += centres
    return x


@pytest.mark.parametrize("shift", [-8.0, 8.0])
def test_check_a_shifted_gaussian_scores_nothing(shift):
    found = fidelity_and_diversity(randn(1000, 4), randn(1000, 4, seed=1) + shift)
    assert all(value < 0.001 for value in found.values()), found


def test_check_one_outlier_changes_coverage_little_density_to_a_fifth_and_precision_wholly():
    real, made = randn(1000, 4), randn(1000, 4, seed=1) + 8
    with_outlier = torch.cat([real, torch.full((1, 4), 30.0, dtype=torch.float64)])
    found = fidelity_and_diversity(with_outlier, made)
    assert found["density"] == pytest.approx(0.2)  # one ball of k for each sample: the failure in part
    assert found["coverage"] < 0.01
    assert found["precision"] == 1  # the failure that density was made for
    assert found["recall"] < 0.05


def test_check_a_dropped_mode_lowers_diversity_by_its_share_and_not_fidelity():
    found = fidelity_and_diversity(modes(500, 4, seed=0), modes(667, 3, seed=1))
    assert found["density"] == pytest.approx(1, abs=0.05)
    assert found["precision"] > 0.9
    assert found["coverage"] == pytest.approx(0.75, abs=0.05)
    assert found["recall"] == pytest.approx(0.75, abs=0.07)


def test_check_an_invented_mode_lowers_fidelity_by_its_share_and_not_diversity():
    found = fidelity_and_diversity(modes(500, 3, seed=0), modes(500, 4, seed=1))
    assert found["density"] == pytest.approx(0.75, abs=0.05)
    assert found["precision"] == pytest.approx(0.75, abs=0.07)
    assert found["coverage"] > 0.9
    assert found["recall"] > 0.9


def test_check_samples_nearer_to_the_mean_have_less_diversity_and_density_above_its_best_value():
    found = fidelity_and_diversity(randn(1000, 8), randn(1000, 8, seed=1) / 3)
    assert found["precision"] == pytest.approx(1, abs=0.02)
    assert found["density"] == pytest.approx(2.2, abs=0.15)  # the failure: no upper bound
    assert found["coverage"] == pytest.approx(0.43, abs=0.06)
    assert found["recall"] == pytest.approx(0.03, abs=0.03)


def test_check_recall_takes_scattered_samples_for_diverse_and_coverage_does_not():
    found = fidelity_and_diversity(randn(1000, 8), 3 * randn(1000, 8, seed=1))
    assert found["recall"] > 0.98  # the failure that coverage was made for
    assert found["coverage"] == pytest.approx(0.05, abs=0.03)
    assert found["precision"] == pytest.approx(0.03, abs=0.03)


def test_check_coverage_grows_with_the_number_of_samples():
    real, made = randn(1000, 4), randn(1000, 4, seed=1)
    few, many = (density_and_coverage(real, made[:n]) for n in (200, 1000))
    assert few[1] == pytest.approx(0.6, abs=0.03)  # the failure: compare at equal n only
    assert many[1] == pytest.approx(0.98, abs=0.02)
    assert many[0] == pytest.approx(few[0], abs=0.1)


# -- memorisation


def nearest_train(train: Tensor, test: Tensor, made: Tensor) -> float:
    d = [torch.from_numpy(cdist(x, train).min(1)) for x in (made, test)]
    return M["nearest_train"](*d)


def test_nearest_train_by_hand():
    assert M["nearest_train"](torch.tensor([0.0, 2.0]), torch.tensor([1.0, 2.0])) == (2 + 0.5) / 4


def test_nearest_train_is_the_mann_whitney_statistic():
    made, test = randn(40).abs().round(decimals=1), randn(55, seed=1).abs().round(decimals=1)
    expected = mannwhitneyu(test, made).statistic / (40 * 55)
    assert M["nearest_train"](made, test) == pytest.approx(expected)


def test_copies_of_train_images_are_nearest_and_fresh_draws_are_as_near_as_test_images():
    train, test = randn(800, 5), randn(500, 5, seed=1)
    assert nearest_train(train, test, train[:300]) == 1
    assert nearest_train(train, test, randn(500, 5, seed=2)) == pytest.approx(0.5, abs=0.05)
    assert nearest_train(train, test, randn(300, 5, seed=2) + 50) == 0


# -- distances of distributions


def test_fcd_infinity_is_the_intercept_of_a_line_and_removes_the_bias_of_few_samples():
    """Two equal Gaussians: FCD_n is about b/n from infinitely many test images, hence the intercept about 0."""
    real, made = randn(40_000, 16), randn(1000, 16, seed=1)
    found = M["fcd_infinity"](real, made)
    biased = frechet_distance(real, made)
    assert biased > 0.05
    assert abs(found) < 0.35 * biased
    assert found.about["low"] < found < found.about["high"]
    assert found.about["slope_low"] < found.about["slope"] < found.about["slope_high"]


def test_fcd_infinity_equals_a_fit_by_normal_equations():
    real, made = randn(300, 3), randn(200, 3, seed=1) + 1
    rng, sizes = np.random.default_rng(0), np.linspace(40, 200, 10).round().astype(int)
    y = [frechet_distance(real, made[rng.permutation(200)[:n]]) for n in sizes]
    design = np.stack([np.ones(10), 1 / sizes], 1)
    (intercept, slope), (residual,) = np.linalg.lstsq(design, y, rcond=None)[:2]
    sd = np.sqrt(residual / 8 * np.linalg.inv(design.T @ design).diagonal())
    found = M["fcd_infinity"](real, made)
    assert found == pytest.approx(intercept)
    assert found.about["slope"] == pytest.approx(slope)
    assert found.about["high"] - found == pytest.approx(2.306004 * sd[0], rel=1e-5)
    assert found.about["slope_high"] - slope == pytest.approx(2.306004 * sd[1], rel=1e-5)


def test_sliced_wasserstein_on_a_line_by_hand():
    """In one dimension every direction is the line: the distance of {0, 1} from {1, 4} is √((1 + 9)/2)."""
    x, y = torch.tensor([[0.0], [1.0]]), torch.tensor([[4.0], [1.0]])
    assert M["sliced_wasserstein"](x, y) == pytest.approx(math.sqrt(5))
    assert M["sliced_wasserstein"](x, torch.tensor([[0.0], [0.5], [1.0]])) == pytest.approx(math.sqrt(0.25 / 3))


def test_sliced_wasserstein_equals_scipys_quantiles_also_for_sets_of_two_sizes():
    x, y = randn(30, 2), 2 * randn(42, 2, seed=1) + 1
    directions = torch.randn(2, 500, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    directions /= directions.norm(dim=0)
    levels = (np.arange(210) + 0.5) / 210  # the least common multiple of 30 and 42
    squares = [
        np.mean(
            (np.quantile(x @ d, levels, method="inverted_cdf") - np.quantile(y @ d, levels, method="inverted_cdf")) ** 2
        )
        for d in directions.T
    ]
    assert M["sliced_wasserstein"](x, y) == pytest.approx(np.sqrt(np.mean(squares)))


def test_sliced_wasserstein_of_a_shift_is_known():
    """A shift by s: each direction sees s·θ, whose mean square is ‖s‖²/F."""
    x, shift = randn(500, 4), torch.tensor([3.0, 0, 0, 0], dtype=torch.float64)
    assert M["sliced_wasserstein"](x, x) == 0
    assert M["sliced_wasserstein"](x, x + shift) == pytest.approx(1.5, rel=0.05)
    assert wasserstein_distance(x[:, 0], x[:, 0] + 3) == pytest.approx(3)


# -- likelihood of 8-bit pixels


def test_a_uniform_distribution_over_256_levels_costs_eight_bits():
    images, none = torch.zeros(5, 3, 4, 4), torch.zeros(5)
    uniform = torch.full((5,), 48 * math.log(256))
    assert M["bits_per_dim"](uniform, none, images) == pytest.approx(8)
    assert M["bits_per_dim"](uniform / 2, none + 48 * math.log(2), images) == pytest.approx(5)


def test_bits_are_those_of_the_elbo_and_only_of_a_likelihood_of_levels(few_digits):
    parts, values = {"likelihood": Choice("discretised_logistic", {})}, {}
    for likelihood in (DiscretisedLogistic(), Bernoulli(), Gaussian()):
        net = registry.load("nets", "mlp")(Size((1, 8, 8), 2, 2), hidden=(8,), activation="relu")
        model = registry.load("variants", "vae")(net, likelihood).eval()
        context = EvaluationContext(model, few_digits, cell(**parts), FeatureExtractors(), torch.device("cpu"))
        if likelihood.levels is None:
            with pytest.raises(NotApplicable, match="probabilities of the 256 levels of a pixel"):
                context.get("level_nll")
            continue
        values = measure(context, ("bits_per_dim", "elbo"))
    assert values["bits_per_dim"]["value"] == pytest.approx(-values["elbo"]["value"] / 64 / math.log(2))
    ratio = values["elbo"]["evaluation_sd"] / values["bits_per_dim"]["evaluation_sd"]
    assert ratio == pytest.approx(64 * math.log(2))
    assert values["bits_per_dim"]["key"] == values["elbo"]["key"]


# -- few labels


@pytest.mark.parametrize("n", [100, 600, 1000])
def test_accuracy_with_few_labels_equals_scikit_learns_over_twenty_sets(n):
    x, y = randn(1100, 3), torch.arange(1100) % 3
    x[:, 0] += y
    test, labels = x[:60] + 0.1, y[:60]
    rng, found = np.random.default_rng(0), []
    for _ in range(20):
        chosen = rng.permutation(1100)[:n]
        found.append(KNeighborsClassifier(5).fit(x[chosen], y[chosen]).score(test, labels))
    value = M[f"knn_accuracy_{n}"](test, labels, x, y)
    assert value == pytest.approx(np.mean(found))
    assert value.about["labelled_sets_sd"] == pytest.approx(np.std(found, ddof=1))
    assert value.about["evaluation_sd"] == pytest.approx(np.std(found, ddof=1) / math.sqrt(20))


# -- maps


def test_continuity_is_scikit_learns_trustworthiness_with_map_and_codes_exchanged():
    source, plane = randn(80, 5), randn(80, 2, seed=1) + randn(80, 5)[:, :2]
    expected = sklearn_trustworthiness(plane, source, n_neighbors=5)
    assert M["continuity"](source, plane) == pytest.approx(expected)


def test_a_torn_map_is_less_continuous_than_trustworthy_and_a_folded_one_the_other_way_round():
    line = torch.linspace(0, 1, 200, dtype=torch.float64)[:, None]
    source = torch.cat([line, torch.zeros_like(line)], 1)
    torn = torch.where(line > 0.5, line + 10, line)  # the cut is between two neighbours
    torn = torch.where((line * 20).long() % 2 == 1, torn + 100, torn)  # twenty pieces, every second one elsewhere
    folded = (line - 0.5).abs()
    for plane, better in ((torn, "trustworthiness"), (folded, "continuity")):
        values = {name: M[name](source, torch.cat([plane, 0 * plane], 1)) for name in ("trustworthiness", "continuity")}
        assert max(values, key=values.get) == better, values


# -- codes


def test_intrinsic_dimension_by_the_definition():
    x = randn(50, 3)
    d = np.sort(cdist(x, x), axis=1)[:, 1:3]
    ratios = np.sort(np.log(d[:, 1] / d[:, 0]))
    y = -np.log(1 - np.arange(1, 51) / 50 + 1e-300)
    expected = (ratios[:45] * y[:45]).sum() / (ratios[:45] ** 2).sum()
    assert M["intrinsic_dimension"](x) == pytest.approx(expected)


@pytest.mark.parametrize("size", [1, 2, 5])
def test_intrinsic_dimension_of_a_plane_in_many_dimensions(size):
    points = torch.rand(4000, size, generator=torch.Generator().manual_seed(0)).double() @ randn(size, 20)
    assert M["intrinsic_dimension"](points) == pytest.approx(size, rel=0.1)
    assert M["intrinsic_dimension"](torch.cat([points, points[:500]])) == M["intrinsic_dimension"](points)


def test_total_correlation_of_two_dimensions_by_hand():
    x = torch.tensor([[1.0, 1], [1, -1], [-1, 1], [-1, -1], [1, 1], [-1, -1]])  # ρ = 1/3
    assert M["total_correlation"](x) == pytest.approx(-0.5 * math.log(1 - 1 / 9))
    assert M["total_correlation"](torch.cat([x, torch.ones(6, 1)], 1)) == pytest.approx(-0.5 * math.log(1 - 1 / 9))


def test_total_correlation_is_the_sum_of_marginal_entropies_less_the_joint_one():
    x = randn(500, 4) @ randn(4, 4, seed=1)
    covariance = np.cov(x.T)
    marginal = sum(multivariate_normal(cov=v).entropy() for v in covariance.diagonal())
    assert M["total_correlation"](x) == pytest.approx(marginal - multivariate_normal(cov=covariance).entropy())


def test_mutual_information_of_two_images_far_apart_is_log_two_and_of_a_collapsed_posterior_zero():
    log_var = torch.zeros(2, 1)
    apart = torch.tensor([[-50.0], [50.0]])
    assert M["mutual_information"](apart, log_var, apart + 0.3) == pytest.approx(math.log(2))
    assert M["mutual_information"](0 * apart, log_var, apart) == pytest.approx(0, abs=1e-12)


def test_mutual_information_equals_a_double_loop(monkeypatch):
    mean, log_var = randn(20, 3), randn(20, 3, seed=1)
    z = mean + (log_var / 2).exp() * randn(20, 3, seed=2)
    log_q = np.array(
        [
            [multivariate_normal(m, np.diag(v)).logpdf(one) for m, v in zip(mean, log_var.exp(), strict=True)]
            for one in z
        ]
    )
    expected = np.mean(log_q.diagonal() - np.log(np.exp(log_q).mean(1)))
    assert M["mutual_information"](mean, log_var, z) == pytest.approx(expected)
    monkeypatch.setattr("bench.evaluation.metrics.mutual_information.CHUNK", 100)
    found = M["mutual_information"](mean, log_var, z)
    assert found == pytest.approx(expected)
    assert found.about["at_most"] == pytest.approx(math.log(20))


def test_mutual_information_of_a_gaussian_channel_is_half_the_logarithm_of_one_plus_signal_over_noise():
    mean = 2 * randn(2000, 1)
    z = mean + randn(2000, 1, seed=1)
    assert M["mutual_information"](mean, 0 * mean, z) == pytest.approx(0.5 * math.log(5), abs=0.05)


# -- discrete codes


class Symbols:
    """A model of discrete codes: each number rounds to one of `levels` symbols."""

    has_code, has_posterior, conditional, discrete, levels = True, False, False, True, 4

    def encode(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        return (x.flatten(1)[:, 18:21] * (self.levels - 1)).round()

    def indices(self, z: Tensor) -> Tensor:
        return z.long()

    def values(self, symbols: Tensor) -> Tensor:
        return symbols.float()

    def parameters(self):
        return iter([torch.zeros(1)])


def test_usage_and_perplexity_by_hand():
    counts, codes = torch.tensor([[2, 2, 0, 0], [4, 0, 0, 0]]), torch.zeros(4, 2)
    assert M["codebook_usage"](counts, codes) == (0.5 + 0.25) / 2
    assert M["code_perplexity"](counts, codes) == pytest.approx((2 + 1) / 2)
    assert M["code_perplexity"](torch.ones(1, 7), codes) == pytest.approx(7)


@pytest.mark.parametrize("shared", [False, True])
def test_symbols_are_counted_over_the_whole_test_set(few_digits, shared):
    model = Symbols()
    if shared:
        model.codebook = torch.zeros(4, 1)
    context = EvaluationContext(model, few_digits, cell(), FeatureExtractors(), torch.device("cpu"))
    symbols = context.get("code_symbols").numpy()
    groups = [symbols.ravel()] if shared else list(symbols.T)
    counts = np.stack([[(group == k).sum() for k in range(4)] for group in groups])
    assert np.array_equal(context.get("code_counts"), counts)
    assert len(symbols) == 100


def test_what_presupposes_continuous_codes_says_so_for_discrete_ones(few_digits):
    context = EvaluationContext(Symbols(), few_digits, cell(), FeatureExtractors(), torch.device("cpu"))
    for name in ("continuous_codes", "jacobian_norms", "interpolations"):
        with pytest.raises(NotApplicable, match="needs continuous codes, these are discrete"):
            context.get(name)
    with pytest.raises(NotApplicable, match="Gaussian fitted to the codes: a continuous density is none of discrete"):
        context.get("drawn_codes", "gaussian")
    assert context.get("drawn_codes", "code_marginals").shape == (200, 3)
    assert (context.get("code_log_prob", "code_marginals") < 0).all()
    plain = EvaluationContext(
        SimpleNamespace(discrete=False), few_digits, cell(), FeatureExtractors(), torch.device("cpu")
    )
    for sampler, words in (
        ("code_prior", "needs discrete codes, these are continuous"),
        ("own_prior", "no prior of its own"),
    ):
        with pytest.raises(NotApplicable, match=words):
            plain.get("drawn_codes", sampler)


def test_what_cannot_be_measured_says_why():
    x = randn(30, 3)
    cases = [
        ("fcd_infinity", (x, x), "at least 50 generated images"),
        ("fcd_infinity", (randn(60, 8), randn(60, 8)), "at least 80 generated images"),
        ("sliced_wasserstein", (x, x[:1]), "generated images"),
        ("knn_accuracy_100", (x, x[:, 0].long(), x, x[:, 0].long()), "at least 100 labelled train codes"),
        ("continuity", (x, x), "own map"),
        ("intrinsic_dimension", (x[:5].repeat(9, 1),), "at least 20 different codes"),
        ("total_correlation", (x[:, :1],), "1 of 1"),
        ("total_correlation", (torch.cat([x, x.sum(1, keepdim=True)], 1),), "linear function"),
        ("mutual_information", (x[:1], x[:1], x[:1]), "test images"),
    ]  # fmt: skip
    for name, arguments, words in cases:
        with pytest.raises(NotApplicable, match=words):
            M[name](*arguments)
