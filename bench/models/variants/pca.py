"""Principal component analysis: the best linear code of its size, in closed form. The yardstick of every table.

    z = (x − m) V diag(λ)^(-1/2)       x̂ = m + z diag(λ)^(1/2) Vᵀ

V are the D leading eigenvectors of the train covariance, λ its eigenvalues, m the mean image. No linear autoencoder of
size D has a lower train MSE (Eckart & Young 1936; Baldi & Hornik 1989). Codes are whitened, so that the prior
N(0, I) is a fair sampler; Tipping & Bishop 1999 give the probabilistic reading.

The covariance is summed in one pass and decomposed exactly up to 4096 pixels; above that a randomised range finder with
6 power iterations is used (Halko et al. 2011, alg. 4.4), whose passes stream over the images.
"""

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from bench.models.likelihoods import Likelihood
from bench.models.nets import Net
from bench.models.precision import double

from . import Variant

EXACT_PIXELS = 4096
OVERSAMPLING = 10
POWER_ITERATIONS = 6
SMALLEST_VARIANCE = 1e-10  #: components below it carry nothing (always-black pixels); their codes are zero


class PCA(Variant):
    title = "Principal component analysis"
    symbol = "PCA"
    reference = (
        "Tipping & Bishop, Probabilistic Principal Component Analysis, JRSS-B 1999, "
        "https://doi.org/10.1111/1467-9868.00196"
    )
    cite = "tipping1999probabilistic"
    uses_net = False
    closed_form = True
    latent_at_most_pixels = True

    mean: Tensor
    components: Tensor
    scale: Tensor

    def __init__(self, net: Net, likelihood: Likelihood) -> None:
        super().__init__(net, likelihood)
        pixels, latent_size = net.size.pixels, net.size.latent_size
        self.register_buffer("mean", torch.zeros(pixels))
        self.register_buffer("components", torch.zeros(pixels, latent_size))  # V, (P, D)
        self.register_buffer("scale", torch.zeros(latent_size))  # λ^(1/2), (D,)

    def fit(self, batches: Callable[[], Any]) -> None:
        mean, n = _mean(batches)
        if len(mean) <= EXACT_PIXELS:
            values, vectors = torch.linalg.eigh(_covariance(batches, mean, n))
        else:
            values, vectors = _randomised(batches, mean, n, self.net.size.latent_size)
        values, vectors = _leading(values, vectors, self.net.size.latent_size)
        vectors = vectors * vectors.sum(0).sign().where(vectors.sum(0) != 0, torch.ones_like(values))  # fix the signs
        self.mean.copy_(mean)
        self.components.copy_(vectors)
        self.scale.copy_(values.clamp_min(0).sqrt())

    def encode(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        live = self.scale > SMALLEST_VARIANCE**0.5
        weights = torch.where(live, 1 / self.scale.where(live, torch.ones_like(self.scale)), 0)
        return (x.flatten(1) - self.mean) @ self.components * weights  # (B, D)

    def generate(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        flat = self.mean + (z * self.scale) @ self.components.T  # (B, P)
        return flat.reshape(len(z), *self.net.size.shape)


def _leading(values: Tensor, vectors: Tensor, size: int) -> tuple[Tensor, Tensor]:
    """The largest `size` of ascending eigenpairs; what fewer images than `size` cannot give is zero."""
    lack = max(0, size - len(values))
    values, vectors = values.flip(0)[:size], vectors.flip(1)[:, :size]
    return F.pad(values, (0, lack)), F.pad(vectors, (0, lack))


def _mean(batches: Callable[[], Any]) -> tuple[Tensor, int]:
    sums = [(double(x.flatten(1)).sum(0), len(x)) for x in batches()]
    n = sum(count for _, count in sums)
    return torch.stack([s for s, _ in sums]).sum(0) / n, n


def _covariance(batches: Callable[[], Any], mean: Tensor, n: int) -> Tensor:
    covariance = mean.new_zeros(len(mean), len(mean))
    for x in batches():
        centred = double(x.flatten(1)) - mean
        covariance.addmm_(centred.T, centred)
    return covariance / n


def _randomised(batches: Callable[[], Any], mean: Tensor, n: int, size: int) -> tuple[Tensor, Tensor]:
    """Leading eigenpairs of the covariance without forming it, ascending like `eigh`."""
    width = min(size + OVERSAMPLING, n, len(mean))
    generator = torch.Generator().manual_seed(0)
    basis = torch.randn(len(mean), width, generator=generator, dtype=torch.float64).to(mean.device)
    for _ in range(POWER_ITERATIONS + 1):
        basis = torch.linalg.qr(_apply(batches, mean, n, basis)).Q
    values, rotation = torch.linalg.eigh(basis.T @ _apply(batches, mean, n, basis))
    return values, basis @ rotation


def _apply(batches: Callable[[], Any], mean: Tensor, n: int, basis: Tensor) -> Tensor:
    """Covariance times basis, (P, W), streamed."""
    product = torch.zeros_like(basis)
    for x in batches():
        centred = double(x.flatten(1)) - mean
        product.addmm_(centred.T, centred @ basis)
    return product / n
