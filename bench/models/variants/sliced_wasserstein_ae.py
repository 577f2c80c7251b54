"""Sliced-Wasserstein autoencoder: codes match the prior along random directions.

    z = f(x)            loss = −log p(x|z) + λ SW₂²(q(z), N(0, I))      nats per image

SW₂² is the mean over random directions of the squared 2-Wasserstein distance between sorted projections of the
batch's codes and of as many draws from the prior. There are as many directions as images in the batch. With λ = 0 it
is the autoencoder.

Reference: Kolouri et al., Sliced-Wasserstein Autoencoder: An Embarrassingly Simple Generative Model, 2018,
https://arxiv.org/abs/1804.01947 (eq. 16)
Deviation (ours): λ = 200, the weight of `wae_mmd`, since the paper's value belongs to another scale of the loss.
"""

from typing import ClassVar

import torch
from torch import Tensor

from bench.models.divergences import sliced_wasserstein
from bench.models.likelihoods import Likelihood
from bench.models.nets import Net

from .ae import AE


class SlicedWassersteinAE(AE):
    title = "Sliced-Wasserstein autoencoder"
    symbol = "SWAE"
    option_symbols: ClassVar = {"weight": "λ"}
    reference = (
        "Kolouri et al., Sliced-Wasserstein Autoencoder: An Embarrassingly Simple Generative Model, 2018, "
        "https://arxiv.org/abs/1804.01947"
    )
    cite = "kolouri2018sliced"
    scalars = ("weight",)

    def __init__(self, net: Net, likelihood: Likelihood, *, weight: float = 200.0) -> None:
        super().__init__(net, likelihood)
        self.weight = weight

    def draw(self, x: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        shape = len(x), self.net.size.latent_size
        prior, directions = (torch.randn(shape, generator=generator, device=x.device) for _ in range(2))
        return prior, directions  # (B, D) each

    def forward(self, x: Tensor, y: Tensor, noise: tuple[Tensor, Tensor]) -> dict[str, Tensor]:
        z = self.encode(x)  # (B, D)
        prior, directions = (part.to(z.dtype) for part in noise)
        rec = self.likelihood.nll(self.decode(z), x).mean()
        distance = sliced_wasserstein(z, prior, directions)
        return {"loss": rec + self.weight * distance, "rec": rec, "sw": distance}
