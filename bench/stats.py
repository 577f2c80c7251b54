"""Intervals, tests and corrections over training seeds: what is replicated is the seed, never the test image.

Why t and not the bootstrap: with three to five values the percentile bootstrap's 95 % interval covers about
80 %, the t-interval 95 % (`tests/test_stats.py` simulates it). Why paired: the variants of a suite share
their seeds (split, order, initial streams), so a difference is measured better over shared seeds.

Sources: Student 1908 (t); Welch 1947, "The generalization of Student's problem" (unequal variances, with the
Satterthwaite degrees of freedom); Holm 1979, "A simple sequentially rejective multiple test procedure".
"""

import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev
from typing import TypeVar

from scipy.special import stdtr, stdtrit

#: With fewer seeds than this nothing is called best and no p-value is given.
FEWEST_SEEDS = 3

Key = TypeVar("Key", bound=Hashable)
Seeds = Mapping[int, float]  #: training seed -> value


@dataclass(frozen=True)
class Summary:
    """Mean of n values with the half-width of its t-interval; both spreads are None where n < 2."""

    n: int
    mean: float
    half_width: float | None
    std: float | None  #: sample standard deviation, n − 1 in the denominator


@dataclass(frozen=True)
class Difference:
    """Mean of a minus mean of b, its t-interval and two-sided p; `reason` says why p is None."""

    mean: float
    half_width: float | None
    p: float | None
    n: int  #: pairs, or the smaller of the two groups
    test: str  #: "paired t" or "Welch t"
    reason: str = ""


def summarise(values: Sequence[float], level: float = 0.95) -> Summary:
    """Mean and t-interval of a sample. Raises `ValueError` on an empty one.

    >>> summarise([1.0, 2.0, 3.0])
    Summary(n=3, mean=2.0, half_width=2.4841377117503303, std=1.0)
    >>> summarise([4.0]).half_width is None
    True
    """
    if not values:
        raise ValueError("a mean of no values")
    n, mean = len(values), fmean(values)
    if n < 2:
        return Summary(n, mean, None, None)
    std = stdev(values)
    return Summary(n, mean, _quantile(n - 1, level) * std / math.sqrt(n), std)


def paired_t(a: Seeds, b: Seeds, level: float = 0.95) -> Difference:
    """a − b over the seeds that both have. Raises `ValueError` where they share none."""
    differences = [a[seed] - b[seed] for seed in sorted(a.keys() & b.keys())]
    summary = summarise(differences, level)
    if summary.n < FEWEST_SEEDS or summary.std is None:
        return Difference(summary.mean, summary.half_width, None, summary.n, "paired t", "n too small")
    p = _two_sided(summary.mean, summary.std / math.sqrt(summary.n), summary.n - 1)
    return Difference(summary.mean, summary.half_width, p, summary.n, "paired t")


def welch_t(a: Sequence[float], b: Sequence[float], level: float = 0.95) -> Difference:
    """mean(a) − mean(b) for independent samples of unequal variance. Raises `ValueError` on an empty one."""
    one, two = summarise(a, level), summarise(b, level)
    mean, n = one.mean - two.mean, min(one.n, two.n)
    if n < FEWEST_SEEDS or one.std is None or two.std is None:
        return Difference(mean, None, None, n, "Welch t", "n too small")
    u, v = one.std**2 / one.n, two.std**2 / two.n
    error = math.sqrt(u + v)
    freedom = (u + v) ** 2 / (u**2 / (one.n - 1) + v**2 / (two.n - 1)) if u + v > 0 else one.n + two.n - 2
    return Difference(mean, _quantile(freedom, level) * error, _two_sided(mean, error, freedom), n, "Welch t")


def difference(a: Seeds, b: Seeds, level: float = 0.95) -> Difference:
    """Paired where at least three seeds are shared, Welch elsewhere."""
    if len(a.keys() & b.keys()) >= FEWEST_SEEDS:
        return paired_t(a, b, level)
    return welch_t(list(a.values()), list(b.values()), level)


def holm(ps: Sequence[float]) -> list[float]:
    """Holm's adjusted p-values, in the order given.

    >>> holm([0.01, 0.04, 0.03])
    [0.03, 0.06, 0.06]
    """
    order = sorted(range(len(ps)), key=ps.__getitem__)
    adjusted, running = [0.0] * len(ps), 0.0
    for rank, index in enumerate(order):
        running = max(running, min(1.0, (len(ps) - rank) * ps[index]))
        adjusted[index] = running
    return adjusted


def best(groups: Mapping[Key, Seeds], better: str, alpha: float = 0.05) -> set[Key]:
    """The group of best mean and all that cannot be told from it; empty where nothing is to be chosen from.

    Groups under three seeds take no part. Each other group is tested against the best, the p-values are
    corrected after Holm, and a group whose corrected p is above `alpha` shares the first place. `better` is
    "lower", "higher" or "none" (no direction: no best).
    """
    able = {key: seeds for key, seeds in groups.items() if len(seeds) >= FEWEST_SEEDS}
    if len(able) < 2 or better not in ("lower", "higher"):
        return set()
    choose = min if better == "lower" else max
    first = choose(able, key=lambda key: fmean(able[key].values()))
    others = [key for key in able if key != first]
    ps = [difference(able[key], able[first]).p for key in others]
    corrected = holm([1.0 if p is None else p for p in ps])
    return {first} | {key for key, p in zip(others, corrected, strict=True) if p > alpha}


def _quantile(freedom: float, level: float) -> float:
    return float(stdtrit(freedom, (1 + level) / 2))


def _two_sided(mean: float, error: float, freedom: float) -> float:
    """p of |mean| / error under t; without any spread two means are either the same or not."""
    if error == 0:
        return 1.0 if mean == 0 else 0.0
    return float(2 * stdtr(freedom, -abs(mean) / error))
