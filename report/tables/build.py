"""From the records of a suite to its tables: which rows and columns, which values, which of them are best."""

import shlex
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from bench.report.data import AXES, EXTRA_AXES, Coordinates, Group, Suite, mapping, words

from bench.errors import UsageError, did_you_mean
from bench.results.stats import best, summarise

from . import footnotes
from .aggregate import rank_sentences
from .model import Table
from .names import CellKey, column_text
from .published import published_beside
from .values import Key, Value, key_text, measure

ROWS = ("label", "net")  #: the axes of the rows unless others are named
COLUMNS = ("dataset", "member", "latent_size")


def families(suite: Suite) -> dict[str, list[str]]:
    """Metric family -> its metric names, in the order of the suite, then of the records.

    Where no cell has any number, the families themselves: their tables show the reason of each hole.
    """
    found: dict[str, list[str]] = {name: [] for name in suite.metrics}
    for record in suite.records:
        for name, entry in record.metrics.items():
            family = words(mapping(entry).get("family") or name)
            names = found.setdefault(family, [])
            if name not in names:
                names.append(name)
    if not any(found.values()) and suite.records:
        return {family: [family] for family in found}
    return {family: names for family, names in found.items() if names}


def build(
    suite: Suite,
    metric: str | None = None,
    rows: Sequence[str] = ROWS,
    columns: Sequence[str] = COLUMNS,
    dataset: str | None = None,
    *,
    sort: str | None = None,
    precision: int | None = None,
    published: bool = True,
    ranked: bool = False,
) -> list[Table]:
    """One table per metric family of a suite, or the one of `metric` (the name of a family or of a metric).

    Axes in neither `rows` nor `columns` are added to the rows where they differ.

    dataset: keep the columns of this dataset only.
    sort: "name", or the name or number of the column whose best row comes first.
    precision: decimals of all numbers; by default two digits of each column's interval.
    published: add published values beside the measured ones.
    ranked: add the notes of the average ranks and interquartile means (`aggregate`).

    Raises `UsageError` for an unknown metric, axis, dataset or column.
    """
    known = families(suite)
    _check_axes(rows, columns)
    wanted = {metric: _members(known, metric)} if metric else known
    groups = _groups(suite, dataset)
    shape = (tuple(rows), tuple(columns))
    tables = [_table(suite, family, members, groups, *shape) for family, members in wanted.items()]
    if not published:
        tables = [replace(t, published={}) for t in tables]
    if ranked:
        tables = [replace(t, notes=(*t.notes, *rank_sentences(t))) for t in tables]
    if dataset:
        tables = [replace(t, id=f"{t.id}-{dataset}", dataset=dataset) for t in tables]
    flags = _flags(rows, columns, {"dataset": dataset, "sort": sort, "precision": precision},
                   {"no-published": not published, "ranks": ranked})  # fmt: skip
    tables = [replace(t, precision=precision, command=_command(t, flags)) for t in tables]
    return [_in_order(t, sort) for t in tables] if sort else tables


def _groups(suite: Suite, dataset: str | None) -> list[Group]:
    found = [g for g in suite.groups if dataset is None or g.at["dataset"] == dataset]
    if dataset is not None and not found:
        known = {str(group.at["dataset"]) for group in suite.groups}
        raise UsageError(f"no dataset {dataset!r} in these records{did_you_mean(dataset, known)}")
    return found


def _flags(rows: Sequence[str], columns: Sequence[str], named: dict[str, Any], switches: dict[str, bool]) -> list[str]:
    """The flags of `bench table` that differ from its defaults."""
    given = {"rows": ",".join(rows) if tuple(rows) != ROWS else None,
             "columns": ",".join(columns) if tuple(columns) != COLUMNS else None, **named}  # fmt: skip
    flags = [word for name, value in given.items() if value is not None for word in (f"--{name}", str(value))]
    return flags + [f"--{name}" for name, on in switches.items() if on]


def _command(table: Table, flags: list[str]) -> str:
    return shlex.join(["bench", "table", table.suite, "--metric", table.metric, *flags])


def _in_order(table: Table, sort: str) -> Table:
    """The table with sorted rows. Rows without a number come last; equal ones keep the order of the grid."""
    if sort == "name":
        return replace(table, rows=tuple(sorted(table.rows, key=lambda row: [_natural(part[1]) for part in row])))
    column, sign = _sorting_column(table, sort), -1 if table.better == "higher" else 1

    def rank(row: CellKey) -> tuple[bool, float]:
        value = table.cells.get((row, column))
        summary = value.summary if value else None
        return (summary is None, sign * summary.mean if summary else 0.0)

    return replace(table, rows=tuple(sorted(table.rows, key=rank)))


