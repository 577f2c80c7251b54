"""Inner loops of a convolution: a tile of the result stays in registers while it is summed.

What is multiplied comes in *words* of four bytes: a float32, or two bfloat16, whose two products go to the same sum in
one instruction, which a processor must have (`llvm.has_pairs`). Sums are float32.
"""

from collections.abc import Sequence
from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from .llvm import FLOATS, INT, LANES, LINE, WORDS, Code, Value, are_pairs, is_half, opened, vector_of

VECTORS = 2
WIDE = VECTORS * LANES  #: columns of a tile
PIXELS = 12  #: rows of a tile of `products`
FEW = 8  #: of `few_products`, for what is left of 128 after tiles of 12
ROWS = 8  #: rows of a tile of `outer`, in two halves


def _products(rows: int) -> Any:
    """The instruction for tiles of so many rows."""

    @intrinsic
    def products(typing: Any, out: Any, to: Any, at: Any, bias: Any, least: Any, gate: Any, gated: Any, x: Any,
                 offsets: Any, first: Any, stride: Any, taps: Any, run: Any, weights: Any, start: Any, block: Any,
                 ahead: Any, ask: Any, pitch: Any) -> Any:  # fmt: skip
        """A tile of a matrix product, whose rows are gathered from memory as runs of words.

            out[at + to[first + p] + n] = max(least, bias[n] + Σ_t Σ_r x[offsets[first + p] + t·stride + r] w[t, r, n])

        p < rows, n < WIDE, t < taps, r < run; w lies in `weights` from `start` on, a tap `block` words after the one
        before. A result is 0 where `gate` is not positive, at the same place as in `out` if `gated` is 1, at n if it is
        0. out, gate: float32, or bfloat16 as uint16; a NaN stays one, and is an open gate. Before tap t, the two lines
        from ahead[ask + t·pitch] on are asked for.
        """
        signature = types.void(
            out, to, at, bias, types.float32, gate, at, x, offsets, at, at, at, at, weights, at, at, ahead, at, at
        )
        pairs = are_pairs(x)

        def generate(context: Any, builder: Any, sig: Any, arguments: Any) -> Any:
            code = Code(builder)
            given = opened(context, builder, sig, arguments)
            out, to, at, bias, least, gate, gated, x, offsets, first = given[:10]
            stride, taps, run, weights, start, block, ahead, ask, pitch = given[10:]
            sources = [code.at(x, code.value(offsets, builder.add(first, INT(p)))) for p in range(rows)]
            targets = [builder.add(at, code.value(to, builder.add(first, INT(p)))) for p in range(rows)]
            half = is_half(sig.args[0])
            gates = [builder.mul(gated, target) for target in targets]
            share = builder.udiv(builder.add(taps, INT(rows - 1)), taps)  # of the rows, for each tap; at least one
            weights = code.at(weights, start)
            biases = [code.vector(code.at(bias, INT(v * LANES)), FLOATS) for v in range(VECTORS)]

            def tap(t: Value, sums: Sequence[Value]) -> Sequence[Value]:
                places = [code.at(source, builder.mul(t, stride)) for source in sources]
                lines = code.at(weights, builder.mul(t, block))
                asked = builder.add(ask, builder.mul(t, pitch))
                for line in range(2):
                    index = builder.add(asked, INT(line * LINE * 8 // sig.args[16].dtype.bitwidth))
                    code.ask_for(code.at(ahead, index), write=False)

                def row_of_result(i: Value, _: Sequence[Value]) -> Sequence[Value]:
                    """Needed when the sums are done, asked for a few at a time."""
                    p = builder.add(builder.mul(t, share), i)
                    p = builder.select(builder.icmp_unsigned("<", p, INT(rows)), p, INT(rows - 1))
                    target = builder.add(at, code.value(to, builder.add(first, p)))
                    for n in range(0, WIDE, LINE // (2 if half else 4)):
                        code.ask_for(code.at(out, builder.add(target, INT(n))), write=True)
                        place = builder.add(builder.mul(gated, target), INT(n))
                        code.ask_for(code.at(gate, place), write=False)
                    return []

                code.repeat(share, [], row_of_result)

                def step(r: Value, sums: Sequence[Value]) -> Sequence[Value]:
                    row = code.at(lines, builder.mul(r, INT(WIDE)))
                    return add_outer(code, pairs, sums, [code.value(place, r) for place in places], row)

                return code.repeat(run, sums, step)

            sums = code.repeat(taps, biases * rows, tap)
            floor, zero = code.everywhere(least, FLOATS), ir.Constant(FLOATS, [0.0] * LANES)
            for p in range(rows):
                place, beside = code.at(out, targets[p]), code.at(gate, gates[p])
                for v in range(VECTORS):
                    value = sums[p * VECTORS + v]
                    value = builder.select(builder.fcmp_ordered("<", value, floor), floor, value)
                    closed = builder.fcmp_ordered("<=", code.floats(code.at(beside, INT(v * LANES)), half), zero)
                    value = builder.select(closed, zero, value)
                    code.store(value, code.at(place, INT(v * LANES)), half)
            return context.get_dummy_value()

        return signature, generate

    return products


products, few_products = _products(PIXELS), _products(FEW)


@intrinsic
def outer(typing: Any, out: Any, at: Any, width: Any, x: Any, offsets: Any, low: Any, high: Any, y: Any, places: Any,
          start: Any, count: Any) -> Any:  # fmt: skip
    """A tile of a sum of outer products, added to what is there.

        out[at + r·width + n] += Σ_p x[offsets[p] + l_r] y[places[p] + start + n]

    p < count, r < ROWS, n < WIDE; l_r = low + r in the first half of the rows, high + r − ROWS/2 in the other.
    """

    def generate(context: Any, builder: Any, sig: Any, arguments: Any) -> Any:
        code = Code(builder)
        out, at, width, x, offsets, low, high, y, places, start, count = opened(context, builder, sig, arguments)
        pairs = are_pairs(sig.args[3])
        out, y = code.at(out, at), code.at(y, start)
        ends, half = [code.at(x, low), code.at(x, high)], ROWS // 2
        targets = [
            code.at(out, builder.add(builder.mul(INT(r), width), INT(v * LANES)))
            for r in range(ROWS)
            for v in range(VECTORS)
        ]

        def pixel(p: Value, sums: Sequence[Value]) -> Sequence[Value]:
            offset = code.value(offsets, p)
            near = [code.at(end, offset) for end in ends]
            left = [code.value(near[r // half], INT(r % half)) for r in range(ROWS)]
            return add_outer(code, pairs, sums, left, code.at(y, code.value(places, p)))

        sums = code.repeat(count, [code.vector(target, FLOATS) for target in targets], pixel)
        for value, target in zip(sums, targets, strict=True):
            code.store(value, target, False)
        return context.get_dummy_value()

    return types.void(out, at, at, x, offsets, at, at, y, places, at, at), generate


@intrinsic
def add_neighbours(typing: Any, out: Any, x: Any, upper: Any, lower: Any, pitch: Any, width: Any) -> Any:
    """A line of twice as many pixels, each the sum of four numbers that meet there; out has room for LANES pairs more.

        out[2j] = u₃[j − 1] + l₃[j − 1] + u₁[j] + l₁[j]
        out[2j + 1] = u₂[j] + l₂[j] + u₀[j + 1] + l₀[j + 1]        0 ≤ j ≤ width

    with uₖ[j] = x[upper + k·pitch + j] and lₖ of `lower`; what lies outside of 0 ≤ j < width counts nothing.
    """

    def generate(context: Any, builder: Any, sig: Any, arguments: Any) -> Any:
        code = Code(builder)
        out, x, upper, lower, pitch, width = opened(context, builder, sig, arguments)
        zero, lanes = ir.Constant(FLOATS, [0.0] * LANES), ir.Constant(WORDS, list(range(LANES)))
        last = builder.trunc(width, ir.IntType(32))

        def part(i: Value, _: Sequence[Value]) -> Sequence[Value]:
            first = builder.mul(i, INT(LANES))
            numbers = builder.add(lanes, code.everywhere(builder.trunc(first, ir.IntType(32)), WORDS))

            def near(k: int, shift: int) -> Value:
                start = builder.add(builder.add(first, INT(shift)), builder.mul(pitch, INT(k)))
                total = builder.fadd(
                    *(code.vector(code.at(x, builder.add(line, start)), FLOATS) for line in (upper, lower))
                )
                place = builder.add(numbers, ir.Constant(WORDS, [shift] * LANES))
                return builder.select(builder.icmp_unsigned("<", place, code.everywhere(last, WORDS)), total, zero)

            even, odd = builder.fadd(near(3, -1), near(1, 0)), builder.fadd(near(2, 0), near(0, 1))
            target = code.at(out, builder.mul(first, INT(2)))
            for half in range(2):
                pairs = [n // 2 + half * LANES // 2 + n % 2 * LANES for n in range(LANES)]
                code.store(
                    builder.shuffle_vector(even, odd, ir.Constant(WORDS, pairs)), code.at(target, INT(half * LANES))
                )
            return []

        code.repeat(builder.add(builder.udiv(width, INT(LANES)), INT(1)), [], part)
        return context.get_dummy_value()

    at = types.intp
    return types.void(out, x, at, at, at, at), generate


@intrinsic
def zip_rows(typing: Any, a: Any, b: Any, out: Any, count: Any) -> Any:
    """out[i] = a[i] | b[i] << 16, i < count, a multiple of LANES: two halves a word."""

    def generate(context: Any, builder: Any, sig: Any, arguments: Any) -> Any:
        code = Code(builder)
        a, b, out, count = opened(context, builder, sig, arguments)

        def part(i: Value, _: Sequence[Value]) -> Sequence[Value]:
            place = builder.mul(i, INT(LANES))
            low, high = (code.widened(code.at(row, place)) for row in (a, b))
            code.store(code.zipped(low, high), code.at(out, place))
            return []

        code.repeat(builder.udiv(count, INT(LANES)), [], part)
        return context.get_dummy_value()

    return types.void(a, b, out, types.intp), generate


@intrinsic
def pack_columns(typing: Any, x: Any, first: Any, pitch: Any, count: Any, out: Any, start: Any, width: Any) -> Any:
    """LANES columns from x[first] on, `count` rows, or pairs of rows as words, to every `width`-th place of `out`."""

    def generate(context: Any, builder: Any, sig: Any, arguments: Any) -> Any:
        code = Code(builder)
        x, first, pitch, count, out, start, width = opened(context, builder, sig, arguments)
        x, out, pairs = code.at(x, first), code.at(out, start), is_half(sig.args[0])

        def word(i: Value, _: Sequence[Value]) -> Sequence[Value]:
            row = code.at(x, builder.mul(builder.mul(i, INT(2 if pairs else 1)), pitch))
            if pairs:
                found = code.zipped(code.widened(row), code.widened(code.at(row, pitch)))
            else:
                found = code.vector(row, FLOATS)
            code.store(found, code.at(out, builder.mul(i, width)))
            return []

        code.repeat(count, [], word)
        return context.get_dummy_value()

    at = types.intp
    return types.void(x, at, at, at, out, at, at), generate


@intrinsic
def transpose(typing: Any, out: Any, at: Any, width: Any, x: Any, start: Any, pitch: Any) -> Any:
    """out[at + c·width + r] = x[start + r·pitch + c], r, c < LANES; both of the same kind of numbers."""

    def generate(context: Any, builder: Any, sig: Any, arguments: Any) -> Any:
        code = Code(builder)
        out, at, width, x, start, pitch = opened(context, builder, sig, arguments)
        kind, out, x = vector_of(sig.args[0]), code.at(out, at), code.at(x, start)
        rows = [code.vector(code.at(x, builder.mul(INT(r), pitch)), kind) for r in range(LANES)]
        for c, row in enumerate(transposed(code, rows)):
            code.store(row, code.at(out, builder.mul(INT(c), width)), False)
        return context.get_dummy_value()

    return types.void(out, at, at, x, at, at), generate


@intrinsic
def prefetch(typing: Any, x: Any, index: Any) -> Any:
    """Ask for the line of memory with x[index], which will be read soon, and do not wait for it."""

    def generate(context: Any, builder: Any, sig: Any, arguments: Any) -> Any:
        code = Code(builder)
        x, index = opened(context, builder, sig, arguments)
        code.ask_for(code.at(x, index), write=False)
        return context.get_dummy_value()

    return types.void(x, types.intp), generate


def transposed(code: Code, rows: Sequence[Value]) -> list[Value]:
    """LANES vectors → the vectors of their first, second, … elements."""
    found = list(rows)
    for distance in (8, 4, 2, 1):  # blocks off the diagonal change places, then those within them
        for r in (r for r in range(LANES) if not r & distance):
            a, b = found[r], found[r + distance]
            low = [LANES + n - distance if n & distance else n for n in range(LANES)]
            high = [LANES + n if n & distance else n + distance for n in range(LANES)]
            found[r] = code.builder.shuffle_vector(a, b, ir.Constant(WORDS, low))
            found[r + distance] = code.builder.shuffle_vector(a, b, ir.Constant(WORDS, high))
    return found


def add_outer(code: Code, pairs: bool, sums: Sequence[Value], left: Sequence[Value], row: Value) -> list[Value]:
    """sums + left ⊗ row: words, and the place of WIDE words."""
    kind = WORDS if pairs else FLOATS
    multiply_add = code.multiply_add_pairs if pairs else code.multiply_add
    rights = [code.vector(code.at(row, INT(v * LANES)), kind) for v in range(VECTORS)]
    lefts = [code.everywhere(value, kind) for value in left]
    return [
        multiply_add(lefts[i], rights[v], sums[i * VECTORS + v]) for i in range(len(left)) for v in range(VECTORS)
    ]
