"""FactorVAE score: accuracy of naming the factor that was held fixed from the code dimension that varied least.

    d = argmin_j var_l(z_lj) / var(z_j)   over 64 images l that agree in one factor k and are random in the others
    score = share of such votes (d, k) of which k is the most frequent factor for d

`continuous_codes` (N, D): μ where there is a posterior. `factors` (N, K): the values of the factors that vary. For
each vote a factor, an image whose value is kept, and 64 test images of that value are drawn, with replacement. 800
votes make the table of factors for dimensions, 800 others are named by it; the mean over 5 such draws. Only
`live_dimensions` (D,) take part: Kim & Mnih leave out those whose posterior is the prior, here those with a variance of
μ of at most 0.01, the threshold of active units. A fraction.

About 1/K for codes that know nothing of the factors; the share of the most frequent factor among the votes is recorded
as `chance`. `evaluation_sd` is the standard deviation of the mean over draws.
"""

import numpy as np
from torch import Tensor

from bench.errors import NotApplicable
from bench.evaluation.neighbors import as_numpy

from . import Estimate, metric

IMAGES = 64  #: of a vote
VOTES = 800  #: of the table, and as many to measure it with
DRAWS = 5


@metric(
    title="FactorVAE score",
    symbol="FactorVAE score",
    unit="fraction",
    better="higher",
    counts="continuous_codes",
    reference="Kim & Mnih, Disentangling by Factorising, ICML 2018, https://arxiv.org/abs/1802.05983",
    cite="kim2018disentangling",
)
def factor_vae_score(continuous_codes: Tensor, factors: Tensor, live_dimensions: Tensor) -> Estimate:
    codes, values = as_numpy(continuous_codes[:, live_dimensions]), factors.cpu().numpy()
    if values.shape[1] < 2:
        raise NotApplicable(f"needs 2 factors that vary, {values.shape[1]} does")
    if not codes.shape[1]:
        raise NotApplicable("no code dimension varies")
    order = np.lexsort((*codes.T, *values.T))  # so that the draws do not depend on the order of the images
    values, scaled = values[order], codes[order] / codes.std(0)
    found = [_accuracy(scaled, values, np.random.default_rng(draw)) for draw in range(DRAWS)]
    accuracies, chances = np.array(found).T
    sd = float(accuracies.std(ddof=1)) / DRAWS**0.5
    return Estimate(float(accuracies.mean()), chance=float(chances.mean()), evaluation_sd=sd, evaluation_draws=DRAWS)


def _accuracy(codes: np.ndarray, values: np.ndarray, rng: np.random.Generator) -> tuple[float, float]:
    """The share of right votes, and that of the most frequent factor."""
    factor = rng.integers(values.shape[1], size=2 * VOTES)
    images = np.stack([_alike(values[:, k], rng) for k in factor])
    least = codes[images].var(1).argmin(1)
    table = np.zeros((codes.shape[1], values.shape[1]), int)
    np.add.at(table, (least[:VOTES], factor[:VOTES]), 1)
    right = table.argmax(1)[least[VOTES:]] == factor[VOTES:]
    return float(right.mean()), float(np.bincount(factor[VOTES:]).max() / VOTES)


def _alike(values: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Indices of 64 images with the value of a random image."""
    return rng.choice(np.flatnonzero(values == values[rng.integers(len(values))]), IMAGES)
