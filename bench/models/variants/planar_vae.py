"""VAE with planar flows: the posterior is a Gaussian pushed through invertible maps.

    z_0 ~ N(μ(x), σ²(x) I)            z_t = z_{t−1} + û_t tanh(w_tᵀ z_{t−1} + b_t)
    log q(z_T|x) = log N(z_0; μ, σ²) − Σ_t log |1 + û_tᵀ ψ_t|,  ψ_t = (1 − tanh²) w_t
    loss = −log p(x|z_T) + β (log q(z_T|x) − log p(z_T))      nats per image

û_t is u_t moved along w_t so that wᵀû ≥ −1, which makes the map invertible. The code of an image is the flow of μ.
β is 1 but for a warm-up of the KL, whose schedule ends at 1.

Reference: Rezende & Mohamed, Variational Inference with Normalizing Flows, ICML 2015, https://arxiv.org/abs/1505.05770
(eq. 10 to 13 and appendix A.1)
Deviation: the flow's parameters are shared by all images and not put out by the encoder. Seen from z_0 the posterior
stays a diagonal Gaussian, and the flow is part of the decoder and of a learned prior: what this method gains is due to
those, and not to posteriors of other shapes.
"""

from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bench.models.likelihoods import Likelihood
from bench.models.nets import Net
from bench.models.seeding import part

from ._monte_carlo import MonteCarloVAE


class PlanarVAE(MonteCarloVAE):
    title = "VAE with planar flows"
    symbol = "Planar VAE"
    option_symbols: ClassVar = {"flows": "T", "beta": "β"}
    reference = (
        "Rezende & Mohamed, Variational Inference with Normalizing Flows, ICML 2015, https://arxiv.org/abs/1505.05770"
    )
    cite = "rezende2015variational"

    def __init__(self, net: Net, likelihood: Likelihood, *, flows: int = 10, beta: float = 1.0) -> None:
        super().__init__(net, likelihood)
        self.beta = beta
        size = net.size.latent_size
        with part("flow"):
            self.u, self.w = (nn.Parameter(0.1 * torch.randn(flows, size)) for _ in range(2))
        self.b = nn.Parameter(torch.zeros(flows))

    def encode(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        return self.flow(self.posterior(x).mean)[0]

    def draw_code(self, x: Tensor, y: Tensor | None, noise: Any) -> tuple[Tensor, Tensor]:
        start, log_q = super().draw_code(x, y, noise)
        z, log_det = self.flow(start)
        return z, log_q - log_det

    def flow(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """All maps in order: (B, D) → (B, D), and log |det ∂z_T/∂z_0|, (B,)."""
        log_det = torch.zeros_like(z[:, 0])
        for u, w, b in zip(self.u, self.w, self.b, strict=True):
            inner = (u * w).sum()
            u = u + (F.softplus(inner) - 1 - inner) * w / w.square().sum()
            activation = torch.tanh(z @ w + b)  # (B,)
            log_det = log_det + torch.log1p((1 - activation.square()) * (u * w).sum())
            z = z + activation.unsqueeze(1) * u
        return z, log_det
