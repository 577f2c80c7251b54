"""FactorVAE: a VAE whose total correlation is estimated by a critic and penalised.

    loss = −log p(x|z) + KL + γ E[log q(z) − log Π_d q(z_d)]      nats per image

A critic tells codes from codes whose dimensions were permuted over the batch, each by itself; the difference of its two
logits estimates the density ratio. Critic and model are trained with one loss: the critic's parameters are detached in
the model's term, the codes in the critic's. With γ = 0 the model is the VAE.

Reference: Kim & Mnih, Disentangling by Factorising, ICML 2018, https://arxiv.org/abs/1802.05983 (eq. 2, algorithm 2)
Deviation: codes and permuted codes come from one batch, model and critic share Adam's settings but for `critic_rate`, a
factor of the critic's learning rate, and the critic has two layers of 256 units by default (the paper: six of 1,000).
"""

from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from bench.models.divergences import critic_net, frozen
from bench.models.likelihoods import Likelihood, gaussian_kl, reparametrise
from bench.models.nets import Net
from bench.models.seeding import part

from .vae import VAE


class FactorVAE(VAE):
    title = "FactorVAE"
    symbol = "FactorVAE"
    option_symbols: ClassVar = {"gamma": "γ"}
    reference = "Kim & Mnih, Disentangling by Factorising, ICML 2018, https://arxiv.org/abs/1802.05983"
    cite = "kim2018disentangling"
    scalars = ("gamma",)

    def __init__(
        self,
        net: Net,
        likelihood: Likelihood,
        *,
        gamma: float = 10.0,
        critic: tuple[int, ...] = (256, 256),
        critic_rate: float = 1.0,
    ) -> None:
        super().__init__(net, likelihood)
        self.gamma = gamma
        self.rates = {"critic": critic_rate}
        with part("critic"):
            self.critic = critic_net(net.size.latent_size, critic, outputs=2)

    def draw(self, x: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        shape = len(x), self.net.size.latent_size
        eps = torch.randn(shape, generator=generator, device=x.device)
        return eps, torch.rand(shape, generator=generator, device=x.device)  # (B, D) each

    def forward(self, x: Tensor, y: Tensor, noise: tuple[Tensor, Tensor]) -> dict[str, Tensor]:
        eps, order = noise
        q = self.posterior(x)
        z = reparametrise(q.mean, q.log_var, eps)  # (B, D)
        rec = self.likelihood.nll(self.decode(z), x).mean()
        kl = gaussian_kl(q.mean, q.log_var).mean()
        logits = frozen(self.critic)(z)  # (B, 2): joint, product of marginals
        tc = (logits[:, 0] - logits[:, 1]).mean()
        critic = self.critic_loss(z.detach(), order)
        return {"loss": rec + kl + self.gamma * tc + critic, "rec": rec, "kl": kl, "tc": tc, "critic": critic}

    def critic_loss(self, z: Tensor, order: Tensor) -> Tensor:
        """Mean cross-entropy of telling z (B, D) from its permutation by `order` (B, D); log 2 for a blind critic."""
        joint, product = self.critic(z), self.critic(permuted(z, order))
        losses = -F.log_softmax(joint, 1)[:, 0] - F.log_softmax(product, 1)[:, 1]
        return 0.5 * losses.mean()


def permuted(z: Tensor, order: Tensor) -> Tensor:
    """Each column of z (B, D) in the order of the ranks of the same column of `order` (B, D)."""
    return z.gather(0, order.argsort(0))
