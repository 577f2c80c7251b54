"""Transposed convolutions of kernel 4, stride 2 and padding 1 in terms of ordinary ones.

    y[2i + a] = Σ_d x[i + a − 1 + d] w[3 − a − 2d]        a, d ∈ {0, 1}, in each direction

so each of the four phases (a, b) of the output is a 2×2 convolution of the input, and all four are one convolution with
four times the channels. oneDNN computes a transposed convolution as the gradient of an ordinary one, in blocks of 16
output channels: for the one or three of a decoder's last layer it was measured to do 7 GFLOP/s, and the four phases
to take a fifth of its time. The gradients are those of an ordinary convolution with input and output exchanged. With
many channels nothing is gained in float32, and such layers stay as they are; for bfloat16 see `convolution`.

Letters:  B batch · I, O channels in, out · H, W height and width in
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .timing import ratio

FEW = 4  #: output channels of a layer, at most
SHAPE: dict[str, Any] = {"kernel_size": (4, 4), "stride": (2, 2), "padding": (1, 1), "dilation": (1, 1), "groups": 1}
BATCH, CHANNELS, SIZE = 128, 32, 14  #: the layer that is measured: the last of the usual net on MNIST


def forward_of(layer: nn.Module, kernels: Mapping[str, str]) -> Callable[[Tensor], Tensor] | None:
    """What takes the place of a layer's `forward`; None where it stays."""
    if fits(layer) and is_narrow(layer) and kernels["transposed"] == "phases":
        return partial(_transposed, layer)
    return None


def fits(layer: nn.Module) -> bool:
    """Whether a layer is a transposed convolution of the shape that is meant here."""
    return type(layer) is nn.ConvTranspose2d and all(getattr(layer, name) == value for name, value in SHAPE.items())


def is_narrow(layer: nn.Module) -> bool:
    """Whether it is one with so few output channels that the phases are faster."""
    return isinstance(layer, nn.ConvTranspose2d) and layer.out_channels <= FEW


def measured_ratio(rounds: int = 10) -> float:
    """How many times faster the phases are for one layer, forward and backward, on one thread."""
    shapes = (BATCH, CHANNELS, SIZE, SIZE), (CHANNELS, 1, 4, 4), (1,)
    x, weight, bias = layer = tuple(torch.zeros(shape, requires_grad=True) for shape in shapes)
    grad = torch.zeros(BATCH, 1, 2 * SIZE, 2 * SIZE)

    def plain() -> None:
        torch.autograd.grad(F.conv_transpose2d(x, weight, bias, 2, 1), layer, grad)

    def fast() -> None:
        torch.autograd.grad(Transposed.apply(*layer, (0, 0)), layer, grad)

    return ratio(plain, fast, rounds)


def _transposed(layer: Any, x: Tensor) -> Tensor:
    x, weight, bias = cast(layer, x)
    return apply(layer, x, weight, bias)


def precision_of(layer: Any, x: Tensor) -> torch.dtype | None:
    """What a layer multiplies in on the CPU; None where PyTorch has its own way, or should complain."""
    half = torch.is_autocast_enabled("cpu")
    if not x.is_cpu or torch._C._are_functorch_transforms_active() or not (half or layer.weight.dtype == x.dtype):
        return None
    return torch.get_autocast_dtype("cpu") if half else x.dtype


def cast(layer: Any, x: Tensor) -> tuple[Tensor, Tensor, Tensor | None]:
    """What a layer multiplies, in autocast's precision: done here, where a gradient's gradient still sees it."""
    if not torch.is_autocast_enabled("cpu"):
        return x, layer.weight, layer.bias
    dtype = torch.get_autocast_dtype("cpu")
    return x.to(dtype), layer.weight.to(dtype), None if layer.bias is None else layer.bias.to(dtype)


def apply(layer: Any, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """The layer's value, by `Transposed` wherever that may be."""
    odd = (int(layer.output_padding[0]), int(layer.output_padding[1]))
    known = x.dtype in (torch.float32, torch.bfloat16)
    if x.ndim != 4 or not known or torch._C._are_functorch_transforms_active():
        return F.conv_transpose2d(x, weight, bias, 2, 1, odd)
    return Transposed.apply(x, weight, bias, odd)


class Transposed(torch.autograd.Function):
    """x (B, I, H, W), weight (I, O, 4, 4), bias (O,) → (B, O, 2H + odd₀, 2W + odd₁), all of one dtype."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None, odd: tuple[int, int]) -> Tensor:
        ctx.save_for_backward(x, weight)
        if weight.shape[1] <= FEW:
            return phases(x, weight, bias, odd)
        return F.conv_transpose2d(x, weight, bias, 2, 1, odd)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, Tensor | None, Tensor | None, None]:
        """Of operations that can be differentiated again."""
        (grad,), (x, weight) = grads, ctx.saved_tensors
        needs_x, needs_weight, needs_bias, _ = ctx.needs_input_grad
        return (
            F.conv2d(grad, weight, stride=2, padding=1) if needs_x else None,
            weight_gradient(x, grad, weight) if needs_weight else None,
            grad.sum((0, 2, 3)) if needs_bias else None,
            None,
        )


def weight_gradient(x: Tensor, grad: Tensor, weight: Tensor) -> Tensor:
    """That of the ordinary convolution which takes a `grad` to an `x`."""
    return torch.ops.aten.convolution_backward(
        x, grad, weight, None, [2, 2], [1, 1], [1, 1], False, [0, 0], 1, [False, True, False]
    )[1]


def phases(x: Tensor, weight: Tensor, bias: Tensor | None, odd: tuple[int, int]) -> Tensor:
    """The transposed convolution as one 2×2 convolution whose channels are dealt out to even and odd rows and columns.

    x (B, I, H, W), weight (I, O, 4, 4), bias (O,) → (B, O, 2H + odd₀, 2W + odd₁).
    """
    inputs, outputs = weight.shape[:2]
    small = weight.flip(2, 3).reshape(inputs, outputs, 2, 2, 2, 2).permute(3, 5, 1, 0, 2, 4)  # (a, b, O, I, 2, 2)
    parts = F.conv2d(x, small.reshape(4 * outputs, inputs, 2, 2), None if bias is None else bias.repeat(4), padding=1)
    batch, _, tall, wide = parts.shape  # H + 1, W + 1
    parts = parts.reshape(batch, 2, 2, outputs, tall, wide)
    out = x.new_empty(batch, outputs, 2 * (tall - 1) + odd[0], 2 * (wide - 1) + odd[1])
    for a in (0, 1):
        for b in (0, 1):
            phase = out[:, :, a::2, b::2]
            phase.copy_(parts[:, a, b, :, a : a + phase.shape[2], b : b + phase.shape[3]])
    return out
