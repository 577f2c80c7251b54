"""The contract of a net: an encoder/decoder pair, handed to a variant from outside.

One file per architecture, one class deriving from `Net`, whose `__init__` takes the image shape, the latent size and
the number of heads, and the architecture's own options keyword-only. No BatchNorm: its running statistics couple the
images of a batch and cannot be stacked over seeds; use GroupNorm, LayerNorm or none. Make each half under
`bench.streams.part`, so that variants of one seed start from the same decoder.
"""

from typing import ClassVar

from torch import Tensor, nn


class Net(nn.Module):
    """An encoder and a decoder.

    - `encoder`: images (B, C, H, W) → (B, heads · D)
    - `decoder`: codes (B, D) → (B, C, H, W), unbounded; the likelihood says what these numbers mean
    """

    reference: ClassVar[str] = ""
    version: ClassVar[int] = 1
    min_size: ClassVar[int] = 1  #: smallest height and width, pixels
    max_size: ClassVar[int] = 512  #: largest height and width, pixels

    encoder: nn.Module
    decoder: nn.Module

    def __init__(self, shape: tuple[int, int, int], latent_size: int, heads: int) -> None:
        """`shape` is (C, H, W)."""
        super().__init__()
        self.shape = shape
        self.latent_size = latent_size
        self.heads = heads

    def encode(self, x: Tensor) -> Tensor:
        """(B, C, H, W) → (B, heads · D), float32 whatever the precision inside."""
        return self.encoder(x).float()

    def decode(self, z: Tensor) -> Tensor:
        """(B, D) → (B, C, H, W), float32 whatever the precision inside."""
        return self.decoder(z).float()
