"""What a metric is (the contract), that each equals an independent reference, that it means what it says."""

import ast
import math
import re
from functools import partial
from itertools import pairwise

import numpy as np
import pytest
import scipy.linalg
import skimage.metrics
import torch
import torch.distributions as D
from scipy.spatial.distance import cdist
from sklearn.datasets import make_blobs
from sklearn.neighbors import KNeighborsClassifier
from torch import Tensor
from torch_fidelity.metric_fid import fid_features_to_statistics, fid_statistics_to_metric
from torch_fidelity.metric_prc import calculate_precision_recall_full

import bench.metrics
from bench import distances, registry
from bench.errors import NotApplicable

NAMES = registry.names("metrics")
#: every artefact of the table in the contract, and the codes that a map was made of
ARTEFACTS = {
    name
    for line in (bench.metrics.__doc__ or "").splitlines()
    if line.startswith("| `")
    for name in re.findall(r"`(\w+)`", line.split("|")[1])
}


def m(name: str) -> bench.metrics.Metric:
    return registry.load("metrics", name)


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def randn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=rng(seed), dtype=torch.float64)


def image_pair(shape: tuple[int, ...], noise: float = 0.1) -> tuple[Tensor, Tensor]:
    x = torch.rand(*shape, generator=rng(1))
    return x, (x + noise * torch.randn(*shape, generator=rng(2))).clamp(0, 1)


def blobs(n: int = 300, spread: float = 1.0, seed: int = 0) -> tuple[Tensor, Tensor]:
    x, y = make_blobs(n, n_features=4, centers=3, cluster_std=spread, random_state=seed)
    return torch.from_numpy(x).float(), torch.from_numpy(y)


# -- the contract


@pytest.mark.parametrize("name", NAMES)
def test_a_metric_declares_itself_in_a_form_that_is_read_without_importing_it(name):
    static, declared = registry.describe("metrics", name), m(name)
    assert declared.name == name
    for field, value in static.constants.items():
        assert getattr(declared, field) == value
    assert static.constants["unit"]
    assert static.constants["better"] in ("lower", "higher", "none")
    assert static.constants["reference"]
    assert static.constants["counts"] in declared.needs
    assert static.summary.endswith(".")
    assert len(static.summary) <= 110


@pytest.mark.parametrize("name", NAMES)
def test_a_metric_asks_only_for_artefacts_that_exist(name):
    assert set(m(name).needs) <= ARTEFACTS


@pytest.mark.parametrize("name", NAMES)
def test_a_metric_is_a_family_exactly_when_it_asks_for_something_that_differs_between_members(name):
    needs = set(m(name).needs)
    sampled, mapped = any(n.endswith("samples") for n in needs), "points" in needs
    assert m(name).per == ("sampler" if sampled else "space" if mapped else None)


@pytest.mark.parametrize("name", NAMES)
def test_a_metric_names_no_variant(name):
    tree = ast.parse((registry.ROOT / "metrics" / f"{name}.py").read_text(encoding="utf-8"))
    names = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    imported = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert not any("variants" in (module or "") for module in imported)
    assert not names & set(registry.names("variants"))


# -- reconstructions


def test_mse_is_the_mean_over_pixels():
    x = torch.tensor([[[[0.0, 1.0]]], [[[0.5, 0.5]]]])
    assert m("mse")(x, torch.zeros_like(x)) == pytest.approx((0 + 1 + 0.25 + 0.25) / 4)


def test_mse_equals_scikit_image():
    x, y = image_pair((5, 3, 9, 7))
    assert m("mse")(x, y) == pytest.approx(skimage.metrics.mean_squared_error(x.numpy(), y.numpy()), rel=1e-5)


def test_psnr_of_a_tenth_of_error_everywhere_is_twenty_decibels():
    x = torch.full((2, 1, 3, 3), 0.5)
    assert m("psnr")(x, x + 0.1) == pytest.approx(20, abs=1e-5)


def test_psnr_equals_scikit_image_averaged_over_images():
    x, y = image_pair((5, 3, 9, 7))
    reference = partial(skimage.metrics.peak_signal_noise_ratio, data_range=1)
    values = [reference(a, b) for a, b in zip(x.double().numpy(), y.double().numpy(), strict=True)]
    assert m("psnr")(x, y) == pytest.approx(np.mean(values), rel=1e-5)


