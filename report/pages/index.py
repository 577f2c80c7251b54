"""The first page: the leaderboard, and a card for every suite with its finding, a picture and its progress."""

from collections.abc import Sequence
from typing import Any

from bench.report.data import Suite
from bench.report.tables.model import Table
from bench.report.tables.names import metric_name, reader_text
from jinja2 import Environment

from bench.results.claims import counts

from .findings import Finding, findings
from .leaderboard import AXES, boards, chips
from .pictures import Picture, read_all
from .variant import variant_names, variant_pages

Measured = Sequence[tuple[Suite, list[Table]]]  #: suites, each with one table per metric family


def files(env: Environment, measured: Measured) -> dict[str, bytes]:
    """index.html."""
    tables, cards = boards(measured), [_card(suite, families) for suite, families in measured]
    cards.sort(key=lambda card: card["suite"].title.lower())
    page = env.get_template("index.html").render(
        root="", boards=tables, chips=chips(tables), suites=cards, answer=_answer(cards, tables), axes=AXES,
        pages=variant_names(variant_pages([suite for suite, _ in measured])),
    )  # fmt: skip
    return {"index.html": page.encode()}


def _answer(cards: list[dict[str, Any]], tables: list[dict[str, Any]]) -> list[str]:
    """The findings on the first board's dataset, of the suite with the most metrics."""
    first = tables[0]["dataset"] if tables else ""
    able = [card for card in cards if card["findings"] and first in card["datasets"]]
    return max(able, key=lambda card: len(card["metrics"]))["findings"] if able else []


def _card(suite: Suite, families: list[Table]) -> dict[str, Any]:
    states = {state: suite.count(state) for state in ("failed", "damaged", "diverged", "skipped", "missing")}
    found = findings(suite, families)
    methods = dict.fromkeys(reader_text("label", group.at["label"]) for group in suite.groups)
    datasets = dict.fromkeys(reader_text("dataset", group.at["dataset"]) for group in suite.groups)
    return {
        "suite": suite, "done": suite.count("done"), "planned": len(suite.cells) - states["skipped"], "states": states,
        "verdicts": counts(suite.verdicts), "findings": [finding.text for finding in found], "methods": list(methods),
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
