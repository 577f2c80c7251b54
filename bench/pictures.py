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

from .store import write_bytes

GAP = 1  #: pixels between images
GREY = 128
LEVELS = 16  #: greys of the smaller PNG: 4 bits a pixel
HOPELESS = 16  #: a lossless file of images is never so many times smaller than its pixels
QUALITIES = (90, 75, 50, 25)  #: of WebP
SHRINKS = (1, 2, 4, 8)  #: and if no quality helps, a smaller picture
COLOURS = (64, 16)  #: of a GIF
FRAME_MS = 110  #: milliseconds a frame of a GIF stands
SUFFIXES = (".png", ".webp", ".gif")


def rows(*images: Tensor) -> np.ndarray:
    """Each argument (N, C, H, W) uint8 becomes one row: (rows · H, N · W, C) with a grey gap."""
    return np.concatenate([_padded(np.concatenate([_tile(i) for i in row], axis=1), 0) for row in images])


def grid(images: Tensor, columns: int) -> np.ndarray:
    """(N, C, H, W) uint8 as a grid of `columns`; an incomplete last row is dropped."""
    full = len(images) // columns * columns
    return rows(*images[:full].split(columns)) if full else rows(images)


def encode(picture: np.ndarray, budget: int | None = None) -> tuple[str, bytes]:
    """A picture's suffix and bytes: the best form that takes at most `budget` bytes, or the smallest there is.

    picture: (H, W, C) uint8, or frames (T, H, W, C) for a GIF. Without a budget a still is exact.
    """
    forms = _gifs(picture) if picture.ndim == 4 else _stills(picture, budget)
    suffix, content = next(forms)
    while budget is not None and len(content) > budget:
        try:
            suffix, content = next(forms)
        except StopIteration:
            break
    return suffix, content


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


def _stills(picture: np.ndarray, budget: int | None) -> Iterator[tuple[str, bytes]]:
    image = _image(picture)
    raw = image.width * image.height * len(image.getbands())
    if budget is None or raw <= HOPELESS * budget:
        yield ".png", _written(image, "PNG", optimize=True)
        if image.mode == "L":
            yield ".png", _written(_fewer_greys(image), "PNG", optimize=True, bits=4)
    for shrink in SHRINKS:
        smaller = image.convert("RGB").reduce(shrink)
        yield from ((".webp", _written(smaller, "WEBP", quality=q, method=4)) for q in QUALITIES)


def _image(picture: np.ndarray) -> Image.Image:
    """Grey where C is 1; with a palette where 256 colours are enough to be exact."""
    if picture.shape[2] == 1:
        return Image.fromarray(picture[..., 0])
    packed = picture.astype(np.uint32) @ np.array([1 << 16, 1 << 8, 1], np.uint32)
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


def _gifs(frames: np.ndarray) -> Iterator[tuple[str, bytes]]:
    """One palette for all frames; the first frame and the one in the middle, where it turns, stand longer."""
    stand = [FRAME_MS] * len(frames)
    stand[0] = stand[len(frames) // 2] = 6 * FRAME_MS
    wide = np.repeat(frames, 3, axis=3) if frames.shape[3] == 1 else frames
    for shrink in SHRINKS:
        stills = [Image.fromarray(frame).reduce(shrink) for frame in wide]
        for colours in COLOURS:
            first, *others = _with_one_palette(stills, colours)
            yield ".gif", _written(
                first, "GIF", save_all=True, append_images=others, duration=stand, loop=0, optimize=False
            )


def _with_one_palette(stills: Sequence[Image.Image], colours: int) -> list[Image.Image]:
    height = stills[0].height
    tower = Image.fromarray(np.concatenate([np.asarray(still) for still in stills]))
    flat = tower.quantize(colours, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
    return [flat.crop((0, i * height, flat.width, (i + 1) * height)) for i in range(len(stills))]


def _written(image: Image.Image, kind: str, **how: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **how)
    return buffer.getvalue()


def _tile(image: Tensor) -> np.ndarray:
    return _padded(image.permute(1, 2, 0).cpu().numpy(), 1)


def _padded(picture: np.ndarray, axis: int) -> np.ndarray:
    width = [(0, 0)] * 3
    width[axis] = (0, GAP)
    return np.pad(picture, width, constant_values=GREY)
