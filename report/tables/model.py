"""The comparison table: rows, columns, the value of each cell, and the texts that every format prints of them.

A table holds one metric family (`fcd` has a group of columns per sampler). A value is the mean over the seeds of one
configuration; nothing else is averaged. Every missing number is named with its reason.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import groupby
from typing import Any, NamedTuple

from .footnotes import axis_name
from .names import (
    EMPTY,
    GAPS,
    CellKey,
    column_text,
    coordinate_text,
    format_number,
    head_text,
    metric_heading,
    metric_text,
)
from .published import source_sentences
from .values import Value, decimals_of, footnotes_of, gap_texts


class PrintedColumn(NamedTuple):
    """One printed column: measured values, or the published ones beside them."""

    column: CellKey
    published: bool = False

    @property
    def name(self) -> str:
        """Its heads in one line: "MNIST, d = 16", "MNIST, d = 16, published"."""
        return column_text(self.column) + (", published" if self.published else "")

    @property
    def last_head(self) -> str:
        """The lowest of its heads."""
        return head_text(*self.column[-1]) + (", published" if self.published else "")


class CellParts(NamedTuple):
    """The text of a cell: "0.012 ± 0.001", bold or not, " (2/3)", "a,b"."""

    text: str
    best: bool = False
    partial: str = ""
    marks: str = ""


@dataclass(frozen=True)
class Table:
    """Values of one metric family, or of several metrics; `cells[row, column]` is absent where the grid has nothing."""

    id: str
    suite: str
    metric: str  #: the family; "" for a table of several metrics
    unit: str
    better: str
    summary: str
    row_axes: tuple[str, ...]
    column_axes: tuple[str, ...]
    rows: tuple[CellKey, ...]
    columns: tuple[CellKey, ...]
    cells: dict[tuple[CellKey, CellKey], Value]
    notes: tuple[str, ...]  #: sentences, see `footnotes.notes`
    digest: str = ""  #: of the suite
    overrides: str = ""  #: the `--set` flags of the run
    dataset: str = ""  #: the dataset of a table of one dataset only
    published: dict[tuple[CellKey, CellKey], tuple[dict[str, Any], ...]] = field(default_factory=dict)
    precision: int | None = None  #: decimals that the reader asked for
    command: str = ""  #: the command that prints this table
    title: str = ""  #: the heading of a table of several metrics
    extra: tuple[str, ...] = ()  #: sentences that also stand in a short note
    short: bool = False  #: short notes, without the footnotes of gaps
    width: str = ""  #: "column" or "page", which the LaTeX fits
    swapped: bool = False  #: rows and columns were swapped, so decimals belong to rows

    @cached_property
    def table_id(self) -> str:
        """12 hex digits of a SHA-256: equal records in an equal arrangement give an equal id."""
        return hashlib.sha256("\n".join(self._identity()).encode()).hexdigest()[:12]

    def _identity(self) -> Iterator[str]:
        """Command, heading, notes, and for each value its place, its seeds in full precision, and its conditions."""
        yield from (self.command, self.heading, *self.notes, *self.published_notes)
        for row in self.rows:
            for column in self.columns:
                if value := self.cells.get((row, column)):
                    place = ("" if word is None else str(word) for _, word in (*row, *column))
                    yield "\t".join([*place, *_identity_of(value), "; ".join(self.beside(row, column))])

    @property
    def heading(self) -> str:
        """Metric, dataset if there is one, direction and unit."""
        name = ", ".join(filter(None, [self.name, self.dataset_name]))
        return metric_heading(name, self.better, self.unit)

    @property
    def name(self) -> str:
        """The metric for readers, or the title of a table of several metrics."""
        return self.title or metric_text(self.metric)

    @property
    def dataset_name(self) -> str:
        """The dataset of a table of one dataset for readers, else ""."""
        return coordinate_text("dataset", self.dataset) if self.dataset else ""

    @property
    def stamp(self) -> str:
        """The last note: the table's id and the command that prints it. `check` finds a pasted table by it."""
        return f"Table {self.table_id} ({self.command})"

    @property
    def note(self) -> str:
        """The footnote of the numbers."""
        return " ".join(self.notes)

    @property
    def published_notes(self) -> tuple[str, ...]:
        """The sources of the published values, and why some are not comparable."""
        return source_sentences(view for views in self.published.values() for view in views)

    @property
    def all_notes(self) -> list[str]:
        """The note, the sources of published values, the footnotes of the letters, and the stamp."""
        marks = [f"{letter}: {text}." for text, letter in self.marks.items()]
        return [self.note, *self.published_notes, *marks, self.stamp]

    @cached_property
    def yardsticks(self) -> frozenset[CellKey]:
        """The rows that hold yardsticks only; they stand last, below a rule."""
        trained = {row for (row, _), value in self.cells.items() if not value.yardstick}
        return frozenset(self.rows) - trained if trained else frozenset()

    @property
    def empty(self) -> bool:
        """True where the table has no number at all."""
        return not any(value.seeds for value in self.cells.values())

    @cached_property
    def decimals(self) -> dict[CellKey, int]:
        """Decimals of each column; of each row where rows and columns were swapped."""
        if self.precision is not None:
            return dict.fromkeys((*self.columns, *self.rows), self.precision)
        if self.swapped:
            return self.transposed.decimals
        return {column: decimals_of(self.column(column)) for column in self.columns}

    @property
    def transposed(self) -> "Table":
        """The same table with rows and columns swapped."""
        return replace(
            self, row_axes=self.column_axes, column_axes=self.row_axes, rows=self.columns, columns=self.rows,
            cells={(column, row): value for (row, column), value in self.cells.items()},
            published={(column, row): views for (row, column), views in self.published.items()},
            swapped=not self.swapped,
        )  # fmt: skip

    @cached_property
    def marks(self) -> dict[str, str]:
        """Footnote -> its letter, in reading order."""
        if self.short:
            return {}
        places = ((row, column) for row in self.rows for column in self.columns)
        texts = dict.fromkeys(text for place in places for text in footnotes_of(self.cells.get(place)))
        return {text: _letter(index) for index, text in enumerate(texts)}

    def axis(self, name: str) -> str:
        """The heading of an axis: "Latent size"."""
        return axis_name(name, self.cells.values()).capitalize()

    def column(self, column: CellKey) -> list[Value]:
        """The values of a column from top to bottom."""
        return [self.cells[row, column] for row in self.rows if (row, column) in self.cells]

    def beside(self, row: CellKey, column: CellKey) -> list[str]:
        """The comparable published values of a cell."""
        return [view["published"] for view in self.published.get((row, column), ()) if view["comparable"]]

    def marks_of(self, value: Value) -> list[str]:
        """The letters of a value's footnotes."""
        return [self.marks[text] for text in footnotes_of(value) if text in self.marks]

    @cached_property
    def printed_columns(self) -> list[PrintedColumn]:
        """The columns, each followed by its published values where some are comparable."""
        with_published = {column for row, column in self.published if self.beside(row, column)}
        pairs = [(PrintedColumn(c), PrintedColumn(c, published=True)) for c in self.columns]
        return [printed for pair in pairs for printed in pair if not printed.published or printed[0] in with_published]

    def spans(self, level: int, columns: list[PrintedColumn]) -> list[tuple[str, int]]:
        """The heads of one level and the number of columns below each; a span ends where an upper one does."""
        groups = groupby(columns, key=lambda printed: printed.column[: level + 1])
        return [(head_text(*prefix[level]), len(list(members))) for prefix, members in groups]

    def parts(self, row: CellKey, printed: PrintedColumn) -> CellParts:
        """The text of a printed cell."""
        if printed.published:
            return CellParts("; ".join(self.beside(row, printed.column)) or EMPTY)
        value = self.cells.get((row, printed.column))
        if value is None:
            return CellParts(EMPTY)
        decimals = self.decimals[row if self.swapped else printed.column]
        text = format_value(value, decimals, self.precision is not None)
        return CellParts(text, value.best, _partial(value), ",".join(self.marks_of(value)))


