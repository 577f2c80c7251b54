"""Adversarial autoencoder: a critic makes the distribution of codes match the prior.

    z = f(x)
    loss = −log p(x|z) + λ E[−log c(z)] + E[−log c(ẑ)]/2 + E[−log (1 − c(z))]/2,  ẑ ~ N(0, I)      nats per image

c is the critic's probability that a code is a draw from the prior. In the term with λ the critic's parameters are
detached, in the last two the codes, so one loss has the gradients of two optimisers. With λ = 0 the model is the
autoencoder.

Reference: Makhzani et al., Adversarial Autoencoders, 2015, https://arxiv.org/abs/1511.05644 (section 2)
Deviation: model and critic are updated at the same time with one Adam; the critic has two layers of 256 units.
`critic_rate` is a factor of the critic's learning rate.
"""

from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from bench.models.divergences import critic_net, frozen
from bench.models.likelihoods import Likelihood
from bench.models.nets import Net
from bench.models.seeding import part

from .ae import AE


class AdversarialAE(AE):
    title = "Adversarial autoencoder"
    symbol = "AAE"
    option_symbols: ClassVar = {"weight": "λ"}
    reference = "Makhzani et al., Adversarial Autoencoders, 2015, https://arxiv.org/abs/1511.05644"
    cite = "makhzani2015adversarial"
    version = 2  # λ = 1 is the default; with 10, that of version 1, the codes of MNIST lose the image
    scalars = ("weight",)

    def __init__(
        self,
        net: Net,
        likelihood: Likelihood,
        *,
        weight: float = 1.0,
        critic: tuple[int, ...] = (256, 256),
        critic_rate: float = 1.0,
    ) -> None:
        super().__init__(net, likelihood)
        self.weight = weight
        self.rates = {"critic": critic_rate}
        with part("critic"):
            self.critic = critic_net(net.size.latent_size, critic)

    def draw(self, x: Tensor, generator: torch.Generator) -> Tensor:
        return torch.randn(len(x), self.net.size.latent_size, generator=generator, device=x.device)  # (B, D)

    def forward(self, x: Tensor, y: Tensor, noise: Tensor) -> dict[str, Tensor]:
        z = self.encode(x)  # (B, D)
        rec = self.likelihood.nll(self.decode(z), x).mean()
        fool = F.softplus(-frozen(self.critic)(z)).mean()  # −log c(z)
        critic = self.critic_loss(z.detach(), noise.to(z.dtype))
        return {"loss": rec + self.weight * fool + critic, "rec": rec, "fool": fool, "critic": critic}

    def critic_loss(self, z: Tensor, prior: Tensor) -> Tensor:
        """Mean cross-entropy of telling draws from the prior (B, D) from codes (B, D); log 2 for a blind critic."""
        return 0.5 * (F.softplus(-self.critic(prior)).mean() + F.softplus(self.critic(z)).mean())
