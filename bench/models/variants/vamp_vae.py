"""VampPrior VAE: the prior is a mixture of the posteriors of learned pseudo-inputs.

    p(z)  = (1/K) Σ_k q(z|u_k)            u_k learned images in [0, 1]
    loss  = −log p(x|z) + β (log q(z|x) − log p(z)),  z ~ q(z|x)      nats per image

β is 1 but for a warm-up of the KL, whose schedule ends at 1.

Reference: Tomczak & Welling, VAE with a VampPrior, AISTATS 2018, https://arxiv.org/abs/1705.07120 (eq. 9)
Deviation: pixels of pseudo-inputs are sigmoids of free parameters and 100 by default (the paper: 500, clipped).
"""

import math
from typing import ClassVar

import torch
from torch import Tensor, nn

from bench.models.likelihoods import Likelihood, gaussian_log_prob, reparametrise
from bench.models.nets import Net
from bench.models.seeding import part

from ._monte_carlo import MonteCarloVAE


class VampVAE(MonteCarloVAE):
    title = "VAE with a VampPrior"
    symbol = "VampPrior VAE"
    option_symbols: ClassVar = {"components": "K", "beta": "β"}
    reference = "Tomczak & Welling, VAE with a VampPrior, AISTATS 2018, https://arxiv.org/abs/1705.07120"
    cite = "tomczak2018vae"
    own_prior = True

    def __init__(self, net: Net, likelihood: Likelihood, *, components: int = 100, beta: float = 1.0) -> None:
        super().__init__(net, likelihood)
        self.beta = beta
        with part("pseudo_inputs"):
            self.pseudo_inputs = nn.Parameter(torch.randn(components, *net.size.shape))

    def log_prior(self, z: Tensor) -> Tensor:
        q = self.posterior(self.pseudo_inputs.sigmoid())  # (K, D) each
        each = gaussian_log_prob(z.unsqueeze(1), q.mean, q.log_var)  # (B, K)
        return each.logsumexp(1) - math.log(len(self.pseudo_inputs))

    def draw_prior(self, n: int, generator: torch.Generator) -> Tensor:
        q = self.posterior(self.pseudo_inputs.sigmoid())
        chosen = torch.randint(0, len(self.pseudo_inputs), (n,), generator=generator).to(q.mean.device)
        eps = torch.randn(n, q.mean.shape[1], generator=generator).to(q.mean.device)
        return reparametrise(q.mean[chosen], q.log_var[chosen], eps)
