"""Digits: scikit-learn's handwritten digits, 8×8 grey, 1,797 images; comes installed, needs no download."""

from pathlib import Path
from typing import ClassVar

import numpy as np
import torch

from . import Data, Dataset, to_split


class Digits(Dataset):
    """The small dataset that is always there.

    - Pixels: the counts 0..16 of the original become ⌊(255·count + 8) / 16⌋, that is 255·count/16 rounded
      half up: 0 → 0, 8 → 128, 16 → 255. No two counts meet, so nothing is lost.
    - Split: of each class, in the order of the file, the first four fifths (rounded) train and the rest test:
      1,438 and 359 images. The images of one writer stand together in the file, so most of the test images
      are by writers not trained on.
    """

    title: ClassVar[str] = "Digits of scikit-learn"
    symbol: ClassVar[str] = "Digits"
    reference: ClassVar[str] = (
        "Alpaydin & Kaynak, Optical recognition of handwritten digits, UCI, 1998, https://doi.org/10.24432/C50P49"
    )
    channels: ClassVar[int | None] = 1
    size: ClassVar[int | None] = 8
    images: ClassVar[int | None] = 1_797
    embedded: ClassVar[bool] = True
    source: ClassVar[str] = "scikit-learn's digits, a copy of the UCI test set"
    classes: ClassVar[tuple[str, ...]] = ("0", "1", "2", "3", "4", "5", "6", "7", "8", "9")

    def where(self, root: Path) -> Path:
        import sklearn

        return Path(sklearn.__file__).parent / "datasets/data/digits.csv.gz"

    def missing(self, root: Path) -> str | None:
        return None

    def fetch(self, root: Path) -> None:
        """Nothing to do."""

    def read(self, root: Path) -> Data:
        from sklearn.datasets import load_digits

        counts, labels = load_digits(return_X_y=True)
        images = ((counts.astype(np.int64) * 255 + 8) // 16).astype(np.uint8).reshape(-1, 1, 8, 8)
        tests = _last_fifth_of_each_class(labels)
        train, test = (
            to_split(torch.from_numpy(images[rows]), torch.from_numpy(labels[rows]), self.name)
            for rows in (~tests, tests)
        )
        return Data(self.name, train, test, self.classes, self.source)


def _last_fifth_of_each_class(labels: np.ndarray) -> np.ndarray:
    """A mask of the rows of `labels` (N,) that test."""
    chosen = np.zeros(len(labels), dtype=bool)
    for label in np.unique(labels):
        rows = np.flatnonzero(labels == label)
        chosen[rows[round(0.8 * len(rows)) :]] = True
    return chosen
