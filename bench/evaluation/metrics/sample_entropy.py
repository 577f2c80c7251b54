"""How undecided a classifier of the dataset is about generated images: mean entropy of its classes.

    entropy = mean_s [ − Σ_c p(c|s) ln p(c|s) ]

p(c|s) is the softmax of `sample_logits` (S, K), the dataset's own classifier on the generated images. Nats,
from 0 to ln K.

Low where every image looks like one class, high for mixtures of several. As `sample_confidence` it sees
neither variety nor sharpness, and a collapsed generator may score 0. Its value means nothing without the
classifier.
"""

from torch import Tensor

from . import metric


@metric(
    title="Class entropy of samples",
    symbol="Sample entropy",
    unit="nats per image",
    better="lower",
    counts="sample_logits",
    per="sampler",
    key=("classifier",),
    beside=("classifier_accuracy", "caution"),
    reference="Salimans et al., Improved Techniques for Training GANs, 2016, https://arxiv.org/abs/1606.03498",
    cite="salimans2016improved",
)
def sample_entropy(sample_logits: Tensor) -> float:
    log_p = sample_logits.cpu().double().log_softmax(1)
    return -(log_p.exp() * log_p).sum(1).mean().item()
