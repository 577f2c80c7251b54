"""Fraction of test images that the generator could have made (improved recall).

    recall = mean_r [ r lies in B(s, d₃(s)) for some generated image s ]

B(s, d₃(s)) is the ball around s that reaches its 3rd nearest neighbour among the generated images; all in the
features of the dataset's own classifier. `test_covered` (N,) says of each test image whether it lies in a
ball. A fraction.

Variety: a collapsed generator scores near 0 however good its one image is. Scattered noise has large balls
and may score high, so read it beside precision.

Sanity checks of Räisä et al. 2025 (https://arxiv.org/abs/2505.22450), repeated by a test of this package. Passed: mean
difference beside a heavy tail, mode dropping and invention, sphere and torus. In part (right shape, wrong bounds): mean
difference, deviation difference, sequential mode dropping. Failed: mean difference with an outlier, simultaneous mode
dropping, mode collapse, hypersphere surface, number of images and samples, number of samples, scaling of one dimension,
one disjoint dimension of many, discrete and continuous numbers. On Gaussians, samples of three times the standard
deviation score 1.
"""

from torch import Tensor

from . import metric


@metric(
    title="Recall of samples",
    symbol="Recall",
    unit="fraction",
    better="higher",
    counts="test_covered",
    per="sampler",
    key=("classifier",),
    beside=("classifier_accuracy", "caution"),
    reference="Kynkäänniemi et al., Improved Precision and Recall Metric for Assessing Generative Models, "
    "2019, https://arxiv.org/abs/1904.06991",
    cite="kynkaanniemi2019improved",
)
def recall(test_covered: Tensor) -> float:
    return test_covered.cpu().double().mean().item()
