"""The posterior, and the terms of the ELBO and of the importance-weighted bound."""

import torch
from torch import Tensor

from bench.datasets._splits import to_float
from bench.errors import NotApplicable
from bench.models.likelihoods import gaussian_kl, gaussian_log_prob, reparametrise
from bench.models.seeding import generator

from .base import BATCH, EvaluationContext, batches, fixed_subset, provides

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
    return gaussian_kl(*context.get("posterior"))


@provides()
def nll(context: EvaluationContext) -> Tensor:
    return _nll(context, "elbo")


@provides()
def redrawn_nll(context: EvaluationContext) -> list[Tensor]:
    return [_nll(context, f"elbo:{i}") for i in range(1, ELBO_REDRAWS + 1)]


def _nll(context: EvaluationContext, stream: str) -> Tensor:
    """−log p(x|z) of one draw z ~ q(z|x) for each test image, (N,)."""
    mean, log_var = context.get("posterior")
    noise = generator(context.cell.seed, stream, context.device)
    z = reparametrise(mean, log_var, torch.randn(mean.shape, generator=noise, device=context.device))
    model, pairs = context.model, zip(z.split(BATCH), batches(context.data.test), strict=True)
    return torch.cat([model.likelihood.nll(model.decode(b, y), to_float(x)) for b, (x, y) in pairs])


@provides()
def log_weights(context: EvaluationContext) -> Tensor:
    k, noise = context.cell.evaluate.iw_samples, generator(context.cell.seed, "iw", context.device)
    chosen = fixed_subset(len(context.data.test), context.cell.evaluate.iw_images)
    parts = torch.as_tensor(chosen, device=context.device).split(max(1, BATCH // k))
    return torch.cat([_log_weights(context, index, k, noise) for index in parts])


def _log_weights(context: EvaluationContext, index: Tensor, k: int, noise: torch.Generator) -> Tensor:
    """log p(x|z) + log p(z) − log q(z|x) for k draws of the images at `index`: (B, k)."""
    mean, log_var = (part[index].unsqueeze(1) for part in context.get("posterior"))  # (B, 1, D)
    eps = torch.randn(len(index), k, mean.shape[2], generator=noise, device=context.device)
    z = reparametrise(mean, log_var, eps)  # (B, k, D)
    x = context.get("images")[index].repeat_interleave(k, 0)  # (B·k, C, H, W)
    labels = context.data.test.labels
    y = None if labels is None else labels[index].repeat_interleave(k, 0)
    nll = context.model.likelihood.nll(context.model.decode(z.flatten(0, 1), y), x).view(len(index), k)
    prior = gaussian_log_prob(z, torch.zeros_like(z), torch.zeros_like(z))
    return prior - gaussian_log_prob(z, mean, log_var) - nll


@provides()
def elbo_same_images(context: EvaluationContext) -> float:
    """The ELBO of the images and draws of the importance-weighted bound: the mean log weight, never above the bound."""
    return context.get("log_weights").cpu().double().mean().item()


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
    options = "".join(f" {k}={v:g}" for k, v in sorted(context.cell.likelihood.options.items()))
    given = " given the label" if context.model.conditional else ""
    return f"{context.cell.likelihood.name}{options}{given}"


@provides()
def binarisation(context: EvaluationContext) -> str:
    return str(context.cell.dataset.options.get("binarise", "none"))
