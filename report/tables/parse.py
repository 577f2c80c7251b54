"""Pasted tables of `bench table`, found in a text: a paper's LaTeX, a README, a CSV or JSON file.

A cell stays as it was written; `check` compares it with the same table, printed anew and read by the same functions.
"""

import csv
import json
import re
import shlex
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any

from bench.errors import UsageError

STAMP = re.compile(r"Table\s+(?P<id>[0-9a-f]{12})?\s*\((?P<command>bench\s+table\s+(?:'[^']*'|[^'()])+)\)")
TABULAR = re.compile(r"\\begin\{tabular.*?\\end\{tabular", re.DOTALL)
RULE = re.compile(r"\\(?:\w+rule|hline|addlinespace|cline)(?:\([lr]+\))?(?:\[[^\]]*\])?(?:\{[\d-]+\})?|(?<!\\)%[^\n]*")
STACK = re.compile(r"\\shortstack((?:\[l\])?)(\{(?:[^{}]|\{[^{}]*\})*\})")
SPAN = re.compile(r"\s*\\multicolumn\{(\d+)\}\{[^{}]*\}(.*)", re.DOTALL)
CONTINUED = re.compile(r"\\ref\{tab:[^{}]*\} \(continued\)")  #: above a further part of a table in a float of its own
AXES = ("metric", "dataset", "label", "net", "likelihood", "latent_size", "member", "setting")


@dataclass(frozen=True)
class Line:
    """A row of a pasted table: the number of its first line in the text, and its cells as written."""

    number: int
    cells: list[str]


@dataclass(frozen=True)
class Pasted:
    """A pasted table: heads and rows of a text format, or the values of a data format."""

    form: str  #: latex | markdown | csv | json
    line: int  #: of the text, where it begins
    stamp: tuple[str, tuple[str, ...]]  #: the table's id and what followed `bench table`; empty where the stamp is gone
    heads: list[str] = field(default_factory=list)  #: all levels of each column: "mnist, latent 2"
    last_heads: list[str] = field(default_factory=list)  #: the lowest level of each column
    rows: list[Line] = field(default_factory=list)
    values: dict[str, tuple[int | None, dict[str, Any]]] = field(default_factory=dict)  #: place -> (line, fields)


Part = tuple[int, int, Pasted]  #: begin and end of a table in the text, and the table


def find(text: str) -> list[Pasted]:
    """Every table in a text of one format. Raises `UsageError` where there is none."""
    for reader in (_json_tables, _latex_tables, _csv_tables, _markdown_tables):
        if found := list(reader(text)):
            return found
    raise UsageError("no table found: expected the output of `bench table --format latex|markdown|csv|json`")


def unescape(text: str) -> str:
    """The stamp of LaTeX or Markdown as it was before it was escaped."""
    plain = re.sub(r"\\([^\w\s])", r"\1", re.sub(r"(\\allowbreak)?\{\}", "", text.replace(r"\textasciitilde", "~")))
    return " ".join(plain.replace("''", '"').replace("&lt;", "<").replace("&amp;", "&").split())


def bare(cell: str) -> str:
    """A cell on one line without its braces, so that a head in braces equals one without."""
    return " ".join(re.sub(r"(?<!\\)[{}]", "", cell).split())


def _latex_tables(text: str) -> Iterator[Pasted]:
    found = list(TABULAR.finditer(text))
    if len(found) < len(re.findall(r"\\begin\{tabular", text)):
        raise UsageError(f"line {_line(text, text.rfind('begin{tabular'))}: a tabular without its end")
    tables = [(match.start(), match.end(), _tabular(text, match)) for match in found]
    tables = _merged(text, _merged(text, tables, _joined_rows), _joined_columns)
    ends = [0, *(end for _, end, _ in tables)]
    begins = [*(begin for begin, _, _ in tables[1:]), len(text)]
    for (begin, end, table), before, following in zip(tables, ends, begins, strict=False):
        stamps = [_stamp(unescape(text[a:b])) for a, b in ((end, following), (before, begin))]
        yield replace(table, stamp=next((stamp for stamp in stamps if stamp[1]), stamps[0]))


def _tabular(text: str, match: re.Match[str]) -> Pasted:
    top, middle = match[0].find(r"\toprule"), match[0].find(r"\midrule")
    if min(top, middle) < 0:
        raise UsageError(f"line {_line(text, match.start())}: a tabular without \\toprule or \\midrule")
    body = RULE.sub(lambda rule: " " * len(rule[0]), match[0])
    body = STACK.sub(lambda stack: " " * (11 + len(stack[1])) + stack[2].replace(r"\\", "  "), body)
    levels = [line.cells for line in _latex_lines(text, match.start() + top, body[top:middle])]
    heads = [[*filter(None, column)] for column in zip(*levels, strict=False)]
    rows = list(_latex_lines(text, match.start() + middle, body[middle:]))
    return Pasted("latex", _line(text, match.start()), ("", ()), [", ".join(head) for head in heads],
                  [head[-1] if head else "" for head in heads], rows)  # fmt: skip


def _merged(text: str, tables: list[Part], join: Callable[[Pasted, Pasted, str], Pasted | None]) -> list[Part]:
    """Neighbouring tables that are parts of one are joined; `join` has the text between them."""
    merged: list[Part] = []
    for begin, end, table in tables:
        whole = join(merged[-1][2], table, text[merged[-1][1] : begin]) if merged else None
        merged.append((merged.pop()[0] if whole else begin, end, whole or table))
    return merged


