"""Two-dimensional maps of test codes: t-SNE and UMAP under one pinned protocol, and the plain view of the codes.

A map is for looking at. t-SNE shows clusters whether or not the codes have them, so the silhouette of a map is never
read without the silhouette of the codes beside it.

References: van der Maaten & Hinton, JMLR 9, 2008 (t-SNE) · McInnes et al. 2018, https://arxiv.org/abs/1802.03426 (UMAP)
"""

import warnings

import numpy as np

from .errors import NotApplicable
from .suite import Embed

SPREAD_FLOOR = 1e-12  #: codes whose total variance is below it are one point


def embed(method: str, codes: np.ndarray, protocol: Embed) -> np.ndarray:
    """Codes (P, D) → (P, 2), float32. Raises `NotApplicable` for codes that are a single point."""
    require_spread(codes)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # libraries' notes on spectral gaps and thread counts; the protocol is pinned
        points = _tsne(codes, protocol) if method == "tsne" else _umap(codes, protocol)
    return points.astype(np.float32)


def plane(codes: np.ndarray) -> np.ndarray:
    """Codes (P, D) as a picture (P, 2): themselves for D = 2, their two principal components for more."""
    if codes.shape[1] <= 2:
        return np.pad(codes, ((0, 0), (0, 2 - codes.shape[1]))).astype(np.float32)
    centred = codes.astype(np.float64) - codes.mean(0)
    _, vectors = np.linalg.eigh(centred.T @ centred)
    axes = vectors[:, ::-1][:, :2]
    axes = axes * np.where(axes.sum(0) < 0, -1, 1)  # eigenvectors have no sign of their own
    return (centred @ axes).astype(np.float32)


def require_spread(codes: np.ndarray) -> None:
    """Raise `NotApplicable` when all codes coincide (a collapsed posterior)."""
    if float(codes.astype(np.float64).var(0).sum()) < SPREAD_FLOOR:
        raise NotApplicable("all codes are the same point")


def _tsne(codes: np.ndarray, protocol: Embed) -> np.ndarray:
    from sklearn.manifold import TSNE

    perplexity = min(protocol.perplexity, (len(codes) - 1) / 3)
    init = "pca" if codes.shape[1] >= 2 else "random"
    return TSNE(perplexity=perplexity, init=init, random_state=protocol.seed).fit_transform(codes)


def _umap(codes: np.ndarray, protocol: Embed) -> np.ndarray:
    from umap import UMAP

    neighbours = min(protocol.n_neighbors, len(codes) - 1)
    mapper = UMAP(
        n_neighbors=neighbours, min_dist=protocol.min_dist, random_state=protocol.seed, n_jobs=1, low_memory=False
    )
    return mapper.fit_transform(codes)
