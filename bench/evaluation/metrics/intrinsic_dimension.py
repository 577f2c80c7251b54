"""Intrinsic dimension of the test codes, from the ratio of two distances (TwoNN).

    d = the slope through the origin of −log(1 − i/N) against log μ_(i),   μ = r₂/r₁

r₁ and r₂ are the distances of a code to its nearest and second nearest code; μ_(1) ≤ … ≤ μ_(N) are the sorted ratios,
of which the largest tenth is left out, as in the paper. `continuous_codes` (N, D): μ where there is a posterior;
Euclidean distance. Copies of a code count once. A number of dimensions.

Local: it is the dimension at the scale of the distance between neighbours, and grows when noise of that scale is added.
Too low where the dimension is high and codes are few. Discrete codes have no dimension.
"""

import torch
from torch import Tensor

from bench.evaluation.neighbors import nearest, need

from . import metric

KEPT = 0.9  #: share of the ratios that the line is fitted to


@metric(
    title="Intrinsic dimension of the codes",
    symbol="Intrinsic dimension",
    unit="dimensions",
    better="none",
    counts="continuous_codes",
    reference="Facco et al., Estimating the intrinsic dimension of datasets by a minimal neighborhood information, "
    "Scientific Reports 2017, https://doi.org/10.1038/s41598-017-11873-y",
    cite="facco2017estimating",
)
def intrinsic_dimension(continuous_codes: Tensor) -> float:
    codes = continuous_codes.cpu().double().unique(dim=0)
    need(20, codes, "different codes")
    distances, _ = nearest(codes, codes, 2, itself=False)
    ratios = (distances[:, 1] / distances[:, 0]).log().sort().values
    n = len(ratios)
    x = ratios[: int(KEPT * n)]
    y = -torch.log1p(-torch.arange(1, len(x) + 1, dtype=torch.float64) / n)
    return ((x @ y) / (x @ x)).item()
