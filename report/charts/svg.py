"""Charts as SVG: text stays text, colours come from the page's stylesheet. The same numbers give the same bytes.

Shapes and dashes distinguish nets, colours distinguish variants.
"""

from collections.abc import Iterable, Sequence

from markupsafe import Markup, escape

from .model import Axis, Line, LineChart, Mark, Pair, PointChart, TrendChart
from .scales import Scale, equal_sums, format_tick, line_view, scale, ticks

WIDTH, HEIGHT = 360, 270
LEFT, RIGHT, TOP, BOTTOM = 54, 14, 12, 38
TITLE = 15  #: width of the turned title of the vertical axis
DIGIT = 6.6  #: width of a digit of a tick's text
Box = tuple[float, float, float, float]  #: left, top, right, bottom
SHAPES = ("round", "square", "diamond", "triangle", "down", "plus")


def line_chart(chart: LineChart) -> Markup:
    """Curves over a common axis, cut at the edges of the view."""
    lines = [line for line in chart.lines if len(line.x)]
    if not lines:
        return Markup("")
    x, y = line_view(lines)
    up = Scale(*y, HEIGHT - BOTTOM, TOP, marks=tuple(ticks(*y, 5)))
    margin = _left(up)
    across = Scale(*x, margin, WIDTH - RIGHT, marks=tuple(ticks(*x, 6, whole=True)))
    box = f"{margin} {TOP} {WIDTH - margin - RIGHT} {HEIGHT - TOP - BOTTOM}"
    left, top, width, height = box.split()
    drawn = "".join([*(_band(line, across, up) for line in lines), *(_curve(line, across, up) for line in lines)])
    view = f'<svg x="{left}" y="{top}" width="{width}" height="{height}" viewBox="{box}">{drawn}</svg>'
    return _svg([_frame(across, up, Axis(chart.x), Axis(chart.y)), view], chart.alt)


def _band(line: Line, across: Scale, up: Scale) -> str:
    if not (line.low and line.high):
        return ""
    outline = _points([*line.x, *reversed(line.x)], [*line.high, *reversed(line.low)], across, up)
    return f'<polygon class="band k{line.colour}" points="{outline}"/>'


def _curve(line: Line, across: Scale, up: Scale) -> str:
    """A line; a single epoch as a dot."""
    points, single = _points(line.x, line.y, across, up), len(line.x) == 1
    kind = " ".join(filter(None, ["line", f"k{line.colour}", line.style, "dot" if single else ""]))
    title = f"<title>{escape(line.name)}</title>"
    return f'<polyline class="{kind}" points="{f"{points} {points}" if single else points}">{title}</polyline>'


def _points(xs: Sequence[float], ys: Sequence[float], across: Scale, up: Scale) -> str:
    return " ".join(f"{across(x):.1f},{max(-9999.0, min(9999.0, up(y))):.1f}" for x, y in zip(xs, ys, strict=True))


def strip(values: Iterable[float], low: float, high: float) -> Markup:
    """Every seed as a dot, on the scale of the whole column."""
    span = high - low
    places = [4 + (92 * (value - low) / span if span else 46) for value in values]
    path = "".join(f"M{x:.0f} 4h0" for x in places)
    drawing = f'<svg class="strip" viewBox="0 0 100 8" aria-hidden="true"><path d="{path}"/></svg>'
    return Markup(drawing)  # noqa: S704  (numbers only)


