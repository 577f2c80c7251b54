"""Charts as figures for papers, by Matplotlib: vector graphics with text as text, one column wide.

The same drawing gives the same bytes. Texts of a suite are never read as mathematics or markup.
"""

import io
import itertools
import math
from collections.abc import Sequence
from typing import Any

import matplotlib as mpl
from bench.report.charts.model import (
    Axis,
    Drawing,
    Line,
    LineChart,
    Mark,
    Pair,
    PointChart,
    Trend,
    TrendChart,
)
from bench.report.charts.scales import Scale, equal_sums, format_tick, line_view, scale, ticks
from bench.report.charts.svg import beside
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.transforms import ScaledTranslation, Transform

from bench.results.stats import summarise

from .style import DOTTED, PICTURE_DPI, RC, SMALL, WIDTH, Style, Styles, add_legend, printable, wrapped

HEIGHT = 2.25  #: inches without the legend
AXES = 185.0  #: points: the approximate width of the axes
PIXELS_A_POINT = 1.7  #: of the site's charts, whose rules place the texts
METADATA: dict[str, dict[str, Any]] = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}


def figure(drawing: Drawing, styles: Styles, y: str = "") -> Figure:
    """A drawing as a figure of one column. y: a label of the y axis in place of the drawing's.

    Every artist has a gid: "mean-0", "seeds-0", "interval-0", ... in the drawing's order.
    """
    with mpl.rc_context(RC):
        fig = Figure(figsize=(WIDTH, HEIGHT), layout="constrained")
        renderer = FigureCanvasAgg(fig).get_renderer()
        ax = fig.add_subplot()
        ax.set_autoscale_on(False)
        if isinstance(drawing, LineChart):
            _line_chart(ax, drawing, styles)
        elif isinstance(drawing, TrendChart):
            _trend_chart(ax, drawing, styles)
        else:
            _point_chart(ax, drawing, styles)
        ax.set_ylabel(wrapped(y or _y_label(drawing)))
        add_legend(fig, drawing, styles, renderer)
        fig.draw_without_rendering()
        fig.set_layout_engine("none")  # the same layout for SVG and PDF
        if isinstance(drawing, PointChart):
            _texts(ax, drawing)
        return fig


def saved(fig: Figure, form: str, title: str) -> bytes:
    """The figure as "svg", its text as text, or as "pdf", its fonts embedded."""
    buffer = io.BytesIO()
    with mpl.rc_context(RC):
        fig.savefig(buffer, format=form, dpi=PICTURE_DPI, metadata=METADATA[form] | {"Title": printable(title)})
    return buffer.getvalue()


def _y_label(drawing: Drawing) -> str:
    return drawing.y.label if isinstance(drawing.y, Axis) else drawing.y


def _frame(ax: Axes, x: Pair, y: Pair, x_ticks: Sequence[float], y_ticks: Sequence[float], x_label: str) -> None:
    """Set limits, ticks, the x label and faint horizontal lines."""
    ax.set_xlim(*x)
    ax.set_ylim(*y)
    ax.set_xticks(x_ticks, [format_tick(value) for value in x_ticks])
    ax.set_yticks(y_ticks, [format_tick(value) for value in y_ticks])
    ax.set_xlabel(wrapped(x_label, 52, 1))
    ax.grid(axis="y", color="#dddddd", linewidth=0.4)
    ax.set_axisbelow(True)


# -- curves


def _line_chart(ax: Axes, chart: LineChart, styles: Styles) -> None:
    lines = [line for line in chart.lines if len(line.x)]
    x, y = line_view(lines)
    _frame(ax, x, y, ticks(*x, 6, whole=True), ticks(*y, 5), chart.x)
    for index, line in enumerate(lines):
        _line(ax, line, styles.of(line.who, line.colour), index, len(lines))


def _line(ax: Axes, line: Line, style: Style, index: int, count: int) -> None:
    if line.low and line.high:
        band = ax.fill_between(line.x, line.low, line.high, color=style.colour, alpha=0.18, linewidth=0)
        band.set_gid(f"interval-{index}")
    if line.style == "train":
        look: dict[str, Any] = {"color": style.colour, "linestyle": DOTTED, "linewidth": 0.8}
    else:
        look = style.line() | style.mark(3.2) | {"markevery": _every(len(line.x), index, count)}
    alone = {"marker": "_" if line.style == "train" else style.marker, "clip_on": False} if len(line.x) == 1 else {}
    ax.plot(line.x, line.y, gid=f"mean-{index}", **look | alone)


