"""Multi-layer perceptron: flattened pixels → hidden layers → code, and the mirror image back.

With `hidden: [400]` and two heads this is the 784-400-20-400-784 net of PyTorch's VAE example, itself after
Kingma & Welling 2014 (appendix C), with ReLU in place of tanh.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import Literal

import torch
from torch import Tensor, nn

from bench.models.seeding import part

from . import Net, Size

ACTIVATIONS = {"relu": nn.ReLU, "tanh": nn.Tanh, "gelu": nn.GELU, "softplus": nn.Softplus, "leaky_relu": nn.LeakyReLU}


class MLP(Net):
    """Fully connected encoder and decoder. `hidden`: widths of the encoder's layers, reversed in the decoder."""

    title = "Multi-layer perceptron"
    symbol = "MLP"
    reference = "Kingma & Welling, Auto-Encoding Variational Bayes, 2014, https://arxiv.org/abs/1312.6114"

    def __init__(
        self,
        size: Size,
        *,
        hidden: tuple[int, ...] = (512,),
        activation: Literal["relu", "tanh", "gelu", "softplus", "leaky_relu"] = "relu",
    ) -> None:
        super().__init__(size)
        inwards = [size.pixels + size.encoder_given, *hidden]
        outwards = [size.code_size, *reversed(hidden)]
        with part("encoder"):
            self.encoder = nn.Sequential(
                nn.Flatten(), *_layers(inwards, activation), nn.Linear(inwards[-1], size.heads * size.latent_size)
            )
        with part("decoder"):
            self.decoder = nn.Sequential(
                *_layers(outwards, activation), nn.Linear(outwards[-1], size.pixels), nn.Unflatten(1, size.shape)
            )

    def encode(self, x: Tensor, given: Tensor | None = None) -> Tensor:
        """As `Net.encode`; what is given stands behind the pixels once, and not on every one of them."""
        if given is not None:
            x = torch.cat([x.flatten(1), given], 1)
        return self.encoder(x).float()


def _layers(widths: Sequence[int], activation: str) -> list[nn.Module]:
    act = ACTIVATIONS[activation]
    return [module for a, b in pairwise(widths) for module in (nn.Linear(a, b), act())]
