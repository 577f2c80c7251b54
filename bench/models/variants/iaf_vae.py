"""VAE with inverse autoregressive flows: each step shifts and scales a number of the code given those before it.

    z_0 ~ N(μ(x), σ²(x) I)            z_t = a_t(z_{t−1}, h) + exp(s_t(z_{t−1}, h)) ⊙ z_{t−1}
    log q(z_T|x) = log N(z_0; μ, σ²) − Σ_t Σ_d s_td
    loss = −log p(x|z_T) + β (log q(z_T|x) − log p(z_T))      nats per image

a_t and s_t are autoregressive in z and see all of the context h(x), a third vector of the encoder. The order of the
numbers is reversed between steps. The code of an image is the flow of μ. β is 1 but for a warm-up of the KL, whose
schedule ends at 1.

Reference: Kingma et al., Improved Variational Inference with Inverse Autoregressive Flow, NeurIPS 2016,
https://arxiv.org/abs/1606.04934 (eq. 10, algorithm 1)
Deviation: a step scales by exp(s) with s in [−2, 2], where the paper's experiments have a sigmoid gate; masked layers
are zuko's.
"""

from typing import ClassVar

import torch
from torch import Tensor, nn

from bench.models.likelihoods import Likelihood
from bench.models.nets import Net
from bench.models.seeding import part

from ._flow import FlowVAE


class IAFVAE(FlowVAE):
    title = "VAE with inverse autoregressive flows"
    symbol = "IAF-VAE"
    option_symbols: ClassVar = {"flows": "T", "beta": "β"}
    reference = (
        "Kingma et al., Improved Variational Inference with Inverse Autoregressive Flow, NeurIPS 2016, "
        "https://arxiv.org/abs/1606.04934"
    )
    cite = "kingma2016improved"
    version = 3  # no mean and variance of q(z|x), hence no active units; version 2 had those before the flow

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

    def flow(self, z: Tensor, context: Tensor) -> tuple[Tensor, Tensor]:
        """All steps in order: (B, D) and (B, D) → (B, D), and log |det ∂z_T/∂z_0|, (B,)."""
        log_det = torch.zeros_like(z[:, 0])
        for step in self.steps:
            shift, log_scale = step(torch.cat([z, context], 1)).unflatten(1, (-1, 2)).unbind(2)  # (B, D) each
            log_scale = 2 * torch.tanh(log_scale / 2)  # bounded, so that a step cannot run away
            z = (shift + log_scale.exp() * z).flip(1)
            log_det = log_det + log_scale.sum(1)
        return z, log_det


def masked_net(size: int, hidden: tuple[int, ...]) -> nn.Module:
    """Code and context (B, 2 D) → shift and log-scale of each number (B, 2 D), which see the context and the numbers
    before it.
    """
    from zuko.nn import MaskedMLP

    before = torch.ones(size, size, dtype=torch.bool).tril(-1)
    seen = torch.cat([before, torch.ones_like(before)], 1)  # (D, 2 D)
    return MaskedMLP(seen.repeat_interleave(2, 0), hidden_features=hidden, activation=nn.ReLU)
