"""The contract of a net: an encoder/decoder pair, handed to a variant from outside.

One file per architecture, one class deriving from `Net`, whose `__init__` takes a `Size` and the architecture's own
options keyword-only. No BatchNorm: its running statistics couple the images of a batch and cannot be stacked over
seeds; use GroupNorm, LayerNorm or none. Make each half under `seeding.part`, so that variants of one seed start
from the same decoder.
"""

from dataclasses import dataclass
from math import prod
from typing import ClassVar

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class Size:
    """What a net is built for: the data on one side, the variant on the other.

    shape: (C, H, W) of an image. heads: vectors of length `latent_size` that the encoder puts out.
    classes: number of labels of the dataset, 0 where it has none.
    encoder_given, decoder_given: numbers that each half is given beside the image or the code (one-hot labels), K.
    """

    shape: tuple[int, int, int]
    latent_size: int
    heads: int = 1
    classes: int = 0
    encoder_given: int = 0
    decoder_given: int = 0

    @property
    def pixels(self) -> int:
        """C·H·W."""
        return prod(self.shape)

    @property
    def encoder_shape(self) -> tuple[int, int, int]:
        """(C + K, H, W): the image with a constant plane for each given number."""
        return (self.shape[0] + self.encoder_given, *self.shape[1:])

    @property
    def code_size(self) -> int:
        """D + K: the code with the given numbers behind it."""
        return self.latent_size + self.decoder_given


class Net(nn.Module):
    """An encoder and a decoder.

    - `encoder`: images (B, C + K, H, W) → (B, heads · D); K planes hold what the encoder is given
    - `decoder`: codes (B, D + K) → (B, C, H, W), unbounded; the likelihood says what these numbers mean
    """

    title: ClassVar[str] = ""  #: the full name, for readers
    symbol: ClassVar[str] = ""  #: the short name in tables, figures and legends
    reference: ClassVar[str] = ""
    version: ClassVar[int] = 1
    min_size: ClassVar[int] = 1  #: smallest height and width, pixels
    max_size: ClassVar[int] = 512  #: largest height and width, pixels

    encoder: nn.Module
    decoder: nn.Module

    def __init__(self, size: Size) -> None:
        super().__init__()
        self.size = size

    def encode(self, x: Tensor, given: Tensor | None = None) -> Tensor:
        """(B, C, H, W), and (B, K) where something is given → (B, heads · D), float32 whatever the precision inside."""
        return self.encoder(with_planes(x, given)).float()

    def decode(self, z: Tensor, given: Tensor | None = None) -> Tensor:
        """(B, D), and (B, K) where something is given → (B, C, H, W), float32 whatever the precision inside."""
        if given is not None:
            z = torch.cat([z, given], 1)
        return self.decoder(z).float()


def with_planes(x: Tensor, given: Tensor | None) -> Tensor:
    """(B, C, H, W) with a constant plane for each of the K numbers in `given` (B, K): (B, C + K, H, W)."""
    if given is None:
        return x
    return torch.cat([x, given[:, :, None, None].expand(-1, -1, *x.shape[2:])], 1)
