"""The contract of a dataset: train and test images as uint8 tensors, labels, a source and a fingerprint.

One file per dataset, one class deriving from `Dataset`; options are keyword-only parameters of `__init__`.
Loading never changes pixels silently: what an option does to them (`size`, `channels`, `binarise`) is in the
cell's id and the fingerprint is taken from the tensors as they are trained on.

Adding a dataset: derive from `Dataset`, write `where`, `missing`, `fetch` and `read`; `load` and `binarise`
come with the base. Files whose names begin with an underscore hold what several datasets share.
"""

import hashlib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np
import torch
from torch import Tensor

from bench.errors import DataError, UsageError, did_you_mean

BINARISE = ("none", "threshold", "static")  #: the values of the option every dataset has


@dataclass(frozen=True)
class Split:
    """Images (N, C, H, W) uint8 and labels (N,) int64, or None where there are none."""

    images: Tensor
    labels: Tensor | None

    def __len__(self) -> int:
        return len(self.images)

    def to(self, device: torch.device | str) -> "Split":
        """The same split with its tensors on `device`."""
        return Split(self.images.to(device), None if self.labels is None else self.labels.to(device))


@dataclass(frozen=True)
class Data:
    """A loaded dataset. `classes` are the label names in label order, () where there are no labels."""

    name: str
    train: Split
    test: Split
    classes: tuple[str, ...]
    source: str

    @property
    def shape(self) -> tuple[int, int, int]:
        """(C, H, W)."""
        c, h, w = self.train.images.shape[1:]
        return (c, h, w)

    def fingerprint(self) -> str:
        """sha256 over shapes, pixels and labels of both splits, first 16 hex digits; computed once."""
        if "_fingerprint" not in self.__dict__:
            object.__setattr__(self, "_fingerprint", self._digest())
        return self.__dict__["_fingerprint"]

    def _digest(self) -> str:
        digest = hashlib.sha256()
        for split in (self.train, self.test):
            digest.update(repr(tuple(split.images.shape)).encode())
            digest.update(split.images.contiguous().numpy().data)
            if split.labels is not None:
                digest.update(split.labels.contiguous().numpy().data)
        return digest.hexdigest()[:16]


class Dataset:
    """Base of all datasets. Class constants are literals: the registry reads them without importing torch.

    `binarise`: "none" keeps the pixels; "threshold" and "static" are those of `binarised`.
    """

    reference: ClassVar[str] = ""
    version: ClassVar[int] = 1
    channels: ClassVar[int | None] = None  #: None: an option says
    size: ClassVar[int | None] = None  #: height and width, pixels; None: an option says
    images: ClassVar[int | None] = None  #: of both splits together; None: told only by what is read
    labelled: ClassVar[bool] = True
    embedded: ClassVar[bool] = False  #: True: comes with an installed package, needs no data root
    source: ClassVar[str] = ""  #: who made the data and where it is published

    def __init__(self, *, binarise: Literal["none", "threshold", "static"] = "none") -> None:
        """Raises `UsageError` for an unknown `binarise`."""
        if binarise not in BINARISE:
            raise UsageError(f"{self.name}: binarise is {binarise!r}{did_you_mean(binarise, BINARISE)}")
        self.binarise = binarise

    @property
    def name(self) -> str:
        """The name in YAML: that of the file the class stands in."""
        return type(self).__module__.rsplit(".", 1)[-1]

    def where(self, root: Path) -> Path:
        """The folder or file the dataset is read from, whether it is there or not."""
        raise NotImplementedError

    def missing(self, root: Path) -> str | None:
        """None if all is in place under `root`; else what is missing, where it was looked for, what to do."""
        raise NotImplementedError

    def original(self, root: Path) -> str:
        """Whether what is in place is what was published: "yes", "no: FILES" or "unknown: WHY"."""
        return "unknown: there is no published checksum of it"

    def fetch(self, root: Path) -> None:
        """Download into `root`. Raises `DataError` naming what to put where by hand if that fails."""
        raise NotImplementedError

    def read(self, root: Path) -> Data:
        """Read what is in place, before `binarise`. Raises `DataError` if something is damaged."""
        raise NotImplementedError

    def load(self, root: Path) -> Data:
        """What is trained on: `read`, then `binarise`. Raises `DataError` for missing or damaged data."""
        if problem := self.missing(root):
            raise DataError(f"{self.name}: {problem}")
        data = self.read(root)
        if self.binarise == "none":
            return data
        # A stream of its own for each split: test images do not depend on how many train images there are.
        splits = (
            Split(binarised(split.images, self.binarise, seed), split.labels)
            for seed, split in enumerate((data.train, data.test))
        )
        return replace(data, train=next(splits), test=next(splits))


def binarised(images: Tensor, how: str, seed: int) -> Tensor:
    """Images of 0 and 255 only, every channel for itself; uint8 (N, C, H, W) in and out.

    - "threshold": pixel ≥ 128 → 255, else 0.
    - "static": each pixel is drawn once, 255 with probability pixel/255 exactly, and then stays: the fixed
      binarisation of Larochelle & Murray 2011, https://proceedings.mlr.press/v15/larochelle11a.html, with
      other draws than in the MNIST files they published. NumPy froze the stream of `RandomState` (NEP 19), so
      that a seed gives the same images whatever the version.

    >>> binarised(torch.tensor([[[[0, 127, 128, 255]]]], dtype=torch.uint8), "threshold", 0)
    tensor([[[[  0,   0, 255, 255]]]], dtype=torch.uint8)
    """
    assert how in ("threshold", "static"), how
    if how == "threshold":
        return (images >= 128).to(torch.uint8) * 255
    stream = np.random.RandomState(seed)
    blocks = []
    for block in images.split(8192):  # bounds the memory of the draws; a part of the definition of the stream
        draws = torch.from_numpy(stream.randint(0, 255, size=tuple(block.shape), dtype=np.uint8))  # 0..254
        blocks.append((draws < block).to(torch.uint8) * 255)
    return torch.cat(blocks)


def to_split(images: Tensor, labels: Tensor | None, where: str) -> Split:
    """Check dtypes and shapes once, at the border. Raises `DataError` naming `where`."""
    if images.dtype != torch.uint8 or images.ndim != 4 or len(images) == 0:
        shape = tuple(images.shape)
        raise DataError(f"{where}: expected uint8 images (N, C, H, W), got {images.dtype} {shape}")
    if labels is not None and len(labels) != len(images):
        raise DataError(f"{where}: {len(images)} images but {len(labels)} labels")
    return Split(images.contiguous(), None if labels is None else labels.to(torch.int64).contiguous())
