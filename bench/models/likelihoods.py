"""p(x|z): what the decoder's numbers mean, and the Gaussian terms every variational method shares.

All values are in nats per image: summed over pixels, one number for each image. Each function is tested against
`torch.distributions`.

Letters:  B batch · D latent size · P pixels (C·H·W)
"""

import math
from typing import ClassVar, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

LOG_2PI = math.log(2 * math.pi)
Link = Literal["sigmoid", "identity"]  #: the mean of a normal pixel is sigmoid(raw), or raw


def gaussian_kl(mean: Tensor, log_var: Tensor) -> Tensor:
    """KL(N(mean, exp(log_var)) ‖ N(0, I)), summed over the last axis; >= 0, nats (Kingma & Welling 2014, app. B).

    >>> gaussian_kl(torch.zeros(2, 3), torch.zeros(2, 3))
    tensor([0., 0.])
    """
    return 0.5 * (mean.square() + log_var.exp() - 1 - log_var).sum(-1)


def gaussian_log_prob(z: Tensor, mean: Tensor, log_var: Tensor) -> Tensor:
    """log N(z; mean, exp(log_var)), summed over the last axis, nats."""
    return -0.5 * (LOG_2PI + log_var + (z - mean).square() * (-log_var).exp()).sum(-1)


def reparametrise(mean: Tensor, log_var: Tensor, eps: Tensor) -> Tensor:
    """z = μ + σ ε with ε ~ N(0, I) drawn outside (Kingma & Welling 2014, section 2.4)."""
    return mean + (0.5 * log_var).exp() * eps


def per_image(values: Tensor) -> Tensor:
    """Sum everything but the first axis: (B, C, H, W) → (B,)."""
    return values.flatten(1).sum(1)


def following(nll: Tensor) -> Tensor:
    """0, with the gradient of `nll`: for a loss that does not train the likelihood's own parameters otherwise.

    nll: of reconstructions that are detached, so that nothing but these parameters has a gradient.
    """
    return nll - nll.detach()


class Likelihood(nn.Module):
    """p(x|z) for images x in [0, 1], given the decoder's unbounded output `raw`, both (B, C, H, W)."""

    is_density: ClassVar[bool] = True  #: False: a probability of binary pixels, no likelihood of grey ones
    levels: ClassVar[int | None] = None  #: grey levels that it gives probabilities to; None: a density, or binary

    link: Link = "sigmoid"

    def nll(self, raw: Tensor, x: Tensor) -> Tensor:
        """−log p(x|z), nats per image, (B,)."""
        raise NotImplementedError

    def mean(self, raw: Tensor) -> Tensor:
        """E[x|z], the image to show, (B, C, H, W); in [0, 1] but where `link` is the identity."""
        return raw if self.link == "identity" else raw.sigmoid()


class Bernoulli(Likelihood):
    """Independent binary pixels with probability sigmoid(raw).

    On grey pixels this is the cross-entropy and no likelihood: the normalising constant is neglected
    (Loaiza-Ganem & Cunningham 2019, https://arxiv.org/abs/1907.06845). It is what most published MNIST numbers are.
    """

    is_density = False

    def nll(self, raw: Tensor, x: Tensor) -> Tensor:
        return per_image(F.binary_cross_entropy_with_logits(raw, x, reduction="none"))


class Gaussian(Likelihood):
    """Independent normal pixels with one fixed σ; `nll` keeps its constant.

    The mean is sigmoid(raw). With `link: identity` it is raw itself, so that a linear net is a linear model.
    """

    def __init__(self, *, sigma: float = 1.0, link: Literal["sigmoid", "identity"] = "sigmoid") -> None:
        super().__init__()
        self.link = link
        self.sigma = sigma

    def nll(self, raw: Tensor, x: Tensor) -> Tensor:
        log_sigma = math.log(self.sigma)
        return per_image(0.5 * ((self.mean(raw) - x) / self.sigma).square() + log_sigma + 0.5 * LOG_2PI)


