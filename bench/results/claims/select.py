"""A side of a claim: the cells of a grid that a selector matches, and their values under one metric.

A results folder may come from anywhere, so nothing here trusts the type of a value.
"""

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeGuard

from bench import registry
from bench.results.store import Record
from bench.suite.cells import as_list
from bench.suite.expectations import TRENDS, Expect

from .text import side_name

#: Parts of a key that define one metric: they differ between metrics, and must agree within one
DEFINING = ("version", "sampler_version", "sha256", "sampler_sha256")
IMAGES = "images of "  #: begins the part of a key that names a dataset's fingerprint


@dataclass(frozen=True)
class Point:
    """A cell of the grid and what is recorded of it; `status` is its record's, or "skipped" or "missing".

    fingerprint: of the images, "" where it is not known.
    """

    id: str
    cell: Mapping[str, Any]
    status: str
    reason: str
    metrics: Mapping[str, Any]
    fingerprint: str = ""


@dataclass(frozen=True)
class Measured:
    """One side's numbers under one metric."""

    name: str
    metric: str
    values: dict[int, float] = field(default_factory=dict)  #: seed -> value
    ids: dict[int, str] = field(default_factory=dict)  #: seed -> cell, those without a number too
    waiting: dict[int, str] = field(default_factory=dict)  #: seed -> why it has none yet
    lost: dict[int, str] = field(default_factory=dict)  #: seed -> why it will have none
    keys: tuple[dict[str, str], ...] = ()  #: what must agree before values may be compared
    unit: str = ""
    datasets: tuple[str, ...] = ()  #: what the cells with a number call their data
    exact: bool = False  #: of a closed form: the same for every seed by its definition

    def at(self, seeds: set[int]) -> "Measured":
        """The same over these seeds only."""
        return replace(
            self,
            values={seed: value for seed, value in self.values.items() if seed in seeds},
            ids={seed: cell for seed, cell in self.ids.items() if seed in seeds},
            waiting={seed: why for seed, why in self.waiting.items() if seed in seeds},
            lost={seed: why for seed, why in self.lost.items() if seed in seeds},
        )


def points(content: Mapping[str, Any], records: Iterable[Record]) -> list[Point]:
    """The grid of a suite.json with what is recorded of each of its cells."""
    known = {record.id: record for record in records}
    entries = content.get("cells")
    found = []
    for entry in entries if isinstance(entries, list) else []:
        if isinstance(entry, dict) and isinstance(entry.get("cell"), dict) and isinstance(entry.get("id"), str):
            found.append(_point(entry, known.get(entry["id"])))
    return found


def _point(entry: Mapping[str, Any], record: Record | None) -> Point:
    if record is not None:
        images = str(record.provenance.get("fingerprint") or "")
        return Point(record.id, entry["cell"], record.status, str(record.reason or ""), record.metrics, images)
    skip = entry.get("skip")
    return Point(entry["id"], entry["cell"], "skipped" if skip else "missing", str(skip or "not run yet"), {})


def select(
    expect: Expect, metric: str, where: dict[str, Any], grid: Sequence[Point]
) -> tuple[tuple[Measured, ...], str]:
    """The values of each side (of each latent size of a trend), and why there can be none, else ""."""
    found: list[Measured] = []
    for side in expect.sides:
        name = side_name(side, where)
        chosen = [point for point in grid if _matches(point.cell, {**where, **side.where})]
        chosen = [point for point in chosen if point.status != "skipped"] or chosen
        if not chosen:
            return tuple(found), f"no cell of this grid matches {name or 'it'}"
        for level in _levels(chosen) if expect.form in TRENDS else [chosen]:
            if len({_configuration(point.cell) for point in level}) > 1:
                return tuple(found), f"{name or 'it'} means several rows at once"
            size = f"latent size {level[0].cell.get('latent_size')}"
            found.append(_measure(size if expect.form in TRENDS else name, level, side.metric or metric))
    if expect.form in TRENDS and len(found) < 3:
        return tuple(found), f"a trend needs 3 latent sizes or more, here are {len(found)}"
    return tuple(found), ""


def _levels(chosen: list[Point]) -> list[list[Point]]:
    levels: dict[int, list[Point]] = {}
    for point in chosen:
        if _whole(size := point.cell.get("latent_size")):
            levels.setdefault(size, []).append(point)
    return [levels[size] for size in sorted(levels)]


