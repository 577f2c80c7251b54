"""What a metric is (the contract), that each equals an independent reference, that it means what it says."""

import ast
import math
import re
from functools import partial
from itertools import pairwise

import numpy as np
import pytest
import scipy.linalg
import scipy.stats
import skimage.metrics
import torch
import torch.distributions as D
from scipy.spatial.distance import cdist
from sklearn.datasets import make_blobs
from sklearn.metrics import accuracy_score, recall_score
from sklearn.neighbors import KNeighborsClassifier
from torch import Tensor
from torch_fidelity.metric_fid import fid_features_to_statistics, fid_statistics_to_metric
from torch_fidelity.metric_prc import calculate_precision_recall_full

import bench.evaluation.metrics
from bench import registry
from bench.errors import NotApplicable
from bench.evaluation import jacobian, neighbors
from bench.evaluation.context import PROVIDERS
from bench.evaluation.context.codes import kmeans
from bench.evaluation.frechet import frechet_distance
from bench.evaluation.subsets import probe_subset
from bench.models.corruptions import lost_pixels
from bench.suite.names import CORRUPTIONS

NAMES = registry.names("metrics")
#: every input of the table in the contract
INPUTS = {
    name
    for line in (bench.evaluation.metrics.__doc__ or "").splitlines()
    if line.startswith("| `")
    for name in re.findall(r"`(\w+)`", line.split("|")[1])
}


def m(name: str) -> bench.evaluation.metrics.Metric:
    return registry.load("metrics", name)


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def randn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=rng(seed), dtype=torch.float64)


def precision(real: Tensor, fake: Tensor) -> float:
    return m("precision")(covered(fake, real)[0])


def recall(real: Tensor, fake: Tensor) -> float:
    return m("recall")(covered(fake, real)[1])


