"""Numbers in the code per number in the image.

    ratio = D / P

D from `codes` (N, D), P = C · H · W from `images` (N, C, H, W). Below 1 the code is a bottleneck; at 1 and above a
model has room to copy its input, whatever it does with it. It counts numbers, not bits.
"""

from torch import Tensor

from . import metric


@metric(
    title="Numbers in the code per number in the image",
    symbol="Code ratio",
    unit="ratio",
    better="none",
    counts="codes",
    reference="textbook definition",
)
def code_ratio(codes: Tensor, images: Tensor) -> float:
    return codes.shape[1] / images[0].numel()
