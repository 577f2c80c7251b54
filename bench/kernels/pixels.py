"""A batch's images out of uint8 in memory, as float32 in [0, 1]: gathered, widened and divided in one walk.

PyTorch does that in three, each of which writes every pixel. The bits are the same.
"""

from collections.abc import Callable
from functools import cache
from typing import Any

import torch
from torch import Tensor

from .timing import ratio
from .views import flat

BATCH, PIXELS, IMAGES, BATCHES = 128, 784, 2**15, 20  #: what is measured: batches of more images than the caches hold


def gathered(images: Tensor, index: Tensor) -> Tensor:
    """Of images (N, ...) uint8 in one piece of memory those at `index` (B,) int64, over 255: (B, ...) float32.

    Raises `IndexError` for a number that no image has.
    """
    out = torch.empty((len(index), *images.shape[1:]))
    if out.numel():
        _loops().widened(images.view(-1).numpy(), index.contiguous().numpy(), flat(out))
    return out


def fits(images: Tensor) -> bool:
    """Whether such images, (N, ...), can be gathered so."""
    return images.is_cpu and images.dtype == torch.uint8 and images.is_contiguous() and torch.get_num_threads() == 1


def measured_ratio(rounds: int = 15) -> float:
    """How many times faster a few batches are on one thread than by PyTorch's three operations."""
    images, stream = torch.ones(IMAGES, PIXELS, dtype=torch.uint8), torch.Generator().manual_seed(0)
    batches = torch.randperm(IMAGES, generator=stream).split(BATCH)[:BATCHES]

    def all_of(gather: Callable[[Tensor, Tensor], Tensor]) -> None:
        for index in batches:
            gather(images, index)

    def plain(images: Tensor, index: Tensor) -> Tensor:
        return images.index_select(0, index).float().div_(255)

    return ratio(lambda: all_of(plain), lambda: all_of(gathered), rounds)


@cache
def _loops() -> Any:
    from . import pixels_loops  # brings numba

    return pixels_loops
