"""How much of a pixel a linear model puts back in its own place: the mean diagonal of its matrix.

    diagonal = mean over varying pixels i of M_ii

M = `linear_map` (P, P) takes an image to its reconstruction; `varying_pixels` (P,) are those that differ
between any two images trained on. 1 for the identity, D/P on average for a projection onto D dimensions.
Errors of opposite sign cancel: read it beside `identity_off_diagonal` and the error.
"""

from torch import Tensor

from bench.errors import NotApplicable
from bench.evaluation.neighbors import as_float64

from . import metric


@metric(
    title="Mean diagonal entry of W₂ W₁",
    symbol="Identity diagonal",
    unit="of the pixel",
    better="none",
    counts="linear_map",
    reference="Baldi & Hornik, Neural Networks and Principal Component Analysis: Learning from Examples "
    "Without Local Minima, Neural Networks 1989, https://doi.org/10.1016/0893-6080(89)90014-2",
    cite="baldi1989neural",
)
def identity_diagonal(linear_map: Tensor, varying_pixels: Tensor) -> float:
    block = varying_block(linear_map, varying_pixels)
    if len(block) < 1:
        raise NotApplicable("no pixel varies in the train images")
    return block.diagonal().mean().item()


def varying_block(linear_map: Tensor, varying_pixels: Tensor) -> Tensor:
    """The rows and columns of M that belong to varying pixels, float64 (V, V)."""
    matrix = as_float64(linear_map)
    kept = varying_pixels.to(matrix.device)
    return matrix[kept][:, kept]
