"""What the figures for papers look like: one column wide, 8 pt, the site's hues; readable in grey print as well.

A variant keeps its hue and gets a marker; a net is told by the line (solid, dashed, ...) and by how markers are filled.
"""

import textwrap
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from bench.report.charts.charts import LIGHT
from bench.report.charts.model import Who
from matplotlib import font_manager
from matplotlib.font_manager import FontProperties

WIDTH = 3.25  #: inches: a column of most two-column styles
DPI = 100  #: of the layout; the files are vectors
SIZE, SMALL = 8.0, 7.0  #: points: axis labels; ticks and legends
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", ">", "p", "h", "*")
STROKES: tuple[Any, ...] = ("-", (0, (4, 1.6)), (0, (4, 1.4, 1, 1.4)), (0, (7, 1.6)))
FILLS = ("full", "none", "left", "top")
DOTTED = (0, (1, 1.6))
LINE = 1.1  #: points; labels that share a hue differ by their marker, not by width as on the site

RC: Any = {  # Matplotlib types a mapping of settings by all their names
    "font.family": "sans-serif", "font.sans-serif": ["DejaVu Sans", "Verdana", "Arial"], "font.size": SIZE,
    "axes.labelsize": SIZE, "xtick.labelsize": SMALL, "ytick.labelsize": SMALL, "legend.fontsize": SMALL,
    "text.parse_math": False, "text.usetex": False, "axes.unicode_minus": True,
    "axes.linewidth": 0.6, "axes.spines.top": False, "axes.spines.right": False, "axes.labelpad": 2.0,
    "xtick.major.width": 0.6, "xtick.major.size": 2.5, "ytick.major.width": 0.0, "ytick.major.size": 0.0,
    "figure.constrained_layout.h_pad": 0.03, "figure.constrained_layout.w_pad": 0.03,
    "svg.fonttype": "none", "svg.hashsalt": "bench", "pdf.fonttype": 42, "path.simplify": False,
}  # fmt: skip
RC |= {"figure.dpi": DPI, "figure.facecolor": "white", "savefig.transparent": False}
RC |= {"legend.handlelength": 2.3, "legend.handletextpad": 0.5, "legend.columnspacing": 1.0, "legend.borderpad": 0.1}
RC |= {"legend.labelspacing": 0.25, "legend.frameon": False}


@dataclass(frozen=True)
class Style:
    """How a configuration is drawn."""

    colour: str
    stroke: Any
    marker: str
    fill: str

    def mark(self, size: float = 4.0) -> dict[str, Any]:
        """Arguments of a marker alone: a white inside where the fill is "none", so that lines do not run through it."""
        inside = "white" if self.fill == "none" else self.colour
        shape = {"marker": self.marker, "fillstyle": "full" if self.fill == "none" else self.fill}
        edge = {"markeredgecolor": self.colour, "markeredgewidth": 0.8, "markerfacecolor": inside}
        return {"color": self.colour, "markersize": size, "markerfacecoloralt": "white", **shape, **edge}

    def line(self) -> dict[str, Any]:
        """Arguments of a line alone."""
        return {"color": self.colour, "linewidth": LINE, "linestyle": self.stroke}


class Styles:
    """A style for each configuration of a suite, the same in all its figures."""

    def __init__(self, whos: Iterable[Who]) -> None:
        found = list(dict.fromkeys(whos))
        self.markers = list(dict.fromkeys((who.label, who.likelihood, who.setting) for who in found))
        nets = dict.fromkeys(who.net for who in found if who.net)
        self.nets = sorted(nets, key=lambda net: net != "mlp")  # solid and filled, as on the site

    def of(self, who: Who, colour: int) -> Style:
        """The style of a configuration that has this colour number on the site."""
        place = self.markers.index((who.label, who.likelihood, who.setting))
        net = self.nets.index(who.net) if who.net else 0
        return Style(LIGHT[colour % len(LIGHT)], STROKES[min(net, len(STROKES) - 1)], MARKERS[place % len(MARKERS)],
                     FILLS[min(net, len(FILLS) - 1)])  # fmt: skip


def printable(text: str) -> str:
    """Text that the figures' font can print: a character that it lacks is named by its number, as in the tables.

    >>> printable("β-VAE, か")
    'β-VAE, (U+304B)'
    """
    glyphs = font_manager.get_font(font_manager.findfont(FontProperties(family="DejaVu Sans"))).get_char_index
    return "".join(c if glyphs(ord(c)) else f"(U+{ord(c):04X})" for c in text)


def wrapped(text: str, width: int = 27, lines: int = 2) -> str:
    """An axis label, on lines that are no longer than the axis: its unit on a line of its own where it needs two."""
    shown = printable(text)
    head, comma, unit = shown.partition(", ")
    apart = f"{head}{comma.strip()}", unit
    parts = apart if comma and len(shown) > width >= len(apart[0]) else (shown,)
    return "\n".join(line for part in parts for line in textwrap.wrap(part, width, max_lines=lines, placeholder=" …"))
