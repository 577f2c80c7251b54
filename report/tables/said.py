"""The words of a table's heads, cells and notes, the same in every form of it."""

from itertools import groupby
from typing import NamedTuple

from .footnotes import SPACES
from .model import Place, Table, shown
from .values import GAPS, Value

EMPTY = "–"


class CellParts(NamedTuple):
    """What stands in a cell: "0.012 ± 0.001", bold or not, " (2/3)", "a,b"."""

    text: str
    best: bool = False
    partial: str = ""
    marks: str = ""


def names(place: Place) -> list[str]:
    """The coordinates of a row, each under its own heading."""
    return [_word(part) for part in place]


def head_word(part: tuple[str, "str | int | None"]) -> str:
    """A column's coordinate, which has no heading of its own: "latent 16"."""
    return f"latent {_word(part)}" if part[0] == "latent_size" else _word(part)


def column_name(column: Place) -> str:
    """A column in one line: "mnist, latent 16"."""
    return ", ".join(map(head_word, column))


def column_spans(table: Table, level: int) -> list[tuple[str, int]]:
    """Heads of one level with how many columns each spans; a span ends where an upper one does."""
    groups = groupby(table.columns, key=lambda column: column[: level + 1])
    return [(head_word(prefix[level]), len(list(members))) for prefix, members in groups]


def _word(part: tuple[str, "str | int | None"]) -> str:
    if part[1] in (None, ""):
        return EMPTY
    return SPACES.get(str(part[1]), str(part[1])) if part[0] == "member" else str(part[1])


def cell_parts(table: Table, row: Place, column: Place) -> CellParts:
    """A cell in words, or the dash where the grid has nothing."""
    value = table.cells.get((row, column))
    if value is None:
        return CellParts(EMPTY)
    text = number_text(value, table.decimals[column], table.precision is not None)
    return CellParts(text, value.best, _partial(value), ",".join(table.marks_of(value)))


def number_text(value: Value, decimals: int, exactly: bool = False) -> str:
    """Mean ± half-width, or the word for its absence."""
    summary = value.summary
    if summary is None:
        return GAPS.get(value.state, value.state)
    mean = shown(summary.mean, decimals, exactly)
    return mean if summary.half_width is None else f"{mean} ± {shown(summary.half_width, decimals, exactly)}"


def _partial(value: Value) -> str:
    """ "(4/5)" where seeds are missing, "(n = 1)" for a lone one."""
    if value.seeds and not value.complete:
        return f" ({len(value.seeds)}/{value.planned})"
    return " (n = 1)" if len(value.seeds) == 1 else ""


def table_notes(table: Table) -> list[str]:
    """The note, the published values' sources, the footnotes that letters stand for, and how to get the table again."""
    marks = [f"{letter}: {text}." for text, letter in table.marks.items()]
    return [table.note, *table.published_notes, *marks, f"Table {table.table_id} ({table.command})"]
