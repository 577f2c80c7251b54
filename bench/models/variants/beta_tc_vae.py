"""β-TCVAE: the KL of a VAE in three parts, of which the total correlation weighs β times.

    KL(q(z|x) ‖ p(z)) = I(z; x) + KL(q(z) ‖ Π_d q(z_d)) + Σ_d KL(q(z_d) ‖ p(z_d))      averaged over x
    loss = −log p(x|z) + α I + β TC + γ Σ_d KL_d      nats per image

q(z) and q(z_d) are estimated from the posteriors of the batch. With α = β = γ the estimates add up to the Monte Carlo
KL exactly; with 1, 1, 1 the objective is that of the VAE in expectation.

Reference: Chen et al., Isolating Sources of Disentanglement in Variational Autoencoders, NeurIPS 2018,
https://arxiv.org/abs/1802.04942 (eq. 2 and 4)
Deviation: minibatch-weighted sampling without the constants of the train set's size. They shift the three reported
terms by constants that cancel in their sum, and change no gradient.
"""

import math
from typing import ClassVar

import torch
from torch import Tensor

from bench.models.likelihoods import LOG_2PI, Likelihood, gaussian_log_prob, reparametrise
from bench.models.nets import Net

from .vae import VAE


class BetaTCVAE(VAE):
    title = "β-TCVAE"
    symbol = "β-TCVAE"
    option_symbols: ClassVar = {"alpha": "α", "beta": "β", "gamma": "γ"}
    reference = (
        "Chen et al., Isolating Sources of Disentanglement in Variational Autoencoders, NeurIPS 2018, "
        "https://arxiv.org/abs/1802.04942"
    )
    cite = "chen2018isolating"
    scalars = ("alpha", "beta", "gamma")

    def __init__(
        self, net: Net, likelihood: Likelihood, *, alpha: float = 1.0, beta: float = 6.0, gamma: float = 1.0
    ) -> None:
        super().__init__(net, likelihood)
        self.alpha = alpha
        self.beta = beta
        self.gamma = gamma

    def forward(self, x: Tensor, y: Tensor, noise: Tensor) -> dict[str, Tensor]:
        q = self.posterior(x)
        z = reparametrise(q.mean, q.log_var, noise)  # (B, D)
        rec = self.likelihood.nll(self.decode(z), x).mean()
        mi, tc, dim_kl = kl_parts(z, q.mean, q.log_var)
        loss = rec + self.alpha * mi + self.beta * tc + self.gamma * dim_kl
        return {"loss": loss, "rec": rec, "kl": mi + tc + dim_kl, "mi": mi, "tc": tc, "dim_kl": dim_kl}


def kl_parts(z: Tensor, mean: Tensor, log_var: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Index-code mutual information, total correlation and dimension-wise KL of a batch, three scalars in nats.

    z (B, D) was drawn from N(mean, exp(log_var)), (B, D) each. log q(z_i) = log (1/B) Σ_j q(z_i|x_j), and likewise for
    each dimension.
    """
    own = gaussian_log_prob(z, mean, log_var)  # log q(z_i|x_i), (B,)
    prior = gaussian_log_prob(z, torch.zeros_like(z), torch.zeros_like(z))
    deviation = (z.unsqueeze(1) - mean.unsqueeze(0)).square() * (-log_var).exp()  # (B, B, D): z_i under x_j
    each = -0.5 * (LOG_2PI + log_var + deviation)
    log_b = math.log(len(z))
    joint = each.sum(2).logsumexp(1) - log_b  # log q(z_i)
    product = (each.logsumexp(1) - log_b).sum(1)  # log Π_d q(z_id)
    return (own - joint).mean(), (joint - product).mean(), (product - prior).mean()
