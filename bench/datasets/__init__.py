"""The contract of a dataset: train and test images as uint8 tensors, labels, factors, a source and a fingerprint.

One file holds one dataset: a class deriving from `Dataset`. Its options are the keyword-only parameters of
`__init__`. Loading never changes pixels silently: options that change them (`size`, `channels`, `binarise`) are in
the cell's id, and the fingerprint is taken of the tensors that are trained on.

To add a dataset, derive from `Dataset` and write `where`, `missing`, `fetch` and `read`; the base has `load` and
`binarise`. Files whose names begin with an underscore hold what several datasets share.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor

from bench.errors import DataError, UsageError, did_you_mean

from ._fingerprints import Fingerprints, fingerprints

DRAWN = ("threshold", "static", "dynamic")  #: values of `binarise` that change the pixels of `Dataset.read`


class Factor(NamedTuple):
    """A factor of variation that images were made from.

    size: its values are 0 to size − 1. categorical: True where the order of its values means nothing.
    """

    name: str
    size: int
    categorical: bool = False


@dataclass(frozen=True)
class Split:
    """Images (N, C, H, W) uint8, labels (N,) int64, and values of K factors (N, K) int64; None where there are none."""

    images: Tensor
    labels: Tensor | None
    factors: Tensor | None = None

    def __len__(self) -> int:
        return len(self.images)

    def to(self, device: torch.device | str) -> "Split":
        """The same split with its tensors on `device`."""
        return self._each(lambda tensor: tensor.to(device))

    def at(self, index: Tensor) -> "Split":
        """The images at `index` (n,), or where a mask `index` (N,) is True, with their labels and factors."""
        return self._each(lambda tensor: tensor[index])

    def _each(self, change: Callable[[Tensor], Tensor]) -> "Split":
        labels, factors = (None if part is None else change(part) for part in (self.labels, self.factors))
        return Split(change(self.images), labels, factors)


@dataclass(frozen=True)
class Data:
    """A loaded dataset. `classes` are the label names in label order, () where there are no labels.

    factors: the columns of `Split.factors` in their order, () where there are none.
    """

    name: str
    train: Split
    test: Split
    classes: tuple[str, ...]
    source: str
    skipped: Mapping[str, int] = field(default_factory=dict)  #: kind of file → how many of it were not read
    published: str = ""  #: fingerprint of the published dataset, where it is known
    original: str = ""  #: what `Dataset.original` says, where `published` is known
    probabilities: Split | None = None  #: train images whose pixels are drawn anew for each batch, instead of `train`
    factors: tuple[Factor, ...] = ()

    @property
    def shape(self) -> tuple[int, int, int]:
        """(C, H, W)."""
        c, h, w = self.train.images.shape[1:]
        return (c, h, w)

    @cached_property
    def _prints(self) -> Fingerprints:
        return fingerprints((self.train, self.test))

    def fingerprint(self) -> str:
        """16 hex digits of the images, labels and factors of both splits as sets; computed once, about 1 s per GB."""
        return self._prints.content

    def order(self) -> str:
        """16 hex digits of the same in their order: what records called the fingerprint before 0.3."""
        return self._prints.order

    def is_same_as(self, recorded: str) -> bool:
        """True if `recorded`, a fingerprint of this or an earlier version, is of these images and labels."""
        return recorded in (self.fingerprint(), self.order())

    def order_note(self) -> str | None:
        """ "as published" or "in another order than published"; None if these are other images or nobody knows."""
        if self.published != self.fingerprint():
            return None
        return "as published" if self.original == "yes" else "in another order than published"

    def describe(self) -> dict[str, Any]:
        """What records and `bench data check` say of the data, as JSON values."""
        found: dict[str, Any] = {
            "source": self.source,
            "fingerprint": self.fingerprint(),
            "order": self.order(),
            "order_note": self.order_note(),
            "classes": list(self.classes),
            "shape": list(self.shape),
            "skipped": dict(self.skipped),
        }
        return found | ({"factors": [factor._asdict() for factor in self.factors]} if self.factors else {})


class Dataset:
    """Base of all datasets. Class constants are literals: the registry reads them without importing torch.

    `binarise`: "none" keeps the pixels; "threshold" and "static" are those of `binarised`. "dynamic" is "static", but
    in training each pixel is drawn anew for each batch, as in Burda et al. 2016; codes and metrics use the fixed draw.
    A dataset may have a value of its own for a binarisation that was published (`mnist`).
    """

    title: ClassVar[str] = ""  #: the full name, for readers
    symbol: ClassVar[str] = ""  #: the short name in tables, figures and legends
    reference: ClassVar[str] = ""
    version: ClassVar[int] = 1
    channels: ClassVar[int | None] = None  #: None: an option says
    size: ClassVar[int | None] = None  #: height and width, pixels; None: an option says
    images: ClassVar[int | None] = None  #: of both splits together; None: known after reading only
    labelled: ClassVar[bool] = True
    binarisations: ClassVar[tuple[str, ...]] = ("none", "threshold", "static", "dynamic")  #: values of `binarise`
    unlabelled: ClassVar[tuple[str, ...]] = ()  #: values of `binarise` whose images have no labels
    embedded: ClassVar[bool] = False  #: True: comes with an installed package, needs no data root
    source: ClassVar[str] = ""  #: who made the data and where they are published
    published: ClassVar[str] = ""  #: `Data.fingerprint` of the published data; "" where it is not known
    location_options: ClassVar[tuple[str, ...]] = ()  #: options that say where data lie, and not what they are

    def __init__(self, *, binarise: Literal["none", "threshold", "static", "dynamic"] = "none") -> None:
        """Raises `UsageError` for a `binarise` that is not among the class's `binarisations`."""
        if binarise not in self.binarisations:
            raise UsageError(f"{self.name}: binarise is {binarise!r}{did_you_mean(binarise, self.binarisations)}")
        self.binarise = binarise

    @property
    def name(self) -> str:
        """The name in YAML: that of the file the class stands in."""
        return type(self).__module__.rsplit(".", 1)[-1]

    def where(self, root: Path) -> Path:
        """The folder or file the dataset is read from, whether it exists or not."""
        raise NotImplementedError

    def missing(self, root: Path) -> str | None:
        """None if everything is in place under `root`; else what is missing, where it was looked for, what to do."""
        raise NotImplementedError

    def original(self, root: Path) -> str:
        """Whether the files are those that were published: "yes", "no: FILES" or "unknown: WHY"."""
        return "unknown: there is no published checksum of it"

    def stamp(self, root: Path) -> Sequence[tuple[str, int, int]]:
        """Name, size in bytes and time of change in ns of every file that is read; () for an installed dataset.

        Equal stamps mean that the files were not changed. Raises `DataError` if they cannot be listed.
        """
        return ()

    def skipped(self, root: Path) -> Mapping[str, int]:
        """Kind of file → how many are not read. Raises `DataError` as `read` does, but decodes no image."""
        return {}

    def inspect(self, root: Path) -> None:
        """Raise `DataError` for everything about the files that prevents training; called before a run starts."""

    def fetch(self, root: Path) -> None:
        """Download into `root`. Raises `DataError` that names what to put where by hand if that fails."""
        raise NotImplementedError

    def read(self, root: Path) -> Data:
        """Read the files, before `binarise`. Raises `DataError` if one is damaged."""
        raise NotImplementedError

    def load(self, root: Path) -> Data:
        """The images to train on: `read`, then `binarise`. Raises `DataError` for missing or damaged files."""
        if problem := self.missing(root):
            raise DataError(f"{self.name}: {problem}")
        data = self.read(root)
        if self.binarise in DRAWN:
            return self._binarised(data)
        return replace(data, published=self.published, original=self.original(root)) if self.published else data

    def _binarised(self, data: Data) -> Data:
        # Each split has its own stream: the test images do not depend on the number of train images.
        how = "static" if self.binarise == "dynamic" else self.binarise
        train, test = (
            replace(split, images=binarised(split.images, how, seed))
            for seed, split in enumerate((data.train, data.test))
        )
        return replace(data, train=train, test=test, probabilities=data.train if self.binarise == "dynamic" else None)


