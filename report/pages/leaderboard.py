"""The leaderboard on the first page: methods of all suites with a few metrics, one table per dataset.

Values of different keys (likelihood, classifier) stand in different columns, as in a suite's tables. Bold is decided in
the suite of a row.
"""

import json
import math
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlencode

from bench.report.charts.colours import hue
from bench.report.charts.svg import strip
from bench.report.data import Suite
from bench.report.tables.model import Table
from bench.report.tables.names import ARROWS, format_number, metric_name, reader_text
from bench.report.tables.values import Key, Value, decimals_of, is_yardstick, key_text

from bench import registry
from bench.results.stats import rank_intervals

from .variant import file_name

#: Group of metrics -> its columns (family, member; "prior" and None are members as in `at`)
GROUPS: dict[str, tuple[tuple[str, str | None], ...]] = {
    "Reconstruction": (("mse", None),),
    "Bound": (("elbo", None),),
    "Generation": (("fid", "prior"), ("fcd", "prior"), ("fcd", "gaussian")),
    "Representation": (("knn_accuracy", None), ("silhouette", "umap")),
}
#: Axes of the rows, by which the page's script filters -> their headings
AXES = {"label": "Method", "net": "Net", "latent_size": "d", "suite": "Suite"}
FAMILIES = ("Variational", "Deterministic", "Yardstick")  #: with a posterior, without one, in closed form
MOST_CHIPS = 8
MOST_KEYS = 2  #: columns of one metric under different keys
FEWEST_ROWS = 2  #: with a value, for a second column of a metric
FEWEST_SHARE = 0.1  #: of the values of the metric's first column, for a second one

Measured = Sequence[tuple[Suite, list[Table]]]  #: suites, each with one table per metric family
Column = tuple[str, str, "str | None", Key]  #: group, family, member, key
Row = tuple[int, int]  #: suite, group: their places in `Measured` and in the suite


def boards(measured: Measured) -> list[dict[str, Any]]:
    """A table per dataset, the dataset with the most measured configurations first."""
    datasets = dict.fromkeys(str(group.at["dataset"]) for suite, _ in measured for group in suite.groups)
    found = [board for dataset in datasets if (board := _board(measured, dataset))]
    return sorted(found, key=lambda board: -len(board["rows"]))


def facets(boards: Sequence[dict[str, Any]]) -> list[tuple[str, str, list[str]]]:
    """The choices above the boards: the axis that the page's script filters by, its heading, the values that occur."""
    rows = [row for board in boards for row in board["rows"]]
    found = {
        "dataset": ("Data", {board["dataset"] for board in boards}),
        "latent_size": ("d", {row["heads"][2] for row in rows} - {"–"}),
        "net": ("Net", {row["heads"][1].split(" (")[0] for row in rows} - {"–"}),
        "family": ("Family", {row["family"] for row in rows}),
        "told": ("Told the label", {row["told"] for row in rows}),
        "suite": ("Suite", {row["heads"][3] for row in rows}),
    }
    return [(axis, heading, sorted(values, key=lambda text: (not text.isdecimal(), text.zfill(6), text)))
            for axis, (heading, values) in found.items() if len(values) > 1]  # fmt: skip


def chips(boards: Sequence[dict[str, Any]]) -> list[tuple[str, str]]:
    """Links above the boards, each a dataset at a latent size: the text and the filters of the page's script."""
    found: dict[tuple[str, str], int] = {}
    for board in boards:
        for row in board["rows"]:
            if not row["yardstick"]:
                place = board["dataset"], row["heads"][2]
                found[place] = found.get(place, 0) + 1
    most = sorted((place for place, count in found.items() if count > 1), key=lambda place: -found[place])[:MOST_CHIPS]
    return [(f"{dataset}, d = {size}", urlencode({"only.latent_size": f"={size}", "only.dataset": f"={dataset}"}))
            for dataset, size in most]  # fmt: skip


