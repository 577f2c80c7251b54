"""Fréchet distance in the classifier's features, extrapolated to an infinite number of samples.

    FCD_n ≈ a + b / n,   fcd_infinity = a by least squares over 10 sizes n

`fcd` is biased upwards by about b/n, with b different for each model. FCD_n is the distance from all test images,
`classifier_test` (N, F), to n of the generated ones, `classifier_samples` (S, F), drawn without replacement by a fixed
generator; n goes from S/5 to S in equal steps. Squared feature units.

Recorded beside the value: `slope` b, and 95 % intervals `slope_low`, `slope_high`, `low`, `high` of b and a from
Student's t with 8 degrees of freedom. The subsets overlap, so that the intervals are of the fit and not of a repetition
with other samples. The bias of the N test images stays, equal for all models of a dataset. A value below 0 is noise
around 0.

The law b/n holds where even the smallest size is larger than F, so at least 10 F samples are needed. Of 50 samples of
the test distribution itself, a Gaussian of F = 64, the value is about 22, and of 320 about −1, both beyond their
intervals.
"""

import numpy as np
import torch
from scipy import stats
from torch import Tensor

from bench.evaluation.frechet import frechet_distance
from bench.evaluation.neighbors import need

from . import Estimate, metric

SIZES = 10


@metric(
    title="Fréchet distance in classifier features, extrapolated to infinitely many samples",
    symbol="FCD∞",
    unit="squared feature distance",
    better="lower",
    counts="classifier_samples",
    per="sampler",
    key=("classifier",),
    beside=("classifier_accuracy", "caution"),
    reference="Chong & Forsyth, Effectively Unbiased FID and Inception Score and Where to Find Them, CVPR 2020, "
    "https://arxiv.org/abs/1911.07023",
    cite="chong2020effectively",
)
def fcd_infinity(classifier_test: Tensor, classifier_samples: Tensor) -> Estimate:
    need(max(5 * SIZES, 10 * classifier_test.shape[1]), classifier_samples, "generated images")
    rng, count = np.random.default_rng(0), len(classifier_samples)
    sizes = np.linspace(count / 5, count, SIZES).round().astype(int)
    subsets = (torch.from_numpy(rng.permutation(count)[:n]).to(classifier_samples.device) for n in sizes)
    distances = [frechet_distance(classifier_test, classifier_samples[chosen]) for chosen in subsets]
    fit = stats.linregress(1 / sizes, distances)
    t = stats.t.ppf(0.975, SIZES - 2)
    half, around = t * fit.stderr, t * fit.intercept_stderr
    return Estimate(
        fit.intercept, slope=fit.slope, slope_low=fit.slope - half, slope_high=fit.slope + half,
        low=fit.intercept - around, high=fit.intercept + around,
    )  # fmt: skip
