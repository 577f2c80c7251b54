"""Conditional autoencoder: the label is given, so that the code need not carry it.

    z = f(x, y)  or  f(x)            loss = −log p(x | z, y), nats per image

`labels`: "both" gives the label to encoder and decoder, "decoder" to the decoder alone. With a single class the label
is a constant and nothing is gained over the autoencoder.

Reference: the deterministic form of Sohn et al., Learning Structured Output Representation using Deep Conditional
Generative Models, NeurIPS 2015, https://papers.nips.cc/paper/5775
"""

from typing import Any, Literal

from torch import Tensor

from bench.likelihoods import Likelihood
from bench.nets import Net
from bench.variants import Variant, one_hot


class ConditionalAE(Variant):
    reference = "Sohn et al., Conditional Generative Models, NeurIPS 2015, https://papers.nips.cc/paper/5775"
    conditional = True
    needs_labels = True

    def __init__(
        self, net: Net, likelihood: Likelihood, *, labels: Literal["both", "decoder"] = "both"
    ) -> None:
        super().__init__(net, likelihood)
        self.labels = labels

    @classmethod
    def given(cls, classes: int, **options: Any) -> tuple[int, int]:
        return (classes if options.get("labels", "both") == "both" else 0), classes

    def forward(self, x: Tensor, y: Tensor, noise: Any) -> dict[str, Tensor]:
        z = self.encode(x, y)  # (B, D)
        rec = self.likelihood.nll(self.decode(z, y), x).mean()
        return {"loss": rec, "rec": rec}

    def encode(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        return self.net.encode(x, self._given(y) if self.labels == "both" else None)

    def decode(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        return self.net.decode(z, self._given(y))

    def _given(self, y: Tensor | None) -> Tensor:
        assert y is not None, "a conditional model needs labels"
        return one_hot(y, self.net.size.classes)
