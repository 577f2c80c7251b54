"""VAE with inverse autoregressive flows: each step shifts and scales a number of the code given those before it.

    z_0 ~ N(μ(x), σ²(x) I)            z_t = a_t(z_{t−1}) + exp(s_t(z_{t−1})) ⊙ z_{t−1},  a_t, s_t autoregressive
    log q(z_T|x) = log N(z_0; μ, σ²) − Σ_t Σ_d s_td
    loss = −log p(x|z_T) + β (log q(z_T|x) − log p(z_T))      nats per image

The order of the numbers is reversed between steps. The code of an image is the flow of μ. β is 1 but for a warm-up of
the KL, whose schedule ends at 1.

Reference: Kingma et al., Improved Variational Inference with Inverse Autoregressive Flow, NeurIPS 2016,
https://arxiv.org/abs/1606.04934 (eq. 10)
Deviation: the flow is given no context of the image; masked layers are zuko's. Seen from z_0 the posterior stays a
diagonal Gaussian, and the flow is part of the decoder and of a learned prior: what this method gains is due to those,
and not to posteriors of other shapes.
"""

from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from bench.models.likelihoods import Likelihood
from bench.models.nets import Net
from bench.models.seeding import part

from ._monte_carlo import MonteCarloVAE


class IAFVAE(MonteCarloVAE):
    title = "VAE with inverse autoregressive flows"
    symbol = "IAF-VAE"
    option_symbols: ClassVar = {"flows": "T", "beta": "β"}
    reference = (
        "Kingma et al., Improved Variational Inference with Inverse Autoregressive Flow, NeurIPS 2016, "
        "https://arxiv.org/abs/1606.04934"
    )
    cite = "kingma2016improved"

    def __init__(
        self,
        net: Net,
        likelihood: Likelihood,
        *,
        flows: int = 2,
        hidden: tuple[int, ...] = (64, 64),
        beta: float = 1.0,
    ) -> None:
        super().__init__(net, likelihood)
        self.beta = beta
        with part("flow"):
            self.steps = nn.ModuleList(masked_net(net.size.latent_size, hidden) for _ in range(flows))

    def encode(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        return self.flow(self.posterior(x).mean)[0]

    def draw_code(self, x: Tensor, y: Tensor | None, noise: Any) -> tuple[Tensor, Tensor]:
        start, log_q = super().draw_code(x, y, noise)
        z, log_det = self.flow(start)
        return z, log_q - log_det

    def flow(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """All steps in order: (B, D) → (B, D), and log |det ∂z_T/∂z_0|, (B,)."""
        log_det = torch.zeros_like(z[:, 0])
        for step in self.steps:
            shift, log_scale = step(z).unflatten(1, (-1, 2)).unbind(2)  # (B, D) each
            log_scale = 2 * torch.tanh(log_scale / 2)  # bounded, so that a step cannot run away
            z = (shift + log_scale.exp() * z).flip(1)
            log_det = log_det + log_scale.sum(1)
        return z, log_det


def masked_net(size: int, hidden: tuple[int, ...]) -> nn.Module:
    """(B, D) → (B, 2 D): shift and log-scale of each number, which depend on the numbers before it only."""
    from zuko.nn import MaskedMLP

    before = torch.ones(size, size, dtype=torch.bool).tril(-1)
    return MaskedMLP(before.repeat_interleave(2, 0), hidden_features=hidden, activation=nn.ReLU)
