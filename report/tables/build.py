"""From the records of a suite to its tables: a table per metric family, or one with several metrics side by side."""

import re
import shlex
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from bench.report.data import AXES, EXTERNAL_SIGN, EXTRA_AXES, Group, Suite, mapping, words

from bench.errors import UsageError, did_you_mean

from . import footnotes
from .aggregate import rank_sentences
from .arrange import Cells, cell_key, choose_axes, mark_best, most_compared, sort_columns, split_by_key
from .model import Table
from .names import ARROWS, EMPTY, CellKey, column_identifier, column_text, metric_name
from .published import published_beside
from .values import measure

ROWS = ("label", "net")  #: the axes of the rows unless others are named
COLUMNS = ("dataset", "member", "latent_size")
#: The metrics of a table across metrics unless others are named; those without any number are left out
MAIN = ("mse", "elbo", "fid_prior", "fcd_prior", "knn_accuracy", "silhouette_latent")


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


@dataclass(frozen=True)
class Options:
    """The flags of `bench table` besides metrics, rows and columns.

    dataset: keep the columns of this dataset only.
    only: keep these coordinates, as "latent_size=16" or "label=ae,vae"; rows to which the axis does not apply stay.
    sort: "name", or the name or number of the column whose best row comes first.
    precision: decimals of all numbers; by default two digits of each column's interval.
    published: add published values beside the measured ones.
    ranked: add the notes of the average ranks and interquartile means (`aggregate`).
    notes: "full" or "short"; by default short for a table of several metrics.
    width: "column" (3.4 in) or "page" (6.9 in), which the LaTeX is made to fit.
    transpose: swap rows and columns.
    external: show models that were trained elsewhere.
    """

    dataset: str | None = None
    only: Sequence[str] = ()
    sort: str | None = None
    precision: int | None = None
    published: bool = True
    ranked: bool = False
    notes: str | None = None
    width: str | None = None
    transpose: bool = False
    external: bool = True

    def flags(self, rows: Sequence[str], columns: Sequence[str]) -> list[str]:
        """The flags that differ from the defaults."""
        given = {"rows": ",".join(rows) if tuple(rows) != ROWS else None,
                 "columns": ",".join(columns) if tuple(columns) != COLUMNS else None,
                 "dataset": self.dataset, "sort": self.sort, "precision": self.precision, "notes": self.notes,
                 "width": self.width}  # fmt: skip
        switches = {"no-published": not self.published, "ranks": self.ranked, "transpose": self.transpose,
                    "no-external": not self.external}  # fmt: skip
        pairs = [(name, value) for name, value in given.items() if value is not None]
        pairs += [("only", condition) for condition in self.only]
        flags = [word for name, value in pairs for word in (f"--{name}", str(value))]
        return flags + [f"--{name}" for name, on in switches.items() if on]


def build(
    suite: Suite,
    metric: str | Sequence[str] | None = None,
    rows: Sequence[str] = ROWS,
    columns: Sequence[str] = COLUMNS,
    dataset: str | None = None,
    **options: Any,
) -> list[Table]:
    """One table per metric family, or per name in `metric` (of a family or a metric); `options`: see `Options`.

    With the axis "metric" in `rows` or `columns` it is one table of several metrics (by default `MAIN`), without
    published values and without columns that have no number. Axes in neither `rows` nor `columns` are added to the rows
    where they differ. Raises `UsageError` for an unknown metric, axis, dataset or column.
    """
    asked = Options(dataset, **options)
    names = [metric] if isinstance(metric, str) else list(metric or ())
    _check_axes(rows, columns)
    wanted = _families(suite, names, "metric" in (*rows, *columns))
    groups = _filter(_groups(suite, dataset, asked.external), asked.only)
    flags = asked.flags(rows, columns)
    if "metric" in rows:  # metrics are compared in columns, so the table is built so and then transposed
        rows, columns, asked = columns, rows, replace(asked, transpose=not asked.transpose)
    found = []
    for family, members in wanted.items():
        table = _table(suite, family, members, groups, tuple(rows), tuple(columns))
        command = shlex.join(["bench", "table", suite.name, "--metric", family or ",".join(members), *flags])
        found.append(_finish(suite, replace(table, command=command), asked))
    return found


