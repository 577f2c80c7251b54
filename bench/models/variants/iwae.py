"""Importance-weighted autoencoder: a tighter bound on log p(x) from k draws of the posterior.

    w_i  = p(x|z_i) (p(z_i) / q(z_i|x))^β,  z_i ~ q(z|x)
    loss = −log (1/k) Σ_i w_i      nats per image

With β = 1, w_i = p(x, z_i) / q(z_i|x). β warms up the KL by a schedule that ends at 1. With k = 1 it is the ELBO with a
Monte Carlo KL. The reported `rec` and `kl` are means over the k draws, and their sum is the negative ELBO; the loss is
never above it.

Reference: Burda, Grosse & Salakhutdinov, Importance Weighted Autoencoders, ICLR 2016,
https://arxiv.org/abs/1509.00519 (eq. 8)
"""

import math
from typing import ClassVar

import torch
from torch import Tensor

from bench.models.likelihoods import Likelihood, gaussian_log_prob, reparametrise
from bench.models.nets import Net

from .vae import VAE


class IWAE(VAE):
    title = "Importance-weighted autoencoder"
    symbol = "IWAE"
    option_symbols: ClassVar = {"samples": "k", "beta": "β"}
    reference = "Burda et al., Importance Weighted Autoencoders, ICLR 2016, https://arxiv.org/abs/1509.00519"
    cite = "burda2016importance"
    scalars = ("beta",)

    def __init__(self, net: Net, likelihood: Likelihood, *, samples: int = 5, beta: float = 1.0) -> None:
        super().__init__(net, likelihood)
        self.samples = samples
        self.beta = beta

    def draw(self, x: Tensor, generator: torch.Generator) -> Tensor:
        shape = len(x), self.samples, self.net.size.latent_size
        return torch.randn(shape, generator=generator, device=x.device)  # (B, k, D)

    def forward(self, x: Tensor, y: Tensor, noise: Tensor) -> dict[str, Tensor]:
        nll, kl = self.weight_terms(x, noise)  # (B, k) each
        return {"loss": -log_mean_exp(-nll - self.beta * kl).mean(), "rec": nll.mean(), "kl": kl.mean()}

    def weight_terms(self, x: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
        """−log p(x|z) and log q(z|x) − log p(z) of each draw; log w is minus their sum. noise: (B, k, D) → (B, k)."""
        q = self.posterior(x)
        mean, log_var = q.mean.unsqueeze(1), q.log_var.unsqueeze(1)  # (B, 1, D)
        z = reparametrise(mean, log_var, noise)  # (B, k, D)
        repeated = x.repeat_interleave(noise.shape[1], 0)
        nll = self.likelihood.nll(self.decode(z.flatten(0, 1)), repeated).view(noise.shape[:2])
        prior = gaussian_log_prob(z, torch.zeros_like(z), torch.zeros_like(z))
        return nll, gaussian_log_prob(z, mean, log_var) - prior


def log_mean_exp(values: Tensor, dim: int = -1) -> Tensor:
    """log of the mean of exp(values) along an axis."""
    return values.logsumexp(dim) - math.log(values.shape[dim])
