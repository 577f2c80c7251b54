"""DCI completeness: whether one code dimension alone is important for each factor.

    C = mean_k (1 − H_D(P_k)),   P_ik = R_ik / Σ_i R_ik

`factor_importances` R (D, K): how important dimension i is for the prediction of factor k by a forest (see
`dci_disentanglement`). H_D is the entropy to base D, the number of code dimensions: values of codes of another length
do not compare. A fraction. `continuous_codes` are the test codes.
"""

import math

import torch
from torch import Tensor

from bench.errors import NotApplicable

from . import metric


@metric(
    title="DCI completeness",
    symbol="DCI C",
    unit="fraction",
    better="higher",
    counts="continuous_codes",
    key=("forest_codes",),
    beside=("forest",),
    reference="Eastwood & Williams, A Framework for the Quantitative Evaluation of Disentangled Representations, "
    "ICLR 2018, https://openreview.net/forum?id=By-7dz-AZ",
    cite="eastwood2018framework",
)
def dci_completeness(factor_importances: Tensor, continuous_codes: Tensor) -> float:
    d = len(factor_importances)
    if d < 2:
        raise NotApplicable("needs 2 code dimensions, there is 1")
    total = factor_importances.sum(0)
    if not bool((total > 0).all()):
        raise NotApplicable("no code dimension varies")
    entropy = torch.special.entr(factor_importances / total).sum(0) / math.log(d)
    return (1 - entropy).mean().item()