def test_psnr_of_a_perfect_image_is_capped_at_a_hundred_decibels():
    x, y = image_pair((2, 1, 8, 8))
    assert m("psnr")(x, x) == pytest.approx(100)
    assert m("psnr")(x, torch.stack([x[0], y[1]])) == pytest.approx((100 + m("psnr")(x[1:], y[1:])) / 2)


@pytest.mark.parametrize("shape", [(3, 1, 28, 28), (2, 3, 16, 24), (4, 1, 11, 11), (2, 1, 12, 11)])
def test_ssim_equals_scikit_image_wherever_its_window_fits(shape):
    x, y = image_pair(shape)
    options = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False, "data_range": 1}
    reference = partial(skimage.metrics.structural_similarity, channel_axis=0, **options)
    values = [reference(a, b) for a, b in zip(x.double().numpy(), y.double().numpy(), strict=True)]
    assert m("ssim")(x, y) == pytest.approx(np.mean(values), abs=1e-5)


@pytest.mark.parametrize(("size", "window"), [(8, 7), (7, 7), (10, 9), (1, 1)])
def test_ssim_of_small_images_uses_the_largest_odd_window_that_fits(size, window):
    x, y = image_pair((1, 1, size, size))
    assert m("ssim")(x, y) == pytest.approx(naive_ssim(x[0, 0].numpy(), y[0, 0].numpy(), window), abs=1e-5)


def naive_ssim(x: np.ndarray, y: np.ndarray, window: int) -> float:
    offset = np.arange(window) - window // 2
    weights = np.exp(-(offset[:, None] ** 2 + offset**2) / (2 * 1.5**2))
    weights /= weights.sum()
    values = []
    for i in range(x.shape[0] - window + 1):
        for j in range(x.shape[1] - window + 1):
            a, b = (image[i : i + window, j : j + window].astype(np.float64) for image in (x, y))
            mean_a, mean_b = (weights * a).sum(), (weights * b).sum()
            var_a, var_b = (weights * (a - mean_a) ** 2).sum(), (weights * (b - mean_b) ** 2).sum()
            cov = (weights * (a - mean_a) * (b - mean_b)).sum()
            top = (2 * mean_a * mean_b + 0.01**2) * (2 * cov + 0.03**2)
            values.append(top / ((mean_a**2 + mean_b**2 + 0.01**2) * (var_a + var_b + 0.03**2)))
    return float(np.mean(values))


def test_ssim_of_equal_images_is_one_and_of_a_negative_is_below_zero():
    x, _ = image_pair((2, 1, 16, 16))
    assert m("ssim")(x, x) == pytest.approx(1)
    assert m("ssim")(x, 1 - x) < 0


@pytest.mark.parametrize(("name", "sign"), [("mse", 1), ("psnr", -1), ("ssim", -1)])
def test_more_noise_makes_reconstructions_worse(name, sign):
    values = [m(name)(*image_pair((8, 1, 16, 16), noise)) for noise in (0.0, 0.02, 0.1, 0.3)]
    assert all(sign * (b - a) > 0 for a, b in pairwise(values))
    assert m(name).better == ("lower" if sign > 0 else "higher")


# -- bounds: a linear-Gaussian model whose log p(x) is known, x = W z + σ ε, and a q that is not its posterior


