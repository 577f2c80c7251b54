"""Convolutions of kernel 4, stride 2 and padding 1, of images whose channels lie side by side.

    down    y[n, i, j, o] = b[o] + Σ x[n, 2i + k − 1, 2j + l − 1, c] w[o, c, k, l]          ordinary, "halving"
    up      x[n, 2i + a, 2j + b, c] = Σ y[n, i + a − 1 + d, j + b − 1 + e, o] w[o, c, 3 − a − 2d, 3 − b − 2e]
    weight  w[o, c, k, l] = Σ x[n, 2i + k − 1, 2j + l − 1, c] y[n, i, j, o]

Up is what a transposed convolution does and the gradient of down by its input; weight is the gradient of both by their
weights; and the gradients of each of the three are the other two. A few images at a time are copied into a frame of
zeros, small enough for the second-level cache. There the pixels that meet a weight row are runs of memory, and the sums
are matrix products whose rows are never written down anywhere (`tiles`).

Letters:  N images · C channels of the larger images, O of the smaller · H, W and h, w their heights and widths
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from numba import types
from numba.extending import overload, register_jitable

from .llvm import LANES, LINE, compiled
from .tiles import PIXELS, ROWS, WIDE, add_neighbours, outer, prefetch, products, transpose, zip_rows

Array = np.ndarray  # flat; float32, or bfloat16 as uint16; in words float32, or uint32 of two bfloat16

FRAME = 2**18  #: bytes of framed images at a time


@register_jitable
def _images_at_once(images: int, rows: int, line: int, size: int) -> int:
    """How many framed images of rows × line elements, each of `size` bytes, are worked on together."""
    return max(1, min(images, FRAME // (rows * line * size)))


@register_jitable
def _frame(
    x: Array, first: int, count: int, tall: int, wide: int, c: int, rows: int, columns: int, framed: Array
) -> None:
    """`count` images with a pixel of zeros above and to the left, and as many as are needed below and to the right."""
    for n in range(count):
        image = framed[n * rows * columns * c : (n + 1) * rows * columns * c]
        image[: columns * c] = 0
        image[(1 + tall) * columns * c :] = 0
        for y in range(tall):
            row = image[(1 + y) * columns * c : (2 + y) * columns * c]
            row[:c] = 0
            row[(1 + wide) * c :] = 0
            inside, start = row[c : (1 + wide) * c], ((first + n) * tall + y) * wide * c
            pixels = x[start : start + wide * c]
            for i in range(wide * c):
                inside[i] = pixels[i]


@register_jitable
def _windows(images: int, h: int, w: int, rows: int, line: int, step: int) -> Array:
    """Where the window of each smaller pixel begins in framed images of `rows` lines, and room for a tile more."""
    offsets = np.empty(images * h * w + PIXELS, np.intp)
    for m in range(images):
        for i in range(h):
            for j in range(w):
                offsets[(m * h + i) * w + j] = (m * rows + 2 * i) * line + j * step
    return offsets


@register_jitable
def _fill(places: Array, count: int) -> None:
    """Let the last tile's missing rows be its last one again: they write the same numbers to the same place."""
    for p in range(count, count + PIXELS):
        places[p] = places[count - 1]


