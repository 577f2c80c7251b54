"""A table as text to paste: plain, Markdown; LaTeX, CSV and JSON have files of their own."""

import re
import textwrap
from collections.abc import Callable, Iterable

from .data import csv_text, dumps
from .footnotes import BOLD
from .latex import latex
from .layout import Slot, parts, slots
from .model import Place, Table
from .said import names, table_notes

WIDE = 100  #: columns at which a note is wrapped


def plain(tables: list[Table]) -> str:
    """Aligned columns for a terminal; `*` marks the best."""
    return "\n".join(_plain(table) for table in tables)


def _plain(table: Table) -> str:
    heads = [*map(table.axis, table.row_axes), *(slot.name for slot in slots(table))]
    body = [[*names(row), *(_cell(table, row, slot, "*{}*") for slot in slots(table))] for row in table.rows]
    rows = [heads, *body]
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    left = len(table.row_axes)
    text = [_align(row, widths, left) for row in rows]
    rule = "─" * max(map(len, text))
    said = [note.replace(BOLD, "Between asterisks:", 1) for note in table_notes(table)]
    notes = [line for note in said for line in textwrap.wrap(note, WIDE, break_on_hyphens=False)]
    return "\n".join([table.heading, rule, text[0], rule, *text[1:], rule, *notes, ""])


def _align(row: list[str], widths: list[int], left: int) -> str:
    parts = [c.ljust(w) if i < left else c.rjust(w) for i, (c, w) in enumerate(zip(row, widths, strict=True))]
    return "  ".join(parts).rstrip()


def markdown(tables: list[Table]) -> str:
    """Pipe tables with the notes below."""
    return "\n".join(_markdown(table) for table in tables)


def _markdown(table: Table) -> str:
    heads = [*map(table.axis, table.row_axes), *(slot.name for slot in slots(table))]
    rule = ["---"] * len(table.row_axes) + ["---:"] * len(slots(table))
    lines = [_pipe(map(escape_markdown, heads)), _pipe(rule)]
    for row in table.rows:
        cells = (_cell(table, row, slot, "**{}**", "<sup>{}</sup>") for slot in slots(table))
        lines.append(_pipe([*map(escape_markdown, names(row)), *cells]))
    notes = "  \n".join(escape_markdown(note) for note in table_notes(table))
    return "\n".join([f"**{escape_markdown(table.heading)}**", "", *lines, "", notes, ""])


def _pipe(parts: Iterable[str]) -> str:
    return "| " + " | ".join(parts) + " |"


def escape_markdown(text: str) -> str:
    r"""Text that Markdown shows as it is.

    >>> print(escape_markdown("a|b_c <i>"))
    a\|b\_c &lt;i>
    """
    return re.sub(r"([\\`*_\[\]|])", r"\\\1", text).replace("&", "&amp;").replace("<", "&lt;")


def _cell(table: Table, row: Place, slot: Slot, bold: str, mark: str = "[{}]") -> str:
    said = parts(table, row, slot)
    marks = mark.format(said.marks) if said.marks else ""
    return (bold.format(said.text) if said.best else said.text) + said.partial + marks


FORMATS: dict[str, Callable[[list[Table]], str]] = {
    "text": plain, "markdown": markdown, "latex": latex, "csv": csv_text, "json": dumps,
}  # fmt: skip
