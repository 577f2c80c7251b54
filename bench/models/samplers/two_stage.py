"""A second VAE fitted to the train codes; its prior is drawn from.

    u ~ N(0, I),  z = f(u) + γ ε        loss = −log N(z; f(u), γ² I) + KL(q(u|z) ‖ N(0, I)),  u ~ q(u|z)

The second VAE has as many latent dimensions as the code, encoder and decoder of two hidden layers of 128, and one
learned deviation γ, on standardised codes. 1,000 steps of Adam on 256 codes; the parameters of the lowest loss on a
held-out tenth of the train codes are kept. It has no density in closed form.

Deviation from the paper: its second VAE sees draws from the first one's posterior, this one the codes μ.
"""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from ._neural import NeuralSampler, perceptron


class SecondVAE(nn.Module):
    """Encoder, decoder and the logarithm of γ."""

    def __init__(self, size: int, hidden: int = 128) -> None:
        super().__init__()
        self.encoder = perceptron(size, hidden, hidden, 2 * size)
        self.decoder = perceptron(size, hidden, hidden, size)
        self.log_gamma = nn.Parameter(torch.zeros(()))


class TwoStage(NeuralSampler):
    title = "Second VAE on the codes"
    symbol = "two-stage"
    reference = "Dai & Wipf, Diagnosing and Enhancing VAE Models, ICLR 2019, https://arxiv.org/abs/1903.05789"

    def build(self, size: int) -> nn.Module:
        return SecondVAE(size)

    def loss(self, net: Any, z: Tensor, noise: torch.Generator) -> Tensor:
        mean, log_var = net.encoder(z).chunk(2, dim=1)
        u = mean + (log_var / 2).exp() * torch.randn(mean.shape, generator=noise)
        log_gamma = net.log_gamma
        squares = (z - net.decoder(u)).square() * (-2 * log_gamma).exp()
        nll = 0.5 * (squares + 2 * log_gamma + math.log(2 * math.pi)).sum(1)
        kl = 0.5 * (mean.square() + log_var.exp() - log_var - 1).sum(1)
        return (nll + kl).mean()

    def generate(self, noise: Callable[[], Tensor]) -> Tensor:
        made: Tensor = self.net.decoder(noise())
        return made + self.net.log_gamma.exp() * noise()
