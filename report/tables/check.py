"""Does a pasted table still say what the records say? Which numbers do not, and where.

A pasted number agrees if it is the records' value rounded to as many digits as were pasted, so that a table with fewer
decimals is no other table. Rows, columns and intervals that were left out are no difference; what was added is one,
since the records cannot vouch for it.
"""

import math
import re
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

from bench.report.data import load

from bench.errors import UsageError, did_you_mean

from .formats import escape_markdown
from .latex import escape_latex
from .layout import Slot, parts, slots
from .model import Place, Table, build_as_asked
from .parse import Entries, Grid, Line, csv_tables, find, json_tables
from .ranks import standings
from .said import names
from .standings import FIELDS as STANDING
from .standings import FORMATS, HEADS, numbers
from .values import GAPS, Value

_NUMBER = r"[-+]?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?"
CELL = re.compile(rf"({_NUMBER})(?: ?± ?({_NUMBER}))?(?: ?\((?:(\d+)/(\d+)|n = 1)\))?")
FIELDS = ("mean", "half_width", "std", "n", "planned", "best", "state", "seeds", "published", *STANDING)
ESCAPES: dict[str, Callable[[str], str]] = {"latex": escape_latex, "markdown": escape_markdown}
VALUES = {"metric": str, "rows": str, "columns": str, "dataset": str, "sort": str, "precision": int}
SWITCHES = {"no-published": ("published", False), "ranks": ("ranked", True)}


@dataclass(frozen=True)
class Difference:
    """One thing that a pasted table says and the records do not."""

    line: int | None
    row: str
    column: str
    what: str  #: number | interval | seeds | mark | word | published | row | column, or a field of CSV and JSON
    pasted: str
    records: str


@dataclass
class Agreement:
    """What became of one pasted table."""

    table_id: str  #: as pasted, "" where it is gone
    table_id_now: str
    command: str
    line: int
    checked: int = 0  #: cells compared
    left_out: int = 0  #: cells that the records have and the pasted table has not
    differences: list[Difference] = field(default_factory=list)
    remark: str = ""

    def as_json(self) -> dict[str, Any]:
        return asdict(self) | {"agrees": not self.differences}


def verify(results: Path, text: str, suite: str | None = None) -> list[Agreement]:
    """Hold every table in a text against the records under `results`.

    A table says itself which one it is, in its last note; `suite` names the suite of one whose note is gone. Raises
    `UsageError` where there is no table, or where it cannot be told which one it is.
    """
    return [_verify(Path(results), pasted, suite) for pasted in find(text)]


def _verify(results: Path, pasted: Grid | Entries, suite: str | None) -> Agreement:
    if pasted.command:
        return _compared(pasted, _asked(results, pasted.command))
    if suite is None:
        raise UsageError(
            f"line {pasted.line}: the table does not say which one it is: its note 'Table <id> (bench table ...)' is "
            "gone; name the suite, as in `bench verify SUITE --table FILE`"
        )
    found = [_compared(pasted, table) for table in build_as_asked(load(results, suite))]
    return max(found, key=lambda a: a.checked - 2 * len(a.differences))


def _asked(results: Path, command: tuple[str, ...]) -> Table:
    """The table that a pasted command prints now."""
    suite, *rest = command
    how: dict[str, Any] = {}
    words = iter(rest)
    for word in words:
        name = word.removeprefix("--")
        if name in SWITCHES:
            how |= [SWITCHES[name]]
        elif name in VALUES:
            how[name] = _value(name, next(words, ""))
        else:
            raise UsageError(f"the pasted command has {word!r}{did_you_mean(name, {*VALUES, *SWITCHES}, 'flags')}")
    tables = build_as_asked(load(results, suite), how.pop("metric", ()), **how)
    if len(tables) != 1:
        raise UsageError("the pasted command names no metric, so it is not of one table")
    return tables[0]


def _value(name: str, text: str) -> str | int:
    if VALUES[name] is int and not text.isdecimal():
        raise UsageError(f"the pasted command has --{name} {text!r}, which is no whole number")
    return VALUES[name](text)


def _compared(pasted: Grid | Entries, table: Table) -> Agreement:
    found = Agreement(pasted.table_id, table.table_id, table.command, pasted.line)
    if isinstance(pasted, Grid) and pasted.heads[len(table.row_axes) :] == HEADS:
        _compare_standings(pasted, table, found)
    elif isinstance(pasted, Grid):
        _compare_grid(pasted, table, found)
    else:
        _compare_entries(pasted, table, found)
    if not found.differences and pasted.table_id and pasted.table_id != table.table_id:
        found.remark = "another id: what stands around the numbers has changed (rows, dates, code), no number has"
    return found


