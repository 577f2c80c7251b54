"""Distances between a batch of codes and a batch of draws from the prior, and a frozen critic for adversarial terms.

Letters:  B batch · D latent size
"""

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor, nn
from torch.func import functional_call

Kernel = Literal["imq", "rbf"]
SCALES = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)  #: of the inverse multiquadratic kernel, as in Tolstikhin et al. 2018


def squared_distances(x: Tensor, y: Tensor) -> Tensor:
    """(B, D), (B, D) → (B, B), >= 0; from differences, so that equal points are at distance 0."""
    return (x.unsqueeze(1) - y.unsqueeze(0)).square().sum(-1)


def imq_kernel(x: Tensor, y: Tensor) -> Tensor:
    """Σ_s C_s / (C_s + ‖x − y‖²) with C_s = 2 D s, (B, B): the kernel of Tolstikhin et al. 2018 for a N(0, I) prior."""
    squares, size = squared_distances(x, y), x.shape[-1]
    return torch.stack([2 * size * s / (2 * size * s + squares) for s in SCALES]).sum(0)


def rbf_kernel(x: Tensor, y: Tensor) -> Tensor:
    """exp(−‖x − y‖² / (2 D)), (B, B)."""
    return (-squared_distances(x, y) / (2 * x.shape[-1])).exp()


def mmd(x: Tensor, y: Tensor, kernel: Kernel = "imq") -> Tensor:
    """Unbiased estimate of the squared maximum mean discrepancy of two samples (B, D), (B, D); a scalar, B >= 2.

        1/(B(B−1)) Σ_{i≠j} [k(x_i, x_j) + k(y_i, y_j)] − 2/B² Σ_ij k(x_i, y_j)

    It may be negative. Gretton et al., A Kernel Two-Sample Test, JMLR 2012 (eq. 3).
    """
    k = imq_kernel if kernel == "imq" else rbf_kernel
    n = len(x)
    return (_off_diagonal(k(x, x)) + _off_diagonal(k(y, y))) / (n * max(n - 1, 1)) - 2 * k(x, y).mean()


def sliced_wasserstein(x: Tensor, y: Tensor, directions: Tensor) -> Tensor:
    """Mean squared 2-Wasserstein distance of one-dimensional projections; a scalar, >= 0.

    x, y: (B, D). directions: (M, D), not 0; each is normalised. In one dimension the distance is that of sorted values.
    Kolouri et al., Sliced-Wasserstein Autoencoder, 2018 (eq. 14).
    """
    unit = directions / directions.norm(dim=1, keepdim=True)
    with torch.autocast(x.device.type, enabled=False):
        along_x, along_y = ((points @ unit.T).sort(0).values for points in (x, y))  # (B, M)
    return (along_x - along_y).square().mean()


def frozen(critic: nn.Module) -> Callable[[Tensor], Tensor]:
    """The critic with its parameters detached: its input gets a gradient, the critic gets none.

    Together with a term in which the codes are detached, one loss then has the gradients of two optimisers.
    """
    parameters = {name: value.detach() for name, value in critic.named_parameters()}
    return lambda z: functional_call(critic, parameters, (z,))


class Critic(nn.Sequential):
    """A perceptron whose output is float32 whatever the precision inside."""

    def forward(self, z: Tensor) -> Tensor:
        return super().forward(z).float()


def critic_net(inputs: int, hidden: tuple[int, ...], outputs: int = 1) -> Critic:
    """A multi-layer perceptron with leaky ReLUs: (B, inputs) → (B, outputs)."""
    layers: list[nn.Module] = []
    for width in hidden:
        layers += [nn.Linear(inputs, width), nn.LeakyReLU(0.2)]
        inputs = width
    return Critic(*layers, nn.Linear(inputs, outputs))


def _off_diagonal(k: Tensor) -> Tensor:
    return k.sum() - k.diagonal().sum()
