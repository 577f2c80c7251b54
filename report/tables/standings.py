"""The standings of a table's rows (see `ranks`): as text to paste below it, as data in it, and on a suite's page."""

import re
from collections.abc import Callable, Sequence
from itertools import groupby
from typing import Any

from . import data, formats, latex
from .digits import shown
from .model import ARROWS, Place, Table
from .ranks import Standing, Standings, standings
from .said import EMPTY, names

RANK, IQM = "Average rank", "IQM"
HEADS = [RANK, IQM]  #: what the columns behind the row's own are called
FIELDS = ("average_rank", "ranked_columns", "iqm", "iqm_low", "iqm_high", "iqm_columns")  #: the same as data


def iqm_text(standing: Standing) -> str:
    """The IQM with its interval, "0.933 [0.901, 0.954]"; without one under three seeds."""
    found = standing.iqm
    if found is None:
        return EMPTY
    if found.low is None or found.high is None:
        return shown(found.iqm, 3)
    return f"{shown(found.iqm, 3)} [{shown(found.low, 3)}, {shown(found.high, 3)}]"


def rank_text(standing: Standing) -> str:
    return shown(standing.rank, 2)


def numbers(standing: Standing) -> dict[str, list[float]]:
    """Head -> the exact numbers that stand below it."""
    found = standing.iqm
    ends = [] if found is None else [end for end in (found.iqm, found.low, found.high) if end is not None]
    return {RANK: [standing.rank], IQM: ends}


def as_data(found: Standings, row: Place) -> dict[str, Any]:
    """A row's standing as plain values."""
    standing = found.rows[row]
    iqm = standing.iqm
    ends = (iqm.iqm, iqm.low, iqm.high) if iqm else (None, None, None)
    return dict(zip(FIELDS, (standing.rank, len(found.ranked), *ends, len(found.scaled)), strict=True))


# -- below a table


def _heading(table: Table) -> str:
    name = f"{table.metric}, {table.dataset}" if table.dataset else table.metric
    return f"{name}: standings over the columns"


def _stamp(table: Table) -> str:
    """Which table it belongs to, in the words by which `bench verify --table` finds it."""
    return f"Table {table.table_id} ({table.command})"


def _grid(table: Table, found: Standings) -> list[list[str]]:
    body = [[*names(row), rank_text(standing), iqm_text(standing)] for row, standing in found.rows.items()]
    return [[*map(table.axis, table.row_axes), *HEADS], *body]


def _plain(table: Table, found: Standings) -> str:
    rows, left = _grid(table, found), len(table.row_axes)
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    padded = [[c.rjust(w) if i == left else c.ljust(w) for i, (c, w) in enumerate(zip(row, widths, strict=True))]
              for row in rows]  # fmt: skip
    head, *body = ("  ".join(row).rstrip() for row in padded)
    rule = "─" * max(map(len, [head, *body]))
    return "\n".join([_heading(table), rule, head, rule, *body, rule, _stamp(table), ""])


def _markdown(table: Table, found: Standings) -> str:
    head, *body = ([formats.escape_markdown(cell) for cell in row] for row in _grid(table, found))
    rule = ["---"] * len(table.row_axes) + ["---:", "---:"]
    lines = [f"| {' | '.join(row)} |" for row in (head, rule, *body)]
    heading, stamp = formats.escape_markdown(_heading(table)), formats.escape_markdown(_stamp(table))
    return "\n".join([f"**{heading}**", "", *lines, "", stamp, ""])


def _latex(table: Table, found: Standings) -> str:
    escape = latex.escape_latex
    head, *body = ([escape(cell) for cell in row] for row in _grid(table, found))
    lines = [_line(row) for row in (head, *body)]
    label = re.sub(r"[^A-Za-z0-9:-]", "-", table.id)
    return "\n".join([
        r"\begin{table}", r"\centering", rf"\caption{{{escape(_heading(table))}}}",
        rf"\label{{tab:{label}-standings}}",
        rf"\begin{{tabular}}{{{'l' * len(table.row_axes)}rl}}", r"\toprule", lines[0], r"\midrule", *lines[1:],
        r"\bottomrule", r"\end{tabular}", rf"\par\smallskip{{\footnotesize {escape(_stamp(table))}}}",
        r"\end{table}", "",
    ])  # fmt: skip


def _line(cells: list[str]) -> str:
    r"""A line of the table. One that begins with `[` or `*` would be read as an argument of the `\\` before it."""
    line = " & ".join(cells) + r" \\"
    return f"{{}}{line}" if line.startswith(("[", "*")) else line


def _below(one: Callable[[list[Table]], str], below: Callable[[Table, Standings], str]) -> Callable[[list[Table]], str]:
    def printed(tables: list[Table]) -> str:
        return "\n".join(_both(one, below, table) for table in tables)

    return printed


def _both(one: Callable[[list[Table]], str], below: Callable[[Table, Standings], str], table: Table) -> str:
    found = standings(table)
    return "\n".join([one([table]), *([below(table, found)] if found else [])])


def _within(form: Callable[..., str]) -> Callable[[list[Table]], str]:
    def printed(tables: list[Table]) -> str:
        found = {id(table): standings(table) for table in tables}

        def more(table: Table, row: Place) -> dict[str, Any]:
            standing = found[id(table)]
            return as_data(standing, row) if standing else {}

        return form(tables, more)

    return printed


#: As `formats.FORMATS`, with the standings: what `bench table --ranks` prints.
FORMATS: dict[str, Callable[[list[Table]], str]] = {
    "text": _below(formats.plain, _plain), "markdown": _below(formats.markdown, _markdown),
    "latex": _below(latex.latex, _latex), "csv": _within(data.csv_text), "json": _within(data.dumps),
}  # fmt: skip


# -- on a suite's page


def view(families: Sequence[Table]) -> list[dict[str, Any]]:
    """Tables with a row a row and a column a metric, of the metrics with standings over at least two datasets.

    Metrics whose rows have the same axes share a table.
    """
    found = [(table, s) for table in families if (s := standings(table)) and len(_datasets(s)) > 1]
    ordered = sorted(found, key=lambda pair: pair[0].row_axes)
    return [_view(list(pairs)) for _, pairs in groupby(ordered, key=lambda pair: pair[0].row_axes)]


def _datasets(found: Standings) -> set[str | int | None]:
    return {dict(column).get("dataset") for column in found.ranked}


def _view(pairs: list[tuple[Table, Standings]]) -> dict[str, Any]:
    rows = dict.fromkeys(row for table, _ in pairs for row in table.rows)
    return {
        "headings": [*map(pairs[0][0].axis, pairs[0][0].row_axes)],
        "metrics": [{"name": table.metric, "arrow": ARROWS.get(table.better, ""), "columns": _columns_said(found)}
                    for table, found in pairs],
        "rows": [{"heads": names(row), "cells": [_cell(found.rows.get(row)) for _, found in pairs]} for row in rows],
        "suite": pairs[0][0].suite,
    }  # fmt: skip


def _columns_said(found: Standings) -> str:
    flat = f", {len(found.scaled)} with a scale" if found.flat else ""
    return f"{len(found.ranked)} of {found.columns} columns{flat}"


def _cell(standing: Standing | None) -> dict[str, str] | None:
    return {"rank": rank_text(standing), "iqm": iqm_text(standing)} if standing else None
