"""How many digits of a number are shown: two of its uncertainty."""

import math
import statistics

from .values import Value


def decimals_of(values: list[Value]) -> int:
    """How many decimals to show: two digits of the median half-width; without one, four of the largest mean."""
    summaries = [value.summary for value in values if value.summary]
    halves = [_magnitude(s.half_width) for s in summaries if s.half_width]
    means = [_magnitude(s.mean) for s in summaries if s.mean]
    wanted = 1 - statistics.median_low(halves) if halves else (3 - max(means) if means else 0)
    return max(0, min(6, wanted))


def shown(number: float, decimals: int, exactly: bool = False) -> str:
    """A number with fixed decimals and a true minus sign; very small and very large ones with an exponent.

    exactly: very small ones too have these decimals, as somebody asked for.

    >>> shown(-105.31, 1), shown(0.00000012, 6), shown(0.0, 3), shown(0.0012, 2, exactly=True)
    ('−105.3', '1.2e−07', '0.000', '0.00')
    """
    text = f"{number:.{decimals}f}"
    if abs(number) >= 1e7 or (number != 0 and float(text) == 0 and not exactly):
        text = f"{number:.2g}"
    return text.replace("-", "−")


def _magnitude(value: float) -> int:
    return math.floor(math.log10(abs(value)))
