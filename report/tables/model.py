"""The comparison table: one model of it, for the site and for `bench table`.

A table holds one metric family (`fcd` = one column group per sampler). A value is the mean over the seeds of
one configuration; seeds are all that is ever averaged. Where values were measured under different keys
(another likelihood, another classifier) they stand in different columns, and a configuration whose seeds were
measured under different keys has no mean at all. What is not there is named, with its reason.
"""

import hashlib
import shlex
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from bench.report.data import AXES, EXTRA_AXES, Coordinates, Group, Suite, load, mapping, words

from bench.errors import UsageError, did_you_mean
from bench.results.stats import best, summarise

from . import footnotes, ranks
from .digits import decimals_of, shown
from .published import sentences, shown_beside
from .values import Key, Value, gap_texts, key_text, measure

__all__ = ["ARROWS", "COLUMNS", "ROWS", "Place", "Table", "build", "decimals_of", "families", "shown", "table"]

ROWS = ("label", "net")
COLUMNS = ("dataset", "member", "latent_size")
ARROWS = {"lower": "↓", "higher": "↑"}
HEADINGS = {
    "label": "Variant", "variant": "Method", "net": "Net", "likelihood": "Likelihood", "dataset": "Data",
    "latent_size": "Latent size", "setting": "Setting", "key": "Measured with",
}  # fmt: skip

Place = tuple[tuple[str, "str | int | None"], ...]  #: (axis, coordinate) pairs: a row's or a column's identity


@dataclass(frozen=True)
class Table:
    """Values of one metric family; `cells[row, column]` is absent where the grid has nothing."""

    id: str
    suite: str
    metric: str
    unit: str
    better: str
    summary: str
    row_axes: tuple[str, ...]
    column_axes: tuple[str, ...]
    rows: tuple[Place, ...]
    columns: tuple[Place, ...]
    cells: dict[tuple[Place, Place], Value]
    notes: tuple[str, ...]  #: sentences: see `conditions`
    digest: str = ""  #: of the suite
    overrides: str = ""  #: the `--set` it was run with
    dataset: str = ""  #: where the table is of one dataset only
    published: dict[tuple[Place, Place], tuple[dict[str, Any], ...]] = field(default_factory=dict)
    precision: int | None = None  #: decimals asked for
    command: str = ""  #: what prints this table

    @cached_property
    def table_id(self) -> str:
        """12 hex digits of the SHA-256 of `shows`: the same records, arranged alike, have the same id."""
        return hashlib.sha256("\n".join(self.shows()).encode()).hexdigest()[:12]

    def shows(self) -> Iterator[str]:
        """What the id is of, line by line: command, heading, notes, and of each value its place, its seeds with all
        their digits, and what is said of it. The page's script writes the same lines (static/writers.js).
        """
        yield from (self.command, self.heading, *self.notes, *self.published_notes)
        for row in self.rows:
            for column in self.columns:
                if value := self.cells.get((row, column)):
                    place = ("" if word is None else str(word) for _, word in (*row, *column))
                    yield "\t".join([*place, *_shown_of(value), "; ".join(self.beside(row, column))])

    def beside(self, row: Place, column: Place) -> list[str]:
        """The comparable published values of a cell."""
        return [view["published"] for view in self.published.get((row, column), ()) if view["comparable"]]

    @property
    def published_notes(self) -> tuple[str, ...]:
        """Where the published values are from, and why some are not comparable."""
        return sentences(view for views in self.published.values() for view in views)

    @property
    def heading(self) -> str:
        name = f"{self.metric}, {self.dataset}" if self.dataset else self.metric
        return f"{name} {ARROWS.get(self.better, '')}".strip() + (f" ({self.unit})" if self.unit else "")

    def axis(self, name: str) -> str:
        """The heading of an axis."""
        if name == "member":
            return footnotes.member_word(self.cells.values()).capitalize()
        return HEADINGS.get(name, name)

    @property
    def note(self) -> str:
        """The footnote that goes with the numbers wherever they are pasted."""
        return " ".join(self.notes)

    @property
    def empty(self) -> bool:
        """True where there is not one number."""
        return not any(value.seeds for value in self.cells.values())

    @cached_property
    def decimals(self) -> dict[Place, int]:
        """Decimals of each column: two digits of the median half-width; without one, four of the mean."""
        if self.precision is not None:
            return dict.fromkeys(self.columns, self.precision)
        return {column: decimals_of(self.column(column)) for column in self.columns}

    @cached_property
    def marks(self) -> dict[str, str]:
        """Footnote text -> its letter, in reading order."""
        texts: dict[str, None] = {}
        for row in self.rows:
            for column in self.columns:
                for text in gap_texts(self.cells.get((row, column))):
                    texts.setdefault(text)
        return {text: _letter(index) for index, text in enumerate(texts)}

    def column(self, column: Place) -> list[Value]:
        return [self.cells[row, column] for row in self.rows if (row, column) in self.cells]

    def marks_of(self, value: Value) -> list[str]:
        return [self.marks[text] for text in gap_texts(value)]


