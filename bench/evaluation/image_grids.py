"""Grids of images of a trained model: test images beside their reconstructions, and generated images.

Arrays are uint8 (H, W, C). A figure that does not exist for a model raises `NotApplicable`.
"""

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor

from bench.datasets import Data
from bench.datasets._splits import to_float
from bench.errors import NotApplicable
from bench.models.seeding import generator

from . import image_files
from .context import BATCH, EvaluationContext, quantise

CLASSES = 10  #: rows of samples by label


# -- of test images


def reconstructions(context: EvaluationContext, n: int | None = None) -> np.ndarray:
    """Two rows: n test images, and their reconstructions."""
    x, y = _test_images(context, n)
    return image_files.rows(x, quantise(_reconstruct(context, to_float(x), y)))


def restored(context: EvaluationContext, corruption: str, n: int | None = None) -> np.ndarray:
    """Three rows: n test images, the same under a corruption of the protocol, and their reconstructions."""
    index = shown(context.data, n)
    x, y = _test_images(context, n)
    corrupted = x * ~context.get("corrupted_pixels", corruption)[index]
    return image_files.rows(x, corrupted, quantise(_reconstruct(context, to_float(corrupted), y)))


def restored_training(context: EvaluationContext, n: int | None = None) -> np.ndarray:
    """Three rows: n test images, the same as the encoder receives them in training, and their reconstructions.

    Raises `NotApplicable` for a method that is trained on uncorrupted images.
    """
    x, y = _test_images(context, n)
    corrupted = _training_inputs(context, to_float(x), y)
    return image_files.rows(x, quantise(corrupted), quantise(_reconstruct(context, corrupted, y)))


def shown(data: Data, n: int | None = None) -> list[int]:
    """Indices of the test images in every figure: the first of each class, then the second of each, ...

    Without labels: the first n.
    """
    n = images_that_fit(data.shape, 10, 8, 6) if n is None else n
    return by_rank(data, np.arange(len(data.test)))[0][:n].tolist()


def _test_images(context: EvaluationContext, n: int | None) -> tuple[Tensor, Tensor | None]:
    """uint8 (n, C, H, W) and labels (n,), or None where there are none."""
    index, test = shown(context.data, n), context.data.test
    return test.images[index], None if test.labels is None else test.labels[index]


def _reconstruct(context: EvaluationContext, x: Tensor, y: Tensor | None) -> Tensor:
    """Reconstructions (N, C, H, W) of images x in [0, 1], in batches."""
    pairs = zip(x.split(BATCH), [None] * len(x) if y is None else y.split(BATCH), strict=False)
    with timed(context):
        return torch.cat([context.model.generate(context.model.encode(part, label), label) for part, label in pairs])


@contextmanager
def timed(context: EvaluationContext) -> Iterator[None]:
    """Add the time of the model's computations to `figures` in the record's seconds."""
    start = time.perf_counter()
    try:
        yield
    finally:
        context.seconds["figures"] = context.seconds.get("figures", 0.0) + time.perf_counter() - start


def _training_inputs(context: EvaluationContext, x: Tensor, y: Tensor | None) -> Tensor:
    """The images that a training step encodes for x (B, C, H, W), where the method corrupts them first."""
    model, inputs = context.model, list[Tensor]()
    if not model.corrupts:
        raise NotApplicable(f"{context.cell.variant.name} is trained on uncorrupted images")
    encode = model.net.encode

    def record_input(image: Tensor, given: Tensor | None = None) -> Tensor:
        inputs.append(image.detach().clone())
        return encode(image, given)

    model.net.encode = record_input
    try:
        labels = torch.full((len(x),), -1, device=x.device) if y is None else y
        with timed(context):
            model(x, labels, model.draw(x, generator(0, "restored", context.device)))
    finally:
        del model.net.encode
    return inputs[0]


# -- generated images


def samples(context: EvaluationContext, sampler: str, n: int | None = None) -> np.ndarray:
    """A grid of n images decoded from codes that a sampler drew; a conditional model's labels are drawn as well."""
    n = _columns(context) ** 2 if n is None else n
    codes, labels = context.get("drawn_codes", sampler)[:n], context.get("drawn_labels", sampler)
    return squarish(decoded(context, codes, None if labels is None else labels[:n]))


def squarish(images: Tensor) -> np.ndarray:
    """A grid of images (N, C, H, W) with about as many rows as columns; places without an image are grey."""
    columns = math.ceil(math.sqrt(len(images)))
    return image_files.grid(_pad_with_grey(images, -(-len(images) // columns) * columns), columns)


def by_label(context: EvaluationContext, sampler: str, n: int | None = None) -> np.ndarray:
    """A row of n images for each of the first classes.

    A conditional model decodes the same codes in every row, each row with another label. A model with a classifier on
    its codes shows the first n codes that the classifier assigns to the class; missing ones are grey.
    """
    n = _columns(context) if n is None else n
    classes = min(context.model.net.size.classes, CLASSES)
    if context.model.conditional:
        codes = context.get("drawn_codes", sampler)[:n]
        return image_files.rows(*(decoded(context, codes, torch.full((len(codes),), k)) for k in range(classes)))
    predicted = context.get("sample_labels", sampler)
    codes = context.get("drawn_codes", sampler)
    return image_files.rows(
        *(_pad_with_grey(decoded(context, codes[predicted == k][:n], None), n) for k in range(classes))
    )


def decoded(context: EvaluationContext, codes: Tensor, labels: Tensor | None) -> Tensor:
    """uint8 (N, C, H, W) of codes (N, D) and, for a conditional model, labels (N,)."""
    if not len(codes):
        return torch.zeros((0, *context.model.net.size.shape), dtype=torch.uint8)
    given = [None] * len(codes) if labels is None else labels.to(codes.device).split(BATCH)
    pairs = zip(codes.split(BATCH), given, strict=False)
    with timed(context):
        return torch.cat([quantise(context.model.generate(z, y)).cpu() for z, y in pairs])


def _pad_with_grey(images: Tensor, n: int) -> Tensor:
    """The images, followed by grey ones up to n."""
    blank = torch.full((n - len(images), *images.shape[1:]), image_files.GREY, dtype=torch.uint8)
    return torch.cat([images, blank])


# -- shared by all figures


def by_rank(data: Data, order: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Test images as first of each class, second of each, ... (within a class by `order`), and their classes."""
    if data.test.labels is None:
        return order, np.zeros(len(order), int)
    labels = data.test.labels.cpu().numpy()[order]
    rank = np.zeros(len(labels), int)
    for k in np.unique(labels):
        rank[labels == k] = np.arange((labels == k).sum())
    turn = np.lexsort((labels, rank))
    return order[turn], labels[turn]


def _columns(context: EvaluationContext) -> int:
    return images_that_fit(context.model.net.size.shape, 8, 6, 4)


def images_that_fit(shape: tuple[int, int, int], small: int, middle: int, large: int) -> int:
    """How many images fit: `small` for sides up to 40 pixels, `middle` for up to 72, else `large`."""
    side = max(shape[1:])
    return small if side <= 40 else middle if side <= 72 else large
