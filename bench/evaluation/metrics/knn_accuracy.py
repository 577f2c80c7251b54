"""Accuracy of k-nearest-neighbour classification of test codes among train codes.

    accuracy = mean_n [ŷ(z_n) = y_n],   ŷ(z) = the most frequent label among the k train codes nearest to z

`knn_predictions` (N,) is ŷ, with all train codes as the index and test codes as queries: μ where there is a
posterior, not standardised; Euclidean distance. `labels` (N,) are the true classes. A tied vote goes to the
smallest label, as in scikit-learn. A fraction.

k is recorded beside the value. Raw codes: a dimension of larger scale counts for more. Read it beside the
value of raw pixels, which on MNIST is 0.97 already.
"""

from torch import Tensor

from . import metric


@metric(
    title="k-nearest-neighbour accuracy of the codes",
    symbol="kNN accuracy",
    unit="fraction",
    better="higher",
    counts="labels",
    key=("knn_k",),
    reference="Cover & Hart, Nearest neighbor pattern classification, 1967, https://doi.org/10.1109/TIT.1967.1053964",
    cite="cover1967nearest",
)
def knn_accuracy(knn_predictions: Tensor, labels: Tensor) -> float:
    return (knn_predictions.to(labels.device) == labels).double().mean().item()
