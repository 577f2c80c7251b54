"""Fraction of test images that the generator could have made (improved recall).

    recall = mean_r [ r lies in B(s, d₃(s)) for some generated image s ]

B(s, d₃(s)) is the ball around s that reaches its 3rd nearest neighbour among the generated images; all in the
features of the dataset's own classifier, `classifier_test` (N, F), `classifier_samples` (S, F). A fraction.

Variety: a collapsed generator scores near 0 however good its one image is. Scattered noise has large balls
and may score high, so read it beside precision.
"""

from torch import Tensor

from bench.distances import covered, need, neighbour_radii

from . import metric
from .precision import K


@metric(
    unit="fraction",
    better="higher",
    counts="classifier_test",
    per="sampler",
    key=("classifier",),
    reference="Kynkäänniemi et al., Improved Precision and Recall Metric for Assessing Generative Models, "
    "2019, https://arxiv.org/abs/1904.06991",
)
def recall(classifier_test: Tensor, classifier_samples: Tensor) -> float:
    need(K + 1, classifier_samples, "generated images")
    inside = covered(classifier_test, classifier_samples, neighbour_radii(classifier_samples, K))
    return inside.double().mean().item()
