"""Importance-weighted lower bound on log p(x) of test images, k draws each.

    iw_bound = mean_n [ log (1/k) Σ_j w_nj ],   w_nj = p(x_n|z_nj) p(z_nj) / q(z_nj|x_n),   z_nj ~ q(z|x_n)

`log_weights` (n, k) holds log w of n test images, a fixed random subset of `iw_images` of them. Nats per image.
At k = 1 its expectation is the ELBO; it grows with k and tends to log p(x) (theorem 1 of the paper).

k is recorded beside the value and must be the same in every row of a table: a model trained with many draws can
be worse than a VAE at k = 1 and better at k = 5000. The metric `elbo` is of all test images; the ELBO of the
same images and draws, `elbo_same_images`, is recorded beside the value and never above it (Jensen's inequality).
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
    version=2,
    beside=("elbo_same_images", "quantity"),
    reference="Burda, Grosse & Salakhutdinov, Importance Weighted Autoencoders, 2016, https://arxiv.org/abs/1509.00519",
    cite="burda2016importance",
)
def iw_bound(log_weights: Tensor) -> float:
    log_weights = log_weights.cpu().double()
    return (log_weights.logsumexp(1) - math.log(log_weights.shape[1])).mean().item()
