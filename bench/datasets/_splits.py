"""What is done to a split: a fixed subset, hidden labels, a batch as float32."""

from dataclasses import replace

import torch
from torch import Tensor

from bench.models.seeding import generator

from . import Split


def subset(split: Split, n: int | None) -> Split:
    """The first `n` images of a permutation that is the same for every cell; all of them for None."""
    if n is None or n >= len(split):
        return split
    chosen = torch.randperm(len(split), generator=generator(0, "subset"))[:n].to(split.images.device)
    return split.at(chosen)


def hide_labels(split: Split, fraction: float) -> Split:
    """Keep the labels of a fixed `fraction` of the images, the same for every cell; the others become -1."""
    if split.labels is None or fraction >= 1:
        return split
    order = torch.randperm(len(split), generator=generator(0, "labelled")).to(split.labels.device)
    hidden = order[round(fraction * len(split)) :]
    return replace(split, labels=split.labels.index_fill(0, hidden, -1))


def images_at(split: Split, index: Tensor) -> Tensor:
    """Images at `index` (...) as (..., C, H, W) float32; whole rows at a time, which indexing does not do for uint8."""
    return to_float(split.images.index_select(0, index.flatten()).view(*index.shape, *split.images.shape[1:]))


def labels_at(split: Split, index: Tensor) -> Tensor:
    """Labels at `index`, -1 where there are none."""
    if split.labels is None:
        return torch.full_like(index, -1)
    return split.labels.index_select(0, index.flatten()).view(index.shape)


def to_float(images: Tensor) -> Tensor:
    """uint8 (…) to float32 in [0, 1]."""
    return images.float().div_(255)
