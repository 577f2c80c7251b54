"""Conditional autoencoder: the label is given, so that the code need not carry it.

    z = f(x, y)  or  f(x)            loss = −log p(x | z, y), nats per image

`labels`: "both" gives the label to encoder and decoder, "decoder" to the decoder alone. With a single class the label
is a constant and nothing is gained over the autoencoder.

Reference: the deterministic form of Sohn et al., Learning Structured Output Representation using Deep Conditional
Generative Models, NeurIPS 2015, https://papers.nips.cc/paper/5775
"""

from typing import Any, Literal

from torch import Tensor

from bench.models.likelihoods import Likelihood
from bench.models.nets import Net

from . import LabelsGiven, Variant


class ConditionalAE(LabelsGiven, Variant):
    title = "Conditional autoencoder"
    symbol = "Conditional AE"
    reference = (
        "Sohn et al., Learning Structured Output Representation using Deep Conditional Generative Models, "
        "NeurIPS 2015, https://papers.nips.cc/paper/5775"
    )
    cite = "sohn2015learning"
    conditional = True
    needs_labels = True

    def __init__(self, net: Net, likelihood: Likelihood, *, labels: Literal["both", "decoder"] = "both") -> None:
        super().__init__(net, likelihood)
        self.labels = labels

    def forward(self, x: Tensor, y: Tensor, noise: Any) -> dict[str, Tensor]:
        z = self.encode(x, y)  # (B, D)
        rec = self.likelihood.nll(self.decode(z, y), x).mean()
        return {"loss": rec, "rec": rec}

    def encode(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        return self.net.encode(x, self.to_encoder(y))

    def decode(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        return self.net.decode(z, self.to_decoder(y))
