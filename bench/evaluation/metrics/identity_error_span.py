"""How far a linear model is from the identity on the pixels that vary in the train images.

    error = ‖(M − I) P‖_F / ‖P‖_F

M = `linear_map` (P, P) takes an image to its reconstruction; the projector P keeps the pixels that differ
between any two images trained on, `varying_pixels` (P,). What M makes of those pixels counts wherever it
lands, on the others too. 0 for a perfect copy. Images span less than these pixels do: directions that hardly
occur may still be lost.
"""

from torch import Tensor

from bench.errors import NotApplicable

from . import metric
from .identity_error import minus_identity


@metric(
    title="Distance of W₂ W₁ from the identity on varying pixels",
    symbol="Identity error, varying pixels",
    unit="relative to the identity",
    better="lower",
    counts="linear_map",
    reference="Baldi & Hornik, Neural Networks and Principal Component Analysis: Learning from Examples "
    "Without Local Minima, Neural Networks 1989, https://doi.org/10.1016/0893-6080(89)90014-2",
    cite="baldi1989neural",
)
def identity_error_span(linear_map: Tensor, varying_pixels: Tensor) -> float:
    if not bool(varying_pixels.any()):
        raise NotApplicable("no pixel varies in the train images")
    columns = minus_identity(linear_map).square().sum(0)  # (P,)
    squares = columns[varying_pixels.to(columns.device)]
    return squares.mean().sqrt().item()
