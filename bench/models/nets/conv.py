"""Convolutional net: strided convolutions to a small map, a linear layer to the code, transposed convolutions back.

Every stage halves the image (kernel 4, stride 2, padding 1) and doubles the channels up to four times the first
width, until the map is 4 to 7 pixels wide: 28 → 14 → 7, 32 → 16 → 8 → 4, 96 → 48 → 24 → 12 → 6. Odd sizes are rounded
down on the way in and restored exactly on the way out. This is the DCGAN-like net that most convolutional VAEs share.
"""

from itertools import pairwise
from math import prod

from torch import Tensor, nn

from bench.models.seeding import part

from . import Net, Size

LARGEST_MAP = 7  #: the last map is at most this wide, pixels


class Conv(Net):
    """Strided convolutions with a linear bottleneck. `channels`: width of the first stage; `hidden`: see `stages`."""

    title = "Convolutional net"
    symbol = "Conv"
    reference = (
        "Radford et al., Unsupervised Representation Learning with Deep Convolutional Generative Adversarial Networks, "
        "ICLR 2016, https://arxiv.org/abs/1511.06434 (the strides; no batch normalisation)"
    )
    min_size = 8
    max_size = 256

    def __init__(self, size: Size, *, channels: int = 32) -> None:
        super().__init__(size)
        with part("encoder"):
            self.encoder = ConvEncoder(size.encoder_shape, size.heads * size.latent_size, channels)
        with part("decoder"):
            self.decoder = ConvDecoder(size.shape, size.code_size, channels)


class ConvEncoder(nn.Sequential):
    """Images (B, C, H, W) → (B, out)."""

    def __init__(self, shape: tuple[int, int, int], out: int, channels: int) -> None:
        maps = stages(shape, channels)
        convolutions = [
            module for (a, *_), (b, *_) in pairwise(maps) for module in (nn.Conv2d(a, b, 4, 2, 1), nn.ReLU())
        ]
        super().__init__(*convolutions, nn.Flatten(), nn.Linear(prod(maps[-1]), out))


class ConvDecoder(nn.Module):
    """Codes (B, D) → (B, C, H, W): a linear layer to the smallest map, then transposed convolutions."""

    def __init__(self, shape: tuple[int, int, int], latent_size: int, channels: int) -> None:
        super().__init__()
        maps = list(reversed(stages(shape, channels)))
        self.project = nn.Sequential(nn.Linear(latent_size, prod(maps[0])), nn.ReLU(), nn.Unflatten(1, maps[0]))
        ups: list[nn.Module] = []
        for (a, h, w), (b, tall, wide) in pairwise(maps):
            odd = (tall - 2 * h, wide - 2 * w)  # 1 where the encoder rounded down
            ups += [nn.ConvTranspose2d(a, b, 4, 2, 1, output_padding=odd), nn.ReLU()]
        self.up = nn.Sequential(*ups[:-1])  # the last map is the likelihood's parameters: no activation

    def forward(self, z: Tensor) -> Tensor:
        return self.up(self.project(z))


def stages(shape: tuple[int, int, int], channels: int) -> list[tuple[int, int, int]]:
    """The maps (C, H, W) from the image to the smallest one.

    >>> stages((1, 28, 28), 32)
    [(1, 28, 28), (32, 14, 14), (64, 7, 7)]
    >>> stages((3, 96, 96), 32)[-1]
    (128, 6, 6)
    """
    maps = [shape]
    width = channels
    while len(maps) == 1 or max(maps[-1][1:]) > LARGEST_MAP:
        _, h, w = maps[-1]
        maps.append((width, h // 2, w // 2))
        width = min(2 * width, 4 * channels)
    return maps