# -- tables as text


def _compare_grid(pasted: Grid, table: Table, found: Agreement) -> None:
    escape, left = ESCAPES[pasted.form], len(table.row_axes)
    columns = _columns(pasted, table, escape)
    rows = {key: row for row in table.rows for key in (tuple(names(row)), tuple(map(escape, names(row))))}
    marked = any(reading(cell).best for line in pasted.rows for cell in line.cells[left:])
    seen: set[Place] = set()
    for name in (n for n, slot in zip(pasted.heads[left:], columns[left:], strict=True) if slot is None):
        found.differences.append(Difference(pasted.line, "", name, "column", name, "no such column"))
    for line in pasted.rows:
        row = rows.get(tuple(line.cells[:left]))
        if row is None:
            said = " ".join(line.cells[:left])
            found.differences.append(Difference(line.number, said, "", "row", said, "no such row"))
            continue
        seen.add(row)
        for slot, cell in zip(columns[left:], line.cells[left:], strict=False):
            if slot is not None:
                found.checked += 1
                found.differences += _cell(table, row, slot, line.number, cell, marked)
    found.left_out = len(table.rows) * len(slots(table)) - len(seen) * len({c for c in columns if c})
    if not marked and any(value.best for value in table.cells.values()):
        found.remark = "no value is marked as best in the pasted table, so the marks were not compared"


def _compare_standings(pasted: Grid, table: Table, found: Agreement) -> None:
    """The small table of ranks and IQMs that stands below its own."""
    escape, now = ESCAPES[pasted.form], standings(table)
    rows = now.rows if now else {}
    known = {key: row for row in rows for key in (tuple(names(row)), tuple(map(escape, names(row))))}
    for line in pasted.rows:
        row = known.get(tuple(line.cells[: len(table.row_axes)]))
        if row is None:
            said = " ".join(line.cells[: len(table.row_axes)])
            found.differences.append(Difference(line.number, said, "", "row", said, "no such row"))
            continue
        found.checked += len(HEADS)
        found.differences += _standing(line, " ".join(names(row)), numbers(rows[row]))
    found.left_out = len(HEADS) * len(rows) - found.checked


def _standing(line: Line, row: str, expected: dict[str, list[float]]) -> Iterator[Difference]:
    for (head, exact), cell in zip(expected.items(), line.cells[-len(HEADS) :], strict=True):
        read = [Decimal(text) for text in re.findall(_NUMBER, re.sub(r"\$-\$|−", "-", cell))]
        if len(read) != len(exact) or not all(map(rounds_to, exact, read)):
            yield Difference(line.number, row, head, "number", cell, " ".join(map(repr, exact)) or "none")


def _columns(pasted: Grid, table: Table, escape: Callable[[str], str]) -> list[Slot | None]:
    """The column of the records that each pasted one is, by its whole head, or by its last one if that is unique."""
    every = slots(table)
    lasts = [slot.last_head for slot in every]
    known = {slot.last_head: slot for slot in every if lasts.count(slot.last_head) == 1}
    known |= {slot.name: slot for slot in every}
    known |= {escape(name): slot for name, slot in list(known.items())}
    return [known.get(head) for head in pasted.heads]


@dataclass(frozen=True)
class Reading:
    """A pasted cell: numbers, or a word."""

    word: str
    numbers: tuple[Decimal, ...] = ()  #: mean, half-width
    seeds: tuple[int, int] | None = None
    best: bool = False


def reading(cell: str) -> Reading:
    r"""What a cell says, in whichever format it is written.

    >>> reading(r"\bfseries 0.0438 \pm 0.0010").numbers, reading("**−1.5** (2/3)<sup>a</sup>").seeds
    ((Decimal('0.0438'), Decimal('0.0010')), (2, 3))
    """
    best = bool(re.search(r"\\bfseries|\\textbf|\\mathbf|\*\*|__", cell))
    text = re.sub(r"\\(?:textsuperscript|tnote)\{[^{}]*\}|<sup>.*?</sup>", "", cell)
    text = re.sub(r"\$?\\pm\b\$?|\+-|\+/-", "±", text)
    text = re.sub(r"\\(?:bfseries|textbf|mathbf|num)\b|[{}$]|\*\*|__", " ", text)
    text = " ".join(text.replace("−", "-").replace("---", "–").replace("--", "–").split())
    match = CELL.fullmatch(text)
    if not match:
        return Reading(text, best=best)
    numbers = tuple(Decimal(part) for part in match.group(1, 2) if part)
    seeds = (int(match[3]), int(match[4])) if match[3] else None
    return Reading(text, numbers, seeds, best)


