"""Convolutions in bfloat16 with channels last.

Under autocast, oneDNN was measured to compute bfloat16 convolutions faster when the channels of a pixel lie side by
side (467 against 378 GFLOP/s forward), and a layer whose weights lie so gives its output so: nothing is turned round
between layers. Transposed convolutions take the gradients of ordinary ones (`transposed`). In float32 this was measured
to gain nothing.
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from . import transposed
from .timing import ratio

BATCH, WIDE, NARROW, SIZE = 128, 64, 32, 7  #: the layers that are measured: the inner ones of the usual net on MNIST


def forward_of(layer: nn.Module, kernels: Mapping[str, str]) -> Callable[[Tensor], Tensor] | None:
    """What takes the place of a layer's `forward`; None where it stays."""
    if kernels["bf16_convolution"] != "channels_last":
        return None
    if transposed.is_narrow(layer) and kernels["transposed"] != "phases":
        return None
    if transposed.fits(layer):
        in_other_precisions = transposed.forward_of(layer, kernels) or partial(type(layer).forward, layer)
        return partial(_transposed, layer, in_other_precisions)
    return partial(_ordinary, layer) if type(layer) is nn.Conv2d and layer.groups == 1 else None


def measured_ratio(rounds: int = 10) -> float:
    """How many times faster a convolution and a transposed one back are, forward and backward, on one thread."""
    shape, dtype = (WIDE, NARROW, 4, 4), torch.bfloat16
    down, up = (torch.zeros(shape, dtype=dtype, requires_grad=True) for _ in range(2))
    narrow, wide = (torch.zeros(n, dtype=dtype, requires_grad=True) for n in (NARROW, WIDE))
    x = torch.zeros(BATCH, NARROW, 2 * SIZE, 2 * SIZE, dtype=dtype, requires_grad=True)
    inputs = (x, down, wide, up, narrow)

    def plain() -> None:
        code = F.conv2d(x, down, wide, 2, 1)
        torch.autograd.grad(F.conv_transpose2d(code, up, narrow, 2, 1), inputs, x.detach())

    images = _last(x.detach()).requires_grad_()  # as the layer before leaves them

    def fast() -> None:
        code = F.conv2d(images, _last(down), wide, 2, 1)
        out = transposed.Transposed.apply(code, _last(up), narrow, (0, 0))
        torch.autograd.grad(out, (images, *inputs[1:]), images.detach())

    return ratio(plain, fast, rounds)


def _ordinary(layer: Any, x: Tensor) -> Tensor:
    if not _is_meant(x):
        return layer._conv_forward(x, layer.weight, layer.bias)
    x, weight, bias = transposed.cast(layer, x)
    return layer._conv_forward(x, _last(weight), bias)


def _transposed(layer: Any, in_other_precisions: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    if not _is_meant(x):
        return in_other_precisions(x)
    x, weight, bias = transposed.cast(layer, x)
    return transposed.apply(layer, x, _last(weight), bias)


def _is_meant(x: Tensor) -> bool:
    half = torch.is_autocast_enabled("cpu") and torch.get_autocast_dtype("cpu") == torch.bfloat16
    return half and x.ndim == 4 and not torch._C._are_functorch_transforms_active()


def _last(values: Tensor) -> Tensor:
    """With strides that say so also where there is one channel, and `contiguous` would find nothing to do."""
    return values.to(memory_format=torch.channels_last)
