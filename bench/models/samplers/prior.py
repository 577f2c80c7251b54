"""The prior N(0, I): what a VAE is trained for, and what an autoencoder never saw.

A model with another prior (a mixture, the sphere, a second layer) is not sampled by it: `own_prior` does that.
"""

import numpy as np

from . import Sampler


class Prior(Sampler):
    title = "Prior N(0, I)"
    symbol = "prior"
    reference = "Kingma & Welling, Auto-Encoding Variational Bayes, 2014, https://arxiv.org/abs/1312.6114"
    needs_codes = False
    of_own_prior = False

    def fit(self, codes: np.ndarray, seed: int) -> None:
        self.size = codes.shape[1]

    def sample(self, n: int, rng: np.random.Generator) -> np.ndarray:
        return rng.standard_normal((n, self.size))

    def log_prob(self, codes: np.ndarray) -> np.ndarray:
        return -0.5 * ((codes**2).sum(1) + codes.shape[1] * np.log(2 * np.pi))
