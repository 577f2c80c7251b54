"""One check of a claim: the numbers of its sides over the seeds → an effect, its interval and a verdict.

Seeds are shared by the sides, so everything is paired. The rule is the same in every form: `supported` where the
whole 95 % interval lies on the side that was claimed, `contradicted` where it lies wholly on the other, `not
supported` where it reaches over. Equivalence is the exception that Schuirmann's two one-sided tests make of it
(p < 0.05, that is, the 90 % interval within the margin). Under three pairs nothing is ever supported.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from itertools import pairwise

from bench.suite.expectations import FRACTIONS, Expect
from bench.results.stats import FEWEST_SEEDS, Difference, Seeds, page, paired_t, summarise, tost, wilson

SUPPORTED, PART, NOT_SUPPORTED = "supported", "supported in part", "not supported"
CONTRADICTED, UNDER_SPECIFIED, NOT_RUN = "contradicted", "under-specified", "not run"
VERDICTS = (SUPPORTED, PART, NOT_SUPPORTED, CONTRADICTED, UNDER_SPECIFIED, NOT_RUN)

ALPHA = 0.05
ROUNDED = 0.005  #: `in: 0.667` is also met by 4 of 6 seeds


@dataclass(frozen=True)
class Outcome:
    """What came out of a check. `effect` and `interval` are in the metric's unit, or say so in `scale`."""

    verdict: str
    because: str
    effect: float | None = None
    interval: tuple[float, float] | None = None
    p: float | None = None
    n: int = 0
    in_direction: int = 0
    test: str = ""
    scale: str = "difference"  #: difference | ratio | fraction
    seeds: dict[int, float] = field(default_factory=dict)  #: seed -> its own difference, ratio or value
    borders: tuple[float, ...] = (0.0,)  #: where among `seeds` the claimed side begins


def decide(expect: Expect, first: Seeds, second: Seeds | None = None) -> Outcome:
    """The outcome of a form that is no trend. first, second: seed -> value. Raises `ValueError` on no shared seed."""
    if expect.form in FRACTIONS:
        return _fraction(expect, first)
    if expect.ratio:
        assert second is not None
        return _told(_ratio(expect, first, second))
    other = dict.fromkeys(first, expect.target) if second is None else second
    shared = sorted(first.keys() & other.keys())
    a, b = {s: float(first[s]) for s in shared}, {s: float(other[s] or 0) for s in shared}
    if expect.form in ("near", "same_as"):
        return _told(_equivalence(expect, a, b))
    return _told(_direction(expect, a, b))


def decide_trend(expect: Expect, levels: Mapping[int, Seeds]) -> Outcome:
    """Page's test over the seeds that every level has; the effect is the last level less the first."""
    order = sorted(levels)
    shared = sorted(set.intersection(*(set(levels[level]) for level in order)))
    if not shared:
        raise ValueError("the levels share no seed")
    blocks = [[levels[level][seed] for level in order] for seed in shared]
    sign = 1 if expect.form == "increasing_in" else -1
    strict = sum(all(sign * (y - x) > 0 for x, y in pairwise(row)) for row in blocks)
    found, gains = page(blocks), {seed: row[-1] - row[0] for seed, row in zip(shared, blocks, strict=True)}
    ends = paired_t(gains, dict.fromkeys(gains, 0.0))
    claimed, other = (found.p_increasing, found.p_decreasing)[::sign]
    outcome = Outcome(
        _trend_verdict(expect, 2 * claimed, 2 * other, strict, found.n),
        f"L = {found.statistic:g} over {found.k} latent sizes; strictly monotone in {strict} of {found.n} seeds",
        ends.mean, _interval(ends), min(1.0, 2 * min(claimed, other)), found.n, strict, "Page's trend test",
        seeds=gains,
    )  # fmt: skip
    return _told(outcome)


def _trend_verdict(expect: Expect, claimed: float, other: float, strict: int, n: int) -> str:
    if claimed < ALPHA:
        return SUPPORTED if expect.share is None or strict / n >= expect.share - ROUNDED else PART
    return CONTRADICTED if other < ALPHA else NOT_SUPPORTED


def _direction(expect: Expect, a: Seeds, b: Seeds) -> Outcome:
    found = paired_t(a, b)
    low_high = _interval(found)
    differences = {seed: a[seed] - b[seed] for seed in a}
    sign = {"less_than": -1, "greater_than": 1}.get(expect.form) or (1 if found.mean > 0 else -1)
    verdict = _side(low_high, 0.0, sign)
    if expect.form == "different_from" and verdict == CONTRADICTED:
        verdict = NOT_SUPPORTED
    agreeing = sum(sign * d > 0 for d in differences.values())
    against = f"against {number(summarise(list(b.values())).mean)}" if expect.second else f"claimed {_claimed(expect)}"
    told = f"mean {number(summarise(list(a.values())).mean)} {against}"
    test = "paired t" if expect.second else "one-sample t"
    direction = f"; {'higher' if sign > 0 else 'lower'} in {agreeing} of {found.n} seeds"
    return Outcome(verdict, told + direction, found.mean, low_high, found.p, found.n, agreeing, test, seeds=differences)


