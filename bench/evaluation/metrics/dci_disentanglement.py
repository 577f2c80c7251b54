"""DCI disentanglement: whether each code dimension is important for one factor only.

    D = Σ_i ρ_i (1 − H_K(P_i)),   P_ik = R_ik / Σ_k R_ik,   ρ_i = Σ_k R_ik / Σ_ik R_ik

`factor_importances` R (D, K): how important dimension i is for the prediction of factor k by a forest. H_K is the
entropy to base K, the number of factors that vary. A fraction.

Forests: scikit-learn's `RandomForestClassifier`, a choice of Eastwood & Williams, one for each factor, of 20 full trees
that see all dimensions (Gini, seed 0), fitted to at most 5,000 train codes; importance is the mean decrease of
impurity. The version of scikit-learn is recorded as `forest`. Values of other regressors, and of codes of another
length (https://github.com/google-research/disentanglement_lib/issues/29), do not compare. `continuous_codes` are the
test codes.
"""

import math

import torch
from torch import Tensor

from bench.errors import NotApplicable

from . import metric


@metric(
    title="DCI disentanglement",
    symbol="DCI D",
    unit="fraction",
    better="higher",
    counts="continuous_codes",
    key=("forest_codes",),
    beside=("forest",),
    reference="Eastwood & Williams, A Framework for the Quantitative Evaluation of Disentangled Representations, "
    "ICLR 2018, https://openreview.net/forum?id=By-7dz-AZ",
    cite="eastwood2018framework",
)
def dci_disentanglement(factor_importances: Tensor, continuous_codes: Tensor) -> float:
    k = factor_importances.shape[1]
    if k < 2:
        raise NotApplicable(f"needs 2 factors that vary, {k} does")
    weight = factor_importances.sum(1)  # (D,)
    if not weight.sum() > 0:
        raise NotApplicable("no code dimension varies")
    used = weight > 0
    p = factor_importances[used] / weight[used, None]
    entropy = torch.special.entr(p).sum(1) / math.log(k)
    return (weight[used] / weight.sum() @ (1 - entropy)).item()
