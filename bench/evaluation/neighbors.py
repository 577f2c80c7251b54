"""Nearest neighbours, ranks and covering balls of sets of points, exact in float64.

Everything is computed block by block, so that memory stays bounded. scikit-learn finds the candidates for
the nearest neighbours; their distances are computed again from coordinate differences, because the expansion
‖x‖² + ‖y‖² − 2 x·y loses digits, and ties go to the smaller index.

Letters:  N, M points · F features (or code dimensions)
"""

import numpy as np
import torch
import torch.nn.functional as F
from sklearn.neighbors import NearestNeighbors
from torch import Tensor

from bench.errors import NotApplicable

CHUNK = 2**22  #: elements of one block of a matrix: 32 MiB
SPARE = 8  #: candidates beyond the k neighbours asked for
UNIT = 2.0**-53  #: largest relative error of one rounding to float64


def as_float64(x: Tensor) -> Tensor:
    """`x` in float64 on its device; on the host where the device has no float64 (MPS)."""
    return (x.cpu() if x.device.type == "mps" else x).double()


def as_numpy(x: Tensor) -> np.ndarray:
    """`x` as a float64 array on the host, for scikit-learn."""
    return x.detach().cpu().double().numpy()


def need(n: int, points: Tensor, what: str) -> None:
    """Raise `NotApplicable` unless there are at least `n` points; the message calls them `what`."""
    if len(points) < n:
        raise NotApplicable(f"needs at least {n} {what}, there are {len(points)}")


def nearest(queries: Tensor, points: Tensor, k: int, itself: bool = True) -> tuple[Tensor, Tensor]:
    """The k points nearest to each query, (N, F), (M, F) → distances in float64, ascending, and indices, both (N, k).

    itself: False where queries are the points, k < M, and no point is its own neighbour. Of several points at the same
    distance the one of the smaller index comes first. Both results lie on the host.
    Raises `NotApplicable` for points that are not finite.
    """
    if not itself:
        return _without_itself(*nearest(queries, points, k + 1))
    x, y = _centred(queries.cpu(), points.cpu())
    count = min(k + SPARE, len(y))
    index = NearestNeighbors(n_neighbors=count, algorithm="brute").fit(y.numpy()).kneighbors(x.numpy())[1]
    candidates = torch.from_numpy(index)
    squares, found = _closest(x, y, candidates, k)
    if count < len(y):  # more points than there are candidates may share the k-th distance
        last = (x - y[candidates[:, -1]]).square().sum(1)
        tied = (last - 2 * _rounding(x, y) <= squares[:, -1]).nonzero()[:, 0]
        distinct, inverse = x[tied].unique(dim=0, return_inverse=True)
        for i, query in enumerate(distinct):
            rows = tied[inverse == i]
            squares[rows], found[rows] = _closest(query[None], y, torch.arange(len(y))[None], k)
    return squares.sqrt(), found


def _without_itself(distances: Tensor, index: Tensor) -> tuple[Tensor, Tensor]:
    """(N, k + 1) twice, neighbours with the point itself among them → (N, k) twice without it."""
    others = index != torch.arange(len(index))[:, None]
    others[others.all(1), -1] = False  # k + 1 copies of the point come before it
    return tuple(part[others].view(len(part), -1) for part in (distances, index))  # type: ignore[return-value]


def ranks(points: Tensor, others: Tensor) -> Tensor:
    """The ranks of some points in the order of distance from another point, the nearest having rank 1.

    points: (N, F). others: for each point, indices of the points to rank, (N, k). Returns int64 (N, k); points at the
    same distance share the first of their ranks. Raises `NotApplicable` for points that are not finite.
    """
    x, found = _finite(points), []
    rows = _rows(len(x))
    parts = zip(x.split(rows), others.split(rows), torch.arange(len(x)).split(rows), strict=True)
    for part, asked, own in parts:  # from differences, so that equal distances are equal
        d = torch.cdist(part, x, compute_mode="donot_use_mm_for_euclid_dist")
        d.scatter_(1, own[:, None].to(x.device), torch.inf)  # no point is its own neighbour
        found.append(torch.stack([(d < d.gather(1, j[:, None])).sum(1) for j in asked.T], 1) + 1)
    return torch.cat(found)