def _board(measured: Measured, dataset: str) -> dict[str, Any] | None:
    cells: dict[tuple[Row, Column], Value] = {}
    for place, (suite, families) in enumerate(measured):
        order = {id(group): index for index, group in enumerate(suite.groups)}
        for table in families:
            for value in table.cells.values():
                column = _column(table.metric, value)
                if column and value.seeds and value.at["dataset"] == dataset:
                    cells[(place, order[id(value.group)]), column] = value
    columns = _columns(cells)
    if not columns:
        return None
    better = {table.metric: (table.better, table.unit) for _, families in measured for table in families}
    rows = _in_order(measured, cells, columns, better[columns[0][1]][0])
    every = list(dict.fromkeys(column for _, column in cells))
    heads = [_head(column, every, *better[column[1]]) for column in columns]
    ranks = _ranks(measured, cells, columns, better)
    by_column = {column: [cells[row, column] for row in rows if (row, column) in cells] for column in columns}
    return {
        "dataset": reader_text("dataset", dataset), "heads": heads, "axes": json.dumps(list(AXES)),
        "groups": [(group, sum(head["group"] == group for head in heads)) for group in GROUPS
                   if any(head["group"] == group for head in heads)],
        "left_out": _left_out(cells, columns),
        "rows": [_row(measured, row, [(cells.get((row, c)), by_column[c], ranks.get((row, c), "")) for c in columns])
                 for row in rows],
    }  # fmt: skip


def _ranks(
    measured: Measured,
    cells: dict[tuple[Row, Column], Value],
    columns: list[Column],
    better: dict[str, tuple[str, str]],
) -> dict[tuple[Row, Column], str]:
    """The rank of each complete row among those of its suite and latent size, with its interval: "rank 1–2"."""
    compared: dict[tuple[int, Any, Column], dict[Row, dict[int, float]]] = {}
    for (row, column), value in cells.items():
        if column in columns and value.complete and not value.yardstick:
            place = row[0], measured[row[0]][0].groups[row[1]].at["latent_size"], column
            compared.setdefault(place, {})[row] = value.seeds
    found = {}
    for (_, _, column), rows in compared.items():
        for row, (first, last) in rank_intervals(rows, better[column[1]][0]).items():
            span = str(first) if first == last else f"{first}–{last}"
            found[row, column] = f"rank {span}"
    return found


def _column(family: str, value: Value) -> Column | None:
    member = value.at.get("member")
    for group, columns in GROUPS.items():
        if (family, member) in columns:
            return group, family, None if member is None else str(member), value.key
    return None


def _columns(cells: dict[tuple[Row, Column], Value]) -> list[Column]:
    """In the order of `GROUPS`; of one metric the keys with the most values, as far as these are not few."""
    counts: dict[Column, int] = {}
    for _, column in cells:
        counts[column] = counts.get(column, 0) + 1
    found: list[Column] = []
    for group, columns in GROUPS.items():
        for family, member in columns:
            keys = [column for column in counts if column[:3] == (group, family, member)]
            most = sorted(keys, key=lambda column: -counts[column])[:MOST_KEYS]
            fewest = max(FEWEST_ROWS, FEWEST_SHARE * counts[most[0]]) if most else 0
            found += [column for index, column in enumerate(most) if not index or counts[column] >= fewest]
    return found


def _left_out(cells: dict[tuple[Row, Column], Value], columns: list[Column]) -> list[str]:
    """The columns with values that the board does not show: "ELBO (likelihood learned Gaussian)"."""
    others = [column for column in dict.fromkeys(column for _, column in cells) if column not in columns]
    found = []
    for _, family, member, key in others:
        among = [column[3] for column in (*columns, *others) if column[1:3] == (family, member)]
        found.append(f"{metric_name(family, member)} ({key_text(key, among)})")
    return found


