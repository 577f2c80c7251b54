"""Adam, and the cross-entropy of pixels, 16 numbers at a time: each in one walk through memory."""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic, register_jitable

from .llvm import FLOATS, INT, LANES, WORDS, Code, Value, compiled, is_half, opened

Array = np.ndarray  # flat, float32; gradients and copies also bfloat16 as uint16

#: What a mean of gradients that are 0 comes to in hundreds of steps, as of a pixel that is hardly ever anything but 0.
#: It moves no parameter but one that is 0, and that by 10⁻²⁵; a little later it is denormal, and processors are slow.
TINY = float(np.float32(1e-30))


# -- Adam


@compiled
def adam(
    p: Array, mean: Array, square: Array, grad: Array, half: Any, lerp: float, beta2: float, rest2: float,
    rate: float, root: float, eps: float,
) -> None:  # fmt: skip
    """One update of p, rounded as by torch's fused kernel but for what fills no whole vector, and TINY means.

        mean += lerp (grad − mean);  square = beta2 square + rest2 grad²;  p += rate mean / (√square / root + eps)

    half: p in bfloat16, or None.
    lerp = 1 − β₁; rest2 = 1 − β₂; rate = −lr / (1 − β₁ᵗ); root = √(1 − β₂ᵗ). Kingma & Ba 2015, algorithm 1.
    """
    whole = len(p) // LANES * LANES
    if whole:
        _adam(p, mean, square, grad, half, whole, lerp, beta2, rest2, rate, root, eps)
    if whole < len(p):
        rest = len(p) - whole
        last = _padded(p, whole), _padded(mean, whole), _padded(square, whole), _padded(grad, whole)
        if half is None:
            _adam(*last, None, LANES, lerp, beta2, rest2, rate, root, eps)
        else:
            narrow = _padded(half, whole)
            _adam(*last, narrow, LANES, lerp, beta2, rest2, rate, root, eps)
            half[whole:] = narrow[:rest]
        p[whole:], mean[whole:], square[whole:] = last[0][:rest], last[1][:rest], last[2][:rest]


@register_jitable
def _padded(values: Array, start: int) -> Array:
    """The numbers from `start` on, and zeros, LANES together."""
    found = np.zeros(LANES, values.dtype)
    found[: len(values) - start] = values[start:]
    return found


class Numbers(NamedTuple):
    """What Adam needs in every step, as vectors; named in `adam`."""

    lerp: Value
    beta2: Value
    rest2: Value
    rate: Value
    root: Value
    eps: Value


def updated(code: Code, before: Sequence[Value], grad: Value, numbers: Numbers) -> tuple[Value, Value, Value]:
    """Vectors of parameters and of both their means, after a step; a mean of a size below TINY is 0."""
    builder, (p, mean, square) = code.builder, before
    mean = code.multiply_add(numbers.lerp, builder.fsub(grad, mean), mean)
    size, zero = code.call(f"llvm.fabs.v{LANES}f32", FLOATS, [mean]), ir.Constant(FLOATS, [0.0] * LANES)
    mean = builder.select(builder.fcmp_ordered("<", size, ir.Constant(FLOATS, [TINY] * LANES)), zero, mean)
    square = code.multiply_add(builder.fmul(numbers.rest2, grad), grad, builder.fmul(numbers.beta2, square))
    width = code.call(f"llvm.sqrt.v{LANES}f32", FLOATS, [square])
    width = builder.fadd(_divided(code, width, numbers.root), numbers.eps)
    return builder.fadd(p, builder.fdiv(builder.fmul(numbers.rate, mean), width)), mean, square


def _divided(code: Code, a: Value, b: Value) -> Value:
    """a / b as division rounds it, for a b that is the same in every turn of a loop, and so inverted once.

    A quotient that is off by one in the last place is mended by its remainder: Markstein, Computation of elementary
    functions on the IBM RISC System/6000 processor, 1990. Of what is infinite there is none. b is near 1, and a so
    large, if it is not 0, that its remainder is no denormal.
    """
    builder = code.builder
    inverse = builder.fdiv(_number(1), b)
    near = builder.fmul(a, inverse)
    rest = code.multiply_add(builder.fneg(near), b, a)
    return builder.select(builder.fcmp_ordered("ord", rest, rest), code.multiply_add(rest, inverse, near), near)


