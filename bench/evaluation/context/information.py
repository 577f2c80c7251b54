"""Draws from the posterior of some test images, and the symbols of discrete codes."""

import torch
from torch import Tensor

from bench.errors import NotApplicable
from bench.evaluation.subsets import fixed_subset
from bench.models.likelihoods import reparametrise
from bench.models.seeding import generator

from .base import EvaluationContext, provides

INFORMATION_IMAGES = 2_000  #: test images whose mutual information with their codes is estimated
REDRAWS = 2  #: further draws of each, for the spread of the estimate


@provides()
def drawn_index(context: EvaluationContext) -> Tensor:
    """Indices of the test images that `posterior_draws` are of."""
    return torch.as_tensor(fixed_subset(len(context.data.test), INFORMATION_IMAGES), device=context.device)


@provides()
def drawn_mean(context: EvaluationContext) -> Tensor:
    return context.get("posterior_mean")[context.get("drawn_index")]


@provides()
def drawn_log_var(context: EvaluationContext) -> Tensor:
    return context.get("posterior_log_var")[context.get("drawn_index")]


@provides()
def posterior_draws(context: EvaluationContext) -> Tensor:
    return _drawn(context, "information")


@provides()
def redrawn_posterior_draws(context: EvaluationContext) -> list[Tensor]:
    return [_drawn(context, f"information:{i}") for i in range(1, REDRAWS + 1)]


def _drawn(context: EvaluationContext, stream: str) -> Tensor:
    mean, noise = context.get("drawn_mean"), generator(context.cell.seed, stream, context.device)
    eps = torch.randn(mean.shape, generator=noise, device=context.device)
    return reparametrise(mean, context.get("drawn_log_var"), eps)


@provides()
def continuous_codes(context: EvaluationContext) -> Tensor:
    require_continuous(context)
    return context.get("codes")


def require_continuous(context: EvaluationContext) -> None:
    """Raise `NotApplicable` for a model whose codes are discrete."""
    if getattr(context.model, "discrete", False):
        raise NotApplicable("needs continuous codes, these are discrete")


@provides()
def code_counts(context: EvaluationContext) -> Tensor:
    symbols, model = context.get("code_symbols"), context.model
    shared = hasattr(model, "codebook")  # one for all positions of a code; else each has symbols of its own
    size = len(model.codebook) if shared else model.levels
    groups = symbols.flatten()[None] if shared else symbols.T
    return torch.stack([group.bincount(minlength=size) for group in groups])


@provides()
def code_symbols(context: EvaluationContext) -> Tensor:
    """The symbol at each position of the test codes, int64 (N, positions)."""
    if not hasattr(context.model, "indices"):
        raise NotApplicable("the code has no symbols")
    return context.model.indices(context.get("codes"))
