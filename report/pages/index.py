"""The first page: every suite with its question and its state."""

from collections.abc import Sequence
from typing import Any

from bench.report.data import Suite
from jinja2 import Environment

from bench.results.claims import counts

from .variant import variant_pages


def files(env: Environment, suites: Sequence[Suite]) -> dict[str, bytes]:
    """index.html."""
    entries = [_entry(suite) for suite in suites]
    page = env.get_template("index.html").render(root="", suites=entries, pages=variant_pages(suites))
    return {"index.html": page.encode()}


def _entry(suite: Suite) -> dict[str, Any]:
    distinct = {axis: list(dict.fromkeys(str(g.at[axis]) for g in suite.groups if g.at[axis] is not None))
                for axis in ("label", "dataset")}  # fmt: skip
    states = {state: suite.count(state) for state in ("failed", "damaged", "diverged", "skipped", "missing")}
    planned = len(suite.cells) - states["skipped"]
    entry = {"suite": suite, "done": suite.count("done"), "planned": planned, "states": states, **distinct}
    return entry | {"verdicts": counts(suite.verdicts)}