def _ratio(expect: Expect, first: Seeds, second: Seeds) -> Outcome:
    """Ratios seed by seed; the interval is one of the mean logarithm, so the effect is their geometric mean."""
    shared = sorted(first.keys() & second.keys())
    assert expect.target is not None
    if any(first[s] <= 0 or second[s] <= 0 for s in shared) or expect.target <= 0:
        return Outcome(NOT_RUN, "a ratio needs numbers above 0", n=len(shared), scale="ratio", borders=())
    logs = {s: math.log(first[s] / second[s]) for s in shared}
    found = paired_t(logs, dict.fromkeys(shared, math.log(expect.target)))
    sign = -1 if expect.form == "less_than" else 1
    interval = _interval(found)
    ratios = {s: math.exp(value) for s, value in logs.items()}
    agreeing = sum(sign * (value - expect.target) > 0 for value in ratios.values())
    effect = expect.target * math.exp(found.mean)
    scaled = None if interval is None else (expect.target * _exp(interval[0]), expect.target * _exp(interval[1]))
    told = f"{number(effect)} times, claimed {_claimed(expect)}; so in {agreeing} of {found.n} seeds"
    return Outcome(_side(interval, 0.0, sign), told, effect, scaled, found.p, found.n, agreeing,
                   "paired t of log ratios", "ratio", ratios, (expect.target,))  # fmt: skip


def _equivalence(expect: Expect, a: Seeds, b: Seeds) -> Outcome:
    """The margin is relative to the reference's mean, which is taken as it is: its own spread is not added."""
    reference = summarise(list(b.values())).mean
    margin = expect.absolute if expect.absolute is not None else (expect.relative or 0.0) * abs(reference)
    found, tested = paired_t(a, b), tost(a, b, margin)
    interval = _interval(found)
    differences = {seed: a[seed] - b[seed] for seed in a}
    inside = sum(abs(d) < margin for d in differences.values())
    apart = interval is not None and (interval[0] > margin or interval[1] < -margin)
    verdict = SUPPORTED if tested.p is not None and tested.p < ALPHA else CONTRADICTED if apart else NOT_SUPPORTED
    told = f"mean {number(reference + found.mean)} against {number(reference)}, margin ±{number(margin)}"
    test = "two one-sided paired t" if expect.second else "two one-sided t"
    return Outcome(verdict, f"{told}; within it in {inside} of {found.n} seeds", found.mean, interval, tested.p,
                   found.n, inside, test, seeds=differences, borders=(-margin, margin))  # fmt: skip


def _fraction(expect: Expect, values: Seeds) -> Outcome:
    """The share of seeds that meet the bound, as it is, with Wilson's interval beside it."""
    if not values:
        raise ValueError("no seeds")
    assert expect.target is not None
    assert expect.share is not None
    sign = 1 if expect.form == "at_least" else -1
    meeting, n = sum(sign * (value - expect.target) >= 0 for value in values.values()), len(values)
    interval = wilson(meeting, n)
    if meeting / n >= expect.share - ROUNDED:
        verdict = SUPPORTED
    else:
        verdict = CONTRADICTED if interval[1] < expect.share - ROUNDED else NOT_SUPPORTED
    mean = number(summarise(list(values.values())).mean)
    told = f"{_claimed(expect)} in {meeting} of {n} seeds, claimed in {number(expect.share)} of them; mean {mean}"
    return _told(Outcome(verdict, told, meeting / n, interval, None, n, meeting, "count of seeds", "fraction",
                         dict(values), (expect.target,)))  # fmt: skip


def _told(outcome: Outcome) -> Outcome:
    """Under three pairs nothing is decided."""
    if outcome.n >= FEWEST_SEEDS or outcome.verdict == NOT_RUN:
        return outcome
    told = f"n too small: {outcome.n} of the {FEWEST_SEEDS} seeds that a verdict needs at least; {outcome.because}"
    return replace(outcome, verdict=NOT_SUPPORTED, because=told, p=None)


def _side(interval: tuple[float, float] | None, border: float, sign: int) -> str:
    """Where an interval lies to a border, if `sign` is the claimed side of it."""
    if interval is None:
        return NOT_SUPPORTED
    near, far = (interval[0], interval[1]) if sign > 0 else (-interval[1], -interval[0])
    if near > sign * border:
        return SUPPORTED
    return CONTRADICTED if far < sign * border else NOT_SUPPORTED


def _exp(value: float) -> float:
    """The exponential, short of what a float cannot hold: two pairs can have an interval as wide as that."""
    return math.exp(max(-600.0, min(600.0, value)))


def _interval(found: Difference) -> tuple[float, float] | None:
    return None if found.half_width is None else (found.mean - found.half_width, found.mean + found.half_width)


def _claimed(expect: Expect) -> str:
    words = {"less_than": "below", "greater_than": "above", "at_least": "at least", "at_most": "at most"}
    return f"{words.get(expect.form, 'other than')} {number(expect.target or 0.0)}"


def number(value: float) -> str:
    """Four significant digits and a true minus sign.

    >>> number(-0.00123456), number(105.0)
    ('−0.001235', '105')
    """
    return f"{value:.4g}".replace("-", "−")
