"""Which images, labels and factors a dataset holds, and in which order, as two short hashes."""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Protocol

from torch import Tensor

DIGITS = 16  #: hexadecimal digits of a fingerprint, 64 bits


class LabelledImages(Protocol):
    """Images (N, C, H, W) uint8, labels (N,) int64 or None, factors (N, K) int64 or None."""

    @property
    def images(self) -> Tensor: ...
    @property
    def labels(self) -> Tensor | None: ...
    @property
    def factors(self) -> Tensor | None: ...


@dataclass(frozen=True)
class Fingerprints:
    """`content` is the same in any order of the images within a split; `order` is not."""

    content: str
    order: str


def fingerprints(splits: Sequence[LabelledImages]) -> Fingerprints:
    """sha256 of shapes, pixels, labels and factors of all splits, 16 hex digits each.

    - `content`: of each split the shape of an image, the number of images, and the sorted sha256 of every image
      followed by its label and its factors (int64, little-endian).
    - `order`: of each split the shape, all pixels, then all labels, then all factors.
    """
    with ThreadPoolExecutor(1) as pool:  # hashlib releases the interpreter's lock
        order = pool.submit(_order, splits)
        content = _content(splits)
    return Fingerprints(content, order.result())


def _content(splits: Iterable[LabelledImages]) -> str:
    digest = hashlib.sha256()
    for split in splits:
        about: tuple[object, ...] = (tuple(split.images.shape), split.labels is not None)
        about += () if split.factors is None else (split.factors.shape[1],)
        digest.update(repr(about).encode())
        digest.update(b"".join(sorted(_image_digests(split))))
    return digest.hexdigest()[:DIGITS]


def _image_digests(split: LabelledImages) -> Iterator[bytes]:
    """The sha256 of each image followed by its label and its factors."""
    images = split.images.contiguous().numpy()
    numbers = [part.contiguous().numpy().astype("<i8") for part in (split.labels, split.factors) if part is not None]
    for row, image in enumerate(images):
        digest = hashlib.sha256(image.data)
        for part in numbers:
            digest.update(part[row].tobytes())
        yield digest.digest()


def _order(splits: Iterable[LabelledImages]) -> str:
    digest = hashlib.sha256()
    for split in splits:
        digest.update(repr(tuple(split.images.shape)).encode())
        digest.update(split.images.contiguous().numpy().data)
        for part in (split.labels, split.factors):
            if part is not None:
                digest.update(part.contiguous().numpy().data)
    return digest.hexdigest()[:DIGITS]
