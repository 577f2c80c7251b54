"""dSprites: a white square, ellipse or heart of 6 sizes, 40 orientations, 32×32 places, 64×64, 737,280 images."""

import zipfile
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np
from numpy.lib import format as npy

from bench.errors import DataError

from . import Data, Factor
from ._combinations import checked, chosen, split_combinations
from ._torchvision import TorchvisionDataset

FILE = "dsprites_ndarray_co1sh3sc6or40x32y32_64x64.npz"
FACTORS = (Factor("shape", 3, categorical=True), Factor("scale", 6), Factor("orientation", 40), Factor("x", 32),
           Factor("y", 32))  # fmt: skip
COUNT = 737_280
BLOCK = 4096  #: images read at once


class DSprites(TorchvisionDataset):
    """The published npz. Its factor `color` has one value and is left out; the label is the shape.

    - Only the arrays `imgs` and `latents_classes` are read. The file also holds a pickle (`metadata`), never opened.
    - Pixels 0 and 1 become 0 and 255.
    - `combinations`: how many images are read, a fixed random subset; 0: all of them, 3 GB in memory.
    - Split: a fifth of those, at most 10,000, drawn at random once, tests. The source has no split.

    The md5 is the one that several independent loaders demand; the authors publish none.
    """

    title: ClassVar[str] = "dSprites"
    symbol: ClassVar[str] = "dSprites"
    reference: ClassVar[str] = (
        "Matthey, Higgins, Hassabis & Lerchner, dSprites: Disentanglement testing Sprites dataset, 2017, "
        "https://github.com/google-deepmind/dsprites-dataset"
    )
    channels: ClassVar[int | None] = 1
    size: ClassVar[int | None] = 64
    images: ClassVar[int | None] = 737_280
    source: ClassVar[str] = "dSprites, https://github.com/google-deepmind/dsprites-dataset"
    folder: ClassVar[str] = "dsprites"
    files: ClassVar[tuple[tuple[str, ...], ...]] = (("dsprites_ndarray_co1sh3sc6or40x32y32_64x64.npz",),)
    urls: ClassVar[tuple[str, ...]] = (
        "https://github.com/google-deepmind/dsprites-dataset/raw/master/dsprites_ndarray_co1sh3sc6or40x32y32_64x64.npz",
    )
    classes: ClassVar[tuple[str, ...]] = ("square", "ellipse", "heart")
    md5: ClassVar[dict[str, str]] = {
        "dsprites_ndarray_co1sh3sc6or40x32y32_64x64.npz": "7da33b31b13a06f4b04a70402ce90c2e"
    }

    def __init__(
        self, *, combinations: int = 0, binarise: Literal["none", "threshold", "static", "dynamic"] = "none"
    ) -> None:
        """Raises `UsageError` for more combinations than there are."""
        super().__init__(binarise=binarise)
        self.combinations = checked(combinations, COUNT, self.name)

    def download(self, root: Path) -> None:
        from torchvision.datasets.utils import download_url

        download_url(self.urls[0], str(self.where(root)), FILE, self.md5[FILE])

    def read(self, root: Path) -> Data:
        path = self.find(root, FILE)
        rows = chosen(self.combinations, COUNT)
        try:
            with zipfile.ZipFile(path) as file:
                images = _rows(file, "imgs.npy", rows)
                values = _rows(file, "latents_classes.npy", rows)
        except DataError as error:
            raise DataError(f"{path}: {error}") from error
        except Exception as error:  # zipfile, zlib and numpy have half a dozen kinds for a damaged file
            raise DataError(f"{path}: truncated or damaged ({error})") from error
        if images.shape[1:] != (64, 64) or images.dtype != np.uint8 or images.max() > 1:
            raise DataError(f"{path}: imgs are {images.dtype} {images.shape}, expected uint8 of 0 and 1, 64×64")
        classes, source = self.classes, self.source
        return split_combinations(self.name, 255 * images[:, None], values[:, 1:], FACTORS, "shape", classes, source)


def _rows(file: zipfile.ZipFile, name: str, rows: np.ndarray) -> np.ndarray:
    """The rows of an array in a zip where the mask `rows` (N,) is True, without holding all of them in memory.

    Raises `DataError` for an array of objects, or of another number of rows.
    """
    with file.open(name) as stream:
        read = npy.read_array_header_1_0 if npy.read_magic(stream) == (1, 0) else npy.read_array_header_2_0
        shape, by_columns, dtype = read(stream)
        if dtype.hasobject or by_columns or shape[:1] != rows.shape:
            raise DataError(f"{name} is {dtype} {shape}, expected {len(rows)} rows of numbers")
        width = dtype.itemsize * int(np.prod(shape[1:]))
        found = np.empty((int(rows.sum()), *shape[1:]), dtype)
        at = 0
        for start in range(0, len(rows), BLOCK):
            wanted = rows[start : start + BLOCK]
            raw = stream.read(width * len(wanted))
            block = np.frombuffer(raw, dtype).reshape(len(wanted), *shape[1:])[wanted]
            found[at : at + len(block)] = block
            at += len(block)
    return found
