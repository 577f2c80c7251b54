"""The contract of a dataset, checked on the data under the data root."""

from pathlib import Path
from typing import Any

import torch

from bench.datasets import Data
from bench.errors import NotApplicable

from .common import Check, Subject, require


def made(subject: Subject) -> Any:
    """The dataset. Raises `NotApplicable` where its data are not there."""
    dataset = subject.kind(**subject.options)
    if problem := dataset.missing(subject.data_root):
        raise NotApplicable(f"the data are not there: {problem}")
    return dataset


def place_is_named(subject: Subject) -> None:
    """`where` gives the path of the data, whether it exists or not."""
    place = subject.kind(**subject.options).where(subject.data_root)
    require(isinstance(place, Path), f"it gives a {type(place).__name__}", "where")


def splits_are_sound(subject: Subject) -> None:
    """Train and test images are uint8 (N, C, H, W) of one shape, and of the declared channels, size and count."""
    data: Data = made(subject).load(subject.data_root)
    for name, split in (("train", data.train), ("test", data.test)):
        pixels = split.images
        require(pixels.dtype == torch.uint8 and pixels.ndim == 4 and len(pixels),
                f"the {name} images are {pixels.dtype} {tuple(pixels.shape)}", "read")  # fmt: skip
    shapes = tuple(data.train.images.shape[1:]), tuple(data.test.images.shape[1:])
    require(shapes[0] == shapes[1], f"train images are {shapes[0]}, test images {shapes[1]}", "read")
    declared, (channels, height, width) = subject.component.constants, shapes[0]
    require(declared.get("channels") in (None, channels), f"they have {channels} channels", "read")
    require(declared.get("size") in (None, height) and (declared.get("size") is None or height == width),
            f"they are {height}×{width}, size = {declared.get('size')} is declared", "read")  # fmt: skip
    count = len(data.train) + len(data.test)
    require(declared.get("images") in (None, count), f"there are {count} images", "read")


def labels_are_sound(subject: Subject) -> None:
    """Labels are int64 (N,) from 0 to the number of classes − 1, or None where `labelled` is False."""
    data: Data = made(subject).load(subject.data_root)
    for name, split in (("train", data.train), ("test", data.test)):
        labels = split.labels
        if labels is None:
            require(not subject.component.constants["labelled"], f"the {name} split has none, and labelled is True",
                    "read")  # fmt: skip
            continue
        require(labels.dtype == torch.int64 and labels.shape == (len(split),),
                f"the {name} labels are {labels.dtype} {tuple(labels.shape)}", "read")  # fmt: skip
        low, high = int(labels.min()), int(labels.max())
        require(low >= 0 and high < len(data.classes),
                f"the {name} labels are {low} to {high} for {len(data.classes)} classes", "read")  # fmt: skip


def factors_are_sound(subject: Subject) -> None:
    """Factors are int64 (N, K) with a name and a size for each column, or None in both splits."""
    data: Data = made(subject).load(subject.data_root)
    sizes = torch.tensor([factor.size for factor in data.factors])
    for name, split in (("train", data.train), ("test", data.test)):
        values = split.factors
        if values is None:
            require(not data.factors, f"the {name} split has no values of {data.factors}", "read")
            continue
        words = f"the {name} factors are {values.dtype} {tuple(values.shape)}, {len(sizes)} are named"
        require(values.dtype == torch.int64 and values.shape == (len(split), len(sizes)), words, "read")
        require(bool(((values >= 0) & (values < sizes)).all()), f"the {name} factors exceed their sizes", "read")


def fingerprint_is_stable(subject: Subject) -> None:
    """Two readings give the same images in the same order, whatever the global random state."""
    found = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        data = made(subject).load(subject.data_root)
        found.append((data.fingerprint(), data.order()))
    require(found[0] == found[1], "two readings differ", "read")


def source_is_named(subject: Subject) -> None:
    """The data say where they come from (`source`)."""
    require(made(subject).load(subject.data_root).source, "source is empty", "read")


def binarises(subject: Subject) -> None:
    """The option `binarise` gives images of 0 and 255 only."""
    if "binarise" not in subject.component.options:
        raise NotApplicable("the dataset has no option binarise")
    made(subject)
    data = subject.kind(**{**subject.options, "binarise": "threshold"}).load(subject.data_root)
    values = set(data.train.images.unique().tolist())
    require(values <= {0, 255}, f"there are {len(values)} values", "__init__")


CHECKS: tuple[Check, ...] = (
    place_is_named, splits_are_sound, labels_are_sound, factors_are_sound, fingerprint_is_stable, source_is_named,
    binarises,
)  # fmt: skip
