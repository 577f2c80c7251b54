"""Total correlation of the dimensions of the test codes, under a Gaussian.

    TC = −½ log det R,   R = the correlation matrix of z over test images

`continuous_codes` (N, D): μ where there is a posterior. The divergence, in nats, of a Gaussian with the covariance of
the codes from the product of its marginals: 0 for uncorrelated dimensions. Dimensions that are the same for every image
are left out. Biased upwards by about D(D − 1)/(4N).

Sees linear dependence only; unlike the mean correlation it sees a dimension that is a sum of several others. Infinite,
hence without a value, where one dimension is a linear function of others. Discrete codes have none.
"""

import torch
from torch import Tensor

from bench.errors import NotApplicable
from bench.evaluation.neighbors import as_float64

from . import metric

LEAST = 1e-12  #: eigenvalue of R below which a dimension is a linear function of others


@metric(
    title="Total correlation of code dimensions, Gaussian",
    symbol="Total correlation",
    unit="nats",
    better="none",
    counts="continuous_codes",
    reference="Watanabe, Information Theoretical Analysis of Multivariate Correlation, 1960, "
    "https://doi.org/10.1147/rd.41.0066",
    cite="watanabe1960information",
)
def total_correlation(continuous_codes: Tensor) -> float:
    live = continuous_codes.amax(0) > continuous_codes.amin(0)
    if live.sum() < 2:
        raise NotApplicable(f"needs 2 dimensions that vary, {int(live.sum())} of {len(live)} does")
    eigenvalues = torch.linalg.eigvalsh(torch.corrcoef(as_float64(continuous_codes[:, live]).T))
    if eigenvalues[0] < LEAST:
        raise NotApplicable("one dimension is a linear function of others")
    return -0.5 * eigenvalues.log().sum().item()
