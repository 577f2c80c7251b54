"""Conditional VAE: a VAE of images given their label.

    q(z|x, y)  or  q(z|x)            z = μ + σ ε
    loss = −log p(x|z, y) + KL(q ‖ N(0, I))  = a bound on −log p(x|y), nats per image

`labels`: "both" gives the label to encoder and decoder, "decoder" to the decoder alone. The prior is N(0, I) for every
label. Its bound is one of log p(x|y) and not comparable with one of log p(x): the label's nats are given away.

Reference: Sohn et al., Learning Structured Output Representation using Deep Conditional Generative Models, NeurIPS
2015, https://papers.nips.cc/paper/5775; Kingma et al. 2014, https://arxiv.org/abs/1406.5298 (M2 with known labels)
Deviation: no label-dependent prior.
"""

from typing import Literal

from torch import Tensor

from bench.models.likelihoods import Likelihood, gaussian_kl, reparametrise
from bench.models.nets import Net

from . import LabelsGiven, Posterior
from .vae import VAE


class ConditionalVAE(LabelsGiven, VAE):
    title = "Conditional VAE"
    symbol = "CVAE"
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

    def forward(self, x: Tensor, y: Tensor, noise: Tensor) -> dict[str, Tensor]:
        q = self.posterior(x, y)
        z = reparametrise(q.mean, q.log_var, noise)  # (B, D)
        rec = self.likelihood.nll(self.decode(z, y), x).mean()
        kl = gaussian_kl(q.mean, q.log_var).mean()
        return {"loss": rec + kl, "rec": rec, "kl": kl}

    def posterior(self, x: Tensor, y: Tensor | None = None) -> Posterior:
        return Posterior(*self.net.encode(x, self.to_encoder(y)).chunk(2, dim=1))

    def decode(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        return self.net.decode(z, self.to_decoder(y))
