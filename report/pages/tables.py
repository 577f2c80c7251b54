"""The tables on a suite's page: what the template and the page's script need, and the texts that a reader copies.

All texts are made here. The script in the page filters rows and columns, sorts rows, hides metrics and copies.
"""

import json
import re
from collections import Counter
from collections.abc import Iterable
from typing import Any

from bench.report.charts.svg import strip
from bench.report.data import AXES, Suite
from bench.report.tables import build, footnotes, format_tables
from bench.report.tables.model import PrintedColumn, Table
from bench.report.tables.names import ARROWS, AXIS_NAMES, GAPS, CellKey, coordinate_text, format_number, row_texts
from bench.report.tables.values import Value

from .bibtex import table_bibtex

WIDE = 6  #: columns; a wider table is divided by dataset
#: The texts to copy: word, name of the format, suffix of the file
COPIES = (
    ("LaTeX", "latex", "tex"), ("Markdown", "markdown", "md"), ("CSV", "csv", "csv"), ("JSON", "json", "json"),
    ("text", "text", "txt"), ("BibTeX", "bibtex", "bib"),
)  # fmt: skip


def suite_tables(suite: Suite, families: list[Table]) -> dict[str, Table]:
    """File name -> table: one per metric family, or one per dataset where it would be too wide to read."""
    found: list[Table] = []
    datasets = list(dict.fromkeys(str(g.at["dataset"]) for g in suite.groups))
    for table in families:
        if len(build.drop_empty_columns(table).columns) <= WIDE or len(datasets) == 1 or table.empty:
            found.append(table)
        else:
            found += [part for d in datasets for part in build.build(suite, table.metric, dataset=d)]
    return {f"{index:02d}-{re.sub(r'[^A-Za-z0-9_-]+', '-', table.id)[:80]}": table for index, table in enumerate(found)}


def copies(suite: Suite, table: Table, name: str) -> dict[str, bytes]:
    """The table as files, and again as a script, since a page opened from a file can load nothing else."""
    texts = {kind: table_bibtex(suite, table) if kind == "bibtex" else format_tables([table], kind)
             for _, kind, _ in COPIES}  # fmt: skip
    script = f"benchCopies({json.dumps(name)}, {json.dumps(texts)});\n"
    return {f"{name}.{suffix}": texts[kind].encode() for _, kind, suffix in COPIES} | {f"{name}.js": script.encode()}


def tools_view(suite: Suite, families: list[Table]) -> dict[str, Any]:
    """The tools above the tables: a filter per axis that varies, a switch per metric."""
    varied = [axis for axis in AXES if len({group.at[axis] for group in suite.groups}) > 1]
    filters = [(axis, AXIS_NAMES[axis].capitalize()) for axis in varied]
    if len({value.at.get("member") for table in families for value in table.cells.values()}) > 1:
        filters.append(("member", "Sampler or space"))
    return {"filters": filters, "metrics": [(table.metric, table.name) for table in families]}


def table_view(table: Table, name: str) -> dict[str, Any]:
    """A table for the template: heads with spans, and a view of every cell.

    Columns without a number and rows that have not run are left out, and notes name them; the files to copy have them.
    """
    table = build.drop_empty_columns(table)
    rows = [row for row in table.rows if not _waits(table, row)] or list(table.rows)
    waiting = "; ".join(" ".join(row_texts(row)) for row in table.rows if row not in rows)
    columns = [PrintedColumn(column) for column in table.columns]
    spans = [table.spans(level, columns) for level in range(len(table.column_axes) - 1)]
    ranges = {column: _range(table.column(column)) for column in table.columns}
    counts = Counter(len(value.seeds) for value in table.cells.values() if value.seeds and value.complete)
    return {
        "table": table, "name": name, "file": f"tables/{name}", "copies": COPIES,
        "usual": f"n = {counts.most_common(1)[0][0]}" if counts else "",
        "arrow": ARROWS.get(table.better, ""), "headings": [*map(table.axis, table.row_axes)],
        "column_headings": [*map(table.axis, table.column_axes)],
        "levels": [*spans, [(column.last_head, 1) for column in columns]],
        "row_axes": json.dumps(table.row_axes), "column_axes": json.dumps(table.column_axes),
        "column_texts": [json.dumps([coordinate_text(*part) for part in column]) for column in table.columns],
        "notes": [*([f"Not run yet: {waiting}."] if waiting else []),
                  *(sentence for sentence in table.notes if not sentence.startswith(footnotes.BOLD))],
        "rows": [{"heads": row_texts(row), "yardstick": row in table.yardsticks,
                  "cells": [_cell_view(table, row, c, ranges[c]) for c in table.columns]} for row in rows],
    }  # fmt: skip


def _waits(table: Table, row: CellKey) -> bool:
    """True for a row none of whose cells has run."""
    values = [table.cells[row, column] for column in table.columns if (row, column) in table.cells]
    return bool(values) and all(value.state == "missing" for value in values)


def _range(values: Iterable[Value]) -> tuple[float, float]:
    every = [number for value in values for number in value.seeds.values()]
    return (min(every), max(every)) if every else (0.0, 0.0)


def _cell_view(table: Table, row: CellKey, column: CellKey, span: tuple[float, float]) -> dict[str, Any] | None:
    value = table.cells.get((row, column))
    if value is None:
        return None
    decimals, summary = table.decimals[column], value.summary
    return {
        "value": value, "best": value.best, "marks": table.marks_of(value),
        "sort": repr(summary.mean) if summary else "",
        "mean": format_number(summary.mean, decimals) if summary else GAPS.get(value.state, value.state),
        "half": None if value.half_width is None else format_number(value.half_width, decimals),
        "strip": strip(value.seeds.values(), *span) if value.seeds else "",
        "count": f"n = {len(value.seeds)}" if value.complete else f"{len(value.seeds)}/{value.planned}",
        "title": _tooltip(value), "link": value.ids[0] if value.seeds else "",
    }  # fmt: skip


def _tooltip(value: Value) -> str:
    """Every gap of a cell with its seeds."""
    return "\n".join(
        f"seed{'s' * (len(g.seeds) > 1)} {', '.join(map(str, g.seeds))}: {g.state} ({g.reason})" for g in value.gaps
    )
