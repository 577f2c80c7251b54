"""Pictures as files: grids of images as PNG or WebP, moving ones as GIF, each within the bytes it is given.

A cell's pictures are committed beside its record, so that their size counts: grey images become PNG, with 16 levels of
grey where 256 take too many bytes; photographs, that no lossless format makes small, become WebP. The same picture
and the same budget give the same bytes.
"""

import io
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from PIL import Image
from torch import Tensor

from bench.results.store import write_bytes

GAP = 1  #: pixels between images
GREY = 128
LEVELS = 16  #: greys of the smaller PNG: 4 bits a pixel
HOPELESS = 16  #: a lossless file of images is never so many times smaller than its pixels
EXACT_COSTS = 1.5  #: exact greys take at least so many times the bytes of 16 (measured: 1.85 and more)
FINEST = 1.05  #: zlib's slowest level saves less than this (measured: 1.01), in five times the time of its usual one


#: qualities of WebP → the least share that a thorough file takes of the bytes of a hasty one
#: (least measured on grids of images: 0.88, 0.70, 0.67, 0.64)
QUALITIES = {90: 0.85, 75: 0.66, 50: 0.64, 25: 0.62}
SHRINKS = (1, 2, 4, 8)  #: and if no quality helps, a smaller picture
COLOURS = {64: 1.0, 16: 0.45}  #: of a GIF → the least share it takes of the bytes with 64 (measured: 0.53 and more)
FRAME_MS = 110  #: milliseconds a frame of a GIF stands
SUFFIXES = (".png", ".webp", ".gif")


def rows(*images: Tensor) -> np.ndarray:
    """Each argument (N, C, H, W) uint8 becomes one row: (rows · H, N · W, C) with a grey gap."""
    return np.concatenate([_row(row) for row in images])


def grid(images: Tensor, columns: int) -> np.ndarray:
    """(N, C, H, W) uint8 as a grid of `columns`; an incomplete last row is dropped."""
    full = len(images) // columns * columns
    return rows(*images[:full].split(columns)) if full else rows(images)


def encode(picture: np.ndarray, budget: int | None = None) -> tuple[str, bytes]:
    """A picture's suffix and bytes: the best form that takes at most `budget` bytes, or the smallest there is.

    picture: (H, W, C) uint8, or frames (T, H, W, C) for a GIF. Without a budget a still is exact.
    """
    if picture.ndim == 4:
        return _first_within(budget, _gifs(picture, budget))
    image = _image(picture)
    if budget is None:
        return ".png", _written(image, "PNG", optimize=True)
    return _first_within(budget, _stills(image, budget))


def _first_within(budget: int | None, forms: Iterator[tuple[str, bytes]]) -> tuple[str, bytes]:
    found = next(forms)
    while budget is not None and len(found[1]) > budget:
        smaller = next(forms, None)
        if smaller is None:
            break
        found = smaller
    return found


def exact(picture: np.ndarray, suffix: str) -> bytes:
    """A picture (H, W, C) as .png or .webp without loss, or frames (T, H, W, C) as .gif in its best colours."""
    if suffix == ".webp":
        return _written(_image(picture).convert("RGB"), "WEBP", lossless=True, quality=100, method=4)
    assert suffix == (".gif" if picture.ndim == 4 else ".png"), suffix
    return encode(picture)[1]


def save(name: str, picture: np.ndarray, folder: Path, budget: int) -> Path:
    """Write a picture as `<name>.<suffix>`, atomically; one of that name in another format gives way to it."""
    suffix, content = encode(picture, budget)
    path = folder / f"{name}{suffix}"
    if not path.is_file() or path.read_bytes() != content:
        write_bytes(path, content)
    for other in SUFFIXES:
        if other != suffix:
            (folder / f"{name}{other}").unlink(missing_ok=True)
    return path


def _stills(image: Image.Image, budget: int) -> Iterator[tuple[str, bytes]]:
    """Best first; forms that are known to be too large without making them are left out."""
    if image.width * image.height * len(image.getbands()) <= HOPELESS * budget:
        yield from ((".png", content) for content in _pngs(image, budget))
    wide = image.convert("RGB")
    for shrink in SHRINKS:
        yield from ((".webp", content) for content in _webps(wide.reduce(shrink), budget, shrink == SHRINKS[-1]))


