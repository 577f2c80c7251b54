"""Gaussian-mixture VAE: the prior is a learned mixture of diagonal Gaussians.

    p(z)  = Σ_k π_k N(z; m_k, s_k² I)
    loss  = −log p(x|z) + β (log q(z|x) − log p(z)),  z ~ q(z|x)      nats per image

The component is summed out exactly. With one component fixed at N(0, I) it is the VAE with a Monte Carlo KL. β is 1 but
for a warm-up of the KL, whose schedule ends at 1.

Reference: Jiang et al., Variational Deep Embedding, IJCAI 2017, https://arxiv.org/abs/1611.05148 (eq. 5)
Deviation: no pre-training as an autoencoder and no k-means; means start at random, weights equal and variances at 1.
"""

from typing import ClassVar

import torch
from torch import Tensor, nn

from bench.models.likelihoods import Likelihood, gaussian_log_prob, reparametrise
from bench.models.nets import Net
from bench.models.seeding import part

from ._monte_carlo import MonteCarloVAE


class GMVAE(MonteCarloVAE):
    title = "Gaussian-mixture VAE"
    symbol = "GM-VAE"
    option_symbols: ClassVar = {"components": "K", "beta": "β"}
    reference = (
        "Jiang et al., Variational Deep Embedding: An Unsupervised and Generative Approach to Clustering, IJCAI 2017, "
        "https://arxiv.org/abs/1611.05148"
    )
    cite = "jiang2017variational"
    own_prior = True

    def __init__(self, net: Net, likelihood: Likelihood, *, components: int = 10, beta: float = 1.0) -> None:
        super().__init__(net, likelihood)
        self.beta = beta
        size = net.size.latent_size
        with part("mixture"):
            self.means = nn.Parameter(torch.randn(components, size))
        self.log_vars = nn.Parameter(torch.zeros(components, size))
        self.logits = nn.Parameter(torch.zeros(components))

    def log_prior(self, z: Tensor) -> Tensor:
        each = gaussian_log_prob(z.unsqueeze(1), self.means, self.log_vars)  # (B, K)
        return (each + self.logits.log_softmax(0)).logsumexp(1)

    def draw_prior(self, n: int, generator: torch.Generator) -> Tensor:
        weights = self.logits.detach().softmax(0).cpu()
        chosen = torch.multinomial(weights, n, replacement=True, generator=generator).to(self.means.device)
        eps = torch.randn(n, self.means.shape[1], generator=generator).to(self.means.device)
        return reparametrise(self.means[chosen], self.log_vars[chosen], eps)
