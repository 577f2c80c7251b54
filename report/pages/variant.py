"""One page per variant: its documentation, and its results in all suites."""

import hashlib
import math
import re
from collections.abc import Sequence
from typing import Any

from bench.report.data import AXES, Group, Suite, flatten, mapping, words
from bench.report.tables.model import Table
from bench.report.tables.names import ARROWS, GAPS, format_number, metric_name, reader_text
from bench.report.tables.values import Value
from jinja2 import Environment

from bench import registry

from .bibtex import entry, reference_line

Suites = Sequence[tuple[Suite, list[Table]]]  #: each with one table per metric family


def variant_pages(suites: Sequence[Suite]) -> dict[str, str]:
    """Variant -> the path of its page below the site."""
    names = {words(cell.cell.get("variant")) for suite in suites for cell in suite.cells}
    return {name: f"variants/{file_name(name)}.html" for name in sorted(names) if name}


def variant_names(pages: dict[str, str]) -> dict[str, str]:
    """Short title of a variant -> the path of its page; the name itself where two have one title."""
    titles = {name: registry.short_title("variants", name) for name in pages}
    shared = {title for title in titles.values() if list(titles.values()).count(title) > 1}
    return {name if titles[name] in shared else titles[name]: page for name, page in pages.items()}


def file_name(name: str) -> str:
    """A name as a file name: safe, and unique where the file system ignores case.

    >>> file_name("beta_vae"), file_name("../x")[:2], file_name("VAE") != file_name("vae")
    ('beta_vae', 'x-', True)
    """
    if re.fullmatch(r"[a-z0-9][a-z0-9_]{0,59}", name):
        return name
    plain = re.sub(r"[^A-Za-z0-9_]+", "-", name).strip("-")[:40]
    return f"{plain or 'variant'}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"


def files(env: Environment, suites: Suites) -> dict[str, bytes]:
    """The pages of all variants of these suites."""
    template = env.get_template("variant.html")
    pages = variant_pages([suite for suite, _ in suites])
    return {
        page: template.render(root="../", name=name, title=_title(name), short=registry.short_title("variants", name),
                              **_about(name, suites),
                              results=_results(name, suites)).encode()
        for name, page in pages.items()
    }  # fmt: skip


def _title(name: str) -> str:
    """The full name of a method; its identifier where it is not installed."""
    found = registry.find("variants", name)
    return found.title if found else name


def _about(name: str, suites: Suites) -> dict[str, Any]:
    """Documentation and reference as recorded, and the options behind each label."""
    about: dict[str, Any] = {}
    labels: dict[str, str] = {}
    for suite, _ in suites:
        for group in (group for group in suite.groups if group.at["variant"] == name):
            cell = group.cells[0].cell
            said = ", ".join(f"{k}={v}" for k, v in flatten(mapping(cell.get("options"))).items() if k)
            labels.setdefault(reader_text("label", group.at["label"]), said)
            for record in (cell.record for cell in group.cells if cell.record):
                about = about or mapping(record.about.get("variant"))
    reference, bibtex = reference_line("variants", name, about), entry("variants", name, about)
    return {"about": about, "labels": labels, "reference": reference, "bibtex": bibtex}


def _results(name: str, suites: Suites) -> list[dict[str, Any]]:
    """One table per suite and dataset, with a row per metric and a column per configuration."""
    found = []
    for suite, families in suites:
        groups = [group for group in suite.groups if group.at["variant"] == name]
        for dataset in dict.fromkeys(group.at["dataset"] for group in groups):
            here = _ordered([group for group in groups if group.at["dataset"] == dataset])
            rows = [row for table in families for row in _rows(table, here)]
            found.append({"suite": suite, "dataset": dataset, "columns": _columns(here), "rows": rows})
    return found


def _ordered(groups: list[Group]) -> list[Group]:
    """Sorted by label and net in the order of the grid, then by latent size."""
    kinds = list(dict.fromkeys((group.at["label"], group.at["net"]) for group in groups))

    def place(group: Group) -> tuple[int, float]:
        size = group.at["latent_size"]
        return kinds.index((group.at["label"], group.at["net"])), size if isinstance(size, int) else math.inf

    return sorted(groups, key=place)


def _columns(groups: list[Group]) -> list[dict[str, Any]]:
    axes = [axis for axis in AXES if axis != "dataset" and len({group.at[axis] for group in groups}) > 1]
    return [
        {"said": [reader_text(axis, group.at[axis]) for axis in axes or ["label"]], "label": group.at["label"],
         "link": next((cell.id for cell in group.cells if cell.record), ""), "done": len(group.done),
         "planned": len(group.planned)}
        for group in groups
    ]  # fmt: skip


def _rows(table: Table, groups: list[Group]) -> list[dict[str, Any]]:
    """A row per member of the metric family with a value in these configurations."""
    places = {id(group): index for index, group in enumerate(groups)}
    rows: dict[Any, list[dict[str, Any] | None]] = {}
    for (_, column), value in table.cells.items():
        index = places.get(id(value.group))
        if index is not None:
            row = rows.setdefault(value.at.get("member"), [None] * len(groups))
            row[index] = _cell(value, table.decimals[column])
    return [
        {"metric": table.metric, "name": metric_name(table.metric, member), "arrow": ARROWS.get(table.better, ""),
         "unit": table.unit, "cells": cells}
        for member, cells in rows.items() if any(cell and cell["n"] for cell in cells)
    ]  # fmt: skip


def _cell(value: Value, decimals: int) -> dict[str, Any]:
    summary = value.summary
    reason = "; ".join(f"{GAPS.get(gap.state, gap.state)}: {gap.reason}" for gap in value.gaps)
    if summary is None:
        return {"mean": GAPS.get(value.state, value.state), "half": "", "n": 0, "best": False, "reason": reason}
    half = "" if value.half_width is None else format_number(value.half_width, decimals)
    partial = "" if value.complete else f"{summary.n}/{value.planned}"
    return {"mean": format_number(summary.mean, decimals), "half": half, "n": summary.n, "best": value.best,
            "reason": reason, "partial": partial}  # fmt: skip
