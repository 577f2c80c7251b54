"""How wide a LaTeX table is, computed from the widths of Computer Modern, and what makes it fit a column or a page.

Widths are those of cmr10 in its TFM file (https://ctan.org/pkg/cm); other sizes and bold are scaled from it.
"""

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

INCHES = {"column": 3.4, "page": 6.9}  #: two-column and one-column text of common templates
POINTS = 72.27  #: of TeX, per inch

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
SPARE = 0.97  #: of the width is filled: the computed width may be 3 % too small
LONG = 11  #: characters; a longer name of a row is set in two lines where a table is too wide
_NUMBER = re.compile(r"(−?\d+)((?:\.\d+)?)(?: ± ([\d.]+))?")


class Setting(NamedTuple):
    """One way to set a table: its commands, the size of its font and the space beside a column."""

    commands: tuple[str, ...]
    size: float  #: font size in points, optical widening of small fonts included
    separation: float  #: \tabcolsep in points
    compact: bool = False  #: 1.23(12) in the place of 1.23 ± 0.12


#: From large to small; the first that fits is used
SETTINGS = (
    Setting((), 10, 6),
    Setting((r"\small",), 9.3, 5),
    Setting((r"\footnotesize", r"\setlength{\tabcolsep}{4pt}"), 8.5, 4),
    Setting((r"\footnotesize", r"\setlength{\tabcolsep}{3pt}"), 8.5, 3, compact=True),
    Setting((r"\scriptsize", r"\setlength{\tabcolsep}{2pt}"), 8.0, 2, compact=True),
)


class Layout(NamedTuple):
    """How a table is made to fit: in several parts below each other where its columns do not fit side by side."""

    setting: Setting
    stacked: bool  #: long names of rows stand in two lines
    parts: tuple[range, ...]  #: the columns of each part


class Texts(NamedTuple):
    """The texts of a table's columns, each column from its head down; "*" around a text stands for bold."""

    names: list[list[str]]  #: of the columns with the names of the rows
    values: list[list[str]]  #: of the columns with values: "0.0123 ± 0.0012"


def layout(texts: Texts, width: str) -> Layout:
    """The largest setting in which the table fits `width`; in parts, with the fewest parts, where none does.

    A part has at least one column, so that a table with very long names may still be too wide.
    """
    room, whole = INCHES[width] * POINTS * SPARE, (range(len(texts.values)),)
    for stacked in (False, True):
        for setting in SETTINGS:
            if points(texts, setting, stacked) <= room:
                return Layout(setting, stacked, whole)
    return min((_in_parts(texts, setting, room) for setting in SETTINGS[-2:]), key=lambda found: len(found.parts))


def _in_parts(texts: Texts, setting: Setting, room: float) -> Layout:
    """As few parts as possible, with equal numbers of columns where these fit."""
    names = _names_points(texts.names, setting, True)
    widths = [column_points(column, setting) for column in texts.values]
    parts = _filled(widths, room - names)
    most = -(-len(widths) // len(parts))
    equal = tuple(range(start, min(start + most, len(widths))) for start in range(0, len(widths), most))
    fits = all(names + sum(widths[i] for i in part) <= room for part in equal)
    return Layout(setting, True, equal if fits else parts)


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
            across = max(across, text_points(text, setting))
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