@register_jitable
def _ask_for(x: Array, start: int, end: int, part: int, parts: int) -> None:
    """A part of the lines of x[start:end]: what the next images need is asked for while these are worked on."""
    step = LINE // x.itemsize
    lines = (min(end, len(x)) - start) // step
    for line in range(part * lines // parts, (part + 1) * lines // parts):
        prefetch(x, start + line * step)


@compiled
def down(
    x: Array, n: int, tall: int, wide: int, c: int, weights: Array, bias: Array, least: float, gate: Array, o: int,
    per: int, out: Array
) -> None:  # fmt: skip
    """x (N, H, W, C), weights (O / WIDE, 4, 4C, WIDE), bias (O,) → out (N, h, w, O); all flat, `per` elements a word.

    gate: as `out`, or WIDE ones.
    """
    gated = int(len(gate) == len(out))
    h, w = tall // 2, wide // 2
    rows, columns = 2 * h + 2, 2 * w + 2
    line = columns * c // per
    chunk = _images_at_once(n, rows, columns * c, x.itemsize)
    framed = np.empty(chunk * rows * columns * c, x.dtype)
    words = framed.view(weights.dtype)
    offsets, to = _windows(chunk, h, w, rows, line, 2 * c // per), np.arange(chunk * h * w + PIXELS) * o
    for first in range(0, n, chunk):
        count = min(chunk, n - first)
        _frame(x, first, count, tall, wide, c, rows, columns, framed)
        pixels = count * h * w
        _fill(offsets, pixels)
        _fill(to, pixels)
        after = (first + count) * tall * wide * c
        for p in range(0, pixels, PIXELS):
            _ask_for(x, after, after + count * tall * wide * c, p // PIXELS, pixels // PIXELS + 1)
            for b in range(0, o, WIDE):
                products(
                    out, to, first * h * w * o + b, bias[b:], least, gate, gated, words, offsets, p, line, 4,
                    4 * c // per, weights, b * 16 * c // per, x, 0, 0,
                )  # fmt: skip


@compiled
def up(
    y: Array, n: int, h: int, w: int, o: int, weights: Array, bias: Array, least: float, gate: Array, c: int,
    tall: int, wide: int, per: int, out: Array
) -> None:  # fmt: skip
    """y (N, h, w, O), weights (2, 2, C / WIDE, 2, 2O, WIDE), bias (C,) → out (N, H, W, C); all flat, gate as above."""
    gated = int(len(gate) == len(out))
    rows, columns = h + 2, w + 2
    line = columns * o // per
    chunk = _images_at_once(n, rows, columns * o, y.itemsize)
    framed = np.empty(chunk * rows * columns * o, y.dtype)
    words = framed.view(weights.dtype)
    room = chunk * ((tall + 1) // 2) * ((wide + 1) // 2) + PIXELS
    offsets, to, known = np.empty((4, room), np.intp), np.empty((4, room), np.intp), 0
    for first in range(0, n, chunk):
        count = min(chunk, n - first)
        _frame(y, first, count, h, w, o, rows, columns, framed)
        for phase in range(4):
            a, b = phase // 2, phase % 2
            pixels = count * ((tall - a + 1) // 2) * ((wide - b + 1) // 2)
            if count != known:
                _places_of_phase(a, b, count, rows, line, o // per, tall, wide, c, offsets[phase], to[phase])
            after, quarter = (first + count) * h * w * o, count * h * w * o // 4
            after += phase * quarter
            for q in range(0, pixels, PIXELS):
                _ask_for(y, after, after + quarter, q // PIXELS, pixels // PIXELS + 1)
                for v in range(0, c, WIDE):
                    products(
                        out, to[phase], first * tall * wide * c + v, bias[v:], least, gate, gated, words,
                        offsets[phase], q, line, 2, 2 * o // per, weights, (phase * c + v) * 4 * o // per, y, 0, 0,
                    )  # fmt: skip
        known = count


@register_jitable
def _places_of_phase(
    a: int, b: int, images: int, rows: int, line: int, step: int, tall: int, wide: int, c: int, offsets: Array,
    to: Array,
) -> None:  # fmt: skip
    """Where the windows of every second pixel of every second line begin, and where their results go."""
    p = 0
    for m in range(images):
        for i in range((tall - a + 1) // 2):
            for j in range((wide - b + 1) // 2):
                offsets[p] = (m * rows + i + a) * line + (j + b) * step
                to[p] = ((m * tall + 2 * i + a) * wide + 2 * j + b) * c
                p += 1
    _fill(offsets, p)
    _fill(to, p)


@compiled
def up_to_few(
    y: Array, n: int, h: int, w: int, o: int, weights: Array, bias: Array, c: int, tall: int, wide: int, out: Array
) -> None:  # fmt: skip
    """As `up`, for few channels C: each pixel's 16C products are added where they meet.

    y (N, h, w, O) and weights (O, 16C) in words.
    """
    chunk = max(1, min(n, FRAME // (h * w * o * 4)))
    pitch = -(-chunk * h * w // WIDE) * WIDE
    turned = np.zeros(o * pitch, y.dtype)
    nothing = 16 * c * pitch + LANES  # where as many zeros are as a line is made of
    met = np.zeros(nothing + (3 * c + 1) * pitch + w + 2 * LANES, np.float32)  # a plane for each of the products
    offsets, pixels_of = np.arange(o) * 16 * c, np.empty(2 * (w + 1 + LANES), np.float32)
    row, biases = np.empty(wide * c, np.float32), np.empty(wide * c, np.float32)
    for j in range(wide):
        biases[j * c : (j + 1) * c] = bias
    for first in range(0, n, chunk):
        count = min(chunk, n - first)
        pixels = count * h * w
        _turn_pixels(y, first * h * w, pixels, o, turned, pitch)
        met[:nothing] = 0
        for p in range(0, pixels, WIDE):
            for tap in range(0, 16 * c, ROWS):
                outer(
                    met, LANES + tap * pitch + p, pitch, weights, offsets, tap, tap + ROWS // 2, turned, p, pitch, o
                )  # fmt: skip
        for m in range(count):
            for line in range(tall):
                i, a = line // 2 - 1 + line % 2, line % 2  # the lines i and i + 1 meet here
                for channel in range(c):
                    plane = LANES + (4 * (1 - a) * c + channel) * pitch + (m * h + i) * w
                    upper = plane + 8 * c * pitch if i >= 0 else nothing
                    lower = plane + w if i + 1 < h else nothing
                    add_neighbours(pixels_of, met, upper, lower, c * pitch, w)
                    for j in range(wide):
                        row[j * c + channel] = pixels_of[j]
                start = ((first + m) * tall + line) * wide * c
                _put(row, biases, out[start : start + wide * c])


@register_jitable
def _turn_pixels(y: Array, first: int, pixels: int, o: int, turned: Array, pitch: int) -> None:
    """Words of `pixels` pixels (pixels, O) from the first on → (O, pitch)."""
    for p in range(0, pixels - pixels % LANES, LANES):
        for k in range(0, o, LANES):
            transpose(turned, k * pitch + p, pitch, y, (first + p) * o + k, o)
    for p in range(pixels - pixels % LANES, pixels):
        for k in range(o):
            turned[k * pitch + p] = y[(first + p) * o + k]


def _put(row: Array, biases: Array, out: Array) -> None:
    """A row of sums and its biases as `out` has its numbers: float32, or bfloat16 in uint16."""
    raise NotImplementedError


@overload(_put)
def _put_compiled(row: Any, biases: Any, out: Any) -> Callable[[Any, Any, Any], None]:
    if out.dtype == types.float32:

        def put(row: Any, biases: Any, out: Any) -> None:
            for i in range(len(out)):
                out[i] = row[i] + biases[i]

    else:

        def put(row: Any, biases: Any, out: Any) -> None:
            for i in range(len(out)):
                row[i] += biases[i]
            words = row.view(np.uint32)
            for i in range(len(out)):
                out[i] = _rounded(words[i])

    return put


@register_jitable
def _rounded(word: np.uint32) -> np.uint16:
    """The bits of a float32 as those of the nearest bfloat16; even in the middle, NaN for NaN."""
    if word & np.uint32(0x7FFFFFFF) > np.uint32(0x7F800000):
        return np.uint16(0x7FC0)
    return np.uint16((word + np.uint32(0x7FFF) + ((word >> np.uint32(16)) & np.uint32(1))) >> np.uint32(16))


@compiled
def weight(x: Array, y: Array, n: int, tall: int, wide: int, c: int, o: int, out: Array) -> None:
    """x (N, H, W, C), y (N, h, w, O), float32 → added to out (4, 4C, O); all flat."""
    h, w = tall // 2, wide // 2
    rows, columns = 2 * h + 2, 2 * w + 2
    line = columns * c
    chunk = _images_at_once(n, rows, line, x.itemsize)
    framed = np.empty(chunk * rows * line, x.dtype)
    offsets = _windows(chunk, h, w, rows, line, 2 * c)
    for first in range(0, n, chunk):
        count = min(chunk, n - first)
        _frame(x, first, count, tall, wide, c, rows, columns, framed)
        _tiles_of_weight(out, framed, offsets, line, c, o, y, first * h * w * o, count * h * w)


@compiled
def weight_of_pairs(x: Array, y: Array, n: int, tall: int, wide: int, c: int, o: int, out: Array) -> None:
    """As `weight`, of bfloat16: two pixels that lie side by side in `y`, and what they meet in `x`, make a word."""
    h, w = tall // 2, wide // 2
    two = (w + 1) // 2
    rows, columns = 2 * h + 2, 4 * two + 2
    line = 4 * two * c
    chunk = _images_at_once(n, rows, 2 * line, 2)
    framed = np.empty(chunk * rows * columns * c, x.dtype)
    left, right = np.empty(chunk * rows * line, np.uint32), np.empty(chunk * h * two * o, np.uint32)
    offsets, nothing = _windows(chunk, h, two, rows, line, 4 * c), np.zeros(o, y.dtype)
    for first in range(0, n, chunk):
        count = min(chunk, n - first)
        _frame(x, first, count, tall, wide, c, rows, columns, framed)
        for row in range(count * rows):
            start = row * columns * c
            _zip(framed[start : start + line], framed[start + 2 * c : start + 2 * c + line], left[row * line :])
        for row in range(count * h):
            for q in range(two):
                start, to = ((first * h + row) * w + 2 * q) * o, (row * two + q) * o
                if 2 * q + 1 < w:
                    zip_rows(y, start, start + o, right, to, o)
                else:
                    _zip(y[start : start + o], nothing, right[to:])
        _tiles_of_weight(out, left, offsets, line, c, o, right, 0, count * h * two)


@register_jitable
def _zip(a: Array, b: Array, out: Array) -> None:
    """Two halves a word."""
    words = out[: len(a)]
    for i in range(len(a)):
        words[i] = np.uint32(a[i]) | (np.uint32(b[i]) << np.uint32(16))


@register_jitable
def _tiles_of_weight(
    out: Array, x: Array, offsets: Array, line: int, c: int, o: int, y: Array, start: int, count: int
) -> None:
    """All 16C × O sums; rows go by the image's rows k, within one by columns and channels."""
    half = ROWS // 2
    for row in range(0, 16 * c, ROWS):
        k, r = row // (4 * c), row % (4 * c)
        low = k * line + r
        high = low + half if r + half < 4 * c else (k + 1) * line  # with one channel two rows of four make a tile
        for b in range(0, o, WIDE):
            outer(out, row * o + b, o, x, offsets, low, high, y, start + b, o, count)


@compiled
def turn(x: Array, n: int, rows: int, columns: int, out: Array) -> None:
    """(N, rows, columns) → (N, columns, rows), both at least LANES; the last block begins early enough to be whole."""
    for m in range(n):
        start = m * rows * columns
        for r in range(0, rows, LANES):
            row = min(r, rows - LANES)
            for c in range(0, columns, LANES):
                column = min(c, columns - LANES)
                transpose(out, start + column * rows + row, rows, x, start + row * columns + column, columns)