def _shown_of(value: Value) -> list[str]:
    seeds = " ".join(f"{seed}:{value.seeds[seed]!r}" for seed in sorted(value.seeds))
    key = ", ".join(f"{name} {word}" for name, word in value.key)
    return [seeds, str(value.planned), value.state, "best" if value.best else "", key, "; ".join(gap_texts(value))]


def families(suite: Suite) -> dict[str, list[str]]:
    """Metric family -> its metric names, in the order of the suite, then of the records."""
    found: dict[str, list[str]] = {name: [] for name in suite.metrics}
    for record in suite.records:
        for name, entry in record.metrics.items():
            family = words(mapping(entry).get("family") or name)
            names = found.setdefault(family, [])
            if name not in names:
                names.append(name)
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
    """The tables of a suite, one a metric family, or the one of `metric` (a family's or a metric's name).

    Axes named neither in `rows` nor in `columns` are added to the rows where they differ. `dataset` leaves only its
    columns; `sort` is "name", or the name or number of the column whose best comes first; `precision` is the number
    of decimals; `published` puts published values beside; `ranked` says over which columns rows are ranked (`ranks`).
    Raises `UsageError` for an unknown metric, axis, dataset or column.
    """
    known = families(suite)
    _check_axes(rows, columns)
    wanted = {metric: _members(known, metric)} if metric else known
    groups = _groups(suite, dataset)
    shape = (tuple(rows), tuple(columns))
    tables = [_table(suite, family, names, groups, *shape) for family, names in wanted.items()]
    if not published:
        tables = [replace(t, published={}) for t in tables]
    if ranked:
        tables = [replace(t, notes=(*t.notes, *ranks.sentences(t))) for t in tables]
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


def _flags(rows: Sequence[str], columns: Sequence[str], named: dict[str, Any], said: dict[str, bool]) -> list[str]:
    """The flags of `bench table` that differ from its defaults."""
    given = {"rows": ",".join(rows) if tuple(rows) != ROWS else None,
             "columns": ",".join(columns) if tuple(columns) != COLUMNS else None, **named}  # fmt: skip
    flags = [word for name, value in given.items() if value is not None for word in (f"--{name}", str(value))]
    return flags + [f"--{name}" for name, on in said.items() if on]


def _command(table: Table, flags: list[str]) -> str:
    return shlex.join(["bench", "table", table.suite, "--metric", table.metric, *flags])


def _in_order(table: Table, sort: str) -> Table:
    """The rows sorted, those without a number last; equal ones stay in the order of the grid."""
    if sort == "name":
        return replace(table, rows=tuple(sorted(table.rows, key=lambda row: [_natural(part[1]) for part in row])))
    column, sign = _sorting_column(table, sort), -1 if table.better == "higher" else 1

    def rank(row: Place) -> tuple[bool, float]:
        value = table.cells.get((row, column))
        summary = value.summary if value else None
        return (summary is None, sign * summary.mean if summary else 0.0)

    return replace(table, rows=tuple(sorted(table.rows, key=rank)))


def _natural(coordinate: str | int | None) -> tuple[bool, int, str]:
    """Numbers by size, before words."""
    if isinstance(coordinate, int):
        return False, coordinate, ""
    return True, 0, str(coordinate or "").lower()  # not casefold(), which the page's script does not have


def _sorting_column(table: Table, sort: str) -> Place:
    from .said import column_name

    names = {column_name(column): column for column in table.columns}
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
        raise UsageError(f"axis {twice[0]!r} is named twice; an axis is either of the rows or of the columns")


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
    suite: Suite, cells: dict[tuple[Place, Place], Value], names: dict[str | None, str]
) -> dict[tuple[Place, Place], tuple[dict[str, Any], ...]]:
    """The published values beside each cell that has some."""
    if not suite.references:
        return {}
    beside = {place: shown_beside(suite, names[words(value.at["member"]) or None], value)
              for place, value in cells.items()}  # fmt: skip
    return {place: found for place, found in beside.items() if found}


def _member(suite: Suite, family: str, name: str) -> str | None:
    """The sampler or space of a metric's name; None for a metric that is no member of a family."""
    if name != family and name.startswith(f"{family}_"):
        return name.removeprefix(f"{family}_")
    return words(_first(mapping(record.metrics.get(name)).get("member") for record in suite.records)) or None