@intrinsic
def _adam(typing: Any, p: Any, mean: Any, square: Any, grad: Any, half: Any, count: Any, lerp: Any, beta2: Any,
          rest2: Any, rate: Any, root: Any, eps: Any) -> Any:  # fmt: skip
    """Of `count` numbers, a multiple of LANES."""
    number = types.float32
    signature = types.void(p, mean, square, grad, half, types.intp, *[number] * 6)

    def generate(context: Any, builder: Any, sig: Any, arguments: Any) -> Any:
        code = Code(builder)
        *arrays, count = opened(context, builder, sig, arguments)[:6]
        numbers = Numbers(*map(code.everywhere, arguments[6:]))

        def part(i: Value, _: Sequence[Value]) -> Sequence[Value]:
            start = builder.mul(i, INT(LANES))
            own = [code.at(array, start) for array in arrays[:3]]
            grad = code.floats(code.at(arrays[3], start), is_half(sig.args[3]))
            values = updated(code, [code.vector(place, FLOATS) for place in own], grad, numbers)
            for value, place in zip(values, own, strict=True):
                code.store(value, place)
            if isinstance(sig.args[4], types.Array):
                code.store(values[0], code.at(arrays[4], start), True)
            return []

        code.repeat(builder.udiv(count, INT(LANES)), [], part)
        return context.get_dummy_value()

    return signature, generate


# -- cross-entropy


@compiled
def cross_entropy(raw: Array, x: Array, images: int, far: Array, out: Array) -> None:
    """−log p(x) of each image, (N,): Σ max(r, 0) − r x + log(1 + exp(−|r|)) over its pixels; raw, x: (N, P).

    raw: also bfloat16 as uint16. far: LANES numbers like it, so negative that they add nothing.
    """
    pixels = len(raw) // images
    whole = pixels // LANES * LANES
    r, t = far.copy(), np.zeros(LANES, np.float32)
    for n in range(images):
        start, total = n * pixels, np.float32(0)
        if whole:
            total += _cross_entropy(raw, x, start, whole)
        if whole < pixels:
            first, end, rest = start + whole, start + pixels, pixels - whole
            r[:rest], t[:rest] = raw[first:end], x[first:end]
            total += _cross_entropy(r, t, 0, LANES)
        out[n] = total


@compiled
def cross_entropy_slope(slope: Array, raw: Array, x: Array, images: int, out: Array) -> None:
    """Its gradient by `raw`, (N, P), in the same precision: slope[n] (σ(r) − x)."""
    pixels = len(raw) // images
    whole = pixels // LANES * LANES
    r, t, o = np.zeros(LANES, raw.dtype), np.zeros(LANES, np.float32), np.zeros(LANES, out.dtype)
    for n in range(images):
        start = n * pixels
        if whole:
            _cross_entropy_slope(slope[n], raw, x, start, whole, out)
        if whole < pixels:
            first, end, rest = start + whole, start + pixels, pixels - whole
            r[:rest], t[:rest] = raw[first:end], x[first:end]
            _cross_entropy_slope(slope[n], r, t, 0, LANES, o)
            out[first:end] = o[:rest]


@compiled
def cross_entropy_both(slope: Array, raw: Array, x: Array, images: int, far: Array, nll: Array, out: Array) -> None:
    """Both in one walk, to the same bits: `cross_entropy` → nll (N,), and `cross_entropy_slope` → out (N, P)."""
    pixels = len(raw) // images
    whole = pixels // LANES * LANES
    r, t, o = far.copy(), np.zeros(LANES, np.float32), np.zeros(LANES, out.dtype)
    for n in range(images):
        start, total = n * pixels, np.float32(0)
        if whole:
            total += _cross_entropy_both(slope[n], raw, x, start, whole, out)
        if whole < pixels:
            first, end, rest = start + whole, start + pixels, pixels - whole
            r[:rest], t[:rest] = raw[first:end], x[first:end]
            total += _cross_entropy_both(slope[n], r, t, 0, LANES, o)
            out[first:end] = o[:rest]
        nll[n] = total


@intrinsic
def _cross_entropy(typing: Any, raw: Any, x: Any, start: Any, count: Any) -> Any:
    """The sum over `count` pixels, a multiple of LANES."""

    def generate(context: Any, builder: Any, sig: Any, arguments: Any) -> Any:
        code = Code(builder)
        raw, x, start, count = opened(context, builder, sig, arguments)
        raw, x = code.at(raw, start), code.at(x, start)

        def part(i: Value, sums: Sequence[Value]) -> Sequence[Value]:
            r, t = _pixels(code, raw, x, builder.mul(i, INT(LANES)), is_half(sig.args[0]))
            return [builder.fadd(sums[0], _nll(code, r, t, _small(code, r)))]

        return _sum(code, code.repeat(builder.udiv(count, INT(LANES)), [_number(0)], part)[0])

    return types.float32(raw, x, types.intp, types.intp), generate


@intrinsic
def _cross_entropy_slope(typing: Any, slope: Any, raw: Any, x: Any, start: Any, count: Any, out: Any) -> Any:
    """Of `count` pixels, a multiple of LANES."""

    def generate(context: Any, builder: Any, sig: Any, arguments: Any) -> Any:
        code = Code(builder)
        slope, raw, x, start, count, out = opened(context, builder, sig, arguments)
        raw, x, out, slope = code.at(raw, start), code.at(x, start), code.at(out, start), code.everywhere(slope)

        def part(i: Value, _: Sequence[Value]) -> Sequence[Value]:
            place = builder.mul(i, INT(LANES))
            r, t = _pixels(code, raw, x, place, is_half(sig.args[1]))
            code.store(_by_logit(code, slope, r, t, _small(code, r)), code.at(out, place), is_half(sig.args[5]))
            return []

        code.repeat(builder.udiv(count, INT(LANES)), [], part)
        return context.get_dummy_value()

    return types.void(types.float32, raw, x, types.intp, types.intp, out), generate


