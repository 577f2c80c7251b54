"""One check of a claim: the values of its sides over the seeds → an effect, its interval and a verdict.

The sides share their seeds, so everything is paired. One rule holds in every form: `supported` where the whole 95 %
interval lies on the claimed side, `contradicted` where it lies wholly on the other, otherwise `not supported`. So a
wrong verdict has a probability of at most 2.5 % (two-sided forms: 5 %) for normal differences. With fewer than three
pairs nothing is decided, nor with fewer than six trained ones that are all alike: a count has often no spread.
What the interval is of:

- one side against another or a number, and `at_least`, `at_most` without `in`: the mean difference (paired t);
- a ratio: the mean logarithm of the seeds' ratios;
- `same_as`, `near`: the difference to each end of the margin; a relative margin moves with the reference of each seed;
- `increasing_in`, `decreasing_in`: every step from one level to the next. All must lie on the claimed side; a step, or
  Page's trend test, on the other side contradicts the claim (Bonferroni over these);
- `at_least ... in q`: the share of seeds that meet the bound (Clopper and Pearson). Six of six seeds show a share of
  0.54, ten of ten 0.69. No number of seeds shows that every seed meets a bound: `in: 1` can only be contradicted. A
  trend of the means whose `in` is not shown is supported in part.

A claim with m alternatives asks each of them at the level 1 − 0.05 / m.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from itertools import pairwise

from bench.results.stats import FEWEST_SEEDS, Difference, Seeds, page, paired_t, share_interval, summarise
from bench.suite.expectations import FRACTIONS, Expect

SUPPORTED, PART, NOT_SUPPORTED = "supported", "supported in part", "not supported"
CONTRADICTED, UNDER_SPECIFIED, NOT_RUN = "contradicted", "under-specified", "not run"
VERDICTS = (SUPPORTED, PART, NOT_SUPPORTED, CONTRADICTED, UNDER_SPECIFIED, NOT_RUN)

ALPHA = 0.05  #: two-sided
WORDS = {"less_than": "below", "greater_than": "above", "at_least": "at least", "at_most": "at most"}
SIGNS = {"less_than": -1, "at_most": -1, "greater_than": 1, "at_least": 1}  #: the claimed side


@dataclass(frozen=True)
class Outcome:
    """The result of a check. `effect` and `interval` are in the metric's unit unless `scale` says otherwise."""

    verdict: str
    because: str
    effect: float | None = None
    interval: tuple[float, float] | None = None
    p: float | None = None  #: two-sided, not corrected for alternatives
    n: int = 0
    in_direction: int = 0
    test: str = ""
    scale: str = "difference"  #: difference | ratio | fraction
    seeds: dict[int, float] = field(default_factory=dict)  #: seed -> its own difference, ratio or value
    borders: tuple[float, ...] = (0.0,)  #: where among `seeds` the claimed side begins
    level: float = 0.95  #: of the interval


def decide(
    expect: Expect, first: Seeds, second: Seeds | None = None, alpha: float = ALPHA, exact: bool = False
) -> Outcome:
    """The outcome of a form that is no trend. first, second: seed -> value. Raises `ValueError` on no shared seed.

    exact: all values are of closed forms, so that values without any spread are certain.
    """
    paired = _Paired(alpha, exact)
    if expect.form in FRACTIONS and expect.share is not None:
        return _require_min_seeds(_decide_share(expect, first, expect.share, alpha))
    if expect.ratio:
        assert second is not None
        return _require_min_seeds(_decide_ratio(expect, first, second, paired), paired)
    other = dict.fromkeys(first, expect.target) if second is None else second
    shared = sorted(first.keys() & other.keys())
    a, b = {s: float(first[s]) for s in shared}, {s: float(other[s] or 0) for s in shared}
    decided = _decide_equivalence if expect.form in ("near", "same_as") else _decide_direction
    return _require_min_seeds(decided(expect, a, b, paired), paired)


