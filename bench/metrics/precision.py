"""Fraction of generated images that look like test images (improved precision).

    precision = mean_s [ s lies in B(r, d₃(r)) for some test image r ]

B(r, d₃(r)) is the ball around r that reaches its 3rd nearest neighbour among the test images; all in the
features of the dataset's own classifier, `classifier_test` (N, F), `classifier_samples` (S, F). A fraction.

Quality without variety: a generator that repeats one good image scores 1, so read it beside recall. Its value
depends on N, S and the classifier; one outlier among the test images makes one very large ball.
"""

from torch import Tensor

from bench.distances import covered, need, neighbour_radii

from . import metric

K = 3  #: neighbours that set a ball's radius, the paper's choice


@metric(
    unit="fraction",
    better="higher",
    counts="classifier_samples",
    per="sampler",
    key=("classifier",),
    reference="Kynkäänniemi et al., Improved Precision and Recall Metric for Assessing Generative Models, "
    "2019, https://arxiv.org/abs/1904.06991",
)
def precision(classifier_test: Tensor, classifier_samples: Tensor) -> float:
    need(K + 1, classifier_test, "test images")
    inside = covered(classifier_samples, classifier_test, neighbour_radii(classifier_test, K))
    return inside.double().mean().item()
