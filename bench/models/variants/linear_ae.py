"""Linear autoencoder: two matrices without bias or activation, P → D → P.

    x̂ = W₂ W₁ x            loss = ½ ‖x − x̂‖²

With D = P the trivial solution is W₂ W₁ = I; pixels that never vary get no gradient, so that on MNIST's black border
the product stays what it was at the start. With D < P the minimum is the span of the first D principal components
(without centring), reached up to an invertible D × D matrix.

The decoder's output is the image itself, whatever likelihood the suite names.

Reference: Baldi & Hornik, Neural Networks and Principal Component Analysis: Learning from Examples Without Local
Minima, Neural Networks 2, 1989, https://doi.org/10.1016/0893-6080(89)90014-2
"""

from typing import Any

import torch
from torch import Tensor, nn

from bench.models.likelihoods import Likelihood, per_image
from bench.models.nets import Net

from . import Variant


class LinearAE(Variant):
    title = "Linear autoencoder"
    symbol = "Linear AE"
    reference = (
        "Baldi & Hornik, Neural Networks and Principal Component Analysis: Learning from Examples Without Local "
        "Minima, Neural Networks 1989, https://doi.org/10.1016/0893-6080(89)90014-2"
    )
    cite = "baldi1989neural"
    uses_net = False
    default_likelihood = "gaussian"

    def __init__(self, net: Net, likelihood: Likelihood) -> None:
        super().__init__(net, likelihood)
        pixels, latent_size = net.size.pixels, net.size.latent_size
        self.w1 = nn.Linear(pixels, latent_size, bias=False)
        self.w2 = nn.Linear(latent_size, pixels, bias=False)

    def forward(self, x: Tensor, y: Tensor, noise: Any) -> dict[str, Tensor]:
        rec = 0.5 * per_image((self.generate(self.encode(x)) - x).square()).mean()
        return {"loss": rec, "rec": rec}

    def encode(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        return self.w1(x.flatten(1)).float()

    def generate(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        return self.w2(z).float().unflatten(1, self.net.size.shape)

    def linear_map(self) -> Tensor:
        """W₂ W₁, (P, P): what the whole model does to an image."""
        with torch.no_grad():
            return self.w2.weight @ self.w1.weight
