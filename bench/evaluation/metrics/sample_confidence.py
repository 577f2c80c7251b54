"""How sure a classifier of the dataset is of the generated images: mean largest class probability.

    confidence = mean_s max_c p(c|s)

p(c|s) is the softmax of `sample_logits` (S, K), the dataset's own classifier on the generated images. From
1/K to 1.

High where every image looks like one class, low for mixtures of several. Half of the inception score's idea:
it sees neither variety nor sharpness, a collapsed generator may score 1, and classifiers are often sure of
noise. Its value means nothing without the classifier, which is recorded beside it.
"""

from torch import Tensor

from . import metric


@metric(
    title="Classifier confidence in samples",
    symbol="Sample confidence",
    unit="probability",
    better="higher",
    counts="sample_logits",
    per="sampler",
    key=("classifier",),
    beside=("classifier_accuracy", "caution"),
    reference="Salimans et al., Improved Techniques for Training GANs, 2016, https://arxiv.org/abs/1606.03498",
    cite="salimans2016improved",
)
def sample_confidence(sample_logits: Tensor) -> float:
    return sample_logits.cpu().double().softmax(1).amax(1).mean().item()
