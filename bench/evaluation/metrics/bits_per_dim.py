"""Bits per dimension: the evidence lower bound as a code length of one number of an image.

    bits = mean_n [ −log p(x_n | z_n) + KL(q(z|x_n) ‖ p(z)) ] / (P log 2),   z_n ~ q(z|x_n), one draw

`level_nll`, `kl` (N,), nats per image, as of the ELBO; P = C·H·W numbers of an image, of `images` (N, C, H, W). At most
these many bits, on average, code a number without loss; 8 is what a uniform distribution over 256 levels needs.

Only under a likelihood that gives a probability to each of the 256 levels of a pixel (`discretised_logistic`). The
density of a continuous likelihood depends on the unit of pixels, and a probability of binary pixels is of other data.
"""

import math

from torch import Tensor

from . import metric


@metric(
    title="Bits per dimension",
    symbol="Bits per dim",
    unit="bits per pixel and channel",
    better="lower",
    counts="level_nll",
    key=("likelihood", "binarisation"),
    reference="Kingma et al., Improved Variational Inference with Inverse Autoregressive Flow, 2016, "
    "https://arxiv.org/abs/1606.04934",
    cite="kingma2016improved",
)
def bits_per_dim(level_nll: Tensor, kl: Tensor, images: Tensor) -> float:
    nats = (level_nll + kl).cpu().double().mean().item()
    return nats / (images[0].numel() * math.log(2))