def decide_trend(
    expect: Expect, levels: Mapping[str, Seeds], alpha: float = ALPHA, exact: bool = False
) -> Outcome:
    """The outcome of a trend over ordered levels (name -> seed -> value). The effect is the last minus the first.

    Raises `ValueError` where the levels share no seed.
    """
    shared = sorted(set.intersection(*map(set, levels.values())))
    if not shared:
        raise ValueError("the levels share no seed")
    sign = 1 if expect.form == "increasing_in" else -1
    steps = {f"{a} to {b}": {s: levels[b][s] - levels[a][s] for s in shared} for a, b in pairwise(levels)}
    paired = _Paired(alpha, exact)
    tests = {name: paired.against_zero(gains) for name, gains in steps.items()}
    totals = {s: sum(gains[s] for gains in steps.values()) for s in shared}
    ends, n = paired.against_zero(totals), len(shared)
    strict = sum(all(sign * gains[s] > 0 for gains in steps.values()) for s in shared)
    unshown = [name for name, test in tests.items() if _side(test.interval, 0.0, sign) != SUPPORTED]
    lacking = expect.share is not None and share_interval(strict, n, 1 - alpha)[0] < expect.share
    blocks = [[values[s] for values in levels.values()] for s in shared]
    if not unshown:
        verdict = PART if lacking else SUPPORTED
    else:
        verdict = CONTRADICTED if _p_against(blocks, list(tests.values()), sign) < alpha / 2 else NOT_SUPPORTED
    because = f"{len(steps) - len(unshown)} of {len(steps)} steps are {expect.form.removesuffix('_in')}"
    because += f" (not shown: {', '.join(unshown)})" * bool(unshown) + f"; strictly monotone in {strict} of {n} seeds"
    if lacking and expect.share is not None:
        because += f", claimed in {number(expect.share)} of them; {_seeds_needed(expect.share, alpha)}"
    p = min(1.0, 2 * max(test.p_above(sign) for test in tests.values()))
    return _require_min_seeds(Outcome(verdict, because, ends.mean, ends.interval, p, n, strict,
                                      "paired t of every step, Page's trend test", seeds=totals), paired)  # fmt: skip


@dataclass(frozen=True)
class _Paired:
    """The paired t-test of a claim at the level 1 − alpha.

    Without any spread the interval of t is a point. Counts of trained models, such as active units, often agree over a
    few seeds, so there is no interval and no p below `fewest_alike` seeds, unless the values are exact.
    """

    alpha: float
    exact: bool

    @property
    def fewest_alike(self) -> int:
        """The fewest seeds on one side of a border whose sign test has a p of at most alpha: 2 · 0.5ⁿ ≤ alpha."""
        return math.ceil(math.log2(2 / self.alpha))

    def __call__(self, a: Seeds, b: Seeds) -> Difference:
        found = paired_t(a, b, 1 - self.alpha)
        by_chance = found.half_width == 0 and not self.exact and found.n < self.fewest_alike
        return replace(found, half_width=None, p=None, reason="no spread") if by_chance else found

    def against_zero(self, values: Seeds) -> Difference:
        return self(values, dict.fromkeys(values, 0.0))


def _p_against(blocks: list[list[float]], steps: list[Difference], sign: int) -> float:
    """One-sided p of any step, or the whole trend, going the other way: Bonferroni over the steps and Page's test."""
    if len(blocks) < FEWEST_SEEDS:
        return 1.0
    overall = page(blocks)
    ps = [overall.p_decreasing if sign > 0 else overall.p_increasing, *(step.p_above(-sign) for step in steps)]
    return len(ps) * min(ps)


def _decide_direction(expect: Expect, a: Seeds, b: Seeds, paired: _Paired) -> Outcome:
    found = paired(a, b)
    differences = {seed: a[seed] - b[seed] for seed in a}
    sign = SIGNS.get(expect.form) or (1 if found.mean > 0 else -1)
    verdict = _side(found.interval, 0.0, sign, inclusive=expect.form in FRACTIONS)
    if expect.form == "different_from" and verdict == CONTRADICTED:
        verdict = NOT_SUPPORTED
    agreeing = sum(sign * d > 0 or (d == 0 and expect.form in FRACTIONS) for d in differences.values())
    against = f"against {number(summarise(list(b.values())).mean)}" if expect.second else f"claimed {_claimed(expect)}"
    because = f"mean {number(summarise(list(a.values())).mean)} {against}"
    direction = "so" if expect.form in FRACTIONS else "higher" if sign > 0 else "lower"
    because += f"; {direction} in {agreeing} of {found.n} seeds"
    test = "paired t" if expect.second else "one-sample t"
    return Outcome(verdict, because, found.mean, found.interval, found.p, found.n, agreeing, test, seeds=differences)


def _decide_ratio(expect: Expect, first: Seeds, second: Seeds, paired: _Paired) -> Outcome:
    """The interval is of the mean logarithm of the seeds' ratios, so the effect is their geometric mean."""
    shared = sorted(first.keys() & second.keys())
    assert expect.target is not None
    if any(first[s] <= 0 or second[s] <= 0 for s in shared) or expect.target <= 0:
        return Outcome(NOT_RUN, "a ratio needs numbers above 0", n=len(shared), scale="ratio", borders=())
    logs = {s: math.log(first[s] / second[s]) for s in shared}
    found = paired(logs, dict.fromkeys(shared, math.log(expect.target)))
    sign, interval = SIGNS[expect.form], found.interval
    ratios = {s: math.exp(value) for s, value in logs.items()}
    agreeing = sum(sign * (value - expect.target) > 0 for value in ratios.values())
    effect = expect.target * math.exp(found.mean)
    scaled = None if interval is None else (expect.target * _exp(interval[0]), expect.target * _exp(interval[1]))
    because = f"{number(effect)} times, claimed {_claimed(expect)}; so in {agreeing} of {found.n} seeds"
    return Outcome(_side(interval, 0.0, sign), because, effect, scaled, found.p, found.n, agreeing,
                   "paired t of log ratios", "ratio", ratios, (expect.target,))  # fmt: skip


