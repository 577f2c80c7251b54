"""M2: a semi-supervised VAE whose label is a latent variable where it is not known.

    q(y|x) = Cat(c(x)),  q(z|x, y) = N(μ, σ² I)            p(x, y, z) = p(x|y, z) p(y) p(z),  p(y) uniform
    L(x, y) = −log p(x|y, z) + log K + KL(q(z|x, y) ‖ N(0, I))
    loss = mean of L(x, y) where y is known and of Σ_y q(y|x) (L(x, y) + log q(y|x)) where it is not
           + α · cross-entropy of q(y|x) where y is known      nats per image

The sum over labels is exact. The labels of a fraction `labelled_fraction` of the train images are known, as many of
each class, drawn anew for each seed. With all images labelled it is the conditional VAE with a classifier beside it.

Reference: Kingma et al., Semi-supervised Learning with Deep Generative Models, NeurIPS 2014,
https://arxiv.org/abs/1406.5298 (eq. 6 to 9)
Deviation: the classifier is a perceptron of one hidden layer on pixels; labelled and unlabelled images share the
batches. α = 50 (ours): the paper's α = 0.1 N, for a sum over N images and a mean over the labelled ones, is 0.1 here
if each batch has labelled images, as in the authors' code. The cross-entropy of a batch without any is 0, so that their
weight is 0.1 over the probability of a batch with some: 0.30 for 100 labels of 50,000 and batches of 200.
"""

import math
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from bench.models.likelihoods import Likelihood, gaussian_kl, reparametrise
from bench.models.nets import Net
from bench.models.seeding import part

from . import known_cross_entropy, one_hot
from .conditional_vae import ConditionalVAE


class M2VAE(ConditionalVAE):
    title = "Semi-supervised VAE, M2"
    symbol = "M2"
    option_symbols: ClassVar = {"weight": "α", "labelled_fraction": "labelled"}
    reference = (
        "Kingma et al., Semi-supervised Learning with Deep Generative Models, NeurIPS 2014, "
        "https://arxiv.org/abs/1406.5298"
    )
    cite = "kingma2014semi"
    version = 2  # labels are drawn for each seed, as many of each class; version 1 had one draw for all seeds
    scalars = ("weight",)

    def __init__(
        self,
        net: Net,
        likelihood: Likelihood,
        *,
        weight: float = 50.0,
        labelled_fraction: float = 0.1,
        hidden: int = 512,
    ) -> None:
        super().__init__(net, likelihood)
        self.weight = weight
        self.labelled_fraction = labelled_fraction
        with part("classifier"):
            self.classifier = nn.Sequential(
                nn.Flatten(), nn.Linear(net.size.pixels, hidden), nn.ReLU(), nn.Linear(hidden, net.size.classes)
            )

    def forward(self, x: Tensor, y: Tensor, noise: Any) -> dict[str, Tensor]:
        log_q = self.predict(x).log_softmax(1)  # (B, K)
        known = (y >= 0).float()
        chosen = one_hot(y, log_q.shape[1])
        weights = chosen + (1 - known).unsqueeze(1) * log_q.exp()  # (B, K): one-hot where the label is known
        rec, kl = self.by_label(x, noise)  # (B, K) each
        rec, kl = (weights * rec).sum(1).mean(), (weights * kl).sum(1).mean()
        label_kl = math.log(log_q.shape[1]) + ((1 - known) * (log_q.exp() * log_q).sum(1)).mean()
        label = known_cross_entropy(log_q, y)
        return {"loss": rec + kl + label_kl + self.weight * label, "rec": rec, "kl": kl, "label_kl": label_kl,
                "label": label}  # fmt: skip

    def by_label(self, x: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
        """−log p(x|y, z) and KL(q(z|x, y) ‖ N(0, I)) for each label, (B, K) each, with one ε for all labels."""
        count, classes = len(x), self.net.size.classes
        labels = torch.arange(classes, device=x.device).repeat(count)  # (B · K,)
        images, eps = x.repeat_interleave(classes, 0), noise.repeat_interleave(classes, 0)
        q = self.posterior(images, labels)
        z = reparametrise(q.mean, q.log_var, eps)
        nll = self.likelihood.nll(self.decode(z, labels), images)
        return nll.view(count, classes), gaussian_kl(q.mean, q.log_var).view(count, classes)

    def predict(self, x: Tensor) -> Tensor:
        """Label logits (B, K) of images (B, C, H, W)."""
        return self.classifier(x).float()
