"""Many images to one tensor, with several threads, kept in a cache."""

import hashlib
import math
import os
import warnings
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import PIL
import torch
from PIL import Image
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from bench.errors import DataError

from ._image_files import ImageFiles
from ._problems import Problems
from ._recipe import RECIPE_VERSION, Recipe, UnusableImageError

CHUNK = 256  #: images that a thread takes at a time


def decode(
    read: Callable[[int], bytes | Image.Image],
    names: Sequence[str],
    recipe: Recipe,
    problems: Problems,
    shape: tuple[int, ...] | None = None,
) -> Tensor:
    """The images as uint8 (N, C, H, W); `read` gives that of a row. Unreadable ones are added to `problems`.

    shape: (C, H, W) that all must have; by default that of the first one that can be read.
    """
    wanted = shape or first_shape(read, len(names), recipe)
    try:
        pixels = np.zeros((len(names), *wanted), dtype=np.uint8)
    except MemoryError as error:
        gigabytes = len(names) * math.prod(wanted) / 1e9
        raise DataError(
            f"{len(names)} images of {shape_words(wanted)} take {gigabytes:.0f} GB, more than there is memory for; "
            "choose a smaller size"
        ) from error

    def fill(start: int) -> None:
        for row in range(start, min(start + CHUNK, len(names))):
            try:
                image = recipe(read(row))
                if image.shape != wanted:
                    raise UnusableImageError(f"not {shape_words(wanted)} as the first one", shape_words(image.shape))
                pixels[row] = image
            except UnusableImageError as error:
                problems.add(str(error), names[row], error.detail)
            except Exception as error:  # Pillow and zipfile have a dozen kinds for a damaged file
                problems.add("unreadable", names[row], str(error) or type(error).__name__)

    with warnings.catch_warnings(), ThreadPoolExecutor(os.cpu_count()) as pool:  # Pillow decodes outside of the GIL
        warnings.simplefilter("ignore")  # of odd metadata, and of sizes that `Recipe` refuses
        list(pool.map(fill, range(0, len(names), CHUNK)))
    return torch.from_numpy(pixels)


def first_shape(read: Callable[[int], bytes | Image.Image], count: int, recipe: Recipe) -> tuple[int, ...]:
    """(C, H, W) of the first image that can be read; what the recipe says where it fixes them."""
    if recipe.size is not None and recipe.channels is not None:
        return (recipe.channels, recipe.size, recipe.size)
    for row in range(count):
        with suppress(Exception):  # `decode` says what is wrong with it
            return recipe(read(row)).shape
    return (1, 1, 1)


def shape_words(shape: Sequence[int]) -> str:
    """
    >>> shape_words((3, 20, 28))
    '3×20×28'
    """
    return "×".join(map(str, shape))


def decode_cached(files: ImageFiles, splits: dict[str, list[str]], recipe: Recipe, cache: Path) -> dict[str, Tensor]:
    """`decode` for each split of image files, kept under the folder `cache`. Raises one `DataError` for all problems.

    What is kept is known by the names, and the size and time of every image, so a stale one is never read.
    """

    def one(names: list[str]) -> Tensor:
        return decode(lambda row: files.read(names[row]), names, recipe, files.problems)

    def make() -> dict[str, Tensor]:
        pixels = {split: one(names) for split, names in splits.items()}
        files.problems.refuse(files.path, files.total)
        return pixels

    pixels = cached((files.path.resolve().as_posix(), files.stamp(), splits), recipe, cache, make)
    files.problems.refuse(files.path, files.total)
    return pixels


def cached(identity: Any, recipe: Recipe, cache: Path, make: Callable[[], dict[str, Tensor]]) -> dict[str, Tensor]:
    """What `make` gives, kept under the folder `cache` in one file, whose name is a hash of identity and recipe.

    A cache that cannot be written (a data root may be read-only) or read costs time only.
    """
    text = repr(((RECIPE_VERSION, PIL.__version__, recipe), *identity))
    kept = cache / f"images-{hashlib.sha256(text.encode()).hexdigest()[:24]}.safetensors"
    try:
        return load_file(kept)
    except (OSError, SafetensorError):
        tensors = make()
        with suppress(OSError, SafetensorError):
            _write(kept, tensors)
        return tensors


def _write(path: Path, tensors: dict[str, Tensor]) -> None:
    """Write all or nothing: another process may be reading, and this one may be killed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=path.parent, prefix=".") as folder:
        save_file(tensors, Path(folder, path.name))
        Path(folder, path.name).replace(path)