class Toy:
    """n images of 3 pixels, 2-d codes; q(z|x) is a Gaussian around a wrong mean with a wrong width."""

    def __init__(self, n: int = 400) -> None:
        self.W = torch.tensor([[1.0, 0.5], [-0.5, 1.0], [0.3, 0.8]], dtype=torch.float64)
        self.sigma = 0.5
        self.x = randn(n, 2) @ self.W.T + self.sigma * randn(n, 3, seed=1)
        self.mean, self.log_var = 0.6 * self.x @ self.W, torch.full((n, 2), -1.0, dtype=torch.float64)
        self.q = D.Normal(self.mean, (0.5 * self.log_var).exp())

    def log_p(self) -> float:
        covariance = self.W @ self.W.T + self.sigma**2 * torch.eye(3, dtype=torch.float64)
        marginal = D.MultivariateNormal(torch.zeros(3, dtype=torch.float64), covariance)
        return marginal.log_prob(self.x).mean().item()

    def log_likelihood(self, z: Tensor) -> Tensor:
        return D.Normal(z @ self.W.T, self.sigma).log_prob(self.x).sum(-1)

    def log_weights(self, k: int) -> Tensor:
        z = self.mean + (0.5 * self.log_var).exp() * randn(k, len(self.x), 2, seed=2)
        prior = D.Normal(torch.zeros(2, dtype=torch.float64), 1.0).log_prob(z).sum(-1)
        return (self.log_likelihood(z) + prior - self.q.log_prob(z).sum(-1)).T  # (n, k)

    def elbo(self) -> float:
        z = self.mean + (0.5 * self.log_var).exp() * randn(len(self.x), 2, seed=3)
        kl = D.kl_divergence(self.q, D.Normal(torch.zeros_like(self.mean), 1.0)).sum(-1)
        return m("elbo")(-self.log_likelihood(z), kl)

    def exact_elbo(self) -> float:
        """log p(x) − KL(q ‖ p(z|x)), both in closed form."""
        precision = torch.eye(2, dtype=torch.float64) + self.W.T @ self.W / self.sigma**2
        posterior = D.MultivariateNormal(
            self.x @ self.W @ torch.linalg.inv(precision) / self.sigma**2, precision_matrix=precision
        )
        q = D.MultivariateNormal(self.mean, torch.diag_embed(self.log_var.exp()))
        return self.log_p() - D.kl_divergence(q, posterior).mean().item()


def test_elbo_is_minus_the_mean_of_both_terms():
    assert m("elbo")(torch.tensor([100.0, 80.0]), torch.tensor([10.0, 20.0])) == pytest.approx(-105)


def test_elbo_of_a_linear_gaussian_model_is_log_p_less_the_divergence_from_its_posterior():
    toy = Toy(20_000)
    assert toy.elbo() == pytest.approx(toy.exact_elbo(), abs=0.05)
    assert toy.exact_elbo() < toy.log_p() - 0.1


def test_iw_bound_of_one_image_by_hand():
    weights = torch.tensor([[1.0, 3.0]]).log()
    assert m("iw_bound")(weights) == pytest.approx(math.log(2))
    assert m("iw_bound")(weights - 1000) == pytest.approx(math.log(2) - 1000)  # no underflow


def test_iw_bound_equals_the_logarithm_of_the_mean_weight():
    w = Toy().log_weights(7)
    assert m("iw_bound")(w) == pytest.approx(np.log(np.exp(w.numpy()).mean(1)).mean(), abs=1e-5)


def test_iw_bound_grows_with_k_from_the_elbo_to_log_p():
    toy = Toy()
    bounds = [m("iw_bound")(toy.log_weights(k)) for k in (1, 5, 50, 2000)]
    assert bounds == sorted(bounds)
    assert bounds[0] == pytest.approx(toy.exact_elbo(), abs=0.2)
    assert bounds[1] > toy.elbo()
    assert bounds[-1] == pytest.approx(toy.log_p(), abs=0.02)


def test_bounds_are_kept_apart_by_likelihood_and_binarisation():
    assert m("elbo").key == ("likelihood", "binarisation")
    assert m("iw_bound").key == ("likelihood", "binarisation", "iw_k")


# -- active units


def test_active_units_counts_dimensions_whose_mean_moves():
    codes = torch.tensor([[0.0, -0.09, 1.0], [0.0, 0.09, -1.0]])  # variances 0, 0.0081, 1
    assert m("active_units")(codes) == 1


def test_active_units_equals_a_count_by_numpy():
    codes = randn(500, 20) * torch.linspace(0.01, 0.3, 20)
    assert m("active_units")(codes) == (codes.numpy().var(0) > 0.01).sum()


def test_posterior_collapse_leaves_no_active_unit():
    assert m("active_units")(0.01 * randn(500, 8) + 3) == 0


