"""Image files to tensors: out of a folder or straight out of a zip, by one recipe, cached.

Letters:  N images · C channels · S size of the square, pixels
"""

import hashlib
import io
import os
import threading
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory

import numpy as np
import PIL
import torch
from PIL import Image, ImageOps, UnidentifiedImageError
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from bench.errors import DataError

SUFFIXES = (".png", ".jpg", ".jpeg")
CHUNK = 256  #: images a thread takes at a time
RECIPE_VERSION = 1  #: raise it when `Recipe` gives other pixels: cached images are then made anew


@dataclass(frozen=True)
class Recipe:
    """How a picture becomes pixels; the order is part of the definition.

    1. Turned as its EXIF orientation says; what is transparent is laid on white.
    2. `channels` 1: grey, luma L = 0.299 R + 0.587 G + 0.114 B (ITU-R 601-2, Pillow's "L"); 3: RGB.
    3. Cut to the centred square of side `crop`, or of the shorter side where that is None; an odd pixel is
       lost at the right or bottom.
    4. Resized to `size` × `size`, if it is not that size already, with Pillow's bicubic filter (antialiased).

    The filter is named because it matters: Parmar et al. 2022, https://arxiv.org/abs/2104.11222, find that
    the resize implementation alone changes FID, and take Pillow's bicubic as theirs.
    """

    size: int
    channels: int
    crop: int | None = None

    def __call__(self, picture: bytes) -> np.ndarray:
        """uint8 (C, S, S). Raises ValueError for what is no 8-bit png or jpg, and whatever Pillow raises."""
        try:
            image = Image.open(io.BytesIO(picture), formats=("PNG", "JPEG"))
        except UnidentifiedImageError:  # its words name a Python object
            raise ValueError("neither png nor jpg inside") from None
        with image:
            square = self._square(_plain(image, "L" if self.channels == 1 else "RGB"))
        if square.size != (self.size, self.size):
            square = square.resize((self.size, self.size), Image.Resampling.BICUBIC)
        return np.asarray(square).reshape(self.size, self.size, self.channels).transpose(2, 0, 1)

    def _square(self, image: Image.Image) -> Image.Image:
        width, height = image.size
        side = self.crop or min(width, height)
        if side > min(width, height):
            raise ValueError(f"{width}×{height} pixels, too small for a centre crop of {side}")
        left, top = (width - side) // 2, (height - side) // 2
        return image if width == height == side else image.crop((left, top, left + side, top + side))


def _plain(image: Image.Image, mode: str) -> Image.Image:
    if image.mode.startswith(("I", "F")):  # Pillow would clip them without a word
        raise ValueError(f"mode {image.mode}: more than 8 bits a channel")
    ImageOps.exif_transpose(image, in_place=True)
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return image.convert(mode)


class FolderFiles:
    """The images below a folder."""

    def __init__(self, path: Path) -> None:
        self.path = path
        found = (Path(at, file) for at, _, files in os.walk(path, followlinks=True) for file in files)
        self.names = _images(file.relative_to(path).as_posix() for file in found)

    def read(self, name: str) -> bytes:
        return (self.path / name).read_bytes()

    def stamp(self) -> list[tuple[str, int, int]]:
        """Differs when a file was added, removed, or changed in size or time."""
        stats = [(name, (self.path / name).stat()) for name in self.names]
        return [(name, s.st_size, s.st_mtime_ns) for name, s in stats]

    def close(self) -> None:
        """Nothing is held open."""


class ZipFiles:
    """The images inside a zip, only ever read: a member's name never becomes a path. Raises `DataError`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self._archive = zipfile.ZipFile(path)
        except (OSError, zipfile.BadZipFile) as error:
            raise DataError(f"{path}: cannot be read as a zip ({error})") from error
        self._lock = threading.Lock()  # the book-keeping of ZipFile is not safe between threads
        self.names = _images(info.filename for info in self._archive.infolist() if not info.is_dir())

    def read(self, name: str) -> bytes:
        with self._lock:
            return self._archive.read(name)

    def stamp(self) -> list[tuple[str, int, int]]:
        """Differs when the zip was changed in size or time."""
        stat = self.path.stat()
        return [(self.path.name, stat.st_size, stat.st_mtime_ns)]

    def close(self) -> None:
        self._archive.close()


ImageFiles = FolderFiles | ZipFiles


@contextmanager
def open_images(path: Path) -> Iterator[ImageFiles]:
    """The image files below a folder or in a zip. Raises `DataError` for a zip that is none."""
    files = FolderFiles(path) if path.is_dir() else ZipFiles(path)
    try:
        yield files
    finally:
        files.close()


def _images(names: Iterable[str]) -> list[str]:
    """Of POSIX names those of png and jpg files, sorted; none hidden, nor macOS's shadows in a zip."""
    return sorted(
        name
        for name in names
        if name.lower().endswith(SUFFIXES)
        and not any(part.startswith((".", "__MACOSX")) for part in PurePosixPath(name).parts)
    )


def decode(files: ImageFiles, names: Sequence[str], recipe: Recipe) -> Tensor:
    """The named images as uint8 (N, C, S, S), in that order. Raises `DataError` naming an unreadable one."""
    pixels = np.empty((len(names), recipe.channels, recipe.size, recipe.size), dtype=np.uint8)

    def fill(start: int) -> None:
        for row in range(start, min(start + CHUNK, len(names))):
            try:
                pixels[row] = recipe(files.read(names[row]))
            except Exception as error:  # Pillow and zipfile have a dozen kinds for a damaged file
                raise DataError(f"{files.path}: {names[row]} cannot be read as an image ({error})") from error

    with ThreadPoolExecutor(os.cpu_count()) as pool:  # Pillow decodes outside the interpreter's lock
        list(pool.map(fill, range(0, len(names), CHUNK)))
    return torch.from_numpy(pixels)


def decode_cached(files: ImageFiles, splits: dict[str, list[str]], recipe: Recipe, cache: Path) -> dict[str, Tensor]:
    """`decode` for each split, kept under the folder `cache` in one file.

    Its name is a hash of the recipe, the names, and the size and time of every file, so that nothing stale is
    ever read. A cache that cannot be written (a data root may be read-only) or read costs time, nothing else.
    """
    makers = (RECIPE_VERSION, PIL.__version__, recipe)
    identity = repr((makers, files.path.resolve().as_posix(), files.stamp(), splits))
    kept = cache / f"images-{hashlib.sha256(identity.encode()).hexdigest()[:24]}.safetensors"
    try:
        return load_file(kept)
    except (OSError, SafetensorError):
        pixels = {split: decode(files, names, recipe) for split, names in splits.items()}
    with suppress(OSError, SafetensorError):
        _write(kept, pixels)
    return pixels


def _write(path: Path, tensors: dict[str, Tensor]) -> None:
    """All or nothing: another process may be reading, or this one be killed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=path.parent, prefix=".") as folder:
        save_file(tensors, Path(folder, path.name))
        Path(folder, path.name).replace(path)
