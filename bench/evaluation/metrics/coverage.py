"""Fraction of test images in whose neighbourhood a generated image lies (coverage).

    coverage = mean_r [ s lies in B(r, d_k(r)) for some generated image s ],   k = 5

B(r, d_k(r)) is the closed ball around the test image r that reaches its k-th nearest neighbour among the test images;
in the features of the dataset's own classifier. `test_balls_hit` (N,) says of each ball whether it holds a sample. A
fraction; for as many samples of the same distribution as there are test images about 1 − 2⁻ᵏ = 0.97.

Diversity. Unlike recall, the balls are around test images, so that scattered samples do not cover everything. It grows
with the number of samples: compare at equal n only.

Sanity checks after Räisä et al. 2025 (https://arxiv.org/abs/2505.22450), tests of this package on Gaussians. Passed: a
shift by 8 deviations scores 0 in both directions, also with one far outlier among the test images; a dropped mode
lowers it by its share; an invented mode does not lower it; samples of three times the standard deviation score 0.05.
Failed in part: samples of a third of the standard deviation still score 0.43. Failed: it depends on the number of
samples (0.60 with a fifth as many samples as test images, 0.99 with as many).
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
