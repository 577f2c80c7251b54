"""Hamiltonian VAE: a draw of the posterior is moved by leapfrog steps towards where the image is likely.

    z_0 ~ N(μ(x), σ²(x) I),  γ ~ N(0, I),  ρ_0 = γ / √β_0               U(z) = −log p(x|z) − log p(z)
    k = 1 … K:   ρ' = ρ − (ε/2) ∇U(z),  z = z + ε ρ',  ρ'' = ρ' − (ε/2) ∇U(z),  ρ = √(β_{k−1}/β_k) ρ''
    1/√β_k = (1 − 1/√β_0) k²/K² + 1/√β_0,   so that β_K = 1
    loss = −log p(x|z_K) + β (log q(z_0|x) − log p(z_K) + log N(γ; 0, I) − log N(ρ_K; 0, I))      nats per image

Leapfrog steps keep volume, and the tempering's log-determinant (D/2) log β_0 cancels that of ρ_0 = γ/√β_0. The step
sizes ε, one for each dimension, and β_0 are learned. With ε = 0 it is the VAE with a Monte Carlo KL. The code of an
image is μ; draws of a code are z_K. β is 1 but for a warm-up of the KL, whose schedule ends at 1.

Reference: Caterini, Doucet & Sejdinovic, Hamiltonian Variational Auto-Encoder, NeurIPS 2018,
https://arxiv.org/abs/1805.11328 (algorithm 1)
"""

import math
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.func import vjp

from bench.errors import NotApplicable, UsageError
from bench.models.likelihoods import Likelihood, gaussian_log_prob, reparametrise
from bench.models.nets import Net

from . import Posterior
from .vae import VAE

LARGEST_STEP = 0.5  #: of ε, which is a sigmoid of what is learned


class HamiltonianVAE(VAE):
    title = "Hamiltonian VAE"
    symbol = "HVAE"
    option_symbols: ClassVar = {"steps": "K", "step_size": "ε", "tempering": "β₀", "beta": "β"}
    reference = "Caterini et al., Hamiltonian Variational Auto-Encoder, NeurIPS 2018, https://arxiv.org/abs/1805.11328"
    cite = "caterini2018hamiltonian"
    version = 2  # no mean and variance of q(z|x), hence no active units; version 1 had those before the leapfrog steps
    closed_kl = False
    scalars = ("beta",)

    def __init__(
        self,
        net: Net,
        likelihood: Likelihood,
        *,
        steps: int = 3,
        step_size: float = 0.05,
        tempering: float = 0.5,
        beta: float = 1.0,
    ) -> None:
        """step_size, tempering: where ε and β_0 start. Raises `UsageError` where they are out of their range."""
        super().__init__(net, likelihood)
        if steps < 1 or not 0 < step_size < LARGEST_STEP or not 0 < tempering < 1:
            allowed = f"steps >= 1, step_size between 0 and {LARGEST_STEP}, tempering between 0 and 1"
            raise UsageError(f"hamiltonian_vae: {allowed}; got {steps}, {step_size}, {tempering}")
        self.steps = steps
        self.beta = beta
        size = net.size.latent_size
        self.raw_step = nn.Parameter(torch.full((size,), _logit(step_size / LARGEST_STEP)))
        self.raw_tempering = nn.Parameter(torch.tensor(_logit(tempering)))

    def draw(self, x: Tensor, generator: torch.Generator) -> Any:
        return self.code_noise(x, generator)

    def code_noise(self, x: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        shape = len(x), self.net.size.latent_size
        eps, momentum = (torch.randn(shape, generator=generator, device=x.device) for _ in range(2))
        return eps, momentum  # (B, D) each

    def forward(self, x: Tensor, y: Tensor, noise: Any) -> dict[str, Tensor]:
        z, log_q = self.draw_code(x, y, noise)  # (B, D), (B,)
        rec = self.likelihood.nll(self.decode(z), x).mean()
        kl = (log_q - self.log_prior(z)).mean()
        return {"loss": rec + self.beta * kl, "rec": rec, "kl": kl}

    def start(self, x: Tensor) -> Posterior:
        """q(z_0|x), before the leapfrog steps."""
        return super().posterior(x)

    def posterior(self, x: Tensor, y: Tensor | None = None) -> Posterior:
        raise NotApplicable("q(z|x) is a Gaussian after leapfrog steps, which has no mean and variance in closed form")

    def encode(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        return self.start(x).mean

    def draw_code(self, x: Tensor, y: Tensor | None, noise: Any) -> tuple[Tensor, Tensor]:
        """z_K, and log q(z_0|x) + log N(γ; 0, I) − log N(ρ_K; 0, I): the momentum is counted here."""
        eps, momentum = noise
        q = self.start(x)
        start = reparametrise(q.mean, q.log_var, eps)
        z, rho = self.flow(x, start, momentum * self.inverse_root(0))
        zero = torch.zeros_like(z)
        spare = gaussian_log_prob(momentum, zero, zero) - gaussian_log_prob(rho, zero, zero)
        return z, gaussian_log_prob(start, q.mean, q.log_var) + spare

    def flow(self, x: Tensor, z: Tensor, rho: Tensor) -> tuple[Tensor, Tensor]:
        """All leapfrog and tempering steps: positions and momenta (B, D) → (B, D)."""
        step = LARGEST_STEP * self.raw_step.sigmoid()
        for k in range(1, self.steps + 1):
            rho = rho - step / 2 * self.gradient(x, z)
            z = z + step * rho
            rho = rho - step / 2 * self.gradient(x, z)
            rho = rho * self.inverse_root(k) / self.inverse_root(k - 1)
        return z, rho

    def gradient(self, x: Tensor, z: Tensor) -> Tensor:
        """∇U at z, (B, D), itself differentiable."""
        nll, pull, *_ = vjp(lambda codes: self.likelihood.nll(self.decode(codes), x), z)
        return pull(torch.ones_like(nll))[0] + z

    def inverse_root(self, k: int) -> Tensor:
        """1/√β_k, a scalar; 1 at k = K."""
        first = self.raw_tempering.sigmoid().rsqrt()
        return (1 - first) * (k / self.steps) ** 2 + first


def _logit(p: float) -> float:
    return math.log(p / (1 - p))
