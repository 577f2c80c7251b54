"""The input of the report: every cell of a suite's grid, with or without a record, grouped over seeds.

Records may come from any source, so no value's type is trusted: numbers go through `number`, texts through `words`, and
the store has checked everything that becomes part of a path.
"""

import json
import math
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from bench import registry
from bench.errors import ResultError
from bench.results.claims import Point, Verdict, judge, points
from bench.results.fingerprints import with_sets
from bench.results.store import CELL_ID, Record, Store
from bench.suite.cells import location, recorded_choice

#: The coordinates of a configuration, in the order shown; "setting" holds all other parameters that differ
AXES = ("label", "net", "likelihood", "dataset", "latent_size", "setting")
#: Further axes of a table
EXTRA_AXES = ("variant", "member")
#: Stands behind the label of a model that was trained elsewhere
EXTERNAL_SIGN = "†"

Coordinates = dict[str, "str | int | None"]


@dataclass(frozen=True)
class Cell:
    """One cell of the grid. `status` is the record's, or "skipped" or "missing" where there is none."""

    id: str
    cell: dict[str, Any]
    status: str
    reason: str
    record: Record | None

    @property
    def seed(self) -> int:
        return whole(self.cell.get("seed")) or 0


@dataclass(frozen=True)
class Group:
    """All seeds of one configuration; `at` holds its coordinates (`AXES`) as texts."""

    at: Coordinates
    cells: tuple[Cell, ...]

    @property
    def external(self) -> bool:
        """True for a model that was trained elsewhere."""
        return "external" in self.cells[0].cell

    @property
    def done(self) -> list[Cell]:
        return [cell for cell in self.cells if cell.status == "done"]

    @property
    def planned(self) -> list[Cell]:
        """All cells but the skipped."""
        return [cell for cell in self.cells if cell.status != "skipped"]


@dataclass(frozen=True)
class Suite:
    """A suite with its records. `stale` counts records that are no longer in its grid."""

    name: str
    title: str
    description: str
    digest: str
    text: str
    metrics: tuple[str, ...]
    references: tuple[dict[str, Any], ...]
    groups: tuple[Group, ...]
    stale: int
    overrides: tuple[str, ...] = ()  #: the `--set` of the run
    claims: tuple[Any, ...] = ()  #: as declared in the suite
    points: tuple[Point, ...] = ()  #: the grid for the claims
    about: dict[str, Any] = field(default_factory=dict)  #: kind -> name -> {"doc"}: documentation of the components

    @cached_property
    def verdicts(self) -> list[Verdict]:
        """Every claim with its verdict."""
        return judge(self.claims, self.points)

    @property
    def cells(self) -> list[Cell]:
        return [cell for group in self.groups for cell in group.cells]

    @property
    def records(self) -> list[Record]:
        return [cell.record for cell in self.cells if cell.record is not None]

    @property
    def created(self) -> str:
        """The date of the newest record, "" without one."""
        return max((day(r) for r in self.records), default="")

    @property
    def measured(self) -> str:
        """The dates of the oldest and the newest record, one where they are the same, "" without a record."""
        days = sorted({day(record) for record in self.records} - {""})
        return " to ".join(dict.fromkeys([days[0], days[-1]])) if days else ""

    def count(self, status: str) -> int:
        return sum(cell.status == status for cell in self.cells)


def load(results: Path, name: str) -> Suite:
    """Read a suite and its records. Raises `UsageError` or `ResultError` as the store does."""
    store = Store(results)
    content = store.suite(name)
    records = {record.id: record for record in with_sets(store.records(name))}
    cells = list(_cells(content, records))
    stale = len(records.keys() - {cell.id for cell in cells})
    _remember_plugins(records.values())
    return Suite(
        name=name,
        title=words(content.get("title"), 300) or name,
        description=words(content.get("description"), 5000),
        digest=words(content.get("digest"), 64),
        text=words(content.get("text"), 200_000, lines=True),
        metrics=tuple(words(m.get("name") if isinstance(m, dict) else m) for m in listed(content, "metrics")),
        references=tuple(r for r in listed(content, "references") if isinstance(r, dict)),
        groups=_groups(cells),
        stale=stale,
        overrides=tuple(words(o, 2000) for o in listed(content, "overrides")),
        claims=tuple(listed(content, "claims")),
        points=tuple(points(content, records.values())),
        about=mapping(content.get("about")),
    )


