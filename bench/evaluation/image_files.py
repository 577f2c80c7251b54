"""Image grids as PNG or WebP files and frames as GIF, encoded by Pillow.

A cell's pictures are committed beside its record, so each has a budget in bytes. The same picture with the same budget
gives the same bytes.
"""

import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image
from torch import Tensor

from bench.results.record import PICTURES
from bench.results.store import write_bytes

GAP = 1  #: pixels between images
GREY = 128  #: value of the gap, and of places without an image
QUALITIES = (90, 75, 50, 25)  #: of WebP
SHRINKS = (1, 2, 4, 8)  #: the picture's side is divided by these where no quality fits the budget
GIF_COLOURS = (64, 16)
FRAME_MS = 110  #: milliseconds that a GIF shows a frame


def rows(*images: Tensor) -> np.ndarray:
    """Each argument (N, C, H, W) uint8 becomes one row: (rows · (H + GAP), N · (W + GAP), C)."""
    return np.concatenate([_row(row) for row in images])


def _row(images: Tensor) -> np.ndarray:
    n, channels, height, width = images.shape
    row = np.full((height + GAP, n, width + GAP, channels), GREY, np.uint8)
    row[:height, :, :width] = images.permute(2, 0, 3, 1).cpu().numpy()
    return row.reshape(height + GAP, n * (width + GAP), channels)


def grid(images: Tensor, columns: int) -> np.ndarray:
    """(N, C, H, W) uint8 as a grid of `columns`; an incomplete last row is dropped."""
    full = len(images) // columns * columns
    return rows(*images[:full].split(columns)) if full else rows(images)


def encode(picture: np.ndarray, budget: int | None = None) -> tuple[str, bytes]:
    """The suffix and bytes of the first encoding, from exact to coarse, that takes at most `budget` bytes.

    picture: (H, W, C) uint8, or frames (T, H, W, C) for a GIF. The coarsest encoding is used where none fits. Without a
    budget a still is exact.
    """
    encodings = _gifs(picture) if picture.ndim == 4 else _stills(_image(picture))
    found = next(encodings)
    while budget is not None and len(found[1]) > budget and (coarser := next(encodings, None)):
        found = coarser
    return found


def exact(picture: np.ndarray, suffix: str) -> bytes:
    """A picture (H, W, C) as lossless .png or .webp, or frames (T, H, W, C) as .gif with the most colours."""
    if suffix == ".webp":
        return _encoded(_image(picture).convert("RGB"), "WEBP", lossless=True, quality=100)
    assert suffix == (".gif" if picture.ndim == 4 else ".png"), suffix
    return encode(picture)[1]


def save(name: str, picture: np.ndarray, folder: Path, budget: int) -> Path:
    """Write a picture as `<name>.<suffix>`, atomically, and remove one of that name in another format."""
    suffix, content = encode(picture, budget)
    path = folder / f"{name}{suffix}"
    if not path.is_file() or path.read_bytes() != content:
        write_bytes(path, content)
    for other in PICTURES:
        if other != suffix:
            (folder / f"{name}{other}").unlink(missing_ok=True)
    return path


def _image(picture: np.ndarray) -> Image.Image:
    """Grey where C is 1, with a palette where 256 colours are exact (heatmaps), else RGB."""
    image = Image.fromarray(picture[..., 0] if picture.shape[2] == 1 else picture)
    palette = image.quantize(256) if image.mode == "RGB" and image.getcolors(256) else image
    return palette if np.array_equal(np.asarray(palette.convert(image.mode)), np.asarray(image)) else image


def _stills(image: Image.Image) -> Iterator[tuple[str, bytes]]:
    yield ".png", _encoded(image, "PNG", optimize=True)
    if image.mode == "L":
        yield ".png", _encoded(image.quantize(16), "PNG", optimize=True)
    for shrink in SHRINKS:
        for quality in QUALITIES:
            yield ".webp", _encoded(image.convert("RGB").reduce(shrink), "WEBP", quality=quality)


def _gifs(frames: np.ndarray) -> Iterator[tuple[str, bytes]]:
    """One palette for all frames. The first frame and the middle one, where the motion turns, stay six times longer."""
    durations = [FRAME_MS * (6 if index in (0, len(frames) // 2) else 1) for index in range(len(frames))]
    wide = np.repeat(frames, 3, axis=3) if frames.shape[3] == 1 else frames
    for shrink in SHRINKS:
        stacked = Image.fromarray(np.concatenate([np.asarray(Image.fromarray(f).reduce(shrink)) for f in wide]))
        height = stacked.height // len(frames)
        for colours in GIF_COLOURS:
            flat = stacked.quantize(colours, dither=Image.Dither.NONE)
            stills = [flat.crop((0, top, flat.width, top + height)) for top in range(0, flat.height, height)]
            yield ".gif", _encoded(stills[0], "GIF", save_all=True, append_images=stills[1:], duration=durations,
                                   loop=0, optimize=False)  # fmt: skip


def _encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()