def _arranged(
    every: list[Coordinates], rows: tuple[str, ...], columns: tuple[str, ...]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Drop axes that say nothing; add to the rows those that keep two configurations apart."""
    varied = {axis for axis in (*AXES, *EXTRA_AXES) if len({at.get(axis) for at in every}) > 1}
    rows = tuple(axis for axis in rows if axis in varied) or rows[:1]
    columns = tuple(axis for axis in columns if axis in varied) or columns[:1]
    for axis in ("label", "net", "likelihood", "dataset", "latent_size", "member", "setting"):
        buckets: dict[tuple[Place, Place], set[Any]] = {}
        for at in every:
            buckets.setdefault((_place(at, rows), _place(at, columns)), set()).add(at.get(axis))
        if axis not in (*rows, *columns) and any(len(found) > 1 for found in buckets.values()):
            rows = (*rows, axis)
    return rows, columns


def _place(at: Coordinates, axes: Iterable[str]) -> Place:
    return tuple((axis, at.get(axis)) for axis in axes)


def _split_by_key(cells: dict[tuple[Place, Place], Value]) -> dict[tuple[Place, Place], Value]:
    """One column a key, wherever values of one dataset in one column were measured under different keys.

    Of different datasets it is no clash that images and classifiers differ: they are not compared anyway.
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


def _sorted(columns: dict[Place, None], axes: tuple[str, ...]) -> tuple[Place, ...]:
    """Numbers by size, words in order of appearance, axis by axis."""
    ranks: list[dict[Any, int]] = []
    for index in range(len(axes)):
        found = list(dict.fromkeys(column[index][1] for column in columns))
        if all(isinstance(x, int) for x in found):
            found.sort()
        ranks.append({x: rank for rank, x in enumerate(found)})
    return tuple(sorted(columns, key=lambda c: tuple(rank[part[1]] for rank, part in zip(ranks, c, strict=True))))


def _with_best(cells: dict[tuple[Place, Place], Value], better: str) -> dict[tuple[Place, Place], Value]:
    """Mark the best of each column, dataset by dataset.

    Rows with a seed missing take no part, since what is missing may be the worst; and where such a row, or
    one of too few seeds, has the better mean, nothing is marked.
    """
    compared: dict[tuple[Place, Any], dict[Place, Value]] = {}
    for (row, column), value in cells.items():
        if value.seeds:
            compared.setdefault((column, value.at.get("dataset")), {})[row] = value
    winners = {(row, column) for (column, _), values in compared.items() for row in _winners(values, better)}
    return {place: replace(value, best=place in winners) for place, value in cells.items()}


def _winners(values: dict[Place, Value], better: str) -> set[Place]:
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


def _letter(index: int) -> str:
    """a, b, ..., z, aa, ab, ...

    >>> _letter(0), _letter(25), _letter(26)
    ('a', 'z', 'aa')
    """
    head, last = divmod(index, 26)
    return (_letter(head - 1) if head else "") + chr(ord("a") + last)


def _first(values: Iterable[Any]) -> Any:
    return next((value for value in values if value), None)


def table(
    results: Path,
    suite: str,
    format: str = "text",  # noqa: A002  (the flag of the verb)
    metrics: str | Sequence[str] = (),
    rows: str | Sequence[str] | None = None,
    columns: str | Sequence[str] | None = None,
    **how: Any,
) -> str:
    """What `bench table SUITE` prints; several names are a sequence or separated by commas. `how`: see `build`.

    Raises `UsageError` for an unknown suite, format, metric, axis, dataset or column, and where nothing is recorded.
    """
    from . import formats, standings

    forms = standings.FORMATS if how.get("ranked") else formats.FORMATS
    if format not in forms:
        raise UsageError(f"unknown format {format!r}{did_you_mean(format, forms)}")
    return forms[format](build_as_asked(load(Path(results), suite), metrics, rows, columns, **how))


def build_as_asked(
    suite: Suite,
    metrics: str | Sequence[str] = (),
    rows: str | Sequence[str] | None = None,
    columns: str | Sequence[str] | None = None,
    **how: Any,
) -> list[Table]:
    """The tables that the flags of `bench table` ask for. Raises `UsageError` where there is none."""
    chosen = _rows_and_columns(_names(rows), _names(columns))
    wanted: list[str | None] = [*_names(metrics)] or [None]
    tables = [t for metric in wanted for t in build(suite, metric, *chosen, **how)]
    if not tables:
        raise UsageError(f"suite {suite.name!r} has no metrics recorded yet")
    return tables


def _names(given: str | Sequence[str] | None) -> list[str]:
    parts = given.split(",") if isinstance(given, str) else given or []
    return [part.strip() for part in parts if part.strip()]


def _rows_and_columns(rows: list[str], columns: list[str]) -> tuple[Sequence[str], Sequence[str]]:
    """What was named, and of the usual arrangement what is left by it."""
    return (
        rows or tuple(axis for axis in ROWS if axis not in columns),
        columns or tuple(axis for axis in COLUMNS if axis not in rows),
    )
