"""The two splits of a dataset that the user describes: checking its options, drawing tests, comparing both splits."""

from collections.abc import Sequence
from pathlib import Path

import torch

from bench.errors import DataError, UsageError

from . import Data, Split
from ._layout import drawn_for_tests


def check_pixels(name: str, size: int | None, channels: int | None, split: float) -> None:
    """Raise `UsageError` for values that no image, and no share, can have."""
    if size is not None and size < 1:
        raise UsageError(f"{name}: size is {size}, must be at least 1 pixel")
    if channels not in (None, 1, 3):
        raise UsageError(f"{name}: channels is {channels}, must be 1 (grey) or 3 (colour)")
    if not 0 <= split < 1:
        raise UsageError(f"{name}: split is {split:g}, must be at least 0 and below 1")


def drawn(where: Path, whole: Split, share: float) -> tuple[Split, Split]:
    """Train and test images: a `share` of each class is drawn for tests with a fixed seed. Raises `DataError`."""
    if len(whole) < 2:
        raise DataError(f"{where}: has 1 image; a split needs 2 or more")
    labels = [""] * len(whole) if whole.labels is None else [str(n) for n in whole.labels.tolist()]
    tests = torch.from_numpy(drawn_for_tests(labels, share))
    return whole.at(~tests), whole.at(tests)


def paired(
    where: Path, train: Split, test: Split, name: str, source: str, classes: Sequence[str] | None = None
) -> Data:
    """Both splits as a dataset. Raises `DataError` where they are not alike.

    classes: the names of the labels; by default the numbers up to the highest label of train.
    """
    if train.images.shape[1:] != test.images.shape[1:]:
        shapes = " and ".join(str(tuple(s.images.shape[1:])) for s in (train, test))
        raise DataError(f"{where}: images of train and test differ in shape: {shapes}")
    for what in ("labels", "factors"):
        if (getattr(train, what) is None) is not (getattr(test, what) is None):
            raise DataError(f"{where}: has {what} of one of train and test only")
    if train.labels is None or test.labels is None:
        return Data(name, train, test, (), source)
    known = tuple(classes) if classes else tuple(str(n) for n in range(int(train.labels.max()) + 1))
    if int(test.labels.max()) >= len(known):
        raise DataError(f"{where}: test_labels has {int(test.labels.max())}, which train_labels does not have")
    return Data(name, train, test, known, source)
