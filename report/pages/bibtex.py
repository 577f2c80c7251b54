r"""BibTeX of a table: the results themselves, the metric, and the methods in its rows.

A component names an entry of `bench/references.bib` as its `cite`. A component without one, such as a plug-in's or one
that a record describes otherwise than the code does, is cited by its reference line as a note.
"""

import re
import unicodedata
from collections.abc import Iterable, Iterator
from functools import cache
from typing import Any

from bench.report.data import Suite, mapping, words
from bench.report.tables.latex import escape_latex
from bench.report.tables.model import Table
from bench.report.tables.values import Value

from bench import __version__, registry

from .html import URL


@cache
def references() -> dict[str, str]:
    """Key -> entry, of `bench/references.bib`."""
    text = (registry.ROOT / "references.bib").read_text(encoding="ascii")
    entries = re.finditer(r"^@\w+\{(\S+),$.*?^\}$", text, re.MULTILINE | re.DOTALL)
    return {found[1]: f"{found[0]}\n" for found in entries}


def table_bibtex(suite: Suite, table: Table) -> str:
    """The entries behind one table, the results first, each key once."""
    values = [value for value in table.cells.values() if value.seeds]
    entries: dict[str, str] = {}
    for text in [_results(suite), *filter(None, _components(values, table.metric))]:
        entries.setdefault(text.split("\n", 1)[0], text)
    return "\n".join(entries.values())


def _components(values: Iterable[Value], metric: str) -> Iterator[str]:
    """The entries of the metric and of each variant, in the order of the rows."""
    records = [value.records[0] for value in values if value.records]
    for record in records[:1]:
        abouts = mapping(record.about.get("metrics"))
        named = [(n, words(mapping(e).get("family")) or n) for n, e in record.metrics.items()]
        found = [(n, family) for n, family in named if metric in (n, family)]
        yield from (entry("metrics", family, abouts.get(family) or abouts.get(n)) for n, family in found[:1])
    for record in records:
        yield entry("variants", record.cell.get("variant"), record.about.get("variant"))


def reference_line(kind: str, name: Any, about: Any) -> str:
    """A component's reference as its record has it; the code's line where both give the same address.

    Records of earlier versions hold shortened titles.
    """
    recorded, declared = words(mapping(about).get("reference"), 600), _constant(kind, name, "reference")
    return declared if not recorded or _address(recorded) == _address(declared) != "" else recorded


def entry(kind: str, name: Any, about: Any) -> str:
    """The BibTeX entry of a component, "" where there is nothing to cite.

    >>> print(entry("variants", "vae", {}).splitlines()[0])
    @inproceedings{kingma2014auto,
    """
    line, key = reference_line(kind, name, about), _constant(kind, name, "cite")
    if key in references() and line == _constant(kind, name, "reference"):
        return references()[key]
    address = _address(line)
    if not address and not re.search(r"\b(19|20)\d\d\b", line):
        return ""
    plain = unicodedata.normalize("NFKD", line).encode("ascii", "ignore").decode().lower()
    key = re.sub(r"[^a-z0-9]+", "-", plain)[:40].strip("-")
    return _format(key or "reference", {"note": URL.sub("", line).strip(" ,;."), "url": address})


def _constant(kind: str, name: Any, constant: str) -> str:
    known = isinstance(name, str) and name in registry.names(kind)
    return str(registry.describe(kind, name).constants.get(constant, "")) if known else ""


def _address(line: str) -> str:
    found = URL.search(line)
    return found.group() if found else ""


def _results(suite: Suite) -> str:
    notes = [f"suite digest {suite.digest[:12]}" if suite.digest else "",
             f"measured {suite.measured}" if suite.measured else ""]  # fmt: skip
    fields = {
        "title": f"{suite.title}: results of the suite {suite.name}",
        "howpublished": f"bench {__version__}, a reproduction-paper benchmark suite for autoencoders and VAEs",
        "year": suite.created[:4],
        "note": ", ".join(filter(None, notes)),
    }
    return _format(f"bench-{suite.name}-{suite.digest[:8]}", fields)


def _format(key: str, fields: dict[str, str]) -> str:
    lines = [f"  {name} = {{{_field(name, text)}}}," for name, text in fields.items() if text]
    return "\n".join([f"@misc{{{key},", *lines, "}", ""])


def _field(name: str, text: str) -> str:
    r"""Text with balanced braces for BibTeX, which counts `\{` as a brace; braces around a title keep its capitals."""
    if name == "url":
        return text
    escaped = escape_latex(text).replace(r"\{", r"\textbraceleft{}").replace(r"\}", r"\textbraceright{}")
    return f"{{{escaped}}}" if name == "title" else escaped
