"""Distances between sets of points: nearest neighbours, covering balls, the Fréchet distance of Gaussians.

Everything is computed in float64: the expansion ‖x‖² + ‖y‖² − 2 x·y, which turns distances into one matrix
product, loses half of the digits, and float64 has them to lose (nor does TF32 ever apply to it). Sets are
walked through in chunks of rows, so memory stays bounded whatever the number of points.

Letters:  N, M points · F features (or code dimensions)
"""

from collections.abc import Iterator

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from .errors import NotApplicable

#: elements of one chunk of the distance matrix: 32 MiB in float64
CHUNK = 2**22


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


def nearest(queries: Tensor, points: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """The k points nearest to each query, (N, F), (M, F) → distances, ascending, and indices, both (N, k).

    Which of several points at one distance is taken is not defined; on a CPU it is always the same.
    """
    found = [d.topk(k, dim=1, largest=False) for d in _chunks(queries, points)]
    return torch.cat([f.values for f in found]).sqrt(), torch.cat([f.indices for f in found])


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
    """Which x lie in at least one closed ball around a y, and which y in one around an x, in a single walk.

    (N, F), (M, F), radii of the balls (N,), (M,) → bool (N,), bool (M,). A radius of NaN covers nothing.
    """
    rows_covered, y_covered = [], torch.zeros(len(y), dtype=torch.bool, device=radii_y.device)
    for d, radii in zip(_chunks(x, y), radii_x.split(_rows(y)), strict=True):  # d (rows, M)
        rows_covered.append((d <= radii_y.square()).any(1))
        y_covered |= (d <= radii.square()[:, None]).any(0)
    return torch.cat(rows_covered), y_covered


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


def _chunks(x: Tensor, y: Tensor) -> Iterator[Tensor]:
    """Squared distances from the rows of `x` to all of `y`, a block of rows at a time."""
    x, y = as_float64(x), as_float64(y)
    centre = y.mean(0)  # distances do not change, the cancellation in the expansion gets smaller
    x, y = x - centre, y - centre
    return (squared_distances(rows, y) for rows in x.split(_rows(y)))


def _rows(y: Tensor) -> int:
    """How many rows of the distances to all of `y` make a chunk."""
    return max(1, CHUNK // len(y))
