"""Semi-supervised VAE: a classifier reads the label off the code, beside the decoder.

    z = μ + σ ε            loss = −log p(x|z) + KL(q(z|x) ‖ N(0, I)) + λ · CE(classifier(z), y)      nats per image

The cross-entropy is taken over the images whose label is known: a fraction `labelled_fraction` of the train images,
as many of each class, drawn anew for each seed. With λ = 0 it is the VAE. The classifier also gives generated codes a
label.

Reference: a classifier on the latent code as in my_pytorch_kit's ImageVAESemiSupervised; close relatives are the M1
model of Kingma et al., Semi-supervised Learning with Deep Generative Models, 2014, https://arxiv.org/abs/1406.5298,
and Le et al., Supervised Autoencoders, NeurIPS 2018.
Deviation (ours, the source leaves it open): a linear classifier, λ = 10, all images labelled by default.
"""

from typing import Any, ClassVar

from torch import Tensor, nn

from bench.models.likelihoods import Likelihood, gaussian_kl, reparametrise
from bench.models.nets import Net

from . import known_cross_entropy
from .vae import VAE


class SemiSupervisedVAE(VAE):
    title = "Semi-supervised VAE"
    symbol = "Semi-supervised VAE"
    option_symbols: ClassVar = {"weight": "λ"}
    reference = (
        "Kingma et al., Semi-supervised Learning with Deep Generative Models, NeurIPS 2014, "
        "https://arxiv.org/abs/1406.5298"
    )
    cite = "kingma2014semi"
    needs_labels = True
    version = 2  # labels are drawn for each seed, as many of each class; version 1 had one draw for all seeds
    scalars = ("weight",)

    def __init__(
        self, net: Net, likelihood: Likelihood, *, weight: float = 10.0, labelled_fraction: float = 1.0
    ) -> None:
        super().__init__(net, likelihood)
        self.weight = weight
        self.labelled_fraction = labelled_fraction
        self.classifier = nn.Linear(net.size.latent_size, net.size.classes)

    def forward(self, x: Tensor, y: Tensor, noise: Any) -> dict[str, Tensor]:
        q = self.posterior(x)
        z = reparametrise(q.mean, q.log_var, noise)  # (B, D)
        rec = self.likelihood.nll(self.decode(z), x).mean()
        kl = gaussian_kl(q.mean, q.log_var).mean()
        label = known_cross_entropy(self.classify(z), y)
        return {"loss": rec + kl + self.weight * label, "rec": rec, "kl": kl, "label": label}

    def classify(self, z: Tensor) -> Tensor:
        """Label logits (B, K) of codes (B, D)."""
        return self.classifier(z).float()
