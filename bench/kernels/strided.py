"""Convolutions of kernel 4, stride 2 and padding 1, ordinary and transposed, as tiles in registers (`strided_loops`).

oneDNN was measured to compute the gradients of such layers at 40 to 65 % of what a matrix product reaches on one core,
and these at 85 % (docs/speed.md). All three operations are PyTorch operators, so that a captured step can name them,
and can be differentiated any number of times.

Letters:  B batch · C, H, W channels, height and width of the larger images · O, h, w of the smaller
"""

from collections.abc import Callable, Mapping
from functools import cache, partial
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from . import convolution, operators, transposed
from .timing import ratio
from .views import flat, words

WIDE = 32  #: `tiles.WIDE`, which takes numba to import: channels of a result come in such blocks
LANES, ROWS = 16, 8  #: `llvm.LANES`, `tiles.ROWS`
BATCH, CHANNELS, OUTPUTS, SIZE = 128, 32, 64, 14  #: the layer that is measured: the second of the usual net on MNIST
QUESTIONS = {torch.float32: "strided", torch.bfloat16: "bf16_strided"}


def forward_of(layer: nn.Module, kernels: Mapping[str, str]) -> Callable[[Tensor], Tensor] | None:
    """What takes the place of a layer's `forward`; None where it stays."""
    ours = tuple(dtype for dtype, question in QUESTIONS.items() if kernels[question] == "tiles")
    if not ours or torch.get_num_threads() > 1 or not fits(layer):
        return None
    others = convolution.forward_of(layer, kernels) or transposed.forward_of(layer, kernels)
    return partial(_forward, layer, ours, others or partial(type(layer).forward, layer))


def fits(layer: nn.Module) -> bool:
    """Whether a layer is of the shape that is meant here."""
    if type(layer) is nn.Conv2d:
        shaped = all(getattr(layer, name) == value for name, value in transposed.SHAPE.items())
        return shaped and layer.padding_mode == "zeros" and layer.out_channels % WIDE == 0
    return isinstance(layer, nn.ConvTranspose2d) and transposed.fits(layer) and layer.in_channels % WIDE == 0


def measured_ratio(dtype: torch.dtype, rounds: int = 10) -> float:
    """How many times faster the three operations are on one thread than what is used else; 0 where they cannot be."""
    from .llvm import has_pairs  # brings numba, which takes a second

    if dtype == torch.bfloat16 and not has_pairs():
        return 0.0
    layout = torch.channels_last if dtype == torch.bfloat16 else torch.contiguous_format
    x, y = torch.zeros(BATCH, CHANNELS, SIZE, SIZE), torch.zeros(BATCH, OUTPUTS, SIZE // 2, SIZE // 2)
    weight = torch.zeros(OUTPUTS, CHANNELS, 4, 4, dtype=dtype)
    usual = [t.to(dtype, memory_format=layout) for t in (x, y, weight)]
    x, y = (t.to(dtype, memory_format=torch.channels_last) for t in (x, y))

    _turned(up(y, weight[:, :1], None, (SIZE, SIZE)))  # compiled here, and not in somebody's training
    _turned(y)

    def plain() -> None:
        x, y, weight = usual
        F.conv2d(x, weight, stride=2, padding=1)
        F.conv_transpose2d(y, weight, stride=2, padding=1)
        transposed.weight_gradient(y, x, weight)

    def fast() -> None:
        down(x, weight, None)
        up(y, weight, None, (SIZE, SIZE))
        weight_of(x, y)

    return ratio(plain, fast, rounds)


def _forward(
    layer: Any, ours: tuple[torch.dtype, ...], otherwise: Callable[[Tensor], Tensor], x: Tensor
) -> Tensor:
    meant = x.ndim == 4 and x.shape[1] == layer.in_channels and min(x.shape[2:]) >= 2
    if not meant or transposed.precision_of(layer, x) not in ours:
        return otherwise(x)
    x, weight, bias = transposed.cast(layer, x)
    if isinstance(layer, nn.Conv2d):
        return Down.apply(x, weight, bias)
    odd = layer.output_padding
    return Up.apply(x, weight, bias, (2 * x.shape[2] + odd[0], 2 * x.shape[3] + odd[1]))


# -- the three operations, each the gradient of the others


class Down(torch.autograd.Function):
    """The ordinary convolution: x (B, C, H, W), weight (O, C, 4, 4), bias (O,) → (B, O, h, w)."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        ctx.save_for_backward(x, weight)
        return down(x, weight, bias)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
        (grad,), (x, weight) = grads, ctx.saved_tensors
        needs_x, needs_weight, needs_bias = ctx.needs_input_grad
        return (
            Up.apply(grad, weight, None, tuple(x.shape[2:])) if needs_x else None,
            Weight.apply(x, grad) if needs_weight else None,
            grad.sum((0, 2, 3)) if needs_bias else None,
        )


class Up(torch.autograd.Function):
    """The transposed one: y (B, O, h, w), weight (O, C, 4, 4), bias (C,), (H, W) → (B, C, H, W)."""

    @staticmethod
    def forward(ctx: Any, y: Tensor, weight: Tensor, bias: Tensor | None, size: tuple[int, int]) -> Tensor:
        ctx.save_for_backward(y, weight)
        return up(y, weight, bias, size)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, Tensor | None, Tensor | None, None]:
        (grad,), (y, weight) = grads, ctx.saved_tensors
        needs_y, needs_weight, needs_bias, _ = ctx.needs_input_grad
        return (
            Down.apply(grad, weight, None) if needs_y else None,
            Weight.apply(grad, y) if needs_weight else None,
            grad.sum((0, 2, 3)) if needs_bias else None,
            None,
        )


class Weight(torch.autograd.Function):
    """The gradient of a weight: x (B, C, H, W), y (B, O, h, w) → (O, C, 4, 4)."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, y: Tensor) -> Tensor:
        ctx.save_for_backward(x, y)
        return weight_of(x, y)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, Tensor | None]:
        (grad,), (x, y) = grads, ctx.saved_tensors
        needs_x, needs_y = ctx.needs_input_grad
        return (
            Up.apply(y, grad, None, tuple(x.shape[2:])) if needs_x else None,
            Down.apply(x, grad, None) if needs_y else None,
        )


