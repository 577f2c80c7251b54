"""Kernel density estimate on the train codes: a Gaussian around each code.

    p(z) = (1/n) Σ_i N(z; z_i, h² Σ),   Σ = the covariance of the codes

At most 5,000 train codes, drawn at random, are centres. h is one of 24 values between 0.02 and 1.5 (equal ratios): that
under which a held-out tenth of these codes has the largest mean log-likelihood. Then all of them are centres. Draws
have the covariance (1 + h²) Σ. The log-likelihood is exact. In many dimensions h comes near 1, and the estimate near
one Gaussian.
"""

import numpy as np
from scipy.spatial.distance import cdist
from scipy.special import logsumexp

from bench.errors import NotApplicable

from . import Sampler

CENTRES = 5_000
FEWEST = 20  #: train codes
BANDWIDTHS = np.geomspace(0.02, 1.5, 24)
SINGULAR = 1e-12  #: eigenvalue over the largest, below which a direction is constant


class KDE(Sampler):
    title = "Kernel density estimate of the codes"
    symbol = "KDE"
    reference = "Parzen, On Estimation of a Probability Density Function and Mode, 1962, https://doi.org/10.1214/aoms/1177704472"

    def fit(self, codes: np.ndarray, seed: int) -> None:
        if len(codes) < FEWEST:
            raise NotApplicable(f"needs at least {FEWEST} train codes, there are {len(codes)}")
        chosen = codes[np.random.default_rng(seed).permutation(len(codes))[:CENTRES]]
        self.mean = chosen.mean(0)
        values, vectors = np.linalg.eigh(np.cov(chosen, rowvar=False).reshape(codes.shape[1], codes.shape[1]))
        live = values > SINGULAR * values[-1]
        self.singular = not live.all()
        self.spread, self.axes = np.sqrt(values[live]), vectors[:, live]
        self.centres = self._whitened(chosen)
        held = len(chosen) // 10
        squares = cdist(self.centres[:held], self.centres[held:], "sqeuclidean")
        scores = [_log_mean_kernel(squares, h, self.centres.shape[1]).mean() for h in BANDWIDTHS]
        self.bandwidth = float(BANDWIDTHS[np.argmax(scores)])

    def sample(self, n: int, rng: np.random.Generator) -> np.ndarray:
        centres = self.centres[rng.integers(len(self.centres), size=n)]
        whitened = centres + self.bandwidth * rng.standard_normal(centres.shape)
        return self.mean + (whitened * self.spread) @ self.axes.T

    def log_prob(self, codes: np.ndarray) -> np.ndarray:
        if self.singular:
            raise NotApplicable("the covariance of the codes is singular, so there is no density")
        squares = cdist(self._whitened(codes), self.centres, "sqeuclidean")
        return _log_mean_kernel(squares, self.bandwidth, codes.shape[1]) - np.log(self.spread).sum()

    def _whitened(self, codes: np.ndarray) -> np.ndarray:
        return (codes - self.mean) @ self.axes / self.spread


def _log_mean_kernel(squares: np.ndarray, h: float, size: int) -> np.ndarray:
    """log (1/n) Σ_i N(z; z_i, h² I) from squared distances (N, n), (N,)."""
    return logsumexp(-squares / (2 * h**2), axis=1) - np.log(squares.shape[1]) - size * np.log(h * np.sqrt(2 * np.pi))
