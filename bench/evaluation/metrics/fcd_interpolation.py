"""Fréchet distance from the test images of images decoded half-way between two of them.

    fcd = ‖μ₁ − μ₂‖² + tr(Σ₁ + Σ₂ − 2 (Σ₁Σ₂)^½)

μ, Σ are mean and covariance of the features of `fcd`, over the test images, `classifier_test` (N, F), and
over the images decoded from (z_i + z_j)/2 for N fixed random pairs i ≠ j, `classifier_interpolations` (N, F);
each test image is in two pairs. Codes are μ where there is a posterior. Squared feature units.

After the interpolation column of the paper, with `fcd`'s features and the arithmetic mid-point for every
method. No pair is of one class only; a conditional model, whose codes are those of a label, has none.
"""

from torch import Tensor

from bench.evaluation.frechet import frechet_distance

from . import metric


@metric(
    title="Fréchet distance of interpolations in classifier features",
    symbol="FCD of interpolations",
    unit="squared feature distance",
    better="lower",
    counts="classifier_interpolations",
    key=("classifier",),
    beside=("classifier_accuracy", "caution"),
    reference="Ghosh et al., From Variational to Deterministic Autoencoders, 2020, https://arxiv.org/abs/1903.12436",
    cite="ghosh2020from",
)
def fcd_interpolation(classifier_test: Tensor, classifier_interpolations: Tensor) -> float:
    return frechet_distance(classifier_test, classifier_interpolations)
