"""The style of figures for papers, and their legends: one column wide, 8 pt, the site's hues, readable in grey print.

A variant has the hue of the site and a marker. A net has a line style (solid, dashed, ...) and a fill of its markers.
"""

import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from bench.report.charts.colours import LIGHT
from bench.report.charts.model import Drawing, Line, LineChart, Mark, PointChart, Trend, TrendChart, Who
from bench.report.tables.names import configuration_text
from matplotlib import font_manager
from matplotlib.backend_bases import RendererBase
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.lines import Line2D

WIDTH = 3.25  #: inches: a column of most two-column styles
PICTURE_DPI = 300  #: of what is no vector: points of maps
DPI = 100  #: of the layout; the files are vectors
SIZE, SMALL = 8.0, 7.0  #: points: axis labels; ticks and legends
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", ">", "p", "h", "*")
STROKES: tuple[Any, ...] = ("-", (0, (4, 1.6)), (0, (4, 1.4, 1, 1.4)), (0, (7, 1.6)))
FILLS = ("full", "none", "left", "top")
DOTTED = (0, (1, 1.6))
LEGEND_LINE = 0.138  #: inches
SAMPLE = 26.0  #: points: the width of a legend's sample with its gaps
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
    """The style of a configuration."""

    colour: str
    stroke: Any
    marker: str
    fill: str

    def mark(self, size: float = 4.0) -> dict[str, Any]:
        """Arguments of a marker. The fill "none" is drawn white, so that lines do not show through it."""
        inside = "white" if self.fill == "none" else self.colour
        shape = {"marker": self.marker, "fillstyle": "full" if self.fill == "none" else self.fill}
        edge = {"markeredgecolor": self.colour, "markeredgewidth": 0.8, "markerfacecolor": inside}
        return {"color": self.colour, "markersize": size, "markerfacecoloralt": "white", **shape, **edge}

    def line(self) -> dict[str, Any]:
        """Arguments of a line."""
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
    """Text that the figures' font can print; a missing character is replaced by its code point, as in the tables.

    >>> printable("β-VAE, か")
    'β-VAE, (U+304B)'
    """
    glyphs = font_manager.get_font(font_manager.findfont(FontProperties(family="DejaVu Sans"))).get_char_index
    return "".join(c if glyphs(ord(c)) else f"(U+{ord(c):04X})" for c in text)


def wrapped(text: str, width: int = 27, lines: int = 2) -> str:
    """An axis label broken into lines that fit the axis; the unit has a line of its own where one line is too short."""
    shown = printable(text)
    head, comma, unit = shown.partition(", ")
    apart = f"{head}{comma.strip()}", unit
    parts = apart if comma and len(shown) > width >= len(apart[0]) else (shown,)
    return "\n".join(line for part in parts for line in textwrap.wrap(part, width, max_lines=lines, placeholder=" …"))


def add_legend(fig: Figure, drawing: Drawing, styles: Styles, renderer: RendererBase) -> None:
    """Add a legend below the axes, in as many columns as fit, and grow the figure by its height."""
    members: dict[Who, Style] = {}
    for member in _members(drawing):
        members.setdefault(member.who, styles.of(member.who, member.colour))
    room = 72 * WIDTH - 4
    named = entries(list(members))
    texts = [_fitted(named[who], room - SAMPLE, renderer) for who in members]
    columns = _columns([SAMPLE + _width(text, renderer) for text in texts], room)
    handles: list[Line2D] = [_handle(style, not isinstance(drawing, PointChart)) for style in members.values()]
    fig.set_size_inches(WIDTH, fig.get_figheight() + LEGEND_LINE * -(-len(texts) // columns))
    # Matplotlib leaves out labels that begin with an underscore, so the texts are set afterwards
    legend = fig.legend(handles, ["-"] * len(texts), loc="outside lower center", ncols=columns)
    for shown, text in zip(legend.get_texts(), texts, strict=True):
        shown.set_text(text)


def _members(drawing: Drawing) -> Sequence[Line | Trend | Mark]:
    if isinstance(drawing, LineChart):
        return [line for line in drawing.lines if len(line.x)]
    return drawing.trends if isinstance(drawing, TrendChart) else drawing.marks


def _columns(widths: Sequence[float], room: float) -> int:
    """The number of columns, at most four, that fit the room; fewer where that needs no more rows."""
    for most in range(min(4, len(widths)), 1, -1):
        columns = -(-len(widths) // -(-len(widths) // most))
        sizes = [len(widths) // columns + (k < len(widths) % columns) for k in range(columns)]
        starts = [sum(sizes[:k]) for k in range(columns)]
        if sum(max(widths[start : start + size]) for start, size in zip(starts, sizes, strict=True)) <= room:
            return columns
    return 1


def entries(whos: Sequence[Who]) -> dict[Who, str]:
    """The legend's text of each configuration: its label, and the coordinates in which the configurations differ.

    >>> list(entries([Who("vae", "mlp"), Who("vae", "conv"), Who("pca")]).values())
    ['VAE, MLP', 'VAE, Conv', 'PCA']
    """
    found = list(dict.fromkeys(whos))
    several = {axis: len({getattr(who, axis) for who in found} - {""}) > 1 for axis in ("net", "likelihood")}
    return {
        who: configuration_text(vars(who), ("label", *(axis for axis in several if several[axis]), "setting"))
        for who in found
    }  # fmt: skip


def _width(text: str, renderer: RendererBase) -> float:
    """The width in points, at the size of a legend."""
    pixels = renderer.get_text_width_height_descent(text, FontProperties(size=SMALL), False)[0]
    return pixels * 72 / DPI


def _fitted(text: str, width: float, renderer: RendererBase) -> str:
    """Text cut in its middle to at most `width` points: beginning and end may distinguish configurations."""
    shown = printable(text)
    kept = len(shown)
    while _width(shown, renderer) > width:
        kept = min(kept - 1, int(kept * 0.95))
        shown = f"{printable(text[: -(-kept // 2)])}…{printable(text[len(text) - kept // 2 :])}"
    return shown


def _handle(style: Style, lines: bool) -> Line2D:
    """The sample of a legend's entry."""
    line: dict[str, Any] = style.line() if lines else {"linestyle": "none"}
    return Line2D([], [], **(line | style.mark()))
