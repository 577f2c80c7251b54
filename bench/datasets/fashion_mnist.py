"""Fashion-MNIST: articles of clothing, 28×28 grey, 60,000 train and 10,000 test images."""

from typing import ClassVar

from ._idx import IdxDataset


class FashionMNIST(IdxDataset):
    """The checksums of the .gz files are those that torchvision demands, the others those of their contents.

    `published` was computed from a complete copy in another order: 6,000 and 1,000 images a class, and the published
    mean 0.2860 and standard deviation 0.3530 of the train pixels.
    """

    title: ClassVar[str] = "Fashion-MNIST"
    symbol: ClassVar[str] = "Fashion-MNIST"
    reference: ClassVar[str] = (
        "Xiao, Rasul & Vollgraf, Fashion-MNIST: a novel image dataset for benchmarking machine learning "
        "algorithms, 2017, https://arxiv.org/abs/1708.07747"
    )
    source: ClassVar[str] = "Fashion-MNIST, https://github.com/zalandoresearch/fashion-mnist"
    published: ClassVar[str] = "8907b87739f7ab64"
    folder: ClassVar[str] = "FashionMNIST/raw"
    urls: ClassVar[tuple[str, ...]] = ("http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",)
    classes: ClassVar[tuple[str, ...]] = (
        "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat",
        "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot",
    )  # fmt: skip
    md5: ClassVar[dict[str, str]] = {
        "train-images-idx3-ubyte.gz": "8d4fb7e6c68d591d4c3dfef9ec88bf0d",
        "train-labels-idx1-ubyte.gz": "25c81989df183df01b3e8a0aad5dffbe",
        "t10k-images-idx3-ubyte.gz": "bef4ecab320f06d8554ea6380940ec79",
        "t10k-labels-idx1-ubyte.gz": "bb300cfdad3c16e7a12a480ee83cd310",
        "train-images-idx3-ubyte": "f4a8712d7a061bf5bd6d2ca38dc4d50a",
        "train-labels-idx1-ubyte": "9018921c3c673c538a1fc5bad174d6f9",
        "t10k-images-idx3-ubyte": "8181f5470baa50b63fa0f6fddb340f0a",
        "t10k-labels-idx1-ubyte": "15d484375f8d13e6eb1aabb0c3f46965",
    }
