"""Agreement of k-means clusters of the test codes with the classes: normalised mutual information.

    nmi = I(cluster; class) / ((H(cluster) + H(class)) / 2)

k-means with as many clusters as there are classes on `codes` (N, D), raw, μ where there is a posterior:
k-means++, 10 starts, fixed seed; `labels` (N,) are the classes. From 0 to 1. Computed by scikit-learn.

k-means looks for round clusters of one size in raw codes; classes that form rings or stripes score low
however well they are separated. Chance scores slightly above 0, unlike the adjusted Rand index.
"""

import numpy as np
from sklearn.cluster import KMeans
from sklearn.metrics import normalized_mutual_info_score
from torch import Tensor

from bench.errors import NotApplicable
from bench.evaluation.neighbors import as_numpy

from . import metric


def clusters(codes: Tensor, labels: Tensor) -> np.ndarray:
    """The k-means cluster of each code (N, D), one cluster for each class of `labels` (N,): int (N,)."""
    k = len(labels.unique())
    if k < 2:
        raise NotApplicable("needs at least 2 classes")
    if len(codes.unique(dim=0)) < k:
        raise NotApplicable(f"fewer distinct codes than the {k} classes")
    found: np.ndarray = KMeans(k, n_init=10, random_state=0).fit_predict(as_numpy(codes))
    return found


@metric(
    title="Normalised mutual information of k-means on the codes",
    symbol="k-means NMI",
    unit="from 0 to 1",
    better="higher",
    counts="codes",
    reference="Vinh, Epps & Bailey, Information Theoretic Measures for Clusterings Comparison: Variants, "
    "Properties, Normalization and Correction for Chance, JMLR 2010, https://jmlr.org/papers/v11/vinh10a.html",
    cite="vinh2010information",
)
def kmeans_nmi(codes: Tensor, labels: Tensor) -> float:
    return float(normalized_mutual_info_score(labels.cpu().numpy(), clusters(codes, labels)))
