"""The contents of charts: the site renders them as SVG, and Matplotlib as figures for papers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

Pair = tuple[float, float]
MOST_SEEDS = 400  #: dots of seeds in one drawing of points; more would hide the means


@dataclass(frozen=True)
class Who:
    """A configuration without its data, latent size and seed: an entry of a legend."""

    label: str = ""
    net: str = ""
    likelihood: str = ""
    setting: str = ""

    @classmethod
    def at(cls, coordinates: Mapping[str, Any]) -> "Who":
        """The configuration at a group's or value's coordinates."""
        return cls(*(str(coordinates.get(name) or "") for name in ("label", "net", "likelihood", "setting")))


@dataclass(frozen=True)
class Axis:
    """The label of an axis, whether it is logarithmic, and its ticks where `at` fixes them."""

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
    """Marks; those `on_front` are joined by a line in this order. `sums`: draws lines of equal x + y."""

    marks: tuple[Mark, ...]
    on_front: tuple[int, ...]
    x: Axis
    y: Axis
    alt: str
    sums: bool = False

    @property
    def seeds(self) -> list[Pair]:
        """The dots of all seeds; none where so many would hide the means."""
        dots = [seed for mark in self.marks for seed in mark.seeds]
        return dots if len(dots) <= MOST_SEEDS else []

    @property
    def view(self) -> tuple[list[float], list[float]]:
        """x and y values that lie in the view."""
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
        """x and y values that lie in the view."""
        return [x for trend in self.trends for x in trend.x], [end for trend in self.trends for end in _ends(trend)]


Drawing = LineChart | PointChart | TrendChart


def _ends(trend: Trend) -> list[float]:
    """Means and seeds, and the ends of intervals, cut where they are far wider than these."""
    seen = [*trend.y, *(value for _, value in trend.seeds)]
    room = max(seen) - min(seen)
    bars = [value + sign * half for value, half in zip(trend.y, trend.half, strict=True) if half for sign in (-1, 1)]
    return seen + [min(max(bar, min(seen) - room), max(seen) + room) for bar in bars]