# -- Fréchet distances


def test_frechet_distance_on_a_line_is_the_difference_of_means_and_of_deviations():
    x, y = torch.tensor([[-1.0], [1.0]]), torch.tensor([[2.0], [8.0]])  # means 0, 5; deviations √2, 3√2
    assert distances.frechet_distance(x, y) == pytest.approx(25 + 8)


@pytest.mark.parametrize(("n", "size"), [(200, 12), (10, 12)])
def test_frechet_distance_equals_scipy_and_torch_fidelity_even_with_singular_covariances(n, size):
    x, y = randn(n, size) @ randn(size, size, seed=3), randn(n + 5, size, seed=1) + 0.3
    (mu1, s1), (mu2, s2) = ((f.numpy().mean(0), np.cov(f.numpy(), rowvar=False)) for f in (x, y))
    by_scipy = ((mu1 - mu2) ** 2).sum() + np.trace(s1 + s2)
    root = scipy.linalg.sqrtm(scipy.linalg.sqrtm(s1).real @ s2 @ scipy.linalg.sqrtm(s1).real).real
    assert distances.frechet_distance(x, y) == pytest.approx(by_scipy - 2 * np.trace(root), rel=1e-5)
    statistics = fid_features_to_statistics(x), fid_features_to_statistics(y)
    [by_fidelity] = fid_statistics_to_metric(*statistics, verbose=False).values()
    assert distances.frechet_distance(x, y) == pytest.approx(by_fidelity, rel=1e-5)


@pytest.mark.parametrize("name", ["fcd", "fid"])
def test_a_frechet_distance_is_zero_to_itself_and_grows_as_the_closed_form_says(name):
    x = randn(400, 6)
    variance = x.var(0).sum().item()
    assert m(name)(x, x) == pytest.approx(0, abs=1e-6)
    for shift in (0.1, 1.0, 3.0):
        assert m(name)(x, x + shift) == pytest.approx(6 * shift**2, rel=1e-5)
        assert m(name)(x, x * (1 + shift)) == pytest.approx(
            shift**2 * variance + (shift * x.mean(0)).square().sum().item(), rel=1e-5
        )
    assert m(name)(x, x[torch.randperm(400, generator=rng())]) == pytest.approx(0, abs=1e-6)


def test_fid_equals_the_frechet_distance_of_our_own():
    x, y = randn(300, 20), 1.3 * randn(250, 20, seed=1) + 0.1
    assert m("fid")(x, y) == pytest.approx(distances.frechet_distance(x, y), rel=1e-6)


# -- KID


def naive_kid(x: Tensor, y: Tensor) -> float:
    """The unbiased estimate over all images, by a double loop."""
    kernel = lambda a, b: (float(a @ b) / len(a) + 1) ** 3  # noqa: E731
    n = len(x)
    same = sum(kernel(s[i], s[j]) for s in (x, y) for i in range(n) for j in range(n) if i != j)
    return same / (n * (n - 1)) - 2 * sum(kernel(a, b) for a in x for b in y) / n**2


def test_kid_of_two_pairs_of_points_by_hand():
    x, y = torch.tensor([[1.0], [1.0]]), torch.tensor([[0.0], [0.0]])
    assert m("kid")(x, y) == pytest.approx(8 + 1 - 2 * 1)  # k(1,1) = 2³, k(0,0) = k(0,1) = 1


def test_kid_equals_a_double_loop_where_every_subset_is_the_whole_set():
    x, y = randn(20, 5), 1.2 * randn(20, 5, seed=1) + 0.2
    assert m("kid")(x, y) == pytest.approx(naive_kid(x, y), rel=1e-5)


def test_kid_is_unbiased_around_zero_for_one_distribution_and_grows_with_a_shift():
    real, fake = randn(150, 16), randn(150, 16, seed=1)
    values = [m("kid")(real, fake + shift) for shift in (0.0, 0.3, 0.6, 1.0)]
    assert values == sorted(values)
    assert abs(values[0]) < 0.05 < values[1]


def test_kid_draws_the_same_subsets_every_time():
    real, fake = randn(120, 4), randn(80, 4, seed=1)
    assert m("kid")(real, fake) == m("kid")(real, fake)


