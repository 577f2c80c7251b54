"""Evidence lower bound on log p(x) of the test images, at weights of 1.

    elbo = mean_n [ log p(x_n | z_n) − KL(q(z|x_n) ‖ p(z)) ],   z_n ~ q(z|x_n), one draw

`nll` holds −log p(x|z), `kl` the divergence from the prior, both (N,), nats per image: summed over pixels,
averaged over images, with weights of 1 whatever the objective trained with (a β-VAE is scored at β = 1). The
divergence is analytic for a Gaussian posterior and N(0, I); elsewhere it is log q(z|x) − log p(z) of the same draw.

Two values compare only under the same likelihood and binarisation, which are recorded beside the value: a
density of grey pixels may be positive, a probability of binary ones may not; static against dynamic
binarisation alone is worth about 2 nats (Burda et al. 2016, appendix D). The Bernoulli cross-entropy of grey
pixels is no likelihood: the entry's `quantity` is then "cross-entropy bound".
"""

from torch import Tensor

from . import metric


@metric(
    title="Evidence lower bound",
    symbol="ELBO",
    unit="nats per image",
    better="higher",
    counts="nll",
    key=("likelihood", "binarisation"),
    beside=("quantity",),
    reference="Kingma & Welling, Auto-Encoding Variational Bayes, 2014, https://arxiv.org/abs/1312.6114",
    cite="kingma2014auto",
)
def elbo(nll: Tensor, kl: Tensor) -> float:
    return -(nll + kl).cpu().double().mean().item()
