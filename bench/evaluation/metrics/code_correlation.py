"""Linear dependence between the dimensions of the test codes.

    correlation = mean over pairs i < j of |ρ_ij|,   ρ = the correlation matrix of z over test images

`codes` (N, D): μ where there is a posterior. Dimensions that are the same for every image have no correlation
and are left out. From 0, no linear dependence, to 1, every dimension says the same. Independent codes score
about 0.8/√N.

Sees straight lines only, and a rotation of the codes changes it. A collapsed dimension counts as much as any
other, however small, so read it beside the active units.
"""

import torch
from torch import Tensor

from bench.errors import NotApplicable
from bench.evaluation.neighbors import as_float64

from . import metric


@metric(
    title="Correlation of code dimensions",
    symbol="Code correlation",
    unit="from 0 to 1",
    better="none",
    counts="codes",
    reference="textbook definition",
)
def code_correlation(codes: Tensor) -> float:
    live = codes.amax(0) > codes.amin(0)
    if live.sum() < 2:
        raise NotApplicable(f"needs 2 dimensions that vary, {int(live.sum())} of {len(live)} does")
    correlations = torch.corrcoef(as_float64(codes[:, live]).T)
    n = len(correlations)
    return correlations.abs().triu(1).sum().item() / (n * (n - 1) / 2)
