"""Tables of `bench table` found again in a text: a paper's LaTeX, a README, a CSV or JSON file, whatever stands around.

What a grid of text holds is kept as it was written; only how a row, a cell or a footnote ends is understood here. What
the words and numbers mean is for `agree`, which knows what the records say.
"""

import csv
import json
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from bench.errors import UsageError

from .latex import CHARACTERS

#: The last note of every table: its id and the command that prints it; of one arranged in the page, the command only
STAMP = re.compile(
    r"Table\s+(?P<id>[0-9a-f]{12})?\s*\(bench\s+table\s+(?P<command>(?:'[^']*'|[^'()])+)\)"
    r"|bench\s+table\s+(?P<arranged>(?:'[^']*'|[^'()])+?)\s+prints\s+it\s+with\s+its\s+id"
)
BEGIN = re.compile(r"\\begin\{(tabular\*?|tabularx|tabulary)\}")
RULE = re.compile(
    r"\\(?:toprule|midrule|bottomrule|hline|addlinespace|cmidrule|cline)(?:\([lr]+\))?(?:\[[^\]]*\])?(?:\{[\d-]+\})?"
)
SPAN = re.compile(r"\\multicolumn\{(\d+)\}\{[^{}]*\}\{(.*)\}", re.DOTALL)
_COMMANDS = sorted(((v, k) for k, v in CHARACTERS.items()), key=lambda pair: -len(pair[0]))


@dataclass(frozen=True)
class Line:
    """A row of a pasted table: the line of the text it begins in, and its cells as written."""

    number: int
    cells: list[str]


@dataclass(frozen=True)
class Grid:
    """A table as text: the names of its columns, upper heads first ("mnist, latent 2"), and its rows."""

    form: str  #: "latex" or "markdown"
    line: int
    heads: list[str]
    rows: list[Line]
    table_id: str = ""
    command: tuple[str, ...] = ()  #: what followed `bench table`; empty where the footnote is gone


@dataclass(frozen=True)
class Entries:
    """A table as data: coordinates -> (line of the text or None, fields)."""

    form: str  #: "csv" or "json"
    line: int
    values: dict[str, tuple[int | None, dict[str, Any]]] = field(default_factory=dict)
    table_id: str = ""
    command: tuple[str, ...] = ()


def find(text: str) -> list[Grid | Entries]:
    """Every table in a text, which is of one format. Raises `UsageError` where there is none."""
    for reader in (json_tables, latex_tables, csv_tables, markdown_tables):
        if found := reader(text):
            return found
    raise UsageError(
        "no table in it: expected what `bench table --format latex|markdown|csv|json` prints, not its plain text"
    )


# -- LaTeX


def latex_tables(text: str) -> list[Grid | Entries]:
    """Every booktabs tabular. Raises `UsageError` for one without its rules or its end."""
    starts = [match.start() for match in BEGIN.finditer(text)]
    found: list[Grid | Entries] = []
    end = 0
    for start, following in pairwise([*starts, len(text)]):
        before, end = end, text.find(r"\end{tabular", start)
        body = text[start:end]
        if end < 0 or r"\toprule" not in body or r"\midrule" not in body:
            raise UsageError(f"line {_line(text, start)}: a tabular without \\toprule, \\midrule or its end")
        stamp = _stamp(plain_latex(text[end:following])) or _stamp(plain_latex(text[before:start]))
        found.append(_latex_grid(text, start, end, *(stamp or ("", ()))))
    return found


def _latex_grid(text: str, start: int, end: int, table_id: str, command: tuple[str, ...]) -> Grid:
    top, middle = text.index(r"\toprule", start), text.index(r"\midrule", start)
    levels = [_expanded(line.cells) for line in _latex_rows(text, top, middle)]
    width = max(map(len, levels), default=0)
    columns = zip(*(level + [""] * (width - len(level)) for level in levels), strict=True)
    heads = [", ".join(filter(None, column)) for column in columns]
    return Grid("latex", _line(text, start), heads, list(_latex_rows(text, middle, end)), table_id, command)


def _latex_rows(text: str, start: int, end: int) -> Iterator[Line]:
    body = re.sub(r"(?<!\\)%[^\n]*", lambda m: " " * len(m[0]), text[start:end])
    body = RULE.sub(lambda m: " " * len(m[0]), body)
    at = 0
    for match in re.finditer(r"(.*?)\\\\(?:\[[\d.]+\w+\])?", body, re.DOTALL):
        content = match[1]
        first = start + at + len(content) - len(content.lstrip())
        yield Line(_line(text, first), [unbraced(cell) for cell in re.split(r"(?<!\\)&", content)])
        at = match.end()


def _expanded(cells: list[str]) -> list[str]:
    """One head for every column under it."""
    heads: list[str] = []
    for cell in cells:
        match = SPAN.fullmatch(cell)
        heads += [unbraced(match[2])] * min(int(match[1]), 1000) if match else [cell]
    return heads


def unbraced(cell: str) -> str:
    """A cell on one line, without braces around the whole of it or before it."""
    found = " ".join(cell.split()).removeprefix("{}")
    while found.startswith("{") and _closing(found) == len(found) - 1:
        found = found[1:-1].strip()
    return found


