"""Fraction of generated images that look like test images (improved precision).

    precision = mean_s [ s lies in B(r, d₃(r)) for some test image r ]

B(r, d₃(r)) is the ball around r that reaches its 3rd nearest neighbour among the test images; all in the
features of the dataset's own classifier. `samples_covered` (S,) says of each generated image whether it lies
in a ball. A fraction.

Quality without variety: a generator that repeats one good image scores 1, so read it beside recall. Its value
depends on N, S and the classifier; one outlier among the test images makes one very large ball.

Sanity checks after Räisä et al. 2025 (https://arxiv.org/abs/2505.22450), tests of this package on Gaussians. Passed: a
shift by 8 deviations scores 0; a dropped mode leaves it above 0.9; an invented mode lowers it by its share; samples of
three times the standard deviation score 0.03. Failed: with one far outlier among the test images the shifted samples
score 1.
"""

from torch import Tensor

from . import metric


@metric(
    title="Precision of samples",
    symbol="Precision",
    unit="fraction",
    better="higher",
    counts="samples_covered",
    per="sampler",
    key=("classifier",),
    beside=("classifier_accuracy", "caution"),
    reference="Kynkäänniemi et al., Improved Precision and Recall Metric for Assessing Generative Models, "
    "2019, https://arxiv.org/abs/1904.06991",
    cite="kynkaanniemi2019improved",
)
def precision(samples_covered: Tensor) -> float:
    return samples_covered.cpu().double().mean().item()