class LearnedGaussian(Likelihood):
    """Independent normal pixels with mean sigmoid(raw), or raw (`link: identity`), and one σ, learned with the net.

    The shared-σ model of Rybkin et al. 2021 (https://arxiv.org/abs/2006.13202), which takes the place of tuning β.
    Deviations: log σ is floored softly at −6 as in the authors' code, so that it cannot run away on constant images;
    and the number that is learned moves log σ `PACE` times as far. Adam moves every parameter by about the learning
    rate a step, so that σ of a good model (log σ ≈ −3) would else be thousands of steps away from its start at 1.
    """

    PACE = 10.0

    def __init__(self, *, link: Literal["sigmoid", "identity"] = "sigmoid") -> None:
        super().__init__()
        self.link = link
        self.raw_log_sigma = nn.Parameter(torch.zeros(()))

    def log_sigma(self) -> Tensor:
        """log σ, a scalar above −6."""
        return -6 + F.softplus(self.PACE * self.raw_log_sigma + 6)

    def nll(self, raw: Tensor, x: Tensor) -> Tensor:
        log_sigma = self.log_sigma()
        return per_image(0.5 * ((self.mean(raw) - x) * (-log_sigma).exp()).square() + log_sigma + 0.5 * LOG_2PI)


class ContinuousBernoulli(Likelihood):
    """The continuous Bernoulli: a density on [0, 1] with p(x|λ) ∝ λ^x (1−λ)^(1−x), λ = sigmoid(raw).

    Loaiza-Ganem & Cunningham 2019, https://arxiv.org/abs/1907.06845. Everything is written in the logit η = raw,
    where the constant C(λ) = 2 artanh(1−2λ) / (1−2λ) is simply η / tanh(η/2).
    """

    def nll(self, raw: Tensor, x: Tensor) -> Tensor:
        cross_entropy = F.binary_cross_entropy_with_logits(raw, x, reduction="none")
        return per_image(cross_entropy - self.log_norm(raw))

    @staticmethod
    def log_norm(raw: Tensor) -> Tensor:
        """log C(λ) = log(η / tanh(η/2)), elementwise; its Taylor series where |η| < 0.1."""
        near = raw.abs() < 0.1
        safe = torch.where(near, torch.ones_like(raw), raw)  # keeps the gradient of the unused branch finite
        far_value = (safe / torch.tanh(safe / 2)).log()
        square = raw.square()
        near_value = math.log(2) + square / 12 - square.square() * 7 / 1440
        return torch.where(near, near_value, far_value)

    def mean(self, raw: Tensor) -> Tensor:
        """E[x] = λ/(2λ−1) + 1/(2 artanh(1−2λ)) = 1/(1−e^(−η)) − 1/η; 1/2 + η/12 near η = 0."""
        near = raw.abs() < 0.1
        safe = torch.where(near, torch.ones_like(raw), raw)
        far_value = 1 / -torch.expm1(-safe) - 1 / safe
        return torch.where(near, 0.5 + raw / 12 - raw**3 / 720, far_value)


class DiscretisedLogistic(Likelihood):
    """Independent pixels of 256 levels: the logistic distribution around sigmoid(raw), integrated over each level.

    Kingma et al. 2016, https://arxiv.org/abs/1606.04934; Salimans et al. 2017, https://arxiv.org/abs/1701.05517, mix
    several. The level k/255 has the mass between k/255 ± 1/510; the lowest and the highest level have all that is
    beyond them, so that the 256 probabilities sum to 1. One scale, learned with the net and moved as that of
    `learned_gaussian` is; its logarithm is floored softly at −7. The image to show is the location sigmoid(raw), which
    is the mean but for what is beyond the ends.
    """

    levels = 256
    PACE = 10.0

    def __init__(self) -> None:
        super().__init__()
        self.raw_log_scale = nn.Parameter(torch.zeros(()))

    def log_scale(self) -> Tensor:
        """log s, a scalar above −7."""
        return -7 + F.softplus(self.PACE * self.raw_log_scale + 7)

    def nll(self, raw: Tensor, x: Tensor) -> Tensor:
        # log(σ(b) − σ(a)) = log σ(b) + log σ(−a) + log(1 − e^(a−b)): no difference of two close numbers is taken
        half, per_scale = 0.5 / (self.levels - 1), (-self.log_scale()).exp()
        off = x - self.mean(raw)
        below = F.logsigmoid((off + half) * per_scale)
        above = F.logsigmoid((half - off) * per_scale)
        between = (-torch.expm1(-2 * half * per_scale)).log()
        lowest, highest = x < half, x > 1 - half
        log_p = torch.where(lowest, below, torch.where(highest, above, below + above + between))
        return per_image(-log_p)
