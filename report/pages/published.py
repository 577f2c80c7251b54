"""The page of all published values: each beside what the suites obtained, and how many agree."""

from collections.abc import Sequence
from typing import Any

from bench.report.data import Suite
from bench.report.tables.published import published
from jinja2 import Environment

from bench.results.claims import counts


def files(env: Environment, suites: Sequence[Suite]) -> dict[str, bytes]:
    """published.html; nothing where no suite names a published value."""
    entries = [entry | {"suite": suite} for suite in suites for entry in published(suite)]
    if not entries:
        return {}
    page = env.get_template("published.html").render(root="", entries=entries, answer=_answer(entries, suites))
    return {"published.html": page.encode()}


def _answer(entries: Sequence[dict[str, Any]], suites: Sequence[Suite]) -> list[str]:
    """How many published values are met, and how many claims are supported.

    A value that belongs to several configurations counts once for each of them.
    """
    measured = [entry for entry in entries if entry["obtained"]]
    decided = [entry for entry in measured if entry["verdict"]]
    agree = sum(entry["verdict"] == "agrees" for entry in decided)
    verdicts: dict[str, int] = {}
    for suite in suites:
        for verdict, n in counts(suite.verdicts).items():
            verdicts[verdict] = verdicts.get(verdict, 0) + n
    total = sum(verdicts.values())
    sentences = [
        f"{len(measured)} of {len(entries)} published values have an obtained one beside them; "
        f"{len(decided)} are comparable and have a tolerance, and {agree} of these agree."
    ]
    if total:
        listed = ", ".join(f"{n} {verdict}" for verdict, n in verdicts.items() if n)
        sentences.append(f"Of {total} claims of all suites: {listed}.")
    return sentences
