"""Hierarchical VAE of two stochastic layers.

    q(z_1, z_2|x) = q(z_1|x) q(z_2|z_1)            p(x, z_1, z_2) = p(x|z_1) p(z_1|z_2) p(z_2)
    loss = −log p(x|z_1) + β (log q(z_1|x) − log p(z_1|z_2) + KL(q(z_2|z_1) ‖ N(0, I)))      nats per image

    ladder:  q(z_1, z_2|x) = q(z_2|x) q(z_1|z_2, x),  q(z_1|z_2, x) ∝ N(z_1; μ(x), σ²(x) I) p(z_1|z_2)
    loss   = −log p(x|z_1) + β (KL(q(z_1|z_2, x) ‖ p(z_1|z_2)) + KL(q(z_2|x) ‖ N(0, I)))

z_1 is the code; its prior is the marginal of p(z_1|z_2) p(z_2). With z_2 ignored by both sides and p(z_1|z_2) = N(0,
I) it is the VAE with a Monte Carlo KL. In the ladder the encoder's Gaussian and the generator's are multiplied; the
code of an image is the mean of q(z_1|z_2, x) at the mean of z_2, and q(z_1|x), a mixture over z_2, has no mean and
variance in closed form. β is 1 but for a warm-up of the KL, whose schedule ends at 1.

Reference: Burda et al., Importance Weighted Autoencoders, ICLR 2016, https://arxiv.org/abs/1509.00519 (two-layer
models); ladder: Sønderby et al., Ladder Variational Autoencoders, NeurIPS 2016, https://arxiv.org/abs/1602.02282
(section 2)
Deviation: the layers above the net are perceptrons of one hidden layer; z_2 has half as many numbers as z_1. In the
ladder q(z_2|x) sees μ(x) in place of a hidden layer.
"""

from typing import Any, ClassVar, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bench.errors import NotApplicable
from bench.models.likelihoods import Likelihood, gaussian_kl, gaussian_log_prob, reparametrise
from bench.models.nets import Net
from bench.models.seeding import part

from . import Posterior
from .vae import VAE


