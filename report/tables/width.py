"""How wide and tall a LaTeX table is, computed from Computer Modern, and what makes it fit a column or a page.

Widths are those of cmr10 in its TFM file (https://ctan.org/pkg/cm); other sizes and bold are scaled from it. Distances
of lines are those of the class article at 10 pt.
"""

import math
import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

INCHES = {"column": 3.4, "page": 6.9}  #: two-column and one-column text of common templates
POINTS = 72.27  #: of TeX, per inch
HEIGHT = 550.0  #: points of the text of the class article at 10 pt on letter paper, the lowest of common templates

#: Widths in units of the font size
_WIDTHS = {
    character: width
    for width, characters in {
        0.278: "il.,;:!'|", 0.306: "f", 0.333: " -", 0.389: "It()[]", 0.393: "rs", 0.444: "cez",
        0.5: "0123456789agovy/–↓↑", 0.514: "jJ", 0.528: "kx", 0.556: "bdhnpquS", 0.583: "β", 0.625: "LF", 0.68: "EP",
        0.72: "wBCTR", 0.75: "AHNUVXK", 0.778: "GOQD=+−×≤≥", 0.833: "m%", 0.917: "M", 1.028: "W", 1.222: "±",
    }.items()
    for character in characters
}  # fmt: skip
_OTHER = 0.76  #: signs and anything unknown
_BOLD = 1.15
SPARE = 0.97  #: of the width and the height is filled: what is computed may be 3 % too small
RULES = 20.0  #: points of the rules of a tabular and the space beside them
GAP = 3.0  #: points between a tabular and a note
CAPTION = 24.0  #: points of a caption of one line and the space below it
LONG = 11  #: characters; a longer name of a row is set in two lines where a table is too wide
_NUMBER = re.compile(r"(−?\d+)((?:\.\d+)?)(?: ± ([\d.]+))?")


class Setting(NamedTuple):
    """One way to set a table: its commands, the size of its font and the space beside a column."""

    commands: tuple[str, ...]
    size: float  #: font size in points, optical widening of small fonts included
    separation: float  #: \tabcolsep in points
    line: float  #: distance of two lines in points
    compact: bool = False  #: 1.23(12) in the place of 1.23 ± 0.12


#: From large to small; the first that fits is used
SETTINGS = (
    Setting((), 10, 6, 12),
    Setting((r"\small",), 9.3, 5, 11),
    Setting((r"\footnotesize", r"\setlength{\tabcolsep}{4pt}"), 8.5, 4, 9.5),
    Setting((r"\footnotesize", r"\setlength{\tabcolsep}{3pt}"), 8.5, 3, 9.5, compact=True),
    Setting((r"\scriptsize", r"\setlength{\tabcolsep}{2pt}"), 8.0, 2, 8, compact=True),
)


NOTE = SETTINGS[2]  #: the size of notes


class Layout(NamedTuple):
    """How a table is made to fit: in several parts where its columns or its rows do not fit."""

    setting: Setting
    stacked: bool  #: long names of rows stand in two lines
    parts: tuple[range, ...]  #: the columns of each part
    rows: tuple[range, ...]  #: the rows of each part of these columns
    floats: bool = False  #: each part is a float of its own, since all together are taller than a page


class Texts(NamedTuple):
    """The texts of a table's columns, each column from its head down; "*" around a text stands for bold."""

    names: list[list[str]]  #: of the columns with the names of the rows
    values: list[list[str]]  #: of the columns with values: "0.0123 ± 0.0012"


def layout(texts: Texts, width: str, notes: Sequence[str] = ()) -> Layout:
    """The largest setting in which the table fits `width` and, with its notes, the height of a page.

    In the fewest parts where none does. A part has at least one column and one row, so that a table with very long
    names may still be too wide, and one with very long notes too tall.
    """
    room, whole = INCHES[width] * POINTS * SPARE, (range(len(texts.values)),)
    below = CAPTION + notes_height(notes, room)
    found = [_in_floats(texts, setting, stacked, whole, below) for stacked in (False, True) for setting in SETTINGS
             if points(texts, setting, stacked) <= room]  # fmt: skip
    found = found or [_in_floats(texts, setting, stacked, _columns(texts, setting, stacked, room), below)
                      for stacked in (True, False) for setting in SETTINGS[-2:]]  # fmt: skip
    return min(found, key=lambda layout: (_excess(texts, layout, room), len(layout.parts) * len(layout.rows)))


def natural(texts: Texts, notes: Sequence[str] = ()) -> bool:
    """True where a table fits a column and a page at the size of the text."""
    room, whole = INCHES["column"] * POINTS, (range(len(texts.values)),)
    below = CAPTION + notes_height(notes, room)
    return points(texts, SETTINGS[0], False) <= room and not _in_floats(texts, SETTINGS[0], False, whole, below).floats


def _columns(texts: Texts, setting: Setting, stacked: bool, room: float) -> tuple[range, ...]:
    """The columns in as few parts as possible, with equal numbers of columns where these fit."""
    names = _names_points(texts.names, setting, stacked)
    widths = [column_points(column, setting) for column in texts.values]
    parts = _filled(widths, room - names)
    equal = _equal(len(widths), len(parts))
    fits = all(names + sum(widths[i] for i in part) <= room for part in equal)
    return equal if fits else parts


