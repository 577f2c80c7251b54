"""PyTorch operators of our own: a captured step can name them, and call what computes them without a dispatcher.

PyTorch takes 3 µs to find a function that is written in Python, and what a small net's step is made of takes not much
more.
"""

from collections.abc import Callable
from typing import Any

import torch

_library = torch.library.Library("bench", "FRAGMENT")
_functions: dict[str, Callable[..., Any]] = {}


def define(schema: str, function: Callable[..., Any], key: str = "CPU") -> None:
    """Make `function` the operator `torch.ops.bench.<name>`, for tensors of the dispatch key."""
    name = _library.define(schema)
    _library.impl(name, function, key)
    _functions[f"bench::{name}"] = function


def function_of(operator: torch._ops.OpOverload) -> Callable[..., Any] | None:
    """What computes one of ours, for whoever needs no gradient of it; None for PyTorch's."""
    return _functions.get(operator.name())
