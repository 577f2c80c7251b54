"""How far neighbours among the codes are neighbours on a 2-d map as well.

    continuity = 1 − 2 / (P k (2P − 3k − 1)) Σ_i Σ_{j ∈ near i} max(0, rank(i, j) − k), k = 5

The inner sum goes over the k nearest neighbours of i among the codes; rank(i, j) is j's place among the points of the
map ordered by distance from i. `points_source` (P, D) are the codes, `points` (P, 2) their map; Euclidean. It is
trustworthiness with map and codes exchanged. From 0 to 1; a random map scores about 0.5.

It judges the map and not the model: neighbours that the map tore apart lower it, points that it placed together wrongly
do not (see trustworthiness). The codes as their own map have no value, it would be 1.
"""

from torch import Tensor

from . import metric
from ._neighbourhood import kept_neighbours, require_map


@metric(
    title="Continuity of a map",
    symbol="Continuity",
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
def continuity(points_source: Tensor, points: Tensor) -> float:
    source, plane = points_source.cpu(), points.cpu()
    require_map(source, plane)
    return kept_neighbours(source, plane)
