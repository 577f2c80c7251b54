"""The contract of a variant: one method, written for ONE model and one batch.

A variant is one file with one class. It receives a net (encoder and decoder) and a likelihood from outside, so
that two rows of a table differ in the objective only; its options are keyword-only parameters.

Letters used in every variant file:  B batch · C H W image · D latent size · P pixels (C·H·W) · K classes

What is random is drawn outside the loss, by `draw`; `forward` is deterministic given its arguments. That lets the
trainer stack several models (`torch.func.vmap`) without the variant knowing: seeds of one definition, and definitions
that differ by their `scalars`.
"""

from collections.abc import Callable, Mapping
from typing import Any, ClassVar, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bench.errors import NotApplicable
from bench.models.likelihoods import Likelihood, gaussian_log_prob, reparametrise
from bench.models.nets import Net


class Posterior(NamedTuple):
    """Diagonal Gaussian q(z|x): `mean` and `log_var`, each (B, D)."""

    mean: Tensor
    log_var: Tensor


class Variant(nn.Module):
    """Base of all variants. Class constants are literals: the registry reads them without importing torch.

    Labels `y` are (B,) int64, -1 where unknown. Only a `conditional` variant looks at them in `encode`, `posterior`,
    `decode` and `generate`; the others take them and leave them.

    `scalars` are the options that may differ between the models of a stack: floats, each an attribute of the same name,
    and in a stack a tensor without axes. `forward` multiplies, adds, compares or clamps float32 tensors with them, such
    as nets give in every precision (one of bfloat16 would round them). What shapes, `draw`, an `if`, a rounding or the
    data (`labelled_fraction`) depend on is no scalar. A scalar may have a schedule: in training it is then such a
    tensor, stacked or not, and outside of training a float, the schedule's last value.
    """

    title: ClassVar[str] = ""  #: the full name, for readers
    symbol: ClassVar[str] = ""  #: the short name in tables, figures and legends
    option_symbols: ClassVar[dict[str, str]] = {}  #: option -> its symbol in the paper
    reference: ClassVar[str] = ""  #: authors, title, year, URL
    cite: ClassVar[str] = ""  #: key of the entry in bench/references.bib
    version: ClassVar[int] = 1  #: raised when the definition changes; part of every cell's id
    uses_net: ClassVar[bool] = True  #: False: no net is built, and the suite's `nets` axis does not multiply it
    heads: ClassVar[int] = 1  #: how many vectors of length D the encoder puts out (2: mean and log-variance)
    has_code: ClassVar[bool] = True  #: False: metrics and samplers that need codes do not apply
    has_posterior: ClassVar[bool] = False  #: True: `draw_code` exists, and with it an ELBO
    closed_kl: ClassVar[bool] = True  #: q(z|x) is a diagonal Gaussian and p(z) = N(0, I): the KL is in closed form
    own_prior: ClassVar[bool] = False  #: True: `draw_prior` is of a prior that the method has learned
    prior_has_density: ClassVar[bool] = True  #: False: `log_prior` is not the log-density of what `draw_prior` draws
    discrete: ClassVar[bool] = False  #: True: codes are quantised, and no continuous density is one of them
    corrupts: ClassVar[bool] = False  #: True: in training the encoder is given corrupted images
    conditional: ClassVar[bool] = False  #: True: codes and images are those of a label
    closed_form: ClassVar[bool] = False  #: True: `fit` computes the parameters, nothing is trained by gradient
    stackable: ClassVar[bool] = True  #: False: the trainer takes its models one at a time
    scalars: ClassVar[tuple[str, ...]] = ()  #: options that are plain numbers in `forward`
    needs_labels: ClassVar[bool] = False  #: True: skipped on datasets without labels
    latent_at_most_pixels: ClassVar[bool] = False  #: True: skipped where D > P
    default_likelihood: ClassVar[str] = "bernoulli"

    #: called as `after_step(x, y, noise)` after each update, without gradients, for what is no gradient: it changes
    #: buffers in place and waits for no value of the device. A model that has it is trained alone
    after_step: Callable[[Tensor, Tensor, Any], None] | None = None
    #: the first part of a parameter's name -> the factor of its learning rate, for a critic of another pace
    rates: Mapping[str, float] | None = None
    labelled_fraction: float = 1.0  #: of the train images; the trainer hides the labels of the others (y = -1)

    def __init_subclass__(cls, **keywords: Any) -> None:
        """Raises `TypeError` where constants contradict methods: bounds and samples would be those of N(0, I)."""
        super().__init_subclass__(**keywords)
        methods = ("draw_code", "log_prior", "draw_prior")
        own = [name for name in methods if getattr(cls, name) is not getattr(Variant, name)]
        if cls.closed_kl and own:
            raise TypeError(f"with a {own[0]} of its own, the class needs closed_kl = False")
        prior = [name for name in own if name != "draw_code"]
        if len(prior) == 1 or bool(prior) != cls.own_prior:
            raise TypeError("a prior of its own is log_prior, draw_prior and own_prior = True together")

    def __init__(self, net: Net, likelihood: Likelihood) -> None:
        super().__init__()
        self.net = net
        self.likelihood = likelihood

    @classmethod
    def given(cls, classes: int, **options: Any) -> tuple[int, int]:
        """How many numbers encoder and decoder are given beside the image and the code, for a variant's options."""
        return 0, 0

    def draw(self, x: Tensor, generator: torch.Generator) -> Any:
        """The noise of one step for images of the shape of `x`, (B, C, H, W), and on its device.

        A tensor, a tuple of tensors, or (); the first axis of each is that of the images. It does not look at pixels:
        the noise of many steps is drawn at once where that is faster, and dealt out.
        """
        return ()

    def forward(self, x: Tensor, y: Tensor, noise: Any) -> dict[str, Tensor]:
        """The objective of a batch: {"loss": scalar, and its terms by name}, nats per image, averaged over B.

        `x` (B, C, H, W) in [0, 1]; `y` (B,) int64 class labels, -1 where unknown; `noise` from `draw`. It is a function
        of these and of parameters and buffers alone: it keeps no count of steps.
        """
        raise NotImplementedError

    def encode(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        """Codes (B, D) of images (B, C, H, W); for a posterior its mean μ."""
        raise NotImplementedError

    def posterior(self, x: Tensor, y: Tensor | None = None) -> Posterior:
        """q(z|x) of images (B, C, H, W); raises `NotApplicable` unless `has_posterior`."""
        name = type(self).__module__.rpartition(".")[2]
        raise NotApplicable(f"{name} has {'a deterministic code' if self.has_code else 'no code'}: no posterior")

    def code_noise(self, x: Tensor, generator: torch.Generator) -> Any:
        """The noise of one draw from q(z|x) for images (B, C, H, W), as `draw` returns noise."""
        return torch.randn(len(x), self.net.size.latent_size, generator=generator, device=x.device)  # (B, D)

    def draw_code(self, x: Tensor, y: Tensor | None, noise: Any) -> tuple[Tensor, Tensor]:
        """One code z ~ q(z|x) for each image, (B, D), and log q(z|x), (B,), nats."""
        q = self.posterior(x, y)
        z = reparametrise(q.mean, q.log_var, noise)
        return z, gaussian_log_prob(z, q.mean, q.log_var)

    def log_prior(self, z: Tensor) -> Tensor:
        """log p(z) of codes (B, D), (B,), nats; the standard normal unless a method has a prior of its own."""
        return gaussian_log_prob(z, torch.zeros_like(z), torch.zeros_like(z))

    def draw_prior(self, n: int, generator: torch.Generator) -> Tensor:
        """Codes (n, D) from p(z), on the CPU's generator's device."""
        return torch.randn(n, self.net.size.latent_size, generator=generator)

    def decode(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        """Parameters of p(x|z) (B, C, H, W) for codes (B, D); `likelihood.mean` turns them into an image."""
        return self.net.decode(z)

    def generate(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        """Images (B, C, H, W) for codes (B, D): E[x|z], in [0, 1] but for what a linear method overshoots."""
        return self.likelihood.mean(self.decode(z, y))

    def fit(self, batches: Callable[[], Any]) -> None:
        """Closed-form variants only: compute the parameters. `batches()` yields images (B, C, H, W) once through."""
        raise NotImplementedError


class LabelsGiven:
    """For conditional variants: `labels` is "both" (encoder and decoder are given the label) or "decoder"."""

    net: Net
    labels: str

    @classmethod
    def given(cls, classes: int, **options: Any) -> tuple[int, int]:
        """One number a class for each half that is given the label."""
        return (classes if options.get("labels", "both") == "both" else 0), classes

    def to_encoder(self, y: Tensor | None) -> Tensor | None:
        """What the encoder is given, (B, K), or None."""
        return self.to_decoder(y) if self.labels == "both" else None

    def to_decoder(self, y: Tensor | None) -> Tensor:
        """What the decoder is given, (B, K)."""
        assert y is not None, "a conditional model needs labels"
        return one_hot(y, self.net.size.classes)


def one_hot(y: Tensor, classes: int) -> Tensor:
    """Labels (B,) as (B, K) float32; an unknown label (-1) is a row of zeros."""
    return (y.unsqueeze(1) == torch.arange(classes, device=y.device)).float()


def known_cross_entropy(logits: Tensor, y: Tensor) -> Tensor:
    """Cross-entropy in nats, averaged over the images of known label; 0 where none is known. (B, K), (B,) → scalar."""
    known = (y >= 0).float()
    losses = F.cross_entropy(logits, y.clamp_min(0), reduction="none")
    return (losses * known).sum() / known.sum().clamp_min(1)
