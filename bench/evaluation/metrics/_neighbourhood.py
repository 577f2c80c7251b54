"""How far the neighbours in one space are neighbours in another, behind `trustworthiness` and `continuity`."""

from torch import Tensor

from bench.errors import NotApplicable
from bench.evaluation.neighbors import nearest, need, ranks

K = 5  #: neighbours looked at


def require_map(source: Tensor, points: Tensor) -> None:
    """Raise `NotApplicable` unless `points` are a map of the codes `source` that can be judged."""
    need(2 * K + 1, points, "points")
    if source.shape == points.shape and bool((source == points).all()):
        raise NotApplicable("the codes are their own map")
    if bool((source == source[0]).all()):
        raise NotApplicable("all codes coincide")


def kept_neighbours(near_in: Tensor, ranked_in: Tensor) -> float:
    """1 less the scaled sum, over all points and their K nearest in one space, of max(0, rank in the other − K).

    near_in, ranked_in: the same P points in two spaces, (P, F) and (P, G). Scaled to be 1 at best and 0 at worst.
    """
    p = len(near_in)
    near = nearest(near_in, near_in, K, itself=False)[1]
    excess = (ranks(ranked_in, near) - K).clamp(min=0).sum().item()
    return 1 - 2 / (p * K * (2 * p - 3 * K - 1)) * excess
