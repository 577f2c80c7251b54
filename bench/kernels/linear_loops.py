"""Linear layers as tiles in registers (`tiles`): a layer's weight is packed a block of columns at a time.

While a block is multiplied, the rows of the weight that the next one is packed from are asked for: a weight is read
once a step, and the caches have forgotten it by the next.

Letters:  B images · I inputs · O outputs; blocks of WIDE columns, of which the last may begin within the one before
"""

import numpy as np
from numba.extending import register_jitable

from .llvm import LANES, LINE, compiled
from .tiles import FEW, PIXELS, WIDE, few_products, pack_columns, products, transpose

Array = np.ndarray  # flat; float32, or bfloat16 as uint16; in words float32, or uint32 of two bfloat16

RUN = 8  #: words of a sum between which memory is asked for; they must divide the words that are summed


@compiled
def forward(x: Array, weight: Array, bias: Array, least: float, gate: Array, images: int, out: Array) -> None:
    """x (B, I) and weight (O, I) in words, I at least LANES of them, bias (O,) → out (B, O), O ≥ WIDE."""
    inputs, outputs = len(x) // images, len(out) // images
    block, taps = np.empty(inputs * WIDE, weight.dtype), inputs // RUN
    offsets, to = _places(images, inputs, outputs)
    for number in range(-(-outputs // WIDE)):
        first = min(number * WIDE, outputs - WIDE)
        turn_rows(weight, first, inputs, block, WIDE)
        ask, pitch = (first + WIDE) * inputs, 2 * LINE // weight.itemsize
        for p in range(0, images, PIXELS):
            _tile(
                out, to, first, bias[first:], least, gate, 0, x, offsets, p, images, taps, block, weight,
                ask + p // PIXELS * taps * pitch, pitch,
            )  # fmt: skip


@compiled
def by_input(grad: Array, weight: Array, bias: Array, gate: Array, images: int, inputs: int, out: Array) -> None:
    """grad (B, O) in words, weight (O, I), nothing as `bias` (I,) → out (B, I), I ≥ WIDE; zeros where `gate` ≤ 0."""
    gated = int(len(gate) == len(out))
    outputs = len(grad) // images  # in words
    block, taps = np.empty(outputs * WIDE, grad.dtype), outputs // RUN
    offsets, to = _places(images, outputs, inputs)
    for number in range(-(-inputs // WIDE)):
        first = min(number * WIDE, inputs - WIDE)
        for i in range(0, WIDE, LANES):
            pack_columns(weight, first + i, inputs, outputs, block, i, WIDE)
        for p in range(0, images, PIXELS):
            _tile(
                out, to, first, bias, np.float32(-np.inf), gate, gated, grad, offsets, p, images, taps, block, weight,
                p // PIXELS * taps * inputs + first + WIDE, inputs,
            )  # fmt: skip


@register_jitable
def turn_rows(weight: Array, first: int, inputs: int, block: Array, width: int) -> None:
    """`width` rows of a weight (O, I), in words, from the first-th on → (I, width); LANES of them at a time."""
    for i in range(0, inputs, LANES):
        column = min(i, inputs - LANES)
        for o in range(0, width, LANES):
            transpose(block, column * width + o, width, weight, (first + o) * inputs + column, inputs)


@register_jitable
def _tile(
    out: Array, to: Array, first: int, bias: Array, least: float, gate: Array, gated: int, x: Array, offsets: Array,
    p: int, images: int, taps: int, block: Array, weight: Array, ask: int, pitch: int,
) -> None:  # fmt: skip
    """Of the images from the p-th on, as many as a tile has rows, or the few that are left."""
    if images - p > FEW:
        products(
            out, to, first, bias, least, gate, gated, x, offsets, p, RUN, taps, RUN, block, 0, RUN * WIDE, weight,
            ask, pitch,
        )  # fmt: skip
    else:
        few_products(
            out, to, first, bias, least, gate, gated, x, offsets, p, RUN, taps, RUN, block, 0, RUN * WIDE, weight,
            ask, pitch,
        )  # fmt: skip


@register_jitable
def _places(images: int, words: int, columns: int) -> tuple[Array, Array]:
    """Where the rows of what is multiplied and of the result begin; after the last comes the last again."""
    rows = np.minimum(np.arange(images + PIXELS), images - 1)
    return rows * words, rows * columns
