"""Contractive autoencoder: the code shall not move when the image does, unless the reconstruction needs it to.

    z = f(x)            loss = −log p(x|z) + λ ‖∂f(x)/∂x‖²_F      nats per image

The Jacobian is exact up to `exact_up_to` latent dimensions: its D rows are D vector-Jacobian products with the unit
vectors. Above that, one product with random signs v ∈ {−1, 1}^D is an unbiased estimate, since E‖vᵀJ‖² = ‖J‖²_F
(Hutchinson 1990).

Reference: Rifai et al., Contractive Auto-Encoders: Explicit Invariance During Feature Extraction, ICML 2011,
https://icml.cc/2011/papers/455_icmlpaper.pdf (eq. 2)
Deviation: any net and any activation; the paper's closed form is for one sigmoid layer with tied weights.
"""

from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.func import vjp, vmap

from bench.models.likelihoods import Likelihood
from bench.models.nets import Net

from .ae import AE


class ContractiveAE(AE):
    title = "Contractive autoencoder"
    symbol = "Contractive AE"
    option_symbols: ClassVar = {"weight": "λ"}
    reference = (
        "Rifai et al., Contractive Auto-Encoders: Explicit Invariance During Feature Extraction, ICML 2011, "
        "https://icml.cc/2011/papers/455_icmlpaper.pdf"
    )
    cite = "rifai2011contractive"
    scalars = ("weight",)

    def __init__(self, net: Net, likelihood: Likelihood, *, weight: float = 0.1, exact_up_to: int = 2) -> None:
        super().__init__(net, likelihood)
        self.weight = weight
        self.exact_up_to = exact_up_to

    def draw(self, x: Tensor, generator: torch.Generator) -> Any:
        size = self.net.size.latent_size
        if size <= self.exact_up_to:
            return ()
        signs = torch.randint(0, 2, (len(x), size), generator=generator, device=x.device)
        return 2.0 * signs - 1  # (B, D)

    def forward(self, x: Tensor, y: Tensor, noise: Any) -> dict[str, Tensor]:
        z, pull, *_ = vjp(self.encode, x)
        directions = noise.unsqueeze(0) if isinstance(noise, Tensor) else _units(z)  # (K, B, D)
        jacobian = vmap(pull)(directions)[0].flatten(2).square().sum((0, 2)).mean()
        rec = self.likelihood.nll(self.decode(z), x).mean()
        return {"loss": rec + self.weight * jacobian, "rec": rec, "jacobian": jacobian}


def _units(z: Tensor) -> Tensor:
    """The D unit vectors for each of B images, (D, B, D)."""
    size = z.shape[1]
    return torch.eye(size, device=z.device, dtype=z.dtype).unsqueeze(1).expand(size, len(z), size)
