"""VAE-GAN: images are compared in the features of a critic that learns to tell them from the data.

    L_f = (λ/2) ‖h(x) − h(x̂)‖²,  x̂ = G(z), z ~ q(z|x)                      h: the critic's features
    L_c = −log c(x) − log(1 − c(x̂)) − log(1 − c(x_p)),  x_p = G(z_p), z_p ~ N(0, I)

    encoder:  KL(q(z|x) ‖ N(0, I)) + L_f
    decoder:  γ L_f − log c(x̂) − log c(x_p)
    critic:   L_c                                            averaged over images

The three have one loss: in the encoder's term decoder and critic are detached, in the decoder's the code and the
critic, in the critic's the images. The reported `rec` is −log p(x|z) in pixels, which is not trained; parameters of the
likelihood follow by its gradient on detached reconstructions, since evaluation uses them.

Reference: Larsen et al., Autoencoding beyond pixels using a learned similarity metric, ICML 2016,
https://arxiv.org/abs/1512.09300 (algorithm 1)
Deviation: the decoder minimises −log c instead of log(1 − c); the critic has strided convolutions without batch
normalisation, and h is the last of them; λ = 1 in the paper; γ = 1 and λ = 10 (ours).
"""

from itertools import pairwise
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bench.errors import UsageError
from bench.models.divergences import frozen
from bench.models.likelihoods import Likelihood, following, gaussian_kl, reparametrise
from bench.models.nets import Net
from bench.models.seeding import part

from .vae import VAE


class VAEGAN(VAE):
    title = "VAE-GAN"
    symbol = "VAE-GAN"
    option_symbols: ClassVar = {"gamma": "γ", "weight": "λ"}
    reference = (
        "Larsen et al., Autoencoding beyond pixels using a learned similarity metric, ICML 2016, "
        "https://arxiv.org/abs/1512.09300"
    )
    cite = "larsen2016autoencoding"
    scalars = ("gamma", "weight")

    def __init__(
        self,
        net: Net,
        likelihood: Likelihood,
        *,
        gamma: float = 1.0,
        weight: float = 10.0,
        critic: tuple[int, ...] = (32, 64),
        critic_rate: float = 1.0,
    ) -> None:
        super().__init__(net, likelihood)
        self.gamma = gamma
        self.weight = weight
        self.rates = {"critic": critic_rate}
        with part("critic"):
            self.critic = ImageCritic(net.size.shape, critic)

    def draw(self, x: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        shape = len(x), self.net.size.latent_size
        eps, prior = (torch.randn(shape, generator=generator, device=x.device) for _ in range(2))
        return eps, prior  # (B, D) each

    def forward(self, x: Tensor, y: Tensor, noise: tuple[Tensor, Tensor]) -> dict[str, Tensor]:
        eps, prior = noise
        q = self.posterior(x)
        z = reparametrise(q.mean, q.log_var, eps)  # (B, D)
        kl = gaussian_kl(q.mean, q.log_var).mean()
        raw = self.decode(torch.cat([z.detach(), prior.to(z.dtype)]))
        made = self.likelihood.mean(raw)  # (2B, C, H, W): x̂, x_p
        features, critic = self.critic_loss(x, made.detach())
        judge, decode = frozen(self.critic), frozen(Decoding(self.net))
        of_encoder = self.weight * feature_error(judge(self.likelihood.mean(decode(z)))[0], features)
        judged, logits = judge(made)
        of_decoder = self.weight * feature_error(judged[: len(x)], features)
        fool = F.softplus(-logits).view(2, -1).mean(1).sum()  # −log c(x̂) − log c(x_p)
        rec = self.likelihood.nll(raw[: len(x)].detach(), x).mean()
        loss = kl + of_encoder + self.gamma * of_decoder + fool + critic + following(rec)
        return {"loss": loss, "rec": rec, "kl": kl, "features": of_decoder, "fool": fool, "critic": critic}

    def critic_loss(self, x: Tensor, made: Tensor) -> tuple[Tensor, Tensor]:
        """Features of the data (B, F), detached, and L_c of data (B, C, H, W) and images (2B, C, H, W); 3 log 2 for a
        blind critic."""
        features, logits = self.critic(torch.cat([x, made]))
        of_data, of_made = logits[: len(x)], logits[len(x) :]
        losses = F.softplus(-of_data).mean() + F.softplus(of_made).view(2, -1).mean(1).sum()
        return features[: len(x)].detach(), losses


def feature_error(a: Tensor, b: Tensor) -> Tensor:
    """½ ‖a − b‖² averaged over images: (B, F), (B, F) → scalar."""
    return 0.5 * (a - b).square().sum(1).mean()


class ImageCritic(nn.Module):
    """Strided convolutions with leaky ReLUs and a linear layer: images (B, C, H, W) → features (B, F), logits (B,)."""

    def __init__(self, shape: tuple[int, int, int], channels: tuple[int, ...]) -> None:
        super().__init__()
        channels_in, *sides = shape
        if not channels or min(sides) < 2 ** len(channels):
            raise UsageError(f"vae_gan: a critic of {len(channels)} stages takes no images of {sides[0]}×{sides[1]}")
        for _ in channels:
            sides = [side // 2 for side in sides]
        steps = pairwise([channels_in, *channels])
        stages = [module for a, b in steps for module in (nn.Conv2d(a, b, 4, 2, 1), nn.LeakyReLU(0.2))]
        self.features = nn.Sequential(*stages, nn.Flatten())
        self.head = nn.Linear(channels[-1] * sides[0] * sides[1], 1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        features = self.features(x)
        return features.float(), self.head(features).squeeze(1).float()


class Decoding(nn.Module):
    """A net's decoder as a module of its own, so that `frozen` can detach its parameters."""

    def __init__(self, net: Net) -> None:
        super().__init__()
        self.net = net

    def forward(self, z: Tensor) -> Tensor:
        return self.net.decode(z)
