"""Codes of the test and train images, their neighbours and clusters, and the encoder's Jacobian."""

from functools import partial

import torch
from sklearn.cluster import KMeans
from torch import Tensor

from bench.datasets import Split
from bench.datasets._splits import to_float
from bench.errors import NotApplicable
from bench.evaluation.jacobian import squared_norms
from bench.evaluation.neighbors import as_numpy, nearest_label, need
from bench.evaluation.subsets import fixed_subset
from bench.models.seeding import generator

from .base import EvaluationContext, batches, provides
from .information import require_continuous

JACOBIAN_IMAGES = 1_000  #: test images at which the encoder is differentiated
KMEANS_REDRAWS = 4  #: further seeds of k-means, for the spread of its scores


@provides()
def codes(context: EvaluationContext) -> Tensor:
    return encoded(context, context.data.test)


@provides()
def train_codes(context: EvaluationContext) -> Tensor:
    return encoded(context, context.data.train)


def encoded(context: EvaluationContext, split: Split) -> Tensor:
    """The codes (N, D) of a split. Raises `NotApplicable` for a model without codes."""
    require_code(context)
    return torch.cat([context.model.encode(to_float(x), y) for x, y in batches(split)])


def require_code(context: EvaluationContext) -> None:
    """Raise `NotApplicable` for a model without a code."""
    if not context.model.has_code:
        raise NotApplicable(f"{context.cell.variant.name} has no code")


@provides()
def knn_predictions(context: EvaluationContext) -> Tensor:
    train, train_labels, k = context.get("train_codes"), context.get("train_labels"), context.get("knn_k")
    need(k, train, "train codes")
    return nearest_label(context.get("codes"), train, train_labels, k)


@provides()
def predicted_labels(context: EvaluationContext) -> Tensor:
    """The labels (N,) that the method's own classifier gives the test images, or their codes μ."""
    model, split = context.model, context.data.test
    if hasattr(model, "predict"):
        logits = [model.predict(to_float(x)) for x, _ in batches(split)]
    elif hasattr(model, "classify"):
        logits = [model.classify(model.encode(to_float(x), y)) for x, y in batches(split)]
    else:
        raise NotApplicable(f"{context.cell.variant.name} has no classifier")
    return torch.cat([each.argmax(1) for each in logits])


@provides()
def clusters(context: EvaluationContext) -> Tensor:
    return _clusters(context, seed=0)


@provides()
def redrawn_clusters(context: EvaluationContext) -> list[Tensor]:
    return [_clusters(context, seed) for seed in range(1, KMEANS_REDRAWS + 1)]


def _clusters(context: EvaluationContext, seed: int) -> Tensor:
    return kmeans(context.get("codes"), context.get("labels"), seed)


def kmeans(points: Tensor, labels: Tensor, seed: int) -> Tensor:
    """The k-means cluster of each point, as many clusters as there are classes: (N, D), (N,) → int64 (N,), on the host.

    k-means++, 10 starts, by scikit-learn. Raises `NotApplicable` for one class, or fewer distinct points than classes.
    """
    k = len(labels.unique())
    if k < 2:
        raise NotApplicable("needs at least 2 classes")
    if len(points.unique(dim=0)) < k:
        raise NotApplicable(f"fewer distinct codes than the {k} classes")
    return torch.from_numpy(KMeans(k, n_init=10, random_state=seed).fit_predict(as_numpy(points))).long()


@provides()
def jacobian_norms(context: EvaluationContext) -> Tensor:
    require_code(context)
    require_continuous(context)
    test, noise = context.data.test, generator(0, "jacobian")
    index = torch.as_tensor(fixed_subset(len(test), JACOBIAN_IMAGES), device=context.device)
    chosen = test.at(index)
    encode = context.model.encode
    return torch.cat([squared_norms(partial(encode, y=y), to_float(x), noise) for x, y in batches(chosen)])


@provides()
def knn_k(context: EvaluationContext) -> int:
    return context.cell.evaluate.knn_k