def _closing(text: str) -> int:
    """Where the brace that opens a text is closed; -1 if nowhere."""
    depth = 0
    for match in re.finditer(r"\\.|[{}]", text):
        depth += {"{": 1, "}": -1}.get(match[0], 0)
        if depth == 0:
            return match.start()
    return -1


def plain_latex(text: str) -> str:
    """What a note's LaTeX prints, as far as `latex.escape_latex` wrote it."""
    found = " ".join(text.split()).replace("-{}-", "--").replace("-{}-", "--")
    for command, character in _COMMANDS:
        found = found.replace(command, character) if len(command) > 1 and command.startswith(("\\", "$")) else found
    return found


# -- Markdown


def markdown_tables(text: str) -> list[Grid | Entries]:
    """Every pipe table."""
    lines = text.splitlines()
    blocks = list(_blocks(lines))
    found: list[Grid | Entries] = []
    for (start, end), (following, _) in pairwise([*blocks, (len(lines), 0)]):
        rows = [Line(i + 1, _pipe_cells(lines[i])) for i in range(start, end)]
        stamp = _stamp(plain_markdown(" ".join(lines[end:following]))) or ("", ())
        found.append(Grid("markdown", start + 1, rows[0].cells, rows[2:], *stamp))
    return found


def _blocks(lines: list[str]) -> Iterator[tuple[int, int]]:
    """Runs of lines that begin with a pipe and have a rule in second place."""
    start = 0
    while start < len(lines):
        end = start
        while end < len(lines) and lines[end].strip().startswith("|"):
            end += 1
        if end - start >= 2 and re.fullmatch(r"[\s|:-]+", lines[start + 1]):
            yield start, end
        start = max(end, start + 1)


def _pipe_cells(line: str) -> list[str]:
    inner = re.sub(r"(?<!\\)\|$", "", line.strip().removeprefix("|"))
    return [" ".join(cell.split()) for cell in re.split(r"(?<!\\)\|", inner)]


def plain_markdown(text: str) -> str:
    """What `formats.escape_markdown` was given."""
    found = re.sub(r"\\([\\`*_\[\]|])", r"\1", text)
    return " ".join(found.replace("&lt;", "<").replace("&amp;", "&").split())


# -- data


def csv_tables(text: str) -> list[Grid | Entries]:
    """The tables of a CSV: its lines by the command that printed them."""
    lines = text.splitlines()
    head = next((i for i, line in enumerate(lines) if line.strip().startswith("metric,unit,better,")), None)
    if head is None:
        return []
    end = next((i for i in range(head, len(lines)) if not lines[i].strip()), len(lines))
    reader = csv.DictReader(line.strip() for line in lines[head:end])
    tables: dict[tuple[str, str], Entries] = {}
    for row in reader:
        told = (row.get("table_id") or "", row.get("command") or "")
        table = tables.setdefault(told, Entries("csv", head + 1, {}, told[0], _words(told[1])))
        place = {name: row.get(name) or "" for name in ("metric", "dataset", "label", "net", "likelihood",
                                                        "latent_size", "member", "setting")}  # fmt: skip
        table.values[_key(place)] = (head + reader.line_num, dict(row))
    return list(tables.values())


def json_tables(text: str) -> list[Grid | Entries]:
    """The tables of the first JSON object of the text that has some."""
    for match in re.finditer(r"\{", text):
        try:
            content, _ = json.JSONDecoder().raw_decode(text, match.start())
        except (ValueError, RecursionError):
            return []
        tables = content.get("tables")
        if isinstance(tables, list):
            return [_json_table(t, _line(text, match.start())) for t in tables if isinstance(t, dict)]
    return []


def _json_table(table: dict[str, Any], line: int) -> Entries:
    values: dict[str, tuple[int | None, dict[str, Any]]] = {}
    for row in _dicts(table.get("rows")):
        for cell in _dicts(row.get("cells")):
            at = {**_dict(row.get("at")), **_dict(cell.get("at"))}
            standing = {name: value for name, value in row.items() if name not in ("at", "cells")}
            values[_key(at)] = (None, standing | cell)
    return Entries("json", line, values, str(table.get("table_id") or ""), _words(str(table.get("command") or "")))


def _key(at: dict[str, Any]) -> str:
    """A place in words; what has no coordinate is not said."""
    return ", ".join(f"{name} {value}" for name, value in at.items() if value not in (None, ""))


def _dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _dicts(value: Any) -> list[dict[str, Any]]:
    return [part for part in value if isinstance(part, dict)] if isinstance(value, list) else []


# -- the footnote


def _stamp(text: str) -> tuple[str, tuple[str, ...]] | None:
    match = STAMP.search(text)
    return (match["id"] or "", _words(f"bench table {match['command'] or match['arranged']}")) if match else None


def _words(command: str) -> tuple[str, ...]:
    try:
        words = shlex.split(command)
    except ValueError:
        return ()
    return tuple(words[2:]) if words[:2] == ["bench", "table"] else ()


def _line(text: str, at: int) -> int:
    return text.count("\n", 0, at) + 1
