"""Does a pasted table agree with the records? If not, which numbers differ, and where.

A pasted number agrees if it is the records' value rounded to the digits that were pasted, so fewer decimals are no
difference. Rows, columns and intervals that were left out are no difference either. Anything that was added is one,
since no record supports it.
"""

import json
import math
import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

from bench.report.data import load

from bench.errors import UsageError, did_you_mean

from . import PRINTED, format_tables
from .aggregate import FIELDS as STANDING_FIELDS
from .aggregate import HEADS, Standings, standings
from .build import build_tables
from .latex import escape_latex
from .model import PrintedColumn, Table
from .names import EMPTY, CellKey, column_identifier, row_texts
from .parse import Pasted, bare, find
from .text import escape_markdown

_NUMBER = r"[-+]?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?"
FIELDS = ("mean", "half_width", "std", "n", "planned", "best", "state", "seeds", "published", *STANDING_FIELDS)
#: Flags of `bench table` that a stamp may hold
VALUES = ("metric", "rows", "columns", "dataset", "sort", "precision", "only", "notes", "width")
SWITCHES = {"no-published": ("published", False), "no-external": ("external", False), "ranks": ("ranked", True),
            "transpose": ("transpose", True)}  # fmt: skip


@dataclass(frozen=True)
class Difference:
    """One text of a pasted table that contradicts the records."""

    line: int | None
    row: str
    column: str
    what: str  #: number | interval | seeds | mark | word | published | row | column, or a field of CSV and JSON
    pasted: str
    records: str


@dataclass
class Agreement:
    """The result for one pasted table."""

    table_id: str  #: as pasted, "" where it is gone
    table_id_now: str
    command: str
    line: int
    checked: int = 0  #: cells compared
    left_out: int = 0  #: cells of the records that the pasted table does not have
    differences: list[Difference] = field(default_factory=list)
    remark: str = ""

    def as_json(self) -> dict[str, Any]:
        return asdict(self) | {"agrees": not self.differences}


def verify(results: Path, text: str, suite: str | None = None) -> list[Agreement]:
    """Compare every table in a text with the records under `results`.

    The stamp of a table says which one it is; `suite` is the suite of a table whose stamp is gone. Raises `UsageError`
    where there is no table, and for a table that cannot be identified.
    """
    return [_verify(Path(results), pasted, suite) for pasted in find(text)]


def _verify(results: Path, pasted: Pasted, suite: str | None) -> Agreement:
    if pasted.stamp[1]:
        return _compare(pasted, _rebuild(results, *pasted.stamp[1]))
    if suite is None:
        raise UsageError(
            f"line {pasted.line}: the last note of the table, 'Table <id> (bench table ...)', is gone; name the suite, "
            "as in `bench verify SUITE --table FILE`"
        )
    found = [_compare(pasted, table) for table in build_tables(load(results, suite))]
    return max(found, key=lambda a: a.checked - 2 * len(a.differences))


def _rebuild(results: Path, suite: str, *flags: str) -> Table:
    """The table that the pasted command prints now."""
    options: dict[str, Any] = {}
    words = iter(flags)
    for word in words:
        name = word.removeprefix("--")
        if name in SWITCHES:
            options |= [SWITCHES[name]]
            continue
        if name not in VALUES:
            raise UsageError(f"the pasted command has {word!r}{did_you_mean(name, {*VALUES, *SWITCHES}, 'flags')}")
        value = next(words, "")
        if name == "precision" and not value.isdecimal():
            raise UsageError(f"the pasted command has --{name} {value!r}, which is no whole number")
        options[name] = [*options.get("only", []), value] if name == "only" else value
    if "precision" in options:
        options["precision"] = int(options["precision"])
    tables = build_tables(load(results, suite), options.pop("metric", ()), **options)
    if len(tables) != 1:
        raise UsageError("the pasted command names no metric, so it does not print one table")
    return tables[0]


def _compare(pasted: Pasted, table: Table) -> Agreement:
    found = Agreement(pasted.stamp[0], table.table_id, table.command, pasted.line)
    compare = _compare_grid if pasted.form in PRINTED else _compare_values
    compare(pasted, table, found)
    if not found.differences and pasted.stamp[0] not in ("", table.table_id):
        found.remark = "another id: what stands around the numbers has changed (rows, dates, code), no number has"
    return found


# -- tables as text


