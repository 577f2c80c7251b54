"""Wasserstein autoencoder with a kernel penalty: a deterministic code whose distribution matches the prior.

    z = f(x)            loss = −log p(x|z) + λ MMD²(q(z), N(0, I))      nats per image

MMD is the unbiased estimate from the batch's codes and as many draws from the prior, with a sum of inverse
multiquadratic kernels. With λ = 0 it is the autoencoder.

Reference: Tolstikhin et al., Wasserstein Auto-Encoders, ICLR 2018, https://arxiv.org/abs/1711.01558 (algorithm 2)
Defaults: λ = 200. The authors weigh the squared error 0.05 and MMD² 10; relative to the squared error that is 200.
"""

from typing import ClassVar, Literal

import torch
from torch import Tensor

from bench.models.divergences import mmd
from bench.models.likelihoods import Likelihood
from bench.models.nets import Net

from .ae import AE


class WAEMMD(AE):
    title = "Wasserstein autoencoder with MMD"
    symbol = "WAE-MMD"
    option_symbols: ClassVar = {"weight": "λ"}
    reference = "Tolstikhin et al., Wasserstein Auto-Encoders, ICLR 2018, https://arxiv.org/abs/1711.01558"
    cite = "tolstikhin2018wasserstein"
    scalars = ("weight",)

    def __init__(
        self, net: Net, likelihood: Likelihood, *, weight: float = 200.0, kernel: Literal["imq", "rbf"] = "imq"
    ) -> None:
        super().__init__(net, likelihood)
        self.weight = weight
        self.kernel = kernel

    def draw(self, x: Tensor, generator: torch.Generator) -> Tensor:
        return torch.randn(len(x), self.net.size.latent_size, generator=generator, device=x.device)  # (B, D)

    def forward(self, x: Tensor, y: Tensor, noise: Tensor) -> dict[str, Tensor]:
        z = self.encode(x)  # (B, D)
        rec = self.likelihood.nll(self.decode(z), x).mean()
        distance = mmd(z, noise, self.kernel)
        return {"loss": rec + self.weight * distance, "rec": rec, "mmd": distance}