def _excess(texts: Texts, layout: Layout, room: float) -> float:
    """By how many points the widest part is too wide."""
    names = _names_points(texts.names, layout.setting, layout.stacked)
    widths = [column_points(column, layout.setting) for column in texts.values]
    return max(max((names + sum(widths[i] for i in part) for part in layout.parts), default=0.0) - room, 0.0)


def _in_floats(texts: Texts, setting: Setting, stacked: bool, parts: tuple[range, ...], below: float) -> Layout:
    """One float for all parts where they fit a page with caption and notes of height `below`, else one for each part.

    Rows that are taller than a page are divided into equal numbers. Notes leave them at least a third of the page.
    """
    head, lines = _heights(texts, setting, stacked)
    every = (range(len(lines)),)
    if below + len(parts) * (head + sum(lines)) <= HEIGHT * SPARE:
        return Layout(setting, stacked, parts, every)
    room = max(HEIGHT * SPARE - below, HEIGHT / 3) - head
    divided = (_equal(len(lines), count) for count in range(1, len(lines) + 1))
    fitting = (rows for rows in divided if all(sum(lines[i] for i in part) <= room for part in rows))
    rows = next(fitting, every)
    return Layout(setting, stacked, parts, rows, len(parts) * len(rows) > 1)


def _equal(length: int, count: int) -> tuple[range, ...]:
    """At most `count` ranges of equal length, but for the last one.

    >>> _equal(7, 3)
    (range(0, 3), range(3, 6), range(6, 7))
    """
    most = max(1, -(-length // count))
    return tuple(range(start, min(start + most, length)) for start in range(0, length, most))


def _heights(texts: Texts, setting: Setting, stacked: bool) -> tuple[float, list[float]]:
    """The height of the head with all rules, and that of each row, in points."""
    rows = len(texts.names[0]) - 1 if texts.names else max(map(len, texts.values), default=0)
    heads = max((len(column) - rows for column in texts.values), default=1)
    names = list(zip(*(column[1:] for column in texts.names), strict=True)) or [()] * rows
    lines = [max((len(stack(text, LONG)) for text in row), default=1) if stacked else 1 for row in names]
    return RULES + GAP + (heads + 1) * setting.line, [count * setting.line for count in lines]


def notes_height(notes: Sequence[str], room: float) -> float:
    """The height in points of notes in lines of width `room`, which are nine tenths full on average."""
    lines = (math.ceil(text_points(note, NOTE) / (0.9 * room)) for note in notes)
    return sum(count * NOTE.line + GAP for count in lines)


def _filled(widths: Sequence[float], room: float) -> tuple[range, ...]:
    """Neighbouring columns together while they fit."""
    starts, used = [0], 0.0
    for index, width in enumerate(widths):
        if used + width > room and index > starts[-1]:
            starts.append(index)
            used = 0.0
        used += width
    return tuple(range(a, b) for a, b in zip(starts, [*starts[1:], len(widths)], strict=True))


def stack(text: str, longest: int = 10) -> list[str]:
    """A text in one line, or in two, divided at the space that makes it narrowest, where it is long.

    >>> stack("kNN accuracy ↑"), stack("MSE ↓")
    (['kNN', 'accuracy ↑'], ['MSE ↓'])
    """
    cuts = [match.start() for match in re.finditer(r"(?<!=) (?![↑↓\[*=])", text)]
    if len(text) < longest or not cuts:
        return [text]
    cut = min(cuts, key=lambda i: max(i, len(text) - i - 1))
    return [text[:cut], text[cut + 1 :]]


def points(texts: Texts, setting: Setting, stacked: bool) -> float:
    """The width of a table in points."""
    values = sum(column_points(column, setting) for column in texts.values)
    return _names_points(texts.names, setting, stacked) + values


def _names_points(names: list[list[str]], setting: Setting, stacked: bool) -> float:
    columns = [[line for text in column for line in stack(text, LONG)] if stacked else column for column in names]
    return sum(max(text_points(text, setting) for text in column) + 2 * setting.separation for column in columns)


def column_points(column: list[str], setting: Setting) -> float:
    """The width of a column of values, which are aligned at the decimal point; other texts stand across it."""
    before = after = across = 0.0
    for text in column:
        number = _NUMBER.fullmatch(text.strip("*"))
        if number is None or (number[3] and not number[3].strip("0.")):  # no number to align, or a half-width of zero
            short = f"{number[1]}{number[2]} ± 0" if number and setting.compact else text
            across = max(across, text_points(short, setting))
            continue
        star = "*" * text.startswith("*")
        before = max(before, text_points(star + number[1], setting))
        after = max(after, text_points(star + number[2] + _beside(number, setting), setting))
    return max(before + after, across) + 2 * setting.separation


def _beside(number: re.Match[str], setting: Setting) -> str:
    """The half-width behind a mean, as it is printed."""
    if not number[3]:
        return ""
    return f"({number[3].replace('.', '').lstrip('0') or '0'})" if setting.compact else f"±{number[3]}"


def text_points(text: str, setting: Setting) -> float:
    """The width of a text in points; "*" before it stands for bold.

    >>> round(text_points("0.012", SETTINGS[0]))
    23
    """
    units = sum(_units(text.strip("*")))
    return units * setting.size * (_BOLD if text.startswith("*") else 1.0)


def _units(text: str) -> Iterator[float]:
    return (_WIDTHS.get(character, _OTHER) for character in text)