@dataclass(frozen=True)
class Reading:
    """The content of a cell: numbers, or a word."""

    word: str
    numbers: tuple[Decimal, ...] = ()  #: mean, half-width; or an IQM and its interval
    seeds: tuple[int, int] | None = None
    best: bool = False


def reading(cell: str) -> Reading:
    r"""The content of a cell in any of the formats.

    >>> reading(r"\bfseries 0.0438 \pm 0.0010").numbers, reading("**−1.5** (2/3)<sup>a</sup>").seeds
    ((Decimal('0.0438'), Decimal('0.0010')), (2, 3))
    """
    best = bool(re.search(r"\\bfseries|\\textbf|\\mathbf|\*\*|__", cell))
    text = re.sub(r"\\(?:textsuperscript|tnote)(?:\{[^{}]*\}|\w+)|<sup>.*?</sup>", "", cell)
    text = re.sub(r"\\(?:bfseries|textbf|mathbf|num)\b|\\(?=[\[\]])|[{}]|\*\*|__", " ", text.replace("$-$", "-"))
    text = re.sub(r"\\pm\b|\+-|\+/-", "±", text.replace("$", "").replace("−", "-").replace("---", "–"))
    text = " ".join(text.replace("--", "–").split())
    seeds = re.search(r"\((\d+)/(\d+)\)", text)
    numbers = re.findall(_NUMBER, re.sub(r"\((?:\d+/\d+|n = 1)\)", "", text))
    return Reading(text, tuple(map(Decimal, numbers)), (int(seeds[1]), int(seeds[2])) if seeds else None, best)


#: For each row its name and, for each column, its name and exact numbers: [] for a word, None for published values
Exact = list[tuple[str, list[tuple[str, "list[float] | None"]]]]


def _compare_grid(pasted: Pasted, table: Table, found: Agreement) -> None:
    """Cell by cell against the table printed anew; heads and rows are matched by their texts or identifiers."""
    left, escape = len(table.row_axes), {"latex": escape_latex, "markdown": escape_markdown}[pasted.form]
    ranks = standings(table) if pasted.heads[left:] == HEADS else None
    exact = _exact_standings(ranks) if ranks else _exact(table)
    fresh = find(format_tables([table], pasted.form, ranked=ranks is not None))[-1]
    rows = {} if ranks else {tuple(bare(escape(str(at or EMPTY))) for _, at in r): i for i, r in enumerate(table.rows)}
    rows |= {tuple(line.cells[:left]): index for index, line in enumerate(fresh.rows)}
    heads = {h: i for i, h in enumerate(fresh.last_heads) if fresh.last_heads.count(h) == 1}
    if not ranks:  # a table may have been printed with identifiers
        named = [column_identifier(c.column) + ", published" * c.published for c in table.printed_columns]
        heads |= {name: left + i for i, name in enumerate(named)}
    heads |= {h: i for i, h in enumerate(fresh.heads)}
    columns = [heads.get(head) for head in pasted.heads[left:]]
    marked = any(reading(cell).best for line in pasted.rows for cell in line.cells[left:])
    for name in (n for n, column in zip(pasted.heads[left:], columns, strict=True) if column is None):
        found.differences.append(Difference(pasted.line, "", name, "column", name, "no such column"))
    seen = set()
    for line in pasted.rows:
        index = rows.get(tuple(line.cells[:left]))
        if index is None:
            name = " ".join(line.cells[:left])
            found.differences.append(Difference(line.number, name, "", "row", name, "no such row"))
            continue
        seen.add(index)
        name, expected = exact[index]
        for column, cell in ((c, cell) for c, cell in zip(columns, line.cells[left:], strict=False) if c is not None):
            found.checked += 1
            head, numbers = expected[column - left]
            now = reading(fresh.rows[index].cells[column])
            found.differences += _differences((line.number, name, head), reading(cell), now, numbers, marked)
    found.left_out = len(fresh.rows) * (len(fresh.heads) - left) - len(seen) * len({*columns} - {None})
    if not marked and not ranks and any(value.best for value in table.cells.values()):
        found.remark = "no value is marked as best in the pasted table, so the marks were not compared"


def _exact(table: Table) -> Exact:
    def numbers(row: CellKey, column: PrintedColumn) -> list[float] | None:
        value = table.cells.get((row, column.column))
        summary = value.summary if value else None
        found = [summary.mean, summary.half_width] if summary else []
        return None if column.published else [number for number in found if number is not None]

    return [(" ".join(row_texts(row)), [(column.name, numbers(row, column)) for column in table.printed_columns])
            for row in table.rows]  # fmt: skip


