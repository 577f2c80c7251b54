"""Hyperspherical VAE: codes lie on the unit sphere, with a von Mises–Fisher posterior and a uniform prior.

    q(z|x) = vMF(μ(x), κ(x)),  ‖μ‖ = ‖z‖ = 1            p(z) uniform on the sphere of D dimensions
    loss = −log p(x|z) + KL(q ‖ p),  KL(κ) = κ A(κ) − ∫_0^κ A(t) dt,  A(κ) = I_{D/2}(κ) / I_{D/2−1}(κ)      nats per
    image

A, the mean resultant length, is a continued fraction that ends in a bound (Amos 1974); the integral is Gauss–Legendre
quadrature. z is drawn by rejection (Wood 1994) from proposals that do not depend on κ, so that all randomness is noise
drawn outside.

Reference: Davidson et al., Hyperspherical Variational Auto-Encoders, UAI 2018, https://arxiv.org/abs/1804.00891
Deviation: the gradient of the acceptance probability is left out; of 16 proposals the first that is accepted is taken,
and the last if none is. D counts numbers, as for other methods; the paper's tables count those of the sphere, D − 1.
"""

import math
from typing import Any, ClassVar

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from bench.errors import NotApplicable, UsageError
from bench.models.likelihoods import Likelihood
from bench.models.nets import Net

from . import Posterior
from .vae import VAE

PROPOSALS = 16
TERMS = 60  #: of the continued fraction; the error of A is below 1e-6 for every κ
NODES = 48  #: of the quadrature; its error is below 1e-3 nats up to κ = 1,000 and 1e-2 up to 100,000
BEND = 100.0  #: κ from which the quadrature is one in log κ


