"""Generated images: codes drawn by each sampler, and codes half-way between those of test images."""

from itertools import repeat

import numpy as np
import torch
from torch import Tensor

from bench import registry
from bench.errors import NotApplicable
from bench.evaluation.embeddings import require_spread
from bench.evaluation.neighbors import need
from bench.evaluation.subsets import fixed_pairs, fixed_subset
from bench.models.samplers import Sampler
from bench.models.seeding import derive, numpy_rng

from .base import BATCH, EvaluationContext, provides, quantise

SAMPLER_POINTS = 10_000  #: train codes that a sampler is fitted on, a fixed random subset
HELD_OUT = 1_000  #: test codes whose log-likelihood under a sampler is computed, a fixed random subset


@provides(per="sampler")
def samples(context: EvaluationContext, sampler: str) -> Tensor:
    return _generated(context, context.get("drawn_codes", sampler), context.get("drawn_labels", sampler))


def _generated(context: EvaluationContext, codes: Tensor, labels: Tensor | None) -> Tensor:
    """uint8 (S, C, H, W): generated images are quantised as stored ones are.

    Raises `NotApplicable` for images that are not finite: as integers they would be black and have a distance.
    """
    pairs = zip(codes.split(BATCH), (labels.split(BATCH) if labels is not None else repeat(None)), strict=False)
    made = []
    for z, y in pairs:
        images = context.model.generate(z, y)
        if not bool(images.isfinite().all()):
            raise NotApplicable("some of the generated images are not finite")
        made.append(quantise(images))
    return torch.cat(made)


@provides(per="sampler")
def drawn_labels(context: EvaluationContext, sampler: str) -> Tensor | None:
    """The labels of a conditional model's samples, as frequent as among the train images; None for other models."""
    if not context.model.conditional:
        return None
    train = context.data.train.labels
    assert train is not None, "a conditional model needs labels"
    rng = numpy_rng(context.cell.seed, f"labels:{sampler}")
    return torch.as_tensor(rng.choice(train.cpu().numpy(), context.cell.evaluate.n_samples), device=context.device)


@provides(per="sampler")
def drawn_codes(context: EvaluationContext, sampler: str) -> Tensor:
    rng = numpy_rng(context.cell.seed, f"sampler:{sampler}")
    drawn = context.get("fitted_sampler", sampler).sample(context.cell.evaluate.n_samples, rng)
    return torch.as_tensor(drawn, dtype=torch.float32, device=context.device)


@provides(per="sampler")
def fitted_sampler(context: EvaluationContext, sampler: str) -> Sampler:
    """The sampler, fitted on train codes. Raises `NotApplicable` where it is not legitimate for the model's codes."""
    kind, model = registry.load("samplers", sampler), context.model
    discrete = getattr(model, "discrete", False)
    if discrete and not kind.of_discrete:
        raise NotApplicable(f"{kind.title}: a continuous density is none of discrete codes")
    if not discrete and not kind.of_continuous:
        raise NotApplicable(f"{kind.title}: needs discrete codes, these are continuous")
    if getattr(model, "own_prior", False) and not kind.of_own_prior:
        raise NotApplicable(f"{kind.title}: the model was trained with another prior, see own_prior")
    fitted: Sampler = kind()
    if kind.needs_model:
        fitted.fit_model(model)
    codes = context.get("sampler_codes") if kind.needs_codes else np.zeros((1, context.cell.latent_size))
    fitted.fit(codes, derive(context.cell.seed, f"sampler:{sampler}") % 2**32)
    return fitted


@provides(per="sampler")
def code_log_prob(context: EvaluationContext, sampler: str) -> Tensor:
    codes = context.get("codes").cpu().double().numpy()
    return torch.from_numpy(context.get("fitted_sampler", sampler).log_prob(codes[fixed_subset(len(codes), HELD_OUT)]))


@provides()
def sampler_codes(context: EvaluationContext) -> np.ndarray:
    """The train codes that samplers are fitted on, float64 (n, D)."""
    codes = context.get("train_codes").cpu().double().numpy()
    require_spread(codes)
    return codes[fixed_subset(len(codes), SAMPLER_POINTS)]


@provides(per="sampler")
def sample_labels(context: EvaluationContext, sampler: str) -> Tensor:
    given = context.get("drawn_labels", sampler)
    if given is not None:
        return given
    if not hasattr(context.model, "classify"):
        raise NotApplicable(f"{context.cell.variant.name} gives its samples no label")
    codes = context.get("drawn_codes", sampler)
    return torch.cat([context.model.classify(z).argmax(1) for z in codes.split(BATCH)])


@provides()
def interpolations(context: EvaluationContext) -> Tensor:
    """uint8 (N, C, H, W): images decoded half-way between the codes of two test images."""
    codes = context.get("continuous_codes")
    need(2, codes, "test images")
    if context.model.conditional:
        raise NotApplicable("codes of two labels have no label half-way between them")
    first, second = (torch.as_tensor(i, device=context.device) for i in fixed_pairs(len(codes)))
    return _generated(context, (codes[first] + codes[second]) / 2, None)