# -- precision and recall


def test_precision_and_recall_on_a_line_by_hand():
    real = torch.tensor([[0.0], [1.0], [2.0], [3.0]])  # distances to the 3rd neighbour: 3, 2, 2, 3
    fake = torch.tensor([[0.0], [0.1], [0.2], [0.3]])  # 0.3, 0.2, 0.2, 0.3
    assert m("precision")(real, fake) == 1
    assert m("recall")(real, fake) == 1 / 4
    assert m("precision")(real, torch.tensor([[-2.9], [-3.1], [5.9], [6.1]])) == 1 / 2


def naive_precision(real: np.ndarray, fake: np.ndarray) -> float:
    radii = np.sort(cdist(real, real), axis=1)[:, 3]
    return float(np.mean([any(cdist(f[None], real)[0] <= radii) for f in fake]))


def test_precision_and_recall_equal_a_naive_loop_and_torch_fidelity():
    real, fake = randn(120, 3), 0.7 * randn(90, 3, seed=1) + 0.8
    values = m("precision")(real, fake), m("recall")(real, fake)
    assert values[0] == pytest.approx(naive_precision(real.numpy(), fake.numpy()))
    assert values[1] == pytest.approx(naive_precision(fake.numpy(), real.numpy()))
    assert values == pytest.approx(calculate_precision_recall_full(fake, real, neighborhood=3))
    assert 0.05 < values[1] < values[0] < 0.95


def test_a_collapsed_generator_looks_collapsed():
    real, good = randn(500, 8), randn(500, 8, seed=1)
    collapsed = real[:1] * 0.5 + 0.01 * randn(500, 8, seed=2)
    assert m("precision")(real, collapsed) > 0.95
    assert m("recall")(real, collapsed) < 0.05
    assert m("recall")(real, good) > 0.7
    for name in ("fcd", "fid", "kid"):
        assert m(name)(real[:200], collapsed[:200]) > 10 * max(m(name)(real[:200], good[:200]), 0.01)


def test_a_generator_that_repeats_one_image_exactly_has_no_recall():
    real = randn(200, 8)
    assert m("recall")(real, real[:1].mul(0.9).expand(50, -1)) == 0


def test_scattered_noise_is_not_precise():
    assert m("precision")(randn(500, 8), 10 * randn(500, 8, seed=1)) < 0.05


def test_chunks_do_not_change_distances(monkeypatch):
    x, y = randn(37, 5) + 100, randn(50, 5, seed=1) + 100
    near, index = distances.nearest(x, y, 4)
    order = np.argsort(cdist(x.numpy(), y.numpy()), axis=1)[:, :4]
    assert np.array_equal(index.numpy(), order)
    assert np.allclose(near.numpy(), np.sort(cdist(x.numpy(), y.numpy()), axis=1)[:, :4], rtol=1e-9)
    monkeypatch.setattr(distances, "CHUNK", 120)  # 2 rows
    again, same = distances.nearest(x, y, 4)
    assert torch.equal(same, index)
    assert torch.allclose(again, near, rtol=1e-12)


# -- what the codes know of the classes


def test_knn_votes_on_a_line_by_hand():
    train = torch.tensor([[0.0], [1.0], [2.0], [9.0], [10.0]])
    labels = torch.tensor([0, 0, 1, 1, 1])
    queries, truth = torch.tensor([[0.4], [9.5], [2.1]]), torch.tensor([0, 1, 1])
    # 2.1 has two zeros and one one among its 3 nearest
    assert m("knn_accuracy")(train, labels, queries, truth, 3) == pytest.approx(2 / 3)
    assert m("knn_accuracy")(train, labels, queries, truth, 1) == 1


@pytest.mark.parametrize("k", [1, 2, 4, 5, 20])
def test_knn_accuracy_equals_scikit_learn_ties_included(k):
    x, y = blobs(600, 6.0)
    reference = KNeighborsClassifier(k, algorithm="brute").fit(x[:400].numpy(), y[:400].numpy())
    expected = reference.score(x[400:].numpy(), y[400:].numpy())
    assert m("knn_accuracy")(x[:400], y[:400], x[400:], y[400:], k) == pytest.approx(expected, abs=1e-12)
    assert 0.4 < expected < 0.95


