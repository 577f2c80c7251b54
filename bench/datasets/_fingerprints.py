"""Which images and labels a dataset holds, and in which order, as two short hashes."""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Protocol

from torch import Tensor

DIGITS = 16  #: hexadecimal digits of a fingerprint, 64 bits


class LabelledImages(Protocol):
    """Images (N, C, H, W) uint8 and labels (N,) int64 or None."""

    @property
    def images(self) -> Tensor: ...
    @property
    def labels(self) -> Tensor | None: ...


@dataclass(frozen=True)
class Fingerprints:
    """`content` is the same in any order of the images within a split; `order` is not."""

    content: str
    order: str


def fingerprints(splits: Sequence[LabelledImages]) -> Fingerprints:
    """sha256 of shapes, pixels and labels of all splits, 16 hex digits each.

    - `content`: of each split the shape of an image, the number of images, and the sorted sha256 of every image
      followed by its label (int64, little-endian).
    - `order`: of each split the shape, all pixels, then all labels.
    """
    with ThreadPoolExecutor(1) as pool:  # hashlib releases the interpreter's lock
        order = pool.submit(_order, splits)
        content = _content(splits)
    return Fingerprints(content, order.result())


def _content(splits: Iterable[LabelledImages]) -> str:
    digest = hashlib.sha256()
    for split in splits:
        digest.update(repr((tuple(split.images.shape), split.labels is not None)).encode())
        digest.update(b"".join(sorted(_image_digests(split))))
    return digest.hexdigest()[:DIGITS]


def _image_digests(split: LabelledImages) -> Iterator[bytes]:
    """The sha256 of each image followed by its label."""
    images = split.images.contiguous().numpy()
    labels = None if split.labels is None else split.labels.contiguous().numpy().astype("<i8")
    for row, image in enumerate(images):
        digest = hashlib.sha256(image.data)
        if labels is not None:
            digest.update(labels[row].tobytes())
        yield digest.digest()


def _order(splits: Iterable[LabelledImages]) -> str:
    digest = hashlib.sha256()
    for split in splits:
        digest.update(repr(tuple(split.images.shape)).encode())
        digest.update(split.images.contiguous().numpy().data)
        if split.labels is not None:
            digest.update(split.labels.contiguous().numpy().data)
    return digest.hexdigest()[:DIGITS]