def _finish(suite: Suite, table: Table, asked: Options) -> Table:
    """The table as the options ask for it."""
    several = not table.metric
    if asked.dataset:
        table = replace(table, dataset=asked.dataset, id=f"{table.id}-{asked.dataset}")
    if several or not asked.published:
        table = replace(table, published={})
    table = replace(table, precision=asked.precision, width=asked.width or "")
    table = drop_empty_columns(table) if several else table
    if asked.notes == "short" or (several and asked.notes is None):
        axes = (*table.row_axes, *table.column_axes)
        found = footnotes.short_notes(suite, list(table.cells.values()), axes, most_compared(table.cells))
        table = replace(table, short=True, notes=(*found, *table.extra))
    if asked.ranked:
        table = replace(table, notes=(*table.notes, *rank_sentences(table)))
    table = _in_order(table, asked.sort) if asked.sort else table
    return table.transposed if asked.transpose else table


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
    tables = build(suite, _names(metrics), *chosen, **options)
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
        columns or tuple(axis for axis in (ROWS if "metric" in rows else COLUMNS) if axis not in rows),
    )


# -- what is asked for


def _check_axes(rows: Sequence[str], columns: Sequence[str]) -> None:
    known = (*AXES, *EXTRA_AXES, "metric")
    for axis in (*rows, *columns):
        if axis not in known:
            raise UsageError(f"unknown axis {axis!r}{did_you_mean(axis, known, 'axes')}")
    twice = sorted({axis for axis in (*rows, *columns) if (*rows, *columns).count(axis) > 1})
    if twice:
        raise UsageError(f"axis {twice[0]!r} is named twice; an axis belongs to the rows or to the columns")


def _families(suite: Suite, metrics: list[str], across: bool) -> dict[str, list[str]]:
    """Family -> metric names of each table; "" -> all names for a table across metrics."""
    known = families(suite)
    every = [name for names in known.values() for name in names]
    for metric in metrics:
        if metric not in known and metric not in every:
            raise UsageError(f"no metric {metric!r} in these records{did_you_mean(metric, {*known, *every})}")
    if not across:
        return {metric: known.get(metric, [metric]) for metric in metrics} if metrics else known
    chosen = metrics or [name for name in MAIN if name in every] or every
    names = dict.fromkeys(name for metric in chosen for name in known.get(metric, [metric]))
    return {"": list(names)} if names else {}


def _groups(suite: Suite, dataset: str | None, external: bool) -> list[Group]:
    found = [g for g in suite.groups if dataset is None or g.at["dataset"] == dataset]
    if dataset is not None and not found:
        known = {str(group.at["dataset"]) for group in suite.groups}
        raise UsageError(f"no dataset {dataset!r} in these records{did_you_mean(dataset, known)}")
    kept = [group for group in found if external or not group.external]
    if found and not kept:
        raise UsageError("--no-external leaves no row: all of these models were trained elsewhere")
    return kept


def _filter(groups: list[Group], only: Sequence[str]) -> list[Group]:
    """The groups with the given coordinates, and those to which an axis does not apply."""
    for condition in only:
        axis, equals, text = condition.partition("=")
        if axis not in (*AXES, "variant") or not equals:
            known = did_you_mean(axis, (*AXES, "variant"), "axes")
            raise UsageError(f"--only {condition!r}: expected AXIS=VALUE{known}")
        values = {str(group.at[axis]) for group in groups if group.at[axis] is not None}
        wanted = {part.strip() for part in text.split(",")} if text not in values else {text}
        signed = {word: f"{word} {EXTERNAL_SIGN}" for word in wanted - values}
        wanted = {sign if (sign := signed.get(word)) in values else word for word in wanted}
        for value in wanted - values:
            raise UsageError(f"--only {condition!r}: no {axis} {value!r} in these records{did_you_mean(value, values)}")
        groups = [group for group in groups if group.at[axis] is None or str(group.at[axis]) in wanted]
    return groups


# -- one table


def _table(
    suite: Suite, family: str, names: list[str], groups: list[Group], rows: tuple[str, ...], columns: tuple[str, ...]
) -> Table:
    """family: "" for a table across metrics."""
    entries = {name: [mapping(r.metrics[name]) for r in suite.records if name in r.metrics] for name in names}
    units = {name: words(_first(entry.get("unit") for entry in entries[name])) for name in names}
    directions = {name: words(_first(entry.get("better") for entry in entries[name])) for name in names}
    members = {name: _member(suite, family, name) for name in names}
    heads = {name: _head(entries[name], name, members[name], directions[name]) for name in names}
    measured = [measure(group, name, members[name]) for group in groups for name in names]
    values = [replace(v, unit=units[v.metric], better=directions[v.metric], at=v.at | {"metric": heads[v.metric]})
              for v in measured]  # fmt: skip
    rows, columns = choose_axes([value.at for value in values], rows, columns, compact=not family)
    cells = {(cell_key(v.at, rows), cell_key(v.at, columns)): v for v in values}
    cells = mark_best(split_by_key(cells, single=EMPTY if family else ""))
    columns = (*columns, "key") if any(place[-1][0] == "key" for _, place in cells) else columns
    shown = (*rows, *columns, *(() if family else ("member",)))
    return Table(
        id=f"{suite.name}-{family or 'metrics'}",
        suite=suite.name,
        metric=family,
        unit=_first(units.values()) or "" if family else "",
        better=_first(directions.values()) or "" if family else "",
        summary=_summary(suite, names) if family else "",
        title="" if family else suite.title,
        row_axes=rows,
        column_axes=columns,
        rows=_yardsticks_last(cells),
        columns=sort_columns(column for _, column in cells),
        cells=cells,
        notes=footnotes.notes(suite, list(cells.values()), shown, most_compared(cells)),
        published=_published(suite, cells),
        digest=suite.digest,
        overrides=footnotes.override_flags(suite.overrides),
    )


