"""Mean image: every reconstruction and every sample is the mean of the train images. The floor of every table.

    x̂ = (1/N) Σ xₙ

A model that does no better has learned nothing of the single image.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from bench.models.likelihoods import Likelihood
from bench.models.nets import Net
from bench.models.precision import double

from . import Variant


class MeanImage(Variant):
    title = "Mean image"
    symbol = "Mean image"
    uses_net = False
    has_code = False
    closed_form = True

    mean: Tensor

    def __init__(self, net: Net, likelihood: Likelihood) -> None:
        super().__init__(net, likelihood)
        self.register_buffer("mean", torch.zeros(net.size.shape))

    def fit(self, batches: Callable[[], Any]) -> None:
        total, n = double(torch.zeros_like(self.mean)), 0
        for x in batches():
            total, n = total + double(x).sum(0), n + len(x)
        self.mean.copy_(total / n)

    def encode(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        return x.new_zeros(len(x), self.net.size.latent_size)

    def generate(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        return self.mean.expand(len(z), *self.mean.shape)