class TwoLayerVAE(VAE):
    title = "Two-layer VAE"
    symbol = "2-layer VAE"
    option_symbols: ClassVar = {"hidden": "H", "beta": "β"}
    reference = "Burda et al., Importance Weighted Autoencoders, ICLR 2016, https://arxiv.org/abs/1509.00519"
    cite = "burda2016importance"
    closed_kl = False
    scalars = ("beta",)
    own_prior = True
    prior_has_density = False  # the marginal of z_1 is an integral

    def __init__(
        self, net: Net, likelihood: Likelihood, *, hidden: int = 128, beta: float = 1.0, ladder: bool = False
    ) -> None:
        super().__init__(net, likelihood)
        self.beta = beta
        self.ladder = ladder
        size = net.size.latent_size
        self.upper = max(1, size // 2)
        with part("upper_encoder"):
            self.up = nn.Sequential(nn.Linear(size, hidden), nn.ReLU(), nn.Linear(hidden, 2 * self.upper))
        with part("upper_decoder"):
            self.down = nn.Sequential(nn.Linear(self.upper, hidden), nn.ReLU(), nn.Linear(hidden, 2 * size))

    def draw(self, x: Tensor, generator: torch.Generator) -> Any:
        return self.code_noise(x, generator)

    def code_noise(self, x: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        sizes = self.net.size.latent_size, self.upper
        eps = [torch.randn(len(x), size, generator=generator, device=x.device) for size in sizes]
        return eps[0], eps[1]

    def forward(self, x: Tensor, y: Tensor, noise: Any) -> dict[str, Tensor]:
        layers = self.layers(x, noise)
        rec = self.likelihood.nll(self.decode(layers.z), x).mean()
        if self.ladder:
            lower = gaussian_kl_between(layers.q_1, layers.p_1).mean()
        else:
            lower = (gaussian_log_prob(layers.z, *layers.q_1) - gaussian_log_prob(layers.z, *layers.p_1)).mean()
        upper = gaussian_kl(*layers.q_2).mean()
        return {"loss": rec + self.beta * lower + self.beta * upper, "rec": rec, "kl": lower + upper, "kl_2": upper}

    def layers(self, x: Tensor, noise: tuple[Tensor, Tensor]) -> "Layers":
        """One draw of both layers with the Gaussians that it comes from and goes to."""
        mean, log_var = self.net.encode(x).chunk(2, dim=1)  # (B, D) each
        if self.ladder:
            q_2 = self.above(mean)
            z_2 = reparametrise(*q_2, noise[1])
            p_1 = self.below(z_2)
            q_1 = product_of(Posterior(mean, log_var), p_1)
            return Layers(reparametrise(*q_1, noise[0]), z_2, q_1, q_2, p_1)
        z = reparametrise(mean, log_var, noise[0])
        q_2 = self.above(z)
        z_2 = reparametrise(*q_2, noise[1])
        return Layers(z, z_2, Posterior(mean, log_var), q_2, self.below(z_2))

    def above(self, z: Tensor) -> Posterior:
        """q(z_2|·) of z_1, in the ladder of μ(x): (B, D) → (B, D_2) each."""
        return Posterior(*self.up(z).float().chunk(2, dim=1))

    def below(self, z_2: Tensor) -> Posterior:
        """p(z_1|z_2): (B, D_2) → (B, D) each."""
        return Posterior(*self.down(z_2).float().chunk(2, dim=1))

    def posterior(self, x: Tensor, y: Tensor | None = None) -> Posterior:
        if self.ladder:
            raise NotApplicable(
                "q(z_1|x) of a ladder is a mixture over z_2, which has no mean and variance in closed form"
            )
        return super().posterior(x, y)

    def encode(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        own = Posterior(*self.net.encode(x).chunk(2, dim=1))
        return product_of(own, self.below(self.above(own.mean).mean)).mean if self.ladder else own.mean

    def draw_code(self, x: Tensor, y: Tensor | None, noise: Any) -> tuple[Tensor, Tensor]:
        """z_1, and log q(z_1, z_2|x) − log p(z_1, z_2) for one z_2: `log_prior` is counted here and 0."""
        layers = self.layers(x, noise)
        lower = gaussian_log_prob(layers.z, *layers.q_1) - gaussian_log_prob(layers.z, *layers.p_1)
        upper = gaussian_log_prob(layers.z_2, *layers.q_2) - super().log_prior(layers.z_2)
        return layers.z, lower + upper

    def log_prior(self, z: Tensor) -> Tensor:
        return torch.zeros_like(z[:, 0])

    def draw_prior(self, n: int, generator: torch.Generator) -> Tensor:
        device = next(self.parameters()).device
        above, eps = (
            torch.randn(n, s, generator=generator).to(device) for s in (self.upper, self.net.size.latent_size)
        )
        return reparametrise(*self.below(above), eps)


class Layers(NamedTuple):
    """z_1 (B, D), z_2 (B, D_2), the Gaussians they are drawn from, and p(z_1|z_2)."""

    z: Tensor
    z_2: Tensor
    q_1: Posterior
    q_2: Posterior
    p_1: Posterior


def product_of(a: Posterior, b: Posterior) -> Posterior:
    """The normalised product of two diagonal Gaussians: precisions add up, means are weighted by them.

    The weight of `a` is a sigmoid of the difference of log-variances, so that no precision overflows.
    """
    weight = torch.sigmoid(b.log_var - a.log_var)
    return Posterior(weight * a.mean + (1 - weight) * b.mean, a.log_var + F.logsigmoid(b.log_var - a.log_var))


def gaussian_kl_between(q: Posterior, p: Posterior) -> Tensor:
    """KL(q ‖ p) of diagonal Gaussians (B, D), summed over D: (B,), nats."""
    scaled = (q.mean - p.mean) * (-0.5 * p.log_var).exp()
    return gaussian_kl(scaled, q.log_var - p.log_var)
