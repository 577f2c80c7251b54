"""The context of an evaluation: the model, its data, and every input that a metric can ask for.

The inputs are functions, by topic; each is computed once for a cell, when it is first needed. `metrics/__init__.py`
says what each of them is. An input that does not exist for a model (the posterior of a deterministic code, the codes of
a mean image) raises `NotApplicable`; its message then stands in the record in place of a number.
"""

from . import bounds, codes, factors, features, images, information, maps, reconstructions, samples
from .base import BATCH, PROVIDERS, EvaluationContext, quantise

__all__ = [
    "BATCH",
    "PROVIDERS",
    "EvaluationContext",
    "bounds",
    "codes",
    "factors",
    "features",
    "images",
    "information",
    "maps",
    "quantise",
    "reconstructions",
    "samples",
]
