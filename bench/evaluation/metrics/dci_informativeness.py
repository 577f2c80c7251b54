"""DCI informativeness: how well the factors can be predicted from the codes.

    I = mean_k accuracy_k of a forest fitted to train codes, on test codes

`factor_accuracies` (K,), of the forests of `dci_disentanglement`. `factors` (N, K): the values of the factors that vary
of the test images. A fraction. Eastwood & Williams give the error of a regression; the accuracy of a classification is
what Locatello et al. 2019, https://arxiv.org/abs/1811.12359, compare.

The mean share of the most frequent value of each factor is recorded as `chance`: what codes without information reach.
"""

import torch
from torch import Tensor

from . import Estimate, metric


@metric(
    title="DCI informativeness",
    symbol="DCI I",
    unit="fraction",
    better="higher",
    counts="factors",
    key=("forest_codes",),
    beside=("forest",),
    reference="Eastwood & Williams, A Framework for the Quantitative Evaluation of Disentangled Representations, "
    "ICLR 2018, https://openreview.net/forum?id=By-7dz-AZ",
    cite="eastwood2018framework",
)
def dci_informativeness(factor_accuracies: Tensor, factors: Tensor) -> Estimate:
    most = torch.stack([values.bincount().max() / len(values) for values in factors.T])
    return Estimate(factor_accuracies.mean().item(), chance=most.mean().item())
