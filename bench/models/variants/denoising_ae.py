"""Denoising autoencoder: it sees a corrupted image and must restore the clean one.

    x̃ ~ C(x̃|x)            z = f(x̃)            loss = −log p(x|z), nats per image

Corruption: every pixel is dropped (set to 0, all channels of it) with probability `dropout`, and normal noise of
standard deviation `noise` is added to what is left. With both at 0 it is the autoencoder. In evaluation, codes and
reconstructions are those of clean images; `corrupted_mse` measures the restoring.

Reference: Vincent et al., Extracting and Composing Robust Features with Denoising Autoencoders, ICML 2008,
https://doi.org/10.1145/1390156.1390294
"""

import torch
from torch import Tensor

from bench.models.likelihoods import Likelihood
from bench.models.nets import Net

from .ae import AE


class DenoisingAE(AE):
    title = "Denoising autoencoder"
    symbol = "Denoising AE"
    reference = (
        "Vincent et al., Extracting and Composing Robust Features with Denoising Autoencoders, ICML 2008, "
        "https://doi.org/10.1145/1390156.1390294"
    )
    cite = "vincent2008extracting"
    corrupts = True
    scalars = ("dropout", "noise")

    def __init__(self, net: Net, likelihood: Likelihood, *, dropout: float = 0.5, noise: float = 0.0) -> None:
        super().__init__(net, likelihood)
        self.dropout = dropout
        self.noise = noise

    def draw(self, x: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        chance = torch.rand(len(x), 1, *x.shape[2:], generator=generator, device=x.device)  # (B, 1, H, W)
        eps = torch.randn(x.shape, generator=generator, device=x.device)  # (B, C, H, W)
        return chance, eps

    def forward(self, x: Tensor, y: Tensor, noise: tuple[Tensor, Tensor]) -> dict[str, Tensor]:
        chance, eps = noise
        kept = (chance >= self.dropout).to(x.dtype)
        z = self.encode((x + self.noise * eps) * kept)  # (B, D)
        rec = self.likelihood.nll(self.decode(z), x).mean()
        return {"loss": rec, "rec": rec}