def _remember_plugins(records: Iterable[Record]) -> None:
    """Let the names of plugins be shown as their records say, where the files are not."""
    for record in records:
        lines = [(f"{kind}s", mapping(record.about.get(kind))) for kind in ("variant", "net")]
        lines += [("metrics", mapping(line)) for line in mapping(record.about.get("metrics")).values()]
        for kind, line in lines:
            name, sha256 = words(line.get("name")), words(line.get("sha256"))
            if name and sha256:
                constants = {key: words(line.get(key), 200) for key in ("title", "symbol", "reference")}
                doc = words(line.get("summary"), 300)
                registry.remember(registry.Component(kind, name, "", doc, constants, {}, sha256))


def outside(cell: Cell) -> dict[str, str]:
    """ "variants/half_kl" → the first digits of the sha256, for what defines a cell and is not part of bench."""
    found = mapping(cell.cell.get("plugins"))
    return {words(name): words(sha256, 64)[:12] for name, sha256 in sorted(found.items())}


def _cells(content: dict[str, Any], records: dict[str, Record]) -> Iterator[Cell]:
    """The grid of suite.json, then the models trained elsewhere; without a grid, all records."""
    entries = [e for e in listed(content, "cells") if isinstance(e, dict) and isinstance(e.get("cell"), dict)]
    known = [e for e in entries if CELL_ID.fullmatch(words(e.get("id")))]
    named = {entry["id"] for entry in known}
    own = [r for r in records.values() if r.cell and (not known or (r.external and r.id not in named))]
    for entry in [*known, *({"id": record.id, "cell": record.cell} for record in own)]:
        record, skip = records.get(entry["id"]), words(entry.get("skip"), 300)
        if record is not None:
            yield Cell(record.id, _without_place(entry["cell"]), record.status, words(record.reason, 300), record)
        else:
            status = "skipped" if skip else "missing"
            yield Cell(entry["id"], _without_place(entry["cell"]), status, skip or "not run yet", None)


def _without_place(cell: dict[str, Any]) -> dict[str, Any]:
    """A cell without the options that say where on one machine its data lie: they differ nothing and are private."""
    options = mapping(cell.get("dataset_options"))
    known = {"dataset": words(cell.get("dataset")), "dataset_options": options, "plugins": mapping(cell.get("plugins"))}
    place = location("datasets", recorded_choice(known, "dataset", "dataset_options"))
    if not place:
        return cell
    return cell | {"dataset_options": {name: value for name, value in options.items() if name not in place}}


def _groups(cells: list[Cell]) -> tuple[Group, ...]:
    """Groups of cells that differ only by seed, in the order of the grid.

    Models trained elsewhere that differ only by seed and hashes are of one method as well.
    """
    found: dict[str, list[Cell]] = {}
    for cell in cells:
        rest = {name: value for name, value in cell.cell.items() if name not in ("seed", "external")}
        rest["external"] = "external" in cell.cell
        found.setdefault(json.dumps(rest, sort_keys=True, default=str), []).append(cell)
    groups = [sorted(group, key=lambda cell: (cell.seed, cell.id)) for group in found.values()]
    settings = _settings([group[0].cell for group in groups])
    return tuple(
        Group(coordinates(group[0].cell) | {"setting": setting}, tuple(group))
        for group, setting in zip(groups, settings, strict=True)
    )


def coordinates(cell: dict[str, Any]) -> Coordinates:
    """The coordinates of a cell, as texts."""
    return {
        "label": words(cell.get("label") or cell.get("variant")) + f" {EXTERNAL_SIGN}" * ("external" in cell),
        "variant": words(cell.get("variant")),
        "net": words(cell.get("net_label") or cell.get("net")) or None,
        "likelihood": words(cell.get("likelihood")) or None,
        "dataset": words(cell.get("dataset_label") or cell.get("dataset")),
        "latent_size": whole(cell.get("latent_size")) or None,  # 0: of a model elsewhere whose codes nobody gave
    }


def varied_axes(groups: Iterable[Group], axes: Iterable[str]) -> list[str]:
    """The axes in which groups differ, where they apply; the label always."""
    ats = [group.at for group in groups]
    return [axis for axis in axes if axis == "label" or len({at[axis] for at in ats} - {None, ""}) > 1]


