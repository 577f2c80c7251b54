"""The tables of a suite as data for the page's scripts, which arrange, filter, sort and copy them in the browser.

It is a script of its own beside the page, `tables/data.js`, loaded when a reader first touches the tables: a page
opened from a file may load nothing else. Texts are as `tables`, `said` and `tidy` have them; a copied table is to be
what `bench table` prints, so numbers have all their digits and every condition that CSV names is there.
"""

import json
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from bench.report.data import AXES, Suite
from bench.report.tables.data import AXES as CSV_AXES
from bench.report.tables.data import coordinates, value_json
from bench.report.tables.footnotes import BOLD, SPACES, fixed, notes
from bench.report.tables.latex import SETUP, escape_latex
from bench.report.tables.model import COLUMNS, HEADINGS, ROWS, Table
from bench.report.tables.published import HEADS
from bench.report.tables.published import told as published_told
from bench.report.tables.values import GAPS, Value, gap_texts

WIDE = 6  #: columns; a wider table is cut by dataset
PLACED = ("label", "net", "dataset", "latent_size", "member")  #: the axes that a reader may put into rows or columns


class Pool:
    """Things that many values share, each kept once: `pool(thing)` is its number."""

    def __init__(self) -> None:
        self.numbers: dict[str, int] = {}
        self.things: list[Any] = []

    def __call__(self, thing: Any) -> int:
        number = self.numbers.setdefault(json.dumps(thing), len(self.things))
        if number == len(self.things):
            self.things.append(thing)
        return number


def as_data(suite: Suite, families: list[Table]) -> dict[str, Any]:
    """Everything that the scripts need; `families`: a table a metric family, not cut by dataset."""
    groups = {id(group): index for index, group in enumerate(suite.groups)}
    options = {groups[id(v.group)]: coordinates(v)["options"] for table in families for v in table.cells.values()}
    trainings = Pool()
    data = {
        "suite": suite.name, "wide": WIDE, "rows": ROWS, "columns": COLUMNS, "gaps": GAPS, "spaces": SPACES,
        "headings": HEADINGS, "axes": [*AXES, "variant", "options"], "csvAxes": CSV_AXES, "sisetup": SETUP,
        "bold": BOLD, "published": [HEADS[True], HEADS[False]],
        "digest": families[0].digest if families else "", "overrides": families[0].overrides if families else "",
        "groups": [[*(group.at.get(axis) for axis in AXES), group.at.get("variant"), options.get(index)]
                   for index, group in enumerate(suite.groups)],
        "families": [_family(suite, table, groups, trainings) for table in families],
    }  # fmt: skip
    data["trainings"] = trainings.things
    return data | {"latex": _escapes(data)}


def script(data: dict[str, Any]) -> bytes:
    """The data as a script that hands it over; ASCII only."""
    return f"benchView({json.dumps(data, separators=(',', ':'))});\n".encode()


def _family(suite: Suite, table: Table, groups: dict[int, int], trainings: Pool) -> dict[str, Any]:
    values = list(table.cells.values())
    texts, keys, facts, views = Pool(), Pool(), Pool(), Pool()
    said = [_value(value, groups[id(value.group)], texts, keys, facts, trainings) for value in values]
    beside = {index: [views([view["published"], published_told(view), view["comparable"]]) for view in found]
              for index, place in enumerate(table.cells) if (found := table.published.get(place))}  # fmt: skip
    return {
        "metric": table.metric, "unit": table.unit, "better": table.better, "summary": table.summary,
        "member": table.axis("member"), "notes": _notes(suite, values), "texts": texts.things, "keys": keys.things,
        "facts": facts.things, "published": views.things, "beside": beside, "values": said,
    }  # fmt: skip


def _value(value: Value, group: int, texts: Pool, keys: Pool, facts: Pool, trainings: Pool) -> list[Any]:
    """[group, member, gap texts, planned seeds, facts], then the state, or where there are numbers their key, mean,
    half-width, standard deviation, seeds, numbers and the first cell.
    """
    found = value_json(value)
    fact = [found["n_images"], found["classifier_accuracy"], "; ".join(found["commits"]), " ".join(found["dates"]),
            trainings(found["train"])]  # fmt: skip
    head = [group, value.at.get("member"), [texts(text) for text in gap_texts(value)], value.planned, facts(fact)]
    if not value.seeds:
        return [*head, value.state]
    seeds = sorted(value.seeds)
    numbers = [value.seeds[seed] for seed in seeds]
    return [*head, keys(value.key), found["mean"], found["half_width"], found["std"], seeds, numbers, value.ids[0]]


# -- notes


def _notes(suite: Suite, values: list[Value]) -> dict[str, Any]:
    """The sentences of `conditions.notes` for all datasets (under "") and for each, whatever the arrangement shows."""
    datasets = dict.fromkeys(str(value.at["dataset"]) for value in values)
    some = {name: [v for v in values if v.at["dataset"] == name] for name in datasets if len(datasets) > 1}
    whole = _note(suite, values)
    return {"": whole} | {name: _note(suite, part) for name, part in some.items()}


def _note(suite: Suite, values: list[Value]) -> dict[str, Any]:
    """`said`: the sentences, that on bold among them; `fixed`: what the one at place `at` says of each coordinate."""
    said = list(notes(suite, [replace(value, best=True) for value in values], ()))
    named = fixed([value for value in values if value.seeds])
    parts = "; ".join(named.values())
    if not parts:
        return {"said": said, "fixed": {}, "at": 0}
    at = said.index(f"{parts[0].upper()}{parts[1:]}.")
    return {"said": said[:at] + said[at + 1 :], "fixed": named, "at": at}


# -- LaTeX


def _escapes(data: dict[str, Any]) -> dict[str, str]:
    """Every character of the texts that LaTeX needs written otherwise."""
    found = {character for text in _texts(data) for character in text} | set('\\&%$#_{}~^<>|"`−±–→↑↓')
    return {c: escaped for c in sorted(found) if (escaped := escape_latex(c)) != c}


def _texts(value: Any) -> Iterable[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for inner in value.values():
            yield from _texts(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _texts(inner)