def _pngs(image: Image.Image, budget: int) -> Iterator[bytes]:
    if image.mode != "L":
        yield _png(image, budget)
        return
    smaller = _png(_fewer_greys(image), budget, bits=4)
    if EXACT_COSTS * len(smaller) <= budget or len(set(image.tobytes())) <= LEVELS:
        yield _png(image, budget)
    yield smaller


def _png(image: Image.Image, budget: int, **how: int) -> bytes:
    content = _written(image, "PNG", **how)
    if budget < len(content) <= FINEST * budget:
        return _written(image, "PNG", optimize=True, **how)
    return content


def _webps(image: Image.Image, budget: int, last: bool) -> Iterator[bytes]:
    """What cannot fit is told by a hasty try, in a third of the time. last: there is no smaller picture to turn to."""
    for quality, share in QUALITIES.items():
        hasty = len(_written(image, "WEBP", quality=quality, method=0))
        if share * hasty <= budget or (last and quality == min(QUALITIES)):
            yield _written(image, "WEBP", quality=quality, method=4)


def _image(picture: np.ndarray) -> Image.Image:
    """Grey where C is 1; with a palette where 256 colours are enough to be exact."""
    if picture.shape[2] == 1:
        return Image.fromarray(picture[..., 0])
    packed = picture.astype(np.uint32) @ np.array([1 << 16, 1 << 8, 1], np.uint32)
    if len(np.unique(packed.flat[::16])) > 256:  # photographs: told without sorting all of it
        return Image.fromarray(picture)
    colours, index = np.unique(packed, return_inverse=True)
    if len(colours) > 256:
        return Image.fromarray(picture)
    image = Image.fromarray(index.reshape(packed.shape).astype(np.uint8)).convert("P")
    image.putpalette([channel for c in colours.tolist() for channel in (c >> 16, c >> 8 & 255, c & 255)])
    return image


def _fewer_greys(image: Image.Image) -> Image.Image:
    step = 255 // (LEVELS - 1)
    index = (np.asarray(image).astype(np.uint16) + step // 2) // step
    fewer = Image.fromarray(index.astype(np.uint8)).convert("P")
    fewer.putpalette([level * step for level in range(LEVELS) for _ in "rgb"])
    return fewer


def _gifs(frames: np.ndarray, budget: int | None) -> Iterator[tuple[str, bytes]]:
    """One palette for all frames; the first frame and the one in the middle, where it turns, stand longer."""
    stand = [FRAME_MS] * len(frames)
    stand[0] = stand[len(frames) // 2] = 6 * FRAME_MS
    wide = np.repeat(frames, 3, axis=3) if frames.shape[3] == 1 else frames
    for shrink in SHRINKS:
        stills = [Image.fromarray(frame).reduce(shrink) for frame in wide]
        largest = 0
        for colours, share in COLOURS.items():
            if budget is None or share * largest <= budget or shrink == SHRINKS[-1]:
                first, *others = _with_one_palette(stills, colours)
                how = {"append_images": others, "duration": stand, "loop": 0}
                content = _written(first, "GIF", save_all=True, optimize=False, **how)
                largest = largest or len(content)
                yield ".gif", content


def _with_one_palette(stills: Sequence[Image.Image], colours: int) -> list[Image.Image]:
    height = stills[0].height
    tower = Image.fromarray(np.concatenate([np.asarray(still) for still in stills]))
    flat = tower.quantize(colours, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
    return [flat.crop((0, i * height, flat.width, (i + 1) * height)) for i in range(len(stills))]


def _written(image: Image.Image, kind: str, **how: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **how)
    return buffer.getvalue()


def _row(images: Tensor) -> np.ndarray:
    """Images (N, C, H, W) side by side, (H, N · W, C), with a gap behind and below each."""
    n, channels, height, width = images.shape
    row = np.full((height + GAP, n, width + GAP, channels), GREY, np.uint8)
    row[:height, :, :width] = images.permute(2, 0, 3, 1).cpu().numpy()
    return row.reshape(height + GAP, n * (width + GAP), channels)