def _settings(cells: list[dict[str, Any]]) -> list[str | None]:
    """For cells with equal coordinates: the parameters that differ, as text."""
    alike: dict[tuple[Any, ...], list[int]] = {}
    for index, cell in enumerate(cells):
        alike.setdefault(tuple(coordinates(cell).values()), []).append(index)
    settings: list[str | None] = [None] * len(cells)
    for indices in (group for group in alike.values() if len(group) > 1):
        flats = [flatten(cells[i]) for i in indices]
        names = sorted({name for flat in flats for name in flat} - {"seed"})
        differing = [name for name in names if len({flat.get(name) for flat in flats}) > 1]
        for i, flat in zip(indices, flats, strict=True):
            settings[i] = ", ".join(f"{name}={flat.get(name, 'none')}" for name in differing)
    return settings


def flatten(value: Any, prefix: str = "") -> dict[str, str]:
    """A nested mapping as dotted names and texts.

    >>> flatten({"train": {"lr": 0.001, "epochs": 5}, "seed": 0})
    {'train.lr': '0.001', 'train.epochs': '5', 'seed': '0'}
    """
    if isinstance(value, dict) and (value or not prefix):
        parts = [flatten(v, f"{prefix}.{words(k)}" if prefix else words(k)) for k, v in value.items()]
        return {name: text for part in parts for name, text in part.items()}
    plain = value if isinstance(value, str) else json.dumps(value, default=str)
    return {prefix: words(plain, 300)}


def number(value: Any) -> float | None:
    """A finite number, or None for anything else.

    >>> number(3), number(float("nan")), number("3"), number(True)
    (3.0, None, None, None)
    """
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if abs(value) < 1e300 and math.isfinite(value) else None


def whole(value: Any) -> int | None:
    """An integer below 1e15 in magnitude, or None."""
    found = number(value)
    return int(found) if found is not None and found == int(found) and abs(found) < 1e15 else None


def history(record: Record) -> list[dict[str, float]] | None:
    """The rows of a cell's curves, [] without curves, None for an unreadable file."""
    try:
        rows = record.history()
    except ResultError:
        return None
    return rows if all(number(row.get("epoch")) is not None for row in rows) else None


def embeddings(record: Record) -> dict[str, np.ndarray] | None:
    """The arrays of a cell's maps, {} without maps, None for an unreadable file."""
    try:
        return record.embeddings() or {}
    except ResultError:
        return None


def fingerprint(record: Record) -> str:
    """The fingerprint of a record's images, "" without one."""
    dataset = mapping(record.about.get("dataset"))
    return words(record.provenance.get("fingerprint") or dataset.get("fingerprint"))


def commit(record: Record) -> str:
    """The commit of a record: "2f6d5a0757" or "2f6d5a0757, modified"; "" without one."""
    found = words(record.provenance.get("git"), 40)[:10]
    return f"{found}, modified" if found and record.provenance.get("dirty") is True else found


def day(record: Record) -> str:
    """The date of a record, "" without one."""
    found = words(record.provenance.get("created"), 40)[:10]
    return found if re.fullmatch(r"\d{4}-\d\d-\d\d", found) else ""


def words(value: Any, limit: int = 80, lines: bool = False) -> str:
    """Any value as text without control characters, cut at `limit`, on one line unless `lines`.

    >>> words("a" * 100, 5)
    'aaaa…'
    >>> words(None)
    ''
    """
    if value is None:
        return ""
    text = value if isinstance(value, str) else str(value)
    if len(text) <= limit and text.isprintable() and "  " not in text and text == text.strip():
        return text  # the fast path: a large suite has hundreds of thousands of texts
    kept = "".join(c for c in text[: limit * 2] if c.isprintable() or c in "\n\t ")
    kept = kept if lines else " ".join(kept.split())
    return kept if len(kept) <= limit else kept[: limit - 1] + "…"


def listed(content: dict[str, Any], name: str) -> list[Any]:
    """A list of a mapping, [] if it is anything else."""
    value = content.get(name)
    return value if isinstance(value, list) else []


def mapping(value: Any) -> dict[str, Any]:
    """A mapping, {} if it is anything else."""
    return value if isinstance(value, dict) else {}
