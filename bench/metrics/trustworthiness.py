"""How far neighbours on a 2-d map were neighbours among the codes as well.

    trustworthiness = 1 − 2 / (P k (2P − 3k − 1)) Σ_i Σ_{j ∈ near i} max(0, rank(i, j) − k), k = 5

The inner sum goes over the k nearest neighbours of i on the map; rank(i, j) is j's place among the codes
ordered by distance from code i. `points_source` (P, D) are the codes, `points` (P, 2) their map; Euclidean;
computed by scikit-learn. From 0 to 1; a random map scores about 0.5.

It judges the map and not the model, and says nothing of neighbours that the map tore apart. The codes as
their own map have no value, it would be 1.
"""

import numpy as np
from sklearn.manifold import trustworthiness as scikit_trustworthiness
from torch import Tensor

from bench.distances import as_numpy, need
from bench.errors import NotApplicable

from . import metric

K = 5  #: neighbours looked at


@metric(
    unit="from 0 to 1",
    better="higher",
    counts="points",
    per="space",
    reference="Venna & Kaski, Neighborhood preservation in nonlinear projection methods, 2001, "
    "https://doi.org/10.1007/3-540-44668-0_68",
)
def trustworthiness(points_source: Tensor, points: Tensor) -> float:
    need(2 * K + 1, points, "points")
    source, plane = as_numpy(points_source), as_numpy(points)
    if np.array_equal(source, plane):
        raise NotApplicable("the codes are their own map")
    if (source == source[0]).all():
        raise NotApplicable("all codes coincide")
    return float(scikit_trustworthiness(source, plane, n_neighbors=K))
