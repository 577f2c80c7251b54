"""Regularised autoencoder (RAE-L2): small codes and a decoder with weight decay in place of a stochastic encoder.

    z = f(x)            loss = −log p(x|z) + β ‖z‖²/2 + λ ‖θ_dec‖²      nats per image

A density is fitted to the codes after training (the samplers `gaussian` and `gmm`). With β = λ = 0 it is the
autoencoder. Not the Representation Autoencoder of 2025, which is also called RAE.

Reference: Ghosh et al., From Variational to Deterministic Autoencoders, ICLR 2020, https://arxiv.org/abs/1903.12436
(eq. 6)
Deviation (ours): β = 0.006 and λ = 5e-5 are those of the authors' code for MNIST of 32 × 32 pixels and 16 numbers, on
the scale of ½‖x − x̂‖²: 512 times 1e-4 ‖z‖²/16 and 1e-7 ‖θ‖² beside a mean over 1,024 pixels, 0.0064 and 5.12e-5. They
stay as they are for each likelihood, on the scale of nats per image. The authors' θ are the kernels of the transposed
convolutions alone, here all of the decoder's weights and biases.
"""

from typing import Any, ClassVar

import torch
from torch import Tensor

from bench.models.likelihoods import Likelihood
from bench.models.nets import Net

from .ae import AE


class RAEL2(AE):
    title = "Regularised autoencoder, weight decay"
    symbol = "RAE-L2"
    option_symbols: ClassVar = {"beta": "β", "weight": "λ"}
    reference = (
        "Ghosh et al., From Variational to Deterministic Autoencoders, ICLR 2020, https://arxiv.org/abs/1903.12436"
    )
    cite = "ghosh2020from"
    version = 2  # the authors' weights; β = 1 of version 1 makes the codes those of a standard normal prior
    scalars = ("beta", "weight")

    def __init__(self, net: Net, likelihood: Likelihood, *, beta: float = 0.006, weight: float = 5e-5) -> None:
        super().__init__(net, likelihood)
        self.beta = beta
        self.weight = weight

    def forward(self, x: Tensor, y: Tensor, noise: Any) -> dict[str, Tensor]:
        z = self.encode(x)  # (B, D)
        rec = self.likelihood.nll(self.decode(z), x).mean()
        codes = 0.5 * z.square().sum(1).mean()
        decay = torch.stack([p.square().sum() for p in self.net.decoder.parameters()]).sum()
        return {"loss": rec + self.beta * codes + self.weight * decay, "rec": rec, "codes": codes, "decay": decay}
