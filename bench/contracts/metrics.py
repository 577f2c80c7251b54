"""The contract of a metric, checked on a VAE trained for one epoch on digits."""

import math
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from bench.datasets import Data, Split, _loading
from bench.errors import NotApplicable
from bench.evaluation.context import PROVIDERS, EvaluationContext
from bench.evaluation.feature_extractors import FeatureExtractors
from bench.suite import Cell, Choice, Embed, Evaluate, Train
from bench.suite.names import members
from bench.training import checkpoint
from bench.training.trainer import fit

from .common import Broken, Check, Subject, require


def declaration_is_complete(subject: Subject) -> None:
    """`@metric` names a unit, and `counts` is one of the inputs; every input exists."""
    metric = subject.kind
    unknown = [name for name in metric.needs if name not in PROVIDERS]
    require(not unknown, f"there is no input {unknown[0] if unknown else ''!r}", metric.function.__name__)
    require(metric.counts in metric.needs, f"counts is {metric.counts!r}", metric.function.__name__)
    require(metric.unit, "unit is empty", metric.function.__name__)


def value_is_finite(subject: Subject) -> None:
    """The value of a trained model is one finite number."""
    value = subject.kind(**inputs(subject))
    require(isinstance(value, int | float) and not isinstance(value, bool), f"it is a {type(value).__name__}",
            subject.component.symbol)  # fmt: skip
    require(math.isfinite(value), f"it is {value}", subject.component.symbol)


def same_inputs_give_the_same_value(subject: Subject) -> None:
    """The same inputs give the same value to the last bit, and are not changed."""
    given = inputs(subject)
    before = {name: value.clone() if isinstance(value, Tensor) else value for name, value in given.items()}
    torch.manual_seed(1)
    one = float(subject.kind(**given))
    torch.manual_seed(2)
    two = float(subject.kind(**given))
    require(one == two, f"two calls give {one!r} and {two!r}", subject.component.symbol)
    changed = [name for name, value in given.items() if isinstance(value, Tensor) and not _same(value, before[name])]
    require(not changed, f"{', '.join(changed)} changed", subject.component.symbol)


def order_does_not_matter(subject: Subject) -> None:
    """The order of the test images does not change the value."""
    given, count = inputs(subject), len(_toy().data.test)
    order = torch.randperm(count, generator=torch.Generator().manual_seed(0))
    ordered = [name for name, value in given.items() if not name.startswith(("train_", "sample"))
               and isinstance(value, Tensor) and value.shape[:1] == (count,)]  # fmt: skip
    if not ordered:
        raise NotApplicable("none of its inputs has a row for each test image")
    one = float(subject.kind(**given))
    two = float(subject.kind(**given | {name: given[name][order] for name in ordered}))
    require(math.isclose(one, two, rel_tol=1e-4, abs_tol=1e-6), f"{one!r} becomes {two!r}", subject.component.symbol)


def direction_is_the_declared_one(subject: Subject) -> None:
    """Perfect reconstructions are not worse than noisy ones, in the declared direction."""
    metric = subject.kind
    if metric.better == "none" or not {"images", "reconstructions"} <= set(metric.needs):
        raise NotApplicable("it has no direction that reconstructions could show")
    given = inputs(subject)
    pixels = given["images"]
    noise = torch.rand(pixels.shape, generator=torch.Generator().manual_seed(0)).to(pixels)
    perfect = float(metric(**given | {"reconstructions": pixels.clone()}))
    noisy = float(metric(**given | {"reconstructions": (pixels + noise) / 2}))
    right = perfect <= noisy if metric.better == "lower" else perfect >= noisy
    require(right, f"better is {metric.better!r}, perfect ones have {perfect:.6g} and noisy ones {noisy:.6g}",
            subject.component.symbol)  # fmt: skip


def inputs(subject: Subject) -> dict[str, Any]:
    """What the metric asks for. Raises `NotApplicable` for what the toy model does not have."""
    metric = subject.kind
    unknown = [name for name in metric.needs if name not in PROVIDERS]
    if unknown:
        raise Broken(f"there is no input {unknown[0]!r}", subject.component.symbol)
    context = _toy()
    member = members(metric.per, context.cell.evaluate)[0]
    return {name: context.get(name, member) for name in metric.needs}


def _same(a: Tensor, b: Tensor) -> bool:
    return a.shape == b.shape and torch.equal(a, b)


@cache
def _toy() -> EvaluationContext:
    """A model of 300 digits and 100 test digits."""
    whole = _loading.load(Choice("digits", {"binarise": "none"}), Path())
    assert whole.train.labels is not None
    assert whole.test.labels is not None
    data = Data(whole.name, Split(whole.train.images[:300], whole.train.labels[:300]),
                Split(whole.test.images[:100], whole.test.labels[:100]), whole.classes, whole.source)  # fmt: skip
    cell = Cell(
        suite="check", dataset=Choice("digits", {"binarise": "none"}), dataset_label="digits",
        variant=Choice("vae", {}), label="vae", net=Choice("mlp", {"hidden": (32,), "activation": "relu"}),
        likelihood=Choice("bernoulli", {}), latent_size=3, seed=0, train=Train(epochs=1, batch_size=50),
        evaluate=Evaluate(n_samples=50, iw_samples=3, iw_images=20, embed=Embed(methods=(), points=50)), skip=None,
    )  # fmt: skip
    [fitted] = fit(lambda: checkpoint.build_cell(cell, data), data, cell.train, [0])
    return EvaluationContext(fitted.model.eval(), data, cell, FeatureExtractors(), torch.device("cpu"))


CHECKS: tuple[Check, ...] = (
    declaration_is_complete, value_is_finite, same_inputs_give_the_same_value, order_does_not_matter,
    direction_is_the_declared_one,
)  # fmt: skip