def _adjoin(between: str) -> bool:
    """True where nothing between two tabulars ends a table."""
    if CONTINUED.search(between):
        return True
    return not re.search(r"\\(?:caption|begin|end)\b", between) and not _stamp(unescape(between))[1]


def _joined_rows(one: Pasted, other: Pasted, between: str) -> Pasted | None:
    """Two parts of a table with the same columns, in floats of their own; None where they are none."""
    same = one.heads == other.heads and CONTINUED.search(between)
    return replace(one, rows=[*one.rows, *other.rows]) if same else None


def _joined_columns(one: Pasted, other: Pasted, between: str) -> Pasted | None:
    """Two parts of a table, which begin with the same columns of names; None where they are none."""
    if not _adjoin(between) or len(one.rows) != len(other.rows):
        return None
    columns = [[*zip(part.heads, *(line.cells for line in part.rows), strict=False)] for part in (one, other)]
    same = next((i for i, (a, b) in enumerate(zip(*columns, strict=False)) if a != b), 0)
    if not same or {*one.heads[same:]} & {*other.heads[same:]}:
        return None
    rows = [Line(a.number, [*a.cells, *b.cells[same:]]) for a, b in zip(one.rows, other.rows, strict=True)]
    return replace(one, heads=[*one.heads, *other.heads[same:]], rows=rows,
                   last_heads=[*one.last_heads, *other.last_heads[same:]])  # fmt: skip


def _latex_lines(text: str, start: int, body: str) -> Iterator[Line]:
    """The rows of a part of a tabular that begins at `start`; a spanning cell is repeated in each of its columns."""
    for match in re.finditer(r"(.*?)\\\\(?:\[[\d.]+\w+\])?", body, re.DOTALL):
        cells: list[str] = []
        for cell in re.split(r"(?<!\\)&", match[1]):
            span = SPAN.fullmatch(cell)
            cells += [bare(span[2])] * min(int(span[1]), 1000) if span else [bare(cell)]
        yield Line(_line(text, start + match.start() + len(match[1]) - len(match[1].lstrip())), cells)


def _markdown_tables(text: str) -> Iterator[Pasted]:
    """Every pipe table: lines that begin with a pipe, a rule as the second of them."""
    lines = [*text.splitlines(), ""]
    piped = [line.strip().startswith("|") for line in lines]
    starts = [i for i in range(len(lines) - 1) if piped[i] and not (i and piped[i - 1])]
    starts = [i for i in starts if re.fullmatch(r"[\s|:-]+", lines[i + 1]) and piped[i + 1]]
    for start, following in pairwise([*starts, len(lines)]):
        end = piped.index(False, start)
        rows = [Line(i + 1, _pipe_cells(lines[i])) for i in range(start, end)]
        heads = rows[0].cells
        yield Pasted("markdown", start + 1, _stamp(unescape(" ".join(lines[end:following]))), heads, heads, rows[2:])


def _pipe_cells(line: str) -> list[str]:
    inner = re.sub(r"(?<!\\)\|$", "", line.strip().removeprefix("|"))
    return [" ".join(cell.split()) for cell in re.split(r"(?<!\\)\|", inner)]


def _csv_tables(text: str) -> Iterator[Pasted]:
    """The tables of a CSV: its lines, grouped by the command that printed them."""
    lines = text.splitlines()
    head = next((i for i, line in enumerate(lines) if line.strip().startswith("metric,unit,better,")), len(lines))
    end = next((i for i in range(head, len(lines)) if not lines[i].strip()), len(lines))
    reader = csv.DictReader(line.strip() for line in lines[head:end])
    tables: dict[Any, Pasted] = {}
    for row in reader:
        stamp = (row.get("table_id") or "", _flags(row.get("command") or ""))
        table = tables.setdefault(stamp, Pasted("csv", head + 1, stamp))
        table.values[_place({name: row.get(name) for name in AXES})] = (head + reader.line_num, dict(row))
    yield from tables.values()


def _json_tables(text: str) -> Iterator[Pasted]:
    """The tables of the first JSON object in the text."""
    start = text.find("{")
    try:
        content, _ = json.JSONDecoder().raw_decode(text, start) if start >= 0 else ({}, 0)
    except (ValueError, RecursionError):
        return
    for table in _mappings(content.get("tables")):
        stamp = str(table.get("table_id") or ""), _flags(str(table.get("command") or ""))
        found = Pasted("json", _line(text, start), stamp)
        for row in _mappings(table.get("rows")):
            shared = {name: value for name, value in row.items() if name not in ("at", "cells")}
            for cell in _mappings(row.get("cells")):
                at = [part for part in (row.get("at"), cell.get("at")) if isinstance(part, dict)]
                found.values[_place({k: v for part in at for k, v in part.items()})] = (None, shared | cell)
        yield found


def _mappings(value: Any) -> list[dict[str, Any]]:
    return [part for part in value if isinstance(part, dict)] if isinstance(value, list) else []


def _place(at: dict[str, Any]) -> str:
    """The coordinates of a value in one line."""
    return ", ".join(f"{name} {value}" for name, value in at.items() if value not in (None, ""))


def _stamp(text: str) -> tuple[str, tuple[str, ...]]:
    match = STAMP.search(text)
    return (match["id"] or "", _flags(match["command"])) if match else ("", ())


def _flags(command: str) -> tuple[str, ...]:
    try:
        words = shlex.split(command)
    except ValueError:
        return ()
    return tuple(words[2:]) if words[:2] == ["bench", "table"] else ()


def _line(text: str, at: int) -> int:
    return text.count("\n", 0, at) + 1
