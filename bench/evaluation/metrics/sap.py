"""Separated attribute predictability: how much better one code dimension predicts a factor than the next.

    SAP = mean_k ( S_j1k − S_j2k ),   j1, j2 = the two dimensions of largest S_jk
    S_jk = cov(z_j, v_k)² / (var z_j · var v_k)                                  for an ordered factor
    S_jk = largest balanced accuracy of a rule on z_j with C − 1 thresholds     for a factor of C categories

`continuous_codes` (N, D): μ where there is a posterior. `factors` (N, K): the values of the factors that vary,
`factor_categorical` (K,) those whose order means nothing. Thresholds are optimal on the test images, as in the paper;
each interval between them predicts one category. A fraction.

S of an ordered factor is of straight lines only: the angle of a full turn, or a dimension that bends, has less than
its information. S of categories is at least 1/C, so a categorical factor adds at most 1 − 1/C.
"""

import numpy as np
from torch import Tensor

from bench.errors import NotApplicable
from bench.evaluation.neighbors import as_numpy

from . import metric


@metric(
    title="Separated attribute predictability",
    symbol="SAP",
    unit="fraction",
    better="higher",
    counts="continuous_codes",
    reference="Kumar et al., Variational Inference of Disentangled Latent Concepts from Unlabeled Observations, "
    "ICLR 2018, https://arxiv.org/abs/1711.00848",
    cite="kumar2018variational",
)
def sap(continuous_codes: Tensor, factors: Tensor, factor_categorical: Tensor) -> float:
    if continuous_codes.shape[1] < 2:
        raise NotApplicable("needs 2 code dimensions, there is 1")
    codes, gaps = as_numpy(continuous_codes), []
    for values, categorical in zip(factors.cpu().numpy().T, factor_categorical.tolist(), strict=True):
        score = best_balanced_accuracy if categorical else squared_correlation
        second, first = sorted(score(z, values) for z in codes.T)[-2:]
        gaps.append(first - second)
    return float(np.mean(gaps))


def squared_correlation(z: np.ndarray, values: np.ndarray) -> float:
    """cov² / (var · var) of two arrays (N,); 0 where one is constant."""
    if z.max() == z.min():
        return 0.0
    x, y = z - z.mean(), values - values.mean()
    return float((x @ y) ** 2 / ((x @ x) * (y @ y)))


def best_balanced_accuracy(z: np.ndarray, values: np.ndarray) -> float:
    """The largest mean over C categories of the share that a rule on z with C − 1 thresholds names rightly.

    By dynamic programming over the sorted different numbers of z: `best[t, c]` is the largest reward so far of a rule
    that has used t thresholds and now predicts category c.
    """
    known, category = np.unique(values, return_inverse=True)
    places, place = np.unique(z, return_inverse=True)
    size = len(known)
    counts = np.bincount(place * size + category, minlength=len(places) * size).reshape(-1, size)
    rewards = counts / (counts.sum(0) * size)
    best = np.full((size, size), -np.inf)
    best[0] = 0.0
    for reward in rewards:
        best[1:] = np.maximum(best[1:], best[:-1].max(1, keepdims=True))
        best = best + reward
    return float(best.max())
