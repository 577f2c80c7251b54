r"""What to cite with a table, as BibTeX: the results themselves, the metric, and the methods in its rows.

A reference stands in the code as one line, "Kingma & Welling, Auto-Encoding Variational Bayes, 2014, https://...". It
is read back into author, title, year and address; a line of another shape becomes a note, whole.
"""

import re
import unicodedata
from collections.abc import Iterable
from typing import Any

from bench.report.data import Suite, mapping, words
from bench.report.tables.latex import escape_latex
from bench.report.tables.model import Table
from bench.report.tables.values import Value

from bench import __version__, registry

from .html import URL

REFERENCE = re.compile(
    r"(?P<author>[^,]+? et al\.|[^&]*? & [^,]+|[^,]+), (?P<title>.+?),? (?P<where>[A-Z][\w&.\- ]* )?"
    r"(?P<year>(?:19|20)\d\d)"
    r"(?:[,;:] (?P<rest>.*))?"
)


def table_bibtex(suite: Suite, table: Table) -> str:
    """The entries behind one table, the results first; ASCII."""
    values = [value for value in table.cells.values() if value.seeds]
    entries = [_results(suite), *filter(None, map(entry, _references(values, table.metric)))]
    first = {text.split("\n", 1)[0]: text for text in reversed(entries)}  # one of a key: BibTeX refuses a second
    return "\n".join(dict.fromkeys(first[text.split("\n", 1)[0]] for text in entries))


def _references(values: Iterable[Value], metric: str) -> Iterable[str]:
    """References of the metric and of each variant, in the order of the rows."""
    records = [value.records[0] for value in values if value.records]
    for record in records[:1]:
        abouts = mapping(record.about.get("metrics"))
        named = [(n, words(mapping(e).get("family")) or n) for n, e in record.metrics.items()]
        found = [(n, family) for n, family in named if metric in (n, family)]
        yield from (cited("metrics", family, abouts.get(family) or abouts.get(n)) for n, family in found[:1])
    for record in records:
        yield cited("variants", record.cell.get("variant"), record.about.get("variant"))


def cited(kind: str, name: Any, about: Any) -> str:
    """A component's reference as its record has it; the code's own line where that is of the same address.

    Records of earlier versions hold shortened titles.
    """
    recorded = words(mapping(about).get("reference"), 600)
    own = str(registry.describe(kind, name).constants.get("reference", "")) if name in registry.names(kind) else ""
    addresses = [found.group() for found in map(URL.search, (recorded, own)) if found]
    return own if len(addresses) == 2 and addresses[0] == addresses[1] else recorded


def _results(suite: Suite) -> str:
    fields = {
        "title": f"{suite.title}: results of the suite {suite.name}",
        "howpublished": f"bench {__version__}, a reproduction-paper benchmark suite for autoencoders and VAEs",
        "year": suite.created[:4],
        "note": ", ".join(filter(None, [f"suite digest {suite.digest[:12]}" if suite.digest else "",
                                        f"measured {suite.created}" if suite.created else ""])),
    }  # fmt: skip
    return _entry(f"bench-{suite.name}-{suite.digest[:8]}", fields)


def entry(reference: str) -> str:
    """One reference line as an entry, "" for one that names neither a year nor an address.

    >>> print(entry("Kingma & Welling, Auto-Encoding Variational Bayes, 2014, https://arxiv.org/abs/1312.6114"))
    @misc{kingma2014auto,
      author = {Kingma and Welling},
      title = {{Auto-Encoding Variational Bayes}},
      year = {2014},
      url = {https://arxiv.org/abs/1312.6114},
    }
    <BLANKLINE>
    """
    url = URL.search(reference)
    line = URL.sub("", reference).strip(" ,;.")
    found = REFERENCE.fullmatch(line)
    if not found:
        cited = url or re.search(r"\b(19|20)\d\d\b", line)
        return _entry(_key(line, "", line), {"note": line, "url": url.group() if url else ""}) if cited else ""
    author, title, year = found["author"], found["title"], found["year"]
    fields = {"author": _authors(author), "title": title, "howpublished": (found["where"] or "").strip(),
              "year": year, "note": (found["rest"] or "").strip(), "url": url.group() if url else ""}  # fmt: skip
    return _entry(_key(author, year, title), fields)


def _authors(names: str) -> str:
    """Commas and ampersands become BibTeX's "and", "et al." its "others"."""
    several = re.sub(r",?\s+et al\.?$", " and others", names)
    return " and ".join(part.strip() for part in re.split(r",|&| and ", several) if part.strip())


def _key(author: str, year: str, title: str) -> str:
    first = _letters(author.split(",")[0].split("&")[0].split(" et ")[0].strip().split(" ")[-1])
    return f"{first or 'anonymous'}{year}{_letters(re.split(r'[^A-Za-z]', title.strip())[0])}"


def _letters(text: str) -> str:
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    return re.sub(r"[^a-z0-9]", "", plain.lower())[:20]


def _entry(key: str, fields: dict[str, str]) -> str:
    lines = [f"  {name} = {{{_field(name, text)}}}," for name, text in fields.items() if text]
    return "\n".join([f"@misc{{{key},", *lines, "}", ""])


def _field(name: str, text: str) -> str:
    r"""Text in braces that are balanced for BibTeX, which counts `\{` as a brace; a title keeps its capitals."""
    if name == "url":
        return text
    escaped = escape_latex(text).replace(r"\{", r"\textbraceleft{}").replace(r"\}", r"\textbraceright{}")
    return f"{{{escaped}}}" if name == "title" else escaped
