"""Fréchet distance of generated images from the test images, in the features of the dataset's own classifier.

    fcd = ‖μ₁ − μ₂‖² + tr(Σ₁ + Σ₂ − 2 (Σ₁Σ₂)^½)

μ, Σ are mean and covariance of the features of a small classifier trained on this dataset, over the test
images, `classifier_test` (N, F), and over the generated ones, `classifier_samples` (S, F). Squared feature
units.

The formula of FID without its Inception net, which was not made for digits. The value means nothing without
the classifier: its hash is recorded beside it, values under two classifiers never compare, and none compares
with an FID. As FID it is biased upwards at small n.
"""

from torch import Tensor

from bench.evaluation.frechet import frechet_distance

from . import metric


@metric(
    title="Fréchet distance in classifier features",
    symbol="FCD",
    unit="squared feature distance",
    better="lower",
    counts="classifier_samples",
    per="sampler",
    key=("classifier",),
    beside=("classifier_accuracy", "caution"),
    reference="Heusel et al., GANs Trained by a Two Time-Scale Update Rule Converge to a Local Nash "
    "Equilibrium, 2017, https://arxiv.org/abs/1706.08500",
    cite="heusel2017gans",
)
def fcd(classifier_test: Tensor, classifier_samples: Tensor) -> float:
    return frechet_distance(classifier_test, classifier_samples)