def _configuration(cell: Mapping[str, Any]) -> str:
    return json.dumps({name: value for name, value in cell.items() if name != "seed"}, sort_keys=True, default=str)


def _measure(name: str, chosen: list[Point], metric: str) -> Measured:
    found = Measured(name, metric)
    entries: list[dict[str, Any]] = []
    made: dict[str, dict[str, str]] = {}
    datasets: dict[str, None] = {}
    for point in chosen:
        seed, entry = point.cell.get("seed"), point.metrics.get(metric)
        if not _whole(seed):
            continue
        found.ids[seed] = point.id
        if isinstance(entry, dict) and point.status == "done" and _finite(entry.get("value")):
            found.values[seed] = float(entry["value"])
            entries.append(entry)
            called = str(point.cell.get("dataset_label") or point.cell.get("dataset") or "")
            datasets[called] = None
            key = _key(entry) | ({IMAGES + called: point.fingerprint} if point.fingerprint else {})
            made[json.dumps(key, sort_keys=True)] = key
        else:
            waits, why = _absence(point, metric, entry)
            (found.waiting if waits else found.lost)[seed] = why
    unit = str(entries[0].get("unit") or "") if entries else ""
    exact = all(registry.is_closed_form(point.cell.get("variant")) for point in chosen)
    return replace(found, keys=tuple(made.values()), unit=unit, datasets=tuple(filter(None, datasets)), exact=exact)


def _absence(point: Point, metric: str, entry: Any) -> tuple[bool, str]:
    """Whether a further run can produce the missing number, and why it is missing."""
    if point.status == "missing":
        return True, point.reason
    if point.status != "done":
        return point.status in ("failed", "damaged"), f"{point.status}: {point.reason}"
    if not isinstance(entry, dict):
        return True, f"{metric} is not computed yet"
    return False, f"{metric}: {entry.get('reason') or 'not a finite number'}"


def _key(entry: dict[str, Any]) -> dict[str, str]:
    given = entry.get("key")
    parts = {str(k): str(v) for k, v in given.items()} if isinstance(given, dict) else {}
    return parts | {name: str(entry.get(name, 1)) for name in DEFINING if name in entry or name == "version"}


def find_clash(sides: Sequence[Measured]) -> str:
    """Why values of these sides cannot be compared; "" where they can.

    Values of one metric must agree in the whole key, values of different metrics in the parts that both have. Images
    must agree within a dataset.
    """
    by_metric: dict[str, list[dict[str, str]]] = {}
    for side in sides:
        by_metric.setdefault(side.metric, []).extend(side.keys)
    every = [key for keys in by_metric.values() for key in keys]
    for part in sorted({name for key in every for name in key}):
        if part in DEFINING or (len(by_metric) == 1 and not part.startswith(IMAGES)):
            groups = [[key.get(part, "none") for key in keys] for keys in by_metric.values()]
        else:
            groups = [[key[part] for key in every if part in key]]
        for found in map(dict.fromkeys, groups):
            if len(found) > 1:
                return f"{part} differs: {', '.join(found)}"
    return ""


def reasons_of_gaps(sides: Sequence[Measured]) -> str:
    """Why numbers are missing, each reason once; "" where none is missing."""
    reasons = [why for side in sides for part in (side.waiting, side.lost) for why in part.values()]
    return "; ".join(dict.fromkeys(reasons))


def _matches(cell: Mapping[str, Any], where: Mapping[str, Any]) -> bool:
    """As `bench.suite.cells.CellIndex.select`: a component by its name or its label, a list for any of its values."""
    return all(
        any(_same(wanted, value) for wanted in as_list(asked) for value in _values(cell, key))
        for key, asked in where.items()
    )


def _same(wanted: Any, value: Any) -> bool:
    return type(wanted) is type(value) and wanted == value  # True is no seed 1


def _values(cell: Mapping[str, Any], key: str) -> tuple[Any, ...]:
    return (cell.get(key), cell.get(f"{key}_label")) if key in ("dataset", "net") else (cell.get(key),)


def _whole(value: Any) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool)


def _finite(value: Any) -> bool:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return number and abs(value) < 1e100 and math.isfinite(value)