def _every(length: int, index: int, count: int) -> tuple[int, int]:
    """Five markers a line; lines have them at different epochs."""
    step = max(1, round(length / 5))
    return min(length - 1, round(step * index / max(1, count))), step


# -- trends


def _trend_chart(ax: Axes, chart: TrendChart, styles: Styles) -> None:
    x, y = chart.view
    room = 0.12 if len(chart.trends) <= 6 else 0.2
    across, up = scale(x, chart.x, 0, 1, room), scale(y, chart.y, 0, 1)
    _frame(ax, (across.low, across.high), (up.low, up.high), across.marks, up.marks, chart.x.label)
    _set_logs(ax, chart)
    step = _step(chart, across)
    for index, trend in enumerate(chart.trends):
        by = step * (index - (len(chart.trends) - 1) / 2)
        _trend(ax, trend, styles.of(trend.who, trend.colour), index, by, step)


def _step(chart: TrendChart, across: Scale) -> float:
    """The distance in points of configurations at one x, which together fill at most half of the way to the next."""
    places = sorted({across(x) for trend in chart.trends for x in trend.x})
    gap = min((b - a for a, b in itertools.pairwise(places)), default=1.0)
    return min(5.5, AXES * min(0.55 * gap, 1.8 * places[0]) / len(chart.trends))


def _trend(ax: Axes, trend: Trend, style: Style, index: int, by: float, step: float) -> None:
    """Draw a trend `by` points to the side, so that none hides another, and the seeds beside their means."""
    moved = _moved(ax, by)
    ax.plot(trend.x, trend.y, gid=f"mean-{index}", transform=moved, zorder=3, **style.line() | style.mark(3.4))
    bars = [(x, y, half) for x, y, half in zip(trend.x, trend.y, trend.half, strict=True) if half]
    _bars(ax, bars, style, f"interval-{index}", moved)
    _seeds(ax, trend.seeds, style, f"seeds-{index}", _moved(ax, by + 0.48 * step))


def _moved(ax: Axes, points: float) -> Transform:
    assert isinstance(ax.figure, Figure)
    return ax.transData + ScaledTranslation(points / 72, 0, ax.figure.dpi_scale_trans)


def _bars(ax: Axes, bars: Sequence[tuple[float, float, float]], style: Style, gid: str, moved: Transform) -> None:
    if bars:
        x, y, half = zip(*bars, strict=True)
        found = ax.errorbar(x, y, half, fmt="none", ecolor=style.colour, elinewidth=0.8, capsize=1.4, capthick=0.8,
                            transform=moved, zorder=2.5)  # fmt: skip
        found[2][0].set_gid(gid)


def _seeds(ax: Axes, seeds: Sequence[Pair], style: Style, gid: str, where: Transform) -> None:
    x, y = [x for x, _ in seeds], [y for _, y in seeds]
    look: dict[str, Any] = {"marker": "o", "markersize": 2.0, "markeredgewidth": 0, "linestyle": "none", "alpha": 0.75}
    ax.plot(x, y, gid=gid, color=style.colour, transform=where, zorder=2.8, **look)


def _set_logs(ax: Axes, chart: TrendChart | PointChart) -> None:
    """Make axes logarithmic, with the limits and ticks that were set: Matplotlib resets both when a scale changes."""
    for axis, log in ((ax.xaxis, chart.x.log), (ax.yaxis, chart.y.log)):
        if log:
            limits, at = axis.get_view_interval(), axis.get_ticklocs()
            set_scale = ax.set_xscale if axis is ax.xaxis else ax.set_yscale
            set_scale("log")
            axis.set_ticks(list(at), [format_tick(value) for value in at])
            axis.set_ticks([], minor=True)
            axis.set_view_interval(*limits, ignore=True)


# -- points


