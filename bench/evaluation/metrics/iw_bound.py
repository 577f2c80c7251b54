"""Importance-weighted lower bound on log p(x) of test images, k draws each.

    iw_bound = mean_n [ log (1/k) Σ_j w_nj ],   w_nj = p(x_n|z_nj) p(z_nj) / q(z_nj|x_n),   z_nj ~ q(z|x_n)

`log_weights` (n, k) holds log w. Nats per image. At k = 1 its expectation is the ELBO; it grows with k and
tends to log p(x) (theorem 1 of the paper).

A value without its k means nothing: k is recorded beside it, and must be the same in every row of a table. A
model trained with many draws can look worse than a VAE at k = 1 and better at k = 5000.
"""

import math

from torch import Tensor

from . import metric


@metric(
    title="Importance-weighted bound",
    symbol="IW bound",
    unit="nats per image",
    better="higher",
    counts="log_weights",
    key=("likelihood", "binarisation", "iw_k"),
    reference="Burda, Grosse & Salakhutdinov, Importance Weighted Autoencoders, 2016, https://arxiv.org/abs/1509.00519",
    cite="burda2016importance",
)
def iw_bound(log_weights: Tensor) -> float:
    log_weights = log_weights.cpu().double()
    return (log_weights.logsumexp(1) - math.log(log_weights.shape[1])).mean().item()