def test_a_tied_vote_goes_to_the_smallest_label():
    train, labels = torch.tensor([[0.0], [2.0]]), torch.tensor([7, 3])
    assert m("knn_accuracy")(train, labels, torch.tensor([[0.1]]), torch.tensor([3]), 2) == 1


def test_linear_probe_separates_what_a_line_separates_and_not_a_ring():
    x = torch.linspace(-1, 1, 41)[:, None]
    assert m("linear_probe")(x, (x[:, 0] > 0.02).long(), x, (x[:, 0] > 0.02).long()) > 0.95
    ring = (x[:, 0].abs() > 0.5).long()
    assert m("linear_probe")(x, ring, x, ring) < 0.6


def test_linear_probe_minimises_the_penalised_cross_entropy_it_states():
    (x, y), (codes, truth) = blobs(300, 6.0), blobs(200, 6.0, seed=1)
    z, queries = ((t - x.mean(0)) / x.std(0, correction=0) for t in (x, codes))
    W, b = torch.zeros(4, 3, requires_grad=True), torch.zeros(3, requires_grad=True)
    optimiser = torch.optim.LBFGS([W, b], max_iter=200, line_search_fn="strong_wolfe")

    def closure():
        optimiser.zero_grad()
        loss = torch.nn.functional.cross_entropy(z @ W + b, y, reduction="sum") + 0.5 * W.square().sum()
        loss.backward()
        return loss

    optimiser.step(closure)
    expected = ((queries @ W + b).argmax(1) == truth).double().mean().item()
    assert m("linear_probe")(x, y, codes, truth) == pytest.approx(expected, abs=1e-5)


def test_linear_probe_does_not_depend_on_the_scale_of_a_dimension():
    x, y = blobs(300, 8.0)
    scaled = x * torch.tensor([2.0**-14, 1.0, 2.0**10, 1.0])  # powers of two round nothing
    assert m("linear_probe")(scaled, y, scaled, y) == m("linear_probe")(x, y, x, y)


def test_linear_probe_sees_every_class_of_a_long_sorted_train_set(monkeypatch):
    module = __import__("bench.metrics.linear_probe", fromlist=["LIMIT"])
    x, y = blobs(300)
    order = y.argsort()
    whole = m("linear_probe")(x[order], y[order], x, y)
    monkeypatch.setattr(module, "LIMIT", 30)
    assert m("linear_probe")(x[order], y[order], x, y) > whole - 0.05 > 0.9


def test_kmeans_scores_equal_their_definitions():
    codes, labels = blobs(200, 5.0)
    found = __import__("bench.metrics.kmeans_nmi", fromlist=["clusters"]).clusters(codes, labels)
    table = np.zeros((3, 3))
    np.add.at(table, (labels.numpy(), found), 1)
    p, rows, columns = table / 200, table.sum(1) / 200, table.sum(0) / 200
    cells = zip(*p.nonzero(), strict=True)
    information = sum(p[i, j] * np.log(p[i, j] / (rows[i] * columns[j])) for i, j in cells)
    entropies = -(rows * np.log(rows)).sum(), -(columns * np.log(columns)).sum()
    assert m("kmeans_nmi")(codes, labels) == pytest.approx(2 * information / sum(entropies), abs=1e-5)
    pairs = lambda n: (n * (n - 1) / 2).sum()  # noqa: E731
    expected = pairs(table.sum(1)) * pairs(table.sum(0)) / (200 * 199 / 2)
    top = (pairs(table.sum(1)) + pairs(table.sum(0))) / 2
    ari = m("kmeans_ari")(codes, labels)
    assert ari == pytest.approx((pairs(table) - expected) / (top - expected), abs=1e-5)
    assert 0.05 < ari < 0.95


def test_silhouette_of_two_pairs_by_hand():
    points, labels = torch.tensor([[0.0], [1.0], [10.0], [11.0]]), torch.tensor([0, 0, 1, 1])
    assert m("silhouette")(points, labels) == pytest.approx((2 * (1 - 1 / 10.5) + 2 * (1 - 1 / 9.5)) / 4)


