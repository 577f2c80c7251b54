"""Factors of variation: their values for test and train images, and forests that predict them from codes."""

from importlib.metadata import version

import numpy as np
import torch
from sklearn.ensemble import RandomForestClassifier
from torch import Tensor

from bench.datasets import Split
from bench.errors import NotApplicable
from bench.evaluation.metrics.active_units import THRESHOLD
from bench.evaluation.neighbors import as_numpy
from bench.evaluation.subsets import probe_subset

from .base import EvaluationContext, provides
from .information import require_continuous

FOREST_CODES = 5_000  #: train codes that a forest is fitted to
TREES = 20


@provides()
def factors(context: EvaluationContext) -> Tensor:
    return _varying(context, context.data.test)


@provides()
def train_factors(context: EvaluationContext) -> Tensor:
    return _varying(context, context.data.train)


@provides()
def factor_categorical(context: EvaluationContext) -> Tensor:
    kinds = torch.tensor([factor.categorical for factor in context.data.factors])
    return kinds[context.get("varying_factors")]


@provides()
def varying_factors(context: EvaluationContext) -> Tensor:
    """Indices of the factors that have two values or more among the test images and among the train images."""
    if context.data.test.factors is None or context.data.train.factors is None:
        raise NotApplicable("the dataset has no factors of variation")
    splits = (context.data.test.factors, context.data.train.factors)
    return torch.stack([values.amax(0) > values.amin(0) for values in splits]).all(0).nonzero()[:, 0].cpu()


def _varying(context: EvaluationContext, split: Split) -> Tensor:
    index = context.get("varying_factors")
    assert split.factors is not None
    return split.factors[:, index.to(split.factors.device)]


@provides()
def live_dimensions(context: EvaluationContext) -> Tensor:
    """Var μ above the threshold of active units where there is a posterior, any difference elsewhere."""
    codes = context.get("continuous_codes").double()
    if context.model.has_posterior:
        return codes.var(0, correction=0) > THRESHOLD
    return codes.amax(0) > codes.amin(0)


@provides()
def factor_importances(context: EvaluationContext) -> Tensor:
    return context.get("factor_forests")[0]


@provides()
def factor_accuracies(context: EvaluationContext) -> Tensor:
    return context.get("factor_forests")[1]


@provides()
def forest(context: EvaluationContext) -> str:
    return f"scikit-learn {version('scikit-learn')}"


@provides()
def forest_codes(context: EvaluationContext) -> str | None:
    """How the train codes of the forests are chosen, where they are not evenly spaced."""
    known = context.get("train_factors").cpu().numpy()
    return "drawn at random" if probe_subset(known, FOREST_CODES)[1] else None


@provides()
def factor_forests(context: EvaluationContext) -> tuple[Tensor, Tensor]:
    """`factor_importances` and `factor_accuracies`, from one forest for each factor."""
    known, asked = context.get("train_factors").cpu().numpy(), context.get("factors").cpu().numpy()
    require_continuous(context)
    return forests(context.get("train_codes"), known, context.get("codes"), asked)


def forests(train_codes: Tensor, known: np.ndarray, codes: Tensor, asked: np.ndarray) -> tuple[Tensor, Tensor]:
    """What forests fitted to train codes say of each factor.

    (M, D), values (M, K), (N, D), values (N, K) → the importance of each dimension for each factor, (D, K), each column
    of sum 1, or 0 where a forest has no split; and the accuracy on the test codes, (K,). float64.
    """
    used, _ = probe_subset(known, FOREST_CODES)
    x, queries = as_numpy(train_codes)[used], as_numpy(codes)
    importances, accuracies = [], []
    for fitted, wanted in zip(known[used].T, asked.T, strict=True):
        # every tree sees every dimension, so that a dimension without information is chosen by chance alone
        trees = RandomForestClassifier(
            n_estimators=TREES, criterion="gini", max_depth=None, min_samples_leaf=1, max_features=None, bootstrap=True,
            random_state=0, n_jobs=1,
        ).fit(x, fitted)  # fmt: skip
        importances.append(trees.feature_importances_)
        accuracies.append(trees.score(queries, wanted))
    return torch.from_numpy(np.stack(importances, 1)), torch.tensor(accuracies, dtype=torch.float64)
