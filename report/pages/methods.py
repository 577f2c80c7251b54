"""The page of definitions: protocol, metrics, samplers, variants, nets, likelihoods, datasets.

The texts are docstrings. Those of measured components come from records and suites; the others are read from the
installed code without importing it (`bench.registry`).
"""

import ast
import json
from collections.abc import Sequence
from functools import cache
from typing import Any

from bench.report.data import Suite, flatten, mapping, words
from bench.report.tables.build import families
from bench.report.tables.names import ARROWS, coordinate_text, member_text
from jinja2 import Environment

from bench import registry

from .suite import FURTHER, GROUPS, group_of
from .variant import variant_pages

#: Sections after the metrics: kind in a cell, heading, kind of the registry.
KINDS = (("sampler", "Samplers", "samplers"), ("variant", "Methods", "variants"), ("net", "Nets", "nets"),
         ("likelihood", "Likelihoods", "likelihoods"), ("dataset", "Datasets", "datasets"))  # fmt: skip
#: Setting of the evaluation -> its name for readers
SETTINGS = {
    "samplers": "Samplers", "n_samples": "Generated images for each sampler", "knn_k": "Nearest neighbours (k)",
    "iw_samples": "Importance samples for each image (k)", "iw_images": "Images of the importance-weighted bound",
    "embed.methods": "Maps of the codes", "embed.points": "Codes on a map", "embed.perplexity": "Perplexity of t-SNE",
    "embed.n_neighbors": "Neighbours of UMAP", "embed.min_dist": "Smallest distance of UMAP",
    "embed.seed": "Seed of the maps",
}  # fmt: skip
PER = {"sampler": "one value per sampler", "space": "one value per space: codes, t-SNE, UMAP",
       "corruption": "one value per corruption"}  # fmt: skip


def files(env: Environment, suites: Sequence[Suite]) -> dict[str, bytes]:
    """metrics.html."""
    page = env.get_template("metrics.html").render(
        root="", metrics=metrics(suites), kinds=[_section(suites, *kind) for kind in KINDS], protocol=protocol(suites),
        contract=module_doc("evaluation/metrics/__init__.py"), statistics=module_doc("results/stats.py"),
    )  # fmt: skip
    return {"metrics.html": page.encode()}


@cache
def module_doc(path: str) -> str:
    """The docstring of a file of bench, read without importing it."""
    return ast.get_docstring(ast.parse((registry.ROOT / path).read_text(encoding="utf-8"))) or ""


def protocol(suites: Sequence[Suite]) -> list[dict[str, Any]]:
    """Every setting of the evaluation: value → the suites that use it."""
    found: dict[str, dict[str, list[str]]] = {}
    for suite in suites:
        for cell in suite.cells:
            for name, text in flatten(mapping(cell.cell.get("evaluate"))).items():
                names = found.setdefault(name, {}).setdefault(text, []) if name else []
                if suite.name not in names:
                    names.append(suite.name)
    return [{"title": SETTINGS.get(name, name), "values": {_setting(text): suites for text, suites in values.items()}}
            for name, values in sorted(found.items())]  # fmt: skip


def _setting(text: str) -> str:
    """A setting's value; a list of samplers or maps by their names for readers."""
    try:
        found = json.loads(text)
    except ValueError:
        return text
    named = isinstance(found, list) and all(isinstance(part, str) for part in found)
    return (", ".join(map(member_text, found)) or "none") if named else text


# -- metrics


def metrics(suites: Sequence[Suite]) -> list[tuple[str, list[dict[str, Any]]]]:
    """Every metric family with its unit, direction and definition, sorted by name, in the groups of a suite's page."""
    found: dict[str, dict[str, Any]] = {}
    for suite in suites:
        for family, members in families(suite).items():
            entry = found.setdefault(family, _blank(family) | {"measured": True})
            entry["members"] += [m for m in members if m not in entry["members"]]
            for record in suite.records:
                _complete(entry, family, record.metrics, mapping(record.about.get("metrics")))
                if entry["about"] and entry["unit"]:
                    break
    for name in registry.names("metrics"):
        found.setdefault(name, _blank(name))
    grouped: dict[str, list[dict[str, Any]]] = {group: [] for group in (*GROUPS, FURTHER)}
    for name in sorted(found):
        grouped[group_of(name)].append(_shown(found[name]))
    return [(group, entries) for group, entries in grouped.items() if entries]


def _blank(family: str) -> dict[str, Any]:
    return {"name": family, "members": [], "unit": "", "better": "", "about": {}, "measured": False}


def _complete(entry: dict[str, Any], family: str, values: dict[str, Any], about: dict[str, Any]) -> None:
    for member in entry["members"]:
        value = mapping(values.get(member))
        entry["unit"] = entry["unit"] or words(value.get("unit"))
        entry["better"] = entry["better"] or words(value.get("better"))
        entry["about"] = entry["about"] or mapping(about.get(member) or about.get(family))


def _shown(entry: dict[str, Any]) -> dict[str, Any]:
    """The entry with the declarations of the installed code."""
    declared, doc = {}, ""
    if entry["name"] in registry.names("metrics"):
        component = registry.describe("metrics", entry["name"])
        declared, doc = component.constants, component.doc
    better = entry["better"] or declared.get("better", "")
    about = entry["about"] or {"doc": doc, "reference": declared.get("reference", "")}
    return entry | {
        "members": [words(member) for member in entry["members"]], "about": about, "better": better,
        "arrow": ARROWS.get(better, ""), "unit": entry["unit"] or declared.get("unit", ""),
        "per": PER.get(declared.get("per", ""), ""), "counts": str(declared.get("counts", "")).replace("_", " "),
        "key": ", ".join(declared.get("key", ())),
    }  # fmt: skip


# -- components


def _section(suites: Sequence[Suite], kind: str, heading: str, folder: str) -> dict[str, Any]:
    found = _recorded(suites, kind, folder)
    for name in registry.names(folder):
        found.setdefault(name, _installed(folder, name))
    pages = variant_pages(suites) if kind == "variant" else {}
    entries = [
        {"name": name, "title": _title(folder, name), "about": found[name], "page": pages.get(name, "")}
        for name in sorted(found)
    ]
    return {"id": folder, "heading": heading, "entries": entries}


def _title(folder: str, name: str) -> str:
    """The full name of a component; a readable form of a likelihood, and of a name that is not installed."""
    if folder == "likelihoods":
        text = coordinate_text("likelihood", name)
        return text[:1].upper() + text[1:]
    found = registry.find(folder, name)
    return found.title if found else registry.readable_name(name)


def _recorded(suites: Sequence[Suite], kind: str, folder: str) -> dict[str, dict[str, Any]]:
    """The documentation of each component in records, else in suites."""
    found: dict[str, dict[str, Any]] = {}
    for suite in suites:
        for record in suite.records:
            name, about = words(record.cell.get(kind)), mapping(record.about.get(kind))
            if name and name not in found and (about.get("doc") or about.get("summary")):
                found[name] = about
        for name, about in mapping(suite.about.get(folder)).items():
            if mapping(about).get("doc"):
                found.setdefault(words(name), mapping(about))
    return found


def _installed(folder: str, name: str) -> dict[str, Any]:
    component = registry.describe(folder, name)
    return {"doc": component.doc, "reference": component.constants.get("reference", "")}
