"""How many test images' neighbourhoods a generated image lies in, where a test image would score 1.

    density = 1/(k S) Σ_s #{ r : s lies in B(r, d_k(r)) },   k = 5

B(r, d_k(r)) is the closed ball around the test image r that reaches its k-th nearest neighbour among the test images;
in the features of the dataset's own classifier. `samples_balls` (S,) counts the balls of each generated image. About 1
for samples of the test images' own distribution.

Fidelity. Unlike precision, one outlier among the test images hardly changes it. It has no upper bound: samples crowded
in dense regions score above 1.

Sanity checks of Räisä et al. 2025 (https://arxiv.org/abs/2505.22450), repeated by a test of this package. Passed: mean
difference, mean difference beside a heavy tail, mode dropping and invention, mode collapse. In part (right shape, wrong
bounds): mean difference with an outlier, deviation difference, sphere and torus. Failed: simultaneous mode dropping,
sequential mode dropping, hypersphere surface, number of images and samples, number of samples, scaling of one
dimension, one disjoint dimension of many, discrete and continuous numbers. On Gaussians, one far outlier among the test
images raises the score of samples that are shifted by 8 deviations from 0 to 1/k = 0.2, and samples of a third of the
standard deviation score 2.2, above the 1 of equal distributions. In the two checks of mode dropping the mean stays near
1 and the scatter is larger than the 0.05 allowed.
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
