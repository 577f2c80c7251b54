"""The Fréchet distance of two sets of features, behind `fcd` and `fcd_interpolation`."""

import torch
from torch import Tensor

from .neighbors import as_float64, need


def frechet_distance(x: Tensor, y: Tensor) -> float:
    """Squared Fréchet (2-Wasserstein) distance of the Gaussians fitted to features (N, F) and (M, F).

        ‖μ₁ − μ₂‖² + tr Σ₁ + tr Σ₂ − 2 tr (Σ₁Σ₂)^½

    Dowson & Landau 1982, https://doi.org/10.1016/0047-259X(82)90077-X. With Σ = RᵀR (R from a QR
    decomposition of the centred features) the last trace is the sum of the singular values of R₁R₂ᵀ: no root
    of a product that is singular when N < F, hence no imaginary parts and nothing added to the diagonal.
    Raises `NotApplicable` for fewer than 2 images.
    """
    need(2, x, "images")
    need(2, y, "images")
    x, y = as_float64(x), as_float64(y)
    root_x, root_y = _covariance_root(x), _covariance_root(y)
    cross = torch.linalg.svdvals(root_x @ root_y.T).sum()
    shift = (x.mean(0) - y.mean(0)).square().sum()
    return max(0.0, (shift + root_x.square().sum() + root_y.square().sum() - 2 * cross).item())


def _covariance_root(x: Tensor) -> Tensor:
    """R (min(N, F), F) with RᵀR = the unbiased covariance of `x` (N, F)."""
    return torch.linalg.qr((x - x.mean(0)) / (len(x) - 1) ** 0.5, mode="r").R
