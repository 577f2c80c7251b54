"""Images, labels and factors of the test and train split, and the corrupted test images."""

from dataclasses import replace

import torch
from torch import Tensor

from bench.datasets import Split
from bench.datasets._splits import subset, to_float
from bench.errors import NotApplicable
from bench.evaluation.subsets import PROBE_CODES, fixed_subset, probe_subset
from bench.models.corruptions import lost_pixels

from .base import EvaluationContext, provides

TRAIN_IMAGES = 10_000  #: train images that are reconstructed


@provides()
def test_uint8(context: EvaluationContext) -> Tensor:
    return context.data.test.images


@provides()
def images(context: EvaluationContext) -> Tensor:
    return to_float(context.data.test.images)


@provides()
def labels(context: EvaluationContext) -> Tensor:
    _require_classes(context)
    assert context.data.test.labels is not None
    return context.data.test.labels


@provides()
def train_labels(context: EvaluationContext) -> Tensor:
    _require_classes(context)
    assert context.data.train.labels is not None
    return context.data.train.labels


@provides()
def probe_codes(context: EvaluationContext) -> str | None:
    """How the train codes of `linear_probe` are chosen, where they are not evenly spaced."""
    labels = context.get("train_labels").cpu().numpy()
    return "drawn at random" if probe_subset(labels, PROBE_CODES)[1] else None


def _require_classes(context: EvaluationContext) -> None:
    """Raise `NotApplicable` for data without labels, or with labels of a single class."""
    if context.data.train.labels is None or context.data.test.labels is None:
        raise NotApplicable("the dataset has no labels")
    if len(context.data.train.labels.unique()) < 2:
        raise NotApplicable("needs labels of at least 2 classes, the train images are of 1 class")


@provides()
def trained_on(context: EvaluationContext) -> Split:
    """The train images that the model has seen: all of them, or those of the suite's `train_images`."""
    return subset(context.data.train, context.cell.train.train_images)


@provides()
def train_split(context: EvaluationContext) -> Split:
    seen = context.get("trained_on")
    index = torch.as_tensor(fixed_subset(len(seen), TRAIN_IMAGES), device=context.device)
    return seen.at(index)


@provides()
def train_images(context: EvaluationContext) -> Tensor:
    return to_float(context.get("train_split").images)


@provides()
def train_mean(context: EvaluationContext) -> Tensor:
    return context.get("trained_on").images.double().mean(0).div(255).float()


@provides()
def varying_pixels(context: EvaluationContext) -> Tensor:
    seen = context.get("trained_on").images
    return (seen.amax(0) != seen.amin(0)).flatten()


@provides(per="corruption")
def corrupted_pixels(context: EvaluationContext, corruption: str) -> Tensor:
    _, height, width = context.data.shape
    return lost_pixels(corruption, len(context.data.test), height, width).to(context.device)


@provides(per="corruption")
def corrupted_split(context: EvaluationContext, corruption: str) -> Split:
    kept = ~context.get("corrupted_pixels", corruption)
    return replace(context.data.test, images=context.data.test.images * kept)


@provides(per="corruption", kept=False)
def corrupted_images(context: EvaluationContext, corruption: str) -> Tensor:
    return to_float(context.get("corrupted_split", corruption).images)