def _natural(coordinate: str | int | None) -> tuple[bool, int, str]:
    """Numbers by size, before words."""
    if isinstance(coordinate, int):
        return False, coordinate, ""
    return True, 0, str(coordinate or "").casefold()


def _sorting_column(table: Table, sort: str) -> CellKey:
    names = {column_text(column): column for column in table.columns}
    if sort in names:
        return names[sort]
    if sort.isdecimal() and 1 <= int(sort) <= len(table.columns):
        return table.columns[int(sort) - 1]
    numbered = "; ".join(f"{number} {name!r}" for number, name in enumerate(names, start=1))
    raise UsageError(f"cannot sort {table.metric} by {sort!r}: 'name', or a column by number or name: {numbered}")


def _members(known: dict[str, list[str]], metric: str) -> list[str]:
    every = [name for names in known.values() for name in names]
    if metric not in known and metric not in every:
        raise UsageError(f"no metric {metric!r} in these records{did_you_mean(metric, {*known, *every})}")
    return known.get(metric, [metric])


def _check_axes(rows: Sequence[str], columns: Sequence[str]) -> None:
    known = (*AXES, *EXTRA_AXES)
    for axis in (*rows, *columns):
        if axis not in known:
            raise UsageError(f"unknown axis {axis!r}{did_you_mean(axis, known, 'axes')}")
    twice = sorted({axis for axis in (*rows, *columns) if (*rows, *columns).count(axis) > 1})
    if twice:
        raise UsageError(f"axis {twice[0]!r} is named twice; an axis belongs to the rows or to the columns")


def _table(
    suite: Suite,
    family: str,
    names: list[str],
    groups: list[Group],
    rows: tuple[str, ...],
    columns: tuple[str, ...],
) -> Table:
    entries = [mapping(r.metrics.get(name)) for r in suite.records for name in names if name in r.metrics]
    members = {name: _member(suite, family, name) for name in names}
    values = [measure(group, name, member) for group in groups for name, member in members.items()]
    rows, columns = _arranged([value.at for value in values], rows, columns)
    cells = _split_by_key({(_place(v.at, rows), _place(v.at, columns)): v for v in values})
    columns = (*columns, "key") if any(place[-1][0] == "key" for _, place in cells) else columns
    better = words(_first(entry.get("better") for entry in entries))
    cells = _with_best(cells, better)
    return Table(
        id=f"{suite.name}-{family}",
        suite=suite.name,
        metric=family,
        unit=words(_first(entry.get("unit") for entry in entries)),
        better=better,
        summary=_summary(suite, names),
        row_axes=rows,
        column_axes=columns,
        rows=tuple(dict.fromkeys(row for row, _ in cells)),
        columns=_sorted({column: None for _, column in cells}, columns),
        cells=cells,
        notes=footnotes.notes(suite, list(cells.values()), (*rows, *columns)),
        published=_published(suite, cells, {member: name for name, member in members.items()}),
        digest=suite.digest,
        overrides=footnotes.override_flags(suite.overrides),
    )


def _published(
    suite: Suite, cells: dict[tuple[CellKey, CellKey], Value], names: dict[str | None, str]
) -> dict[tuple[CellKey, CellKey], tuple[dict[str, Any], ...]]:
    """The published values beside each cell that has some."""
    if not suite.references:
        return {}
    beside = {place: published_beside(suite, names[words(value.at["member"]) or None], value)
              for place, value in cells.items()}  # fmt: skip
    return {place: found for place, found in beside.items() if found}


def _member(suite: Suite, family: str, name: str) -> str | None:
    """The sampler or space in a metric's name; None for a metric outside a family."""
    if name != family and name.startswith(f"{family}_"):
        return name.removeprefix(f"{family}_")
    return words(_first(mapping(record.metrics.get(name)).get("member") for record in suite.records)) or None


