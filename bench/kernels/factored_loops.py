"""Adam of a weight whose gradient is given by its factors: they are multiplied, and each tile of it is used at once.

The gradient of a linear layer's weight is a sum of outer products over images. Adam waits for memory and a matrix
product does not: while one tile of the product is summed in registers, the parameters of the tile before are updated,
and those of the next are asked for. The gradient itself is never written down.

Letters:  B images · R rows of the weight (outputs) · C columns (inputs), a multiple of LANES
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic, register_jitable

from .llvm import FLOATS, INT, LANES, Code, Value, are_pairs, compiled, opened
from .tiles import ROWS, VECTORS, WIDE, add_outer, pack_columns
from .vectors import Numbers, updated

Array = np.ndarray  # flat; float32, or bfloat16 as uint16; in words float32, or uint32 of two bfloat16

PARTS = ROWS * VECTORS  #: vectors of a tile: its sums are made in as many parts, and each part updates one of them


@compiled
def adam_of_product(
    p: Array, mean: Array, square: Array, half: Any, left: Array, right: Array, images: int, words: Array,
    lerp: float, beta2: float, rest2: float, rate: float, root: float, eps: float,
) -> None:  # fmt: skip
    """As `vectors.adam` with the gradient leftᵀ right; p (R, C), left (B, R), right (B, C).

    words: an array of the words that are multiplied, whatever is in it.
    """
    rows, columns = len(left) // images, len(right) // images
    per = words.itemsize // left.itemsize
    part = -(-images // (per * PARTS))
    turns, across = part * PARTS, -(-columns // WIDE)
    lefts = np.zeros(-(-rows // LANES) * turns * LANES, words.dtype)
    rights = np.zeros(across * turns * WIDE, words.dtype)
    pack(left, images, rows, per, LANES, turns, lefts)
    pack(right, images, columns, per, WIDE, turns, rights)
    sums, tiles, row_before, column_before = np.zeros(PARTS * LANES, np.float32), -(-rows // ROWS) * across, rows, 0
    for tile in range(tiles + 1):  # in the last turn only the tile before counts
        row, column = tile % tiles // across * ROWS, tile % across * WIDE
        after = (tile + 1) // across * ROWS * columns + (tile + 1) % across * WIDE
        _tile(
            sums, lefts, row // LANES * turns * LANES + row % LANES, rights, column * turns, part, p, mean, square,
            half, columns, after, row_before * columns + column_before, rows - row_before, columns - column_before,
            lerp, beta2, rest2, rate, root, eps,
        )  # fmt: skip
        row_before, column_before = row, column


@register_jitable
def pack(x: Array, images: int, columns: int, per: int, width: int, turns: int, out: Array) -> None:
    """x (B, columns) → out (blocks, turns, width), words of `per` images; zeros after the last image and column."""
    whole, few = images // per, np.zeros(per * LANES, x.dtype)
    for first in range(0, columns, LANES):
        start, count = first // width * turns * width + first % width, min(LANES, columns - first)
        together = whole if count == LANES else 0  # words that need no care
        if together:
            pack_columns(x, first, columns, together, out, start, width)
        for word in range(together, -(-images // per)):
            few[:] = 0
            for n in range(word * per, min(images, word * per + per)):
                to = n % per * LANES
                few[to : to + count] = x[n * columns + first : n * columns + first + count]
            pack_columns(few, 0, LANES, 1, out, start + word * width, width)


@intrinsic
def _tile(typing: Any, sums: Any, left: Any, top: Any, right: Any, start: Any, part: Any, p: Any, mean: Any,
          square: Any, half: Any, columns: Any, after: Any, before: Any, rows_left: Any, columns_left: Any, lerp: Any,
          beta2: Any, rest2: Any, rate: Any, root: Any, eps: Any) -> Any:  # fmt: skip
    """A tile's sums take the place of those in `sums`, with which the parameters from `before` on are updated.

    The tile before has that many rows and columns left to the end of the weight. `after` is where the next one begins.
    """
    number, at = types.float32, types.intp
    signature = types.void(sums, left, at, right, at, at, p, mean, square, half, *[at] * 5, *[number] * 6)

    def generate(context: Any, builder: Any, sig: Any, arguments: Any) -> Any:
        code = Code(builder)
        given = opened(context, builder, sig, arguments)
        sums, left, top, right, start, part, p, mean, square, half = given[:10]
        columns, after, before, rows_left, columns_left = given[10:15]
        numbers = Numbers(*map(code.everywhere, given[15:]))
        left, right, pairs = code.at(left, top), code.at(right, start), are_pairs(sig.args[1])
        known = [p, mean, square]
        copies = [half] if isinstance(sig.args[9], types.Array) else []
        found: Sequence[Value] = [ir.Constant(FLOATS, [0.0] * LANES)] * PARTS

        for n in range(PARTS):
            row, column = n // VECTORS, n % VECTORS * LANES
            place = builder.add(builder.mul(INT(row), columns), INT(column))
            for array in known + (copies if column == 0 else []):
                code.ask_for(code.at(array, builder.add(after, place)), write=True)
            found = code.repeat(part, found, _outer(code, pairs, left, right, builder.mul(part, INT(n))))
            inside = builder.and_(
                builder.icmp_signed("<", INT(row), rows_left), builder.icmp_signed("<", INT(column), columns_left)
            )
            with builder.if_then(inside):
                target, grad = builder.add(before, place), code.vector(code.at(sums, INT(n * LANES)), FLOATS)
                own = [code.at(array, target) for array in known]
                values = updated(code, [code.vector(one, FLOATS) for one in own], grad, numbers)
                for value, one in zip(values, own, strict=True):
                    code.store(value, one)
                for copy in copies:
                    code.store(values[0], code.at(copy, target), True)
        for n, value in enumerate(found):
            code.store(value, code.at(sums, INT(n * LANES)))
        return context.get_dummy_value()

    return signature, generate


def _outer(code: Code, pairs: bool, left: Value, right: Value, first: Value) -> Any:
    """The body of a loop over words, from the first on, that adds their outer products to a tile's sums."""

    def turn(t: Value, sums: Sequence[Value]) -> Sequence[Value]:
        t = code.builder.add(first, t)
        row, line = (code.at(x, code.builder.mul(t, INT(width))) for x, width in ((left, LANES), (right, WIDE)))
        return add_outer(code, pairs, sums, [code.value(row, INT(i)) for i in range(ROWS)], line)

    return turn
