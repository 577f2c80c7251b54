"""Two-dimensional maps of test codes: t-SNE and UMAP under one protocol, and the principal plane of the codes.

A map is an illustration. t-SNE shows clusters whether or not the codes have them, so the silhouette of a map is read
beside the silhouette of the codes.

References: van der Maaten & Hinton, JMLR 9, 2008 (t-SNE) · McInnes et al. 2018, https://arxiv.org/abs/1802.03426 (UMAP)
"""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version

import numpy as np
import torch
from threadpoolctl import threadpool_limits

from bench.errors import NotApplicable
from bench.suite import Embed

from . import umap_code
from .neighbors import nearest

log = logging.getLogger(__name__)

FEWEST = 4  #: codes that a map needs
SPREAD_FLOOR = 1e-12  #: codes whose total variance is below it are one point


def embed(method: str, codes: np.ndarray, protocol: Embed) -> np.ndarray:
    """Codes (P, D) → (P, 2), float32. Raises `NotApplicable` for fewer than 4 codes, and where all are one point."""
    if len(codes) < FEWEST:
        raise NotApplicable(f"a map needs at least {FEWEST} codes, there are {len(codes)}")
    require_spread(codes)
    log.info("making the %s map", {"tsne": "t-SNE", "umap": "UMAP"}.get(method, method))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the libraries' remarks on spectral gaps and thread counts
        points = _tsne(codes, protocol) if method == "tsne" else _umap(codes, protocol)
    return points.astype(np.float32)


def library_of(space: str | None) -> str | None:
    """The library that makes a map, with its version, for the record; None for the codes themselves."""
    name = {"tsne": "scikit-learn", "umap": "umap-learn"}.get(space or "")
    return f"{name} {version(name)}" if name else None


def used_perplexity(protocol: Embed, points: int) -> float:
    """The perplexity of a t-SNE map: the protocol's, or a third of the other points where there are too few."""
    return min(protocol.perplexity, (points - 1) / 3)


def used_n_neighbors(protocol: Embed, points: int) -> int:
    """The neighbours of a UMAP map: the protocol's, or all other points where there are fewer."""
    return min(protocol.n_neighbors, points - 1)


def plane(codes: np.ndarray) -> np.ndarray:
    """Codes (P, D) → (P, 2), float32: the codes themselves up to D = 2, their two principal components above."""
    if codes.shape[1] <= 2:
        return np.pad(codes, ((0, 0), (0, 2 - codes.shape[1]))).astype(np.float32)
    centred = codes.astype(np.float64) - codes.mean(0)
    _, vectors = np.linalg.eigh(centred.T @ centred)
    axes = vectors[:, ::-1][:, :2]
    axes = axes * np.where(axes.sum(0) < 0, -1, 1)  # the sign of an eigenvector is arbitrary
    return (centred @ axes).astype(np.float32)


def require_spread(codes: np.ndarray) -> None:
    """Raise `NotApplicable` where all codes coincide (a collapsed posterior)."""
    if float(codes.astype(np.float64).var(0).sum()) < SPREAD_FLOOR:
        raise NotApplicable("all codes are the same point")


def _tsne(codes: np.ndarray, protocol: Embed) -> np.ndarray:
    """scikit-learn's Barnes–Hut t-SNE on one thread, because its sums over points depend on the number of threads."""
    from sklearn.manifold import TSNE

    perplexity = used_perplexity(protocol, len(codes))
    init = "pca" if codes.shape[1] >= 2 else "random"
    with threadpool_limits(1):
        return TSNE(perplexity=perplexity, init=init, random_state=protocol.seed, n_jobs=1).fit_transform(codes)


def _umap(codes: np.ndarray, protocol: Embed) -> np.ndarray:
    """umap-learn's layout over exact neighbours, which umap-learn finds itself below 4,096 points, ten times slower."""
    knn = neighbours(codes, used_n_neighbors(protocol, len(codes)))
    with _threads_restored():
        return umap_code.layout(umap_code.umap(), codes, knn, min_dist=protocol.min_dist, random_state=protocol.seed)


@contextmanager
def _threads_restored() -> Iterator[None]:
    """Keep PyTorch's number of threads: numba starts its own by setting OpenMP's number, which PyTorch shares."""
    before = torch.get_num_threads()
    try:
        yield
    finally:
        torch.set_num_threads(before)


def neighbours(codes: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Indices and float32 distances of the `count` nearest points of each, itself first: (P, count) twice.

    Distances are rounded as umap-learn rounds its own, so that its map comes out the same to the last bit.
    """
    points = torch.from_numpy(np.ascontiguousarray(codes, dtype=np.float32))
    index = nearest(points, points, count - 1, itself=False)[1].numpy()
    index = np.column_stack([np.arange(len(codes)), index])
    squares = (codes[:, None] - codes[index]) ** 2  # float32, summed in float64
    distances = np.sqrt(squares.astype(np.float64).sum(2)).astype(np.float32)
    order = np.argsort(distances, axis=1, kind="stable")
    return np.take_along_axis(index, order, 1).astype(np.int32), np.take_along_axis(distances, order, 1)
