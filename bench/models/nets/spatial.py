"""Fully convolutional net with a spatial code: a map of `side` × `side` pixels and D / side² channels.

Every stage halves the image, rounding up (kernel 3, stride 2, padding 1): 28 → 14 → 7 → 4 → 2 → 1. The code is the last
map, flattened; the decoder runs the stages back with transposed convolutions. No linear layer anywhere, so that the
code's numbers keep their place in the image; with `side: 1` the last stage sees the whole map and is a linear layer.
"""

from itertools import pairwise

from torch import Tensor, nn

from bench.errors import UsageError
from bench.models.seeding import part

from . import Net, Size, with_planes


class Spatial(Net):
    """Strided convolutions to a small map. `side`: the code's height and width; `channels`: the first stage's width."""

    title = "Convolutional net with a spatial code"
    symbol = "Spatial"
    reference = (
        "Masci et al., Stacked Convolutional Auto-Encoders for Hierarchical Feature Extraction, ICANN 2011, "
        "https://doi.org/10.1007/978-3-642-21735-7_7"
    )
    min_size = 8
    max_size = 256
    spatial = True  #: the latent size must be a multiple of side²

    def __init__(self, size: Size, *, side: int = 2, channels: int = 32) -> None:
        """Raises `UsageError` if the image cannot be halved to `side`, or the code not be spread over it."""
        super().__init__(size)
        if size.latent_size % side**2:
            raise UsageError(f"net spatial: a code of {size.latent_size} numbers has no {side}×{side} map")
        sides = halvings(size.shape[1], side)
        depth = size.latent_size // side**2
        widths = [min(channels * 2**i, 4 * channels) for i in range(len(sides) - 2)]
        inwards = [size.encoder_shape[0], *widths, size.heads * depth]
        outwards = [depth + size.decoder_given, *reversed(widths), size.shape[0]]
        self.side, self.depth = side, depth
        with part("encoder"):
            self.encoder = nn.Sequential(*_down(inwards), nn.Flatten())
        with part("decoder"):
            self.decoder = nn.Sequential(*_up(outwards, sides[::-1]))

    def decode(self, z: Tensor, given: Tensor | None = None) -> Tensor:
        """As `Net.decode`; what is given becomes constant planes of the code's map."""
        code = z.unflatten(1, (self.depth, self.side, self.side))
        return self.decoder(with_planes(code, given)).float()


def halvings(pixels: int, side: int) -> list[int]:
    """Sides of the maps from the image to the code. Raises `UsageError` if `side` is not among them.

    >>> halvings(28, 2)
    [28, 14, 7, 4, 2]
    """
    sides = [pixels]
    while sides[-1] > side:
        sides.append((sides[-1] + 1) // 2)
    if sides[-1] != side or len(sides) < 2:
        steps = ", ".join(map(str, sides))
        raise UsageError(f"net spatial: halving {pixels} pixels gives {steps}, but never a side of {side}")
    return sides


def _down(widths: list[int]) -> list[nn.Module]:
    layers: list[nn.Module] = [m for a, b in pairwise(widths) for m in (nn.Conv2d(a, b, 3, 2, 1), nn.ReLU())]
    return layers[:-1]  # the code is not rectified


def _up(widths: list[int], sides: list[int]) -> list[nn.Module]:
    layers: list[nn.Module] = []
    for (a, b), (small, large) in zip(pairwise(widths), pairwise(sides), strict=True):
        even = large - (2 * small - 1)  # 1 where the halving did not round
        layers += [nn.ConvTranspose2d(a, b, 3, 2, 1, output_padding=even), nn.ReLU()]
    return layers[:-1]  # the last map is the likelihood's parameters
