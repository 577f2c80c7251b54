"""σ-VAE with the optimal σ: the scale of the Gaussian likelihood is the error of the batch, in closed form.

    σ*² = mean squared error of the batch's reconstructions
    loss = (P/2) (log 2πσ*² + 1) + KL(q(z|x) ‖ N(0, I))      nats per image

The first term is the Gaussian negative log-likelihood at its minimum over σ. The learned σ of the likelihood, which
evaluation uses, follows by its own gradient on detached reconstructions and does not change the objective.

Reference: Rybkin, Daniilidis & Levine, Simple and Effective VAE Training with Calibrated Decoders, ICML 2021,
https://arxiv.org/abs/2006.13202 (section 3.3)
"""

import math

from torch import Tensor

from bench.errors import UsageError
from bench.models.likelihoods import LearnedGaussian, Likelihood, gaussian_kl, reparametrise
from bench.models.nets import Net

from .vae import VAE


class SigmaVAE(VAE):
    title = "σ-VAE, optimal σ"
    symbol = "σ-VAE"
    reference = (
        "Rybkin et al., Simple and Effective VAE Training with Calibrated Decoders, ICML 2021, "
        "https://arxiv.org/abs/2006.13202"
    )
    cite = "rybkin2021simple"
    default_likelihood = "learned_gaussian"

    def __init__(self, net: Net, likelihood: Likelihood) -> None:
        super().__init__(net, likelihood)
        if not isinstance(likelihood, LearnedGaussian):
            raise UsageError("sigma_vae has a Gaussian likelihood with the optimal σ; leave out `likelihood`")

    def forward(self, x: Tensor, y: Tensor, noise: Tensor) -> dict[str, Tensor]:
        q = self.posterior(x)
        raw = self.decode(reparametrise(q.mean, q.log_var, noise))  # (B, C, H, W)
        error = (self.likelihood.mean(raw) - x).square().mean()
        rec = 0.5 * x[0].numel() * ((2 * math.pi * error).log() + 1)
        kl = gaussian_kl(q.mean, q.log_var).mean()
        follow = self.likelihood.nll(raw.detach(), x).mean()
        return {"loss": rec + kl + (follow - follow.detach()), "rec": rec, "kl": kl}
