"""Convolutions of kernel 4, stride 2 and padding 1, of images whose channels lie side by side.

    down    y[n, i, j, o] = b[o] + Σ x[n, 2i + k − 1, 2j + l − 1, c] w[o, c, k, l]          ordinary, "halving"
    up      x[n, 2i + a, 2j + b, c] = Σ y[n, i + a − 1 + d, j + b − 1 + e, o] w[o, c, 3 − a − 2d, 3 − b − 2e]
    weight  w[o, c, k, l] = Σ x[n, 2i + k − 1, 2j + l − 1, c] y[n, i, j, o]

Up is what a transposed convolution does and the gradient of down by its input; weight is the gradient of both by their
weights; and the gradients of each of the three are the other two. The pixels that meet a weight row are runs of memory,
and the sums are matrix products whose rows are never written down anywhere (`tiles`). A few images at a time are worked
on, small enough for the second-level cache.

Products with the padding are left out, which between 14 and 7 pixels are a seventh of all: windows that lie alike, in a
corner, along a border or inside, are multiplied together, with as much of the kernel as they meet. Where the padding
cannot be left out, since its channels are no whole words or rows of a tile, it is part of the images: `padding` is 0.

Letters:  N images · C channels of the larger images, O of the smaller · H, W and h, w their heights and widths
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from numba import types
from numba.extending import overload, register_jitable

from .llvm import LANES, LINE, compiled
from .tiles import (
    FEW,
    PIXELS,
    ROWS,
    WIDE,
    add_neighbours,
    few_products,
    outer,
    prefetch,
    products,
    transpose,
    zip_rows,
)

Array = np.ndarray  # flat; float32, or bfloat16 as uint16; in words float32, or uint32 of two bfloat16
Pair = tuple[int, int]  # down and across

CHUNK = 2**19  #: bytes of images and of results that are worked on together


@register_jitable
def _at_once(images: int, size: int) -> int:
    """How many images are worked on together, of `size` bytes with their results: windows should fill whole tiles."""
    fit = CHUNK // size
    return max(1, min(images, fit // PIXELS * PIXELS if fit >= PIXELS else fit))


@register_jitable
def _ask_for(x: Array, start: int, end: int, part: int, parts: int) -> None:
    """A part of the lines of x[start:end]: what the next images need is asked for while these are worked on."""
    step = LINE // x.itemsize
    lines = (min(end, len(x)) - start) // step
    for line in range(part * lines // parts, (part + 1) * lines // parts):
        prefetch(x, start + line * step)


# -- down and up: sums over what a window meets


@register_jitable
def _spans(windows: int, size: int, taps: int, step: int, padding: int) -> Array:
    """Windows along an axis that meet its pixels with the same taps: rows of (first, end, low, high), low ≤ tap < high.

    Window i begins at pixel step·i − padding; each meets a pixel.
    """
    spans, count = np.empty((windows, 4), np.intp), 0
    for i in range(windows):
        low, high = max(0, padding - step * i), min(taps, size + padding - step * i)
        if count == 0 or spans[count - 1, 2] != low or spans[count - 1, 3] != high:
            spans[count, 0], spans[count, 2], spans[count, 3] = i, low, high
            count += 1
        spans[count - 1, 1] = i + 1
    return spans[:count]


@register_jitable
def _kinds(
    images: int, size: Pair, c: int, per: int, taps: int, step: int, padding: Pair, windows: Pair, phase: Pair,
    to_size: Pair, to_c: int,
) -> tuple[Array, Array, Array]:  # fmt: skip
    """Windows that meet the same taps, kind after kind; with step 2 for each pixel of the result, with 1 every other.

    A row for each kind (place in the lists, windows of an image, first word of the weight, taps, words of each tap),
    and two lists: the word at which a window begins, with C numbers a pixel, `per` of them a word; and where its result
    of `to_c` numbers goes. In the lists each kind has room for a tile more.
    """
    down = _spans(windows[0], size[0], taps, step, padding[0])
    across = _spans(windows[1], size[1], taps, step, padding[1])
    kinds, stride = np.empty((len(down) * len(across), 5), np.intp), 3 - step
    offsets = np.empty(images * windows[0] * windows[1] + len(kinds) * PIXELS, np.intp)
    to, p = np.empty_like(offsets), 0
    for kind in range(len(kinds)):
        (top, bottom, low, high), (left, right, near, far) = down[kind // len(across)], across[kind % len(across)]
        kinds[kind, 0], kinds[kind, 1] = p, (bottom - top) * (right - left)
        kinds[kind, 2], kinds[kind, 3] = (low * taps + near) * c // per, high - low
        kinds[kind, 4] = (far - near) * c // per
        for m in range(images):
            for i in range(top, bottom):
                line = (m * size[0] + step * i - padding[0] + low) * size[1] - padding[1] + near
                to_line = (m * to_size[0] + stride * i + phase[0]) * to_size[1] + phase[1]
                for j in range(left, right):
                    offsets[p] = (line + step * j) * c // per
                    to[p] = (to_line + stride * j) * to_c
                    p += 1
        p += PIXELS
    return kinds, offsets, to


@register_jitable
def _sum_kinds(
    kinds: Array, offsets: Array, to: Array, images: int, x: Array, line: int, weights: Array, start: int, block: int,
    pitch: int, out: Array, first: int, channels: int, bias: Array, least: float, gate: Array, asked: Array, ask: Pair,
) -> None:  # fmt: skip
    """All windows of some images, WIDE channels of the result at a time.

    line: words of a line of x. weights: blocks of so many words, from `start` on, `pitch` words from tap to tap. first:
    where the images' results begin in out. asked[ask[0]:ask[1]] is asked for meanwhile.
    """
    gated, tile = int(len(gate) == len(out)), 0
    tiles = kinds[:, 1].sum() * images // PIXELS + len(kinds)  # or a few less
    for place, area, word, taps, run in kinds:
        end = place + images * area
        offsets[end : end + PIXELS], to[end : end + PIXELS] = offsets[end - 1], to[end - 1]  # of the last tile
        for p in range(place, end, PIXELS):
            _ask_for(asked, ask[0], ask[1], tile, tiles)
            tile += 1
            for b in range(0, channels, WIDE):
                weight = start + b // WIDE * block + word * WIDE
                if end - p > FEW:
                    products(
                        out, to, first + b, bias[b:], least, gate, gated, x, offsets, p, line, taps, run, weights,
                        weight, pitch, x, 0, 0,
                    )  # fmt: skip
                else:
                    few_products(
                        out, to, first + b, bias[b:], least, gate, gated, x, offsets, p, line, taps, run, weights,
                        weight, pitch, x, 0, 0,
                    )  # fmt: skip


@compiled
def down(
    x: Array, n: int, tall: int, wide: int, padding: int, c: int, per: int, weights: Array, bias: Array, least: float,
    gate: Array, h: int, w: int, o: int, out: Array
) -> None:  # fmt: skip
    """x (N, H, W, C) and weights (O / WIDE, 4, 4, C, WIDE) in words of `per` C, bias (O,) → out (N, h, w, O); all flat.

    With padding C is a multiple of `per`. gate: as `out`, or WIDE ones.
    """
    line, taps = wide * c // per, 4 * c // per
    image, chunk = tall * line, _at_once(n, 4 * tall * line + h * w * o * out.itemsize)
    kinds, offsets, to = _kinds(chunk, (tall, wide), c, per, 4, 2, (padding, padding), (h, w), (0, 0), (h, w), o)
    for first in range(0, n, chunk):
        after = (first + chunk) * image
        _sum_kinds(
            kinds, offsets, to, min(chunk, n - first), x[first * image :], line, weights, 0, 4 * taps * WIDE,
            taps * WIDE, out, first * h * w * o, o, bias, least, gate, x, (after, after + chunk * image),
        )  # fmt: skip


@compiled
def up(
    y: Array, n: int, h: int, w: int, o: int, per: int, weights: Array, bias: Array, least: float, gate: Array,
    tall: int, wide: int, c: int, out: Array
) -> None:  # fmt: skip
    """y (N, h, w, O) and weights (2, 2, C / WIDE, 2, 2, O, WIDE) in words, bias (C,) → out (N, H, W, C); all flat.

    gate: as above.
    """
    line, taps, size = w * o // per, 2 * o // per, (tall, wide)
    image, chunk = h * line, _at_once(n, 4 * h * line + tall * wide * c * out.itemsize)
    phases = [
        _kinds(chunk, (h, w), o, per, 2, 1, (1 - a, 1 - b), ((tall - a + 1) // 2, (wide - b + 1) // 2), (a, b), size, c)
        for a in (0, 1)
        for b in (0, 1)
    ]
    for first in range(0, n, chunk):
        after, quarter = (first + chunk) * image, chunk * image // 4
        for phase, (kinds, offsets, to) in enumerate(phases):
            _sum_kinds(
                kinds, offsets, to, min(chunk, n - first), y[first * image :], line, weights, phase * c * 2 * taps,
                2 * taps * WIDE, taps * WIDE, out, first * tall * wide * c, c, bias, least, gate, y,
                (after + phase * quarter, after + (phase + 1) * quarter),
            )  # fmt: skip


@compiled
def up_to_few(
    y: Array, n: int, h: int, w: int, o: int, weights: Array, bias: Array, c: int, tall: int, wide: int, out: Array
) -> None:  # fmt: skip
    """As `up`, for few channels C: each pixel's 16C products are added where they meet.

    y (N, h, w, O) and weights (O, 16C) in words.
    """
    chunk = max(1, min(n, CHUNK // (h * w * o * 8)))
    pitch = -(-chunk * h * w // WIDE) * WIDE
    turned = np.zeros(o * pitch, y.dtype)
    nothing = 16 * c * pitch + LANES  # where as many zeros are as a line is made of
    met = np.zeros(nothing + (3 * c + 1) * pitch + w + 2 * LANES, np.float32)  # a plane for each of the products
    offsets, lines = np.arange(o) * 16 * c, np.arange(o) * pitch
    pixels_of = np.empty(2 * (w + 1 + LANES), np.float32)
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
                    met, LANES + tap * pitch + p, pitch, weights, offsets, tap, tap + ROWS // 2, turned, lines, p, o
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


# -- weight: sums over what a tap meets


@register_jitable
def _met(
    images: int, size: Pair, c: int, padding: int, windows: Pair, o: int
) -> tuple[Array, Array, Array]:
    """The windows in which each tap meets a pixel: how many of an image, where they begin, and where y has its pixel.

    Of the taps' rows and columns the second and the third meet the same, so there are 3 × 3 lists.
    """
    counts, room = np.empty(9, np.intp), images * windows[0] * windows[1]
    offsets, places = np.empty((9, room), np.intp), np.empty((9, room), np.intp)
    for number in range(9):
        low, high = np.empty(2, np.intp), np.empty(2, np.intp)
        for d, tap in enumerate(((0, 1, 3)[number // 3], (0, 1, 3)[number % 3])):
            low[d] = max(0, (padding - tap + 1) // 2)
            high[d] = min(windows[d], (size[d] - 1 + padding - tap) // 2 + 1)
        p = 0
        for m in range(images):
            for i in range(low[0], high[0]):
                for j in range(low[1], high[1]):
                    offsets[number, p] = ((m * size[0] + 2 * i - padding) * size[1] + 2 * j - padding) * c
                    places[number, p] = ((m * windows[0] + i) * windows[1] + j) * o
                    p += 1
        counts[number] = (high[0] - low[0]) * (high[1] - low[1])
    return counts, offsets, places


@register_jitable
def _add_taps(
    out: Array, x: Array, line: int, c: int, y: Array, o: int, images: int, counts: Array, offsets: Array, places: Array
) -> None:  # fmt: skip
    """All 16C × O sums; rows go by the taps' rows k, within one by their columns and channels."""
    half = ROWS // 2
    for row in range(0, 16 * c, ROWS):
        k, r = row // (4 * c), row % (4 * c)
        low = k * line + r
        high = low + half if r + half < 4 * c else (k + 1) * line  # with one channel two rows of four make a tile
        number = 3 * ((k + 1) // 2) + (r // c + 1) // 2
        count = images * counts[number]
        if count:
            for b in range(0, o, WIDE):
                outer(out, row * o + b, o, x, offsets[number], low, high, y, places[number], b, count)


@compiled
def weight(
    x: Array, y: Array, n: int, tall: int, wide: int, padding: int, c: int, h: int, w: int, o: int, out: Array
) -> None:  # fmt: skip
    """x (N, H, W, C), y (N, h, w, O), float32 → added to out (4, 4, C, O); all flat. With padding, C fills tiles."""
    size, y_size = tall * wide * c, h * w * o
    chunk = _at_once(n, 4 * (size + y_size))
    counts, offsets, places = _met(chunk, (tall, wide), c, padding, (h, w), o)
    for first in range(0, n, chunk):
        _add_taps(
            out, x[first * size :], wide * c, c, y[first * y_size :], o, min(chunk, n - first), counts, offsets,
            places,
        )  # fmt: skip


@compiled
def weight_of_pairs(
    x: Array, y: Array, n: int, tall: int, wide: int, padding: int, c: int, h: int, w: int, o: int, out: Array
) -> None:  # fmt: skip
    """As `weight`, of bfloat16: two images make one of words."""
    size, y_size, pairs = tall * wide * c, h * w * o, (n + 1) // 2
    chunk = _at_once(pairs, 4 * (size + y_size))
    left, right = np.empty(chunk * size, np.uint32), np.empty(chunk * y_size, np.uint32)
    counts, offsets, places = _met(chunk, (tall, wide), c, padding, (h, w), o)
    for first in range(0, pairs, chunk):
        count = min(chunk, pairs - first)
        for pair in range(count):
            image = 2 * (first + pair)
            _zip(x[image * size : (image + 1) * size], x[(image + 1) * size : (image + 2) * size], left[pair * size :])
            _zip(
                y[image * y_size : (image + 1) * y_size],
                y[(image + 1) * y_size : (image + 2) * y_size],
                right[pair * y_size :],
            )
        _add_taps(out, left, wide * c, c, right, o, count, counts, offsets, places)


@register_jitable
def _zip(a: Array, b: Array, out: Array) -> None:
    """Two halves a word, those of a below; of nothing at all, zeros."""
    whole = len(a) // LANES * LANES if len(b) else 0
    if whole:
        zip_rows(a, b, out, whole)
    for i in range(whole, len(a)):
        out[i] = np.uint32(a[i]) | (np.uint32(b[i]) << np.uint32(16) if len(b) else np.uint32(0))


# -- how images lie


@compiled
def frame(x: Array, n: int, tall: int, wide: int, c: int, rows: int, columns: int, framed: Array) -> None:
    """(N, H, W, C) → (N, rows, columns, C): a pixel of zeros above and to the left, the rest below and to the right."""
    for m in range(n):
        image = framed[m * rows * columns * c : (m + 1) * rows * columns * c]
        image[: columns * c] = 0
        image[(1 + tall) * columns * c :] = 0
        for i in range(tall):
            line, start = image[(1 + i) * columns * c : (2 + i) * columns * c], (m * tall + i) * wide * c
            line[:c] = 0
            line[(1 + wide) * c :] = 0
            inside, pixels = line[c : (1 + wide) * c], x[start : start + wide * c]
            for k in range(wide * c):
                inside[k] = pixels[k]


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