def covered(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    return neighbors.covered_by_each_other(x, y, *(neighbors.neighbour_radii(z, 3) for z in (x, y)))


def knn_accuracy(train: Tensor, train_labels: Tensor, codes: Tensor, labels: Tensor, k: int) -> float:
    return m("knn_accuracy")(neighbors.nearest_label(codes, train, train_labels, k), labels)


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
def test_a_metric_needs_only_inputs_that_exist(name):
    assert set(m(name).needs) <= INPUTS
    assert {*m(name).key, *m(name).beside} <= PROVIDERS.keys()


@pytest.mark.parametrize("name", NAMES)
def test_a_metric_is_a_family_exactly_when_it_asks_for_something_that_differs_between_members(name):
    differ_by = {PROVIDERS[need].per for need in m(name).needs} - {None}
    assert differ_by == ({m(name).per} if m(name).per else set())


@pytest.mark.parametrize("name", sorted(INPUTS))
def test_every_input_of_the_table_is_provided(name):
    assert name in PROVIDERS


@pytest.mark.parametrize("name", NAMES)
def test_a_metric_names_no_variant(name):
    tree = ast.parse((registry.ROOT / registry.PLACES["metrics"] / f"{name}.py").read_text(encoding="utf-8"))
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


# -- the shape of the codes


def test_code_offset_is_the_distance_of_the_mean_from_zero():
    assert m("code_offset")(torch.tensor([[2.0, 3.0], [4.0, 5.0]])) == pytest.approx(5)  # the mean is (3, 4)
    assert m("code_offset_scaled")(torch.tensor([[0.0, 1.0], [2.0, 1.0]])) == pytest.approx(2**0.5)  # mean (1, 1)


def test_code_offsets_equal_numpy():
    codes = (randn(300, 5) @ randn(5, 5, seed=1) + 2).float()
    mean, covariance = codes.double().numpy().mean(0), np.cov(codes.double().numpy(), rowvar=False, bias=True)
    assert m("code_offset")(codes) == pytest.approx(np.linalg.norm(mean), rel=1e-6)
    assert m("code_offset_scaled")(codes) == pytest.approx(np.linalg.norm(mean) / np.trace(covariance) ** 0.5, rel=1e-6)


def test_shrinking_the_codes_moves_the_offset_and_not_the_scaled_one():
    codes = randn(200, 3) + 1
    assert m("code_offset")(codes / 8) == pytest.approx(m("code_offset")(codes) / 8)
    assert m("code_offset_scaled")(codes / 8) == pytest.approx(m("code_offset_scaled")(codes))


def test_code_correlation_by_hand():
    line = torch.tensor([[1.0, -2.0], [2.0, -4.0], [3.0, -6.0]])
    assert m("code_correlation")(line) == pytest.approx(1)
    cross = torch.tensor([[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [0.0, -1.0]])
    assert m("code_correlation")(cross) == pytest.approx(0, abs=1e-12)
    dead = torch.full((4, 1), 7.0)
    assert m("code_correlation")(torch.cat([cross, dead, cross[:, :1]], 1)) == pytest.approx(1 / 3)


def test_code_correlation_equals_a_loop_over_pairs():
    codes = randn(200, 6) @ randn(6, 6, seed=1)
    pairs = [scipy.stats.pearsonr(codes[:, i], codes[:, j])[0] for i in range(6) for j in range(i)]
    assert m("code_correlation")(codes) == pytest.approx(np.mean(np.abs(pairs)), rel=1e-6)


def test_mixing_independent_codes_correlates_them():
    codes = randn(2000, 4)
    assert m("code_correlation")(codes) < 0.05 < 0.3 < m("code_correlation")(codes + 2 * codes.sum(1, keepdim=True))


def test_code_sparsity_counts_what_is_nearly_zero():
    codes = torch.tensor([[0.0, 0.005, 0.5], [1.0, -0.009, 0.02]])
    assert m("code_sparsity")(codes) == pytest.approx(3 / 6)
    assert m("code_sparsity_scaled")(codes) == pytest.approx(1 / 6)
    assert m("code_sparsity_scaled")(torch.zeros(3, 2)) == 1


def test_code_sparsities_equal_numpy():
    codes = (randn(500, 8) ** 5).float()
    z = codes.numpy()
    assert m("code_sparsity")(codes) == pytest.approx((np.abs(z) < 0.01).mean())
    scaled = np.abs(z) <= 0.01 * np.sqrt((z.astype(np.float64) ** 2).mean(0))
    assert m("code_sparsity_scaled")(codes) == pytest.approx(scaled.mean(), abs=1e-3)
    assert 0.1 < scaled.mean() < 0.9


def test_shrunken_codes_look_sparse_until_they_are_measured_by_their_own_size():
    codes = randn(20_000, 4)
    small = codes * torch.tensor([2.0**-14, 1.0, 2.0**-10, 8.0])  # powers of two round nothing
    assert m("code_sparsity")(small) > 0.5 > 0.02 > m("code_sparsity")(codes)
    assert m("code_sparsity_scaled")(small) == m("code_sparsity_scaled")(codes) == pytest.approx(0.008, abs=2e-3)
    switched = codes * (torch.rand(codes.shape, generator=rng()) < 0.3)
    assert m("code_sparsity_scaled")(switched) == pytest.approx(0.7, abs=0.02)


# -- the encoder's Jacobian


def curved(x: Tensor) -> Tensor:
    """Three codes of 2 × 2 images, none of them linear."""
    a, b, c, d = x.flatten(1).unbind(1)
    return torch.stack([a * b, c.sin(), d**2 + a], 1)


def test_jacobian_norm_of_a_linear_encoder_is_that_of_its_matrix():
    w = randn(5, 12)
    norms = jacobian.squared_norms(lambda x: x.flatten(1) @ w.T, randn(7, 3, 2, 2), rng())
    assert norms.tolist() == pytest.approx([w.square().sum().item()] * 7)
    assert m("jacobian_norm")(torch.tensor([1.0, 4.0])) == 2.5


def test_jacobian_norms_equal_torchs_jacobian_in_batches_of_any_size():
    x = randn(6, 1, 2, 2)
    a, b, c, d = x.flatten(1).T
    by_hand = a**2 + b**2 + c.cos() ** 2 + (2 * d) ** 2 + 1
    reference = [torch.func.jacrev(lambda i: curved(i[None]))(i).square().sum().item() for i in x]
    with torch.no_grad():  # as in the evaluation
        whole = jacobian.squared_norms(curved, x, rng())
        parts = torch.cat([jacobian.squared_norms(curved, part, rng()) for part in x.split(4)])
    assert whole.tolist() == pytest.approx(reference)
    assert whole.tolist() == pytest.approx(by_hand.tolist())
    assert torch.allclose(whole, parts)
    assert not whole.requires_grad


def test_large_codes_get_an_estimate_that_is_right_on_average_and_the_same_every_time():
    w = randn(100, 16)
    estimates = [jacobian.squared_norms(lambda x: x.flatten(1) @ w.T, randn(400, 1, 4, 4), rng(3)) for _ in range(2)]
    assert torch.equal(*estimates)
    assert estimates[0].std() > 0
    assert m("jacobian_norm")(estimates[0]) == pytest.approx(w.square().sum().item(), rel=0.02)


# -- a linear model against the identity

MAP = torch.tensor([[1.0, 0.5, 9.0], [0.0, 0.8, 0.0], [0.3, 0.4, 5.0]])
VARYING = torch.tensor([True, True, False])


def test_identity_errors_by_hand():
    assert m("identity_error")(MAP) == pytest.approx(((0.25 + 0.04 + 0.09 + 0.16 + 81 + 16) / 3) ** 0.5)
    assert m("identity_error_span")(MAP, VARYING) == pytest.approx(((0.25 + 0.04 + 0.09 + 0.16) / 2) ** 0.5)
    assert m("identity_diagonal")(MAP, VARYING) == pytest.approx(0.9)
    assert m("identity_off_diagonal")(MAP, VARYING) == pytest.approx((0.25 / 2) ** 0.5)


def test_identity_errors_equal_their_matrix_form():
    a, varying = randn(9, 9).numpy(), np.arange(9) % 3 != 1
    eye, projector = np.eye(9), np.diag(varying.astype(float))
    given = torch.from_numpy(a), torch.from_numpy(varying)
    assert m("identity_error")(given[0]) == pytest.approx(np.linalg.norm(a - eye) / np.linalg.norm(eye))
    span = np.linalg.norm((a - eye) @ projector) / np.linalg.norm(projector)
    assert m("identity_error_span")(*given) == pytest.approx(span)
    block = (projector @ a @ projector)[varying][:, varying]
    assert m("identity_diagonal")(*given) == pytest.approx(np.diag(block).mean())
    off = block[~np.eye(6, dtype=bool)]
    assert m("identity_off_diagonal")(*given) == pytest.approx((off**2).mean() ** 0.5)


def test_what_a_model_does_to_pixels_that_never_vary_counts_against_the_identity_but_not_on_the_span():
    copy = torch.eye(3)
    copy[:, 2] = torch.tensor([0.3, -0.2, 0.1])  # an always-black pixel: never learned
    assert m("identity_error")(copy) > 0.5
    assert m("identity_error_span")(copy, VARYING) == m("identity_off_diagonal")(copy, VARYING) == 0
    assert m("identity_diagonal")(copy, VARYING) == 1


# -- restoring what was lost


def test_restoring_is_judged_on_lost_pixels_only():
    x = torch.tensor([[[[0.5, 1.0]]], [[[0.2, 0.4]]]])
    lost = torch.tensor([[[[True, False]]], [[[True, True]]]])
    restored = torch.tensor([[[[0.4, 0.0]]], [[[0.2, 0.1]]]])  # the 0.0 was not lost
    assert m("corrupted_mse")(x, restored, lost) == pytest.approx((0.01 + 0 + 0.09) / 3)
    assert m("corruption_mse")(x, x * ~lost, lost) == pytest.approx((0.25 + 0.04 + 0.16) / 3)


def test_corrupted_mse_equals_numpy_over_all_channels_of_a_lost_pixel():
    x, y = image_pair((5, 3, 9, 7))
    lost = lost_pixels("dropout_25", 5, 9, 7)
    inside = lost.expand_as(x).numpy()
    expected = ((x.numpy() - y.numpy())[inside].astype(np.float64) ** 2).mean()
    assert m("corrupted_mse")(x, y, lost) == pytest.approx(expected, rel=1e-5)
    assert m("corruption_mse")(x, y, lost) == m("corrupted_mse")(x, y, lost)


@pytest.mark.parametrize(("name", "share"), [("dropout_25", 0.25), ("dropout_50", 0.5), ("square_40", 0.16)])
def test_a_corruption_takes_its_share_and_is_the_same_every_time(name, share):
    lost = lost_pixels(name, 400, 20, 20)
    assert lost.shape == (400, 1, 20, 20)
    assert lost.double().mean().item() == pytest.approx(share, abs=0.01)
    assert torch.equal(lost, lost_pixels(name, 400, 20, 20))
    assert name in CORRUPTIONS


def test_every_corruption_has_a_definition_and_they_differ():
    masks = [lost_pixels(name, 4, 8, 8) for name in CORRUPTIONS]
    assert not any(torch.equal(a, b) for a, b in pairwise(masks))


def test_a_lost_square_is_one_square_within_the_image_anywhere():
    lost = lost_pixels("square_40", 300, 10, 10)[:, 0]
    rows, columns = lost.any(2), lost.any(1)
    assert (rows.sum(1) == 4).all()
    assert (columns.sum(1) == 4).all()
    assert torch.equal(lost, rows[:, :, None] & columns[:, None, :])
    assert set(rows.int().argmax(1).tolist()) == set(range(7))


# -- trained on or not


def test_train_mse_and_the_gap_by_hand():
    x = torch.zeros(2, 1, 1, 2)
    assert m("train_mse")(x, x + 0.1) == pytest.approx(0.01)
    assert m("generalisation_gap")(x, x + 0.2, x, x + 0.1) == pytest.approx(4)


def test_the_gap_equals_the_ratio_of_two_errors_by_scikit_image():
    (x, y), (a, b) = image_pair((5, 3, 9, 7)), image_pair((4, 3, 9, 7), 0.05)
    error = lambda p, q: skimage.metrics.mean_squared_error(p.numpy(), q.numpy())  # noqa: E731
    assert m("train_mse")(a, b) == pytest.approx(error(a, b), rel=1e-5)
    assert m("generalisation_gap")(x, y, a, b) == pytest.approx(error(x, y) / error(a, b), rel=1e-5)


# -- generated images under a classifier


def test_the_mean_image_leaves_all_of_the_variance_unexplained_and_a_copy_none():
    x = torch.rand(50, 1, 8, 8)
    mean = x.mean(0)
    assert m("unexplained_variance")(x, mean.expand_as(x), mean) == pytest.approx(1)
    assert m("unexplained_variance")(x, x, mean) == 0
    halfway = (x + mean) / 2  # half the residual, a quarter of its square
    assert m("unexplained_variance")(x, halfway, mean) == pytest.approx(0.25, rel=1e-5)


def test_the_code_ratio_counts_numbers():
    assert m("code_ratio")(torch.zeros(5, 96), torch.zeros(5, 3, 4, 4)) == 2


def test_confidence_and_entropy_of_certain_and_of_undecided_images():
    undecided, certain = torch.zeros(3, 4), torch.eye(4) * 1000
    assert m("sample_confidence")(undecided) == pytest.approx(1 / 4)
    assert m("sample_entropy")(undecided) == pytest.approx(math.log(4))
    assert m("sample_confidence")(certain) == 1
    assert m("sample_entropy")(certain) == pytest.approx(0, abs=1e-12)
    half = torch.tensor([[50.0, 50.0, -50.0]])
    assert m("sample_confidence")(half) == pytest.approx(1 / 2)
    assert m("sample_entropy")(half) == pytest.approx(math.log(2))


def test_confidence_and_entropy_equal_torchs_categorical_distribution():
    logits = 3 * randn(200, 10)
    reference = D.Categorical(logits=logits)
    assert m("sample_entropy")(logits) == pytest.approx(reference.entropy().mean().item())
    assert m("sample_confidence")(logits) == pytest.approx(reference.probs.amax(1).mean().item())


def test_mixtures_of_classes_are_less_confident_and_more_entropic():
    logits = 10 * torch.eye(5).repeat(20, 1)
    mixed = (logits + logits.roll(1, 0)) / 2
    assert m("sample_confidence")(mixed) < m("sample_confidence")(logits)
    assert m("sample_entropy")(mixed) > m("sample_entropy")(logits)


def test_label_agreement_by_hand_and_by_scikit_learn():
    assert m("label_agreement")(torch.tensor([[2.0, 1.0], [0.0, 1.0], [5.0, 0.0]]), torch.tensor([0, 1, 1])) == 2 / 3
    logits, labels = randn(500, 4), torch.randint(0, 4, (500,), generator=rng())
    expected = accuracy_score(labels.numpy(), logits.numpy().argmax(1))
    assert m("label_agreement")(logits, labels) == pytest.approx(expected)
    assert m("label_agreement")(logits, logits.argmax(1)) == 1


# -- Fréchet distances


def test_frechet_distance_on_a_line_is_the_difference_of_means_and_of_deviations():
    x, y = torch.tensor([[-1.0], [1.0]]), torch.tensor([[2.0], [8.0]])  # means 0, 5; deviations √2, 3√2
    assert frechet_distance(x, y) == pytest.approx(25 + 8)


@pytest.mark.parametrize(("n", "size"), [(200, 12), (10, 12)])
def test_frechet_distance_equals_scipy_and_torch_fidelity_even_with_singular_covariances(n, size):
    x, y = randn(n, size) @ randn(size, size, seed=3), randn(n + 5, size, seed=1) + 0.3
    (mu1, s1), (mu2, s2) = ((f.numpy().mean(0), np.cov(f.numpy(), rowvar=False)) for f in (x, y))
    by_scipy = ((mu1 - mu2) ** 2).sum() + np.trace(s1 + s2)
    root = scipy.linalg.sqrtm(scipy.linalg.sqrtm(s1).real @ s2 @ scipy.linalg.sqrtm(s1).real).real
    assert frechet_distance(x, y) == pytest.approx(by_scipy - 2 * np.trace(root), rel=1e-5)
    statistics = fid_features_to_statistics(x), fid_features_to_statistics(y)
    [by_fidelity] = fid_statistics_to_metric(*statistics, verbose=False).values()
    assert frechet_distance(x, y) == pytest.approx(by_fidelity, rel=1e-5)


@pytest.mark.parametrize("name", ["fcd", "fcd_interpolation", "fid"])
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
    assert m("fid")(x, y) == pytest.approx(frechet_distance(x, y), rel=1e-6)


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
    assert precision(real, fake) == 1
    assert recall(real, fake) == 1 / 4
    assert precision(real, torch.tensor([[-2.9], [-3.1], [5.9], [6.1]])) == 1 / 2


def naive_precision(real: np.ndarray, fake: np.ndarray) -> float:
    radii = np.sort(cdist(real, real), axis=1)[:, 3]
    return float(np.mean([any(cdist(f[None], real)[0] <= radii) for f in fake]))


def test_precision_and_recall_equal_a_naive_loop_and_torch_fidelity():
    real, fake = randn(120, 3), 0.7 * randn(90, 3, seed=1) + 0.8
    values = precision(real, fake), recall(real, fake)
    assert values[0] == pytest.approx(naive_precision(real.numpy(), fake.numpy()))
    assert values[1] == pytest.approx(naive_precision(fake.numpy(), real.numpy()))
    assert values == pytest.approx(calculate_precision_recall_full(fake, real, neighborhood=3))
    assert 0.05 < values[1] < values[0] < 0.95


def test_a_collapsed_generator_looks_collapsed():
    real, good = randn(500, 8), randn(500, 8, seed=1)
    collapsed = real[:1] * 0.5 + 0.01 * randn(500, 8, seed=2)
    assert precision(real, collapsed) > 0.95
    assert recall(real, collapsed) < 0.05
    assert recall(real, good) > 0.7
    for name in ("fcd", "fid", "kid"):
        assert m(name)(real[:200], collapsed[:200]) > 10 * max(m(name)(real[:200], good[:200]), 0.01)


def test_a_generator_that_repeats_one_image_exactly_has_no_recall():
    real = randn(200, 8)
    assert recall(real, real[:1].mul(0.9).expand(50, -1)) == 0


def test_scattered_noise_is_not_precise():
    assert precision(randn(500, 8), 10 * randn(500, 8, seed=1)) < 0.05


def test_chunks_do_not_change_what_is_covered(monkeypatch):
    x, y = randn(90, 4), randn(70, 4, seed=1) + 0.5
    whole = covered(x, y)
    monkeypatch.setattr(neighbors, "CHUNK", 7 * len(y))
    assert all(torch.equal(a, b) for a, b in zip(whole, covered(x, y), strict=True))
    none = torch.full((70,), float("nan"), dtype=torch.float64)
    of_x, of_y = neighbors.covered_by_each_other(x, y, neighbors.neighbour_radii(x, 3), none)
    assert not of_x.any()
    assert torch.equal(of_y, whole[1])


def test_chunks_do_not_change_distances(monkeypatch):
    x, y = randn(37, 5) + 100, randn(50, 5, seed=1) + 100
    near, index = neighbors.nearest(x, y, 4)
    order = np.argsort(cdist(x.numpy(), y.numpy()), axis=1)[:, :4]
    assert np.array_equal(index.numpy(), order)
    assert np.allclose(near.numpy(), np.sort(cdist(x.numpy(), y.numpy()), axis=1)[:, :4], rtol=1e-9)
    monkeypatch.setattr(neighbors, "CHUNK", 120)  # 2 rows
    again, same = neighbors.nearest(x, y, 4)
    assert torch.equal(same, index)
    assert torch.allclose(again, near, rtol=1e-12)


@pytest.mark.parametrize("itself", [True, False])
@pytest.mark.parametrize("far", [0.0, 1e4])
def test_neighbours_are_those_of_float64_also_where_float32_cannot_tell(far, itself):
    """Many groups of points; with one far away, the others are nearer than float32 products can say."""
    x = randn(6000, 3)
    x[5999] += far
    x[:1000] *= 1e-4
    points, queries = (x, x) if not itself else (x, x[:300] + 1e-5)
    near, index = neighbors.nearest(queries, points, 5, itself)
    dense = cdist(queries.numpy(), x.numpy())
    if not itself:
        np.fill_diagonal(dense, np.inf)
    assert np.array_equal(index.numpy(), np.argsort(dense, axis=1)[:, :5])
    assert np.allclose(near.numpy(), np.sort(dense, axis=1)[:, :5], rtol=1e-9)


def test_of_points_at_one_distance_the_smaller_index_comes_first():
    grid = torch.cartesian_prod(torch.arange(5.0), torch.arange(5.0)).repeat(6, 1)  # 25 places, 6 copies of each
    squares = (grid[:, None] - grid).square().sum(2)
    expected = squares.argsort(dim=1, stable=True)
    for k in (1, 3, 7):
        assert torch.equal(neighbors.nearest(grid, grid, k)[1], expected[:, :k])
    squares.fill_diagonal_(torch.inf)
    expected = squares.argsort(dim=1, stable=True)
    for k in (1, 3, 7):
        assert torch.equal(neighbors.nearest(grid, grid, k, itself=False)[1], expected[:, :k])


def test_neighbours_among_copies_of_one_point_are_the_first_of_them():
    x = torch.ones(400, 3)
    assert torch.equal(neighbors.nearest(x, x, 4)[1], torch.arange(4).expand(400, -1))


def test_a_ball_that_just_reaches_covers_and_one_that_just_does_not_does_not():
    """Differences of 1e-9 of the distance, which float32 does not see."""
    x, y = randn(400, 16), randn(300, 16, seed=1)
    dense = torch.from_numpy(cdist(x.numpy(), y.numpy()))
    nearest_x = dense.argmin(1)
    for factor, reached in ((1 + 1e-9, True), (1 - 1e-9, False)):
        radii = torch.full((300,), float("nan"), dtype=torch.float64)
        radii[nearest_x[0]] = dense[0].min() * factor
        found, _ = neighbors.covered_by_each_other(x, y, torch.full((400,), float("nan"), dtype=torch.float64), radii)
        assert bool(found[0]) == reached
        assert torch.equal(found, (dense <= radii).any(1))


def test_ranks_are_places_in_the_order_of_distance(monkeypatch):
    x = randn(150, 4) + 20
    others = torch.randint(1, 150, (150, 3), generator=rng()).add(torch.arange(150)[:, None]) % 150
    dense = cdist(x.numpy(), x.numpy())
    np.fill_diagonal(dense, np.inf)
    places = np.argsort(np.argsort(dense, axis=1), axis=1) + 1
    expected = np.take_along_axis(places, others.numpy(), 1)
    assert np.array_equal(neighbors.ranks(x, others).numpy(), expected)
    monkeypatch.setattr(neighbors, "CHUNK", 1000)
    assert np.array_equal(neighbors.ranks(x, others).numpy(), expected)


def test_points_at_one_distance_have_one_rank():
    x = torch.randint(0, 3, (80, 3), generator=rng()).float()
    others = torch.randint(1, 80, (80, 2), generator=rng()).add(torch.arange(80)[:, None]) % 80
    squares = (x[:, None].double() - x).square().sum(2)
    squares.fill_diagonal_(torch.inf)
    expected = (squares[:, None] < squares.gather(1, others)[:, :, None]).sum(2) + 1
    assert torch.equal(neighbors.ranks(x, others), expected)


def test_copies_of_a_point_cover_each_other():
    x = randn(300, 9).repeat_interleave(5, 0) + 3
    radii = neighbors.neighbour_radii(x, 3)
    assert (radii == 0).all()
    assert all(flags.all() for flags in neighbors.covered_by_each_other(x, x, radii, radii))


@pytest.mark.parametrize("scale", [1e-30, 1e25])
def test_neighbours_do_not_depend_on_the_unit_of_length(scale):
    x = randn(900, 5)
    found, index = neighbors.nearest(x.double() * scale, x.double() * scale, 4)
    expected, same = neighbors.nearest(x, x, 4)
    assert torch.equal(index, same)
    torch.testing.assert_close(found / scale, expected, rtol=1e-9, atol=0)


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_points_that_are_not_finite_have_no_neighbours(bad):
    x = randn(50, 4)
    x[7, 2] = bad
    for call in (lambda: neighbors.nearest(x, x, 3), lambda: neighbors.ranks(x, torch.zeros(50, 1, dtype=torch.int64))):
        with pytest.raises(NotApplicable, match="not finite"):
            call()


# -- what the codes know of the classes


def test_knn_votes_on_a_line_by_hand():
    train = torch.tensor([[0.0], [1.0], [2.0], [9.0], [10.0]])
    labels = torch.tensor([0, 0, 1, 1, 1])
    queries, truth = torch.tensor([[0.4], [9.5], [2.1]]), torch.tensor([0, 1, 1])
    # 2.1 has two zeros and one one among its 3 nearest
    assert knn_accuracy(train, labels, queries, truth, 3) == pytest.approx(2 / 3)
    assert knn_accuracy(train, labels, queries, truth, 1) == 1


@pytest.mark.parametrize("k", [1, 2, 4, 5, 20])
def test_knn_accuracy_equals_scikit_learn_ties_included(k):
    x, y = blobs(600, 6.0)
    reference = KNeighborsClassifier(k, algorithm="brute").fit(x[:400].numpy(), y[:400].numpy())
    expected = reference.score(x[400:].numpy(), y[400:].numpy())
    assert knn_accuracy(x[:400], y[:400], x[400:], y[400:], k) == pytest.approx(expected, abs=1e-12)
    assert 0.4 < expected < 0.95


def test_a_tied_vote_goes_to_the_smallest_label():
    train, labels = torch.tensor([[0.0], [2.0]]), torch.tensor([7, 3])
    assert knn_accuracy(train, labels, torch.tensor([[0.1]]), torch.tensor([3]), 2) == 1


def test_recalls_of_classes_by_hand_and_by_scikit_learn():
    truth = torch.tensor([0, 0, 0, 0, 2, 2, 5])  # recalls 3/4, 1/2, 1; classes 1, 3 and 4 do not occur
    found = torch.tensor([0, 0, 0, 2, 2, 0, 5])
    assert m("class_recall_min")(found, truth) == 1 / 2
    assert m("class_recall_max")(found, truth) == 1
    y, guess = blobs(300)[1], torch.randint(0, 3, (300,), generator=rng())
    recalls = recall_score(y.numpy(), guess.numpy(), average=None)
    assert m("class_recall_min")(guess, y) == pytest.approx(recalls.min(), abs=1e-12)
    assert m("class_recall_max")(guess, y) == pytest.approx(recalls.max(), abs=1e-12)


def test_a_class_of_its_own_is_found_and_two_mixed_ones_are_not():
    x, y = blobs(600)
    x[y == 1] = x[y == 2][: (y == 1).sum()] + 0.1 * randn(int((y == 1).sum()), 4).float()
    found = neighbors.nearest_label(x[400:], x[:400], y[:400], 5)
    assert m("class_recall_max")(found, y[400:]) > 0.95
    assert m("class_recall_min")(found, y[400:]) < 0.65


def test_linear_probe_separates_what_a_line_separates_and_not_a_ring():
    x = torch.linspace(-1, 1, 41)[:, None]
    assert m("linear_probe")(x, (x[:, 0] > 0.02).long(), x, (x[:, 0] > 0.02).long()) > 0.95
    ring = (x[:, 0].abs() > 0.5).long()
    assert m("linear_probe")(x, ring, x, ring) < 0.6


def test_linear_probe_reaches_the_minimum_of_the_penalised_cross_entropy_it_states():
    """Newton's method in float64, on codes so mixed that a looser tolerance counts some test codes differently."""
    (x, y), (codes, truth) = blobs(1000, 8.0), blobs(1000, 8.0, seed=1)
    z, queries = (((t - x.mean(0)) / x.std(0, correction=0)).double() for t in (x, codes))
    ones = torch.ones(1000, 1, dtype=torch.float64)

    def loss(flat):
        weights = flat.view(5, 3)
        logits = torch.cat([z, ones], 1) @ weights
        return torch.nn.functional.cross_entropy(logits, y, reduction="sum") + 0.5 * weights[:4].square().sum()

    flat = torch.zeros(15, dtype=torch.float64)
    for _ in range(30):
        flat -= torch.linalg.pinv(torch.autograd.functional.hessian(loss, flat)) @ torch.func.grad(loss)(flat)
    assert torch.func.grad(loss)(flat).abs().max() < 1e-9
    found = (torch.cat([queries, ones], 1) @ flat.view(5, 3)).argmax(1)
    expected = (found == truth).double().mean().item()
    assert m("linear_probe")(x, y, codes, truth) == pytest.approx(expected, abs=1e-12)
    assert m("linear_probe").version == 2


def test_linear_probe_says_that_it_did_not_converge(monkeypatch):
    monkeypatch.setattr("bench.evaluation.metrics.linear_probe.MOST_ITERATIONS", 2)
    x, y = blobs(300, 6.0)
    with pytest.raises(NotApplicable, match="did not converge in 2 iterations"):
        m("linear_probe")(x, y, x, y)


def test_linear_probe_does_not_depend_on_the_scale_of_a_dimension():
    x, y = blobs(300, 8.0)
    scaled = x * torch.tensor([2.0**-14, 1.0, 2.0**10, 1.0])  # powers of two round nothing
    assert m("linear_probe")(scaled, y, scaled, y) == m("linear_probe")(x, y, x, y)


@pytest.mark.parametrize("regular", [False, True], ids=["sorted", "in turn"])
def test_linear_probe_sees_every_class_of_a_long_train_set_in_any_order(monkeypatch, regular):
    """Every third of labels that run from 0 to 2 in turn is 0."""
    module = __import__("bench.evaluation.metrics.linear_probe", fromlist=["PROBE_CODES"])
    x, y = blobs(300)
    order = y.argsort(stable=True)
    order = order.view(3, 100).T.flatten() if regular else order
    monkeypatch.setattr(module, "PROBE_CODES", 100 if regular else 30)
    assert m("linear_probe")(x[order], y[order], x, y) > 0.9


def test_the_codes_of_a_probe_are_evenly_spaced_unless_a_class_would_be_missed():
    mixed = np.random.default_rng(0).integers(0, 10, 60_000)
    spaced, random = probe_subset(mixed, 10_000)
    assert not random
    assert (spaced == np.arange(0, 60_000, 6)).all()
    drawn, random = probe_subset(np.arange(60_000) % 10, 10_000)
    assert random
    assert len(set(drawn.tolist())) == 10_000
    assert np.bincount(drawn % 10).min() > 900
    assert probe_subset(np.arange(60) % 10, 100)[0].tolist() == list(range(60))
    factors = np.stack([np.arange(600) // 200, np.arange(600) % 20], 1)  # every twentieth has the same second value
    assert probe_subset(factors, 30)[1]
    assert not probe_subset(factors[:, :1], 30)[1]


def test_kmeans_scores_equal_their_definitions():
    codes, labels = blobs(200, 5.0)
    found = kmeans(codes, labels, seed=0)
    table = np.zeros((3, 3))
    np.add.at(table, (labels.numpy(), found.numpy()), 1)
    p, rows, columns = table / 200, table.sum(1) / 200, table.sum(0) / 200
    cells = zip(*p.nonzero(), strict=True)
    information = sum(p[i, j] * np.log(p[i, j] / (rows[i] * columns[j])) for i, j in cells)
    entropies = -(rows * np.log(rows)).sum(), -(columns * np.log(columns)).sum()
    assert m("kmeans_nmi")(found, labels) == pytest.approx(2 * information / sum(entropies), abs=1e-5)
    pairs = lambda n: (n * (n - 1) / 2).sum()  # noqa: E731
    expected = pairs(table.sum(1)) * pairs(table.sum(0)) / (200 * 199 / 2)
    top = (pairs(table.sum(1)) + pairs(table.sum(0))) / 2
    ari = m("kmeans_ari")(found, labels)
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
        "knn_accuracy": knn_accuracy(*train, *test, 5),
        "linear_probe": m("linear_probe")(*train, *test),
        "kmeans_nmi": m("kmeans_nmi")(kmeans(x, y, 0), y),
        "kmeans_ari": m("kmeans_ari")(kmeans(x, y, 0), y),
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
        ("linear_probe", (x, one, x, y), "2 classes"),
        ("code_offset_scaled", (same,), "same point"),
        ("code_correlation", (x[:, :1],), "1 of 1"),
        ("code_correlation", (torch.cat([same, x[:, :1]], 1),), "1 of 5"),
        ("identity_error_span", (torch.eye(3), torch.zeros(3).bool()), "no pixel varies"),
        ("identity_diagonal", (torch.eye(3), torch.zeros(3).bool()), "no pixel varies"),
        ("identity_off_diagonal", (torch.eye(3), torch.tensor([True, False, False])), "fewer than 2"),
        ("generalisation_gap", (x, x + 1, x, x), "without any error"),
        ("unexplained_variance", (x[:1], x[:1] + 1, x[0]), "are the mean image"),
        ("fcd_interpolation", (x, x[:1]), "images"),
        ("fid", (x, x[:1]), "generated images"),
        ("kid", (x[:1], x), "test images"),
        ("fcd", (x, x[:1]), "images"),
    ]
    for name, arguments, words in cases:
        with pytest.raises(NotApplicable, match=words):
            m(name)(*arguments)
    for points, labels, words in ((x, one, "2 classes"), (same, y, "distinct codes")):
        with pytest.raises(NotApplicable, match=words):
            kmeans(points, labels, seed=0)
