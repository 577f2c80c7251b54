"""The columns of a printed table: those of the table model, and behind each the published values beside it."""

from itertools import groupby
from typing import NamedTuple

from .model import Place, Table
from .said import EMPTY, CellParts, cell_parts, column_name, head_word

PUBLISHED = "published"


class Slot(NamedTuple):
    """One printed column: obtained values, or the published ones beside them."""

    column: Place
    published: bool = False

    @property
    def name(self) -> str:
        """Its head in one line: "mnist, latent 16", "mnist, latent 16, published"."""
        name = column_name(self.column)
        return f"{name}, {PUBLISHED}" if self.published else name

    @property
    def last_head(self) -> str:
        """The lowest of its heads."""
        word = head_word(self.column[-1])
        return f"{word}, {PUBLISHED}" if self.published else word


def slots(table: Table) -> list[Slot]:
    """The printed columns; a published one only where something comparable is published."""
    wanted = {column for row, column in table.published if table.beside(row, column)}
    return [slot for c in table.columns for slot in (Slot(c), *([Slot(c, True)] if c in wanted else []))]


def spans(table: Table, level: int) -> list[tuple[str, int]]:
    """Heads of an upper level with how many printed columns each spans; a span ends where one above it does."""
    groups = groupby(slots(table), key=lambda slot: slot.column[: level + 1])
    return [(head_word(prefix[level]), len(list(members))) for prefix, members in groups]


def parts(table: Table, row: Place, slot: Slot) -> CellParts:
    """What stands in a printed cell."""
    if slot.published:
        return CellParts("; ".join(table.beside(row, slot.column)) or EMPTY)
    return cell_parts(table, row, slot.column)
