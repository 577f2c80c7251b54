"""Structural similarity at several scales, and the method that is trained by it."""

import numpy as np
import pytest
import torch
from skimage.metrics import structural_similarity
from test_variants import batch, make, objective

from bench.models.likelihoods import reparametrise
from bench.models.similarity import SCALE_WEIGHTS, ms_ssim, scales, ssim_and_structure

DOUBLE = torch.float64


def pair(side, channels=1, n=2):
    generator = torch.Generator().manual_seed(side)
    x = torch.rand(n, channels, side, side, generator=generator, dtype=DOUBLE)
    return x, (x + 0.3 * torch.randn(x.shape, generator=generator, dtype=DOUBLE)).clamp(0, 1)


def window_sums(x, y):
    """ssim and its contrast-structure part of two images (H, W), with a loop over windows."""
    side = min(11, *x.shape)
    w = side - 1 + side % 2
    line = np.exp(-0.5 * (np.arange(w) - w // 2) ** 2 / 1.5**2)
    weights = np.outer(line, line) / line.sum() ** 2
    whole, structure = [], []
    for i in range(x.shape[0] - w + 1):
        for j in range(x.shape[1] - w + 1):
            a, b = x[i : i + w, j : j + w], y[i : i + w, j : j + w]
            ma, mb = (weights * a).sum(), (weights * b).sum()
            va, vb, cov = ((weights * u * v).sum() for u, v in ((a - ma, a - ma), (b - mb, b - mb), (a - ma, b - mb)))
            structure.append((2 * cov + 0.03**2) / (va + vb + 0.03**2))
            whole.append(structure[-1] * (2 * ma * mb + 0.01**2) / (ma**2 + mb**2 + 0.01**2))
    return np.mean(whole), np.mean(structure)


@pytest.mark.parametrize("side", [8, 15, 28])
def test_ms_ssim_is_that_of_loops_over_windows_and_scales(side):
    x, y = pair(side, n=1)
    a, b, expected = x[0, 0].numpy(), y[0, 0].numpy(), 1.0
    weights = np.array(SCALE_WEIGHTS[: scales(side)])
    for m, weight in enumerate(weights / weights.sum()):
        whole, structure = window_sums(a, b)
        expected *= ((1 + (whole if m == len(weights) - 1 else structure)) / 2) ** weight
        h, w = (n // 2 * 2 for n in a.shape)
        a, b = (v[:h, :w].reshape(h // 2, 2, w // 2, 2).mean((1, 3)) for v in (a, b))
    assert ms_ssim(x, y).item() == pytest.approx(expected, rel=1e-10)


def test_on_one_scale_it_is_the_ssim_of_scikit_image():
    x, y = pair(12, channels=3)
    found = ssim_and_structure(x, y)[0]
    for i in range(2):
        expected = structural_similarity(x[i].numpy(), y[i].numpy(), channel_axis=0, data_range=1.0,
                                         gaussian_weights=True, use_sample_covariance=False)  # fmt: skip
        assert found[i].item() == pytest.approx(expected, rel=1e-10)
    torch.testing.assert_close(ms_ssim(x, y), (1 + found) / 2)


def test_equal_images_have_similarity_1_and_opposite_ones_less_than_a_half():
    x, _ = pair(28)
    torch.testing.assert_close(ms_ssim(x, x), torch.ones(2, dtype=DOUBLE))
    assert ms_ssim(x, 1 - x).max() < 0.5


def test_similarity_of_opposite_images_has_a_finite_gradient():
    x, _ = pair(28)
    y = (1 - x).requires_grad_()
    (gradient,) = torch.autograd.grad(ms_ssim(x, y).sum(), y)
    assert gradient.isfinite().all()
    assert gradient.abs().max() > 0


def test_the_loss_is_the_weighted_dissimilarity_of_the_mean_image_and_the_kl():
    method, (x, y) = make("msssim_vae", weight=7.0), batch()
    noise, q = method.draw(x, torch.Generator().manual_seed(0)), method.posterior(x)
    similarity = ms_ssim(x, method.generate(reparametrise(q.mean, q.log_var, noise)))
    terms = objective(method, x, y)
    torch.testing.assert_close(terms["unlike"], (1 - similarity).mean())
    torch.testing.assert_close(terms["loss"], 7 * (1 - similarity).mean() + terms["kl"])
