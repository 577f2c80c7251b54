"""A suite's page: claims with their verdicts, tables, published beside obtained, curves and galleries."""

import json
import re
from collections.abc import Iterable
from typing import Any

from bench.report.charts import pareto, trends
from bench.report.charts.charts import strip
from bench.report.charts.curves import curves
from bench.report.data import AXES, Suite, mapping, whole
from bench.report.tables import formats, model, said, standings
from bench.report.tables.footnotes import override_flags
from bench.report.tables.model import Place, Table, shown
from bench.report.tables.published import published
from bench.report.tables.values import GAPS, Value
from jinja2 import Environment

from bench.results.store import csv_text, row

from . import browser_data, claims
from .bibtex import table_bibtex
from .gallery import galleries
from .variant import variant_pages

#: Kinds of text that a table is copied as: their word, their name, the suffix of the file.
COPIES = (("LaTeX", "latex", "tex"), ("Markdown", "markdown", "md"), ("CSV", "csv", "csv"), ("BibTeX", "bibtex", "bib"))


def files(env: Environment, suite: Suite, families: list[Table], hues: dict[str, int]) -> dict[str, bytes]:
    """The page, the tables to copy, results.csv and the suite as it was run; `families`: a table a metric family."""
    base = f"suites/{suite.name}"
    built = suite_tables(suite, families)
    names = {table.id: f"{index:02d}-{_plain(table.id)}" for index, table in enumerate(built)}
    page = env.get_template("suite.html").render(
        root="../../", suite=suite, hues=hues, tables=[table_view(t, names[t.id]) for t in built],
        tools=tools_view(suite, families), published=published(suite), curves=curves(suite, hues),
        pareto=pareto.views(suite, families, hues), trends=trends.views(suite, families, hues),
        galleries=galleries(suite), groups=suite.groups, states=_states(suite), facts=_facts(suite),
        claims=claims.view(suite), pages=variant_pages([suite]), standings=standings.view(families),
    )  # fmt: skip
    made = {f"{base}/index.html": page.encode(), f"{base}/results.csv": _results(suite)}
    made[f"{base}/suite.yaml"] = _source(suite).encode()
    made[f"{base}/tables/data.js"] = browser_data.script(browser_data.as_data(suite, families))
    for table in built:
        for name, content in _copies(suite, table, names[table.id]).items():
            made[f"{base}/tables/{name}"] = content
    return made


def suite_tables(suite: Suite, families: list[Table]) -> list[Table]:
    """A table a metric family; one a dataset where it would be too wide to read."""
    found: list[Table] = []
    datasets = list(dict.fromkeys(str(g.at["dataset"]) for g in suite.groups))
    for table in families:
        if len(table.columns) <= browser_data.WIDE or len(datasets) == 1 or table.empty:
            found.append(table)
            continue
        found += [part for d in datasets for part in model.build(suite, table.metric, dataset=d)]
    return found


def _copies(suite: Suite, table: Table, name: str) -> dict[str, bytes]:
    """The table as files, and again as a script: a page opened from a file may load nothing else."""
    texts = {kind: _text(suite, table, kind) for _, kind, _ in COPIES}
    script = f"benchCopies({json.dumps(name)}, {json.dumps(texts)});\n"
    return {f"{name}.{suffix}": texts[kind].encode() for _, kind, suffix in COPIES} | {f"{name}.js": script.encode()}


def _text(suite: Suite, table: Table, kind: str) -> str:
    return table_bibtex(suite, table) if kind == "bibtex" else formats.FORMATS[kind]([table])


def tools_view(suite: Suite, families: list[Table]) -> dict[str, Any]:
    """What the tools above the tables offer: the coordinates that differ, and the metrics."""
    varied = {axis for axis in AXES if len({group.at[axis] for group in suite.groups}) > 1}
    members = {value.at.get("member") for table in families for value in table.cells.values()}
    placed = [axis for axis in browser_data.PLACED if axis in varied or (axis == "member" and len(members) > 1)]
    heads = {axis: "Sampler or space" if axis == "member" else model.HEADINGS[axis] for axis in (*AXES, "member")}
    filtered = [axis for axis in AXES if axis in varied] + (["member"] if "member" in placed else [])
    return {
        "filters": [(axis, heads[axis]) for axis in filtered],
        "places": [(axis, heads[axis], axis in model.ROWS) for axis in placed],
        "metrics": [table.metric for table in families],
    }  # fmt: skip


