"""Categorical VAE: each position of the code is one of K categories, trained through the Gumbel-softmax relaxation.

    q(z|x) = Π Cat(softmax(f(x)))            z̃ = softmax((log q + g)/τ),  g ~ Gumbel(0, 1)
    loss = −log p(x|z̃) + β Σ (log K − H(q))      nats per image

With K = 2 each number of the code is one position: the probability, or the draw, of the second category. With K > 2 a
code of D numbers has D/K positions, one-hot each. So 16 numbers carry at most 16 bits with K = 2, and 8 with K = 4.
The KL to the uniform prior is in closed form. Bounds are evaluated with exact draws; the code of an image, for
reconstructions and neighbours, is the vector of probabilities, which tells more than its symbols, the most probable
ones. β is 1 but for a warm-up of the KL, whose schedule ends at 1.

Reference: Jang, Gu & Poole, Categorical Reparameterization with Gumbel-Softmax, ICLR 2017,
https://arxiv.org/abs/1611.01144; Maddison, Mnih & Teh, The Concrete Distribution, ICLR 2017,
https://arxiv.org/abs/1611.00712
Deviation: the temperature is constant unless it is given a schedule, such as {from: 1, to: 0.5, curve: geometric}.
"""

import math
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from bench.errors import NotApplicable, UsageError
from bench.models.likelihoods import Likelihood
from bench.models.nets import Net

from . import Posterior, Variant

SMALLEST = 1e-20  #: keeps the logarithm of a uniform draw finite


class CategoricalVAE(Variant):
    title = "Categorical VAE, Gumbel-softmax"
    symbol = "Categorical VAE"
    option_symbols: ClassVar = {"categories": "K", "temperature": "τ", "beta": "β"}
    reference = (
        "Jang et al., Categorical Reparameterization with Gumbel-Softmax, ICLR 2017, https://arxiv.org/abs/1611.01144"
    )
    cite = "jang2017categorical"
    version = 2  # K = 2 has one position for each number of the code; version 1 had one for two numbers
    scalars = ("temperature", "beta")
    has_posterior = True
    closed_kl = False
    own_prior = True
    discrete = True

    def __init__(
        self, net: Net, likelihood: Likelihood, *, categories: int = 2, temperature: float = 0.67, beta: float = 1.0
    ) -> None:
        super().__init__(net, likelihood)
        size = net.size.latent_size
        width = 1 if categories == 2 else categories  # numbers of a position
        if categories < 2 or size % width:
            raise UsageError(f"categorical_vae: a code of {size} numbers has no positions of {categories} categories")
        self.positions = size // width
        self.categories = self.levels = categories
        self.temperature = temperature
        self.beta = beta

    def draw(self, x: Tensor, generator: torch.Generator) -> Tensor:
        return self.code_noise(x, generator)

    def code_noise(self, x: Tensor, generator: torch.Generator) -> Tensor:
        """Gumbel noise (B, N, K)."""
        uniform = torch.rand(len(x), self.positions, self.categories, generator=generator, device=x.device)
        return -(-(uniform.clamp_min(SMALLEST).log())).clamp_min(SMALLEST).log()

    def forward(self, x: Tensor, y: Tensor, noise: Tensor) -> dict[str, Tensor]:
        log_q = self.log_probabilities(x)  # (B, N, K)
        relaxed = ((log_q + noise) / self.temperature).softmax(2)
        rec = self.likelihood.nll(self.decode(self.code(relaxed)), x).mean()
        kl = (log_q.exp() * (log_q + math.log(self.categories))).sum((1, 2)).mean()
        return {"loss": rec + self.beta * kl, "rec": rec, "kl": kl}

    def log_probabilities(self, x: Tensor) -> Tensor:
        """log q of each category at each position, (B, N, K)."""
        out = self.net.encode(x)  # (B, D)
        if self.categories == 2:
            return torch.stack([F.logsigmoid(-out), F.logsigmoid(out)], 2)
        return out.unflatten(1, (-1, self.categories)).log_softmax(2)

    def code(self, weights: Tensor) -> Tensor:
        """Weights of the categories as a code: (B, N, K) → (B, D)."""
        return weights[:, :, 1] if self.categories == 2 else weights.flatten(1)

    def posterior(self, x: Tensor, y: Tensor | None = None) -> Posterior:
        raise NotApplicable("categorical_vae has a posterior over categories, which has no mean and variance")

    def encode(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        return self.code(self.log_probabilities(x).exp())

    def indices(self, z: Tensor) -> Tensor:
        """The most probable category at each position, int64 in [0, K): (B, D) → (B, N)."""
        if self.categories == 2:
            return (z > 0.5).long()
        return z.unflatten(1, (-1, self.categories)).argmax(2)

    def values(self, indices: Tensor) -> Tensor:
        """Codes of categories: int64 (B, N) → float32 (B, D), of zeros and ones."""
        return self.code(F.one_hot(indices, self.categories).float())

    def draw_code(self, x: Tensor, y: Tensor | None, noise: Any) -> tuple[Tensor, Tensor]:
        log_q = self.log_probabilities(x)
        chosen = (log_q + noise).argmax(2)  # an exact draw: the Gumbel-max trick
        one_hot = F.one_hot(chosen, self.categories).to(log_q.dtype)  # (B, N, K)
        return self.code(one_hot), (one_hot * log_q).sum((1, 2))

    def log_prior(self, z: Tensor) -> Tensor:
        return torch.full_like(z[:, 0], -self.positions * math.log(self.categories))

    def draw_prior(self, n: int, generator: torch.Generator) -> Tensor:
        return self.values(torch.randint(0, self.categories, (n, self.positions), generator=generator))
