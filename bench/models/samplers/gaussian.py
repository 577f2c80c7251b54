"""One full-covariance Gaussian fitted to the train codes: the "N" column of Ghosh et al. 2020 for regularised AEs."""

import numpy as np

from bench.errors import NotApplicable

from . import Sampler

SINGULAR = 1e-12  #: smallest eigenvalue over the largest, below which a covariance is singular


class Gaussian(Sampler):
    title = "Gaussian fitted to the codes"
    symbol = "Gaussian"
    reference = "Ghosh et al., From Variational to Deterministic Autoencoders, 2020, https://arxiv.org/abs/1903.12436"

    def fit(self, codes: np.ndarray, seed: int) -> None:
        self.mean = codes.mean(0)
        self.covariance = np.cov(codes, rowvar=False).reshape(codes.shape[1], codes.shape[1])

    def sample(self, n: int, rng: np.random.Generator) -> np.ndarray:
        # eigh instead of Cholesky: a dead dimension (variance 0) is a legitimate code
        values, vectors = np.linalg.eigh(self.covariance)
        root = vectors * np.sqrt(np.clip(values, 0, None))
        return self.mean + rng.standard_normal((n, len(self.mean))) @ root.T

    def log_prob(self, codes: np.ndarray) -> np.ndarray:
        values, vectors = np.linalg.eigh(self.covariance)
        if values[0] <= SINGULAR * values[-1]:
            raise NotApplicable("the covariance of the codes is singular, so there is no density")
        squares = ((codes - self.mean) @ vectors) ** 2 / values
        return -0.5 * (squares.sum(1) + np.log(2 * np.pi * values).sum())
