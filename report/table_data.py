"""The tables of a suite as data for the page's script, which arranges, filters and sorts them in the browser.

It is a script of its own beside the page, `tables/data.js`, loaded when a reader first touches the tables: a page
opened from a file may load nothing else. Texts are as `tables` and `said` have them; numbers are means, half-widths
and seeds.
"""

import json
from collections.abc import Iterable
from typing import Any

from .conditions import SPACES
from .data import AXES, Suite
from .latex import escape_latex
from .measure import GAPS, Value, gap_texts
from .tables import COLUMNS, HEADINGS, ROWS, Table

WIDE = 6  #: columns; a wider table is cut by dataset
PLACED = ("label", "net", "dataset", "latent_size", "member")  #: the axes that a reader may put into rows or columns


def as_data(suite: Suite, families: list[Table]) -> dict[str, Any]:
    """Everything that the script needs; `families`: a table a metric family, not cut by dataset."""
    groups = {id(group): index for index, group in enumerate(suite.groups)}
    data = {
        "suite": suite.name, "wide": WIDE, "rows": ROWS, "columns": COLUMNS, "gaps": GAPS, "spaces": SPACES,
        "headings": HEADINGS, "axes": AXES,
        "groups": [[group.at.get(axis) for axis in AXES] for group in suite.groups],
        "families": [_family(table, groups) for table in families],
    }  # fmt: skip
    return data | {"latex": _escapes(data)}


def script(data: dict[str, Any]) -> bytes:
    """The data as a script that hands it over; ASCII only."""
    return f"benchView({json.dumps(data, separators=(',', ':'))});\n".encode()


def _family(table: Table, groups: dict[int, int]) -> dict[str, Any]:
    values = list(table.cells.values())
    texts = list(dict.fromkeys(text for value in values for text in gap_texts(value)))
    keys = list(dict.fromkeys(value.key for value in values if value.seeds))
    places = {text: index for index, text in enumerate(texts)}, {key: index for index, key in enumerate(keys)}
    return {
        "metric": table.metric, "unit": table.unit, "better": table.better, "heading": table.heading,
        "summary": table.summary, "notes": table.notes, "member": table.axis("member"), "texts": texts, "keys": keys,
        "values": [_value(value, groups[id(value.group)], *places) for value in values],
    }  # fmt: skip


def _value(value: Value, group: int, texts: dict[str, int], keys: dict[Any, int]) -> list[Any]:
    """[group, member, gap texts, planned seeds] or, with numbers, [..., key, mean, half-width, seeds, values, cell]."""
    head = [group, value.at.get("member"), [texts[text] for text in gap_texts(value)], value.planned]
    summary = value.summary
    if summary is None:
        return [*head, value.state]
    seeds = sorted(value.seeds)
    numbers = [float(f"{value.seeds[seed]:.10g}") for seed in seeds]
    return [*head, keys[value.key], summary.mean, summary.half_width, seeds, numbers, value.ids[0]]


def _escapes(data: dict[str, Any]) -> dict[str, str]:
    """Every character of the texts that LaTeX needs written otherwise."""
    found = {character for text in _texts(data) for character in text} | set("\\&%$#_{}~^<>|\"`−±–")
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
