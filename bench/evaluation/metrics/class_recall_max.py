"""Recall of the class that nearest neighbours in the code find best.

    recall_max = max_c recall_c,   recall_c = mean over test images n of class c of [ŷ(z_n) = c]

ŷ is the k-nearest-neighbour label of `knn_accuracy`, `knn_predictions` (N,); `labels` (N,). Classes without a
test image do not count. A fraction; high where a class has a region of its own. It says nothing of the
others: read it beside `class_recall_min`.
"""

from torch import Tensor

from . import metric
from .class_recall_min import class_recalls


@metric(
    title="Largest recall of a class (kNN)",
    symbol="Largest class recall",
    unit="fraction",
    better="higher",
    counts="labels",
    key=("knn_k",),
    reference="Cover & Hart, Nearest neighbor pattern classification, 1967, https://doi.org/10.1109/TIT.1967.1053964",
    cite="cover1967nearest",
)
def class_recall_max(knn_predictions: Tensor, labels: Tensor) -> float:
    return class_recalls(knn_predictions, labels).max().item()
