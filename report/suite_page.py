"""A suite's page: claims with their verdicts, tables, published beside obtained, curves and galleries."""

import json
import re
from collections.abc import Iterable
from typing import Any

from jinja2 import Environment

from bench.stats import summarise
from bench.store import Record, csv_text, row

from . import claims_section, formats, tables
from .charts import Line, line_chart, strip
from .data import Group, Suite, history, mapping, number, whole, words
from .gallery import galleries
from .measure import GAPS, Value, gap_texts, measure
from .tables import Place, Table, shown
from .words import figure

WIDE = 6  #: columns; a wider table is cut by dataset
COPIES = {"latex": "tex", "markdown": "md", "csv": "csv"}


def files(env: Environment, suite: Suite, hues: dict[str, int]) -> dict[str, bytes]:
    """The page, the tables to copy, results.csv and the suite as it was run."""
    base = f"suites/{suite.name}"
    built = suite_tables(suite)
    names = {table.id: f"{index:02d}-{_plain(table.id)}" for index, table in enumerate(built)}
    page = env.get_template("suite.html").render(
        root="../../", suite=suite, hues=hues, tables=[table_view(t, names[t.id]) for t in built],
        published=published(suite), curves=curves(suite, hues), galleries=galleries(suite),
        groups=suite.groups, states=_states(suite), facts=_facts(suite), claims=claims_section.view(suite),
    )  # fmt: skip
    made = {f"{base}/index.html": page.encode(), f"{base}/results.csv": _results(suite)}
    made[f"{base}/suite.yaml"] = suite.text.encode()
    for table in built:
        for name, content in _copies(table, names[table.id]).items():
            made[f"{base}/tables/{name}"] = content
    return made


def suite_tables(suite: Suite) -> list[Table]:
    """A table a metric family; one a dataset where it would be too wide to read."""
    found: list[Table] = []
    for table in tables.build(suite):
        datasets = list(dict.fromkeys(str(g.at["dataset"]) for g in suite.groups))
        if len(table.columns) <= WIDE or len(datasets) == 1 or table.empty:
            found.append(table)
            continue
        found += [part for d in datasets for part in tables.build(suite, table.metric, dataset=d)]
    return found


def _copies(table: Table, name: str) -> dict[str, bytes]:
    """The table as files, and again as a script: a page opened from a file may load nothing else."""
    texts = {kind: formats.FORMATS[kind]([table]) for kind in COPIES}
    script = f"benchCopies({json.dumps(name)}, {json.dumps(texts)});\n"
    return {f"{name}.{COPIES[kind]}": text.encode() for kind, text in texts.items()} | {f"{name}.js": script.encode()}


def _plain(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9_-]+", "-", name)[:80]


def _results(suite: Suite) -> bytes:
    return csv_text([row(record) for record in suite.records]).encode()


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
    return {name: text for name, text in facts.items() if text}


# -- tables


def table_view(table: Table, name: str) -> dict[str, Any]:
    """What the template needs of a table: heads with spans, and a view of every cell."""
    levels = [_heads(table, level) for level in range(len(table.column_axes))]
    ranges = {column: _range(table.column(column)) for column in table.columns}
    rows = []
    for place in table.rows:
        cells = [_cell_view(table, place, column, ranges[column]) for column in table.columns]
        rows.append({"heads": formats.names(place), "cells": cells, "label": dict(place).get("label")})
    return {"table": table, "name": name, "levels": levels, "rows": rows, "file": f"tables/{name}",
            "headings": [*map(table.axis, table.row_axes)],
            "column_headings": [*map(table.axis, table.column_axes)]}  # fmt: skip


def _heads(table: Table, level: int) -> list[tuple[str, int]]:
    if level < len(table.column_axes) - 1:
        return formats.column_spans(table, level)
    return [(formats.names(column)[level], 1) for column in table.columns]


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
        "title": _tooltip(value, decimals), "link": _first_cell(value),
    }  # fmt: skip


def _tooltip(value: Value, decimals: int) -> str:
    lines = [f"seed {seed}: {shown(found, decimals + 1)}" for seed, found in value.seeds.items()]
    lines += [
        f"seed{'s' * (len(g.seeds) > 1)} {', '.join(map(str, g.seeds))}: {g.state} ({g.reason})" for g in value.gaps
    ]
    lines += [f"{k}: {v}" for k, v in value.key if k != "version"]
    return "\n".join([*lines, f"over {value.counted} images"] if value.counted else lines)


def _first_cell(value: Value) -> str:
    """The page of the first seed with a number."""
    return value.ids[next(iter(value.seeds))] if value.ids and value.seeds else ""


# -- published beside obtained


def published(suite: Suite) -> list[dict[str, Any]]:
    """Each published value with the configurations of this suite that it can be put beside."""
    return [view for reference in suite.references for view in _published(suite, reference)]


def _published(suite: Suite, reference: dict[str, Any]) -> list[dict[str, Any]]:
    metric, value = words(reference.get("metric")), number(reference.get("value"))
    if value is None:
        return []
    groups = [group for group in suite.groups if _matches(reference, group)]
    found: list[tuple[Group | None, Value | None]] = [(group, measure(group, metric)) for group in groups]
    return [_beside(reference, metric, value, group, measured) for group, measured in found or [(None, None)]]


