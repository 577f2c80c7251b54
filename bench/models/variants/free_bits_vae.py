"""Free bits: a VAE in which each latent dimension may carry λ nats without a penalty.

    loss = −log p(x|z) + Σ_d max(λ, E_x KL(q(z_d|x) ‖ N(0, 1)))      nats per image

The expectation is the mean over the batch. With λ = 0 it is the VAE.

Reference: Kingma et al., Improved Variational Inference with Inverse Autoregressive Flow, NeurIPS 2016,
https://arxiv.org/abs/1606.04934 (eq. 15)
Deviation: a group is one latent dimension.
"""

from typing import ClassVar

from torch import Tensor

from bench.models.likelihoods import Likelihood, reparametrise
from bench.models.nets import Net

from .vae import VAE


class FreeBitsVAE(VAE):
    title = "VAE with free bits"
    symbol = "Free-bits VAE"
    option_symbols: ClassVar = {"free_nats": "λ"}
    reference = (
        "Kingma et al., Improved Variational Inference with Inverse Autoregressive Flow, NeurIPS 2016, "
        "https://arxiv.org/abs/1606.04934"
    )
    cite = "kingma2016improved"
    scalars = ("free_nats",)

    def __init__(self, net: Net, likelihood: Likelihood, *, free_nats: float = 0.25) -> None:
        super().__init__(net, likelihood)
        self.free_nats = free_nats

    def forward(self, x: Tensor, y: Tensor, noise: Tensor) -> dict[str, Tensor]:
        q = self.posterior(x)
        z = reparametrise(q.mean, q.log_var, noise)  # (B, D)
        rec = self.likelihood.nll(self.decode(z), x).mean()
        by_dimension = 0.5 * (q.mean.square() + q.log_var.exp() - 1 - q.log_var).mean(0)  # (D,)
        return {
            "loss": rec + by_dimension.clamp(min=self.free_nats).sum(),
            "rec": rec,
            "kl": by_dimension.sum(),
        }
