"""Agreement of k-means clusters of the test codes with the classes: adjusted Rand index.

    ari = (RI − E[RI]) / (1 − E[RI])

RI is the fraction of pairs of images on which clusters and classes agree (together in both, or apart in
both), E[RI] its expectation when clusters of the same sizes are filled at random. `clusters` (N,) are those of
`kmeans_nmi`, `labels` (N,) the classes. 1 for equal partitions, 0 on average by chance, can be negative.
Computed by scikit-learn.

Large clusters weigh more: pairs grow with the square of their size.
"""

from sklearn.metrics import adjusted_rand_score
from torch import Tensor

from . import metric


@metric(
    title="Adjusted Rand index of k-means on the codes",
    symbol="k-means ARI",
    unit="at most 1, chance 0",
    better="higher",
    counts="clusters",
    reference="Hubert & Arabie, Comparing partitions, 1985, https://doi.org/10.1007/BF01908075",
    cite="hubert1985comparing",
)
def kmeans_ari(clusters: Tensor, labels: Tensor) -> float:
    return float(adjusted_rand_score(labels.cpu().numpy(), clusters.cpu().numpy()))
