"""The noise of batches: drawn outside the loss, for each model from its own generator.

Noise is a tensor or a tuple of such, as a variant's `draw` returns it; its first axis is the images.
"""

from collections.abc import Callable, Iterator, Sequence
from itertools import accumulate
from typing import Any

import torch
from torch import Tensor

Draw = Callable[[Tensor, torch.Generator], Any]  #: noise for images that look like the first argument

AHEAD = 2**21  #: pixels of the images whose noise is drawn at once on a GPU, of each model


def steps_ahead(device: torch.device, pixels: int) -> int:
    """For how many batches of so many pixels noise is drawn at once: several on a GPU, where every draw is a launch.

    It does not depend on the number of models stacked, so a model's noise does not either.
    """
    return max(1, AHEAD // pixels) if device.type == "cuda" else 1


def draw_noise(
    draw: Draw, images: Tensor, batches: Sequence[Tensor], generators: list[torch.Generator], ahead: int
) -> Iterator[Any]:
    """The noise of each batch of such images, (S, B, ...), drawn for `ahead` batches at once and split up."""
    shape, anything = images.shape[1:], torch.zeros((), device=images.device)
    for first in range(0, len(batches), ahead):
        sizes = [index.shape[1] for index in batches[first : first + ahead]]
        drawn = stacked([draw(anything.expand(sum(sizes), *shape), g) for g in generators])
        if len(sizes) == 1:
            yield drawn
            continue
        for end, size in zip(accumulate(sizes), sizes, strict=True):
            yield mapped(lambda n, start=end - size, end=end: n[:, start:end], drawn)  # type: ignore[misc]


def leaves(nested: Any) -> Iterator[Tensor]:
    """The tensors, in order."""
    if isinstance(nested, Tensor):
        yield nested
    else:
        for part in nested:
            yield from leaves(part)


def mapped(function: Callable[[Tensor], Tensor], nested: Any) -> Any:
    """The same nesting with other leaves.

    >>> mapped(lambda n: n + 1, (torch.tensor(1), (torch.tensor(2),)))
    (tensor(2), (tensor(3),))
    """
    return function(nested) if isinstance(nested, Tensor) else tuple(mapped(function, part) for part in nested)


def stacked(parts: list[Any]) -> Any:
    """Several of one structure → that structure, with a new first axis in each tensor."""
    if isinstance(parts[0], Tensor):
        return torch.stack(parts) if len(parts) > 1 else parts[0].unsqueeze(0)
    return tuple(stacked(list(leaf)) for leaf in zip(*parts, strict=True))


def shapes(nested: Any) -> list[torch.Size]:
    """Of the tensors, in order."""
    return [leaf.shape for leaf in leaves(nested)]
