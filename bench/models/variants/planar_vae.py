"""VAE with planar flows: the posterior is a Gaussian pushed through invertible maps.

    z_0 ~ N(μ(x), σ²(x) I)            z_t = z_{t−1} + û_t tanh(w_tᵀ z_{t−1} + b_t)
    log q(z_T|x) = log N(z_0; μ, σ²) − Σ_t log |1 + û_tᵀ ψ_t|,  ψ_t = (1 − tanh²) w_t
    loss = −log p(x|z_T) + β (log q(z_T|x) − log p(z_T))      nats per image

û_t is u_t moved along w_t so that wᵀû ≥ −1, which makes the map invertible. u, w and b of an image are a linear map of
a third vector of the encoder, the context h(x). The code of an image is the flow of μ. β is 1 but for a warm-up of the
KL, whose schedule ends at 1.

Reference: Rezende & Mohamed, Variational Inference with Normalizing Flows, ICML 2015, https://arxiv.org/abs/1505.05770
(eq. 10 to 13 and appendix A.1)
Deviation: none known.
"""

from collections.abc import Iterator
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bench.models.likelihoods import Likelihood
from bench.models.nets import Net
from bench.models.seeding import part

from ._flow import FlowVAE


class PlanarVAE(FlowVAE):
    title = "VAE with planar flows"
    symbol = "Planar VAE"
    option_symbols: ClassVar = {"flows": "T", "beta": "β"}
    reference = (
        "Rezende & Mohamed, Variational Inference with Normalizing Flows, ICML 2015, https://arxiv.org/abs/1505.05770"
    )
    cite = "rezende2015variational"
    version = 3  # no mean and variance of q(z|x), hence no active units; version 2 had those before the flow

    def __init__(self, net: Net, likelihood: Likelihood, *, flows: int = 10, beta: float = 1.0) -> None:
        super().__init__(net, likelihood)
        self.beta = beta
        self.flows, size = flows, net.size.latent_size
        with part("flow"):
            self.parameters_of = nn.Linear(size, flows * (2 * size + 1))
            with torch.no_grad():  # at the start all images have one flow near the identity
                self.parameters_of.weight.mul_(0.1)
                self.parameters_of.bias.normal_(0, 0.1)

    def flow(self, z: Tensor, context: Tensor) -> tuple[Tensor, Tensor]:
        """All maps in order: (B, D) and (B, D) → (B, D), and log |det ∂z_T/∂z_0|, (B,)."""
        log_det = torch.zeros_like(z[:, 0])
        for u, w, b in self.maps(context):
            activation = torch.tanh((z * w).sum(1) + b)  # (B,)
            log_det = log_det + torch.log1p((1 - activation.square()) * (u * w).sum(1))
            z = z + activation.unsqueeze(1) * u
        return z, log_det

    def maps(self, context: Tensor) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        """û (B, D), w (B, D) and b (B,) of each map in order."""
        size = context.shape[1]
        for one in self.parameters_of(context).chunk(self.flows, dim=1):
            u, w, b = one.split((size, size, 1), dim=1)
            inner = (u * w).sum(1, keepdim=True)  # (B, 1)
            u = u + (F.softplus(inner) - 1 - inner) * w / w.square().sum(1, keepdim=True)
            yield u, w, b.squeeze(1)