@intrinsic
def _cross_entropy_both(typing: Any, slope: Any, raw: Any, x: Any, start: Any, count: Any, out: Any) -> Any:
    """The sum over `count` pixels, a multiple of LANES, and the gradient by each."""

    def generate(context: Any, builder: Any, sig: Any, arguments: Any) -> Any:
        code = Code(builder)
        slope, raw, x, start, count, out = opened(context, builder, sig, arguments)
        raw, x, out, slope = code.at(raw, start), code.at(x, start), code.at(out, start), code.everywhere(slope)

        def part(i: Value, sums: Sequence[Value]) -> Sequence[Value]:
            place = builder.mul(i, INT(LANES))
            r, t = _pixels(code, raw, x, place, is_half(sig.args[1]))
            small = _small(code, r)
            code.store(_by_logit(code, slope, r, t, small), code.at(out, place), is_half(sig.args[5]))
            return [builder.fadd(sums[0], _nll(code, r, t, small))]

        return _sum(code, code.repeat(builder.udiv(count, INT(LANES)), [_number(0)], part)[0])

    return types.float32(types.float32, raw, x, types.intp, types.intp, out), generate


def _pixels(code: Code, raw: Value, x: Value, place: Value, half: bool) -> tuple[Value, Value]:
    """Logits, which may be bfloat16, and what they are to be."""
    return code.floats(code.at(raw, place), half), code.floats(code.at(x, place), False)


def _small(code: Code, r: Value) -> Value:
    """exp(−|r|)."""
    return _exp(code, code.builder.fneg(code.call(f"llvm.fabs.v{LANES}f32", FLOATS, [r])))


def _nll(code: Code, r: Value, t: Value, small: Value) -> Value:
    builder = code.builder
    positive = builder.select(builder.fcmp_ordered("<", r, _number(0)), _number(0), r)
    return builder.fadd(_log1p(code, small), builder.fsub(positive, builder.fmul(r, t)))


def _by_logit(code: Code, slope: Value, r: Value, t: Value, small: Value) -> Value:
    builder = code.builder
    large = builder.fdiv(_number(1), builder.fadd(_number(1), small))
    mean = builder.select(builder.fcmp_ordered("<", r, _number(0)), builder.fmul(small, large), large)
    return builder.fmul(slope, builder.fsub(mean, t))


def _sum(code: Code, sums: Value) -> Value:
    """Of a vector's numbers."""
    builder = code.builder
    for distance in (8, 4, 2, 1):
        other = ir.Constant(WORDS, [n ^ distance for n in range(LANES)])
        sums = builder.fadd(sums, builder.shuffle_vector(sums, sums, other))
    return builder.extract_element(sums, ir.Constant(ir.IntType(32), 0))


def _number(value: float) -> Value:
    return ir.Constant(FLOATS, [float(np.float32(value))] * LANES)


def _exp(code: Code, x: Value) -> Value:
    """exp(x) for x ≤ 0, to 1e-7 of itself; below −87 as there; NaN of NaN.

    x = n ln 2 + f with a whole n and |f| ≤ ln 2 / 2; 2ⁿ by its bits, exp(f) by its series.
    """
    builder, whole = code.builder, 1.5 * 2**23  # a number so large that adding it rounds to whole ones
    x = builder.select(builder.fcmp_ordered("<", x, _number(-87)), _number(-87), x)
    shifted = code.multiply_add(x, _number(1 / math.log(2)), _number(whole))
    n = builder.fsub(shifted, _number(whole))
    high = 0.693359375  # of few bits, so that n times it is exact
    f = code.multiply_add(n, _number(-high), x)
    f = code.multiply_add(n, _number(high - math.log(2)), f)
    series = _number(1 / math.factorial(7))
    for k in range(6, -1, -1):
        series = code.multiply_add(series, f, _number(1 / math.factorial(k)))
    bits = builder.add(builder.bitcast(shifted, WORDS), ir.Constant(WORDS, [127] * LANES))
    power = builder.bitcast(builder.shl(bits, ir.Constant(WORDS, [23] * LANES)), FLOATS)
    return builder.fmul(series, power)


def _log1p(code: Code, x: Value) -> Value:
    """log(1 + x) for 0 ≤ x ≤ 1, to 1e-7 of itself: 2 artanh(s) with s = x / (2 + x), by its series."""
    builder = code.builder
    s = builder.fdiv(x, builder.fadd(_number(2), x))
    z = builder.fmul(s, s)
    series = _number(1 / 15)
    for k in (13, 11, 9, 7, 5, 3, 1):
        series = code.multiply_add(series, z, _number(1 / k))
    return builder.fmul(builder.fadd(s, s), series)
