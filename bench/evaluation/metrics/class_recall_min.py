"""Recall of the class that nearest neighbours in the code find worst.

    recall_min = min_c recall_c,   recall_c = mean over test images n of class c of [ŷ(z_n) = c]

ŷ is the k-nearest-neighbour label of `knn_accuracy`, `knn_predictions` (N,); `labels` (N,). Classes without a
test image do not count. A fraction; low where a class lies mixed with others. The smallest of many noisy
numbers is biased downwards, the more so the fewer images a class has.
"""

import torch
from torch import Tensor

from . import metric


@metric(
    title="Smallest recall of a class (kNN)",
    symbol="Smallest class recall",
    unit="fraction",
    better="higher",
    counts="labels",
    key=("knn_k",),
    reference="Cover & Hart, Nearest neighbor pattern classification, 1967, https://doi.org/10.1109/TIT.1967.1053964",
    cite="cover1967nearest",
)
def class_recall_min(knn_predictions: Tensor, labels: Tensor) -> float:
    return class_recalls(knn_predictions, labels).min().item()


def class_recalls(predictions: Tensor, labels: Tensor) -> Tensor:
    """Recall of each class that occurs, (N,) twice → float64 (classes,)."""
    hits = (predictions.to(labels.device) == labels).cpu().double()
    classes = labels.cpu()
    return torch.stack([hits[classes == c].mean() for c in classes.unique()])
