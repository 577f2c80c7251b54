"""A table as plain text for a terminal, and as Markdown."""

import re
import textwrap
from collections.abc import Iterable

from .aggregate import standings, standings_heading
from .footnotes import BOLD
from .model import CellParts, Table
from .names import row_texts

WIDTH = 100  #: columns at which a note is wrapped


def plain(table: Table) -> str:
    """Aligned columns; asterisks mark the best."""
    body = [
        [_cell(table.parts(row, printed), "*{}*", "[{}]") for printed in table.printed_columns] for row in table.rows
    ]
    notes = [note.replace(BOLD, "Between asterisks:", 1) for note in table.all_notes]
    wrapped = [line for note in notes for line in textwrap.wrap(note, WIDTH, break_on_hyphens=False)]
    apart = [row in table.yardsticks for row in table.rows]
    first = apart.index(True) if any(apart) else None
    return _plain_grid(table.heading, _grid(table, body), len(table.row_axes), wrapped, apart=first)


def plain_standings(table: Table) -> str:
    """The standings below a table, "" where there are none."""
    found = standings(table)
    if not found:
        return ""
    return "\n" + _plain_grid(
        standings_heading(table), found.grid(table), len(table.row_axes), [table.stamp], ragged=True
    )


def markdown(table: Table) -> str:
    """A pipe table with the notes below."""
    body = [[_cell(table.parts(row, printed), "**{}**", "<sup>{}</sup>") for printed in table.printed_columns]
            for row in table.rows]  # fmt: skip
    heads, *rows = _grid(table, body)
    left = len(table.row_axes)
    escaped = [[*map(escape_markdown, row[:left]), *row[left:]] for row in rows]
    return _markdown_grid(table.heading, [[*map(escape_markdown, heads)], *escaped], left, table.all_notes)


def markdown_standings(table: Table) -> str:
    """The standings below a table, "" where there are none."""
    found = standings(table)
    if not found:
        return ""
    grid = [[*map(escape_markdown, row)] for row in found.grid(table)]
    return "\n" + _markdown_grid(standings_heading(table), grid, len(table.row_axes), [table.stamp])


def escape_markdown(text: str) -> str:
    r"""Text that Markdown shows unchanged.

    >>> print(escape_markdown("a|b_c <i>"))
    a\|b\_c &lt;i>
    """
    return re.sub(r"([\\`*_\[\]|])", r"\\\1", text).replace("&", "&amp;").replace("<", "&lt;")


def _grid(table: Table, body: list[list[str]]) -> list[list[str]]:
    heads = [*map(table.axis, table.row_axes), *(printed.name for printed in table.printed_columns)]
    return [heads, *([*row_texts(row), *cells] for row, cells in zip(table.rows, body, strict=True))]


def _cell(parts: CellParts, bold: str, mark: str) -> str:
    marks = mark.format(parts.marks) if parts.marks else ""
    return (bold.format(parts.text) if parts.best else parts.text) + parts.partial + marks


def _plain_grid(
    heading: str, grid: list[list[str]], left: int, notes: Iterable[str], ragged: bool = False, apart: int | None = None
) -> str:
    """ragged: the last column is text, aligned to the left. apart: the first row below a dotted rule."""
    widths = [max(len(row[i]) for row in grid) for i in range(len(grid[0]))]
    numbers = range(left, len(widths) - ragged)
    aligned = [[cell.rjust(width) if i in numbers else cell.ljust(width)
                for i, (cell, width) in enumerate(zip(row, widths, strict=True))] for row in grid]  # fmt: skip
    head, *lines = ("  ".join(row).rstrip() for row in aligned)
    rule = "─" * max(map(len, [head, *lines]))
    if apart:
        lines.insert(apart, "┄" * len(rule))
    return "\n".join([heading, rule, head, rule, *lines, rule, *notes, ""])


def _markdown_grid(heading: str, grid: list[list[str]], left: int, notes: Iterable[str]) -> str:
    """A grid of escaped texts; heading and notes are escaped here."""
    rule = ["---"] * left + ["---:"] * (len(grid[0]) - left)
    lines = [f"| {' | '.join(row)} |" for row in (grid[0], rule, *grid[1:])]
    return "\n".join([f"**{escape_markdown(heading)}**", "", *lines, "", "  \n".join(map(escape_markdown, notes)), ""])
