"""Hierarchical VAE of two stochastic layers.

    q(z_1, z_2|x) = q(z_1|x) q(z_2|z_1)            p(x, z_1, z_2) = p(x|z_1) p(z_1|z_2) p(z_2)
    loss = −log p(x|z_1) + β (log q(z_1|x) − log p(z_1|z_2) + KL(q(z_2|z_1) ‖ N(0, I)))      nats per image

z_1 is the code; its prior is the marginal of p(z_1|z_2) p(z_2). With z_2 ignored by both sides and p(z_1|z_2) = N(0,
I) it is the VAE with a Monte Carlo KL. β is 1 but for a warm-up of the KL, whose schedule ends at 1.

Reference: Burda et al., Importance Weighted Autoencoders, ICLR 2016, https://arxiv.org/abs/1509.00519 (two-layer
models)
Deviation: the layers above the net are perceptrons of one hidden layer; z_2 has half as many numbers as z_1.
"""

from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from bench.models.likelihoods import Likelihood, gaussian_kl, gaussian_log_prob, reparametrise
from bench.models.nets import Net
from bench.models.seeding import part

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

    def __init__(self, net: Net, likelihood: Likelihood, *, hidden: int = 128, beta: float = 1.0) -> None:
        super().__init__(net, likelihood)
        self.beta = beta
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
        q = self.posterior(x)
        z = reparametrise(q.mean, q.log_var, noise[0])  # (B, D)
        rec = self.likelihood.nll(self.decode(z), x).mean()
        lower, upper = self.kl_parts(z, gaussian_log_prob(z, q.mean, q.log_var), noise[1])
        lower, upper = lower.mean(), upper.mean()
        return {"loss": rec + self.beta * lower + self.beta * upper, "rec": rec, "kl": lower + upper, "kl_2": upper}

    def kl_parts(self, z: Tensor, log_q: Tensor, eps: Tensor) -> tuple[Tensor, Tensor]:
        """log q(z_1|x) − log p(z_1|z_2) for one z_2, and KL(q(z_2|z_1) ‖ N(0, I)); (B,) each."""
        mean, log_var = self.up(z).float().chunk(2, dim=1)
        above = reparametrise(mean, log_var, eps)  # (B, D_2)
        prior_mean, prior_log_var = self.down(above).float().chunk(2, dim=1)
        return log_q - gaussian_log_prob(z, prior_mean, prior_log_var), gaussian_kl(mean, log_var)

    def draw_code(self, x: Tensor, y: Tensor | None, noise: Any) -> tuple[Tensor, Tensor]:
        """z_1, and log q(z_1, z_2|x) − log p(z_1, z_2) for one z_2: `log_prior` is counted here and 0."""
        q = self.posterior(x)
        z = reparametrise(q.mean, q.log_var, noise[0])
        mean, log_var = self.up(z).float().chunk(2, dim=1)
        above = reparametrise(mean, log_var, noise[1])
        lower, _ = self.kl_parts(z, gaussian_log_prob(z, q.mean, q.log_var), noise[1])
        upper = gaussian_log_prob(above, mean, log_var) - super().log_prior(above)
        return z, lower + upper

    def log_prior(self, z: Tensor) -> Tensor:
        return torch.zeros_like(z[:, 0])

    def draw_prior(self, n: int, generator: torch.Generator) -> Tensor:
        device = next(self.parameters()).device
        above, eps = (
            torch.randn(n, s, generator=generator).to(device) for s in (self.upper, self.net.size.latent_size)
        )
        mean, log_var = self.down(above).float().chunk(2, dim=1)
        return reparametrise(mean, log_var, eps)
