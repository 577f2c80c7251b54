"""How far the whole of a linear model is from the identity, relative to the identity.

    error = ‖M − I‖_F / ‖I‖_F

M = `linear_map` (P, P), the matrix that takes an image to its reconstruction. 0 for a perfect copy of any
image, 1 for M = 0. Pixels that never vary in the train images teach M nothing: what it does to them is what
its initialisation was, so a model that copies every image of its dataset can score far from 0.
`identity_error_span` leaves them out.
"""

from torch import Tensor

from bench.evaluation.neighbors import as_float64

from . import metric


@metric(
    title="Distance of W₂ W₁ from the identity",
    symbol="Identity error",
    unit="relative to the identity",
    better="lower",
    counts="linear_map",
    reference="Baldi & Hornik, Neural Networks and Principal Component Analysis: Learning from Examples "
    "Without Local Minima, Neural Networks 1989, https://doi.org/10.1016/0893-6080(89)90014-2",
    cite="baldi1989neural",
)
def identity_error(linear_map: Tensor) -> float:
    squares = minus_identity(linear_map).square()
    return (squares.sum() / len(linear_map)).sqrt().item()


def minus_identity(linear_map: Tensor) -> Tensor:
    """M − I in float64, (P, P)."""
    difference = as_float64(linear_map).clone()
    difference.diagonal().sub_(1)
    return difference
