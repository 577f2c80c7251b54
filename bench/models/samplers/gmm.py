"""Gaussian mixture, 10 components with full covariance, fitted to the train codes by expectation maximisation.

scikit-learn's GaussianMixture, k-means initialisation, at most 100 iterations, one start, covariance floor 1e-6 of the
mean code variance (so that the floor means the same whatever the scale of an autoencoder's codes). Not the Bayesian
(Dirichlet) mixture that some published numbers were made with.

There is none where a component would get fewer codes than it has dimensions: its covariance would be singular but for
the floor, and the samples an artefact of the floor.
"""

import warnings

import numpy as np
from scipy.linalg import solve_triangular
from scipy.special import logsumexp
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import GaussianMixture

from bench.errors import NotApplicable

from . import Sampler


class GMM(Sampler):
    title = "Gaussian mixture fitted to the codes"
    symbol = "GMM"
    reference = "Ghosh et al., From Variational to Deterministic Autoencoders, 2020, https://arxiv.org/abs/1903.12436"

    def __init__(self, *, components: int = 10) -> None:
        self.components = components

    def fit(self, codes: np.ndarray, seed: int) -> None:
        if len(codes) < self.components:
            raise NotApplicable(f"{len(codes)} train codes are fewer than {self.components} components")
        if len(codes) <= self.components * codes.shape[1]:
            needs = f"{self.components} full covariances of {codes.shape[1]} dimensions"
            raise NotApplicable(f"{len(codes)} train codes are too few for {needs}")
        self.scale = max(float(np.sqrt(codes.var(0).mean())), 1e-12)
        mixture = GaussianMixture(self.components, max_iter=100, random_state=seed)
        with warnings.catch_warnings():  # 100 iterations are the protocol, converged or not
            warnings.simplefilter("ignore", ConvergenceWarning)
            mixture.fit(codes / self.scale)
        self.weights, self.means, self.covariances = mixture.weights_, mixture.means_, mixture.covariances_

    def sample(self, n: int, rng: np.random.Generator) -> np.ndarray:
        component = rng.choice(len(self.weights), size=n, p=self.weights / self.weights.sum())
        noise = rng.standard_normal((n, self.means.shape[1]))
        codes = np.empty_like(noise)
        for k, root in enumerate(np.linalg.cholesky(self.covariances)):  # (D, D) each
            chosen = component == k
            codes[chosen] = self.means[k] + noise[chosen] @ root.T
        return codes * self.scale

    def log_prob(self, codes: np.ndarray) -> np.ndarray:
        parts = []
        for weight, mean, root in zip(self.weights, self.means, np.linalg.cholesky(self.covariances), strict=True):
            whitened = solve_triangular(root, (codes / self.scale - mean).T, lower=True)  # (D, N)
            log_det = np.log(2 * np.pi) * len(mean) / 2 + np.log(np.diag(root)).sum()
            parts.append(np.log(weight) - 0.5 * (whitened**2).sum(0) - log_det)
        return logsumexp(parts, axis=0) - codes.shape[1] * np.log(self.scale)
