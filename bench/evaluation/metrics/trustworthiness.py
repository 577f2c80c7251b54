"""How far neighbours on a 2-d map were neighbours among the codes as well.

    trustworthiness = 1 − 2 / (P k (2P − 3k − 1)) Σ_i Σ_{j ∈ near i} max(0, rank(i, j) − k), k = 5

The inner sum goes over the k nearest neighbours of i on the map; rank(i, j) is j's place among the codes
ordered by distance from code i. `points_source` (P, D) are the codes, `points` (P, 2) their map; Euclidean. Equal
to scikit-learn's. From 0 to 1; a random map scores about 0.5.

It judges the map and not the model, and says nothing of neighbours that the map tore apart (see continuity).
The codes as their own map have no value, it would be 1.
"""

from torch import Tensor

from . import metric
from ._neighbourhood import kept_neighbours, require_map


@metric(
    title="Trustworthiness of a map",
    symbol="Trustworthiness",
    unit="from 0 to 1",
    better="higher",
    counts="points",
    per="space",
    key=("perplexity", "n_neighbors"),
    beside=("map",),
    reference="Venna & Kaski, Neighborhood Preservation in Nonlinear Projection Methods: An Experimental Study, "
    "ICANN 2001, https://doi.org/10.1007/3-540-44668-0_68",
    cite="venna2001neighborhood",
)
def trustworthiness(points_source: Tensor, points: Tensor) -> float:
    source, plane = points_source.cpu(), points.cpu()
    require_map(source, plane)
    return kept_neighbours(plane, source)
