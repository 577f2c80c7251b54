"""MNIST: handwritten digits, 28×28 grey, 60,000 train and 10,000 test images."""

from typing import ClassVar

from ._idx import IdxDataset


class MNIST(IdxDataset):
    """The checksums of the .gz files are those that torchvision demands, the others those of their contents."""

    title: ClassVar[str] = "MNIST"
    symbol: ClassVar[str] = "MNIST"
    reference: ClassVar[str] = (
        "LeCun, Bottou, Bengio & Haffner, Gradient-based learning applied to document recognition, 1998, "
        "https://doi.org/10.1109/5.726791"
    )
    source: ClassVar[str] = "MNIST, http://yann.lecun.com/exdb/mnist/"
    published: ClassVar[str] = "5038806f1c37d4a4"
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