def neighbour_radii(points: Tensor, k: int) -> Tensor:
    """Distance of each point to its k-th nearest neighbour, itself not counted: (N, F) → (N,), on the host."""
    return nearest(points, points, k + 1)[0][:, k]


def nearest_label(queries: Tensor, points: Tensor, labels: Tensor, k: int) -> Tensor:
    """The most frequent label among the k points nearest to each query: (N, F), (M, F), (M,) → int64 (N,).

    A tied vote goes to the smallest label, as in scikit-learn. On the device of `labels`.
    """
    _, index = nearest(queries, points, k)
    votes = F.one_hot(labels[index.to(labels.device)]).sum(1)  # (N, classes)
    return votes.argmax(1)  # the first, so the smallest, of equals


def covered_by_each_other(x: Tensor, y: Tensor, radii_x: Tensor, radii_y: Tensor) -> tuple[Tensor, Tensor]:
    """Which x lie in at least one closed ball around a y, and which y in one around an x.

    (N, F), (M, F), radii of the balls (N,), (M,) → bool (N,), bool (M,). A radius of NaN covers nothing. Within the
    rounding of float64 a point counts as inside, so that a ball of radius 0 covers its centre.
    """
    x, y = _centred(x, y)
    within_x, within_y = (as_float64(r).to(x.device).square().nan_to_num(nan=-torch.inf) for r in (radii_x, radii_y))
    slack, rows = _rounding(x, y), _rows(len(y))
    of_x, of_y = [], torch.zeros(len(y), dtype=torch.bool, device=y.device)
    for part, radii, off in zip(x.split(rows), within_x.split(rows), slack.split(rows), strict=True):
        squares = _squared_distances(part, y) - off[:, None]
        of_x.append((squares <= within_y).any(1))
        of_y |= (squares <= radii[:, None]).any(0)
    return torch.cat(of_x), of_y


def balls_around(x: Tensor, y: Tensor, radii: Tensor) -> tuple[Tensor, Tensor]:
    """In how many closed balls around the y each x lies, and which of the balls hold an x.

    (N, F), (M, F), radii (M,) → int64 (N,), bool (M,). Within the rounding of float64 a point counts as inside.
    """
    x, y = _centred(x, y)
    within = as_float64(radii).to(x.device).square()
    counts, hit = [], torch.zeros(len(y), dtype=torch.bool, device=y.device)
    slack, rows = _rounding(x, y), _rows(len(y))
    for part, off in zip(x.split(rows), slack.split(rows), strict=True):
        inside = _squared_distances(part, y) - off[:, None] <= within
        counts.append(inside.sum(1))
        hit |= inside.any(0)
    return torch.cat(counts), hit


def _finite(x: Tensor) -> Tensor:
    """`x` in float64. Raises `NotApplicable` unless all of its numbers are finite."""
    x = as_float64(x)
    if not bool(x.isfinite().all()):
        raise NotApplicable("some of the points are not finite")
    return x


def _centred(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Both in float64, less the mean of `y`, so that the expansion of a squared distance cancels less."""
    x, y = _finite(x), _finite(y)
    centre = y.mean(0)
    return x - centre, y - centre


def _closest(x: Tensor, y: Tensor, candidates: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """The k nearest of each row's candidates (N, m): squared distances, ascending, and indices, both (N, k)."""
    candidates = candidates.sort(1).values  # so that a stable sort by distance keeps ties in the order of the index
    rows = _rows(candidates.shape[1] * x.shape[1])
    parts = zip(x.split(rows), candidates.split(rows), strict=True)
    squares = torch.cat([(part[:, None] - y[near]).square().sum(2) for part, near in parts])
    squares, order = squares.sort(dim=1, stable=True)
    return squares[:, :k], candidates.gather(1, order[:, :k])


def _squared_distances(x: Tensor, y: Tensor) -> Tensor:
    """Squared Euclidean distances of all pairs by the expansion: (N, F), (M, F) → (N, M)."""
    return torch.addmm(x.square().sum(1)[:, None] + y.square().sum(1), x, y.T, alpha=-2)


def _rounding(x: Tensor, y: Tensor) -> Tensor:
    """How far the expansion of a squared distance from each x to any y can be off by rounding, (N,)."""
    return (x.shape[1] + 8) * UNIT * (x.norm(dim=1) + y.norm(dim=1).max()).square()


def _rows(columns: int) -> int:
    """How many rows of so many columns make a block."""
    return max(1, CHUNK // columns)
