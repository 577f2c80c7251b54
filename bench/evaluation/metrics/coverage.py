"""Fraction of test images in whose neighbourhood a generated image lies (coverage).

    coverage = mean_r [ s lies in B(r, d_k(r)) for some generated image s ],   k = 5

B(r, d_k(r)) is the closed ball around the test image r that reaches its k-th nearest neighbour among the test images;
in the features of the dataset's own classifier. `test_balls_hit` (N,) says of each ball whether it holds a sample. A
fraction; for as many samples of the same distribution as there are test images about 1 − 2⁻ᵏ = 0.97.

Diversity. Unlike recall, the balls are around test images, so that scattered samples do not cover everything. It grows
with the number of samples: compare at equal n only.

Sanity checks of Räisä et al. 2025 (https://arxiv.org/abs/2505.22450), repeated by a test of this package. Passed: mean
difference, mean difference with an outlier, mean difference beside a heavy tail, simultaneous mode dropping, sequential
mode dropping, sphere and torus. In part (right shape, wrong bounds): none. Failed: deviation difference, mode dropping
and invention, mode collapse, hypersphere surface, number of images and samples, number of samples, scaling of one
dimension, one disjoint dimension of many, discrete and continuous numbers. On Gaussians, samples of a third of the
standard deviation still score 0.43, and a fifth as many samples as test images score 0.60 where as many score 0.99.
"""

from torch import Tensor

from . import metric


@metric(
    title="Coverage of test images",
    symbol="Coverage",
    unit="fraction",
    better="higher",
    counts="test_balls_hit",
    per="sampler",
    key=("classifier",),
    beside=("classifier_accuracy", "caution"),
    reference="Naeem et al., Reliable Fidelity and Diversity Metrics for Generative Models, ICML 2020, "
    "https://arxiv.org/abs/2002.09797",
    cite="naeem2020reliable",
)
def coverage(test_balls_hit: Tensor) -> float:
    return test_balls_hit.cpu().double().mean().item()
