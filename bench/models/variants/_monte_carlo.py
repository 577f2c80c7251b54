"""What VAEs share whose KL has no closed form: their prior is learned, or their posterior is not a Gaussian."""

from typing import Any

from torch import Tensor

from .vae import VAE


class MonteCarloVAE(VAE):
    """A VAE with one Monte Carlo draw for the reconstruction and for the KL.

    loss = −log p(x|z) + β (log q(z|x) − log p(z)),  z ~ q(z|x)      nats per image

    β is 1 but for a warm-up of the KL, whose schedule ends at 1; each method has it as an option.
    """

    closed_kl = False
    scalars = ("beta",)
    beta: float

    def draw(self, x: Tensor, generator: Any) -> Any:
        return self.code_noise(x, generator)

    def forward(self, x: Tensor, y: Tensor, noise: Any) -> dict[str, Tensor]:
        z, log_q = self.draw_code(x, y, noise)  # (B, D), (B,)
        rec = self.likelihood.nll(self.decode(z), x).mean()
        kl = (log_q - self.log_prior(z)).mean()
        return {"loss": rec + self.beta * kl, "rec": rec, "kl": kl}