def _yardsticks_last(cells: Cells) -> tuple[CellKey, ...]:
    """The rows in the order of the grid; those that hold yardsticks only come last."""
    trained = {row for (row, _), value in cells.items() if not value.yardstick}
    return tuple(sorted(dict.fromkeys(row for row, _ in cells), key=lambda row: row not in trained))


def _head(entries: list[dict[str, Any]], name: str, member: str | None, better: str) -> str:
    """The head of a metric's column: "FCD (prior) ↓"."""
    family = words(_first(entry.get("family") for entry in entries)) or name
    return f"{metric_name(family, member if family != name else None)} {ARROWS.get(better, '')}".strip()


def _published(suite: Suite, cells: Cells) -> dict[tuple[CellKey, CellKey], tuple[dict[str, Any], ...]]:
    """The published values beside each cell that has some."""
    if not suite.references:
        return {}
    beside = {place: published_beside(suite, value.metric, value) for place, value in cells.items()}
    return {place: found for place, found in beside.items() if found}


def _member(suite: Suite, family: str, name: str) -> str | None:
    """The sampler or space in a metric's name; None for a metric outside a family."""
    if family and name != family and name.startswith(f"{family}_"):
        return name.removeprefix(f"{family}_")
    return words(_first(mapping(record.metrics.get(name)).get("member") for record in suite.records)) or None


def drop_empty_columns(table: Table) -> Table:
    """The table without the columns that have no number, and a note that names them."""
    kept = tuple(column for column in table.columns if any(value.seeds for value in table.column(column)))
    if not kept or len(kept) == len(table.columns):
        return table
    empty = [column_text(column) for column in table.columns if column not in kept]
    cells = {place: value for place, value in table.cells.items() if place[1] in kept}
    sentence = f"Left out, without any number: {'; '.join(empty)}."
    return replace(table, columns=kept, cells=cells, notes=(*table.notes, sentence), extra=(sentence,))


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


# -- order of the rows


def _in_order(table: Table, sort: str) -> Table:
    """The table with sorted rows. Rows without a number come last; equal ones keep the order of the grid."""
    if sort == "name":
        return replace(table, rows=tuple(sorted(table.rows, key=lambda row: [_natural(part[1]) for part in row])))
    column = _sorting_column(table, sort)

    def rank(row: CellKey) -> tuple[bool, float]:
        value = table.cells.get((row, column))
        if value is None or value.summary is None:
            return True, 0.0
        return False, -value.summary.mean if value.better == "higher" else value.summary.mean

    return replace(table, rows=tuple(sorted(table.rows, key=rank)))


def _natural(coordinate: str | int | None) -> tuple[bool, int, str]:
    """Numbers by size, before words."""
    if isinstance(coordinate, int):
        return False, coordinate, ""
    return True, 0, str(coordinate or "").casefold()


def _sorting_column(table: Table, sort: str) -> CellKey:
    names = {column_text(column): column for column in table.columns}
    plain = {re.sub(r" [↑↓](?=,|$)", "", name): column for name, column in names.items()}
    metrics = {value.metric: column for (_, column), value in table.cells.items()}
    plain |= {column_identifier(column): column for column in table.columns if table.metric}
    plain |= {metric: column for metric, column in metrics.items() if not table.metric}
    if sort in names or sort in plain:
        return (plain | names)[sort]
    if sort.isdecimal() and 1 <= int(sort) <= len(table.columns):
        return table.columns[int(sort) - 1]
    numbered = "; ".join(f"{number} {column_text(column)!r}" for number, column in enumerate(table.columns, start=1))
    raise UsageError(f"cannot sort by {sort!r}: 'name', or a column by number or name: {numbered}")
