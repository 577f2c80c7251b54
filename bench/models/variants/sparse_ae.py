"""Sparse autoencoder: an L1 penalty drives codes to zero.

    z = f(x)            loss = −log p(x|z) + λ Σ_d |z_d|      nats per image

The penalty fixes the scale of the codes as well: a decoder can undo any shrinking, so what is sparse is a question of a
threshold, and the scale-free sparsity is to be read beside the raw one.

Reference: Ng, Sparse Autoencoder, CS294A lecture notes, 2011,
https://web.stanford.edu/class/cs294a/sparseAutoencoder.pdf
Deviation: L1 on a linear code in place of a KL divergence on mean sigmoid activations.
"""

from typing import Any, ClassVar

from torch import Tensor

from bench.models.likelihoods import Likelihood
from bench.models.nets import Net

from .ae import AE


class SparseAE(AE):
    title = "Sparse autoencoder"
    symbol = "Sparse AE"
    option_symbols: ClassVar = {"weight": "λ"}
    reference = "Ng, Sparse Autoencoder, 2011, https://web.stanford.edu/class/cs294a/sparseAutoencoder.pdf"
    cite = "ng2011sparse"
    scalars = ("weight",)

    def __init__(self, net: Net, likelihood: Likelihood, *, weight: float = 1.0) -> None:
        super().__init__(net, likelihood)
        self.weight = weight

    def forward(self, x: Tensor, y: Tensor, noise: Any) -> dict[str, Tensor]:
        z = self.encode(x)  # (B, D)
        rec = self.likelihood.nll(self.decode(z), x).mean()
        l1 = z.abs().sum(1).mean()
        return {"loss": rec + self.weight * l1, "rec": rec, "l1": l1}