def _plain(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9_-]+", "-", name)[:80]


def _results(suite: Suite) -> bytes:
    return csv_text([row(record) for record in suite.records]).encode()


def _source(suite: Suite) -> str:
    """The suite's file as it was run: what was overridden stands above it, as comments."""
    head = [f"# run with --set {override}" for override in suite.overrides]
    return "\n".join([*head, suite.text])


def _states(suite: Suite) -> dict[str, int]:
    counts = {state: suite.count(state) for state in ("done", "failed", "diverged", "skipped", "missing")}
    return {state: n for state, n in counts.items() if n or state == "done"}


def _facts(suite: Suite) -> dict[str, str]:
    """What a reader wants to know of the grid before its numbers."""
    axes = {"Variants": "label", "Nets": "net", "Data": "dataset", "Latent sizes": "latent_size"}
    facts = {}
    for name, axis in axes.items():
        found = dict.fromkeys(g.at[axis] for g in suite.groups if g.at[axis] is not None)
        sizes = [size for size in found if isinstance(size, int)]
        facts[name] = ", ".join(map(str, sorted(sizes) if axis == "latent_size" else found))
    seeds = sorted({cell.seed for cell in suite.cells})
    facts["Seeds"] = ", ".join(map(str, seeds))
    epochs = sorted({e for r in suite.records if (e := whole(mapping(r.cell.get("train")).get("epochs")))})
    facts["Epochs"] = ", ".join(map(str, epochs))
    facts["Measured"] = suite.created
    facts["Suite digest"] = suite.digest[:12]
    facts["Run with"] = override_flags(suite.overrides)
    return {name: text for name, text in facts.items() if text}


# -- tables


def table_view(table: Table, name: str) -> dict[str, Any]:
    """What the template needs of a table: heads with spans, and a view of every cell."""
    levels = [_heads(table, level) for level in range(len(table.column_axes))]
    ranges = {column: _range(table.column(column)) for column in table.columns}
    rows = []
    for place in table.rows:
        cells = [_cell_view(table, place, column, ranges[column]) for column in table.columns]
        rows.append({"heads": said.names(place), "cells": cells, "label": dict(place).get("label")})
    return {"table": table, "name": name, "levels": levels, "rows": rows, "file": f"tables/{name}",
            "copies": COPIES, "row_bys": [json.dumps(axis) for axis in table.row_axes],
            "column_bys": [json.dumps([word for _, word in column]) for column in table.columns],
            "headings": [*map(table.axis, table.row_axes)],
            "column_headings": [*map(table.axis, table.column_axes)]}  # fmt: skip


def _heads(table: Table, level: int) -> list[tuple[str, int]]:
    if level < len(table.column_axes) - 1:
        return said.column_spans(table, level)
    return [(said.head_word(column[level]), 1) for column in table.columns]


def _range(values: Iterable[Value]) -> tuple[float, float]:
    every = [number for value in values for number in value.seeds.values()]
    return (min(every), max(every)) if every else (0.0, 0.0)


def _cell_view(table: Table, place: Place, column: Place, span: tuple[float, float]) -> dict[str, Any] | None:
    value = table.cells.get((place, column))
    if value is None:
        return None
    decimals = table.decimals[column]
    summary = value.summary
    half = summary.half_width if summary else None
    return {
        "value": value, "best": value.best, "marks": table.marks_of(value),
        "mean": shown(summary.mean, decimals) if summary else GAPS.get(value.state, value.state),
        "half": None if half is None else shown(half, decimals),
        "strip": strip(value.seeds.values(), *span) if value.seeds else "",
        "count": f"n = {len(value.seeds)}" if value.complete else f"{len(value.seeds)}/{value.planned} seeds",
        "title": _tooltip(value), "link": _first_cell(value),
    }  # fmt: skip


def _tooltip(value: Value) -> str:
    """What a pointer resting on a cell is told of every gap."""
    return "\n".join(
        f"seed{'s' * (len(g.seeds) > 1)} {', '.join(map(str, g.seeds))}: {g.state} ({g.reason})" for g in value.gaps
    )


def _first_cell(value: Value) -> str:
    """The page of the first seed with a number."""
    return value.ids[0] if value.seeds else ""
