"""Linear layers of inputs that are zero for the most part, as MNIST's pixels are: products with zeros are left out.

What is not zero is listed, and the rows of the other factor that it belongs to are summed in registers, in the same
order as in a dense tile (`tiles`), so that the bits are the same as long as that factor is finite: zero times infinity,
which is NaN, is left out too. A row is a run of vectors, whatever is skipped between two of them, so that the
instructions stay those of a dense product.

Letters:  B images · I inputs · O outputs. What is multiplied comes in words of four bytes, as in `tiles`
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic, register_jitable

from .factored_loops import pack
from .linear_loops import turn_rows
from .llvm import FLOATS, HALVES, INT, LANES, WORDS, Code, Value, are_pairs, compiled, is_half, opened
from .tiles import prefetch, transposed, zip_rows
from .vectors import Numbers, updated

Array = np.ndarray  # flat; float32, or bfloat16 as uint16; in words float32, or uint32 of two bfloat16

SUMS = 8  #: vectors that are summed at once: enough that none waits for the one before
WIDE, NARROW = SUMS * LANES, SUMS * LANES // 2  #: columns of a block forward, and of one by the weight
GROUP = 64  #: numbers that are looked at together; a row must have so many
TAPS = 2 * GROUP  #: words of a sum whose rows, WIDE each, stay in the caches while all images are multiplied with them
EVEN = 0x5555555555555555  #: every other bit


@compiled
def share(x: Array, together: int) -> float:
    """Of 1, how many runs of `together` numbers, 1 or 2, are not all zero; 2 only of an even number of them."""
    found, whole = 0, len(x) // GROUP * GROUP
    for start in range(0, whole, GROUP):
        marks = _marks(x, start)
        found += _how_many((marks | marks >> 1) & EVEN if together == 2 else marks)
    for start in range(whole, len(x), together):
        found += x[start] != 0 or x[start + together - 1] != 0
    return found * together / len(x)


# -- forward


@compiled
def forward(x: Array, weight: Array, bias: Array, least: float, images: int, out: Array) -> None:
    """max(least, x Wᵀ + b): x (B, I) and weight (O, I) in words, I ≥ GROUP, bias (O,) → out (B, O), O ≥ WIDE."""
    inputs, outputs = len(x) // images, len(out) // images
    chunks = -(-inputs // TAPS)
    places, values = np.empty(len(x), np.uint32), np.empty(len(x), x.dtype)
    ends = np.zeros(images * chunks + 1, np.int64)
    _list_rows(x, images, inputs, chunks, places, values, ends)
    block, sums = np.empty(inputs * WIDE, weight.dtype), np.empty(images * WIDE, np.float32)
    for number in range(-(-outputs // WIDE)):
        first = min(number * WIDE, outputs - WIDE)
        turn_rows(weight, first, inputs, block, WIDE)
        for p in range(images):
            sums[p * WIDE : (p + 1) * WIDE] = bias[first : first + WIDE]
        ask, lines = (first + WIDE) * inputs, -(-inputs * WIDE // (LANES * images * chunks))
        if first + WIDE == outputs:
            lines = 0
        for chunk in range(chunks):
            for p in range(images):
                for _ in range(lines):  # of the next block's weights
                    prefetch(weight, ask)
                    ask += LANES
                start, end = ends[p * chunks + chunk], ends[p * chunks + chunk + 1]
                if end > start:
                    _add_rows(sums, p * WIDE, values, places, start, end - start, block, 0)
        for p in range(images):
            _floored(sums, p * WIDE, least, out, p * outputs + first)


@register_jitable
def _list_rows(x: Array, images: int, inputs: int, chunks: int, places: Array, values: Array, ends: Array) -> None:
    """The words of each image that are not zero, with their places in its row; where those of each chunk end."""
    found = 0
    for p in range(images):
        for begin in range(0, inputs, GROUP):
            start = min(begin, inputs - GROUP)
            marks = _marks(x, p * inputs + start) >> (begin - start) << (begin - start)
            while marks:
                i = start + _lowest(marks)
                places[found], values[found] = i, x[p * inputs + i]
                found += 1
                marks &= marks - 1
            ends[p * chunks + begin // TAPS + 1] = found


# -- Adam of a weight


@compiled
def zipped(x: Array, images: int, out: Array) -> None:
    """x (B, C), bfloat16, C a multiple of LANES → (⌈B/2⌉, C): words of two images; the last may stand alone."""
    columns = len(x) // images
    nothing = np.zeros(columns, x.dtype)
    for first in range(0, images, 2):
        a, to = x[first * columns :], out[first // 2 * columns :]
        if first + 1 < images:
            zip_rows(a, x[(first + 1) * columns :], to, columns)
        else:
            zip_rows(a, nothing, to, columns)


@compiled
def adam_of_sparse_product(
    p: Array, mean: Array, square: Array, half: Any, left: Array, right: Array, images: int,
    lerp: float, beta2: float, rest2: float, rate: float, root: float, eps: float,
) -> None:  # fmt: skip
    """As `vectors.adam` with the gradient leftᵀ right; p (R, C), left (B, R), right (B, C), C a multiple of LANES.

    right is given in words, those of `zipped` where it is bfloat16; C ≥ GROUP. Two columns are listed at a time: pixels
    that lie side by side are mostly zero together.
    """
    rows = len(left) // images
    columns = len(p) // rows
    pairs, turns = columns // 2, len(right) // columns
    lefts = np.zeros(-(-rows // NARROW) * turns * NARROW, right.dtype)
    pack(left, images, rows, right.itemsize // left.itemsize, NARROW, turns, lefts)
    places, values = np.empty(pairs * turns, np.uint32), np.empty(2 * pairs * turns, right.dtype)
    counts, sums = np.zeros(pairs, np.int64), np.empty(LANES * NARROW, np.float32)
    _list_columns(right, turns, columns, places, values, counts)
    for first in range(0, rows, NARROW):
        for column in range(0, columns, LANES):
            sums[:] = 0
            below, beside = (first, column + LANES) if column + LANES < columns else (first + NARROW, 0)
            for n in range(LANES // 2):
                for row in range(below + n, min(below + NARROW, rows), LANES // 2):  # of the next tile
                    ask = row * columns + beside
                    prefetch(p, ask)
                    prefetch(mean, ask)
                    prefetch(square, ask)
                    if half is not None:
                        prefetch(half, ask)
                pair = column // 2 + n
                if counts[pair]:
                    _add_pairs(sums, 2 * n * NARROW, values, places, pair * turns, counts[pair], lefts, first * turns)
            for row in range(0, min(NARROW, rows - first), LANES):
                _update(
                    p, mean, square, half, (first + row) * columns + column, columns, rows - first - row, sums, row,
                    lerp, beta2, rest2, rate, root, eps,
                )  # fmt: skip


@register_jitable
def _list_columns(x: Array, turns: int, columns: int, places: Array, values: Array, counts: Array) -> None:
    """Of each two columns, the words of which one is not zero: how many, their places in the column, both values."""
    for turn in range(turns):
        for begin in range(0, columns, GROUP):
            start = min(begin, columns - GROUP)
            marks = _marks(x, turn * columns + start)
            marks = ((marks | marks >> 1) & EVEN) >> (begin - start) << (begin - start)
            while marks:
                column = start + _lowest(marks)
                n = column // 2 * turns + counts[column // 2]
                places[n] = turn
                values[2 * n] = x[turn * columns + column]
                values[2 * n + 1] = x[turn * columns + column + 1]
                counts[column // 2] += 1
                marks &= marks - 1


# -- instructions


def _listed(each: int) -> Any:
    """The instruction for so many columns at once, SUMS vectors together."""
    vectors = SUMS // each
    width = vectors * LANES

    @intrinsic
    def add_listed(typing: Any, out: Any, at: Any, values: Any, places: Any, first: Any, count: Any, rows: Any,
                   start: Any) -> Any:  # fmt: skip
        """out[at + c·width + n] += Σ_t values[(first + t)·each + c] rows[start + places[first + t]·width + n]

        t < count, which is at least 1; c < each; n < width.
        """

        def generate(context: Any, builder: Any, sig: Any, arguments: Any) -> Any:
            code = Code(builder)
            out, at, values, places, first, count, rows, start = opened(context, builder, sig, arguments)
            pairs = are_pairs(sig.args[2])
            kind, multiply_add = (WORDS, code.multiply_add_pairs) if pairs else (FLOATS, code.multiply_add)
            values, places = code.at(values, builder.mul(first, INT(each))), code.at(places, first)
            rows = code.at(rows, start)
            targets = [code.at(out, builder.add(at, INT(n * LANES))) for n in range(SUMS)]

            def turn(t: Value, sums: Sequence[Value]) -> Sequence[Value]:
                row = code.at(rows, builder.mul(builder.zext(code.value(places, t), INT), INT(width)))
                place = code.at(values, builder.mul(t, INT(each)))
                left = [code.everywhere(code.value(place, INT(c)), kind) for c in range(each)]
                right = [code.vector(code.at(row, INT(v * LANES)), kind) for v in range(vectors)]
                return [multiply_add(left[n // vectors], right[n % vectors], sums[n]) for n in range(SUMS)]

            sums = code.repeat(count, [code.vector(target, FLOATS) for target in targets], turn)
            for value, target in zip(sums, targets, strict=True):
                code.store(value, target)
            return context.get_dummy_value()

        where = types.intp
        return types.void(out, where, values, places, where, where, rows, where), generate

    return add_listed


_add_rows, _add_pairs = _listed(1), _listed(2)


@intrinsic
def _marks(typing: Any, x: Any, index: Any) -> Any:
    """Of the GROUP numbers or words from x[index] on, a bit for each that is not zero, the first one lowest."""

    def generate(context: Any, builder: Any, sig: Any, arguments: Any) -> Any:
        code = Code(builder)
        x, index = opened(context, builder, sig, arguments)
        kind = FLOATS if sig.args[0].dtype == types.float32 else HALVES if is_half(sig.args[0]) else WORDS
        differs = builder.fcmp_unordered if kind == FLOATS else builder.icmp_unsigned  # a pair is no denormal float
        zero, found = ir.Constant(kind, [0] * LANES), INT(0)
        for n in range(0, GROUP, LANES):
            values = code.vector(code.at(x, builder.add(index, INT(n))), kind)
            bits = builder.zext(builder.bitcast(differs("!=", values, zero), ir.IntType(LANES)), INT)
            found = builder.or_(found, builder.shl(bits, INT(n)))
        return found

    return types.int64(x, types.intp), generate


@intrinsic
def _lowest(typing: Any, bits: Any) -> Any:
    """The place of the lowest bit that is set, of which there must be one."""

    def generate(context: Any, builder: Any, sig: Any, arguments: Any) -> Any:
        return builder.cttz(arguments[0], ir.IntType(1)(1))

    return types.int64(types.int64), generate


@intrinsic
def _how_many(typing: Any, bits: Any) -> Any:
    """How many bits are set."""

    def generate(context: Any, builder: Any, sig: Any, arguments: Any) -> Any:
        return builder.ctpop(arguments[0])

    return types.int64(types.int64), generate


@intrinsic
def _floored(typing: Any, sums: Any, start: Any, least: Any, out: Any, at: Any) -> Any:
    """out[at + n] = max(least, sums[start + n]), n < WIDE; a NaN stays one."""

    def generate(context: Any, builder: Any, sig: Any, arguments: Any) -> Any:
        code = Code(builder)
        sums, start, least, out, at = opened(context, builder, sig, arguments)
        sums, out, floor = code.at(sums, start), code.at(out, at), code.everywhere(least)
        for n in range(0, WIDE, LANES):
            value = code.vector(code.at(sums, INT(n)), FLOATS)
            value = builder.select(builder.fcmp_ordered("<", value, floor), floor, value)
            code.store(value, code.at(out, INT(n)), is_half(sig.args[3]))
        return context.get_dummy_value()

    return types.void(sums, types.intp, types.float32, out, types.intp), generate


@intrinsic
def _update(typing: Any, p: Any, mean: Any, square: Any, half: Any, start: Any, pitch: Any, rows_left: Any, sums: Any,
            first: Any, lerp: Any, beta2: Any, rest2: Any, rate: Any, root: Any, eps: Any) -> Any:  # fmt: skip
    """Adam of LANES rows and columns of a weight from `start` on, or of the rows that are left of it.

    The gradient of row r and column c is sums[c·NARROW + first + r].
    """
    number, at = types.float32, types.intp
    signature = types.void(p, mean, square, half, at, at, at, sums, at, *[number] * 6)

    def generate(context: Any, builder: Any, sig: Any, arguments: Any) -> Any:
        code = Code(builder)
        given = opened(context, builder, sig, arguments)
        known, half, (start, pitch, rows_left, sums, first) = given[:3], given[3], given[4:9]
        numbers = Numbers(*map(code.everywhere, given[9:]))
        sums = code.at(sums, first)
        grads = transposed(code, [code.vector(code.at(sums, INT(c * NARROW)), FLOATS) for c in range(LANES)])
        for r, grad in enumerate(grads):
            with builder.if_then(builder.icmp_signed("<", INT(r), rows_left)):
                place = builder.add(start, builder.mul(INT(r), pitch))
                own = [code.at(array, place) for array in known]
                values = updated(code, [code.vector(one, FLOATS) for one in own], grad, numbers)
                for value, one in zip(values, own, strict=True):
                    code.store(value, one)
                if isinstance(sig.args[3], types.Array):
                    code.store(values[0], code.at(half, place), True)
        return context.get_dummy_value()

    return signature, generate
