"""What a drawing shows, apart from how it is drawn: the site's charts and the figures for papers take the same objects.

Lines over epochs, configurations as points, a metric over the latent size; and what of each must be in view.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

Pair = tuple[float, float]
MOST_SEEDS = 400  #: dots of seeds in one drawing of points; more would hide the means


@dataclass(frozen=True)
class Who:
    """A configuration apart from its data, latent size and seed: what an entry of a legend stands for."""

    label: str = ""
    net: str = ""
    likelihood: str = ""
    setting: str = ""

    @classmethod
    def at(cls, coordinates: Mapping[str, Any]) -> "Who":
        """Of a group's or value's coordinates."""
        return cls(*(str(coordinates.get(name) or "") for name in ("label", "net", "likelihood", "setting")))


@dataclass(frozen=True)
class Axis:
    """What an axis is called, and whether it is logarithmic; `at` fixes its ticks."""

    label: str
    log: bool = False
    at: tuple[float, ...] = ()


@dataclass(frozen=True)
class Line:
    """y over x, with an interval where `low` and `high` are given. `style`: "", "dashed" or "train"."""

    name: str
    colour: int
    x: Sequence[float]
    y: Sequence[float]
    low: Sequence[float] = field(default=())
    high: Sequence[float] = field(default=())
    style: str = ""
    who: Who = field(default=Who())


@dataclass(frozen=True)
class LineChart:
    """Curves over a common axis."""

    lines: tuple[Line, ...]
    x: str
    y: str
    alt: str


@dataclass(frozen=True)
class Mark:
    """A configuration: its means, a short text beside it, its seeds."""

    name: str
    colour: int
    x: float
    y: float
    shape: str = "round"
    text: str = ""
    seeds: tuple[Pair, ...] = ()
    who: Who = field(default=Who())


@dataclass(frozen=True)
class PointChart:
    """Marks, those `on_front` joined by a line in this order. `sums`: lines of equal x + y, of equal bound."""

    marks: tuple[Mark, ...]
    on_front: tuple[int, ...]
    x: Axis
    y: Axis
    alt: str
    sums: bool = False

    @property
    def seeds(self) -> list[Pair]:
        """Every seed's dot; none where they would hide the means."""
        dots = [seed for mark in self.marks for seed in mark.seeds]
        return dots if len(dots) <= MOST_SEEDS else []

    @property
    def view(self) -> tuple[list[float], list[float]]:
        """x and y values that must be in view."""
        seen = [(mark.x, mark.y) for mark in self.marks] + self.seeds
        return [x for x, _ in seen], [y for _, y in seen]


@dataclass(frozen=True)
class Trend:
    """A configuration over x: mean and half-width at each, and every seed as a dot."""

    name: str
    colour: int
    x: tuple[float, ...]
    y: tuple[float, ...]
    half: tuple[float | None, ...] = ()
    seeds: tuple[Pair, ...] = ()
    style: str = ""
    who: Who = field(default=Who())


@dataclass(frozen=True)
class TrendChart:
    """A line a configuration, its interval as a bar at each x, its seeds as dots."""

    trends: tuple[Trend, ...]
    x: Axis
    y: Axis
    alt: str

    @property
    def view(self) -> tuple[list[float], list[float]]:
        """x and y values that must be in view."""
        return [x for trend in self.trends for x in trend.x], [end for trend in self.trends for end in _ends(trend)]


Drawing = LineChart | PointChart | TrendChart


def line_view(lines: Sequence[Line]) -> tuple[Pair, Pair]:
    """The x and the y range of curves, leaving out first epochs that would flatten all the rest.

    y: of all but the first tenth of the epochs, bands included where they are not far wider.
    """
    kept = [y for line in lines for y in list(line.y)[math.ceil(0.1 * len(line.y)) if len(line.y) > 4 else 0 :]]
    low, high = min(kept), max(kept)
    room = 0.5 * (high - low)
    bands = [y for line in lines for y in (*list(line.low)[1:], *list(line.high)[1:])]
    y_range = max(low - room, min([low, *bands])), min(high + room, max([high, *bands]))
    x_range = min(min(line.x) for line in lines), max(max(line.x) for line in lines)
    return _padded(*x_range, 0), _padded(*y_range, 0.06)


def _padded(low: float, high: float, share: float) -> Pair:
    span = high - low or abs(high) or 1.0
    low, high = (low - span / 2, high + span / 2) if low == high else (low, high)
    return low - share * span, high + share * span


def _ends(trend: Trend) -> list[float]:
    """What must be in view: means and seeds, and intervals where they are not far wider than these."""
    seen = [*trend.y, *(value for _, value in trend.seeds)]
    room = max(seen) - min(seen)
    bars = [value + sign * half for value, half in zip(trend.y, trend.half, strict=True) if half for sign in (-1, 1)]
    return seen + [min(max(bar, min(seen) - room), max(seen) + room) for bar in bars]


def ticks(low: float, high: float, most: int, whole: bool = False) -> list[float]:
    """At most `most` round numbers within [low, high]: steps of 1, 2 or 5 times a power of ten.

    `whole` keeps to whole numbers (epochs), which then may be a single one.

    >>> ticks(0, 10, 6)
    [0.0, 2.0, 4.0, 6.0, 8.0, 10.0]
    """
    raw = (high - low) / max(1, most - 1)
    raw = max(raw, 1.0) if whole else raw
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(power * m for m in (1, 2, 5, 10, 20) if (high - low) / (power * m) <= most - 1 + 1e-9)
    first = math.ceil(low / step - 1e-9)
    return [round(k * step, 12) for k in range(first, math.floor(high / step + 1e-9) + 1)]
