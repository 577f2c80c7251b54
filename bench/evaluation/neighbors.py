"""Distances between sets of points: nearest neighbours, covering balls, the Fréchet distance of Gaussians.

Results are those of float64, mostly at the speed of float32. The expansion ‖x‖² + ‖y‖² − 2 x·y turns distances into one
matrix product and loses digits. So a product in float32 (never TF32) only finds who can be near, and those few are
measured again in float64 from their differences. How far float32 can be off is bounded; rows whose answer that bound
leaves open go through a product in float64, which has the digits to lose. Sets are walked through in chunks of rows, so
memory stays bounded whatever the number of points.

Letters:  N, M points · F features (or code dimensions)
"""

import math

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from bench.errors import NotApplicable
from bench.models.precision import matmul_precision

CHUNK = 2**22  #: elements of one chunk of a matrix: 16 MiB in float32
GROUP = 64  #: distances of which only the smallest is looked at first
SPARE = 8  #: candidates beyond the k neighbours asked for
UNIT, UNIT64 = 2.0**-24, 2.0**-53  #: largest relative error of one rounding to float32, to float64


def as_float64(x: Tensor) -> Tensor:
    """`x` in float64 on its device; on the host where the device has no float64 (MPS)."""
    return (x.cpu() if x.device.type == "mps" else x).double()


def as_numpy(x: Tensor) -> np.ndarray:
    """`x` as a float64 array on the host, for scikit-learn."""
    return x.detach().cpu().double().numpy()


def need(n: int, points: Tensor, what: str) -> None:
    """Raise `NotApplicable` unless there are at least `n` points; `what` names them in its words."""
    if len(points) < n:
        raise NotApplicable(f"needs at least {n} {what}, there are {len(points)}")


def squared_distances(x: Tensor, y: Tensor) -> Tensor:
    """Squared Euclidean distances, all pairs: (N, F), (M, F) → (N, M), >= 0.

    >>> squared_distances(torch.tensor([[0.0, 0.0]]), torch.tensor([[3.0, 4.0], [0.0, 1.0]]))
    tensor([[25.,  1.]])
    """
    squares = x.square().sum(1)[:, None] + y.square().sum(1)  # (N, M)
    return torch.addmm(squares, x, y.T, alpha=-2).clamp_(min=0)


def nearest(queries: Tensor, points: Tensor, k: int, itself: bool = True) -> tuple[Tensor, Tensor]:
    """The k points nearest to each query, (N, F), (M, F) → distances in float64, ascending, and indices, both (N, k).

    itself: False where queries are the points, k < M, and none is to be its own neighbour.
    Which of several points at one distance is taken is not defined; on a CPU it is always the same.
    """
    x, y, scale = _centred(queries, points)
    own = None if itself else torch.arange(len(x), device=x.device)[:, None]
    candidates, beyond = _candidates(x, y, k + SPARE, torch.float32)
    squares, index = _ranked(x, y, candidates, own, k)
    left_open = (~(squares[:, -1] <= beyond)).nonzero()[:, 0]  # a point that is no candidate may be nearer
    if len(left_open):
        candidates, _ = _candidates(x[left_open], y, k + SPARE, torch.float64)
        own = own if own is None else own[left_open]
        squares[left_open], index[left_open] = _ranked(x[left_open], y, candidates, own, k)
    return squares.sqrt() / scale, index


def ranks(points: Tensor, others: Tensor) -> Tensor:
    """The places of some points when all are ordered by their distance from another one, the nearest having 1.

    points: (N, F). others: for each point, indices of those whose places are asked for, (N, k). Returns int64 (N, k);
    of several at one distance, all have the first place.
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
    """Distance of each point to its k-th nearest neighbour, itself not counted: (N, F) → (N,)."""
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

    (N, F), (M, F), radii of the balls (N,), (M,) → bool (N,), bool (M,). A radius of NaN covers nothing.
    """
    x, y, scale = _centred(x, y)
    return _covered(x, y, as_float64(radii_y) * scale), _covered(y, x, as_float64(radii_x) * scale)


def frechet_distance(x: Tensor, y: Tensor) -> float:
    """Squared Fréchet (2-Wasserstein) distance of the Gaussians fitted to features (N, F) and (M, F).

        ‖μ₁ − μ₂‖² + tr Σ₁ + tr Σ₂ − 2 tr (Σ₁Σ₂)^½

    Dowson & Landau 1982, https://doi.org/10.1016/0047-259X(82)90077-X. With Σ = RᵀR (R from a QR
    decomposition of the centred features) the last trace is the sum of the singular values of R₁R₂ᵀ: no root
    of a product that is singular when N < F, hence no imaginary parts and nothing added to the diagonal.
    Raises `NotApplicable` on sets of fewer than 2.
    """
    need(2, x, "images")
    need(2, y, "images")
    x, y = as_float64(x), as_float64(y)
    root_x, root_y = _covariance_root(x), _covariance_root(y)
    cross = torch.linalg.svdvals(root_x @ root_y.T).sum()
    shift = (x.mean(0) - y.mean(0)).square().sum()
    return max(0.0, (shift + root_x.square().sum() + root_y.square().sum() - 2 * cross).item())


def _covariance_root(x: Tensor) -> Tensor:
    """R (min(N, F), F) with RᵀR = the unbiased covariance of `x` (N, F)."""
    return torch.linalg.qr((x - x.mean(0)) / (len(x) - 1) ** 0.5, mode="r").R


