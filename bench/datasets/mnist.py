"""MNIST: handwritten digits, 28×28 grey, 60,000 train and 10,000 test images."""

import hashlib
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np
import torch

from bench.errors import DataError

from . import Data, Split, to_split
from ._idx import IdxDataset


class MNIST(IdxDataset):
    """The checksums of the .gz files are those that torchvision demands, the others those of their contents.

    `binarise: larochelle` reads the published binarised images instead, see `LarochelleMNIST` below.
    """

    title: ClassVar[str] = "MNIST"
    symbol: ClassVar[str] = "MNIST"
    reference: ClassVar[str] = (
        "LeCun, Bottou, Bengio & Haffner, Gradient-based learning applied to document recognition, 1998, "
        "https://doi.org/10.1109/5.726791"
    )
    source: ClassVar[str] = "MNIST, http://yann.lecun.com/exdb/mnist/"
    published: ClassVar[str] = "5038806f1c37d4a4"
    binarisations: ClassVar[tuple[str, ...]] = ("none", "threshold", "static", "dynamic", "larochelle")
    unlabelled: ClassVar[tuple[str, ...]] = ("larochelle",)
    folder: ClassVar[str] = "MNIST/raw"
    urls: ClassVar[tuple[str, ...]] = (
        "https://ossci-datasets.s3.amazonaws.com/mnist/",
        "http://yann.lecun.com/exdb/mnist/",
    )
    classes: ClassVar[tuple[str, ...]] = ("0", "1", "2", "3", "4", "5", "6", "7", "8", "9")
    md5: ClassVar[dict[str, str]] = {
        "train-images-idx3-ubyte.gz": "f68b3c2dcbeaaa9fbdd348bbdeb94873",
        "train-labels-idx1-ubyte.gz": "d53e105ee54ea40749a09fcbcd1e9432",
        "t10k-images-idx3-ubyte.gz": "9fb629c4189551a2d022fa330f9573f3",
        "t10k-labels-idx1-ubyte.gz": "ec29112dd5afa0611ce80d1b7f02629c",
        "train-images-idx3-ubyte": "6bbc9ace898e44ae57da46a324031adb",
        "train-labels-idx1-ubyte": "a25bea736e30d166cdddb491f175f624",
        "t10k-images-idx3-ubyte": "2646ac647ad5339dbf082846283269ea",
        "t10k-labels-idx1-ubyte": "27ae3e4e09519cfbb04c329615203637",
    }

    def __new__(cls, *, binarise: Literal["none", "threshold", "static", "dynamic", "larochelle"] = "none") -> "MNIST":
        """`larochelle` has files of its own, hence a class of its own."""
        return super().__new__(LarochelleMNIST if binarise == "larochelle" else cls)

    def __init__(self, *, binarise: Literal["none", "threshold", "static", "dynamic", "larochelle"] = "none") -> None:
        """Raises `UsageError` for an unknown `binarise`."""
        super().__init__(binarise=binarise)  # type: ignore[arg-type]  # one value more than the base has


class LarochelleMNIST(MNIST):
    """The binarised MNIST that Larochelle published: 50,000 train and 10,000 test images without labels.

    Each pixel was drawn once with its grey value as the probability of 1 (Larochelle & Murray 2011, after Salakhutdinov
    & Murray 2008). The 10,000 validation images are not used, as in Burda et al. 2016, appendix D. The files lie in
    `binarized_mnist/` of the data root, or in the root itself. A file with another sha256 is refused: it is another
    binarisation. The checksums are those of TensorFlow Datasets.
    """

    reference: ClassVar[str] = (
        "Larochelle & Murray, The neural autoregressive distribution estimator, 2011, "
        "https://proceedings.mlr.press/v15/larochelle11a.html"
    )
    source: ClassVar[str] = "binarised MNIST, http://www.cs.toronto.edu/~larocheh/public/datasets/binarized_mnist/"
    published: ClassVar[str] = ""
    folder: ClassVar[str] = "binarized_mnist"
    files: ClassVar[tuple[tuple[str, ...], ...]] = (("binarized_mnist_train.amat",), ("binarized_mnist_test.amat",))
    urls: ClassVar[tuple[str, ...]] = ("http://www.cs.toronto.edu/~larocheh/public/datasets/binarized_mnist/",)
    classes: ClassVar[tuple[str, ...]] = ()
    md5: ClassVar[dict[str, str]] = {}
    sha256: ClassVar[dict[str, str]] = {
        "binarized_mnist_train.amat": "ad693b29f94c14277b095f5238ddefbbdaaae0939789dd2f4f0205278cee3e4d",
        "binarized_mnist_test.amat": "e6687bfea3f820c174f33b7865140b2a2dd2930ef786f35d45795fc193b5ab2c",
    }

    def original(self, root: Path) -> str:
        differ = [path.name for path in self._read_files(root) if _sha256(path) != self.sha256[path.name]]
        return f"no: {', '.join(differ)}" if differ else "yes"

    def inspect(self, root: Path) -> None:
        """Compare the checksums, and read all images once."""
        self.read(root)

    def download(self, root: Path) -> None:
        from torchvision.datasets.utils import download_url

        for (name,) in self.files:
            if not any(path.exists() for path in self._candidates(root, (name,))):
                download_url(self.urls[0] + name, str(self.where(root)), name)

    def read(self, root: Path) -> Data:
        train, test = (self._read(self.find(root, name)) for (name,) in self.files)
        marks = ", ".join(f"{name} {digits[:16]}" for name, digits in self.sha256.items())
        return Data(self.name, train, test, (), f"{self.source} (sha256 {marks})")

    def _candidates(self, root: Path, group: tuple[str, ...]) -> list[Path]:
        return [*super()._candidates(root, group), *(root / name for name in group)]

    def _read(self, path: Path) -> Split:
        found, published = _sha256(path), self.sha256[path.name]
        if found != published:
            words = f"has the sha256 {found[:16]}, and the published file {published[:16]}"
            raise DataError(f"{path}: {words}; `array` reads a binarisation of your own")
        return to_split(read_amat(path), None, str(path))


def read_amat(path: Path) -> torch.Tensor:
    """Rows of 784 digits 0 or 1, each followed by a space or the end of the line, as uint8 0 and 255 (N, 1, 28, 28).

    Raises `DataError` for anything else.
    """
    characters = np.fromfile(path, dtype=np.uint8)
    if not len(characters) or len(characters) % (2 * 784):
        raise DataError(f"{path}: {len(characters)} bytes are no rows of 784 pixels")
    rows = characters.reshape(-1, 784, 2)
    if not np.isin(rows[..., 0], (48, 49)).all() or not np.isin(rows[..., 1], (10, 32)).all():
        raise DataError(f"{path}: holds something else than the digits 0 and 1")
    return torch.from_numpy((rows[..., 0] - 48) * 255).reshape(-1, 1, 28, 28)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
