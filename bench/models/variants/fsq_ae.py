"""Finite scalar quantisation: each number of the code takes one of L values; no codebook is learned.

    z = q(s(f(x))),  q(u) = round(b(u)) / ⌊L/2⌋        loss = −log p(x|z)      nats per image

b bounds a number to the range of L integers; rounding has the gradient of the identity (straight-through). A code of D
numbers is one of L^D. There is no commitment loss and no codebook.

Reference: Mentzer et al., Finite Scalar Quantization: VQ-VAE Made Simple, ICLR 2024,
https://arxiv.org/abs/2309.15505 (section 3.1, appendix A)
Deviation: one number of levels for all dimensions. Ours: s shortens f(x) where it is 1.1 times longer than a code of
outermost levels needs. Without it the first steps, whose gradient all images share, can drive every number to the flat
end of b: on MNIST three of five MLPs coded all images as one point.
"""

import math
from typing import Any, ClassVar

import torch
from torch import Tensor

from bench.errors import UsageError
from bench.models.likelihoods import Likelihood
from bench.models.nets import Net

from .ae import AE

EDGE = 1e-3  #: the bound reaches the outermost levels
REACH = 1.1  #: length of the longest vector, that of a code of outermost levels being 1


class FSQAE(AE):
    title = "Finite scalar quantisation"
    symbol = "FSQ"
    option_symbols: ClassVar = {"levels": "L"}
    reference = (
        "Mentzer et al., Finite Scalar Quantization: VQ-VAE Made Simple, ICLR 2024, https://arxiv.org/abs/2309.15505"
    )
    cite = "mentzer2024finite"
    discrete = True
    version = 2  # f(x) is shortened; in version 1 training could stop at one code for all images

    def __init__(self, net: Net, likelihood: Likelihood, *, levels: int = 8) -> None:
        super().__init__(net, likelihood)
        if levels < 2:
            raise UsageError(f"fsq_ae: levels is {levels}, must be at least 2")
        self.levels = levels

    def forward(self, x: Tensor, y: Tensor, noise: Any) -> dict[str, Tensor]:
        rec = self.likelihood.nll(self.decode(self.encode(x)), x).mean()
        return {"loss": rec, "rec": rec}

    def encode(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        """Quantised codes (B, D) in [−1, 1], with the gradient of the bounded ones."""
        bounded = self.bound(self.shorten(self.net.encode(x)))
        integers = bounded + (bounded.round() - bounded).detach()
        return integers / (self.levels // 2)

    def shorten(self, u: Tensor) -> Tensor:
        """(B, D) → (B, D): shortened to a length that still reaches every code and keeps a slope of the bound."""
        half, offset, shift = self._constants()
        outermost = math.atanh((self.levels // 2 - 0.5 - offset) / half) + shift  # where the lowest level begins
        limit = REACH * outermost * math.sqrt(u.shape[1])
        return u * (limit / u.square().sum(1, keepdim=True).clamp_min(limit**2).sqrt())

    def bound(self, u: Tensor) -> Tensor:
        """Any numbers to a range whose rounding gives L integers, −⌊L/2⌋ the lowest; 0 stays 0."""
        half, offset, shift = self._constants()
        return torch.tanh(u + shift) * half - offset

    def _constants(self) -> tuple[float, float, float]:
        """Half the range, offset and shift of the bound."""
        half = (self.levels - 1) * (1 + EDGE) / 2
        offset = 0.5 if self.levels % 2 == 0 else 0.0
        return half, offset, math.atanh(offset / half)

    def indices(self, z: Tensor) -> Tensor:
        """Level of each number, int64 in [0, L): (B, D) → (B, D). Inverse of `values`."""
        return (z * (self.levels // 2)).round().long() + self.levels // 2

    def values(self, indices: Tensor) -> Tensor:
        """Codes of levels: int64 (B, D) → float32 (B, D)."""
        return (indices - self.levels // 2).float() / (self.levels // 2)
