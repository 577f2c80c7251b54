"""A suite: one YAML file, validated, as the cells to be trained and the questions to be asked of them.

    suite = load("suites/digits.yaml", overrides=["train.epochs=1"], only=["variant=vae"])
    suite.cells[0].id, suite.metrics, suite.references

Imports no torch: component files are read, not run. All faults of a file are told at once, with their lines.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from bench.errors import UsageError, did_you_mean

from .cells import EVALUATION_PROTOCOL, KEYS, TRAINING_PROTOCOL, Cell, Choice, digest, explain_miss
from .claims import check_claims
from .document import Document, read
from .grid import expand
from .json_schema import json_schema
from .names import check_samplers, check_value, columns, metric_families
from .schema import Claim, Embed, Evaluate, File, Reference, Train, attempt, check

__all__ = [
    "EVALUATION_PROTOCOL",
    "TRAINING_PROTOCOL",
    "Cell",
    "Choice",
    "Claim",
    "Embed",
    "Evaluate",
    "Reference",
    "Suite",
    "Train",
    "json_schema",
    "load",
]


@dataclass(frozen=True)
class Suite:
    """A validated suite file."""

    path: Path
    name: str  #: the file's stem; results lie under it
    title: str
    description: str
    text: str  #: the YAML source, unchanged
    overrides: tuple[str, ...]  #: `--set` as given
    digest: str  #: of the resolved suite, `--set` applied, before `--only` and `--limit`
    cells: tuple[Cell, ...]
    metrics: tuple[str, ...]  #: metric file names; `columns` has a name for each value
    references: tuple[Reference, ...]
    claims: tuple[Claim, ...]
    evaluate: Evaluate
    train: Train

    @property
    def columns(self) -> tuple[str, ...]:
        """The values a record of this suite can hold: `mse`, `fcd_prior`, `silhouette_latent`, ..."""
        return columns(self.metrics, self.evaluate)


def load(path: str | Path, overrides: Sequence[str] = (), only: Sequence[str] = (), limit: int | None = None) -> Suite:
    """Read and validate a suite file.

    overrides: `--set`, such as "train.epochs=1" or "grid.seeds=3"; the value is YAML.
    only: such as "variant=vae" or "seed=0,1": all keys have to hold, the values of one key are alternatives.
    limit: only the first so many cells of what is left.

    Raises `SuiteError` with every fault of the file, `UsageError` for what is wrong with the other arguments.
    """
    document = read(_located(Path(path)))
    for assignment in overrides:
        document.override(assignment)
    suite = replace(_validate(Path(document.name), document), overrides=tuple(overrides))
    return _select(suite, only, limit)


def _located(path: Path) -> Path:
    """The file itself; a bare name such as `digits` means `suites/digits.yaml` where that exists."""
    named = Path("suites") / f"{path}.yaml"
    return named if path.parent == Path() and not path.exists() and named.is_file() else path


def _validate(path: Path, document: Document) -> Suite:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]*", path.stem):
        document.fault((), "the file's name may hold letters, digits and _ . - only, a letter or digit first")
    file = check(File, document.data, (), document)
    train = attempt(Train, document.data.get("train", {}))
    evaluate = attempt(Evaluate, document.data.get("evaluate", {}))
    metrics = _metrics(document, evaluate)
    cells = expand(path.stem, train, evaluate, document)
    if file is not None and cells:
        _check_references(file, cells, columns(metrics, file.evaluate), document)
        check_claims(file.claims, cells, columns(metrics, file.evaluate), document)
    document.raise_if_faulty()
    assert file is not None  # or a fault would have been raised
    return _suite(path, document.text, file, metrics, tuple(cells))


def _metrics(document: Document, evaluate: Evaluate | None) -> tuple[str, ...]:
    """Resolve the names in `metrics`, and check those in `evaluate.samplers`, sound or not as a whole."""
    raw = document.data.get("evaluate")
    check_samplers(raw.get("samplers") if isinstance(raw, dict) else None, document)
    return metric_families(document.data.get("metrics"), evaluate, document)


def _check_references(file: File, cells: list[Cell], known: tuple[str, ...], document: Document) -> None:
    """References must speak of cells and values that this suite has."""
    for i, reference in enumerate(file.references):
        check_value(reference.metric, known, ("references", i, "metric"), document)
        miss = explain_miss(reference.where, cells)
        if miss or not any(cell.matches(reference.where) for cell in cells):
            document.fault(("references", i), miss or "no cell has all of these")


def _suite(path: Path, text: str, file: File, metrics: tuple[str, ...], cells: tuple[Cell, ...]) -> Suite:
    asked = file.model_dump(mode="json", include={"title", "description", "evaluate", "references", "claims"})
    rows = [[cell.id, cell.dataset_label, cell.label, cell.skip] for cell in cells]
    return Suite(
        path=path,
        name=path.stem,
        title=file.title,
        description=file.description,
        text=text,
        overrides=(),
        digest=digest({**asked, "metrics": metrics, "cells": rows}),
        cells=cells,
        metrics=metrics,
        references=file.references,
        claims=file.claims,
        evaluate=file.evaluate,
        train=file.train,
    )


def _select(suite: Suite, only: Sequence[str], limit: int | None) -> Suite:
    """Narrow a suite to what `--only` and `--limit` ask for. Raises `UsageError` if that is nothing."""
    where: dict[str, list[object]] = {}
    for wanted in only:
        key, values = _parse_only(wanted, suite.cells)
        where.setdefault(key, []).extend(values)
    miss = explain_miss(where, suite.cells)
    if miss:
        raise UsageError(f"--only {' '.join(only)}: {miss}")
    cells = tuple(cell for cell in suite.cells if cell.matches(where))
    if not cells:
        raise UsageError(f"--only {' '.join(only)}: no cell of {suite.name} has all of these")
    if limit is not None and limit < 1:
        raise UsageError(f"--limit {limit}: must be at least 1")
    return replace(suite, cells=cells[:limit])


def _parse_only(wanted: str, cells: Sequence[Cell]) -> tuple[str, list[object]]:
    key, sign, text = wanted.partition("=")
    if not sign or not text:
        raise UsageError(f"--only {wanted}: write it as key=value, such as variant=vae or seed=0,1")
    if key not in KEYS:
        raise UsageError(f"--only {wanted}: unknown key '{key}'{did_you_mean(key, KEYS)}")
    whole = any(text in cell.values(key) for cell in cells)  # a label may hold a comma
    parts = [text] if whole else [part.strip() for part in text.split(",")]
    return key, [int(p) if key in ("latent_size", "seed") and p.isdecimal() else p for p in parts]
