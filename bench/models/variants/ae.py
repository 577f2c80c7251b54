"""Autoencoder: a deterministic code that keeps what the reconstruction needs.

    z = f(x)            loss = −log p(x|z), nats per image

With a Gaussian likelihood of fixed σ this is the mean squared error up to scale and constant; with a Bernoulli one the
cross-entropy. Nothing shapes the code, so it has no prior and no ELBO: sampled from N(0, I) the decoder meets codes it
never saw.

Reference: Hinton & Salakhutdinov, Reducing the Dimensionality of Data with Neural Networks, Science 313, 2006,
https://doi.org/10.1126/science.1127647
Deviation: trained from random initialisation, without layer-wise pre-training.
"""

from typing import Any

from torch import Tensor

from . import Variant


class AE(Variant):
    title = "Autoencoder"
    symbol = "AE"
    reference = (
        "Hinton & Salakhutdinov, Reducing the Dimensionality of Data with Neural Networks, Science 2006, "
        "https://doi.org/10.1126/science.1127647"
    )
    cite = "hinton2006reducing"

    def forward(self, x: Tensor, y: Tensor, noise: Any) -> dict[str, Tensor]:
        z = self.encode(x)  # (B, D)
        rec = self.likelihood.nll(self.decode(z), x).mean()
        return {"loss": rec, "rec": rec}

    def encode(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        return self.net.encode(x)
