"""Multiply importance-weighted autoencoder: the mean of M bounds of k draws each.

    loss = −(1/M) Σ_m log (1/k) Σ_i w_mi      nats per image

With M = 1 it is the IWAE, with k = 1 the VAE with a Monte Carlo KL of M draws. More bounds lower the variance of the
encoder's gradient, more draws tighten the bound. The weights w, and β, are those of `iwae`.

Reference: Rainforth et al., Tighter Variational Bounds are Not Necessarily Better, ICML 2018,
https://arxiv.org/abs/1802.04537 (eq. 12)
Deviation: 4 × 4 draws by default; the paper's experiments use 8 × 8.
"""

from typing import ClassVar

import torch
from torch import Tensor

from bench.models.likelihoods import Likelihood
from bench.models.nets import Net

from .iwae import IWAE, log_mean_exp


class MIWAE(IWAE):
    title = "Multiply importance-weighted autoencoder"
    symbol = "MIWAE"
    option_symbols: ClassVar = {"samples": "k", "bounds": "M", "beta": "β"}
    reference = (
        "Rainforth et al., Tighter Variational Bounds are Not Necessarily Better, ICML 2018, "
        "https://arxiv.org/abs/1802.04537"
    )
    cite = "rainforth2018tighter"

    def __init__(
        self, net: Net, likelihood: Likelihood, *, samples: int = 4, bounds: int = 4, beta: float = 1.0
    ) -> None:
        super().__init__(net, likelihood, samples=samples, beta=beta)
        self.bounds = bounds

    def draw(self, x: Tensor, generator: torch.Generator) -> Tensor:
        shape = len(x), self.bounds * self.samples, self.net.size.latent_size
        return torch.randn(shape, generator=generator, device=x.device)  # (B, M · k, D)

    def forward(self, x: Tensor, y: Tensor, noise: Tensor) -> dict[str, Tensor]:
        nll, kl = self.weight_terms(x, noise)  # (B, M · k)
        grouped = (-nll - self.beta * kl).view(len(x), self.bounds, self.samples)
        return {"loss": -log_mean_exp(grouped).mean(), "rec": nll.mean(), "kl": kl.mean()}