def binarised(images: Tensor, how: str, seed: int) -> Tensor:
    """Images of 0 and 255 only, each channel by itself; uint8 (N, C, H, W) in and out.

    - "threshold": pixel ≥ 128 → 255, else 0.
    - "static": each pixel is drawn once, 255 with probability pixel/255, and stays fixed. This is the binarisation
      of Larochelle & Murray 2011, https://proceedings.mlr.press/v15/larochelle11a.html, with draws that differ from
      those of their published MNIST files. NumPy froze the stream of `RandomState` (NEP 19), so a seed gives the
      same images with every version.

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


def to_split(images: Tensor, labels: Tensor | None, where: str, factors: Tensor | None = None) -> Split:
    """Check dtypes and shapes once, at the border. Raises `DataError` naming `where`."""
    if images.dtype != torch.uint8 or images.ndim != 4 or images.numel() == 0:
        shape = tuple(images.shape)
        raise DataError(f"{where}: expected uint8 images (N, C, H, W), got {images.dtype} {shape}")
    if labels is not None and len(labels) != len(images):
        raise DataError(f"{where}: {len(images)} images but {len(labels)} labels")
    if factors is not None and (factors.ndim != 2 or len(factors) != len(images)):
        raise DataError(f"{where}: {len(images)} images but factors {tuple(factors.shape)}; must be (N, K)")
    whole = (None if part is None else part.to(torch.int64).contiguous() for part in (labels, factors))
    return Split(images.contiguous(), *whole)
