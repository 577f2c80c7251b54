"""Wasserstein distance of generated from test images along random directions of the classifier's features.

    sliced_wasserstein = ( mean over directions θ of ∫₀¹ (F_θ⁻¹(u) − G_θ⁻¹(u))² du )^½

F_θ⁻¹ and G_θ⁻¹ are the quantile functions of the features of the dataset's own classifier projected on the unit vector
θ: of test images, `classifier_test` (N, F), and of generated ones, `classifier_samples` (S, F). 500 directions from a
fixed generator, the same for every cell; the integral is exact, also for N ≠ S. Feature units.

Sees more of a distribution than means and covariances, which are all that `fcd` sees. It is biased upwards at small n.
"""

import torch
from torch import Tensor

from bench.evaluation.neighbors import as_float64, need

from . import metric

DIRECTIONS = 500
AT_ONCE = 50


@metric(
    title="Sliced Wasserstein distance in classifier features",
    symbol="SW₂",
    unit="feature distance",
    better="lower",
    counts="classifier_samples",
    per="sampler",
    key=("classifier",),
    beside=("classifier_accuracy", "caution"),
    reference="Bonneel et al., Sliced and Radon Wasserstein Barycenters of Measures, 2015, "
    "https://doi.org/10.1007/s10851-014-0506-3",
    cite="bonneel2015sliced",
)
def sliced_wasserstein(classifier_test: Tensor, classifier_samples: Tensor) -> float:
    need(2, classifier_test, "test images")
    need(2, classifier_samples, "generated images")
    x, y = as_float64(classifier_test).cpu(), as_float64(classifier_samples).cpu()
    drawn = torch.randn(x.shape[1], DIRECTIONS, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    rank_x, rank_y, width = _steps(len(x), len(y))
    squares = []
    for directions in (drawn / drawn.norm(dim=0)).split(AT_ONCE, dim=1):
        along_x, along_y = (x @ directions).sort(0).values, (y @ directions).sort(0).values
        squares.append(width @ (along_x[rank_x] - along_y[rank_y]).square())
    return torch.cat(squares).mean().sqrt().item()


def _steps(n: int, m: int) -> tuple[Tensor, Tensor, Tensor]:
    """The intervals of (0, 1] on which the quantile functions of n and of m points are both constant.

    Returns, for each, the ranks of the two points, int64, and its width. Levels are integers of unit 1/(n m).
    """
    levels = torch.cat([torch.arange(1, n + 1) * m, torch.arange(1, m + 1) * n]).unique()
    width = torch.diff(levels, prepend=torch.zeros(1, dtype=torch.int64)).double() / (n * m)
    return (levels - 1) // m, (levels - 1) // n, width
