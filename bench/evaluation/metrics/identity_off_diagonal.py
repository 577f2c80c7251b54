"""How much a linear model mixes pixels: root mean square of its matrix off the diagonal.

    off-diagonal = √( mean over varying pixels i ≠ j of M_ij² )

M = `linear_map` (P, P) takes an image to its reconstruction; `varying_pixels` (P,) are those that differ
between any two images trained on. 0 for the identity. Small entries are many: at V varying pixels a value of
1/√V adds as much error to a pixel as losing the pixel would.
"""

from torch import Tensor

from bench.errors import NotApplicable

from . import metric
from .identity_diagonal import varying_block


@metric(
    title="Root mean square of W₂ W₁ off the diagonal",
    symbol="Identity off-diagonal",
    unit="of a pixel",
    better="lower",
    counts="linear_map",
    reference="Baldi & Hornik, Neural Networks and Principal Component Analysis: Learning from Examples "
    "Without Local Minima, Neural Networks 1989, https://doi.org/10.1016/0893-6080(89)90014-2",
    cite="baldi1989neural",
)
def identity_off_diagonal(linear_map: Tensor, varying_pixels: Tensor) -> float:
    block = varying_block(linear_map, varying_pixels)
    n = len(block)
    if n < 2:
        raise NotApplicable("fewer than 2 pixels vary in the train images")
    off = block - block.diagonal().diag()
    return (off.square().sum() / (n * (n - 1))).sqrt().item()
