"""InfoVAE (MMD-VAE): a VAE whose KL gives way to a distance between the aggregate posterior and the prior.

    loss = −log p(x|z) + (1 − α) KL(q(z|x) ‖ N(0, I)) + (α + λ − 1) MMD²(q(z), N(0, I))      nats per image

With α = 0 and λ = 1 it is the VAE. With α = 1 the KL is gone: a Wasserstein autoencoder with a stochastic encoder.

Reference: Zhao, Song & Ermon, InfoVAE: Balancing Learning and Inference in Variational Autoencoders, AAAI 2019,
https://arxiv.org/abs/1706.02262 (eq. 6)
Deviation (ours): α = 0.5 and λ = 10, since the paper's values belong to another scale of the loss. A stochastic encoder
starts where the aggregate posterior is N(0, I) already, and a large λ keeps it there: with λ = 200, the weight of
`wae_mmd`, it learns nothing of the 8 × 8 digits.
"""

from typing import ClassVar, Literal

import torch
from torch import Tensor

from bench.models.divergences import mmd
from bench.models.likelihoods import Likelihood, gaussian_kl, reparametrise
from bench.models.nets import Net

from .vae import VAE


class InfoVAE(VAE):
    title = "InfoVAE"
    symbol = "InfoVAE"
    option_symbols: ClassVar = {"alpha": "α", "weight": "λ"}
    reference = (
        "Zhao et al., InfoVAE: Balancing Learning and Inference in Variational Autoencoders, AAAI 2019, "
        "https://arxiv.org/abs/1706.02262"
    )
    cite = "zhao2019infovae"
    version = 2  # λ = 10 is the default; with 200, that of version 1, training can stay at the mean image
    scalars = ("alpha", "weight")

    def __init__(
        self,
        net: Net,
        likelihood: Likelihood,
        *,
        alpha: float = 0.5,
        weight: float = 10.0,
        kernel: Literal["imq", "rbf"] = "imq",
    ) -> None:
        super().__init__(net, likelihood)
        self.alpha = alpha
        self.weight = weight
        self.kernel = kernel

    def draw(self, x: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        shape = len(x), self.net.size.latent_size
        eps, prior = (torch.randn(shape, generator=generator, device=x.device) for _ in range(2))
        return eps, prior  # (B, D) each

    def forward(self, x: Tensor, y: Tensor, noise: tuple[Tensor, Tensor]) -> dict[str, Tensor]:
        eps, prior = noise
        q = self.posterior(x)
        z = reparametrise(q.mean, q.log_var, eps)  # (B, D)
        rec = self.likelihood.nll(self.decode(z), x).mean()
        kl, distance = gaussian_kl(q.mean, q.log_var).mean(), mmd(z, prior, self.kernel)
        loss = rec + (1 - self.alpha) * kl + (self.alpha + self.weight - 1) * distance
        return {"loss": loss, "rec": rec, "kl": kl, "mmd": distance}
