"""Mutual information gap: how much more the best code dimension knows of a factor than the second best.

    MIG = mean_k ( I(z_j1; v_k) − I(z_j2; v_k) ) / H(v_k),   j1, j2 = the two dimensions of largest I(z_j; v_k)

`continuous_codes` (N, D): μ where there is a posterior. `factors` (N, K): the values of the factors that vary. Each
dimension is cut into 20 bins of equal width between its smallest and its largest value over the test images; I and H
are those of the table of counts. A fraction.

1 where each factor has one dimension of its own that determines it; about 0 where several dimensions know a factor
equally well, as after a rotation of a perfect code. A factor of more than 20 values has less than 1 even then. The
bins are counted here and by no library, because published values moved with the binning of libraries
(https://github.com/google-research/disentanglement_lib/issues/33). Chen et al. average over draws from the posterior
instead of binning μ; the binned form is that of Locatello et al. 2019, https://arxiv.org/abs/1811.12359.
"""

import numpy as np
from torch import Tensor

from bench.errors import NotApplicable
from bench.evaluation.neighbors import as_numpy

from . import metric

BINS = 20


@metric(
    title="Mutual information gap",
    symbol="MIG",
    unit="fraction",
    better="higher",
    counts="continuous_codes",
    reference="Chen et al., Isolating Sources of Disentanglement in Variational Autoencoders, NeurIPS 2018, "
    "https://arxiv.org/abs/1802.04942",
    cite="chen2018isolating",
)
def mig(continuous_codes: Tensor, factors: Tensor) -> float:
    if continuous_codes.shape[1] < 2:
        raise NotApplicable("needs 2 code dimensions, there is 1")
    bins = [_bins(z) for z in as_numpy(continuous_codes).T]
    gaps = []
    for values in factors.cpu().numpy().T:
        second, first = sorted(mutual_information(z, values) for z in bins)[-2:]
        gaps.append((first - second) / mutual_information(values, values))  # I(v; v) = H(v)
    return float(np.mean(gaps))


def _bins(z: np.ndarray) -> np.ndarray:
    """The bin of each number, int64 from 0; one bin where all numbers are equal."""
    low, high = z.min(), z.max()
    if not high > low:
        return np.zeros(len(z), np.int64)
    return np.minimum(np.floor((z - low) / (high - low) * BINS), BINS - 1).astype(np.int64)


def mutual_information(a: np.ndarray, b: np.ndarray) -> float:
    """I(a; b) of the table of counts of two arrays of integers from 0, (N,), in nats."""
    rows, columns = a.max() + 1, b.max() + 1
    joint = np.bincount(a * columns + b, minlength=rows * columns).reshape(rows, columns) / len(a)
    product = joint.sum(1, keepdims=True) * joint.sum(0)
    some = joint > 0
    return float((joint[some] * np.log(joint[some] / product[some])).sum())
