"""Configurations as points: quality over cost with its front marked, and a metric over the latent size.

Axes may be logarithmic; shapes tell nets apart where colours tell variants, so that neither is the only key.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from markupsafe import Markup, escape

from .model import Axis, Mark, Pair, PointChart, TrendChart, ticks

WIDTH, HEIGHT = 360, 280
LEFT, RIGHT, TOP, BOTTOM = 54, 14, 12, 38
Box = tuple[float, float, float, float]  #: left, top, right, bottom
TINY = 1e-305  #: logarithmic axes end here and at 1 / TINY, near where floats do
SHAPES = ("round", "square", "diamond", "triangle")


@dataclass(frozen=True)
class Scale:
    """From values to pixels; `start` and `end` are where low and high lie."""

    low: float
    high: float
    start: float
    end: float
    log: bool = False
    marks: tuple[float, ...] = field(default=())

    def __call__(self, value: float) -> float:
        low, high, at = (math.log10(v) if self.log else v for v in (self.low, self.high, value))
        return self.start + (self.end - self.start) * (at - low) / (high - low)


def scale(values: Sequence[float], axis: Axis, start: float, end: float, room: float = 0.06) -> Scale:
    """A scale with a little room at both ends and round ticks; values of a logarithmic one are positive."""
    low, high = min(values), max(values)
    if axis.log:
        span = math.log10(high / low) or 0.6
        low, high = max(low / 10 ** (room * span), TINY), min(high * 10 ** (room * span), 1 / TINY)
        if max(values) == min(values):
            low, high = low / 2, high * 2
        return Scale(low, high, start, end, True, axis.at or tuple(log_ticks(low, high)))
    span = high - low or abs(high) or 1.0
    low, high = low - room * span, high + room * span
    return Scale(low, high, start, end, False, axis.at or tuple(ticks(low, high, 6)))


def log_ticks(low: float, high: float) -> list[float]:
    """Powers of ten; 1, 2 and 5 times them where fewer than three fit.

    >>> log_ticks(3, 4000), log_ticks(15, 80)
    ([10.0, 100.0, 1000.0], [20.0, 50.0])
    """
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    for factors in ((1,), (1, 2, 5), (1, 1.5, 2, 3, 4, 5, 7)):
        found = [float(f"{factor * 10.0**p:.6g}") for p in powers for factor in factors]
        found = [value for value in found if low <= value <= high]
        if len(found) >= (3 if factors == (1,) else 2):
            break
    return found[:: math.ceil(len(found) / 7)] if found else []


def front(points: Sequence[Pair], lower: tuple[bool, bool]) -> list[int]:
    """Indices of the points that no other one beats in one coordinate without being worse in the other, by x.

    lower: for x and y, whether lower is better.

    >>> front([(1, 5), (2, 3), (3, 4), (4, 1)], (True, True))
    [0, 1, 3]
    """
    sign = [1 if flag else -1 for flag in lower]
    turned = [(sign[0] * x, sign[1] * y) for x, y in points]
    order = sorted(range(len(points)), key=lambda i: (turned[i], i))
    kept: list[int] = []
    for index in order:
        beaten = kept and turned[index][1] >= turned[kept[-1]][1] and turned[index] != turned[kept[-1]]
        if not beaten:
            kept.append(index)
    return sorted(kept, key=lambda i: (points[i], i))


def point_chart(chart: PointChart) -> Markup:
    """Marks with their front joined by a line."""
    if not chart.marks:
        return Markup("")
    marks, seen = chart.marks, chart.view
    across = scale(seen[0], chart.x, LEFT, WIDTH - RIGHT)
    up = scale(seen[1], chart.y, HEIGHT - BOTTOM, TOP)
    parts, places = [_frame(across, up, chart.x, chart.y)], [(across(mark.x), up(mark.y)) for mark in marks]
    parts += [_equal_sums(across, up, places)] if chart.sums else []
    if len(chart.on_front) > 1:
        line = " ".join(f"{across(marks[i].x):.1f},{up(marks[i].y):.1f}" for i in chart.on_front)
        parts.append(f'<polyline class="front" points="{line}"/>')
    if chart.seeds:
        parts += [_dots(mark.seeds, mark.colour, across, up) for mark in marks if len(mark.seeds) > 1]
    chosen = set(chart.on_front)
    parts += [_mark(marks[i], *place, i in chosen) for i, place in enumerate(places)]
    return _svg([*parts, *_texts(marks, places)], chart.alt)


def trend_chart(chart: TrendChart) -> Markup:
    """A line a configuration, its interval as a bar at each x, its seeds as dots."""
    if not chart.trends:
        return Markup("")
    seen = chart.view
    across = scale(seen[0], chart.x, LEFT, WIDTH - RIGHT, room=0.1)
    up = scale(seen[1], chart.y, HEIGHT - BOTTOM, TOP)
    parts = [_frame(across, up, chart.x, chart.y)]
    for trend, by in zip(chart.trends, shifts(len(chart.trends)), strict=True):
        places = [(across(at) + by, up(value)) for at, value in zip(trend.x, trend.y, strict=True)]
        bars = "".join(
            f"M{px:.1f} {up(value - half):.1f}V{up(value + half):.1f}"
            for (px, _), value, half in zip(places, trend.y, trend.half, strict=True)
            if half
        )
        title = f"<title>{escape(trend.name)}</title>"
        shape = " ".join(f"{px:.1f},{py:.1f}" for px, py in places)
        kind = f"line k{trend.colour} {trend.style}".strip()
        parts.append(f'<polyline class="{kind}" points="{shape}">{title}</polyline>')
        parts.append(f'<path class="bar k{trend.colour}" d="{bars}"/>' if bars else "")
        parts.append(_dots(trend.seeds, trend.colour, across, up, by))
    return _svg(parts, chart.alt)


def shifts(count: int) -> list[float]:
    """How far to the side each of several trends is drawn, in pixels: or bars and dots of one size hide each other."""
    step = min(5.0, 28 / count)
    return [step * (index - (count - 1) / 2) for index in range(count)]


def _svg(parts: Sequence[str], alt: str) -> Markup:
    head = f'<svg class="chart" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(alt)}">'
    return Markup(head + "".join(parts) + "</svg>")  # noqa: S704  (numbers, and words escaped where they are written)


def _frame(across: Scale, up: Scale, x: Axis, y: Axis) -> str:
    right, bottom = WIDTH - RIGHT, HEIGHT - BOTTOM
    parts = []
    for value in up.marks:
        at = up(value)
        parts.append(f'<path class="grid" d="M{LEFT} {at:.1f}H{right}"/>')
        parts.append(f'<text class="tick" x="{LEFT - 6}" y="{at + 3.5:.1f}" text-anchor="end">{tick(value)}</text>')
    for value in across.marks:
        text = f'x="{across(value):.1f}" y="{bottom + 14}" text-anchor="middle"'
        parts.append(f'<text class="tick" {text}>{tick(value)}</text>')
    parts.append(f'<path class="axis" d="M{LEFT} {bottom}H{right}"/>')
    middle, centre = (LEFT + right) / 2, (TOP + bottom) / 2
    parts.append(f'<text class="label" x="{middle}" y="{HEIGHT - 6}" text-anchor="middle">{escape(x.label)}</text>')
    turned = f'x="11" y="{centre}" text-anchor="middle" transform="rotate(-90 11 {centre})"'
    return "".join([*parts, f'<text class="label" {turned}>{escape(y.label)}</text>'])


def tick(value: float) -> str:
    """A number at an axis: a few digits, k, M and G, a true minus sign."""
    text = f"{value:.6g}"
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e4, "k")):
        if abs(value) >= size:
            text = f"{value / (1e3 if letter == 'k' else size):.6g}{letter}"
            break
    return text.replace("-", "−")


def _equal_sums(across: Scale, up: Scale, places: Sequence[Pair]) -> str:
    """Lines of equal sums, at the foot of each −(x + y): all points of one are equally good.

    places: of the marks, which a number at a line's foot leaves free.
    """
    parts = []
    for total, start, foot in equal_sums(across, up):
        end = across(foot[0]), up(foot[1])
        parts.append(f'<path class="sum" d="M{across(start[0]):.1f} {up(start[1]):.1f}L{end[0]:.1f} {end[1]:.1f}"/>')
        if all(abs(px - end[0] + 14) > 28 or abs(py - end[1] + 7) > 14 for px, py in places):
            text = f'x="{end[0] - 4:.1f}" y="{end[1] - 4:.1f}" text-anchor="end"'
            parts.append(f'<text class="tick sum" {text}>{tick(-total)}</text>')
    return "".join(parts)


def equal_sums(across: Scale, up: Scale) -> list[tuple[float, Pair, Pair]]:
    """Lines x + y = total within the frame: the total, and both ends in values, the lower one last."""
    found = []
    for total in ticks(across.low + up.low, across.high + up.high, 9):
        x1, x2 = max(across.low, total - up.high), min(across.high, total - up.low)
        if x2 - x1 > 0.02 * (across.high - across.low):
            found.append((total, (x1, total - x1), (x2, total - x2)))
    return found


def _dots(seeds: Sequence[Pair], colour: int, across: Scale, up: Scale, by: float = 0) -> str:
    path = "".join(f"M{across(x) + by:.0f} {up(y):.0f}h0" for x, y in seeds)
    return f'<path class="dots k{colour}" d="{path}"/>' if path else ""


def _mark(mark: Mark, x: float, y: float, on_front: bool) -> str:
    """A shape, ringed where it is on the front."""
    ring = f'<circle class="ring" cx="{x:.1f}" cy="{y:.1f}" r="7.5"/>' if on_front else ""
    title = f"<title>{escape(mark.name)}</title>"
    return f'{ring}<path class="mark k{mark.colour}" d="{shape_path(mark.shape, x, y)}">{title}</path>'


def _texts(marks: Sequence[Mark], places: Sequence[Pair]) -> list[str]:
    corners = beside([mark.text for mark in marks], places, (LEFT, 0, WIDTH, HEIGHT - BOTTOM))
    return [
        f'<text class="tick" x="{at[0]:.1f}" y="{at[1] + 9.5:.1f}">{escape(mark.text)}</text>'
        for mark, at in zip(marks, corners, strict=True)
        if at
    ]


def beside(texts: Sequence[str], places: Sequence[Pair], frame: Box) -> list[Pair | None]:
    """The left upper corner of each mark's text, at a side where nothing else is; None where all sides are taken.

    places: of the marks, in pixels, y downwards. frame: what a text keeps within. A character is 7 pixels wide and 11
    high.
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
    """A closed outline about a point, all of about the same area."""
    if shape == "square":
        return f"M{x - 3.6:.1f} {y - 3.6:.1f}h7.2v7.2h-7.2z"
    if shape == "diamond":
        return f"M{x:.1f} {y - 5:.1f}l5 5l-5 5l-5 -5z"
    if shape == "triangle":
        return f"M{x:.1f} {y - 5:.1f}l4.8 8.4h-9.6z"
    return f"M{x - 4:.1f} {y:.1f}a4 4 0 1 0 8 0a4 4 0 1 0 -8 0z"


def shapes(nets: Sequence[str | int | None]) -> dict[str | int | None, str]:
    """A shape for each net, in order of appearance; more nets than shapes share the last."""
    found = list(dict.fromkeys(nets))
    return {net: SHAPES[min(index, len(SHAPES) - 1)] for index, net in enumerate(found)}
