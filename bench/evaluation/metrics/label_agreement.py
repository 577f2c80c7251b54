"""How often a generated image shows the class that the model says it does.

    agreement = mean_s [argmax_c p(c|s) = y_s]

`sample_labels` (S,) holds y_s: the label a conditional model was given, or what the model's own classifier
reads off the code that the image is decoded from. `sample_logits` (S, K) are those of the dataset's own
classifier on the image. A fraction; models that give their samples no label have none.

The classifier errs too: its accuracy on test images, in the record, is about the most that real images would
reach.
"""

from torch import Tensor

from . import metric


@metric(
    title="Agreement of given and classified labels",
    symbol="Label agreement",
    unit="fraction",
    better="higher",
    counts="sample_labels",
    per="sampler",
    key=("classifier",),
    beside=("classifier_accuracy", "caution"),
    reference="Ravuri & Vinyals, Classification Accuracy Score for Conditional Generative Models, 2019, "
    "https://arxiv.org/abs/1905.10887",
    cite="ravuri2019classification",
)
def label_agreement(sample_logits: Tensor, sample_labels: Tensor) -> float:
    seen = sample_logits.argmax(1).to(sample_labels.device)
    return (seen == sample_labels).double().mean().item()
