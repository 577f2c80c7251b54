"""How wide a LaTeX table is, estimated from the widths of Computer Modern, and what makes it fit a column or a page."""

import re
from typing import NamedTuple

INCHES = {"column": 3.4, "page": 6.9}  #: two-column and one-column text of common templates
POINTS = 72.27  #: of TeX, per inch

#: Widths in units of the font size (cmr10)
_WIDTHS = {
    **dict.fromkeys("0123456789agovy-", 0.50), **dict.fromkeys("bdhknpqux", 0.556), **dict.fromkeys("cezs", 0.444),
    **dict.fromkeys("ijl.,;:'!|", 0.278), **dict.fromkeys("frt()[]/", 0.392), "m": 0.833, "w": 0.722, "W": 1.028,
    "M": 0.917, "I": 0.361, " ": 0.333, "_": 0.60, "±": 1.222, "−": 0.778, "=": 0.778, "×": 0.778, "–": 0.5,
    **dict.fromkeys("↓↑", 0.50),
}  # fmt: skip
_OTHER = 0.76  #: capitals, signs and anything unknown
_BOLD = 1.15


class Setting(NamedTuple):
    """One way to set a table: its commands, the width of a digit in points and the space beside a column."""

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


def fit(columns: list[list[str]], width: str) -> Setting:
    """The largest setting in which columns of these texts fit `width`; the smallest one where none fits.

    columns: the texts of each column, "0.0123 ± 0.0012" for a value.
    """
    room = INCHES[width] * POINTS
    return next((setting for setting in SETTINGS if table_points(columns, setting) <= room), SETTINGS[-1])


def stacked(head: str) -> list[str]:
    """A head in one or two lines, divided at the space that makes it narrowest.

    >>> stacked("kNN accuracy ↑"), stacked("MSE ↓")
    (['kNN', 'accuracy ↑'], ['MSE ↓'])
    """
    cuts = [match.start() for match in re.finditer(r" (?![↑↓\[*])", head)]
    if len(head) < 10 or not cuts:
        return [head]
    cut = min(cuts, key=lambda i: max(i, len(head) - i - 1))
    return [head[:cut], head[cut + 1 :]]


def table_points(columns: list[list[str]], setting: Setting) -> float:
    """The estimated width of a table in points."""
    widest = [max((text_points(text, setting) for text in column), default=0.0) for column in columns]
    return sum(widest) + 2 * setting.separation * len(columns)


def text_points(text: str, setting: Setting) -> float:
    """The estimated width of a text in points; "*" around it stands for bold.

    >>> round(text_points("0.012", SETTINGS[0])), round(text_points("1.23 ± 0.12", SETTINGS[3]))
    (23, 30)
    """
    bold = text.startswith("*")
    text = text.strip("*")
    if setting.compact:
        text = re.sub(r"(\d) ± ([\d.]+)", lambda m: f"{m[1]}({m[2].replace('.', '').lstrip('0') or '0'})", text)
    units = sum(_WIDTHS.get(character, _OTHER) for character in text)
    return units * setting.size * (_BOLD if bold else 1.0)