def _finite(x: Tensor) -> Tensor:
    """In float64. Raises `NotApplicable` where a number is none, since it would be nobody's neighbour."""
    x = as_float64(x)
    if not bool(x.isfinite().all()):
        raise NotApplicable("some of the points are not finite")
    return x


def _centred(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor, float]:
    """Both in float64, around the mean of `y`, so that the expansion cancels less, and times a power of two that brings
    the largest number near 1, so that float32 has room for squares; and that power."""
    x, y = _finite(x), _finite(y)
    centre = y.mean(0)
    x, y = x - centre, y - centre
    largest = max(float(part.abs().max()) if part.numel() else 0.0 for part in (x, y))
    scale = 2.0 ** -math.frexp(largest)[1]
    return x * scale, y * scale, scale


def _ranked(x: Tensor, y: Tensor, candidates: Tensor, own: Tensor | None, k: int) -> tuple[Tensor, Tensor]:
    """The k nearest of each row's candidates (N, m): squared distances, ascending, and indices, both (N, k)."""
    rows = _rows(candidates.shape[1] * x.shape[1])
    parts = zip(x.split(rows), candidates.split(rows), strict=True)
    squares = torch.cat([(part[:, None] - y[near]).square().sum(2) for part, near in parts])
    if own is not None:
        squares = squares.masked_fill(candidates == own, torch.inf)
    squares, order = squares.sort(dim=1, stable=True)
    return squares[:, :k], candidates.gather(1, order[:, :k])


def _candidates(x: Tensor, y: Tensor, m: int, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """The m points nearest to each x by products in `dtype`, all where there are fewer: indices (N, m), and what no
    other point's squared distance is below, (N,).

    At distance d, where ‖y‖ <= ‖x‖ + d, a product in float32 is off by at most (F + 8) UNIT (2‖x‖ + d)².
    """
    if m >= len(y):
        return torch.arange(len(y), device=x.device).expand(len(x), -1), x.new_full((len(x),), torch.inf)
    right = _right(y, y.square().sum(1), dtype)
    found = [_lowest(_product(rows, right), m, len(y)) for rows in x.split(_rows(right.shape[1]))]
    last = (torch.cat([value for value, _ in found]).double() + x.square().sum(1)).clamp(min=0)
    off = (x.shape[1] + 8) * UNIT * (2 * x.norm(dim=1) + last.sqrt()).square()
    return torch.cat([index for _, index in found]), last - off


def _lowest(values: Tensor, m: int, n: int) -> tuple[Tensor, Tensor]:
    """The m lowest of each row's first n values, n or more columns, none of the others lower: the m-th (rows,), and
    indices (rows, m).

    The m lowest lie in the m groups whose lowest value is lowest, so that most of a long row is only looked at once.
    """
    groups = values.shape[1] // GROUP
    if groups < 4 * m:
        found = values[:, :n].topk(m, dim=1, largest=False)
        return found.values[:, -1], found.indices
    grouped = values.view(len(values), GROUP, groups)
    chosen = grouped.amin(1).topk(m, dim=1, largest=False, sorted=False).indices  # (rows, m)
    near = grouped.gather(2, chosen[:, None].expand(-1, GROUP, -1)).flatten(1)  # (rows, GROUP · m)
    found = near.topk(m, dim=1, largest=False)
    index = found.indices // m * groups + chosen.gather(1, found.indices % m)
    return found.values[:, -1], index


def _covered(x: Tensor, y: Tensor, radii: Tensor) -> Tensor:
    """Which x lie in at least one ball around a y: min_j ‖x − y_j‖² − r_j² <= 0, bool (N,).

    Within the rounding of float64 a point counts as inside: balls are closed, and one of radius 0 has its centre.
    """
    bias = (y.square().sum(1) - radii.square()).nan_to_num(nan=torch.inf)
    largest = x.norm(dim=1) + y.norm(dim=1).max()
    off = (x.shape[1] + 8) * (largest.square() + radii.square().nan_to_num(nan=0).max())  # times a unit of rounding
    depth = _depth(x, y, bias, torch.float32)
    left_open = (depth.abs() <= UNIT * off).nonzero()[:, 0]
    depth[left_open] = _depth(x[left_open], y, bias, torch.float64)
    return depth <= UNIT64 * off


def _depth(x: Tensor, y: Tensor, bias: Tensor, dtype: torch.dtype) -> Tensor:
    """‖x_i‖² + min_j (bias_j − 2 x_i·y_j), with products in `dtype`: float64 (N,)."""
    right = _right(y, bias, dtype)
    lowest = [_product(rows, right).amin(1) for rows in x.split(_rows(right.shape[1]))]
    return torch.cat(lowest).double() + x.square().sum(1)


def _right(y: Tensor, bias: Tensor, dtype: torch.dtype) -> Tensor:
    """(F + 1, M or a few more): what x and a 1 are multiplied by. Columns are filled up to whole groups with inf."""
    right = torch.cat([-2 * y, bias[:, None]], 1).to(dtype)
    filled = F.pad(right, (0, 0, 0, -len(y) % GROUP))
    filled[len(y) :, -1] = torch.inf
    return filled.T.contiguous()


def _product(x: Tensor, right: Tensor) -> Tensor:
    with matmul_precision("fp32"):
        return F.pad(x, (0, 1), value=1.0).to(right.dtype) @ right


def _rows(columns: int) -> int:
    """How many rows of so many columns make a chunk."""
    return max(1, CHUNK // columns)
