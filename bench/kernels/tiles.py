"""Inner loops of a convolution as vector instructions: a tile of the result stays in registers while it is summed.

A compiler that is given plain loops keeps sums of this kind in memory. Here they are written down as LLVM's vectors of
16 numbers, for functions compiled by numba, whatever registers the processor has for them; which kernel is used is
measured (`choice`), and where these are slow they are not used.

What is multiplied comes in *words* of four bytes: a float32, or two bfloat16, whose two products go to the same sum in
one instruction, which a processor must have (`has_pairs`). Sums are float32.
"""

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import llvmlite.binding
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

LANES = 16  #: numbers in a vector
VECTORS = 2
WIDE = VECTORS * LANES  #: columns of a tile
PIXELS = 12  #: rows of a tile of `products`
ROWS = 8  #: rows of a tile of `outer`, in two halves
LINE = 64  #: bytes that come from memory together

INT = ir.IntType(64)
FLOATS = ir.VectorType(ir.FloatType(), LANES)
WORDS = ir.VectorType(ir.IntType(32), LANES)
HALVES = ir.VectorType(ir.IntType(16), LANES)

Value = Any  #: of LLVM


class _BFloat(ir.Type):
    """llvmlite has no name for it."""

    def _to_string(self) -> str:
        return "bfloat"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _BFloat)

    def __hash__(self) -> int:
        return hash(_BFloat)


@cache
def has_pairs() -> bool:
    """Whether this processor multiplies pairs of bfloat16."""
    return bool(llvmlite.binding.get_host_cpu_features().get("avx512bf16", False))