def _arranged(
    every: list[Coordinates], rows: tuple[str, ...], columns: tuple[str, ...]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The axes that vary; those that are needed to separate two configurations are added to the rows."""
    varied = {axis for axis in (*AXES, *EXTRA_AXES) if len({at.get(axis) for at in every}) > 1}
    rows = tuple(axis for axis in rows if axis in varied) or rows[:1]
    columns = tuple(axis for axis in columns if axis in varied) or columns[:1]
    for axis in ("label", "net", "likelihood", "dataset", "latent_size", "member", "setting"):
        buckets: dict[tuple[CellKey, CellKey], set[Any]] = {}
        for at in every:
            buckets.setdefault((_place(at, rows), _place(at, columns)), set()).add(at.get(axis))
        if axis not in (*rows, *columns) and any(len(found) > 1 for found in buckets.values()):
            rows = (*rows, axis)
    return rows, columns


def _place(at: Coordinates, axes: Iterable[str]) -> CellKey:
    return tuple((axis, at.get(axis)) for axis in axes)


def _split_by_key(cells: dict[tuple[CellKey, CellKey], Value]) -> dict[tuple[CellKey, CellKey], Value]:
    """One column per key where values of one dataset and column were measured under different keys.

    Different datasets always have other images and classifiers; their values are not compared, so they need no split.
    """
    keys: dict[Any, dict[Key, None]] = {}
    for (_, column), value in cells.items():
        found = keys.setdefault((column, value.at.get("dataset")), {})
        if value.seeds:
            found.setdefault(value.key)
    if all(len(found) < 2 for found in keys.values()):
        return cells
    split = {}
    for (row, column), value in cells.items():
        among = keys[column, value.at.get("dataset")]
        key = value.key if value.seeds else next(iter(among), ())
        split[row, (*column, ("key", key_text(key, among) or "–"))] = value
    return split


def _sorted(columns: dict[CellKey, None], axes: tuple[str, ...]) -> tuple[CellKey, ...]:
    """Numbers by size, words in order of appearance, axis by axis."""
    ranks: list[dict[Any, int]] = []
    for index in range(len(axes)):
        found = list(dict.fromkeys(column[index][1] for column in columns))
        if all(isinstance(x, int) for x in found):
            found.sort()
        ranks.append({x: rank for rank, x in enumerate(found)})
    return tuple(sorted(columns, key=lambda c: tuple(rank[part[1]] for rank, part in zip(ranks, c, strict=True))))


def _with_best(cells: dict[tuple[CellKey, CellKey], Value], better: str) -> dict[tuple[CellKey, CellKey], Value]:
    """Mark the best values of each column, separately for each dataset.

    Rows with a missing seed are not candidates, since the missing value may be the worst. Nothing is marked where such
    a row, or one of too few seeds, has the better mean.
    """
    compared: dict[tuple[CellKey, Any], dict[CellKey, Value]] = {}
    for (row, column), value in cells.items():
        if value.seeds:
            compared.setdefault((column, value.at.get("dataset")), {})[row] = value
    winners = {(row, column) for (column, _), values in compared.items() for row in _winners(values, better)}
    return {place: replace(value, best=place in winners) for place, value in cells.items()}


def _winners(values: dict[CellKey, Value], better: str) -> set[CellKey]:
    found = best({row: value.seeds for row, value in values.items() if value.complete}, better)
    sign = -1 if better == "higher" else 1
    first = min(values, key=lambda row: sign * summarise(list(values[row].seeds.values())).mean)
    return found if first in found else set()


def _summary(suite: Suite, names: list[str]) -> str:
    for record in suite.records:
        about = mapping(record.about.get("metrics"))
        for name in names:
            family = mapping(record.metrics.get(name)).get("family")
            entry = mapping(about.get(name) or about.get(words(family)))
            if entry.get("summary"):
                return words(entry["summary"], 300)
    return ""


def _first(values: Iterable[Any]) -> Any:
    return next((value for value in values if value), None)


def build_tables(
    suite: Suite,
    metrics: str | Sequence[str] = (),
    rows: str | Sequence[str] | None = None,
    columns: str | Sequence[str] | None = None,
    **options: Any,
) -> list[Table]:
    """The tables for the flags of `bench table`; names are a sequence or one text with commas.

    Raises `UsageError` where there is no table, and for unknown names.
    """
    chosen = _rows_and_columns(_names(rows), _names(columns))
    wanted: list[str | None] = [*_names(metrics)] or [None]
    tables = [t for metric in wanted for t in build(suite, metric, *chosen, **options)]
    if not tables:
        raise UsageError(f"suite {suite.name!r} has no metrics recorded yet")
    return tables


def _names(given: str | Sequence[str] | None) -> list[str]:
    parts = given.split(",") if isinstance(given, str) else given or []
    return [part.strip() for part in parts if part.strip()]


def _rows_and_columns(rows: list[str], columns: list[str]) -> tuple[Sequence[str], Sequence[str]]:
    """The named axes; a side without any keeps its default axes that the other side does not use."""
    return (
        rows or tuple(axis for axis in ROWS if axis not in columns),
        columns or tuple(axis for axis in COLUMNS if axis not in rows),
    )
