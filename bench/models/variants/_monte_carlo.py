"""What VAEs share whose KL has no closed form: their prior is learned, or their posterior is not a Gaussian."""

from typing import Any

from torch import Tensor

from .vae import VAE


class MonteCarloVAE(VAE):
    """A VAE with one Monte Carlo draw for the reconstruction and for the KL.

    loss = −log p(x|z) + log q(z|x) − log p(z),  z ~ q(z|x)      nats per image
    """

    closed_kl = False

    def draw(self, x: Tensor, generator: Any) -> Any:
        return self.code_noise(x, generator)

    def forward(self, x: Tensor, y: Tensor, noise: Any) -> dict[str, Tensor]:
        z, log_q = self.draw_code(x, y, noise)  # (B, D), (B,)
        rec = self.likelihood.nll(self.decode(z), x).mean()
        kl = (log_q - self.log_prior(z)).mean()
        return {"loss": rec + kl, "rec": rec, "kl": kl}
