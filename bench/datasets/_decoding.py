"""Many image files to one tensor, with several threads, kept in a cache."""

import hashlib
import os
import warnings
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import PIL
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from ._image_files import ImageFiles
from ._recipe import RECIPE_VERSION, Recipe, UnusableImageError

CHUNK = 256  #: images that a thread takes at a time


def decode(files: ImageFiles, names: Sequence[str], recipe: Recipe) -> Tensor:
    """The named images as uint8 (N, C, S, S), in that order; unreadable ones are added to `files.problems`."""
    pixels = np.zeros((len(names), recipe.channels, recipe.size, recipe.size), dtype=np.uint8)

    def fill(start: int) -> None:
        for row in range(start, min(start + CHUNK, len(names))):
            try:
                pixels[row] = recipe(files.read(names[row]))
            except UnusableImageError as error:
                files.problems.add(str(error), names[row], error.detail)
            except Exception as error:  # Pillow and zipfile have a dozen kinds for a damaged file
                files.problems.add("unreadable", names[row], str(error) or type(error).__name__)

    with warnings.catch_warnings(), ThreadPoolExecutor(os.cpu_count()) as pool:  # Pillow decodes outside of the GIL
        warnings.simplefilter("ignore")  # of odd metadata, and of sizes that `Recipe` refuses
        list(pool.map(fill, range(0, len(names), CHUNK)))
    return torch.from_numpy(pixels)


def decode_cached(files: ImageFiles, splits: dict[str, list[str]], recipe: Recipe, cache: Path) -> dict[str, Tensor]:
    """`decode` for each split, kept under the folder `cache` in one file. Raises one `DataError` for all problems.

    The name of the cached file is a hash of the recipe, the names, and the size and time of every image, so a stale one
    is never read. A cache that cannot be written (a data root may be read-only) or read costs time only.
    """
    makers = (RECIPE_VERSION, PIL.__version__, recipe)
    identity = repr((makers, files.path.resolve().as_posix(), files.stamp(), splits))
    kept = cache / f"images-{hashlib.sha256(identity.encode()).hexdigest()[:24]}.safetensors"
    try:
        pixels = load_file(kept)
    except (OSError, SafetensorError):
        pixels = {split: decode(files, names, recipe) for split, names in splits.items()}
        files.problems.refuse(files.path, files.total)
        with suppress(OSError, SafetensorError):
            _write(kept, pixels)
    files.problems.refuse(files.path, files.total)
    return pixels


def _write(path: Path, tensors: dict[str, Tensor]) -> None:
    """Write all or nothing: another process may be reading, and this one may be killed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=path.parent, prefix=".") as folder:
        save_file(tensors, Path(folder, path.name))
        Path(folder, path.name).replace(path)