def _cell(table: Table, row: Place, slot: Slot, line: int, cell: str, marked: bool) -> Iterator[Difference]:
    read, said = reading(cell), parts(table, row, slot)
    place = (line, " ".join(names(row)), slot.name)
    if slot.published:
        if _figures(read.word) != _figures(said.text):
            yield Difference(*place, "published", read.word, said.text)
        return
    value = table.cells.get((row, slot.column))
    summary = value.summary if value else None
    if value is None or summary is None:
        expected = GAPS.get(value.state, value.state) if value else said.text
        if read.word != expected:
            yield Difference(*place, "word", read.word, expected)
        return
    if not read.numbers:
        yield Difference(*place, "number", read.word, said.text)
        return
    exact = [summary.mean, summary.half_width]
    for what, pasted, number in zip(("number", "interval"), read.numbers, exact, strict=False):
        if number is None or not rounds_to(number, pasted):
            yield Difference(*place, what, str(pasted), "none" if number is None else repr(number))
    if read.seeds != _seeds(value):
        yield Difference(*place, "seeds", _counted(read.seeds), _counted(_seeds(value)))
    if marked and read.best != value.best:
        yield Difference(*place, "mark", *("best" if best else "not best" for best in (read.best, value.best)))


def rounds_to(number: float, pasted: Decimal) -> bool:
    """True where `pasted` is `number` rounded to its digits.

    >>> rounds_to(0.04382, Decimal("0.0438")), rounds_to(0.04386, Decimal("0.0438"))
    (True, False)
    """
    exponent = pasted.as_tuple().exponent
    assert isinstance(exponent, int)  # the pattern of a number lets no NaN through
    half = 0.5 * 10.0**exponent
    return abs(float(pasted) - number) <= half * (1 + 1e-9) + abs(number) * 1e-12


def _seeds(value: Value) -> tuple[int, int] | None:
    return None if value.complete else (len(value.seeds), value.planned)


def _counted(seeds: tuple[int, int] | None) -> str:
    return f"{seeds[0]}/{seeds[1]} seeds" if seeds else "all seeds"


def _figures(text: str) -> list[str]:
    return [part.replace("−", "-").replace(" ", "") for part in text.split(";")]


# -- tables as data


def _compare_entries(pasted: Entries, table: Table, found: Agreement) -> None:
    read = csv_tables if pasted.form == "csv" else json_tables
    [expected] = read(FORMATS[pasted.form]([table]))
    assert isinstance(expected, Entries)  # it is our own output
    for place, (line, fields) in pasted.values.items():
        if place not in expected.values:
            found.differences.append(Difference(line, place, "", "row", place, "no such row"))
            continue
        found.checked += 1
        now = expected.values[place][1]
        for name in (n for n in FIELDS if n in fields and n in now):
            if not same(fields[name], now[name]):
                found.differences.append(Difference(line, place, "", name, str(fields[name]), str(now[name])))
    found.left_out = len(expected.values.keys() - pasted.values.keys())


def same(one: Any, other: Any) -> bool:
    """Equal, numbers to nine digits, also inside texts, lists and mappings.

    >>> same("0:0.1 1:0.2", "0:0.10000000000000001 1:0.2"), same(1.0, 1.1), same(None, None)
    (True, False, True)
    """
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same, one, other))
    a, b = re.split(r"[ :]", str(one)), re.split(r"[ :]", str(other))
    return len(a) == len(b) and all(x == y or _close(x, y) for x, y in zip(a, b, strict=True))


def _close(one: str, other: str) -> bool:
    if not (re.fullmatch(_NUMBER, one) and re.fullmatch(_NUMBER, other)):
        return False
    return math.isclose(float(one), float(other), rel_tol=1e-9, abs_tol=1e-12)


# -- in words


def as_text(agreements: list[Agreement]) -> str:
    """A line a table, and one a difference."""
    return "\n".join(line for agreement in agreements for line in _told(agreement))


def _told(found: Agreement) -> Iterator[str]:
    name = f"table {found.table_id or '(no id)'}, line {found.line} ({found.command})"
    left = f", {found.left_out} left out" if found.left_out else ""
    if found.differences:
        yield f"{name}: {len(found.differences)} differences in {found.checked} cells compared{left}"
    else:
        yield f"{name}: agrees, {found.checked} cells compared{left}"
    if found.remark:
        yield f"  {found.remark}"
    for d in found.differences:
        where = f"line {d.line}: " if d.line else ""
        place = " · ".join(filter(None, [d.row, d.column]))
        yield f"  {where}{place}: {d.what} {d.pasted}, the records say {d.records}"
