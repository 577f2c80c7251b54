"""Rows of uint8 as float32 in [0, 1], 16 numbers at a time, at places that come from a list."""

from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from .llvm import BYTES, FLOATS, INT, LANES, LINE, WORDS, Code, Value, compiled, opened

Array = np.ndarray  # flat

AHEAD = 4  #: rows before one is read, it is asked for


@compiled
def widened(images: Array, index: Array, out: Array) -> None:
    """Of images (N, P) those at `index` (B,), divided by 255 → out (B, P)."""
    pixels = len(out) // len(index)
    count, whole = len(images) // pixels, pixels // LANES * LANES
    for row in index:
        if not 0 <= row < count:
            raise IndexError("there is no image of that number")
    for n in range(len(index)):
        start, ahead = index[n] * pixels, index[min(n + AHEAD, len(index) - 1)] * pixels
        if whole:
            _widened(images, start, ahead, whole, out, n * pixels)
        for p in range(whole, pixels):
            out[n * pixels + p] = np.float32(images[start + p]) / np.float32(255)


@intrinsic
def _widened(typing: Any, images: Any, start: Any, ahead: Any, count: Any, out: Any, to: Any) -> Any:
    """Of `count` pixels, a multiple of LANES; as many from `ahead` on will soon be read."""

    def generate(context: Any, builder: Any, sig: Any, arguments: Any) -> Any:
        code = Code(builder)
        images, start, ahead, count, out, to = opened(context, builder, sig, arguments)
        ahead, images, out = code.at(images, ahead), code.at(images, start), code.at(out, to)

        def line(i: Value, _: Any) -> Any:
            code.ask_for(code.at(ahead, builder.mul(i, INT(LINE))), write=False)
            return []

        def part(i: Value, _: Any) -> Any:
            place = builder.mul(i, INT(LANES))
            words = builder.zext(code.vector(code.at(images, place), BYTES), WORDS)
            code.store(_of_255(code, builder.uitofp(words, FLOATS)), code.at(out, place))
            return []

        code.repeat(builder.udiv(builder.add(count, INT(LINE - 1)), INT(LINE)), [], line)
        code.repeat(builder.udiv(count, INT(LANES)), [], part)
        return context.get_dummy_value()

    at = types.intp
    return types.void(images, at, at, at, out, at), generate


def _of_255(code: Code, x: Value) -> Value:
    """x / 255 as division rounds it, for x = 0, 1, … 255, which takes ten times as long."""
    most, share = (ir.Constant(FLOATS, [float(np.float32(v))] * LANES) for v in (255, 1 / 255))
    near = code.builder.fmul(x, share)
    rest = code.multiply_add(code.builder.fneg(near), most, x)  # without an error
    return code.multiply_add(rest, share, near)
