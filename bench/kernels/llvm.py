"""Vector instructions for functions compiled by numba: LLVM's vectors of 16 numbers, written down one by one.

For what a compiler that is given plain loops does not find: sums that stay in registers, and bfloat16. LLVM makes of
them what the processor has; which kernel is used is measured (`choice`), and where these are slow they are not used.
"""

from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import cache
from typing import Any

import llvmlite.binding
from llvmlite import ir
from numba import config, njit, types
from numba.core import cgutils

from .stamp import stamp

LANES = 16  #: numbers in a vector
LINE = 64  #: bytes that come from memory together

INT = ir.IntType(64)
FLOATS = ir.VectorType(ir.FloatType(), LANES)
WORDS = ir.VectorType(ir.IntType(32), LANES)
HALVES = ir.VectorType(ir.IntType(16), LANES)
BYTES = ir.VectorType(ir.IntType(8), LANES)

Value = Any  #: of LLVM


class _BFloat(ir.Type):
    """llvmlite has no name for it."""

    def _to_string(self) -> str:
        return "bfloat"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _BFloat)

    def __hash__(self) -> int:
        return hash(_BFloat)


BFLOATS, PAIRS = (ir.VectorType(_BFloat(), n) for n in (LANES, 2 * LANES))


@cache
def has_pairs() -> bool:
    """Whether the processor that numba compiles for multiplies pairs of bfloat16, and rounds to them.

    Where it does not, LLVM would call functions for that which a compiled function cannot find.
    """
    if config.CPU_NAME is not None or config.CPU_FEATURES is not None:  # another one than this, by numba's variables
        return "+avx512bf16" in (config.CPU_FEATURES or "")
    return bool(llvmlite.binding.get_host_cpu_features().get("avx512bf16", False))


def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile a function when it is first called, and keep that on disk until something in this folder changes.

    numba by itself looks at the function's own file, and not at those with the instructions that it is made of.
    """
    try:
        found: Any = njit(cache=True, nogil=True, error_model="numpy")(function)
    except RuntimeError:  # there is no folder to keep it in
        return njit(nogil=True, error_model="numpy")(function)
    with suppress(AttributeError):  # not part of what numba promises
        found._cache._cache_file._source_stamp = stamp()
    return found


def opened(context: Any, builder: Any, sig: Any, arguments: Sequence[Value]) -> list[Value]:
    """Arrays as pointers to their first element, numbers as they are."""
    return [
        context.make_array(kind)(context, builder, value).data if isinstance(kind, types.Array) else value
        for kind, value in zip(sig.args, arguments, strict=True)
    ]


def is_half(array: Any) -> bool:
    """Whether an array's numbers are bfloat16, as uint16."""
    return array.dtype.bitwidth == 16


def are_pairs(array: Any) -> bool:
    """Whether an array's words are two bfloat16."""
    return array.dtype != types.float32


class Code:
    """Code as it is written, over llvmlite's `builder`."""

    def __init__(self, builder: Any) -> None:
        self.builder = builder

    def at(self, pointer: Value, index: Value) -> Value:
        return self.builder.gep(pointer, [index])

    def value(self, pointer: Value, index: Value) -> Value:
        return self.builder.load(self.at(pointer, index))

    def vector(self, pointer: Value, kind: Any) -> Value:
        """LANES numbers from there on, wherever that is."""
        return self.builder.load(self.builder.bitcast(pointer, kind.as_pointer()), align=_alignment(kind))

    def floats(self, pointer: Value, half: bool) -> Value:
        """A vector of float32, read as such, or as bfloat16."""
        if not half:
            return self.vector(pointer, FLOATS)
        words = self.builder.shl(self.widened(pointer), ir.Constant(WORDS, [16] * LANES))
        return self.builder.bitcast(words, FLOATS)

    def widened(self, pointer: Value) -> Value:
        """16-bit numbers as words."""
        return self.builder.zext(self.vector(pointer, HALVES), WORDS)

    def zipped(self, low: Value, high: Value) -> Value:
        """Words of two halves each."""
        return self.builder.or_(low, self.builder.shl(high, ir.Constant(WORDS, [16] * LANES)))

    def everywhere(self, number: Value, kind: Any = FLOATS) -> Value:
        """A vector whose every element is that number."""
        nothing = ir.Constant(kind, ir.Undefined)
        one = self.builder.insert_element(nothing, number, ir.Constant(ir.IntType(32), 0))
        return self.builder.shuffle_vector(one, nothing, ir.Constant(WORDS, [0] * LANES))

    def store(self, value: Value, pointer: Value, half: bool = False) -> None:
        """half: floats as the nearest bfloat16, which only some processors have (`has_pairs`)."""
        if half:
            value = self.builder.bitcast(self.builder.fptrunc(value, BFLOATS), HALVES)
        self.builder.store(value, self.builder.bitcast(pointer, value.type.as_pointer()), align=_alignment(value.type))

    def ask_for(self, pointer: Value, write: bool) -> None:
        """Let the processor fetch that line of memory, without waiting for it."""
        flag, byte = ir.IntType(32), ir.IntType(8).as_pointer()
        near, data = flag(2), flag(1)  # the second-level cache; data, not instructions
        given = [self.builder.bitcast(pointer, byte), flag(int(write)), near, data]
        self.call("llvm.prefetch.p0", ir.VoidType(), given)

    def call(self, name: str, result: Any, given: Sequence[Value]) -> Value:
        """One of LLVM's own functions."""
        kind = ir.FunctionType(result, [value.type for value in given])
        return self.builder.call(cgutils.get_or_insert_function(self.builder.module, kind, name), given)

    def multiply_add(self, a: Value, b: Value, c: Value) -> Value:
        """a b + c, rounded once."""
        return self.call(f"llvm.fma.v{LANES}f32", FLOATS, [a, b, c])

    def multiply_add_pairs(self, a: Value, b: Value, c: Value) -> Value:
        """Of words of two bfloat16 each: both products, and c, in float32."""
        a, b = (self.builder.bitcast(value, PAIRS) for value in (a, b))
        return self.call("llvm.x86.avx512bf16.dpbf16ps.512", FLOATS, [c, a, b])

    def repeat(
        self, count: Value, carried: Sequence[Value], body: Callable[[Value, Sequence[Value]], Sequence[Value]]
    ) -> Sequence[Value]:
        """`body` for 0, 1, … count − 1, at least once; what it gives is carried into its next turn, and returned."""
        builder = self.builder
        before, turn, after = builder.block, builder.append_basic_block("turn"), builder.append_basic_block("after")
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


def vector_of(array: Any) -> Any:
    """The vector of an array's numbers."""
    return {32: FLOATS, 16: HALVES}[array.dtype.bitwidth]


def _alignment(kind: Any) -> int:
    return {BYTES: 1, HALVES: 2}.get(kind, 4)
