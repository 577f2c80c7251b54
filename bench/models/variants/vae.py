"""Variational autoencoder: maximises the evidence lower bound with a diagonal Gaussian posterior.

    q(z|x) = N(μ(x), σ²(x) I)      z = μ + σ ε,  ε ~ N(0, I)
    loss   = −log p(x|z) + KL(q(z|x) ‖ N(0, I))  = −ELBO, nats per image

One Monte Carlo sample of z for the reconstruction, the KL in closed form.

Reference: Kingma & Welling, Auto-Encoding Variational Bayes, 2014, https://arxiv.org/abs/1312.6114 (eq. 10)
"""

from typing import Any

import torch
from torch import Tensor

from bench.models.likelihoods import gaussian_kl, reparametrise

from . import Posterior, Variant


class VAE(Variant):
    title = "Variational autoencoder"
    symbol = "VAE"
    reference = "Kingma & Welling, Auto-Encoding Variational Bayes, 2014, https://arxiv.org/abs/1312.6114"
    cite = "kingma2014auto"
    heads = 2
    has_posterior = True

    def draw(self, x: Tensor, generator: torch.Generator) -> Any:
        return torch.randn(len(x), self.net.size.latent_size, generator=generator, device=x.device)  # (B, D)

    def forward(self, x: Tensor, y: Tensor, noise: Any) -> dict[str, Tensor]:
        q = self.posterior(x)
        z = reparametrise(q.mean, q.log_var, noise)  # (B, D)
        rec = self.likelihood.nll(self.decode(z), x).mean()
        kl = gaussian_kl(q.mean, q.log_var).mean()
        return {"loss": rec + kl, "rec": rec, "kl": kl}

    def posterior(self, x: Tensor, y: Tensor | None = None) -> Posterior:
        return Posterior(*self.net.encode(x).chunk(2, dim=1))

    def encode(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        return self.posterior(x, y).mean
