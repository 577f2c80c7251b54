"""What VAEs share whose posterior is a Gaussian draw moved by a flow of its own for each image."""

from typing import Any

from torch import Tensor

from bench.errors import NotApplicable
from bench.models.likelihoods import gaussian_log_prob, reparametrise

from . import Posterior
from ._monte_carlo import MonteCarloVAE


class FlowVAE(MonteCarloVAE):
    """z_0 ~ N(μ(x), σ²(x) I), z_T = the flow of z_0 given a context h(x); the encoder puts out μ, log σ² and h.

    The code of an image is the flow of μ.
    """

    heads = 3  # mean, log-variance and context

    def flow(self, z: Tensor, context: Tensor) -> tuple[Tensor, Tensor]:
        """(B, D) and (B, D) → z_T (B, D), and log |det ∂z_T/∂z_0|, (B,)."""
        raise NotImplementedError

    def posterior(self, x: Tensor, y: Tensor | None = None) -> Posterior:
        raise NotApplicable("q(z|x) is a flow of a Gaussian, which has no mean and variance in closed form")

    def encode(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        mean, _, context = self.net.encode(x).chunk(3, dim=1)
        return self.flow(mean, context)[0]

    def draw_code(self, x: Tensor, y: Tensor | None, noise: Any) -> tuple[Tensor, Tensor]:
        mean, log_var, context = self.net.encode(x).chunk(3, dim=1)
        start = reparametrise(mean, log_var, noise)
        z, log_det = self.flow(start, context)
        return z, gaussian_log_prob(start, mean, log_var) - log_det
