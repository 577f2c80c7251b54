"""A trained model → metrics, codes, embeddings and pictures, under the suite's protocol.

Metrics are pure functions; their parameters name the inputs that the context (`context/`) computes once for a cell.
"""

import logging
import math
import time
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from bench import registry
from bench.datasets import Data
from bench.datasets._splits import subset
from bench.errors import NotApplicable, RunFailed
from bench.models.precision import matmul_precision
from bench.results.store import write_arrays
from bench.suite import Cell
from bench.suite.columns import versions
from bench.suite.names import members

from . import cell_figures, image_files
from .context import PROVIDERS, EvaluationContext
from .embeddings import plane
from .feature_extractors import FeatureExtractors

log = logging.getLogger(__name__)


@dataclass
class Evaluation:
    """What an evaluation gives back; all of it small enough to keep in memory."""

    metrics: dict[str, dict[str, Any]]
    codes: np.ndarray | None
    embeddings: dict[str, np.ndarray] | None
    pictures: dict[str, np.ndarray]
    seconds: dict[str, float]


def evaluate(
    model: Any,
    data: Data,
    cell: Cell,
    metrics: tuple[str, ...],
    extractors: FeatureExtractors,
    device: torch.device | str = "cpu",
    present: Collection[str] = (),
    shown: Collection[str] | None = None,
    given: Mapping[tuple[str, str | None], Any] | None = None,
) -> Evaluation:
    """Compute `metrics` (names of files in bench/evaluation/metrics) and the arrays and pictures of a cell.

    model: trained, on `device`, in evaluation mode. data: its tensors are moved to `device`.
    present: arrays (`codes`, `embeddings`) and pictures that are there already and need not be made again.
    shown: the metrics that figures are to illustrate, where `metrics` are only some of the suite's.
    given: inputs of the context that are not to be computed: see `EvaluationContext`.
    Raises `RunFailed` naming the metric when one breaks for any other reason than `NotApplicable`.
    """
    device, shown = torch.device(device), metrics if shown is None else shown
    with matmul_precision(cell.train.precision):
        return _evaluate(model, data, cell, metrics, extractors, device, present, shown, given)


def _evaluate(
    model: Any,
    data: Data,
    cell: Cell,
    metrics: tuple[str, ...],
    extractors: FeatureExtractors,
    device: torch.device,
    present: Collection[str],
    shown: Collection[str],
    given: Mapping[tuple[str, str | None], Any] | None,
) -> Evaluation:
    train = subset(data.train, cell.train.train_images)  # index and samplers know no image the model did not see
    data = replace(data, train=train.to(device), test=data.test.to(device), probabilities=None)
    context = EvaluationContext(model, data, cell, extractors, device, given)
    return Evaluation(
        measure(context, metrics),
        None if "codes" in present else _array(context, "codes"),
        None if "embeddings" in present else _maps(context),
        _pictures(context, shown, present),
        {name: round(s, 4) for name, s in context.seconds.items()},
    )


def measure(context: EvaluationContext, metrics: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Column → what the record says of it, for each metric and each member of its family."""
    values: dict[str, dict[str, Any]] = {}
    for name in metrics:
        declared = registry.load("metrics", name)
        for member in members(declared.per, context.cell.evaluate):
            key = f"{name}_{member}" if member else name
            values[key] = _entry(declared, context, member)
    return values


def _entry(declared: Any, context: EvaluationContext, member: str | None) -> dict[str, Any]:
    entry: dict[str, Any] = {"value": None, "unit": declared.unit, "better": declared.better}
    entry |= versions(declared.name, declared.per, member)
    if member:
        entry |= {"family": declared.name, "member": member}
    log.info("evaluating %s%s", declared.name, f" ({member})" if member else "")
    try:
        arguments = {name: context.get(name, member) for name in declared.needs}
        start = time.perf_counter()
        found = declared(**arguments)
        value, about = float(found), getattr(found, "about", {})
        seconds = time.perf_counter() - start
        entry |= {"n": len(arguments[declared.counts]), "key": _inputs(declared.key, context, member)}
        spread = _spread(declared, value, arguments, context, member)
        entry |= {**_inputs(declared.beside, context, member), **about, **spread}
        entry["seconds"] = round(seconds, 4)
    except NotApplicable as reason:
        return entry | {"reason": str(reason)}
    except Exception as error:
        raise RunFailed(f"metric {declared.name}: {type(error).__name__}: {error}") from error
    return entry | ({"value": value} if math.isfinite(value) else {"reason": f"not finite ({value})"})


def _inputs(names: tuple[str, ...], context: EvaluationContext, member: str | None) -> dict[str, Any]:
    """The inputs of these names, without those that are None."""
    found = {name: context.get(name, member) for name in names}
    return {name: value for name, value in found.items() if value is not None}


def _spread(
    declared: Any, value: float, arguments: dict[str, Any], context: EvaluationContext, member: str | None
) -> dict[str, Any]:
    """`evaluation_sd`, the standard deviation of a value over repeated draws of its random input, the model being the
    same, and `evaluation_draws`, their number. {} for a metric without one."""
    for name in declared.needs:
        if f"redrawn_{name}" in PROVIDERS:
            others = [declared(**{**arguments, name: other}) for other in context.get(f"redrawn_{name}", member)]
            if others:
                return {"evaluation_sd": float(np.std([value, *others], ddof=1)), "evaluation_draws": 1 + len(others)}
    return {}


def _array(context: EvaluationContext, name: str, member: str | None = None) -> np.ndarray | None:
    try:
        return context.get(name, member).cpu().numpy()
    except NotApplicable:
        return None


def _maps(context: EvaluationContext) -> dict[str, np.ndarray] | None:
    """`labels`, `latent` (P, 2) and each embedding (P, 2), for the report's scatter plots."""
    try:
        maps = {"latent": plane(context.get("points_source").cpu().numpy())}
    except NotApplicable:
        return None
    for method in context.cell.evaluate.embed.methods:
        points = _array(context, "points", method)
        if points is not None:
            maps[method] = points
    labels = context.data.test.labels
    index = context.get("point_index")
    maps["labels"] = np.full(len(index), -1) if labels is None else labels.cpu().numpy()[index]
    return {name: a.astype(np.int16 if name == "labels" else np.float32) for name, a in maps.items()}


def _pictures(context: EvaluationContext, metrics: Collection[str], present: Collection[str]) -> dict[str, np.ndarray]:
    made = {}
    log.info("drawing the figures")
    with torch.no_grad():
        for name, draw in cell_figures.figures_of(context, metrics).items():
            if name not in present:
                with suppress(NotApplicable):
                    made[name] = draw()
    return made


def write(evaluation: Evaluation, folder: Path) -> None:
    """Put arrays and pictures beside the record (which is written after them)."""
    if evaluation.codes is not None:
        write_arrays(folder / "codes.npz", {"codes": evaluation.codes}, compress=False)
    if evaluation.embeddings is not None:
        write_arrays(folder / "embeddings.npz", evaluation.embeddings)
    for name, picture in evaluation.pictures.items():
        image_files.save(name, picture, folder, cell_figures.byte_budget(name))
