"""Tensors, and tuples of such: what a step is given, its noise above all."""

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor


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
