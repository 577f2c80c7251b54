"""DIP-VAE: a VAE whose aggregate posterior has a covariance near the identity.

    loss = −log p(x|z) + KL + λ_od Σ_{i≠j} C_ij² + λ_d Σ_i (C_ii − 1)²      nats per image
    I:  C = Cov_x[μ(x)]            II:  C = Cov_x[μ(x)] + E_x[Σ(x)]

Covariances are those of the batch. With both weights at 0 it is the VAE.

Reference: Kumar, Sattigeri & Balakrishnan, Variational Inference of Disentangled Latent Concepts from Unlabeled
Observations, ICLR 2018, https://arxiv.org/abs/1711.00848 (eq. 6 and 7)
Defaults: the paper's λ_od = 10, and λ_d = 10 λ_od for I. For II the paper sets λ_d = λ_od.
"""

from typing import ClassVar, Literal

import torch
from torch import Tensor

from bench.models.likelihoods import Likelihood
from bench.models.nets import Net

from .vae import VAE


class DIPVAE(VAE):
    title = "Disentangled inferred prior VAE"
    symbol = "DIP-VAE"
    option_symbols: ClassVar = {"off_diagonal": "λ_od", "diagonal": "λ_d"}
    reference = (
        "Kumar et al., Variational Inference of Disentangled Latent Concepts from Unlabeled Observations, ICLR 2018, "
        "https://arxiv.org/abs/1711.00848"
    )
    cite = "kumar2018variational"
    scalars = ("off_diagonal", "diagonal")

    def __init__(
        self,
        net: Net,
        likelihood: Likelihood,
        *,
        kind: Literal["I", "II"] = "I",
        off_diagonal: float = 10.0,
        diagonal: float = 100.0,
    ) -> None:
        super().__init__(net, likelihood)
        self.kind = kind
        self.off_diagonal = off_diagonal
        self.diagonal = diagonal

    def forward(self, x: Tensor, y: Tensor, noise: Tensor) -> dict[str, Tensor]:
        terms, q = super().forward(x, y, noise), self.posterior(x)
        covariance = batch_covariance(q.mean)  # (D, D)
        if self.kind == "II":
            covariance = covariance + torch.diag_embed(q.log_var.exp().mean(0))
        diagonal = covariance.diagonal()
        off = covariance.square().sum() - diagonal.square().sum()
        penalty = self.off_diagonal * off + self.diagonal * (diagonal - 1).square().sum()
        return terms | {"loss": terms["loss"] + penalty, "dip": penalty}


def batch_covariance(values: Tensor) -> Tensor:
    """E[v vᵀ] − E[v] E[v]ᵀ over the first axis: (B, D) → (D, D)."""
    centred = values - values.mean(0)
    with torch.autocast(values.device.type, enabled=False):
        return centred.T @ centred / len(values)
