"""STL-10: photographs of ten kinds of things, 96×96 colour, 5,000 train and 8,000 test images with labels."""

from pathlib import Path
from typing import ClassVar

import numpy as np
import torch

from bench.errors import DataError

from . import Data, Split, to_split
from ._torchvision import TorchvisionDataset


class STL10(TorchvisionDataset):
    """The labelled parts; the 100,000 unlabelled images are downloaded with them and not read.

    The format, from the dataset's page: bytes; an image is three channels of 96 columns of 96 pixels; a label
    is 1 to 10.
    """

    title: ClassVar[str] = "STL-10"
    symbol: ClassVar[str] = "STL-10"
    reference: ClassVar[str] = (
        "Coates, Lee & Ng, An analysis of single-layer networks in unsupervised feature learning, 2011, "
        "https://proceedings.mlr.press/v15/coates11a.html"
    )
    channels: ClassVar[int | None] = 3
    size: ClassVar[int | None] = 96
    images: ClassVar[int | None] = 13_000
    source: ClassVar[str] = "STL-10, https://cs.stanford.edu/~acoates/stl10/"
    folder: ClassVar[str] = "stl10_binary"
    files: ClassVar[tuple[tuple[str, ...], ...]] = (
        ("train_X.bin",), ("train_y.bin",), ("test_X.bin",), ("test_y.bin",),
    )  # fmt: skip
    urls: ClassVar[tuple[str, ...]] = ("http://ai.stanford.edu/~acoates/stl10/stl10_binary.tar.gz",)
    classes: ClassVar[tuple[str, ...]] = (
        "airplane", "bird", "car", "cat", "deer", "dog", "horse", "monkey", "ship", "truck",
    )  # fmt: skip
    md5: ClassVar[dict[str, str]] = {
        "train_X.bin": "918c2871b30a85fa023e0c44e0bee87f",
        "train_y.bin": "5a34089d4802c674881badbb80307741",
        "test_X.bin": "7f263ba9f9e0b06b93213547f721ac82",
        "test_y.bin": "36f9794fa4beb8a2c72628de14fa638e",
    }

    def download(self, root: Path) -> None:
        from torchvision import datasets

        datasets.STL10(root, download=True)

    def read(self, root: Path) -> Data:
        train, test = self._split(root, "train"), self._split(root, "test")
        return Data(self.name, train, test, self.classes, self.source)

    def _split(self, root: Path, part: str) -> Split:
        where, labels_file = self.find(root, f"{part}_X.bin"), self.find(root, f"{part}_y.bin")
        raw, labels = np.fromfile(where, dtype=np.uint8), np.fromfile(labels_file, dtype=np.uint8)
        if raw.size % (3 * 96 * 96):
            raise DataError(f"{where}: truncated or damaged: {raw.size} bytes is no multiple of 3·96·96")
        if strange := set(labels.tolist()) - set(range(1, len(self.classes) + 1)):
            raise DataError(f"{labels_file}: label {min(strange)}, expected 1 to {len(self.classes)}")
        images = torch.from_numpy(raw).view(-1, 3, 96, 96).transpose(2, 3)  # (N, C, W, H) → (N, C, H, W)
        return to_split(images, torch.from_numpy(labels).long() - 1, str(where))
