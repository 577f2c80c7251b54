"""Multi-layer perceptron: flattened pixels → hidden layers → code, and the mirror image back.

With `hidden: [400]` and two heads this is the 784-400-20-400-784 net of PyTorch's VAE example, itself after
Kingma & Welling 2014 (appendix C), with ReLU in place of tanh.
"""

from collections.abc import Sequence
from itertools import pairwise
from math import prod
from typing import Literal

from torch import nn

from bench.nets import Net
from bench.streams import part

ACTIVATIONS = {"relu": nn.ReLU, "tanh": nn.Tanh, "gelu": nn.GELU, "softplus": nn.Softplus, "leaky_relu": nn.LeakyReLU}


class MLP(Net):
    """Fully connected encoder and decoder. `hidden`: widths of the encoder's layers, reversed in the decoder."""

    reference = "Kingma & Welling, Auto-Encoding Variational Bayes, 2014, https://arxiv.org/abs/1312.6114"

    def __init__(
        self,
        shape: tuple[int, int, int],
        latent_size: int,
        heads: int,
        *,
        hidden: tuple[int, ...] = (512,),
        activation: Literal["relu", "tanh", "gelu", "softplus", "leaky_relu"] = "relu",
    ) -> None:
        super().__init__(shape, latent_size, heads)
        pixels = prod(shape)
        inwards, outwards = [pixels, *hidden], [latent_size, *reversed(hidden)]
        with part("encoder"):
            self.encoder = nn.Sequential(
                nn.Flatten(), *_layers(inwards, activation), nn.Linear(inwards[-1], heads * latent_size)
            )
        with part("decoder"):
            self.decoder = nn.Sequential(
                *_layers(outwards, activation), nn.Linear(outwards[-1], pixels), nn.Unflatten(1, shape)
            )


def _layers(widths: Sequence[int], activation: str) -> list[nn.Module]:
    act = ACTIVATIONS[activation]
    return [module for a, b in pairwise(widths) for module in (nn.Linear(a, b), act())]
