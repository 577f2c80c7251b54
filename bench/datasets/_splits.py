"""What is done to a split: a fixed subset, hidden labels, a batch as float32."""

from collections.abc import Sequence
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


def hide_labels(split: Split, fraction: float, seeds: Sequence[int]) -> Split:
    """The split with the labels of a `fraction` of its images, drawn for each seed; labels (S, N), the others are -1.

    The labelled images are spread over the classes as evenly as the classes allow, as in the published tables of
    semi-supervised learning (Kingma et al. 2014, section 4.1). A split is returned as it is where all labels are kept.
    """
    if split.labels is None or fraction >= 1:
        return split
    drawn = [_some_of_each_class(split.labels, round(fraction * len(split)), seed) for seed in seeds]
    return replace(split, labels=torch.stack(drawn))


def _some_of_each_class(labels: Tensor, n: int, seed: int) -> Tensor:
    """Labels (N,) with all but `n` set to -1. Kept are, in a random order, the first of each class, then the second."""
    order = torch.randperm(len(labels), generator=generator(seed, "labelled")).to(labels.device)
    by_class = order[labels[order].argsort(stable=True)]
    first = labels.bincount().cumsum(0) - labels.bincount()
    rank = torch.empty_like(labels)  #: of an image among those of its class
    rank[by_class] = torch.arange(len(labels), device=labels.device) - first[labels[by_class]]
    kept = order[rank[order].argsort(stable=True)[:n]]
    return torch.full_like(labels, -1).index_copy(0, kept, labels[kept])


def images_at(split: Split, index: Tensor) -> Tensor:
    """Images at `index` (...) as (..., C, H, W) float32; whole rows at a time, which indexing does not do for uint8."""
    return to_float(split.images.index_select(0, index.flatten()).view(*index.shape, *split.images.shape[1:]))


def labels_at(split: Split, index: Tensor) -> Tensor:
    """Labels at `index` (...), -1 where there are none; a row of (S, N) labels for each row of an `index` (S, B)."""
    if split.labels is None:
        return torch.full_like(index, -1)
    if split.labels.ndim == 2:
        return split.labels.gather(1, index)
    return split.labels.index_select(0, index.flatten()).view(index.shape)


def to_float(images: Tensor) -> Tensor:
    """uint8 (…) to float32 in [0, 1]."""
    return images.float().div_(255)
