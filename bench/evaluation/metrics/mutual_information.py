"""Mutual information between test images and their codes under the posterior.

    I = mean_i [ log q(z_i|x_i) − log (1/n) Σ_j q(z_i|x_j) ],   z_i ~ q(z|x_i)

Over n test images, a fixed random subset of at most 2,000, whose average posterior stands for q(z). `drawn_mean`,
`drawn_log_var` (n, D) are the diagonal Gaussians q(z|x_i), `posterior_draws` (n, D) the z_i. Nats.

0 where the posterior has collapsed to the prior for every image. Never above log n, which is recorded as `at_most`: a
value close to it is a lower bound of the information, and the order of two such values says nothing. The analytic KL of
the ELBO is I + KL(q(z) ‖ p(z)), so that a large KL with a small I is a mismatch of the prior and not information.
"""

import math

import torch
from torch import Tensor

from bench.evaluation.neighbors import as_float64, need

from . import Estimate, metric

CHUNK = 2**22  #: elements of one block


@metric(
    title="Mutual information of image and code",
    symbol="I(x; z)",
    unit="nats",
    better="none",
    counts="posterior_draws",
    reference="Hoffman & Johnson, ELBO surgery: yet another way to carve up the variational evidence lower bound, "
    "2016, https://approximateinference.org/accepted/HoffmanJohnson2016.pdf",
    cite="hoffman2016elbo",
)
def mutual_information(drawn_mean: Tensor, drawn_log_var: Tensor, posterior_draws: Tensor) -> Estimate:
    need(2, posterior_draws, "test images")
    mean, log_var, z = (as_float64(part) for part in (drawn_mean, drawn_log_var, posterior_draws))
    n, size = mean.shape
    aggregate = []
    for part in z.split(max(1, CHUNK // (n * size))):
        aggregate.append(_log_density(part[:, None], mean, log_var).logsumexp(1) - math.log(n))  # (B, n) → (B,)
    value = (_log_density(z, mean, log_var) - torch.cat(aggregate)).mean().item()
    return Estimate(value, at_most=math.log(n))


def _log_density(z: Tensor, mean: Tensor, log_var: Tensor) -> Tensor:
    """log N(z; mean, exp(log_var)), summed over the last axis."""
    squares = (z - mean).square() * (-log_var).exp()
    return -0.5 * (squares + log_var + math.log(2 * math.pi)).sum(-1)
