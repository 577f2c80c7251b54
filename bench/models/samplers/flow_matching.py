"""Flow matching on the train codes: a velocity field that carries N(0, I) to the codes along straight lines.

    loss = E ‖v(z_t, t) − (z_1 − z_0)‖²,   z_t = (1 − t) z_0 + t z_1,  z_0 ~ N(0, I), z_1 a code, t uniform
    sample: dz/dt = v(z, t) from t = 0 to 1        log p(z_1) = log N(z_0; 0, I) − ∫₀¹ div v(z_t, t) dt

v is a net of three hidden layers of 128 with sines and cosines of t, on standardised codes. 1,500 steps of Adam on 256
codes; the parameters of the lowest loss on a held-out tenth of the train codes are kept. Both equations are solved by
20 steps of the classical Runge–Kutta method. The divergence is exact, so that the log-likelihood has the solver's error
only.
"""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from ._neural import NeuralSampler, perceptron

SOLVER_STEPS = 20
FREQUENCIES = 4
AT_ONCE = 250  #: codes whose Jacobians are in memory


class Velocity(nn.Module):
    """(B, D), (B, 1) → (B, D)."""

    def __init__(self, size: int, hidden: int = 128) -> None:
        super().__init__()
        self.layers = perceptron(size + 1 + 2 * FREQUENCIES, hidden, hidden, hidden, size)

    def forward(self, z: Tensor, t: Tensor) -> Tensor:
        angles = math.pi * t * torch.arange(1, FREQUENCIES + 1)
        return self.layers(torch.cat([z, t, angles.sin(), angles.cos()], dim=-1))


class FlowMatching(NeuralSampler):
    title = "Flow matching on the codes"
    symbol = "flow matching"
    reference = "Lipman et al., Flow Matching for Generative Modeling, ICLR 2023, https://arxiv.org/abs/2210.02747"
    steps = 1_500

    def build(self, size: int) -> nn.Module:
        return Velocity(size)

    def loss(self, net: Any, z: Tensor, noise: torch.Generator) -> Tensor:
        start = torch.randn(z.shape, generator=noise)
        t = torch.rand(len(z), 1, generator=noise)
        return (net((1 - t) * start + t * z, t) - (z - start)).square().sum(1).mean()

    def generate(self, noise: Callable[[], Tensor]) -> Tensor:
        return _runge_kutta(lambda z, t: self.net(z, torch.full((len(z), 1), t)), noise(), 0.0, 1.0)

    def log_density(self, z: Tensor) -> Tensor:
        return torch.cat([self._log_density(part) for part in z.split(AT_ONCE)])

    def _log_density(self, z: Tensor) -> Tensor:
        jacobian = torch.func.vmap(torch.func.jacrev(self.net), in_dims=(0, 0))

        def change(state: Tensor, t: float) -> Tensor:
            """Of the code and of the integral of the divergence: (B, D + 1)."""
            code, time = state[:, :-1], torch.full((len(state), 1), t)
            divergence = jacobian(code, time).diagonal(dim1=1, dim2=2).sum(1)
            return torch.cat([self.net(code, time), divergence[:, None]], dim=1)

        state = _runge_kutta(change, torch.cat([z, torch.zeros(len(z), 1)], dim=1), 1.0, 0.0)
        start, minus_integral = state[:, :-1], state[:, -1]
        return minus_integral - 0.5 * (start.square() + math.log(2 * math.pi)).sum(1)


def _runge_kutta(change: Callable[[Tensor, float], Tensor], state: Tensor, start: float, end: float) -> Tensor:
    """The state at `end` of d state/dt = change(state, t)."""
    h = (end - start) / SOLVER_STEPS
    for i in range(SOLVER_STEPS):
        t = start + i * h
        a = change(state, t)
        b = change(state + h / 2 * a, t + h / 2)
        c = change(state + h / 2 * b, t + h / 2)
        d = change(state + h * c, t + h)
        state = state + h / 6 * (a + 2 * b + 2 * c + d)
    return state
