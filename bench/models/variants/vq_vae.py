"""VQ-VAE: the code is a tuple of vectors from a learned codebook.

    z = f(x), in D/d vectors of d numbers        e = the nearest of K codebook vectors to each
    loss = −log p(x|e) + ‖sg[z] − e‖² + β ‖z − sg[e]‖²      nats per image

The decoder is given e, with the gradient copied to z (straight-through); sg stops a gradient. The second term moves the
codebook, the third commits the encoder. A code is one of K^(D/d).

Reference: van den Oord, Vinyals & Kavukcuoglu, Neural Discrete Representation Learning, NeurIPS 2017,
https://arxiv.org/abs/1711.00937 (eq. 3)
Deviation: the positions are those of a vector code and not of a feature map; the codebook is learned by gradient.
"""

from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from bench.errors import UsageError
from bench.models.likelihoods import Likelihood
from bench.models.nets import Net
from bench.models.seeding import part

from .ae import AE


class VQVAE(AE):
    title = "Vector-quantised VAE"
    symbol = "VQ-VAE"
    option_symbols: ClassVar = {"codes": "K", "dim": "d", "beta": "β"}
    reference = (
        "van den Oord et al., Neural Discrete Representation Learning, NeurIPS 2017, https://arxiv.org/abs/1711.00937"
    )
    cite = "oord2017neural"
    discrete = True
    scalars = ("beta",)

    def __init__(self, net: Net, likelihood: Likelihood, *, codes: int = 64, dim: int = 2, beta: float = 0.25) -> None:
        super().__init__(net, likelihood)
        size = net.size.latent_size
        if codes < 1 or dim < 1 or size % dim:
            raise UsageError(f"vq_vae: a code of {size} numbers cannot be cut into vectors of {dim} (K = {codes})")
        self.codes, self.dim, self.beta = codes, dim, beta
        with part("codebook"):
            self.codebook = nn.Parameter(torch.empty(codes, dim).uniform_(-1, 1))

    def forward(self, x: Tensor, y: Tensor, noise: Any) -> dict[str, Tensor]:
        z = self.net.encode(x)  # (B, D)
        e = self.values(self.indices(z))  # (B, D)
        rec = self.likelihood.nll(self.decode(z + (e - z).detach()), x).mean()
        codebook = (z.detach() - e).square().sum(1).mean()
        commitment = (z - e.detach()).square().sum(1).mean()
        loss = rec + codebook + self.beta * commitment
        return {"loss": loss, "rec": rec, "codebook": codebook, "commitment": commitment}

    def encode(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        """The codebook vectors nearest to the encoder's, (B, D)."""
        return self.values(self.indices(self.net.encode(x)))

    def indices(self, z: Tensor) -> Tensor:
        """Index of the nearest codebook vector at each position, int64: (B, D) → (B, D/d)."""
        vectors = z.unflatten(1, (-1, self.dim)).unsqueeze(2)  # (B, D/d, 1, d)
        return (vectors - self.codebook).square().sum(-1).argmin(-1)

    def values(self, indices: Tensor) -> Tensor:
        """Codebook vectors, one behind the other: int64 (B, D/d) → (B, D)."""
        return self.codebook[indices].flatten(1)
