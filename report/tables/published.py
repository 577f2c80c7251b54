"""Published values beside obtained ones: what may be compared, and if it agrees.

A reference is comparable if its suite says so, the suite was run as it is written, and no seed is missing. Whether
the two then agree is said only where the reference declares a tolerance, absolute and in the metric's unit.
"""

import re
from collections.abc import Iterable
from typing import Any

from bench.report.data import Group, Suite, mapping, number, words
from bench.report.pages.html import figure

from .digits import decimals_of, shown
from .footnotes import override_flags
from .values import Value, gap_texts, measure

#: Parts of a suite file that change numbers.
DECISIVE = {"grid", "train", "evaluate"}
#: How the note's sentence on comparable values begins, and that on others.
HEADS = {True: "Published", False: "Published but not comparable"}


def published(suite: Suite) -> list[dict[str, Any]]:
    """Each published value with the configurations of this suite that it can be put beside."""
    return [view for reference in suite.references for view in _published(suite, reference)]


def shown_beside(suite: Suite, metric: str, value: Value) -> tuple[dict[str, Any], ...]:
    """The published values of `metric` that stand beside one measured value, comparable or not."""
    found = [(reference, number(reference.get("value"))) for reference in suite.references]
    return tuple(
        _beside(suite, reference, metric, published, value)
        for reference, published in found
        if published is not None and words(reference.get("metric")) == metric and _matches(reference, value.group)
    )


def sentences(beside: Iterable[dict[str, Any]]) -> tuple[str, ...]:
    """What the note says of published values: where the comparable ones are from, and why the others are not."""
    views = list(beside)
    said = [(head, dict.fromkeys(told(v) for v in views if v["comparable"] is which)) for which, head in HEADS.items()]
    return tuple(f"{head}: {'; '.join(parts)}." for head, parts in said if parts)


def told(view: dict[str, Any]) -> str:
    """What `sentences` says of one published value."""
    where = f"{view['row']}: {view['source']}" if view["source"] else view["row"]
    why = "" if view["comparable"] else f"; {view['because'] or 'not declared comparable'}"
    return f"{view['published']} ({where}{why})"


def _published(suite: Suite, reference: dict[str, Any]) -> list[dict[str, Any]]:
    metric, value = words(reference.get("metric")), number(reference.get("value"))
    if value is None:
        return []
    groups = [group for group in suite.groups if _matches(reference, group)]
    found: list[Value | None] = [measure(group, metric) for group in groups]
    return [_beside(suite, reference, metric, value, measured) for measured in found or [None]]


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
    suite: Suite, reference: dict[str, Any], metric: str, value: float, measured: Value | None
) -> dict[str, Any]:
    summary = measured.summary if measured else None
    decimals = decimals_of([measured]) if measured and summary else 2
    half = f" ± {shown(summary.half_width, decimals)}" if summary and summary.half_width is not None else ""
    obstacles = _obstacles(suite, measured)
    comparable = reference.get("comparable") is True and not obstacles
    difference = summary.mean - value if summary and comparable else None
    return {
        "row": _row(reference, measured), "metric": metric, "unit": _unit(measured, metric),
        "published": figure(value, 7), "obtained": f"{shown(summary.mean, decimals)}{half}" if summary else "",
        "n": f"n = {summary.n}" if summary else "", "gaps": "; ".join(gap_texts(measured)),
        "difference": "" if difference is None else ("+" if difference > 0 else "") + figure(difference, 3),
        **_verdict(difference, number(reference.get("tolerance"))),
        "source": words(reference.get("source"), 400), "protocol": words(reference.get("protocol"), 600),
        "comparable": comparable, "because": _because(reference, obstacles),
    }  # fmt: skip


def _row(reference: dict[str, Any], measured: Value | None) -> str:
    """Which row of the tables a reference stands beside, in one line."""
    names = ("label", "net", "dataset", "latent_size")
    at: dict[str, Any] = dict(measured.at) if measured else {name: reference.get(name) for name in names}
    at["label"] = at["label"] or reference.get("variant")
    at["latent_size"] = at["latent_size"] and f"latent {at['latent_size']}"
    return ", ".join(words(at[name]) for name in names if at[name])


def _unit(measured: Value | None, metric: str) -> str:
    entries = [mapping(record.metrics.get(metric)) for record in (measured.records if measured else [])]
    return next((words(entry.get("unit")) for entry in entries), "")


def _obstacles(suite: Suite, measured: Value | None) -> list[str]:
    """Why what was obtained is not what the suite's file promises."""
    if measured is None:
        return ["this suite has no such cell"]
    decisive = tuple(o for o in suite.overrides if re.split(r"\W", o.strip(), maxsplit=1)[0] in DECISIVE)
    found = [f"run with {override_flags(decisive)}"] if decisive else []
    if not measured.complete or not measured.seeds:
        found.append(f"{len(measured.seeds)} of {measured.planned} seeds")
    return found


def _because(reference: dict[str, Any], obstacles: list[str]) -> str:
    """What stands in the way; of a reference without that, what the suite says."""
    declared = [] if reference.get("comparable") is True and obstacles else [words(reference.get("because"), 600)]
    return "; ".join(filter(None, [*declared, *obstacles]))


def _verdict(difference: float | None, tolerance: float | None) -> dict[str, Any]:
    """ "agrees" or "differs" where a tolerance is declared, with that tolerance; no word where none is."""
    if difference is None or tolerance is None:
        return {"verdict": "", "tolerance": ""}
    agrees = abs(difference) <= tolerance
    return {"verdict": "agrees" if agrees else "differs", "tolerance": f"{'≤' if agrees else '>'} {figure(tolerance)}"}
