"""Accuracy of 5-nearest-neighbour classification of test codes among 600 labelled train codes.

    accuracy = mean over 20 labelled sets of mean_n [ŷ(z_n) = y_n]

ŷ(z) is the most frequent label among the 5 codes of a labelled set that are nearest to z; a tied vote goes to the
smallest label. A set is 600 train codes drawn without replacement by a fixed generator, so that the sets are the same
for every model of a dataset. `codes` (N, D) and `train_codes` (M, D) are μ where there is a posterior, not
standardised; Euclidean distance. A fraction. The protocol of published tables of few-label accuracy.

Recorded beside the value: `labelled_sets_sd`, the standard deviation over the 20 sets (the ± of published rows), and
`evaluation_sd`, that of their mean. Training seeds share the sets, so that an interval over seeds holds neither.
"""

from torch import Tensor

from . import Estimate, metric
from ._few_labels import few_label_accuracy


@metric(
    title="5-nearest-neighbour accuracy with 600 labels",
    symbol="kNN accuracy, 600 labels",
    unit="fraction",
    better="higher",
    counts="labels",
    reference="Davidson et al., Hyperspherical Variational Auto-Encoders, UAI 2018, https://arxiv.org/abs/1804.00891",
    cite="davidson2018hyperspherical",
)
def knn_accuracy_600(codes: Tensor, labels: Tensor, train_codes: Tensor, train_labels: Tensor) -> Estimate:
    return few_label_accuracy(600, codes, labels, train_codes, train_labels)
