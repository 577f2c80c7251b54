"""The legend of a figure for papers: below the axes, an entry a configuration, in as many columns as fit."""

from collections.abc import Sequence
from typing import Any

from bench.report.charts.model import Drawing, Line, LineChart, Mark, PointChart, Trend, TrendChart, Who
from matplotlib.backend_bases import RendererBase
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.lines import Line2D

from .style import DPI, SMALL, WIDTH, Style, Styles, printable

LEGEND_LINE = 0.138  #: inches
SAMPLE = 26.0  #: points of a legend's sample with its gaps


def add_legend(fig: Figure, drawing: Drawing, styles: Styles, renderer: RendererBase) -> None:
    """Below the axes, in as many columns as fit; the figure grows by it."""
    members: dict[Who, Style] = {}
    for member in _members(drawing):
        members.setdefault(member.who, styles.of(member.who, member.colour))
    room = 72 * WIDTH - 4
    named = entries(list(members))
    texts = [_fitted(named[who], room - SAMPLE, renderer) for who in members]
    columns = _columns([SAMPLE + _width(text, renderer) for text in texts], room)
    handles: list[Line2D] = [_handle(style, not isinstance(drawing, PointChart)) for style in members.values()]
    fig.set_size_inches(WIDTH, fig.get_figheight() + LEGEND_LINE * -(-len(texts) // columns))
    # a label that begins with an underscore would be left out: the words are set afterwards
    legend = fig.legend(handles, ["-"] * len(texts), loc="outside lower center", ncols=columns)
    for shown, text in zip(legend.get_texts(), texts, strict=True):
        shown.set_text(text)


def _members(drawing: Drawing) -> Sequence[Line | Trend | Mark]:
    if isinstance(drawing, LineChart):
        return [line for line in drawing.lines if len(line.x)]
    return drawing.trends if isinstance(drawing, TrendChart) else drawing.marks


def _columns(widths: Sequence[float], room: float) -> int:
    """The most columns that are together not wider than the room; fewer where these need no more rows.

    They are filled one after the other, as a legend's are.
    """
    for most in range(min(4, len(widths)), 1, -1):
        columns = -(-len(widths) // -(-len(widths) // most))
        sizes = [len(widths) // columns + (k < len(widths) % columns) for k in range(columns)]
        starts = [sum(sizes[:k]) for k in range(columns)]
        if sum(max(widths[start : start + size]) for start, size in zip(starts, sizes, strict=True)) <= room:
            return columns
    return 1


def entries(whos: Sequence[Who]) -> dict[Who, str]:
    """A legend's words for each configuration: what tells it from the others of the same drawing, the label first.

    >>> list(entries([Who("vae", "mlp"), Who("vae", "conv"), Who("pca")]).values())
    ['vae, mlp', 'vae, conv', 'pca']
    """
    found = list(dict.fromkeys(whos))
    several = {axis: len({getattr(who, axis) for who in found} - {""}) > 1 for axis in ("net", "likelihood")}
    return {
        who: ", ".join(filter(None, [who.label, who.net if several["net"] else "",
                                     who.likelihood if several["likelihood"] else "", who.setting]))
        for who in found
    }  # fmt: skip


def _width(text: str, renderer: RendererBase) -> float:
    """In points, at the size of a legend."""
    pixels = renderer.get_text_width_height_descent(text, FontProperties(size=SMALL), False)[0]
    return pixels * 72 / DPI


def _fitted(text: str, width: float, renderer: RendererBase) -> str:
    """Text cut in its middle where it would be wider than `width` points: what tells two apart may stand at the end."""
    shown = printable(text)
    kept = len(shown)
    while _width(shown, renderer) > width:
        kept = min(kept - 1, int(kept * 0.95))
        shown = f"{printable(text[: -(-kept // 2)])}…{printable(text[len(text) - kept // 2 :])}"
    return shown


def _handle(style: Style, lines: bool) -> Line2D:
    """A legend's sample."""
    line: dict[str, Any] = style.line() if lines else {"linestyle": "none"}
    return Line2D([], [], **(line | style.mark()))
