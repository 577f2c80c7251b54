"""The posterior, and the terms of the ELBO and of the importance-weighted bound."""

import torch
from torch import Tensor

from bench.datasets._splits import to_float
from bench.errors import NotApplicable
from bench.evaluation.subsets import fixed_subset
from bench.models.likelihoods import gaussian_kl, gaussian_log_prob, reparametrise
from bench.models.seeding import generator

from .base import BATCH, EvaluationContext, batches, provides

PIXEL_LEVELS = 256  #: of 8 bits
ELBO_REDRAWS = 2  #: further draws of every test image, for the spread of the ELBO


@provides()
def posterior(context: EvaluationContext) -> tuple[Tensor, Tensor]:
    if not context.model.has_posterior:
        raise NotApplicable("a deterministic code has no posterior")
    parts = [context.model.posterior(to_float(x), y) for x, y in batches(context.data.test)]
    return torch.cat([p.mean for p in parts]), torch.cat([p.log_var for p in parts])


@provides()
def posterior_mean(context: EvaluationContext) -> Tensor:
    return context.get("posterior")[0]


@provides()
def posterior_log_var(context: EvaluationContext) -> Tensor:
    return context.get("posterior")[1]


@provides()
def kl(context: EvaluationContext) -> Tensor:
    """The KL of each test image, (N,): in closed form, or log q(z|x) − log p(z) of the draw that `nll` is of."""
    if context.model.closed_kl:
        return gaussian_kl(*context.get("posterior"))
    return _draws(context, "elbo")[1]


@provides()
def nll(context: EvaluationContext) -> Tensor:
    return _nll(context, _draws(context, "elbo")[0])


@provides()
def redrawn_level_nll(context: EvaluationContext) -> list[Tensor]:
    return context.get("redrawn_nll")


@provides()
def redrawn_nll(context: EvaluationContext) -> list[Tensor]:
    """`nll` of further draws; where the KL is one of draws as well, with the change of that term."""
    found = []
    for i in range(1, ELBO_REDRAWS + 1):
        z, ratio = _draws(context, f"elbo:{i}")
        change = 0 if context.model.closed_kl else ratio - context.get("kl")
        found.append(_nll(context, z) + change)
    return found


def _draws(context: EvaluationContext, stream: str) -> tuple[Tensor, Tensor]:
    """One z ~ q(z|x) for each test image, (N, D), and log q(z|x) − log p(z), (N,)."""
    model, noise = context.model, generator(context.cell.seed, stream, context.device)
    if model.closed_kl:
        mean, log_var = context.get("posterior")
        z = reparametrise(mean, log_var, torch.randn(mean.shape, generator=noise, device=context.device))
        return z, gaussian_log_prob(z, mean, log_var) - model.log_prior(z)
    parts = []
    for x, y in batches(context.data.test):
        images = to_float(x)
        z, log_q = model.draw_code(images, y, model.code_noise(images, noise))
        parts.append((z, log_q - model.log_prior(z)))
    return torch.cat([z for z, _ in parts]), torch.cat([ratio for _, ratio in parts])


def _nll(context: EvaluationContext, z: Tensor) -> Tensor:
    """−log p(x|z) of a code for each test image: (N, D) → (N,)."""
    model, pairs = context.model, zip(z.split(BATCH), batches(context.data.test), strict=True)
    return torch.cat([model.likelihood.nll(model.decode(b, y), to_float(x)) for b, (x, y) in pairs])


@provides()
def log_weights(context: EvaluationContext) -> Tensor:
    k, noise = context.cell.evaluate.iw_samples, generator(context.cell.seed, "iw", context.device)
    if not context.model.has_posterior:
        raise NotApplicable("a deterministic code has no posterior")
    chosen = fixed_subset(len(context.data.test), context.cell.evaluate.iw_images)
    size = max(1, BATCH // k)
    # One tensor from the start: small results kept between large temporaries fragment the heap (MNIST, 1,000 draws: by
    # 3 MB an image)
    found = torch.empty(len(chosen), k, device=context.device)
    for part, index in zip(found.split(size), torch.as_tensor(chosen, device=context.device).split(size), strict=True):
        part.copy_(_log_weights(context, index, k, noise))
    return found


def _log_weights(context: EvaluationContext, index: Tensor, k: int, noise: torch.Generator) -> Tensor:
    """log p(x|z) + log p(z) − log q(z|x) for k draws of the images at `index`: (B, k)."""
    model, labels = context.model, context.data.test.labels
    x = context.get("images")[index].repeat_interleave(k, 0)  # (B·k, C, H, W)
    y = None if labels is None else labels[index].repeat_interleave(k, 0)
    if model.closed_kl:
        mean, log_var = (part[index].unsqueeze(1) for part in context.get("posterior"))  # (B, 1, D)
        eps = torch.randn(len(index), k, mean.shape[2], generator=noise, device=context.device)
        z = reparametrise(mean, log_var, eps)  # (B, k, D)
        log_q, z = gaussian_log_prob(z, mean, log_var).flatten(), z.flatten(0, 1)
    else:
        z, log_q = model.draw_code(x, y, model.code_noise(x, noise))
    nll = model.likelihood.nll(model.decode(z, y), x)
    return (model.log_prior(z) - log_q - nll).view(len(index), k)


@provides()
def elbo_same_images(context: EvaluationContext) -> float:
    """The ELBO of the images and draws of the importance-weighted bound: the mean log weight, never above the bound."""
    return context.get("log_weights").cpu().double().mean().item()


@provides()
def level_nll(context: EvaluationContext) -> Tensor:
    """`nll` under a likelihood that gives a probability to each of the 256 levels of a pixel."""
    likelihood = context.model.likelihood
    if getattr(likelihood, "levels", None) != PIXEL_LEVELS:
        name = context.cell.likelihood.name or "a likelihood"
        raise NotApplicable(f"needs probabilities of the {PIXEL_LEVELS} levels of a pixel, {name} has none")
    return context.get("nll")


@provides()
def quantity(context: EvaluationContext) -> str | None:
    """What a bound is called where it bounds no log-likelihood: the Bernoulli cross-entropy of pixels that are not
    binary. None elsewhere."""
    if context.model.likelihood.is_density:
        return None
    images = context.data.test.images
    binary = bool(((images == 0) | (images == 255)).all())
    return None if binary else "cross-entropy bound"


@provides()
def iw_k(context: EvaluationContext) -> int:
    return context.cell.evaluate.iw_samples


@provides()
def likelihood(context: EvaluationContext) -> str:
    given_options = sorted(context.cell.likelihood.options.items())
    # The sigmoid goes without saying, as it did before there was another link: one key, comparable values
    options = "".join(f" {k}={v if isinstance(v, str) else f'{v:g}'}" for k, v in given_options if v != "sigmoid")
    given = " given the label" if context.model.conditional else ""
    return f"{context.cell.likelihood.name}{options}{given}"


@provides()
def binarisation(context: EvaluationContext) -> str:
    return str(context.cell.dataset.options.get("binarise", "none"))
