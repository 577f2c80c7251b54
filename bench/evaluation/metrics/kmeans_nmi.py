"""Agreement of k-means clusters of the test codes with the classes: normalised mutual information.

    nmi = I(cluster; class) / ((H(cluster) + H(class)) / 2)

`clusters` (N,) are those of k-means on the raw test codes (μ where there is a posterior), as many as there are
classes: k-means++, 10 starts, fixed seed; `labels` (N,) are the classes. From 0 to 1. Computed by scikit-learn.

k-means finds round clusters of one size in raw codes; classes that form rings or stripes score low however well
they are separated. Chance scores slightly above 0, unlike the adjusted Rand index. Other seeds of k-means give the
`evaluation_sd` beside the value.
"""

from sklearn.metrics import normalized_mutual_info_score
from torch import Tensor

from . import metric


@metric(
    title="Normalised mutual information of k-means on the codes",
    symbol="k-means NMI",
    unit="from 0 to 1",
    better="higher",
    counts="clusters",
    reference="Vinh, Epps & Bailey, Information Theoretic Measures for Clusterings Comparison: Variants, "
    "Properties, Normalization and Correction for Chance, JMLR 2010, https://jmlr.org/papers/v11/vinh10a.html",
    cite="vinh2010information",
)
def kmeans_nmi(clusters: Tensor, labels: Tensor) -> float:
    return float(normalized_mutual_info_score(labels.cpu().numpy(), clusters.cpu().numpy()))
