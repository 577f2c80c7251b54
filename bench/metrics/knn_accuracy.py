"""Accuracy of k-nearest-neighbour classification of test codes among train codes.

    accuracy = mean_n [ŷ(z_n) = y_n],   ŷ(z) = the most frequent label among the k train codes nearest to z

`train_codes` (M, D) with `train_labels` (M,) are the index, `codes` (N, D) with `labels` (N,) the queries: μ
where there is a posterior, not standardised; Euclidean distance. A tied vote goes to the smallest label, as
in scikit-learn. A fraction.

k is recorded beside the value. Raw codes: a dimension of larger scale counts for more. Read it beside the
value of raw pixels, which on MNIST is 0.97 already.
"""

import torch.nn.functional as F
from torch import Tensor

from bench.distances import nearest, need

from . import metric


@metric(
    unit="fraction",
    better="higher",
    counts="codes",
    key=("knn_k",),
    reference="Cover & Hart, Nearest neighbor pattern classification, 1967, https://doi.org/10.1109/TIT.1967.1053964",
)
def knn_accuracy(
    train_codes: Tensor, train_labels: Tensor, codes: Tensor, labels: Tensor, knn_k: int
) -> float:
    need(knn_k, train_codes, "train codes")
    _, index = nearest(codes, train_codes, knn_k)
    votes = F.one_hot(train_labels[index.to(train_labels.device)]).sum(1)  # (N, classes)
    hits = votes.argmax(1).to(labels.device) == labels  # argmax takes the first, so the smallest, of equals
    return hits.double().mean().item()
