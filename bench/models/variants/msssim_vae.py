"""MS-SSIM-VAE: a VAE whose images shall be similar in structure instead of pixel by pixel.

    loss = λ (1 − MS-SSIM(x, x̂)) + KL(q(z|x) ‖ N(0, I)),  x̂ = E[x|z],  z ~ q(z|x)      per image; the KL in nats

MS-SSIM is `models/similarity.py`: M scales, each of half the size, as long as the shorter side keeps 7 pixels. That is
5 scales from 112 pixels on, 4 from 56, 3 from 28 (28, 14, 7) and 1 on 8 × 8, where it is SSIM with a window of 7. The
reported `rec` is −log p(x|z), which is not trained; parameters of the likelihood follow by its gradient on detached
reconstructions, since evaluation uses them.

Reference: Snell et al., Learning to Generate Images with Perceptual Similarity Metrics, ICIP 2017,
https://arxiv.org/abs/1511.06409 (section 3.2); MS-SSIM: Wang, Simoncelli & Bovik 2003,
https://doi.org/10.1109/ACSSC.2003.1292216
Deviation (ours): λ = 100, and the similarity of each scale is moved from [−1, 1] to [0, 1] before its power is taken.
"""

from typing import ClassVar

from torch import Tensor

from bench.models.likelihoods import Likelihood, following, gaussian_kl, reparametrise
from bench.models.nets import Net
from bench.models.similarity import ms_ssim

from .vae import VAE


class MSSSIMVAE(VAE):
    title = "VAE, multi-scale structural similarity"
    symbol = "MS-SSIM-VAE"
    option_symbols: ClassVar = {"weight": "λ"}
    reference = (
        "Snell et al., Learning to Generate Images with Perceptual Similarity Metrics, ICIP 2017, "
        "https://arxiv.org/abs/1511.06409"
    )
    cite = "snell2017learning"
    scalars = ("weight",)

    def __init__(self, net: Net, likelihood: Likelihood, *, weight: float = 100.0) -> None:
        super().__init__(net, likelihood)
        self.weight = weight

    def forward(self, x: Tensor, y: Tensor, noise: Tensor) -> dict[str, Tensor]:
        q = self.posterior(x)
        raw = self.decode(reparametrise(q.mean, q.log_var, noise))  # (B, C, H, W)
        unlike = (1 - ms_ssim(x, self.likelihood.mean(raw))).mean()
        kl = gaussian_kl(q.mean, q.log_var).mean()
        rec = self.likelihood.nll(raw.detach(), x).mean()
        loss = self.weight * unlike + kl + following(rec)
        return {"loss": loss, "rec": rec, "kl": kl, "unlike": unlike}
