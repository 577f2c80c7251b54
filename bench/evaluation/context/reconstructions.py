"""Reconstructions of test, train and corrupted images, and the matrix of a linear model."""

import torch
from torch import Tensor

from bench.datasets import Split
from bench.errors import NotApplicable

from .base import BATCH, EvaluationContext, batches, provides
from .codes import encoded


@provides()
def reconstructions(context: EvaluationContext) -> Tensor:
    return _reconstructed(context, context.data.test, context.get("codes") if context.model.has_code else None)


@provides()
def train_reconstructions(context: EvaluationContext) -> Tensor:
    return _reconstructed(context, context.get("train_split"))


@provides(per="corruption", kept=False)
def corrupted_reconstructions(context: EvaluationContext, corruption: str) -> Tensor:
    return _reconstructed(context, context.get("corrupted_split", corruption))


def _reconstructed(context: EvaluationContext, split: Split, codes: Tensor | None = None) -> Tensor:
    """Images decoded from the codes of `split`, which are `codes` where they have been computed already."""
    if codes is None:
        none = torch.zeros(len(split), 1, device=context.device)
        codes = encoded(context, split) if context.model.has_code else none
    pairs = zip(codes.split(BATCH), batches(split), strict=True)
    return torch.cat([context.model.generate(z, y) for z, (_, y) in pairs])


@provides()
def linear_map(context: EvaluationContext) -> Tensor:
    if not hasattr(context.model, "linear_map"):
        raise NotApplicable("the model is not linear")
    return context.model.linear_map()
