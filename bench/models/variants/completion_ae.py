"""Completion autoencoder: a square of the image is missing and must be restored.

    x̃ = x outside of a random square, 0 inside            loss = −log p(x | f(x̃)), nats per image

`side`: the square's side as a fraction of the image's; its place is drawn anew for each image and step. A denoising
autoencoder whose corruption is one region; the pixels to restore have no kept neighbours to copy from.

Reference: Pathak et al., Context Encoders: Feature Learning by Inpainting, CVPR 2016, https://arxiv.org/abs/1604.07379
Deviation: no adversarial term; the whole image is reconstructed, not the square alone.
"""

import torch
from torch import Tensor

from bench.models.corruptions import square
from bench.models.likelihoods import Likelihood
from bench.models.nets import Net

from .ae import AE


class CompletionAE(AE):
    title = "Completion autoencoder"
    symbol = "Completion AE"
    reference = (
        "Pathak et al., Context Encoders: Feature Learning by Inpainting, CVPR 2016, https://arxiv.org/abs/1604.07379"
    )
    cite = "pathak2016context"
    corrupts = True

    def __init__(self, net: Net, likelihood: Likelihood, *, side: float = 0.4) -> None:
        super().__init__(net, likelihood)
        self.side = side

    def draw(self, x: Tensor, generator: torch.Generator) -> Tensor:
        return torch.rand(len(x), 2, generator=generator, device=x.device)  # where the square lies, (B, 2)

    def forward(self, x: Tensor, y: Tensor, noise: Tensor) -> dict[str, Tensor]:
        z = self.encode(x * (1 - square(noise, self.side, x.shape[2], x.shape[3])))  # (B, D)
        rec = self.likelihood.nll(self.decode(z), x).mean()
        return {"loss": rec, "rec": rec}
