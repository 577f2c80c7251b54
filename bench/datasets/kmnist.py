"""Kuzushiji-MNIST: ten cursive Japanese characters, 28×28 grey, 60,000 train and 10,000 test images."""

from typing import ClassVar

from ._idx import IdxDataset


class KMNIST(IdxDataset):
    """The checksums of the .gz files are those that torchvision demands; none are published of their contents."""

    title: ClassVar[str] = "Kuzushiji-MNIST"
    symbol: ClassVar[str] = "KMNIST"
    reference: ClassVar[str] = (
        "Clanuwat et al., Deep learning for classical Japanese literature, 2018, https://arxiv.org/abs/1812.01718"
    )
    source: ClassVar[str] = (
        "KMNIST, ROIS-DS Center for Open Data in the Humanities, https://github.com/rois-codh/kmnist"
    )
    folder: ClassVar[str] = "KMNIST/raw"
    urls: ClassVar[tuple[str, ...]] = ("http://codh.rois.ac.jp/kmnist/dataset/kmnist/",)
    classes: ClassVar[tuple[str, ...]] = ("o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo")
    md5: ClassVar[dict[str, str]] = {
        "train-images-idx3-ubyte.gz": "bdb82020997e1d708af4cf47b453dcf7",
        "train-labels-idx1-ubyte.gz": "e144d726b3acfaa3e44228e80efcd344",
        "t10k-images-idx3-ubyte.gz": "5c965bf0a639b31b8f53240b1b52f4d7",
        "t10k-labels-idx1-ubyte.gz": "7320c461ea6c1c855c0b718fb2a4b134",
    }
