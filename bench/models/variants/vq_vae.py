"""VQ-VAE: the code is a tuple of vectors from a learned codebook.

    z = f(x), in D/d vectors of d numbers        e = the nearest of K codebook vectors to each
    loss = −log p(x|e) + ‖sg[z] − e‖² + β ‖z − sg[e]‖²      nats per image

The decoder is given e, with the gradient copied to z (straight-through); sg stops a gradient. The second term moves the
codebook, the third commits the encoder. A code is one of K^(D/d).

With decay γ > 0 the second term is gone and the codebook follows running means, over the n_k vectors z of a batch that
are nearest to e_k:

    N_k ← γ N_k + (1 − γ) n_k        m_k ← γ m_k + (1 − γ) Σ z        e_k = m_k / N_k

With `restart` > 0, a vector whose N_k falls below it is replaced by a random z of the batch (Dhariwal et al., Jukebox,
2020, https://arxiv.org/abs/2005.00341, section 3).

Reference: van den Oord, Vinyals & Kavukcuoglu, Neural Discrete Representation Learning, NeurIPS 2017,
https://arxiv.org/abs/1711.00937 (eq. 3; running means: appendix A.1)
Deviation: the positions are those of a vector code and not of a feature map; the codebook is learned by gradient by
default; running means are of the encoder after the update.
"""

from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bench.errors import UsageError
from bench.models.likelihoods import Likelihood
from bench.models.nets import Net
from bench.models.seeding import part

from .ae import AE

RARE = 1e-6  #: a running count below which its mean has no digits left, and its vector stays


class VQVAE(AE):
    title = "Vector-quantised VAE"
    symbol = "VQ-VAE"
    option_symbols: ClassVar = {"codes": "K", "dim": "d", "beta": "β", "decay": "γ", "restart": "restart below"}
    reference = (
        "van den Oord et al., Neural Discrete Representation Learning, NeurIPS 2017, https://arxiv.org/abs/1711.00937"
    )
    cite = "oord2017neural"
    discrete = True
    scalars = ("beta",)
    codebook: Tensor  #: (K, d)
    counts: Tensor  #: N, (K,), with a decay
    sums: Tensor  #: m, (K, d), with a decay

    def __init__(
        self,
        net: Net,
        likelihood: Likelihood,
        *,
        codes: int = 64,
        dim: int = 2,
        beta: float = 0.25,
        decay: float = 0.0,
        restart: float = 0.0,
    ) -> None:
        super().__init__(net, likelihood)
        size = net.size.latent_size
        if codes < 1 or dim < 1 or size % dim:
            raise UsageError(f"vq_vae: a code of {size} numbers cannot be cut into vectors of {dim} (K = {codes})")
        if not 0 <= decay < 1 or restart < 0 or (restart and not decay):
            allowed = "decay from 0 to below 1, and restart above 0 only with a decay"
            raise UsageError(f"vq_vae: {allowed}; got {decay:g} and {restart:g}")
        self.codes, self.dim, self.beta, self.decay, self.restart = codes, dim, beta, decay, restart
        with part("codebook"):
            start = torch.empty(codes, dim).uniform_(-1, 1)
        if not decay:
            self.codebook = nn.Parameter(start)
            return
        self.register_buffer("codebook", start)
        self.register_buffer("counts", torch.ones(codes))
        self.register_buffer("sums", start.clone())
        self.after_step = self.follow

    def draw(self, x: Tensor, generator: torch.Generator) -> Any:
        if not self.restart:
            return ()
        return torch.rand(len(x), self.net.size.latent_size // self.dim, generator=generator, device=x.device)

    def forward(self, x: Tensor, y: Tensor, noise: Any) -> dict[str, Tensor]:
        z = self.net.encode(x)  # (B, D)
        e = self.values(self.indices(z))  # (B, D)
        rec = self.likelihood.nll(self.decode(z + (e - z).detach()), x).mean()
        commitment = (z - e.detach()).square().sum(1).mean()
        if self.decay:
            return {"loss": rec + self.beta * commitment, "rec": rec, "commitment": commitment}
        codebook = (z.detach() - e).square().sum(1).mean()
        loss = rec + codebook + self.beta * commitment
        return {"loss": loss, "rec": rec, "codebook": codebook, "commitment": commitment}

    def follow(self, x: Tensor, y: Tensor, noise: Any) -> None:
        """Move running counts, sums and the codebook on by one batch of images (B, C, H, W)."""
        z = self.net.encode(x)
        chosen = F.one_hot(self.indices(z).flatten(), self.codes).to(z.dtype)  # (B · D/d, K)
        vectors = z.view(-1, self.dim)  # (B · D/d, d)
        self.counts.lerp_(chosen.sum(0), 1 - self.decay)
        self.sums.lerp_(chosen.T @ vectors, 1 - self.decay)
        if self.restart:
            self.revive(vectors[noise.flatten().argsort()])
        used = self.counts.unsqueeze(1)
        self.codebook.copy_(torch.where(used > RARE, self.sums / used.clamp_min(RARE), self.codebook))

    def revive(self, vectors: Tensor) -> None:
        """Put `vectors` (N, d), one after the other, in the place of codebook vectors that are hardly used."""
        dead = (self.counts < self.restart).unsqueeze(1)  # (K, 1)
        each = vectors[torch.arange(self.codes, device=vectors.device) % len(vectors)]
        self.sums.copy_(torch.where(dead, self.restart * each, self.sums))
        self.counts.clamp_(min=self.restart)

    def encode(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        """The codebook vectors nearest to the encoder's, (B, D)."""
        return self.values(self.indices(self.net.encode(x)))

    def indices(self, z: Tensor) -> Tensor:
        """Index of the nearest codebook vector at each position, int64: (B, D) → (B, D/d)."""
        vectors = z.unflatten(1, (-1, self.dim)).unsqueeze(2)  # (B, D/d, 1, d)
        return (vectors - self.codebook).square().sum(-1).argmin(-1)

    def values(self, indices: Tensor) -> Tensor:
        """Codebook vectors, one behind the other: int64 (B, D/d) → (B, D)."""
        return self.codebook[indices].flatten(1)
