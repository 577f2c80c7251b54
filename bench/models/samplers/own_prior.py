"""The prior that the model learned itself: the mixture of a VampPrior or a Gaussian-mixture VAE, for example.

Only for variants with a prior of their own (`own_prior`); the codes of others come from N(0, I) under the sampler
`prior`. Nothing is fitted. The log-likelihood is the model's, where its prior has one in closed form; that of a prior
on a sphere is a density on the sphere.
"""

from typing import Any

import numpy as np
import torch

from bench.errors import NotApplicable

from . import Sampler


class OwnPrior(Sampler):
    title = "The model's own prior"
    symbol = "own prior"
    reference = "Tomczak & Welling, VAE with a VampPrior, AISTATS 2018, https://arxiv.org/abs/1705.07120"
    needs_codes = False
    needs_model = True
    of_discrete = True

    def fit_model(self, model: Any) -> None:
        if not getattr(model, "own_prior", False):
            raise NotApplicable("the model has learned no prior of its own")
        self.model = model

    def fit(self, codes: np.ndarray, seed: int) -> None:
        pass

    def sample(self, n: int, rng: np.random.Generator) -> np.ndarray:
        noise = torch.Generator().manual_seed(int(rng.integers(2**63 - 1)))
        with torch.no_grad():
            return self.model.draw_prior(n, noise).cpu().double().numpy()

    def log_prob(self, codes: np.ndarray) -> np.ndarray:
        if not getattr(self.model, "prior_has_density", True):
            raise NotApplicable("the model's own prior has no density in closed form")
        device = next(self.model.parameters()).device
        with torch.no_grad():
            return self.model.log_prior(torch.from_numpy(codes).float().to(device)).cpu().double().numpy()