def format_value(value: Value, decimals: int, fixed: bool = False) -> str:
    """Mean ± half-width, or the word for a missing number."""
    summary = value.summary
    if summary is None:
        return GAPS.get(value.state, value.state)
    mean = format_number(summary.mean, decimals, fixed)
    return mean if value.half_width is None else f"{mean} ± {format_number(value.half_width, decimals, fixed)}"


def _partial(value: Value) -> str:
    """ "(4/5)" where seeds are missing, "(n = 1)" for a single one."""
    if value.seeds and not value.complete:
        return f" ({len(value.seeds)}/{value.planned})"
    return " (n = 1)" if len(value.seeds) == 1 else ""


def _identity_of(value: Value) -> list[str]:
    seeds = " ".join(f"{seed}:{value.seeds[seed]!r}" for seed in sorted(value.seeds))
    key = ", ".join(f"{name} {word}" for name, word in value.key)
    return [seeds, str(value.planned), value.state, "best" if value.best else "", key, "; ".join(gap_texts(value))]


def _letter(index: int) -> str:
    """a, b, ..., z, aa, ab, ...

    >>> _letter(0), _letter(25), _letter(26)
    ('a', 'z', 'aa')
    """
    head, last = divmod(index, 26)
    return (_letter(head - 1) if head else "") + chr(ord("a") + last)