def test_silhouette_equals_a_naive_loop():
    points, labels = blobs(60, 4.0)
    d, y = cdist(points.double().numpy(), points.double().numpy()), labels.numpy()
    values = []
    for i in range(60):
        a = d[i][(y == y[i]) & (np.arange(60) != i)].mean()
        b = min(d[i][y == c].mean() for c in set(y.tolist()) - {y[i]})
        values.append((b - a) / max(a, b))
    assert m("silhouette")(points, labels) == pytest.approx(np.mean(values), abs=1e-5)


def class_scores(x: Tensor, y: Tensor) -> dict[str, float]:
    train, test = (x[:400], y[:400]), (x[400:], y[400:])
    return {
        "silhouette": m("silhouette")(x, y),
        "knn_accuracy": m("knn_accuracy")(*train, *test, 5),
        "linear_probe": m("linear_probe")(*train, *test),
        "kmeans_nmi": m("kmeans_nmi")(x, y),
        "kmeans_ari": m("kmeans_ari")(x, y),
    }


def test_shuffled_labels_kill_every_score_of_classes():
    x, y = blobs(600)
    right, wrong = class_scores(x, y), class_scores(x, y[torch.randperm(600, generator=rng())])
    chance = {"knn_accuracy": 1 / 3, "linear_probe": 1 / 3}
    for name in right:
        assert right[name] > (0.5 if name == "silhouette" else 0.95), name
        assert wrong[name] == pytest.approx(chance.get(name, 0), abs=0.1), name


# -- maps


def naive_trustworthiness(source: np.ndarray, points: np.ndarray, k: int = 5) -> float:
    n, penalty = len(source), 0
    for i in range(n):
        others = [j for j in range(n) if j != i]
        by_source = sorted(others, key=lambda j: np.linalg.norm(source[i] - source[j]))
        near = sorted(others, key=lambda j: np.linalg.norm(points[i] - points[j]))[:k]
        penalty += sum(max(0, by_source.index(j) + 1 - k) for j in near)
    return 1 - 2 / (n * k * (2 * n - 3 * k - 1)) * penalty


def test_trustworthiness_equals_a_naive_loop():
    source = randn(40, 6)
    assert m("trustworthiness")(source, source[:, :2]) == pytest.approx(
        naive_trustworthiness(source.numpy(), source[:, :2].numpy()), abs=1e-5
    )


def test_a_rotated_map_is_trustworthy_and_a_random_one_is_not():
    source = randn(200, 2)
    assert m("trustworthiness")(source, source.flip(1) * 3) == pytest.approx(1)
    assert m("trustworthiness")(source, randn(200, 2, seed=1)) == pytest.approx(0.5, abs=0.1)


# -- where there is no value


def test_what_cannot_be_measured_says_why():
    x, y = blobs(30)
    one = torch.zeros(30, dtype=torch.int64)
    same = torch.ones(30, 4)
    cases = [
        ("silhouette", (x, one), "2 classes"),
        ("silhouette", (x[:3], torch.arange(3)), "more points than classes"),
        ("silhouette", (same, y), "coincide"),
        ("trustworthiness", (x[:, :2], x[:, :2]), "own map"),
        ("trustworthiness", (same, x), "coincide"),
        ("trustworthiness", (x[:9], x[:9, :2]), "at least 11 points"),
        ("knn_accuracy", (x[:3], y[:3], x, y, 5), "at least 5 train codes, there are 3"),
        ("linear_probe", (x, one, x, y), "2 classes"),
        ("kmeans_nmi", (x, one), "2 classes"),
        ("kmeans_ari", (same, y), "distinct codes"),
        ("precision", (x[:3], x), "at least 4 test images"),
        ("recall", (x, x[:3]), "at least 4 generated images"),
        ("fid", (x, x[:1]), "generated images"),
        ("kid", (x[:1], x), "test images"),
        ("fcd", (x, x[:1]), "images"),
    ]
    for name, arguments, words in cases:
        with pytest.raises(NotApplicable, match=words):
            m(name)(*arguments)
