"""How many test images' neighbourhoods a generated image lies in, where a test image would score 1.

    density = 1/(k S) Σ_s #{ r : s lies in B(r, d_k(r)) },   k = 5

B(r, d_k(r)) is the closed ball around the test image r that reaches its k-th nearest neighbour among the test images;
in the features of the dataset's own classifier. `samples_balls` (S,) counts the balls of each generated image. About 1
for samples of the test images' own distribution.

Fidelity. Unlike precision, one outlier among the test images hardly changes it. It has no upper bound: samples crowded
in dense regions score above 1.

Sanity checks after Räisä et al. 2025 (https://arxiv.org/abs/2505.22450), tests of this package on Gaussians. Passed: a
shift by 8 deviations scores 0 in both directions; a dropped mode leaves it near 1; an invented mode lowers it by its
share; it does not depend on the number of samples. Failed in part: one far outlier among the test images raises the
score of shifted samples from 0 to 1/k = 0.2. Failed: samples of a third of the standard deviation score 2.2, above the
1 of equal distributions.
"""

from torch import Tensor

from . import metric

K = 5


@metric(
    title="Density of samples",
    symbol="Density",
    unit="1 for equal distributions",
    better="higher",
    counts="samples_balls",
    per="sampler",
    key=("classifier",),
    beside=("classifier_accuracy", "caution"),
    reference="Naeem et al., Reliable Fidelity and Diversity Metrics for Generative Models, ICML 2020, "
    "https://arxiv.org/abs/2002.09797",
    cite="naeem2020reliable",
)
def density(samples_balls: Tensor) -> float:
    return samples_balls.cpu().double().mean().item() / K
