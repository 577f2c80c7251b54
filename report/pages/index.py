"""The first page: the leaderboard, and a card for every suite with its finding, a picture and its progress."""

from collections.abc import Sequence
from typing import Any

from bench.report.charts import pareto
from bench.report.charts.colours import colours
from bench.report.data import Suite, number
from bench.report.tables.model import Table
from bench.report.tables.names import metric_name, reader_text
from jinja2 import Environment

from bench import registry
from bench.results.claims import counts

from .findings import Finding, findings, sentences
from .leaderboard import AXES, boards, chips, facets
from .pictures import Picture, read_all
from .variant import variant_names, variant_pages

MOST_PANELS = 3  #: drawings of quality against cost

Measured = Sequence[tuple[Suite, list[Table]]]  #: suites, each with one table per metric family


def files(env: Environment, measured: Measured) -> dict[str, bytes]:
    """index.html."""
    tables, cards = boards(measured), [_card(suite, families) for suite, families in measured]
    cards.sort(key=lambda card: card["suite"].title.lower())
    lead = _lead(cards, tables)
    costs = _costs(lead, measured, tables)
    page = env.get_template("index.html").render(
        root="", boards=tables, chips=chips(tables), facets=facets(tables), suites=cards, axes=AXES,
        lead=lead, places=_places(measured), costs=costs,
        hues=costs["hues"] if costs else {},
        pages=variant_names(variant_pages([suite for suite, _ in measured])),
        published=any(number(r.get("value")) is not None for suite, _ in measured for r in suite.references),
    )  # fmt: skip
    return {"index.html": page.encode()}


def _lead(cards: list[dict[str, Any]], tables: list[dict[str, Any]]) -> dict[str, Any] | None:
    """The suite that answers first: on the first board's dataset, with findings, with the most metrics."""
    first = tables[0]["dataset"] if tables else ""
    able = [card for card in cards if card["findings"] and first in card["datasets"]]
    return max(able, key=lambda card: len(card["metrics"])) if able else None


def _costs(lead: dict[str, Any] | None, measured: Measured, tables: list[dict[str, Any]]) -> dict[str, Any] | None:
    """Quality against training seconds in the leading suite, on the first board's dataset."""
    if lead is None:
        return None
    suite, families = next(pair for pair in measured if pair[0] is lead["suite"])
    hues = colours(suite.groups)
    for view in pareto.views(suite, families, hues):
        panels = [panel for panel in view["panels"] if panel["title"].endswith("and training seconds")]
        if panels and reader_text("dataset", view["dataset"]) == tables[0]["dataset"]:
            return {"suite": suite, "panels": panels[:MOST_PANELS], "legend": view["legend"],
                    "dataset": tables[0]["dataset"], "hues": hues}  # fmt: skip
    return None


def _places(measured: Measured) -> list[tuple[str, list[tuple[str, str]]]]:
    """What the search finds besides suites and methods: metrics and datasets, with the pages they stand on."""
    metrics = dict.fromkeys(table.metric for _, families in measured for table in families)
    datasets = dict.fromkeys(str(group.at["dataset"]) for suite, _ in measured for group in suite.groups)
    kept = [name for name in sorted(datasets) if name in registry.names("datasets")]
    return [
        ("Metrics", [(metric_name(name), f"metrics.html#metric-{name}") for name in sorted(metrics)]),
        ("Datasets", [(reader_text("dataset", name), f"metrics.html#datasets-{name}") for name in kept]),
    ]


def _card(suite: Suite, families: list[Table]) -> dict[str, Any]:
    states = {state: suite.count(state) for state in ("failed", "damaged", "diverged", "skipped", "missing")}
    found = findings(suite, families)
    answer = sentences(suite, found)
    methods = dict.fromkeys(reader_text("label", group.at["label"]) for group in suite.groups)
    datasets = dict.fromkeys(reader_text("dataset", group.at["dataset"]) for group in suite.groups)
    return {
        "suite": suite, "done": suite.count("done"), "planned": len(suite.cells) - states["skipped"], "states": states,
        "verdicts": counts(suite.verdicts), "methods": list(methods),
        "findings": answer, "finding": " ".join(answer[:1] if found else answer),
        "datasets": list(datasets), "metrics": [metric_name(table.metric) for table in families],
        "thumbnail": _thumbnail(suite, found),
    }  # fmt: skip


def _thumbnail(suite: Suite, found: list[Finding]) -> dict[str, Any] | None:
    """The reconstructions of the configuration that the first finding names, else of the first that is done."""
    done = [group for group in suite.groups if group.done]
    for group in ([finding.value.group for finding in found[:1]] + done)[:2]:
        for cell in group.done[:1]:
            picture = _reconstructions(read_all(cell.record) if cell.record else [])
            if picture:
                label = f"Test images above, reconstructions of {reader_text('label', group.at['label'])} below"
                return {"file": f"suites/{suite.name}/{cell.id}/{picture.file}", "alt": label,
                        "width": picture.width, "height": picture.height}  # fmt: skip
    return None


def _reconstructions(pictures: list[Picture]) -> Picture | None:
    return next((picture for picture in pictures if picture.name == "reconstructions"), None)
