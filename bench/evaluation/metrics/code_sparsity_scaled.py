"""Fraction of the code's numbers that are nearly zero, measured by the size of their own dimension.

    sparsity = mean over images and dimensions of [ |z_d| ≤ 0.01 r_d ],   r_d = √(mean_n z_nd²)

`codes` (N, D): μ where there is a posterior; r_d is the root mean square of dimension d over the test images.
A decoder whose first layer is linear undoes any rescaling of single dimensions, and none changes this number.

A Gaussian dimension around zero scores 0.008, one far from zero 0. A dimension that is 0 for every image
counts as sparse; one that is small but not zero is a smaller code, not a sparser one, and counts like any
other.
"""

from torch import Tensor

from . import metric
from .code_sparsity import THRESHOLD


@metric(
    title="Share of code entries near zero, scaled by the codes",
    symbol="Scaled code sparsity",
    unit="fraction",
    better="none",
    counts="codes",
    reference="Ng, Sparse Autoencoder, 2011, https://web.stanford.edu/class/cs294a/sparseAutoencoder.pdf",
    cite="ng2011sparse",
)
def code_sparsity_scaled(codes: Tensor) -> float:
    size = codes.square().mean(0).sqrt()  # (D,)
    return (codes.abs() <= THRESHOLD * size).double().mean().item()
