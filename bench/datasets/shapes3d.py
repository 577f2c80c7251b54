"""3D Shapes: an object in a room; three hues, scale, shape, orientation; 64×64 colour, 480,000 images."""

from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np

from bench.errors import DataError

from . import Data, Factor
from ._combinations import checked, chosen, split_combinations
from ._torchvision import TorchvisionDataset

FILE = "3dshapes.h5"
FACTORS = (Factor("floor hue", 10), Factor("wall hue", 10), Factor("object hue", 10), Factor("scale", 8),
           Factor("shape", 4, categorical=True), Factor("orientation", 15))  # fmt: skip
COUNT = 480_000
BLOCK = 4096  #: images read at once


class Shapes3D(TorchvisionDataset):
    """The published HDF5 file, read with h5py (`pip install 'latent-bench[shapes3d]'`). The label is the shape.

    - A factor's values are numbered in ascending order of the numbers in the file. The names of shapes are ours.
    - `combinations`: how many images are read, a fixed random subset; 0: all of them, 5.9 GB in memory.
    - Split: a fifth of those, at most 10,000, drawn at random once, tests. The source has no split.

    The md5 is the one that several independent loaders demand; the authors publish none. TensorFlow Datasets demands
    the sha256 0a0f6ed98baff276a50f3a081a7434d788da63cb135a98189b2a5b5769be1785.
    """

    title: ClassVar[str] = "3D Shapes"
    symbol: ClassVar[str] = "3D Shapes"
    reference: ClassVar[str] = "Burgess & Kim, 3D Shapes Dataset, 2018, https://github.com/google-deepmind/3d-shapes"
    channels: ClassVar[int | None] = 3
    size: ClassVar[int | None] = 64
    images: ClassVar[int | None] = 480_000
    source: ClassVar[str] = "3D Shapes, https://github.com/google-deepmind/3d-shapes"
    folder: ClassVar[str] = "3dshapes"
    files: ClassVar[tuple[tuple[str, ...], ...]] = (("3dshapes.h5",),)
    urls: ClassVar[tuple[str, ...]] = ("https://storage.googleapis.com/3d-shapes/3dshapes.h5",)
    classes: ClassVar[tuple[str, ...]] = ("cube", "cylinder", "sphere", "capsule")
    md5: ClassVar[dict[str, str]] = {"3dshapes.h5": "099a2078d58cec4daad0702c55d06868"}

    def __init__(
        self, *, combinations: int = 0, binarise: Literal["none", "threshold", "static", "dynamic"] = "none"
    ) -> None:
        """Raises `UsageError` for more combinations than there are."""
        super().__init__(binarise=binarise)
        self.combinations = checked(combinations, COUNT, self.name)

    def download(self, root: Path) -> None:
        from torchvision.datasets.utils import download_url

        download_url(self.urls[0], str(self.where(root)), FILE, self.md5[FILE])

    def inspect(self, root: Path) -> None:
        """Raises `DataError` where h5py is not installed."""
        _h5py()

    def read(self, root: Path) -> Data:
        path, rows = self.find(root, FILE), chosen(self.combinations, COUNT)
        try:
            with _h5py().File(path, "r") as file:
                images, numbers = _rows(file["images"], rows), file["labels"][:]
        except DataError as error:
            raise DataError(f"{path}: {error}") from error
        except (OSError, KeyError, ValueError) as error:
            raise DataError(f"{path}: truncated or damaged ({error})") from error
        if images.dtype != np.uint8 or images.shape[1:] != (64, 64, 3) or numbers.shape != (COUNT, len(FACTORS)):
            found = f"{images.dtype} {images.shape} and labels {numbers.shape}"
            raise DataError(f"{path}: images are {found}, expected uint8 64×64×3 and ({COUNT}, {len(FACTORS)})")
        values = np.stack([np.unique(column, return_inverse=True)[1] for column in numbers.T], 1)[rows]
        pixels, classes, source = images.transpose(0, 3, 1, 2), self.classes, self.source
        return split_combinations(self.name, pixels, values, FACTORS, "shape", classes, source)


def _h5py() -> Any:
    try:
        import h5py
    except ImportError as error:
        raise DataError("shapes3d: its file is read with h5py: pip install 'latent-bench[shapes3d]'") from error
    return h5py


def _rows(stored: Any, rows: np.ndarray) -> np.ndarray:
    """The rows of an HDF5 dataset where the mask `rows` (N,) is True, read in blocks."""
    if stored.shape[:1] != rows.shape:
        raise DataError(f"images are {stored.shape}, expected {len(rows)} of them")
    found = np.empty((int(rows.sum()), *stored.shape[1:]), stored.dtype)
    at = 0
    for start in range(0, len(rows), BLOCK):
        block = stored[start : start + BLOCK][rows[start : start + BLOCK]]
        found[at : at + len(block)] = block
        at += len(block)
    return found
