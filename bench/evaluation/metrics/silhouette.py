"""Silhouette of the true classes: how much nearer a point is to its own class than to the next.

    silhouette = mean_i (b_i − a_i) / max(a_i, b_i)

a_i is the mean distance of point i to the other points of its class, b_i the smallest mean distance to the
points of another class; Euclidean. `points` (P, 2 or D) are the test codes or a 2-d map of them,
`point_labels` (P,) the true labels, never clusters found on the same points. From −1 to 1; a class of one
point counts 0. Computed by scikit-learn.

Compare equal dimensions only: distances concentrate as D grows. On a t-SNE or UMAP map it describes that
picture and not the codes: such maps separate groups more than the data do.
"""

from sklearn.metrics import silhouette_score
from torch import Tensor

from bench.errors import NotApplicable
from bench.evaluation.neighbors import as_numpy

from . import metric


@metric(
    title="Silhouette of the true classes",
    symbol="Silhouette",
    unit="from −1 to 1",
    better="higher",
    counts="points",
    per="space",
    key=("perplexity", "n_neighbors"),
    beside=("map",),
    reference="Rousseeuw, Silhouettes: a graphical aid to the interpretation and validation of cluster "
    "analysis, 1987, https://doi.org/10.1016/0377-0427(87)90125-7",
    cite="rousseeuw1987silhouettes",
)
def silhouette(points: Tensor, point_labels: Tensor) -> float:
    classes = len(point_labels.unique())
    if not 2 <= classes < len(points):
        raise NotApplicable(f"needs 2 classes and more points than classes, has {classes} in {len(points)}")
    if bool((points == points[0]).all()):
        raise NotApplicable("all points coincide")
    return float(silhouette_score(as_numpy(points), point_labels.cpu().numpy(), metric="euclidean"))
