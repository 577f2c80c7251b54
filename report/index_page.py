"""The two pages of the whole site: the suites, and what methods and metrics are."""

from typing import Any

from jinja2 import Environment

from bench.claims import counts

from .data import Suite, mapping, words
from .tables import ARROWS, families


def files(env: Environment, suites: list[Suite]) -> dict[str, bytes]:
    """index.html and metrics.html."""
    index = env.get_template("index.html").render(root="", suites=[_entry(suite) for suite in suites])
    definitions = env.get_template("metrics.html").render(
        root="",
        metrics=metrics(suites),
        kinds={kind: _about(suites, kind) for kind in ("variant", "net", "likelihood")},
    )
    return {"index.html": index.encode(), "metrics.html": definitions.encode()}


def _entry(suite: Suite) -> dict[str, Any]:
    distinct = {axis: list(dict.fromkeys(str(g.at[axis]) for g in suite.groups if g.at[axis] is not None))
                for axis in ("label", "dataset")}  # fmt: skip
    states = {state: suite.count(state) for state in ("failed", "diverged", "skipped", "missing")}
    planned = len(suite.cells) - states["skipped"]
    entry = {"suite": suite, "done": suite.count("done"), "planned": planned, "states": states, **distinct}
    return entry | {"verdicts": counts(suite.verdicts)}


def metrics(suites: list[Suite]) -> list[dict[str, Any]]:
    """Every metric family with its unit, direction and definition, by name."""
    found: dict[str, dict[str, Any]] = {}
    for suite in suites:
        for family, members in families(suite).items():
            entry = found.setdefault(family, {"name": family, "members": [], "unit": "", "better": "", "about": {}})
            entry["members"] += [m for m in members if m not in entry["members"]]
            for record in suite.records:
                _complete(entry, family, record.metrics, mapping(record.about.get("metrics")))
                if entry["about"] and entry["unit"]:
                    break
    return [_shown(found[name]) for name in sorted(found)]


def _shown(entry: dict[str, Any]) -> dict[str, Any]:
    members = [words(member) for member in entry["members"]]
    return entry | {"members": members, "arrow": ARROWS.get(entry["better"], "")}


def _complete(entry: dict[str, Any], family: str, values: dict[str, Any], about: dict[str, Any]) -> None:
    for member in entry["members"]:
        value = mapping(values.get(member))
        entry["unit"] = entry["unit"] or words(value.get("unit"))
        entry["better"] = entry["better"] or words(value.get("better"))
        entry["about"] = entry["about"] or mapping(about.get(member) or about.get(family))


def _about(suites: list[Suite], kind: str) -> list[dict[str, Any]]:
    """What the records say of each variant, net or likelihood, by name."""
    found: dict[str, dict[str, Any]] = {}
    for suite in suites:
        for record in suite.records:
            name, about = words(record.cell.get(kind)), mapping(record.about.get(kind))
            if name and about:
                found.setdefault(name, {"name": name, "about": about})
    return [found[name] for name in sorted(found)]