def _matches(reference: dict[str, Any], group: Group) -> bool:
    """True where every coordinate that the reference names is the group's."""
    cell = group.cells[0].cell
    names = ("variant", "label", "net", "likelihood", "latent_size", "dataset")
    for name in (n for n in names if reference.get(n) is not None):
        here = (cell.get(name), cell.get(f"{name}_label"))
        if reference[name] not in here:
            return False
    return True


def _beside(
    reference: dict[str, Any], metric: str, value: float, group: Group | None, measured: Value | None
) -> dict[str, Any]:
    summary = measured.summary if measured else None
    comparable = reference.get("comparable") is True
    decimals = tables._decimals([measured]) if measured and summary else 2
    half = f" ± {shown(summary.half_width, decimals)}" if summary and summary.half_width is not None else ""
    gaps = "; ".join(gap_texts(measured)) if measured else "no such cell in this suite"
    at = group.at if group else {n: words(reference.get(n)) for n in ("label", "dataset", "latent_size", "net")}
    return {
        "label": at.get("label") or words(reference.get("variant")), "net": at.get("net") or "–",
        "dataset": at.get("dataset"), "latent_size": at.get("latent_size") or "–", "metric": metric,
        "published": figure(value, 7), "source": words(reference.get("source"), 400),
        "protocol": words(reference.get("protocol"), 600), "comparable": comparable,
        "because": words(reference.get("because"), 600),
        "obtained": f"{shown(summary.mean, decimals)}{half}" if summary else "",
        "n": f"n = {summary.n}" if summary else "", "gaps": gaps,
        "difference": _signed(summary.mean - value, decimals) if summary and comparable else "",
    }  # fmt: skip


def _signed(value: float, decimals: int) -> str:
    return ("+" if value > 0 else "") + shown(value, decimals)


# -- curves


def curves(suite: Suite, hues: dict[str, int]) -> list[dict[str, Any]]:
    """Panels by dataset, latent size and likelihood: losses of different likelihoods share no axis."""
    found: dict[str, dict[tuple[Any, ...], list[tuple[Group, list[Record]]]]] = {}
    for group in suite.groups:
        settled = [cell.record for cell in group.cells if cell.record and cell.status in ("done", "diverged")]
        records = [record for record in settled if history(record)]
        if records:
            panel = (group.at["latent_size"], group.at["likelihood"])
            found.setdefault(str(group.at["dataset"]), {}).setdefault(panel, []).append((group, records))
    return [view for dataset, panels in found.items() if (view := _curves(dataset, panels, hues))["panels"]]


def _curves(dataset: str, panels: dict[tuple[Any, ...], list[Any]], hues: dict[str, int]) -> dict[str, Any]:
    views = []
    labels: dict[tuple[Any, Any], int] = {}
    several = len({likelihood for _, likelihood in panels}) > 1
    for (size, likelihood), members in sorted(panels.items(), key=lambda item: (item[0][0] or 0, str(item[0][1]))):
        lines = [line for group, records in members for line in _lines(group, records, hues)]
        caption = f"latent size {size}" + (f", {likelihood}" if several else "")
        alt = f"Loss per epoch on {dataset}, {caption}: " + ", ".join(line.name for line in lines)
        chart = line_chart(lines, "epoch", "loss, nats per image", words(alt, 600))
        if chart:
            views.append({"caption": caption, "chart": chart})
            labels |= {(g.at["label"], g.at["net"]): hues.get(str(g.at["label"]), 0) for g, _ in members}
    legend = [{"label": label, "net": net, "hue": hue, "dashed": _dashed(net)} for (label, net), hue in labels.items()]
    return {"dataset": dataset, "panels": views, "legend": legend}


def _dashed(net: object) -> bool:
    return net not in (None, "mlp")


def _lines(group: Group, records: list[Record], hues: dict[str, int]) -> list[Line]:
    name = f"{group.at['label']} {group.at['net'] or ''}".strip()
    colour = hues.get(str(group.at["label"]), 0)
    histories = [rows for record in records if (rows := history(record))]
    lines = []
    for split, style in (("train", "train"), ("test", "dashed" if _dashed(group.at["net"]) else "")):
        epochs, mean, half = _mean_curve(histories, f"{split}_loss")
        low = [m - h for m, h in zip(mean, half, strict=True)] if split == "test" and any(half) else []
        high = [m + h for m, h in zip(mean, half, strict=True)] if low else []
        lines.append(Line(f"{name}, {split}, {len(histories)} seeds", colour, epochs, mean, low, high, style))
    return lines


def _mean_curve(histories: list[list[dict[str, float]]], column: str) -> tuple[list[float], list[float], list[float]]:
    """Epochs, mean and t half-width over the seeds that reached each epoch."""
    values: dict[float, list[float]] = {}
    for rows in histories:
        for entry in rows:
            value = number(entry.get(column))
            if value is not None:
                values.setdefault(entry["epoch"], []).append(value)
    summaries = [(epoch, summarise(values[epoch])) for epoch in sorted(values)]
    return (
        [e for e, _ in summaries],
        [s.mean for _, s in summaries],
        [s.half_width or 0.0 for _, s in summaries],
    )
