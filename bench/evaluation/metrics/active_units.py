"""Number of latent dimensions that carry information about the image.

    active_units = #{ d : Var_x( E_{z ~ q(z|x)}[z_d] ) > 0.01 }

The variance over test images of the posterior mean `posterior_mean` (N, D), one dimension at a time. A count,
from 0 (posterior collapse: the decoder ignores the code) to D.

The threshold is the paper's, which found the variances far from it on either side; it is meant for codes
whose prior has variance 1. Neither direction is better: it says how much of the capacity is in use.
"""

from torch import Tensor

from . import metric

THRESHOLD = 0.01


@metric(
    title="Active units",
    symbol="Active units",
    unit="latent dimensions",
    better="none",
    counts="posterior_mean",
    reference="Burda, Grosse & Salakhutdinov, Importance Weighted Autoencoders, 2016, https://arxiv.org/abs/1509.00519",
    cite="burda2016importance",
)
def active_units(posterior_mean: Tensor) -> float:
    variances = posterior_mean.cpu().double().var(0, correction=0)  # (D,)
    return float((variances > THRESHOLD).sum())
