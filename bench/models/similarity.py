"""Structural similarity of pairs of images, at one scale and at several; shared by a metric and a method.

    ssim(x, y) = mean over window positions of l · c
    l = (2 μ_x μ_y + C₁) / (μ_x² + μ_y² + C₁)            c = (2 σ_xy + C₂) / (σ_x² + σ_y² + C₂)

μ, σ², σ_xy are means, variances and covariance under a Gaussian window of 11 × 11 pixels, σ = 1.5, weights summing to
1; on smaller images the window is the largest odd one that fits. Only windows that lie wholly within the image count;
channels are averaged. C₁ = 0.01², C₂ = 0.03², for pixels in [0, 1].

Reference: Wang, Bovik, Sheikh & Simoncelli, Image quality assessment: from error visibility to structural similarity,
2004, https://doi.org/10.1109/TIP.2003.819861

Letters:  B batch · C H W image · M scales
"""

import torch
import torch.nn.functional as F
from torch import Tensor

C1, C2 = 0.01**2, 0.03**2
WINDOW = 11  #: pixels
SCALE_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)  #: exponents, Wang, Simoncelli & Bovik 2003, section 3.2
SMALLEST_SCALE = 7  #: pixels of the shorter side below which an image is not halved to


def window_means(x: Tensor, window: int) -> Tensor:
    """Gaussian-weighted means of all w × w patches, (..., H, W) → (..., H − w + 1, W − w + 1)."""
    rows, columns = (_band(size, window, x) for size in x.shape[-2:])
    return rows @ x @ columns.T  # the window is separable; banded matrices keep float64 in BLAS


def _band(size: int, window: int, like: Tensor) -> Tensor:
    """(size − window + 1, size): row i holds the window's weights, starting in column i. Made on the device."""
    offset = torch.arange(window, device=like.device) - window // 2
    weights = torch.softmax(-0.5 * (offset.to(like.dtype) / 1.5).square(), 0)
    positions = torch.arange(size - window + 1, device=like.device)[:, None] + torch.arange(window, device=like.device)
    band = torch.zeros(len(positions), size, dtype=like.dtype, device=like.device)
    return band.scatter(1, positions, weights.expand(len(positions), window))


def ssim_and_structure(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Means of l · c and of c of each pair, (B, C, H, W) twice → (B,) twice."""
    side = min(WINDOW, *x.shape[-2:])
    window = side - 1 + side % 2
    mean_x, mean_y = window_means(x, window), window_means(y, window)
    variances = window_means(x * x + y * y, window) - mean_x**2 - mean_y**2
    covariance = window_means(x * y, window) - mean_x * mean_y
    luminance = (2 * mean_x * mean_y + C1) / (mean_x**2 + mean_y**2 + C1)
    structure = (2 * covariance + C2) / (variances + C2)
    return (luminance * structure).flatten(1).mean(1), structure.flatten(1).mean(1)


def scales(side: int) -> int:
    """How many times an image of that shorter side is looked at, 1 to 5, each time at half the size.

    >>> scales(8), scales(28), scales(64), scales(176)
    (1, 3, 4, 5)
    """
    count = 1
    while count < len(SCALE_WEIGHTS) and side // 2**count >= SMALLEST_SCALE:
        count += 1
    return count


def ms_ssim(x: Tensor, y: Tensor) -> Tensor:
    """Multi-scale structural similarity of each pair, (B, C, H, W) twice → (B,) in [0, 1]; 1 for equal images.

        ((1 + ssim_M) / 2)^{w_M} · Π_{m<M} ((1 + c_m) / 2)^{w_m}

    Scale m + 1 is scale m after 2 × 2 average pooling. The weights w are the first M of the published five, divided by
    their sum. A mean of c may be negative and has no power then, hence (1 + c) / 2.
    """
    count = scales(min(x.shape[-2:]))
    weights, product = SCALE_WEIGHTS[:count], torch.ones_like(x[:, 0, 0, 0])
    with torch.autocast(x.device.type, enabled=False):
        for m, weight in enumerate(weights):
            whole, structure = ssim_and_structure(x, y)
            factor = (1 + (whole if m == count - 1 else structure)) / 2
            product = product * factor.clamp_min(0) ** (weight / sum(weights))
            if m < count - 1:
                x, y = F.avg_pool2d(x, 2), F.avg_pool2d(y, 2)
    return product