def _point_chart(ax: Axes, chart: PointChart, styles: Styles) -> None:
    across, up = _scales(chart)
    _frame(ax, (across.low, across.high), (up.low, up.high), across.marks, up.marks, chart.x.label)
    _set_logs(ax, chart)
    for index, (_, start, end) in enumerate(equal_sums(across, up) if chart.sums else []):
        ax.plot(*zip(start, end, strict=True), color="#999999", linewidth=0.4, zorder=1.5, gid=f"sum-{index}")
    if len(chart.on_front) > 1:
        points = [(chart.marks[i].x, chart.marks[i].y) for i in chart.on_front]
        ax.plot(*zip(*points, strict=True), color="black", linewidth=0.6, linestyle=(0, (3, 2)), zorder=2, gid="front")
    for index, mark in enumerate(chart.marks):
        if index in chart.on_front:
            _ring(ax, mark, f"ring-{index}")
        _mark(ax, mark, styles.of(mark.who, mark.colour), index, chart)


def _scales(chart: PointChart) -> tuple[Scale, Scale]:
    """The site's view, extended by the intervals unless they are far wider."""
    found = []
    seen = chart.view
    for axis, values, named in ((0, seen[0], chart.x), (1, seen[1], chart.y)):
        room = 0.5 * (max(values) - min(values))
        ends = [end for mark in chart.marks for line in _intervals(mark, chart) for end in line[axis]]
        ends = [min(max(end, min(values) - room), max(values) + room) for end in ends if not named.log or end > 0]
        found.append(scale(values + ends, named, 0, 1))
    return found[0], found[1]


def _ring(ax: Axes, mark: Mark, gid: str) -> None:
    look: dict[str, Any] = {"marker": "o", "markersize": 8.0, "markerfacecolor": "none", "markeredgewidth": 0.6}
    ax.plot([mark.x], [mark.y], color="black", gid=gid, zorder=3, **look)


def _mark(ax: Axes, mark: Mark, style: Style, index: int, chart: PointChart) -> None:
    ax.plot([mark.x], [mark.y], linestyle="none", gid=f"mean-{index}", zorder=3.2, **style.mark(4.4))
    for (x, y), axis in zip(_intervals(mark, chart), "yx", strict=False):
        ax.plot(x, y, color=style.colour, linewidth=0.6, zorder=2.5, gid=f"interval-{axis}-{index}")
    if chart.seeds and len(mark.seeds) > 1:
        _seeds(ax, mark.seeds, style, f"seeds-{index}", ax.transData)


def _intervals(mark: Mark, chart: PointChart) -> list[tuple[Pair, Pair]]:
    """The 95 % t-interval of y as a line's x and y, and that of x where x is a result and not a cost.

    A line has no length for a single seed, and where some seeds do not lie on a logarithmic axis.
    """
    found = []
    for axis, at in enumerate((mark.x, mark.y)):
        summary = summarise([seed[axis] for seed in mark.seeds]) if mark.seeds else None
        half = summary.half_width if summary and math.isclose(summary.mean, at, rel_tol=1e-9) else None
        found.append((at - half, at + half) if half else (at, at))
    return [((mark.x, mark.x), found[1]), *([(found[0], (mark.y, mark.y))] if chart.sums else [])]


def _texts(ax: Axes, chart: PointChart) -> None:
    """Write latent sizes beside their marks, and the values of lines of equal sums, where there is room."""
    box = ax.get_window_extent()
    assert isinstance(ax.figure, Figure)
    unit = ax.figure.dpi / 72 / PIXELS_A_POINT  # display units a pixel of the site
    width, height = box.width / unit, box.height / unit

    def place(x: float, y: float) -> Pair:
        px, py = ax.transData.transform((x, y))
        return (px - box.x0) / unit, (box.y1 - py) / unit

    def write(text: str, x: float, y: float, **how: Any) -> None:
        how |= {"fontsize": SMALL - 1, "transform": ax.transAxes}
        how["bbox"] = {"facecolor": "white", "edgecolor": "none", "alpha": 0.7, "pad": 0.3}
        ax.text(x / width, 1 - y / height, printable(text), **how)

    places = [place(mark.x, mark.y) for mark in chart.marks]
    texts = [mark.text for mark in chart.marks]
    for text, corner in zip(texts, beside(texts, places, (0, 0, width, height)), strict=True):
        if corner:
            write(text, corner[0], corner[1] + 9.5)
    for total, _, foot in equal_sums(*_scales(chart)) if chart.sums else []:
        x, y = place(*foot)
        if x > 34 and all(abs(px - x + 14) > 28 or abs(py - y + 7) > 14 for px, py in places):
            write(format_tick(-total), x - 4, y - 4, ha="right", color="#666666")