def point_chart(chart: PointChart) -> Markup:
    """Marks, those on the front ringed and joined by a line."""
    if not chart.marks:
        return Markup("")
    xs, ys = chart.view
    up = scale(ys, chart.y, HEIGHT - BOTTOM, TOP)
    left = _left(up)
    across = scale(xs, chart.x, left, WIDTH - RIGHT)
    places = [(across(mark.x), up(mark.y)) for mark in chart.marks]
    parts = [_frame(across, up, chart.x, chart.y), _equal_sums(across, up, places) if chart.sums else ""]
    if len(chart.on_front) > 1:
        line = " ".join(f"{places[i][0]:.1f},{places[i][1]:.1f}" for i in chart.on_front)
        parts.append(f'<polyline class="front" points="{line}"/>')
    if chart.seeds:
        parts += [_dots(mark.seeds, mark.colour, across, up) for mark in chart.marks if len(mark.seeds) > 1]
    parts += [_mark(mark, *place, i in chart.on_front)
              for i, (mark, place) in enumerate(zip(chart.marks, places, strict=True))]  # fmt: skip
    corners = beside([mark.text for mark in chart.marks], places, (left, 0, WIDTH, HEIGHT - BOTTOM))
    parts += [f'<text class="tick" x="{at[0]:.1f}" y="{at[1] + 9.5:.1f}">{escape(mark.text)}</text>'
              for mark, at in zip(chart.marks, corners, strict=True) if at]  # fmt: skip
    return _svg(parts, chart.alt)


def trend_chart(chart: TrendChart) -> Markup:
    """A line a configuration, its interval as a bar at each x, its seeds as dots.

    Configurations are drawn some pixels apart, because bars and dots at one x would hide each other.
    """
    if not chart.trends:
        return Markup("")
    xs, ys = chart.view
    up = scale(ys, chart.y, HEIGHT - BOTTOM, TOP)
    across = scale(xs, chart.x, _left(up), WIDTH - RIGHT, room=0.1)
    parts = [_frame(across, up, chart.x, chart.y)]
    step = min(5.0, 28 / len(chart.trends))
    for index, trend in enumerate(chart.trends):
        shift = step * (index - (len(chart.trends) - 1) / 2)
        places = [(across(at) + shift, up(value)) for at, value in zip(trend.x, trend.y, strict=True)]
        bars = "".join(
            f"M{px:.1f} {up(value - half):.1f}V{up(value + half):.1f}"
            for (px, _), value, half in zip(places, trend.y, trend.half, strict=True)
            if half
        )
        shape = " ".join(f"{px:.1f},{py:.1f}" for px, py in places)
        kind = f"line k{trend.colour} {trend.style}".strip()
        parts.append(f'<polyline class="{kind}" points="{shape}"><title>{escape(trend.name)}</title></polyline>')
        parts.append(f'<path class="bar k{trend.colour}" d="{bars}"/>' if bars else "")
        parts.append(_dots(trend.seeds, trend.colour, across, up, shift))
    return _svg(parts, chart.alt)


def _svg(parts: Sequence[str], alt: str) -> Markup:
    head = f'<svg class="chart" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(alt)}">'
    return Markup(head + "".join(parts) + "</svg>")  # noqa: S704  (numbers, and texts that are escaped above)


def _left(up: Scale) -> int:
    """Where the plot begins: its longest tick beside the axis stands clear of the axis's title."""
    longest = max((len(format_tick(value)) for value in up.marks), default=0)
    return max(LEFT, round(TITLE + DIGIT * longest) + 6)


def _frame(across: Scale, up: Scale, x: Axis, y: Axis) -> str:
    left, right, bottom = _left(up), WIDTH - RIGHT, HEIGHT - BOTTOM
    parts = [f'<path class="axis" d="M{left} {bottom}H{right}"/>']
    for value in up.marks:
        at = up(value)
        parts.append(f'<path class="grid" d="M{left} {at:.1f}H{right}"/>')
        parts.append(_text("tick", left - 6, at + 3.5, format_tick(value), "end"))
    parts += [_text("tick", across(value), bottom + 14, format_tick(value)) for value in across.marks]
    middle, centre = (left + right) / 2, (TOP + bottom) / 2
    turned = f' transform="rotate(-90 11 {centre})"'
    return "".join(
        [*parts, _text("label", middle, HEIGHT - 6, x.label), _text("label", 11, centre, y.label, attributes=turned)]
    )