def _exact_standings(found: Standings) -> Exact:
    return [(" ".join(row_texts(row)), [*zip(HEADS, standing.numbers, strict=True)])
            for row, standing in found.rows.items()]  # fmt: skip


def _differences(
    place: tuple[int, str, str], read: Reading, now: Reading, exact: list[float] | None, marked: bool
) -> Iterator[Difference]:
    """The differences of one cell."""
    if exact is None:
        if read.numbers != now.numbers:
            yield Difference(*place, "published", read.word, now.word)
        return
    if not exact or not read.numbers:
        if read.word != now.word:
            yield Difference(*place, "number" if exact else "word", read.word, now.word)
        return
    for index, number in enumerate(read.numbers):
        true = exact[index] if index < len(exact) else None
        if true is None or not rounds_to(true, number):
            what = "interval" if index else "number"
            yield Difference(*place, what, str(number), "none" if true is None else repr(true))
    if read.seeds != now.seeds:
        yield Difference(*place, "seeds", _count(read.seeds), _count(now.seeds))
    if marked and read.best != now.best:
        yield Difference(*place, "mark", *("best" if best else "not best" for best in (read.best, now.best)))


def rounds_to(number: float, pasted: Decimal) -> bool:
    """True where `pasted` is `number` rounded to the digits of `pasted`.

    >>> rounds_to(0.04382, Decimal("0.0438")), rounds_to(0.04386, Decimal("0.0438"))
    (True, False)
    """
    exponent = pasted.as_tuple().exponent
    assert isinstance(exponent, int)  # the pattern of a number excludes NaN
    half = 0.5 * 10.0**exponent
    return abs(float(pasted) - number) <= half * (1 + 1e-9) + abs(number) * 1e-12


def _count(seeds: tuple[int, int] | None) -> str:
    return f"{seeds[0]}/{seeds[1]} seeds" if seeds else "all seeds"


# -- tables as data


def _compare_values(pasted: Pasted, table: Table, found: Agreement) -> None:
    [fresh] = find(format_tables([table], pasted.form, ranked="--ranks" in pasted.stamp[1]))
    for place, (line, fields) in pasted.values.items():
        if place not in fresh.values:
            found.differences.append(Difference(line, place, "", "row", place, "no such row"))
            continue
        found.checked += 1
        now = fresh.values[place][1]
        found.differences += [Difference(line, place, "", name, str(fields[name]), str(now[name])) for name in FIELDS
                              if name in fields and name in now and not same(fields[name], now[name])]  # fmt: skip
    found.left_out = len(fresh.values.keys() - pasted.values.keys())


def same(one: Any, other: Any) -> bool:
    """Equal texts, lists or mappings, with numbers equal to nine digits.

    >>> same("0:0.1 1:0.2", "0:0.10000000000000001 1:0.2"), same(1.0, 1.1), same(None, None)
    (True, False, True)
    """
    a, b = (text if isinstance(text, str) else json.dumps(text, sort_keys=True) for text in (one, other))
    pairs = zip(re.findall(_NUMBER, a), re.findall(_NUMBER, b), strict=False)
    close = all(math.isclose(float(x), float(y), rel_tol=1e-9, abs_tol=1e-12) for x, y in pairs)
    return close and re.sub(_NUMBER, "#", a) == re.sub(_NUMBER, "#", b)


# -- the report of the verb


def as_text(agreements: list[Agreement]) -> str:
    """A line per table, and one per difference."""
    return "\n".join(line for agreement in agreements for line in _lines(agreement))


def _lines(found: Agreement) -> Iterator[str]:
    name = f"table {found.table_id or '(no id)'}, line {found.line} ({found.command})"
    left = f", {found.left_out} left out" if found.left_out else ""
    result = f"{len(found.differences)} differences in" if found.differences else "agrees,"
    yield f"{name}: {result} {found.checked} cells compared{left}"
    if found.remark:
        yield f"  {found.remark}"
    for d in found.differences:
        line, place = f"line {d.line}: " if d.line else "", " · ".join(filter(None, [d.row, d.column]))
        yield f"  {line}{place}: {d.what} {d.pasted}, the records say {d.records}"
