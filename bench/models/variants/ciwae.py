"""Combination of IWAE and VAE: the encoder keeps the signal of the ELBO while the bound stays tight.

    loss = β · (−ELBO) + (1 − β) · (−IWAE bound of k draws)      nats per image

With β = 0 it is the IWAE, with β = 1 the VAE with a Monte Carlo KL of k draws.

Reference: Rainforth et al., Tighter Variational Bounds are Not Necessarily Better, ICML 2018,
https://arxiv.org/abs/1802.04537 (eq. 16)
"""

from typing import ClassVar

from torch import Tensor

from bench.models.likelihoods import Likelihood
from bench.models.nets import Net

from .iwae import IWAE, log_mean_exp


class CIWAE(IWAE):
    title = "Combination of IWAE and VAE"
    symbol = "CIWAE"
    option_symbols: ClassVar = {"beta": "β", "samples": "k"}
    reference = (
        "Rainforth et al., Tighter Variational Bounds are Not Necessarily Better, ICML 2018, "
        "https://arxiv.org/abs/1802.04537"
    )
    cite = "rainforth2018tighter"
    scalars = ("beta",)

    def __init__(self, net: Net, likelihood: Likelihood, *, samples: int = 5, beta: float = 0.5) -> None:
        super().__init__(net, likelihood, samples=samples)
        self.beta = beta

    def forward(self, x: Tensor, y: Tensor, noise: Tensor) -> dict[str, Tensor]:
        nll, kl = self.weight_terms(x, noise)  # (B, k)
        tight, elbo = -log_mean_exp(-nll - kl).mean(), (nll + kl).mean()
        return {"loss": self.beta * elbo + (1 - self.beta) * tight, "rec": nll.mean(), "kl": kl.mean()}