def _text(kind: str, x: float, y: float, text: str, anchor: str = "middle", attributes: str = "") -> str:
    return f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{attributes}>{escape(text)}</text>'


def _equal_sums(across: Scale, up: Scale, places: Sequence[Pair]) -> str:
    """Lines of equal sums, with −(x + y) at the foot of each where no mark (in `places`) stands."""
    parts = []
    for total, start, foot in equal_sums(across, up):
        x, y = across(foot[0]), up(foot[1])
        parts.append(f'<path class="sum" d="M{across(start[0]):.1f} {up(start[1]):.1f}L{x:.1f} {y:.1f}"/>')
        if all(abs(px - x + 14) > 28 or abs(py - y + 7) > 14 for px, py in places):
            parts.append(_text("tick sum", x - 4, y - 4, format_tick(-total), "end"))
    return "".join(parts)


def _dots(seeds: Sequence[Pair], colour: int, across: Scale, up: Scale, shift: float = 0) -> str:
    path = "".join(f"M{across(x) + shift:.0f} {up(y):.0f}h0" for x, y in seeds)
    return f'<path class="dots k{colour}" d="{path}"/>' if path else ""


def _mark(mark: Mark, x: float, y: float, on_front: bool) -> str:
    ring = f'<circle class="ring" cx="{x:.1f}" cy="{y:.1f}" r="7.5"/>' if on_front else ""
    title = f"<title>{escape(mark.name)}</title>"
    return f'{ring}<path class="mark k{mark.colour}" d="{shape_path(mark.shape, x, y)}">{title}</path>'


def beside(texts: Sequence[str], places: Sequence[Pair], frame: Box) -> list[Pair | None]:
    """The left upper corner of each mark's text, at a free side of the mark; None where no side is free.

    places: of the marks, in pixels, y downwards. frame: the box that holds the texts. A character is 7 pixels wide and
    11 high.
    """
    taken = [(x - 7, y - 7, x + 7, y + 7) for x, y in places]
    corners: list[Pair | None] = []
    for text, (x, y) in zip(texts, places, strict=True):
        width, found = 7 * len(text), None
        for left, top in ((x + 9, y - 6), (x - 9 - width, y - 6), (x - width / 2, y - 20), (x - width / 2, y + 9)):
            box = (left, top, left + width, top + 11)
            inside = all(a <= b for a, b in zip((*frame[:2], *box[2:]), (*box[:2], *frame[2:]), strict=True))
            if text and inside and not any(_overlap(box, other) for other in taken):
                taken.append(box)
                found = left, top
                break
        corners.append(found)
    return corners


def _overlap(a: Box, b: Box) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]


def shape_path(shape: str, x: float, y: float) -> str:
    """A closed outline about a point; all shapes have about the same area."""
    if shape == "square":
        return f"M{x - 3.6:.1f} {y - 3.6:.1f}h7.2v7.2h-7.2z"
    if shape == "diamond":
        return f"M{x:.1f} {y - 5:.1f}l5 5l-5 5l-5 -5z"
    if shape == "triangle":
        return f"M{x:.1f} {y - 5:.1f}l4.8 8.4h-9.6z"
    if shape == "down":
        return f"M{x:.1f} {y + 5:.1f}l4.8 -8.4h-9.6z"
    if shape == "plus":
        return f"M{x - 1.7:.1f} {y - 4.9:.1f}h3.4v3.2h3.2v3.4h-3.2v3.2h-3.4v-3.2h-3.2v-3.4h3.2z"
    return f"M{x - 4:.1f} {y:.1f}a4 4 0 1 0 8 0a4 4 0 1 0 -8 0z"


def shapes(nets: Sequence[str | int | None]) -> dict[str | int | None, str]:
    """A shape for each net, in order of appearance; further nets share the last."""
    found = list(dict.fromkeys(nets))
    return {net: SHAPES[min(index, len(SHAPES) - 1)] for index, net in enumerate(found)}
