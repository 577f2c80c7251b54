"""Configurations as points: quality over cost with its front marked, and a metric over the latent size.

Axes may be logarithmic; shapes tell nets apart where colours tell variants, so that neither is the only key.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from markupsafe import Markup, escape

from .charts import ticks

WIDTH, HEIGHT = 360, 280
LEFT, RIGHT, TOP, BOTTOM = 54, 14, 12, 38
SHAPES = ("round", "square", "diamond", "triangle")
MOST_SEEDS = 400  #: dots of seeds in one drawing; more would hide the means


@dataclass(frozen=True)
class Axis:
    """What an axis is called, and whether it is logarithmic; `at` fixes its ticks."""

    label: str
    log: bool = False
    at: tuple[float, ...] = ()


@dataclass(frozen=True)
class Mark:
    """A configuration: its means, a short text beside it, its seeds."""

    name: str
    colour: int
    x: float
    y: float
    shape: str = "round"
    text: str = ""
    seeds: tuple[tuple[float, float], ...] = ()


@dataclass(frozen=True)
class Trend:
    """A configuration over x: mean and half-width at each, and every seed as a dot."""

    name: str
    colour: int
    x: tuple[float, ...]
    y: tuple[float, ...]
    half: tuple[float | None, ...] = ()
    seeds: tuple[tuple[float, float], ...] = ()
    style: str = ""


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
        low, high = low / 10 ** (room * span), high * 10 ** (room * span)
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


def front(points: Sequence[tuple[float, float]], lower: tuple[bool, bool]) -> list[int]:
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


def point_chart(
    marks: Sequence[Mark], on_front: Sequence[int], x: Axis, y: Axis, alt: str, sums: bool = False
) -> Markup:
    """Marks with their front joined by a line. `sums` draws lines of equal x + y: of equal bound."""
    if not marks:
        return Markup("")
    dots = [seed for mark in marks for seed in mark.seeds]
    dots = dots if len(dots) <= MOST_SEEDS else []
    across = scale([mark.x for mark in marks] + [dx for dx, _ in dots], x, LEFT, WIDTH - RIGHT)
    up = scale([mark.y for mark in marks] + [dy for _, dy in dots], y, HEIGHT - BOTTOM, TOP)
    parts, places = [_frame(across, up, x, y)], [(across(mark.x), up(mark.y)) for mark in marks]
    parts += [_equal_sums(across, up, places)] if sums else []
    if len(on_front) > 1:
        line = " ".join(f"{across(marks[i].x):.1f},{up(marks[i].y):.1f}" for i in on_front)
        parts.append(f'<polyline class="front" points="{line}"/>')
    if dots:
        parts += [_dots(mark.seeds, mark.colour, across, up) for mark in marks if len(mark.seeds) > 1]
    chosen = set(on_front)
    parts += [_mark(marks[i], *place, i in chosen) for i, place in enumerate(places)]
    return _svg([*parts, *_texts(marks, places)], alt)


def trend_chart(trends: Sequence[Trend], x: Axis, y: Axis, alt: str) -> Markup:
    """A line a configuration, its interval as a bar at each x, its seeds as dots."""
    if not trends:
        return Markup("")
    across = scale([value for trend in trends for value in trend.x], x, LEFT, WIDTH - RIGHT, room=0.1)
    ends = [end for trend in trends for end in _ends(trend)]
    up = scale(ends, y, HEIGHT - BOTTOM, TOP)
    parts = [_frame(across, up, x, y)]
    step = min(5.0, 28 / len(trends))  # side by side, or bars and dots of one size hide each other
    shifts = [step * (index - (len(trends) - 1) / 2) for index in range(len(trends))]
    for trend, by in zip(trends, shifts, strict=True):
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
    return _svg(parts, alt)


def _ends(trend: Trend) -> list[float]:
    """What must be in view: means and seeds, and intervals where they are not far wider than these."""
    seen = [*trend.y, *(value for _, value in trend.seeds)]
    room = max(seen) - min(seen)
    bars = [value + sign * half for value, half in zip(trend.y, trend.half, strict=True) if half for sign in (-1, 1)]
    return seen + [min(max(bar, min(seen) - room), max(seen) + room) for bar in bars]


def _svg(parts: Sequence[str], alt: str) -> Markup:
    head = f'<svg class="chart" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(alt)}">'
    return Markup(head + "".join(parts) + "</svg>")  # noqa: S704  (numbers, and words escaped where they are written)


def _frame(across: Scale, up: Scale, x: Axis, y: Axis) -> str:
    right, bottom = WIDTH - RIGHT, HEIGHT - BOTTOM
    parts = []
    for value in up.marks:
        at = up(value)
        parts.append(f'<path class="grid" d="M{LEFT} {at:.1f}H{right}"/>')
        parts.append(f'<text class="tick" x="{LEFT - 6}" y="{at + 3.5:.1f}" text-anchor="end">{_tick(value)}</text>')
    for value in across.marks:
        text = f'x="{across(value):.1f}" y="{bottom + 14}" text-anchor="middle"'
        parts.append(f'<text class="tick" {text}>{_tick(value)}</text>')
    parts.append(f'<path class="axis" d="M{LEFT} {bottom}H{right}"/>')
    middle, centre = (LEFT + right) / 2, (TOP + bottom) / 2
    parts.append(f'<text class="label" x="{middle}" y="{HEIGHT - 6}" text-anchor="middle">{escape(x.label)}</text>')
    turned = f'x="11" y="{centre}" text-anchor="middle" transform="rotate(-90 11 {centre})"'
    return "".join([*parts, f'<text class="label" {turned}>{escape(y.label)}</text>'])


def _tick(value: float) -> str:
    text = f"{value:.6g}"
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e4, "k")):
        if abs(value) >= size:
            text = f"{value / (1e3 if letter == 'k' else size):.6g}{letter}"
            break
    return text.replace("-", "−")


def _equal_sums(across: Scale, up: Scale, places: Sequence[tuple[float, float]]) -> str:
    """Lines x + y = constant within the frame, at the foot of each −(x + y): all points of one are equally good.

    places: of the marks, which a number at a line's foot leaves free.
    """
    parts = []
    for total in ticks(across.low + up.low, across.high + up.high, 9):
        x1, x2 = max(across.low, total - up.high), min(across.high, total - up.low)
        if x2 - x1 > 0.02 * (across.high - across.low):
            end = across(x2), up(total - x2)
            parts.append(f'<path class="sum" d="M{across(x1):.1f} {up(total - x1):.1f}L{end[0]:.1f} {end[1]:.1f}"/>')
            if all(abs(px - end[0] + 14) > 28 or abs(py - end[1] + 7) > 14 for px, py in places):
                text = f'x="{end[0] - 4:.1f}" y="{end[1] - 4:.1f}" text-anchor="end"'
                parts.append(f'<text class="tick sum" {text}>{_tick(-total)}</text>')
    return "".join(parts)


def _dots(seeds: Sequence[tuple[float, float]], colour: int, across: Scale, up: Scale, by: float = 0) -> str:
    path = "".join(f"M{across(x) + by:.0f} {up(y):.0f}h0" for x, y in seeds)
    return f'<path class="dots k{colour}" d="{path}"/>' if path else ""


def _mark(mark: Mark, x: float, y: float, on_front: bool) -> str:
    """A shape, ringed where it is on the front."""
    ring = f'<circle class="ring" cx="{x:.1f}" cy="{y:.1f}" r="7.5"/>' if on_front else ""
    title = f"<title>{escape(mark.name)}</title>"
    return f'{ring}<path class="mark k{mark.colour}" d="{shape_path(mark.shape, x, y)}">{title}</path>'


def _texts(marks: Sequence[Mark], places: Sequence[tuple[float, float]]) -> list[str]:
    """The marks' texts, each at a side where nothing else is; none where all sides are taken."""
    taken = [(x - 7, y - 7, x + 7, y + 7) for x, y in places]
    parts = []
    for mark, (x, y) in zip(marks, places, strict=True):
        width = 7 * len(mark.text)
        for left, top in ((x + 9, y - 6), (x - 9 - width, y - 6), (x - width / 2, y - 20), (x - width / 2, y + 9)):
            box = (left, top, left + width, top + 11)
            if mark.text and box[2] < WIDTH and box[0] > LEFT and not any(_overlap(box, other) for other in taken):
                taken.append(box)
                parts.append(f'<text class="tick" x="{left:.1f}" y="{top + 9.5:.1f}">{escape(mark.text)}</text>')
                break
    return parts


def _overlap(a: tuple[float, ...], b: tuple[float, ...]) -> bool:
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
