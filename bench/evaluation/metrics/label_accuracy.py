"""How often a semi-supervised method gives a test image its true label.

    accuracy = mean_n [argmax_c q(c|x_n) = y_n]

`predicted_labels` (N,) are those of the method's own classifier: of the image, or of its code μ where the classifier
reads codes. `labels` (N,) are the true ones. A fraction; methods without a classifier have none.

It depends on how many train labels the method was given, which its options say.
"""

from torch import Tensor

from . import metric


@metric(
    title="Accuracy of the method's own labels",
    symbol="Label accuracy",
    unit="fraction",
    better="higher",
    counts="labels",
    reference="Kingma et al., Semi-supervised Learning with Deep Generative Models, NeurIPS 2014, "
    "https://arxiv.org/abs/1406.5298",
    cite="kingma2014semi",
)
def label_accuracy(predicted_labels: Tensor, labels: Tensor) -> float:
    return (predicted_labels.cpu() == labels.cpu()).double().mean().item()
