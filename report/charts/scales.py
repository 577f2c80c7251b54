"""Axes of charts: ticks at round numbers, linear and logarithmic scales, and their view."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from .model import Axis, Line, Pair

TINY = 1e-305  #: logarithmic axes end here and at 1 / TINY


@dataclass(frozen=True)
class Scale:
    """Maps values to pixels: `low` lies at `start` and `high` at `end`."""

    low: float
    high: float
    start: float
    end: float
    log: bool = False
    marks: tuple[float, ...] = ()  #: values of the ticks

    def __call__(self, value: float) -> float:
        low, high, at = (math.log10(v) if self.log else v for v in (self.low, self.high, value))
        return self.start + (self.end - self.start) * (at - low) / (high - low)


def scale(values: Sequence[float], axis: Axis, start: float, end: float, room: float = 0.06) -> Scale:
    """A scale with `room` at both ends, as a share of the span. Values of a logarithmic axis must be positive."""
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


def ticks(low: float, high: float, most: int, whole: bool = False) -> list[float]:
    """At most `most` round numbers within [low, high]: steps of 1, 2 or 5 times a power of ten.

    whole: integers only (epochs), of which there may be one.

    >>> ticks(0, 10, 6)
    [0.0, 2.0, 4.0, 6.0, 8.0, 10.0]
    """
    raw = (high - low) / max(1, most - 1)
    raw = max(raw, 1.0) if whole else raw
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(power * m for m in (1, 2, 5, 10, 20) if (high - low) / (power * m) <= most - 1 + 1e-9)
    first = math.ceil(low / step - 1e-9)
    return [round(k * step, 12) for k in range(first, math.floor(high / step + 1e-9) + 1)]


def log_ticks(low: float, high: float) -> list[float]:
    """Powers of ten; also 2 and 5 times them where fewer than three fit.

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


def format_tick(value: float) -> str:
    """A number at an axis: few digits, k, M and G, a minus sign (U+2212).

    >>> format_tick(-0.25), format_tick(250000)
    ('−0.25', '250k')
    """
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e4, "k")):
        if abs(value) >= size:
            return f"{value / (1e3 if letter == 'k' else size):.6g}{letter}".replace("-", "−")
    return f"{value:.6g}".replace("-", "−")


def line_view(lines: Sequence[Line]) -> tuple[Pair, Pair]:
    """The x and y range of curves: y of all but the first tenth of the epochs, which would flatten the rest.

    Intervals are within the view unless they are far wider than the means.
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


def equal_sums(across: Scale, up: Scale) -> list[tuple[float, Pair, Pair]]:
    """Lines x + y = total within the view: the total, and both ends in values, the lower one last."""
    found = []
    for total in ticks(across.low + up.low, across.high + up.high, 9):
        x1, x2 = max(across.low, total - up.high), min(across.high, total - up.low)
        if x2 - x1 > 0.02 * (across.high - across.low):
            found.append((total, (x1, total - x1), (x2, total - x2)))
    return found