def down(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    return torch.ops.bench.strided_down(x, weight, bias)


def up(y: Tensor, weight: Tensor, bias: Tensor | None, size: tuple[int, int]) -> Tensor:
    return torch.ops.bench.strided_up(y, weight, bias, size)


def weight_of(x: Tensor, y: Tensor) -> Tensor:
    return torch.ops.bench.strided_weight(x, y)


# -- as operators: what the loops need, of tensors


def _down(x: Tensor, weight: Tensor, bias: Tensor | None, relu: bool = False, gate: Tensor | None = None) -> Tensor:
    (batch, c, tall, wide), o = x.shape, len(weight)
    h, w, per = tall // 2, wide // 2, 4 // x.element_size()
    pixels, padding = _rows(x), 1
    if c % per:  # a pixel of padding is no whole word
        pixels, padding = _framed(pixels, h, w), 0
    blocks = weight.reshape(o // WIDE, WIDE, c, 4, 4).permute(0, 3, 4, 2, 1).reshape(o // WIDE, 16 * c, WIDE)
    out = torch.empty((batch, h, w, o), dtype=x.dtype)
    _loops().down(
        words(pixels), batch, *pixels.shape[1:3], padding, c, per, words(_paired(blocks)), _bias(bias, o),
        _least(relu), _gate(gate, x.dtype), h, w, o, flat(out),
    )  # fmt: skip
    return out.permute(0, 3, 1, 2)


def _up(
    y: Tensor, weight: Tensor, bias: Tensor | None, size: list[int], relu: bool = False, gate: Tensor | None = None
) -> Tensor:
    (batch, o, h, w), c, (tall, wide) = y.shape, weight.shape[1], size
    out, pixels = torch.empty((batch, tall, wide, c), dtype=y.dtype), words(_rows(y))
    if c % WIDE:
        taps = words(_paired(weight.permute(0, 2, 3, 1).reshape(o, 16 * c)))
        o = len(taps) // (16 * c)
        _loops().up_to_few(pixels, batch, h, w, o, taps, _bias(bias, c), c, tall, wide, flat(out))
        images = out.permute(0, 3, 1, 2)
        images = images.relu_() if relu else images
        return images if gate is None else torch.where(gate <= 0, 0, images)
    phases = weight.flip(2, 3).reshape(o, c, 2, 2, 2, 2).permute(3, 5, 2, 4, 0, 1)  # (a, b, d, e, O, C)
    blocks = phases.reshape(2, 2, 4 * o, c // WIDE, WIDE).permute(0, 1, 3, 2, 4)
    _loops().up(
        pixels, batch, h, w, o, 4 // y.element_size(), words(_paired(blocks)), _bias(bias, c), _least(relu),
        _gate(gate, y.dtype), tall, wide, c, flat(out),
    )  # fmt: skip
    return out.permute(0, 3, 1, 2)


def _weight(x: Tensor, y: Tensor) -> Tensor:
    (batch, c, *_), (o, h, w) = x.shape, y.shape[1:]
    pixels, padding = _rows(x), 1
    if c % ROWS:  # taps in different rows or columns share a tile, and meet different pixels
        pixels, padding = _framed(pixels, h, w), 0
    out = torch.zeros(4, 4, c, o)
    loop = _loops().weight if x.dtype == torch.float32 else _loops().weight_of_pairs
    loop(flat(pixels), flat(_rows(y)), batch, *pixels.shape[1:3], padding, c, h, w, o, flat(out))
    return out.permute(3, 2, 0, 1).to(x.dtype, memory_format=torch.contiguous_format)


def _framed(pixels: Tensor, h: int, w: int) -> Tensor:
    """(B, H, W, C) → (B, 2h + 2, 2w + 2, C), with the padding."""
    framed = torch.empty((len(pixels), 2 * h + 2, 2 * w + 2, pixels.shape[3]), dtype=pixels.dtype)
    _loops().frame(flat(pixels), *pixels.shape, *framed.shape[1:3], flat(framed))
    return framed


@cache
def _loops() -> Any:
    from . import strided_loops  # brings numba

    return strided_loops


def _turned(images: Tensor) -> Tensor:
    """Images (B, C, H, W) that lie channel by channel, pixel by pixel instead, or the other way round."""
    batch, c, tall, wide = images.shape
    to_pixels = images.is_contiguous()
    rows, columns = (c, tall * wide) if to_pixels else (tall * wide, c)
    if min(rows, columns) < LANES or not images.is_cpu:
        return images.contiguous(memory_format=torch.channels_last if to_pixels else torch.contiguous_format)
    lies = images if to_pixels else images.permute(0, 2, 3, 1)
    out = torch.empty((batch, tall, wide, c) if to_pixels else (batch, c, tall, wide), dtype=images.dtype)
    _loops().turn(flat(lies), batch, rows, columns, flat(out))
    return out.permute(0, 3, 1, 2) if to_pixels else out


def _rows(images: Tensor) -> Tensor:
    """(B, C, H, W) → (B, H, W, C), contiguous."""
    images = images.detach()
    pixels = images.permute(0, 2, 3, 1)
    if not pixels.is_contiguous() and images.is_contiguous():
        pixels = _turned(images).permute(0, 2, 3, 1)
    return pixels.contiguous()


def _paired(blocks: Tensor) -> Tensor:
    """(..., run, WIDE): in bfloat16 two rows of the run make one of words."""
    if blocks.dtype == torch.bfloat16:
        blocks = blocks.unflatten(-2, (-1, 2)).transpose(-1, -2)
    return blocks.detach().contiguous()


def _bias(bias: Tensor | None, channels: int) -> np.ndarray:
    return np.zeros(channels, np.float32) if bias is None else bias.detach().float().contiguous().numpy()


def _gate(gate: Tensor | None, dtype: torch.dtype) -> np.ndarray:
    return flat(torch.ones(WIDE, dtype=dtype) if gate is None else _rows(gate))


def _least(relu: bool) -> np.float32:
    return np.float32(0 if relu else -np.inf)


operators.define(
    "strided_down(Tensor x, Tensor weight, Tensor? bias, bool relu=False, Tensor? gate=None) -> Tensor",
    _down,
)
operators.define(
    "strided_up(Tensor y, Tensor weight, Tensor? bias, int[] size, bool relu=False, Tensor? gate=None) -> Tensor",
    _up,
)
operators.define("turned(Tensor images) -> Tensor", _turned, "CompositeExplicitAutograd")
operators.define("strided_weight(Tensor x, Tensor y) -> Tensor", _weight)
