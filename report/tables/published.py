"""Published values beside measured ones: which pairs are comparable, and whether they agree.

A reference is comparable if its suite says so, the suite was run without decisive overrides, and no seed is missing.
Agreement is stated only where the reference declares a tolerance (absolute, in the metric's unit).
"""

import re
from collections.abc import Iterable
from typing import Any

from bench.report.data import Group, Suite, mapping, number, words

from .footnotes import override_flags
from .names import format_number, format_significant, head_text, metric_text
from .values import Value, decimals_of, gap_texts, measure

#: Parts of a suite file that change numbers
DECISIVE = {"grid", "train", "evaluate"}
#: First words of the note's sentence: comparable -> words
HEADS = {True: "Published", False: "Published but not comparable"}


def published(suite: Suite) -> list[dict[str, Any]]:
    """Every published value of a suite, beside each matching configuration."""
    found = []
    for reference in suite.references:
        value = number(reference.get("value"))
        groups = [group for group in suite.groups if _matches(reference, group)] if value is not None else []
        measured: list[Value | None] = [measure(group, words(reference.get("metric"))) for group in groups]
        found += [_compare(suite, reference, value, one) for one in measured or [None] if value is not None]
    return found


def published_beside(suite: Suite, metric: str, value: Value) -> tuple[dict[str, Any], ...]:
    """The published values of `metric` for the configuration of one measured value, comparable or not."""
    found = [(reference, number(reference.get("value"))) for reference in suite.references]
    return tuple(
        _compare(suite, reference, number, value)
        for reference, number in found
        if number is not None and words(reference.get("metric")) == metric and _matches(reference, value.group)
    )


def source_sentences(views: Iterable[dict[str, Any]]) -> tuple[str, ...]:
    """The note on published values: the sources of the comparable ones, and the reasons why the others are not."""
    every = list(views)
    parts = {comparable: dict.fromkeys(_source(v) for v in every if v["comparable"] is comparable)
             for comparable in HEADS}  # fmt: skip
    return tuple(f"{HEADS[comparable]}: {'; '.join(sources)}." for comparable, sources in parts.items() if sources)


def _source(view: dict[str, Any]) -> str:
    where = f"{view['row']}: {view['source']}" if view["source"] else view["row"]
    unlike = f"; differences: {view['because']}" if view["because"] else ""
    why = unlike if view["comparable"] else f"; {view['because'] or 'not declared comparable'}"
    return f"{view['published']} ({where}{why})"


def _matches(reference: dict[str, Any], group: Group) -> bool:
    """True where every coordinate that the reference names is the group's."""
    cell = group.cells[0].cell
    names = ("variant", "label", "net", "likelihood", "latent_size", "dataset")
    named = [name for name in names if reference.get(name) is not None]
    return all(reference[name] in (cell.get(name), cell.get(f"{name}_label")) for name in named)


def _compare(suite: Suite, reference: dict[str, Any], value: float, measured: Value | None) -> dict[str, Any]:
    metric, summary = words(reference.get("metric")), measured.summary if measured else None
    decimals = decimals_of([measured]) if measured and summary else 2
    half = (
        "" if measured is None or measured.half_width is None else f" ± {format_number(measured.half_width, decimals)}"
    )
    obstacles = _obstacles(suite, measured)
    comparable = reference.get("comparable") is True and not obstacles
    difference = summary.mean - value if summary and comparable else None
    plus = "+" if difference is not None and difference > 0 else ""
    return {
        "row": _row(reference, measured), "subject": _subject(reference, measured),
        "metric": metric_text(metric), "unit": _unit(measured, metric),
        "published": format_significant(value, 7),
        "obtained": f"{format_number(summary.mean, decimals)}{half}" if summary else "",
        "n": f"n = {summary.n}" if summary else "", "gaps": "; ".join(gap_texts(measured)),
        "difference": "" if difference is None else plus + format_significant(difference, 3),
        **_verdict(difference, number(reference.get("tolerance"))),
        "source": words(reference.get("source"), 400), "protocol": words(reference.get("protocol"), 600),
        "comparable": comparable, "because": _because(reference, obstacles),
    }  # fmt: skip


def _at(reference: dict[str, Any], measured: Value | None) -> dict[str, Any]:
    """The coordinates of the measured configuration, else those that the reference names."""
    names = ("label", "net", "dataset", "latent_size")
    at: dict[str, Any] = dict(measured.at) if measured else {name: reference.get(name) for name in names}
    return at | {"label": at["label"] or reference.get("variant")}


def _subject(reference: dict[str, Any], measured: Value | None) -> str:
    """The method with its dataset and latent size, for a sentence."""
    at = _at(reference, measured)
    parts = [("", "label"), ("on ", "dataset"), ("with ", "latent_size")]
    return " ".join(f"{before}{words(head_text(name, at[name]))}" for before, name in parts if at[name])


def _row(reference: dict[str, Any], measured: Value | None) -> str:
    """The configuration of a reference in one line."""
    names, at = ("label", "net", "dataset", "latent_size"), _at(reference, measured)
    return ", ".join(words(head_text(name, at[name])) for name in names if at[name])


def _unit(measured: Value | None, metric: str) -> str:
    entries = [mapping(record.metrics.get(metric)) for record in (measured.records if measured else [])]
    return next((words(entry.get("unit")) for entry in entries), "")


def _obstacles(suite: Suite, measured: Value | None) -> list[str]:
    """The differences between the measured value and the suite's file."""
    if measured is None:
        return ["this suite has no such cell"]
    decisive = tuple(o for o in suite.overrides if re.split(r"\W", o.strip(), maxsplit=1)[0] in DECISIVE)
    found = [f"run with {override_flags(decisive)}"] if decisive else []
    if not measured.complete or not measured.seeds:
        found.append(f"{len(measured.seeds)} of {measured.planned} seeds")
    return found


def _because(reference: dict[str, Any], obstacles: list[str]) -> str:
    """Why a reference is not comparable: the obstacles, and the suite's own reason unless it declares comparability."""
    declared = [] if reference.get("comparable") is True and obstacles else [words(reference.get("because"), 600)]
    return "; ".join(filter(None, [*declared, *obstacles]))


def _verdict(difference: float | None, tolerance: float | None) -> dict[str, Any]:
    """ "agrees" or "differs", with the tolerance; empty without a tolerance or a difference."""
    if difference is None or tolerance is None:
        return {"verdict": "", "tolerance": ""}
    agrees = abs(difference) <= tolerance
    limit = f"{'≤' if agrees else '>'} {format_significant(tolerance)}"
    return {"verdict": "agrees" if agrees else "differs", "tolerance": limit}