@intrinsic
def products(typing: Any, out: Any, to: Any, at: Any, bias: Any, least: Any, gate: Any, gated: Any, x: Any,
             offsets: Any, first: Any, stride: Any, taps: Any, run: Any, weights: Any, start: Any) -> Any:  # fmt: skip
    """A tile of a matrix product, whose rows are gathered from memory as runs of words.

        out[at + to[first + p] + n] = max(least, bias[n] + Σ_t Σ_r x[offsets[first + p] + t·stride + r] w[t, r, n])

    p < PIXELS, n < WIDE, t < taps, r < run; w lies in `weights` from `start` on. A result is 0 where `gate` is not
    positive, at the same place as in `out` if `gated` is 1, at n if it is 0. out, gate: float32, or bfloat16 as uint16;
    a NaN stays one, and is an open gate.
    """
    signature = types.void(out, to, at, bias, types.float32, gate, at, x, offsets, at, at, at, at, weights, at)
    pairs = x.dtype != types.float32

    def generate(context: Any, builder: Any, sig: Any, arguments: Any) -> Any:
        out, to, at, bias, least, gate, gated, x, offsets, first, stride, taps, run, weights, start = _opened(
            context, builder, sig, arguments
        )
        sources = [_at(builder, x, _value(builder, offsets, builder.add(first, INT(p)))) for p in range(PIXELS)]
        targets = [builder.add(at, _value(builder, to, builder.add(first, INT(p)))) for p in range(PIXELS)]
        half = sig.args[0].dtype != types.float32
        gates = [builder.mul(gated, target) for target in targets]
        for target, beside in zip(targets, gates, strict=True):  # needed when the sums are done, asked for now
            for n in range(0, WIDE, LINE // (2 if half else 4)):
                _prefetch(builder, _at(builder, out, builder.add(target, INT(n))), write=True)
                _prefetch(builder, _at(builder, gate, builder.add(beside, INT(n))), write=False)
        weights = _at(builder, weights, start)
        biases = [_vector(builder, _at(builder, bias, INT(v * LANES)), FLOATS) for v in range(VECTORS)]

        def tap(t: Value, sums: Sequence[Value]) -> Sequence[Value]:
            places = [_at(builder, source, builder.mul(t, stride)) for source in sources]
            rows = _at(builder, weights, builder.mul(builder.mul(t, run), INT(WIDE)))

            def step(r: Value, sums: Sequence[Value]) -> Sequence[Value]:
                row = _at(builder, rows, builder.mul(r, INT(WIDE)))
                return _added(builder, pairs, sums, [_value(builder, place, r) for place in places], row)

            return _repeated(builder, run, sums, step)

        sums = _repeated(builder, taps, biases * PIXELS, tap)
        floor, zero = _all(builder, least, FLOATS), ir.Constant(FLOATS, [0.0] * LANES)
        for p in range(PIXELS):
            place, beside = _at(builder, out, targets[p]), _at(builder, gate, gates[p])
            for v in range(VECTORS):
                value = sums[p * VECTORS + v]
                value = builder.select(builder.fcmp_ordered("<", value, floor), floor, value)
                closed = builder.fcmp_ordered("<=", _floats(builder, _at(builder, beside, INT(v * LANES)), half), zero)
                value = builder.select(closed, zero, value)
                _store(builder, value, _at(builder, place, INT(v * LANES)), half)
        return context.get_dummy_value()

    return signature, generate


@intrinsic
def outer(typing: Any, out: Any, at: Any, width: Any, x: Any, offsets: Any, low: Any, high: Any, y: Any, start: Any,
          step: Any, count: Any) -> Any:  # fmt: skip
    """A tile of a sum of outer products, added to what is there.

        out[at + r·width + n] += Σ_p x[offsets[p] + l_r] y[start + p·step + n]

    p < count, r < ROWS, n < WIDE; l_r = low + r in the first half of the rows, high + r − ROWS/2 in the other.
    """

    def generate(context: Any, builder: Any, sig: Any, arguments: Any) -> Any:
        out, at, width, x, offsets, low, high, y, start, step, count = _opened(context, builder, sig, arguments)
        pairs = sig.args[3].dtype != types.float32
        out, y = _at(builder, out, at), _at(builder, y, start)
        ends, half = [_at(builder, x, low), _at(builder, x, high)], ROWS // 2
        places = [
            _at(builder, out, builder.add(builder.mul(INT(r), width), INT(v * LANES)))
            for r in range(ROWS)
            for v in range(VECTORS)
        ]

        def pixel(p: Value, sums: Sequence[Value]) -> Sequence[Value]:
            offset = _value(builder, offsets, p)
            near = [_at(builder, end, offset) for end in ends]
            left = [_value(builder, near[r // half], INT(r % half)) for r in range(ROWS)]
            return _added(builder, pairs, sums, left, _at(builder, y, builder.mul(p, step)))

        sums = _repeated(builder, count, [_vector(builder, place, FLOATS) for place in places], pixel)
        for value, place in zip(sums, places, strict=True):
            _store(builder, value, place, False)
        return context.get_dummy_value()

    return types.void(out, at, at, x, offsets, at, at, y, at, at, at), generate


@intrinsic
def add_four(typing: Any, out: Any, to: Any, step: Any, x: Any, a: Any, b: Any, c: Any, d: Any, stride: Any, count: Any,
             run: Any) -> Any:  # fmt: skip
    """out[to + j·step + i] = x[a′] + x[b′] + x[c′] + x[d′] with a′ = a + j·stride + i and so on, j < count, i < run."""

    def generate(context: Any, builder: Any, sig: Any, arguments: Any) -> Any:
        out, to, step, x, *starts, stride, count, run = _opened(context, builder, sig, arguments)
        places = [_at(builder, x, start) for start in starts]
        target = _at(builder, out, to)

        def pixel(j: Value, _: Sequence[Value]) -> Sequence[Value]:
            near = [_at(builder, place, builder.mul(j, stride)) for place in places]
            here = _at(builder, target, builder.mul(j, step))

            def channel(i: Value, _: Sequence[Value]) -> Sequence[Value]:
                first, second, third, fourth = (_value(builder, place, i) for place in near)
                total = builder.fadd(builder.fadd(first, second), builder.fadd(third, fourth))
                builder.store(total, _at(builder, here, i))
                return []

            return _repeated(builder, run, [], channel)

        _repeated(builder, count, [], pixel)
        return context.get_dummy_value()

    return types.void(out, to, to, x, to, to, to, to, to, to, to), generate


@intrinsic
def zip_rows(typing: Any, x: Any, first: Any, second: Any, out: Any, start: Any, count: Any) -> Any:
    """out[start + i] = x[first + i] | x[second + i] << 16, i < count, a multiple of LANES: two halves a word."""

    def generate(context: Any, builder: Any, sig: Any, arguments: Any) -> Any:
        x, first, second, out, start, count = _opened(context, builder, sig, arguments)
        rows, target = [_at(builder, x, first), _at(builder, x, second)], _at(builder, out, start)

        def part(i: Value, _: Sequence[Value]) -> Sequence[Value]:
            place = builder.mul(i, INT(LANES))
            low, high = (_widened(builder, _at(builder, row, place)) for row in rows)
            _store(builder, _zipped(builder, low, high), _at(builder, target, place), False)
            return []

        _repeated(builder, builder.udiv(count, INT(LANES)), [], part)
        return context.get_dummy_value()

    return types.void(x, types.intp, types.intp, out, types.intp, types.intp), generate


@intrinsic
def transpose(typing: Any, out: Any, at: Any, width: Any, x: Any, start: Any, pitch: Any) -> Any:
    """out[at + c·width + r] = x[start + r·pitch + c], r, c < LANES; both of the same kind of numbers."""

    def generate(context: Any, builder: Any, sig: Any, arguments: Any) -> Any:
        out, at, width, x, start, pitch = _opened(context, builder, sig, arguments)
        kind, out, x = _kind(sig.args[0]), _at(builder, out, at), _at(builder, x, start)
        rows = [_vector(builder, _at(builder, x, builder.mul(INT(r), pitch)), kind) for r in range(LANES)]
        for distance in (8, 4, 2, 1):  # blocks off the diagonal change places, then those within them
            for r in (r for r in range(LANES) if not r & distance):
                a, b = rows[r], rows[r + distance]
                low = [LANES + n - distance if n & distance else n for n in range(LANES)]
                high = [LANES + n if n & distance else n + distance for n in range(LANES)]
                rows[r] = builder.shuffle_vector(a, b, ir.Constant(WORDS, low))
                rows[r + distance] = builder.shuffle_vector(a, b, ir.Constant(WORDS, high))
        for c, row in enumerate(rows):
            _store(builder, row, _at(builder, out, builder.mul(INT(c), width)), False)
        return context.get_dummy_value()

    return types.void(out, at, at, x, at, at), generate


@intrinsic
def prefetch(typing: Any, x: Any, index: Any) -> Any:
    """Ask for the line of memory with x[index], which will be read soon, and do not wait for it."""

    def generate(context: Any, builder: Any, sig: Any, arguments: Any) -> Any:
        x, index = _opened(context, builder, sig, arguments)
        _prefetch(builder, _at(builder, x, index), write=False)
        return context.get_dummy_value()

    return types.void(x, types.intp), generate


# -- what these are written with


def _opened(context: Any, builder: Any, sig: Any, arguments: Sequence[Value]) -> list[Value]:
    """Arrays as pointers to their first element, numbers as they are."""
    return [
        context.make_array(kind)(context, builder, value).data if isinstance(kind, types.Array) else value
        for kind, value in zip(sig.args, arguments, strict=True)
    ]


def _added(builder: Any, pairs: bool, sums: Sequence[Value], left: Sequence[Value], row: Value) -> list[Value]:
    """sums + left ⊗ row: words, and the place of WIDE words."""
    kind = WORDS if pairs else FLOATS
    rights = [_vector(builder, _at(builder, row, INT(v * LANES)), kind) for v in range(VECTORS)]
    multiply = _multiply_add(builder, pairs)
    lefts = [_all(builder, value, kind) for value in left]
    return [
        multiply(sums[i * VECTORS + v], lefts[i], rights[v]) for i in range(len(left)) for v in range(VECTORS)
    ]


def _multiply_add(builder: Any, pairs: bool) -> Callable[[Value, Value, Value], Value]:
    """(sums, a, b) → sums + a b, of vectors."""
    if not pairs:
        kind = ir.FunctionType(FLOATS, [FLOATS] * 3)
        function = cgutils.get_or_insert_function(builder.module, kind, f"llvm.fma.v{LANES}f32")
        return lambda sums, a, b: builder.call(function, [a, b, sums])
    both = ir.VectorType(_BFloat(), 2 * LANES)
    name = "llvm.x86.avx512bf16.dpbf16ps.512"
    function = cgutils.get_or_insert_function(builder.module, ir.FunctionType(FLOATS, [FLOATS, both, both]), name)
    return lambda sums, a, b: builder.call(function, [sums, builder.bitcast(a, both), builder.bitcast(b, both)])


def _repeated(
    builder: Any, count: Value, carried: Sequence[Value], body: Callable[[Value, Sequence[Value]], Sequence[Value]]
) -> Sequence[Value]:
    """`body` for 0, 1, … count − 1, at least once; what it gives is carried into its next turn, and returned."""
    before, turn = builder.block, builder.append_basic_block("turn")
    after = builder.append_basic_block("after")
    builder.branch(turn)
    builder.position_at_end(turn)
    number = builder.phi(INT)
    number.add_incoming(INT(0), before)
    inside = [builder.phi(value.type) for value in carried]
    for phi, value in zip(inside, carried, strict=True):
        phi.add_incoming(value, before)
    given = body(number, inside)
    following = builder.add(number, INT(1))
    number.add_incoming(following, builder.block)
    for phi, value in zip(inside, given, strict=True):
        phi.add_incoming(value, builder.block)
    builder.cbranch(builder.icmp_signed("<", following, count), turn, after)
    builder.position_at_end(after)
    return given


def _at(builder: Any, pointer: Value, index: Value) -> Value:
    return builder.gep(pointer, [index])


def _value(builder: Any, pointer: Value, index: Value) -> Value:
    return builder.load(_at(builder, pointer, index))


def _vector(builder: Any, pointer: Value, kind: Any) -> Value:
    return builder.load(builder.bitcast(pointer, kind.as_pointer()), align=2 if kind == HALVES else 4)


def _floats(builder: Any, pointer: Value, half: bool) -> Value:
    """A vector of float32, read as such, or as bfloat16."""
    if not half:
        return _vector(builder, pointer, FLOATS)
    return builder.bitcast(builder.shl(_widened(builder, pointer), ir.Constant(WORDS, [16] * LANES)), FLOATS)


def _widened(builder: Any, pointer: Value) -> Value:
    return builder.zext(builder.load(builder.bitcast(pointer, HALVES.as_pointer()), align=2), WORDS)


def _zipped(builder: Any, low: Value, high: Value) -> Value:
    return builder.or_(low, builder.shl(high, ir.Constant(WORDS, [16] * LANES)))


def _kind(array: Any) -> Any:
    """The vector of an array's numbers."""
    return {32: FLOATS, 16: HALVES}[array.dtype.bitwidth]


def _all(builder: Any, number: Value, kind: Any) -> Value:
    """A vector whose every element is that number."""
    nothing = ir.Constant(kind, ir.Undefined)
    one = builder.insert_element(nothing, number, ir.Constant(ir.IntType(32), 0))
    return builder.shuffle_vector(one, nothing, ir.Constant(WORDS, [0] * LANES))


def _prefetch(builder: Any, pointer: Value, write: bool) -> None:
    flag, byte = ir.IntType(32), ir.IntType(8).as_pointer()
    kind = ir.FunctionType(ir.VoidType(), [byte, flag, flag, flag])
    function = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0")
    near, data = flag(2), flag(1)  # the second-level cache; data, not instructions
    builder.call(function, [builder.bitcast(pointer, byte), flag(int(write)), near, data])


def _store(builder: Any, value: Value, pointer: Value, half: bool) -> None:
    value = _halved(builder, value) if half else value
    builder.store(value, builder.bitcast(pointer, value.type.as_pointer()), align=2 if value.type == HALVES else 4)


def _halved(builder: Any, value: Value) -> Value:
    """The bits of the nearest bfloat16."""
    return builder.bitcast(builder.fptrunc(value, ir.VectorType(_BFloat(), LANES)), HALVES)