class HypersphericalVAE(VAE):
    title = "Hyperspherical VAE"
    symbol = "S-VAE"
    option_symbols: ClassVar = {}
    reference = "Davidson et al., Hyperspherical Variational Auto-Encoders, UAI 2018, https://arxiv.org/abs/1804.00891"
    cite = "davidson2018hyperspherical"
    version = 2  # codes are brought to the sphere before an image is made from them
    closed_kl = False
    own_prior = True

    def __init__(self, net: Net, likelihood: Likelihood) -> None:
        super().__init__(net, likelihood)
        if net.size.latent_size < 2:
            raise UsageError("hyperspherical_vae: a sphere needs a code of at least 2 numbers")

    def draw(self, x: Tensor, generator: torch.Generator) -> Any:
        return self.code_noise(x, generator)

    def code_noise(self, x: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
        """Proposals in (0, 1) of Beta((D−1)/2, (D−1)/2), (B, T); uniform draws, (B, T); a direction, (B, D)."""
        size, device = self.net.size.latent_size, x.device
        points = torch.randn(len(x), PROPOSALS, size, generator=generator, device=device)
        beta = (points[..., 0] / points.norm(dim=2) + 1) / 2  # a coordinate of a uniform point of the sphere
        uniform = torch.rand(len(x), PROPOSALS, generator=generator, device=device)
        return beta, uniform, torch.randn(len(x), size, generator=generator, device=device)

    def forward(self, x: Tensor, y: Tensor, noise: Any) -> dict[str, Tensor]:
        direction, kappa = self.parameters_of(x)  # (B, D), (B,)
        z = draw_vmf(direction, kappa, *noise)  # (B, D)
        rec = self.likelihood.nll(self.decode(z), x).mean()
        kl = vmf_kl(kappa, z.shape[1]).mean()
        return {"loss": rec + kl, "rec": rec, "kl": kl}

    def parameters_of(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Mean direction (B, D) and concentration κ > 1, (B,)."""
        direction, raw = self.net.encode(x).chunk(2, dim=1)
        return F.normalize(direction, dim=1), F.softplus(raw.mean(1)) + 1

    def posterior(self, x: Tensor, y: Tensor | None = None) -> Posterior:
        raise NotApplicable("hyperspherical_vae has a posterior on a sphere, which has no variance for each dimension")

    def encode(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        return self.parameters_of(x)[0]

    def draw_code(self, x: Tensor, y: Tensor | None, noise: Any) -> tuple[Tensor, Tensor]:
        direction, kappa = self.parameters_of(x)
        z = draw_vmf(direction, kappa, *noise)
        size = z.shape[1]
        along = (direction * z).sum(1)
        return z, kappa * along - log_normaliser(kappa, size) - log_area(size)

    def generate(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        """A code from elsewhere (a fitted Gaussian, a straight line between two codes) is brought to the sphere."""
        return super().generate(F.normalize(z, dim=1), y)

    def log_prior(self, z: Tensor) -> Tensor:
        return torch.full_like(z[:, 0], -log_area(z.shape[1]))

    def draw_prior(self, n: int, generator: torch.Generator) -> Tensor:
        return F.normalize(torch.randn(n, self.net.size.latent_size, generator=generator), dim=1)


def resultant_length(kappa: Tensor, size: int) -> Tensor:
    """A(κ) = I_{D/2}(κ) / I_{D/2−1}(κ) in [0, 1) by its continued fraction; any shape, κ >= 0."""
    half = size / 2
    last = half + TERMS + 0.5  # the tail counts where κ is not small to TERMS
    fraction = kappa / (last + (kappa.square() + last**2).sqrt())
    for term in range(TERMS, 0, -1):
        fraction = kappa / (2 * (half + term) + kappa * fraction)
    return kappa / (2 * half + kappa * fraction)


def log_normaliser(kappa: Tensor, size: int) -> Tensor:
    """∫_0^κ A(t) dt = log of ∫ exp(κ μᵀz) over the uniform distribution on the sphere; 0 at κ = 0. (B,) → (B,)."""
    nodes, weights = (torch.as_tensor(v, dtype=kappa.dtype, device=kappa.device) for v in _quadrature())
    low, ratio = kappa.clamp(max=BEND), (kappa.clamp(min=BEND) / BEND).log()
    points = low.unsqueeze(-1) * nodes  # (B, NODES), up to the bend
    beyond = BEND * (ratio.unsqueeze(-1) * nodes).exp()  # (B, NODES), from there on
    upper = ratio * (resultant_length(beyond, size) * beyond * weights).sum(-1)
    return low * (resultant_length(points, size) * weights).sum(-1) + upper


def vmf_kl(kappa: Tensor, size: int) -> Tensor:
    """KL(vMF(μ, κ) ‖ uniform) on the sphere of `size` dimensions, >= 0, nats. (B,) → (B,)."""
    return kappa * resultant_length(kappa, size) - log_normaliser(kappa, size)


def log_area(size: int) -> float:
    """Logarithm of the area of the unit sphere in `size` dimensions."""
    return math.log(2) + size / 2 * math.log(math.pi) - math.lgamma(size / 2)


def draw_vmf(direction: Tensor, kappa: Tensor, beta: Tensor, uniform: Tensor, tangent: Tensor) -> Tensor:
    """Points (B, D) of vMF(direction, κ): the component along the direction by rejection, the rest uniform."""
    size = direction.shape[1]
    k = kappa.unsqueeze(1)  # (B, 1)
    b = (size - 1) / (2 * k + (4 * k.square() + (size - 1) ** 2).sqrt())
    a = (size - 1 + 2 * k + (4 * k.square() + (size - 1) ** 2).sqrt()) / 4
    d = 4 * a * b / (1 + b) - (size - 1) * math.log(size - 1)
    w = (1 - (1 + b) * beta) / (1 - (1 - b) * beta)  # (B, T)
    t = 2 * a * b / (1 - (1 - b) * beta)
    accepted = (size - 1) * t.log() - t + d >= uniform.log()
    index = torch.where(accepted.any(1), accepted.int().argmax(1), beta.shape[1] - 1)
    along = w.gather(1, index.unsqueeze(1)).clamp(-1, 1)  # (B, 1)
    tangent = tangent - (tangent * direction).sum(1, keepdim=True) * direction
    across = (1 - along.square()).clamp_min(1e-12).sqrt()
    return along * direction + across * F.normalize(tangent, dim=1)


def _quadrature() -> tuple[np.ndarray, np.ndarray]:
    """Nodes and weights of Gauss–Legendre quadrature on [0, 1]."""
    nodes, weights = np.polynomial.legendre.leggauss(NODES)
    return (nodes + 1) / 2, weights / 2
