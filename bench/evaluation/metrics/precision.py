"""Fraction of generated images that look like test images (improved precision).

    precision = mean_s [ s lies in B(r, d₃(r)) for some test image r ]

B(r, d₃(r)) is the ball around r that reaches its 3rd nearest neighbour among the test images; all in the
features of the dataset's own classifier. `samples_covered` (S,) says of each generated image whether it lies
in a ball. A fraction.

Quality without variety: a generator that repeats one good image scores 1, so read it beside recall. Its value
depends on N, S and the classifier; one outlier among the test images makes one very large ball.

Sanity checks of Räisä et al. 2025 (https://arxiv.org/abs/2505.22450), repeated by a test of this package. Passed: mode
dropping and invention. In part (right shape, wrong bounds): mean difference, mean difference beside a heavy tail,
deviation difference, simultaneous mode dropping, sequential mode dropping, mode collapse, sphere and torus. Failed:
mean difference with an outlier, hypersphere surface, number of images and samples, number of samples, scaling of one
dimension, one disjoint dimension of many, discrete and continuous numbers. On Gaussians, one far outlier among the test
images raises the score of samples that are shifted by 8 deviations from 0 to 1.
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
