"""MNIST and its relatives: four files in the IDX format, unpacked or as downloaded (.gz).

The format, described on http://yann.lecun.com/exdb/mnist/: two zero bytes, one for the type (8: unsigned
byte), one for the number of axes, each axis as a big-endian uint32, then the values, last axis fastest.
"""

import gzip
import hashlib
import struct
import zlib
from pathlib import Path
from typing import ClassVar

import torch
from torch import Tensor

from bench.errors import DataError

from . import Data, Split, to_split
from ._torchvision import TorchvisionDataset


class IdxDataset(TorchvisionDataset):
    """Grey 28×28 images with ten classes. A subclass adds the folder, the sources and the class names."""

    channels: ClassVar[int | None] = 1
    size: ClassVar[int | None] = 28
    images: ClassVar[int | None] = 70_000
    files: ClassVar[tuple[tuple[str, ...], ...]] = (
        ("train-images-idx3-ubyte", "train-images-idx3-ubyte.gz"),
        ("train-labels-idx1-ubyte", "train-labels-idx1-ubyte.gz"),
        ("t10k-images-idx3-ubyte", "t10k-images-idx3-ubyte.gz"),
        ("t10k-labels-idx1-ubyte", "t10k-labels-idx1-ubyte.gz"),
    )

    def download(self, root: Path) -> None:
        from torchvision import datasets

        getattr(datasets, type(self).__name__)(root, download=True)

    def original(self, root: Path) -> str:
        """Files that were packed again count as published if their contents are."""
        differ = [path for path in self.differing(root) if self.md5.get(path.stem) != _md5_of_contents(path)]
        return f"no: {', '.join(path.name for path in differ)}" if differ else self.unknown(root) or "yes"

    def read(self, root: Path) -> Data:
        train, test = self._split(root, "train"), self._split(root, "t10k")
        return Data(self.name, train, test, self.classes, self.source)

    def _split(self, root: Path, part: str) -> Split:
        where = self.find(root, f"{part}-images-idx3-ubyte")
        images = read_idx(where, axes=3)
        if images.shape[1:] != (28, 28):
            raise DataError(f"{where}: images of {images.shape[1]}×{images.shape[2]} pixels, expected 28×28")
        labels_file = self.find(root, f"{part}-labels-idx1-ubyte")
        labels = read_idx(labels_file, axes=1)
        if len(labels) and (highest := int(labels.max())) >= len(self.classes):
            raise DataError(f"{labels_file}: label {highest}, expected 0 to {len(self.classes) - 1}")
        return to_split(images.unsqueeze(1), labels, str(where))


def read_idx(path: Path, axes: int) -> Tensor:
    """An IDX file of unsigned bytes, gzipped or not, as a uint8 tensor with that many axes.

    Raises `DataError` naming the file when the header is another one or the length is not what it says.
    """
    raw = _bytes(path)
    start = 4 + 4 * axes
    if len(raw) < start or raw[:4] != bytes((0, 0, 8, axes)):
        raise DataError(f"{path}: not an IDX file of bytes with {axes} axes (it begins {raw[:4].hex()!r})")
    shape = struct.unpack(f">{axes}I", raw[4:start])
    values = torch.frombuffer(raw, dtype=torch.uint8)[start:]
    if len(values) != (expected := torch.Size(shape).numel()):
        raise DataError(f"{path}: truncated or damaged: expected {expected} values, got {len(values)}")
    return values.view(shape)


def _md5_of_contents(path: Path) -> str | None:
    """Of a .gz file; None for another one."""
    if path.suffix != ".gz":
        return None
    return hashlib.md5(_bytes(path), usedforsecurity=False).hexdigest()


def _bytes(path: Path) -> bytearray:
    try:
        raw = path.read_bytes()
        return bytearray(gzip.decompress(raw) if path.suffix == ".gz" else raw)
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path}: cannot be read ({error})") from error
