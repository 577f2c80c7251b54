"""Structural similarity of test reconstructions and originals, averaged over images.

    ssim(x, y) = mean over window positions of
                 (2 μ_x μ_y + C₁)(2 σ_xy + C₂) / ((μ_x² + μ_y² + C₁)(σ_x² + σ_y² + C₂))

μ, σ², σ_xy are means, variances and covariance under a Gaussian window of 11 × 11 pixels, σ = 1.5, weights
summing to 1; C₁ = (0.01 L)², C₂ = (0.03 L)², L = 1 the data range. Only windows that lie wholly within the
image count; channels are averaged. No unit; 1 for equal images, may be negative.

On images under 11 pixels the window is the largest odd one that fits (7 for 8 × 8), same σ: such values
compare among themselves only. From 11 pixels on, equal to scikit-image's with gaussian_weights=True and
use_sample_covariance=False. On MNIST-like images most windows see black on black and score 1.
"""

import torch
from torch import Tensor

from bench.evaluation.neighbors import as_float64
from bench.models.similarity import ssim_and_structure

from . import metric


def per_image_ssim(x: Tensor, y: Tensor) -> Tensor:
    """Structural similarity of each pair, (B, C, H, W) twice → float64 (B,)."""
    return ssim_and_structure(as_float64(x), as_float64(y))[0]


@metric(
    title="Structural similarity",
    symbol="SSIM",
    unit="similarity, at most 1",
    better="higher",
    counts="images",
    reference="Wang, Bovik, Sheikh & Simoncelli, Image quality assessment: from error visibility to "
    "structural similarity, 2004, https://doi.org/10.1109/TIP.2003.819861",
    cite="wang2004image",
)
def ssim(images: Tensor, reconstructions: Tensor) -> float:
    pairs = zip(images.split(256), reconstructions.split(256), strict=True)
    return torch.cat([per_image_ssim(x, y) for x, y in pairs]).mean().item()
