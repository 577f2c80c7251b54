"""A suite: one YAML file, validated, as the cells to be trained and the claims to be tested on them.

    suite = load("suites/digits.yaml", overrides=["train.epochs=1"], only=["variant=vae"])
    suite.cells[0].id, suite.metrics, suite.references

Imports no torch: component files are parsed, not run. All errors of a file are reported at once, with their lines:
validation collects `Issues`, and `load` turns them into one `SuiteError`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from bench import plugins, registry
from bench.errors import ComponentError, SuiteError, UsageError, did_you_mean
from bench.plugins import PluginFile

from .cells import EVALUATION_PROTOCOL, KEYS, TRAINING_PROTOCOL, Cell, CellIndex, Choice, digest
from .claims import check_claims
from .document import Document, from_mapping, read
from .files import explain_bad_name, locate
from .garbage import collection_paused
from .grid import expand
from .issues import Issues, quote
from .names import check_samplers, check_value, column_names, metric_families
from .overrides import override
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
    "load",
]


@dataclass(frozen=True)
class Suite:
    """A validated suite file."""

    path: Path
    name: str  #: the file's stem; results lie under it
    title: str
    description: str
    text: str  #: the YAML source, with what it includes
    overrides: tuple[str, ...]  #: `--set` as given
    digest: str  #: of the resolved suite, `--set` applied, before `--only`
    cells: tuple[Cell, ...]
    metrics: tuple[str, ...]  #: metric file names; `columns` has a name for each value
    references: tuple[Reference, ...]
    claims: tuple[Claim, ...]
    evaluate: Evaluate
    train: Train  #: the common budget; each cell has its own, which a block of the grid may have changed
    plugins: tuple[PluginFile, ...] = ()  #: those that its cells, metrics and samplers use

    @property
    def columns(self) -> tuple[str, ...]:
        """The values a record of this suite can hold: `mse`, `fcd_prior`, `silhouette_latent`, ..."""
        return column_names(self.metrics, self.evaluate)


def load(
    path: str | Path | Mapping[str, Any],
    overrides: Sequence[str] = (),
    only: Sequence[str] = (),
    name: str = "notebook",
) -> Suite:
    """Read and validate a suite file; a bare name such as `digits` is looked up by `locate`.

    path: or the content of a suite as a mapping, which is then called `name`; its paths begin in the current folder.

    overrides: `--set`, such as "train.epochs=1" or "grid.seeds=3"; the value is YAML.
    only: such as "variant=vae" or "seed=0,1": all keys have to match, the values of one key are alternatives.

    Afterwards the plugins that the suite can name are active in the registry: those of its `plugins`, of `--plugins`
    and of installed packages.
    Raises `SuiteError` with every error of the file, `UsageError` for errors in the other arguments.
    """
    issues = Issues()
    with collection_paused():
        if isinstance(path, Mapping):
            document = from_mapping(path, f"{name}.yaml", issues)
        else:
            document = read(locate(Path(path)), issues)
        for assignment in overrides:
            override(document, assignment)
        suite = _validate(document, issues)
        if suite is None or issues:
            raise SuiteError(document.messages(issues))
        return _select(replace(suite, overrides=tuple(overrides)), only)


def _validate(document: Document, issues: Issues) -> Suite | None:
    """The suite; None, or with issues noted, where the file is wrong."""
    path, data = Path(document.name), document.data
    bad_name = explain_bad_name(path.stem)
    if bad_name:
        issues.add(f"the file's name {bad_name}")
    if not _activate_plugins(document, issues.at("plugins")):
        return None  # names that a wrong folder defines would all be unknown
    file = check(File, data, issues)
    train = attempt(Train, data.get("train", {}))
    evaluate = attempt(Evaluate, data.get("evaluate", {}))
    check_samplers(data["evaluate"].get("samplers") if isinstance(data.get("evaluate"), dict) else None,
                   issues.at("evaluate", "samplers"))  # fmt: skip
    metrics = metric_families(data.get("metrics"), evaluate, issues.at("metrics"))
    cells = expand(path.stem, data.get("grid"), train, evaluate, issues)
    if file is None or not cells:
        return None
    if file.references or file.claims:
        index, known = CellIndex(cells), column_names(metrics, file.evaluate)
        _check_references(file, index, known, issues)
        changed = any(place[:1] in (("grid",), ("metrics",), ("evaluate",)) for place in document.overridden)
        check_claims(file.claims, index, known, changed, issues)
    return _suite(path, document.resolved, file, metrics, tuple(cells))


def _activate_plugins(document: Document, issues: Issues) -> bool:
    """Activate the plugins that the suite can name; False, with an issue noted, where a folder or file is wrong."""
    named = document.data.get("plugins") if isinstance(document.data, dict) else None
    folders = [
        Path(document.find(("plugins", i))[0].name).parent / Path(name).expanduser()
        for i, name in enumerate(named if isinstance(named, list) else [])
        if isinstance(name, str) and name
    ]
    if folders and not plugins.session.allowed:
        issues.add(f"--no-plugins refuses the code that this suite asks for: {', '.join(map(str, folders))}")
        return False
    try:
        registry.activate(plugins.available(folders))
    except ComponentError as error:
        issues.add(str(error))
        registry.activate(())
        return False
    return True


def _used_plugins(cells: Sequence[Cell], metrics: Sequence[str], samplers: Sequence[str]) -> tuple[PluginFile, ...]:
    used = {("metrics", name) for name in metrics} | {("samplers", name) for name in samplers}
    for cell in cells:
        used |= {("datasets", cell.dataset.name), ("variants", cell.variant.name)}
        used |= {("nets", cell.net.name)} if cell.net else set()
    return tuple(file for key, file in registry.active().items() if key in used)


def _check_references(file: File, index: CellIndex, known: tuple[str, ...], issues: Issues) -> None:
    """A reference must name cells and values that this suite has."""
    for i, reference in enumerate(file.references):
        here = issues.at("references", i)
        check_value(reference.metric, known, here.at("metric"))
        miss = index.explain_miss(reference.where)
        if miss or not index.has(reference.where):
            here.add(miss or "no cell has all of these")


def _suite(path: Path, text: str, file: File, metrics: tuple[str, ...], cells: tuple[Cell, ...]) -> Suite:
    content = file.model_dump(mode="json", include={"title", "description", "evaluate", "references", "claims"})
    rows = [[cell.id, cell.dataset_label, cell.label, cell.skip] for cell in cells]
    used = _used_plugins(cells, metrics, file.evaluate.samplers)
    content |= {"plugins": {f"{p.kind}/{p.name}": p.sha256 for p in used}} if used else {}
    return Suite(
        path=path,
        name=path.stem,
        title=file.title,
        description=file.description,
        text=text,
        overrides=(),
        digest=digest({**content, "metrics": metrics, "cells": rows}),
        cells=cells,
        metrics=metrics,
        references=file.references,
        claims=file.claims,
        evaluate=file.evaluate,
        train=file.train,
        plugins=used,
    )


def _select(suite: Suite, only: Sequence[str]) -> Suite:
    """The suite with the cells that `--only` selects. Raises `UsageError` if there are none."""
    if not only:
        return suite
    index, where = CellIndex(suite.cells), dict[str, Any]()
    for wanted in only:
        key, values = _parse_only(wanted, suite.cells)
        where.setdefault(key, []).extend(values)
    cells, miss = tuple(index.select(where)), index.explain_miss(where)
    if miss or not cells:
        raise UsageError(f"--only {quote(' '.join(only))}: {miss or f'no cell of {suite.name} has all of these'}")
    return replace(suite, cells=cells)


def _parse_only(wanted: str, cells: Sequence[Cell]) -> tuple[str, list[object]]:
    key, sign, text = wanted.partition("=")
    if not sign or not text:
        raise UsageError(f"--only {quote(wanted)}: write it as key=value, such as variant=vae or seed=0,1")
    if key not in KEYS:
        raise UsageError(f"--only {quote(wanted)}: unknown key '{quote(key)}'{did_you_mean(key, KEYS)}")
    whole = any(text in cell.values(key) for cell in cells)  # a label may hold a comma
    parts = [text] if whole else [part.strip() for part in text.split(",")]
    return key, [_number(part) if key in ("latent_size", "seed") else part for part in parts]


def _number(text: str) -> int | str:
    return int(text) if text.isdecimal() and len(text) < 20 else text
