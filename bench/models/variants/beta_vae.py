"""β-VAE: a VAE whose KL term weighs β times; β > 1 asks for independent codes, β < 1 for sharp images.

    loss = −log p(x|z) + β KL(q(z|x) ‖ N(0, I))      nats per image

With β = 1 it is the VAE. Its ELBO is evaluated at β = 1, like everybody's.

Reference: Higgins et al., beta-VAE: Learning Basic Visual Concepts with a Constrained Variational Framework, ICLR 2017,
https://openreview.net/forum?id=Sy2fzU9gl (eq. 4)
"""

from typing import ClassVar

from torch import Tensor

from bench.models.likelihoods import Likelihood
from bench.models.nets import Net

from .vae import VAE


class BetaVAE(VAE):
    title = "β-VAE"
    symbol = "β-VAE"
    option_symbols: ClassVar = {"beta": "β"}
    reference = (
        "Higgins et al., beta-VAE: Learning Basic Visual Concepts with a Constrained Variational Framework, ICLR 2017, "
        "https://openreview.net/forum?id=Sy2fzU9gl"
    )
    cite = "higgins2017beta"
    scalars = ("beta",)

    def __init__(self, net: Net, likelihood: Likelihood, *, beta: float = 4.0) -> None:
        super().__init__(net, likelihood)
        self.beta = beta

    def forward(self, x: Tensor, y: Tensor, noise: Tensor) -> dict[str, Tensor]:
        terms = super().forward(x, y, noise)
        return terms | {"loss": terms["rec"] + self.beta * terms["kl"]}
