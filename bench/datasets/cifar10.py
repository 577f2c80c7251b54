"""CIFAR-10: tiny photographs of ten kinds of things, 32×32 colour, 50,000 train and 10,000 test images."""

from pathlib import Path
from typing import ClassVar

import torch

from bench.errors import DataError

from . import Data, Split, to_split
from ._torchvision import TorchvisionDataset


class CIFAR10(TorchvisionDataset):
    """Read by torchvision, the only dataset here that is.

    The published batches are pickles, and a pickle runs what it holds. torchvision's constructor compares the
    md5 of every batch, and then of the file of names, with its list before it opens them, and raises if one
    differs; it is never asked to skip that. So only the published bytes are ever unpickled, and an altered
    copy is not read at all: use `folder` for those.
    """

    title: ClassVar[str] = "CIFAR-10"
    symbol: ClassVar[str] = "CIFAR-10"
    reference: ClassVar[str] = (
        "Krizhevsky, Learning multiple layers of features from tiny images, 2009, "
        "https://www.cs.toronto.edu/~kriz/learning-features-2009-TR.pdf"
    )
    channels: ClassVar[int | None] = 3
    size: ClassVar[int | None] = 32
    images: ClassVar[int | None] = 60_000
    source: ClassVar[str] = "CIFAR-10, https://www.cs.toronto.edu/~kriz/cifar.html"
    folder: ClassVar[str] = "cifar-10-batches-py"
    files: ClassVar[tuple[tuple[str, ...], ...]] = (
        ("data_batch_1",), ("data_batch_2",), ("data_batch_3",), ("data_batch_4",), ("data_batch_5",),
        ("test_batch",), ("batches.meta",),
    )  # fmt: skip
    urls: ClassVar[tuple[str, ...]] = ("https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz",)
    classes: ClassVar[tuple[str, ...]] = (
        "airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck",
    )  # fmt: skip
    md5: ClassVar[dict[str, str]] = {
        "data_batch_1": "c99cafc152244af753f735de768cd75f",
        "data_batch_2": "d4bba439e000b95fd0a9bffe97cbabec",
        "data_batch_3": "54ebc095f3ab1f0389bbae665268c751",
        "data_batch_4": "634d18415352ddfa80567beed471001a",
        "data_batch_5": "482c414d41f54cd18b22e5b47cb7c3cb",
        "test_batch": "40351d587109b95175f43aff81a1287e",
        "batches.meta": "5ff9c542aee3614f3951f8cda6e48888",
    }

    def download(self, root: Path) -> None:
        from torchvision import datasets

        datasets.CIFAR10(root, download=True)

    def read(self, root: Path) -> Data:
        return Data(self.name, self._split(root, True), self._split(root, False), self.classes, self.source)

    def _split(self, root: Path, train: bool) -> Split:
        from torchvision import datasets

        try:
            stored = datasets.CIFAR10(root, train=train)  # data (N, H, W, C)
        except RuntimeError as error:
            differ = self.original(root)
            raise DataError(f"{self.where(root)}: not opened, as published? {differ} ({error})") from error
        images = torch.from_numpy(stored.data).permute(0, 3, 1, 2)
        return to_split(images, torch.tensor(stored.targets), str(self.where(root)))