def _decide_equivalence(expect: Expect, a: Seeds, b: Seeds, paired: _Paired) -> Outcome:
    """Two one-sided tests (Schuirmann 1987), each at alpha / 2: the difference is above −margin and below margin."""
    reference = summarise(list(b.values())).mean
    relative = math.copysign(expect.relative or 0.0, reference)
    margins = {s: relative * b[s] if expect.absolute is None else expect.absolute for s in b}
    margin = summarise(list(margins.values())).mean
    found = paired(a, b)
    below = paired(a, {s: b[s] + margins[s] for s in b})
    above = paired(a, {s: b[s] - margins[s] for s in b})
    sides = _side(below.interval, 0.0, -1), _side(above.interval, 0.0, 1)
    verdict = CONTRADICTED if CONTRADICTED in sides else NOT_SUPPORTED if NOT_SUPPORTED in sides else SUPPORTED
    p = None if found.p is None else min(1.0, 2 * max(below.p_above(-1), above.p_above(1)))
    differences = {seed: a[seed] - b[seed] for seed in a}
    inside = sum(abs(d) < margins[s] for s, d in differences.items())
    because = f"mean {number(reference + found.mean)} against {number(reference)}, margin ±{number(margin)}"
    test = "two one-sided paired t" if expect.second else "two one-sided t"
    return Outcome(verdict, f"{because}; within it in {inside} of {found.n} seeds", found.mean, found.interval, p,
                   found.n, inside, test, seeds=differences, borders=(-margin, margin))  # fmt: skip


def _decide_share(expect: Expect, values: Seeds, share: float, alpha: float) -> Outcome:
    """The share of seeds that meet the bound, with its exact interval. Raises `ValueError` without seeds."""
    if not values:
        raise ValueError("no seeds")
    assert expect.target is not None
    sign = SIGNS[expect.form]
    meeting, n = sum(sign * (value - expect.target) >= 0 for value in values.values()), len(values)
    interval = share_interval(meeting, n, 1 - alpha)
    verdict = _side(interval, share, 1, inclusive=True)
    mean = number(summarise(list(values.values())).mean)
    because = f"{_claimed(expect)} in {meeting} of {n} seeds, claimed in {number(share)} of them; mean {mean}"
    if verdict == NOT_SUPPORTED and meeting == n:
        because += f"; {_seeds_needed(share, alpha)}"
    return Outcome(verdict, because, meeting / n, interval, None, n, meeting, "exact interval of a share", "fraction",
                   dict(values), (expect.target,))  # fmt: skip


def _seeds_needed(share: float, alpha: float) -> str:
    """How many seeds, all of which agree, show a share."""
    if share >= 1:
        return "no number of seeds shows that every seed does"
    return f"at least {math.ceil(math.log(alpha / 2, share))} seeds are needed to show a share of {number(share)}"


def _require_min_seeds(outcome: Outcome, paired: _Paired | None = None) -> Outcome:
    """Nothing is decided with fewer than three pairs; of more that are all alike it is said why nothing is."""
    if outcome.verdict == NOT_RUN:
        return outcome
    if outcome.n >= FEWEST_SEEDS:
        if paired is None or outcome.interval is not None or outcome.verdict != NOT_SUPPORTED:
            return outcome
        few = f"all {outcome.n} seeds give the same value; fewer than {paired.fewest_alike} may agree by chance"
        return replace(outcome, because=f"{few}; {outcome.because}")
    because = f"n too small: {outcome.n} seeds, a verdict needs {FEWEST_SEEDS}; {outcome.because}"
    return replace(outcome, verdict=NOT_SUPPORTED, because=because, p=None)


def _side(interval: tuple[float, float] | None, border: float, sign: int, *, inclusive: bool = False) -> str:
    """The verdict of an interval where the claimed side begins at `border` and goes in the direction of `sign`."""
    if interval is None:
        return NOT_SUPPORTED
    near, far = (interval[0], interval[1]) if sign > 0 else (-interval[1], -interval[0])
    if near > sign * border or (inclusive and near == sign * border):
        return SUPPORTED
    return CONTRADICTED if far < sign * border else NOT_SUPPORTED


def _exp(value: float) -> float:
    """The exponential, limited to what a float holds: two pairs can have an interval that wide."""
    return math.exp(max(-600.0, min(600.0, value)))


def _claimed(expect: Expect) -> str:
    return f"{WORDS.get(expect.form, 'other than')} {number(expect.target or 0.0)}"


def number(value: float) -> str:
    """Four significant digits and a true minus sign.

    >>> number(-0.00123456), number(105.0)
    ('−0.001235', '105')
    """
    return f"{value:.4g}".replace("-", "−")