def _in_order(
    measured: Measured, cells: dict[tuple[Row, Column], Value], columns: list[Column], better: str
) -> list[Row]:  # fmt: skip
    """Yardsticks last; by latent size, the one with the most rows first; then the best first by the first column.

    Rows without a value there follow; equal rows stand by suite, in the order of its grid.
    """
    rows = {row for row, column in cells if column in columns}
    sign = -1 if better == "higher" else 1
    means = {row: sign * value.summary.mean for (row, column), value in cells.items()
             if column == columns[0] and value.summary}  # fmt: skip
    at = {row: measured[row[0]][0].groups[row[1]].at for row in rows}
    sizes = [at[row]["latent_size"] for row in rows]
    last = {row: is_yardstick(str(at[row]["variant"])) for row in rows}
    return sorted(
        rows, key=lambda row: (last[row], *_size_place(at[row]["latent_size"], sizes), means.get(row, math.inf), row)
    )


def _size_place(size: Any, sizes: list[Any]) -> tuple[int, int]:
    return -sizes.count(size), size if isinstance(size, int) else -1


def _head(column: Column, columns: list[Column], better: str, unit: str) -> dict[str, Any]:
    group, family, member, key = column
    among = [other[3] for other in columns if other[:3] == column[:3]]
    return {"group": group, "family": family, "name": metric_name(family, member), "arrow": ARROWS.get(better, ""),
            "better": better, "unit": unit, "key": key_text(key, among),
            "at": json.dumps([metric_name(family, member)])}  # fmt: skip


def _row(measured: Measured, row: Row, cells: list[tuple[Value | None, list[Value], str]]) -> dict[str, Any]:
    suite = measured[row[0]][0]
    group = suite.groups[row[1]]
    at = group.at
    size = at["latent_size"]
    setting = f", {at['setting']}" if at.get("setting") else ""
    heads = [reader_text("label", at["label"]) + setting, reader_text("net", at["net"]),
             "–" if size is None else str(size), suite_name(measured, suite)]  # fmt: skip
    variant = str(at["variant"])
    return {"heads": heads, "hue": hue(variant), "page": f"variants/{file_name(variant)}.html", "suite": suite,
            "external": group.external,
            "yardstick": is_yardstick(variant), "family": family(variant), "told": "yes" if is_told(variant) else "no",
            "cells": [_cell(suite, *cell) for cell in cells]}  # fmt: skip


def suite_name(measured: Measured, suite: Suite) -> str:
    """The title of a suite up to a colon, where that is unique: "Seed 001"."""
    names = [other.title.partition(":")[0] for other, _ in measured]
    name = suite.title.partition(":")[0]
    return name if names.count(name) == 1 else suite.title


def family(variant: str) -> str:
    """The family of a method, by which the leaderboard filters."""
    if is_yardstick(variant):
        return FAMILIES[2]
    return FAMILIES[0] if _constant(variant, "has_posterior") else FAMILIES[1]


def is_told(variant: str) -> bool:
    """True for a method that is told the label of an image, in training or when it encodes."""
    return bool(_constant(variant, "needs_labels"))


def _constant(variant: str, name: str) -> Any:
    found = registry.find("variants", variant)
    return found.constants.get(name) if found else None


def _cell(suite: Suite, value: Value | None, column: list[Value], rank: str) -> dict[str, Any] | None:
    if value is None or value.summary is None:
        return None
    decimals, summary = decimals_of(column), value.summary
    every = [number for other in column for number in other.seeds.values()]
    half = value.half_width
    return {
        "mean": format_number(summary.mean, decimals), "half": "" if half is None else format_number(half, decimals),
        "best": value.best, "sort": repr(summary.mean), "link": f"suites/{suite.name}/{value.ids[0]}/index.html",
        "strip": strip(value.seeds.values(), min(every), max(every)),
        "count": f"n = {summary.n}" if value.complete else f"{summary.n}/{value.planned} seeds",
        "partial": not value.complete, "rank": rank,
    }  # fmt: skip
