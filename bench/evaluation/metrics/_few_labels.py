"""Nearest-neighbour accuracy with few labels, behind `knn_accuracy_100`, `knn_accuracy_600` and `knn_accuracy_1000`."""

import numpy as np
import torch
from torch import Tensor

from bench.evaluation.neighbors import nearest_label, need

from . import Estimate

K = 5  #: neighbours that vote
DRAWS = 20


def few_label_accuracy(n: int, codes: Tensor, labels: Tensor, train_codes: Tensor, train_labels: Tensor) -> Estimate:
    """The mean accuracy over `DRAWS` sets of n labelled train codes, drawn without replacement by a fixed generator.

    Beside it: `labelled_sets_sd`, the standard deviation over the sets; `evaluation_sd`, that of the mean;
    `evaluation_draws`. Raises `NotApplicable` for fewer than n train codes.
    """
    need(n, train_codes, "labelled train codes")
    rng = np.random.default_rng(0)
    sets = (torch.from_numpy(rng.permutation(len(train_codes))[:n]) for _ in range(DRAWS))
    found = [_accuracy(codes, labels, train_codes[i], train_labels[i]) for i in sets]
    sd = float(np.std(found, ddof=1))
    return Estimate(float(np.mean(found)), labelled_sets_sd=sd, evaluation_sd=sd / DRAWS**0.5, evaluation_draws=DRAWS)


def _accuracy(codes: Tensor, labels: Tensor, known: Tensor, known_labels: Tensor) -> float:
    predicted = nearest_label(codes, known, known_labels, K)
    return (predicted.to(labels.device) == labels).double().mean().item()
