"""Intervals and tests over training seeds. The seed is the unit of replication, never the test image.

A mean has a t-interval: with three to five values the percentile bootstrap covers 75 to 90 %, the t-interval 95 %.
Differences are paired by seed where at least three seeds are shared, since seeds fix split, order and initial values.

Which methods are "not surely worse than the best" (`best`): a method is left out where it is surely worse than another.
Its p is the smallest one-sided p against any other method times the number of others, and Holm's correction is over the
methods. Hence the probability that a true best is left out, ties included, is at most 5 % for each comparison. The test
of a pair is Welch's: in the committed tables the spread of methods differs threefold at the median and a hundredfold at
most, so a variance pooled over methods (Tukey, Hsu's comparisons with the best) would not keep its error. From five
shared seeds on the paired t-test is asked as well and both are paid for; below, it has too few degrees of freedom to
survive the correction. A permutation over seeds cannot reach 5 % with fewer than five. `docs/decisions.md` has the
simulated error and power.

Sources: Student 1908 (t); Welch 1947, "The generalization of Student's problem" (unequal variances, Satterthwaite's
degrees of freedom); Holm 1979, "A simple sequentially rejective multiple test procedure"; Hsu 1996, "Multiple
comparisons: theory and methods"; Page 1963, "Ordered hypotheses for multiple treatments"; Clopper & Pearson 1934 (exact
interval of a share); Hedges 1981, "Distribution theory for Glass's estimator of effect size and related estimators";
Vargha & Delaney 2000 (probability of superiority); Agarwal et al. 2021, "Deep reinforcement learning at the edge of the
statistical precipice", https://arxiv.org/abs/2108.13264 (interquartile mean, stratified bootstrap); Hesterberg 2015,
"What teachers should know about the bootstrap" (expanded percentiles); Demšar 2006, "Statistical comparisons of
classifiers over multiple data sets" (average ranks).
"""

import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import permutations
from statistics import fmean, stdev
from typing import Any, Generic, TypeVar

import numpy as np
from scipy.special import ndtr, stdtr, stdtrit

ALPHA = 0.05  #: of the choice of the best, and of all intervals of ranks together
#: With fewer seeds than this nothing is called best and no p-value is given.
FEWEST_SEEDS = 3
#: From so many shared seeds on `best` asks the paired t-test as well.
FEWEST_PAIRS = 5
#: From so many seeds a dataset on the bootstrap interval of an IQM covers at least 93 % in every simulated design.
FEWEST_FOR_BOOTSTRAP = 20

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

    @property
    def interval(self) -> tuple[float, float] | None:
        return None if self.half_width is None else (self.mean - self.half_width, self.mean + self.half_width)

    def p_above(self, sign: int = 1) -> float:
        """One-sided p of sign · (mean of a − mean of b) > 0; 1 where there is no test."""
        if self.p is None:
            return 1.0
        return self.p / 2 if sign * self.mean > 0 else 1 - self.p / 2


@dataclass(frozen=True)
class Trend:
    """Page's L over ordered treatments, with the one-sided p of an increase and of a decrease."""

    statistic: float
    p_increasing: float
    p_decreasing: float


@dataclass(frozen=True)
class Aggregate:
    """Interquartile mean over all seeds of all datasets, with its stratified bootstrap interval.

    `low` and `high` are None, and `reason` says why, where a dataset has fewer than `FEWEST_FOR_BOOTSTRAP` seeds.
    """

    iqm: float
    low: float | None
    high: float | None
    n: int  #: values
    datasets: int
    reason: str = ""


@dataclass(frozen=True)
class Ranks(Generic[Key]):
    """Mean rank of each method (1 is best) over the datasets on which all of them have a value."""

    means: dict[Key, float]
    n: int  #: datasets ranked
    left_out: dict[Any, list[Key]]  #: dataset -> the methods that have no value there


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
    found = summarise([a[seed] - b[seed] for seed in sorted(a.keys() & b.keys())], level)
    if found.n < FEWEST_SEEDS or found.std is None:
        return Difference(found.mean, found.half_width, None, found.n, "paired t", "n too small")
    p = _two_sided(found.mean, found.std / math.sqrt(found.n), found.n - 1)
    return Difference(found.mean, found.half_width, p, found.n, "paired t")


def welch_t(a: Sequence[float], b: Sequence[float]) -> Difference:
    """mean(a) − mean(b) for independent samples of unequal variance. Raises `ValueError` on an empty one."""
    one, two = summarise(a), summarise(b)
    mean, n = one.mean - two.mean, min(one.n, two.n)
    if n < FEWEST_SEEDS or one.std is None or two.std is None:
        return Difference(mean, None, None, n, "Welch t", "n too small")
    u, v = one.std**2 / one.n, two.std**2 / two.n
    error = math.sqrt(u + v)
    freedom = (u + v) ** 2 / (u**2 / (one.n - 1) + v**2 / (two.n - 1)) if u + v > 0 else one.n + two.n - 2
    return Difference(mean, _quantile(freedom, 0.95) * error, _two_sided(mean, error, freedom), n, "Welch t")


def difference(a: Seeds, b: Seeds) -> Difference:
    """Paired where at least three seeds are shared, otherwise Welch's."""
    if len(a.keys() & b.keys()) >= FEWEST_SEEDS:
        return paired_t(a, b)
    return welch_t(list(a.values()), list(b.values()))


def page(blocks: Sequence[Sequence[float]]) -> Trend:
    """Page's test for a trend. blocks: n seeds, each with its values of k treatments in the supposed order.

    L = Σ_j j · (sum over blocks of the rank of treatment j), tied values share their mean rank. The null hypothesis is
    that all treatments are equal: a small p does not show that every step goes one way. scipy chooses between the exact
    null distribution and the normal one. Raises `ValueError` for no blocks, blocks of unequal length, or k < 3.

    >>> page([[1, 2, 3]] * 3).statistic
    42.0
    """
    from scipy.stats import page_trend_test

    k = len(blocks[0]) if blocks else 0
    if k < 3 or any(len(block) != k for block in blocks):
        raise ValueError("Page's test takes blocks of one length, at least 3")
    up = page_trend_test(blocks)
    down = page_trend_test(blocks, predicted_ranks=range(k, 0, -1), method=up.method)
    return Trend(float(up.statistic), float(up.pvalue), float(down.pvalue))


@lru_cache(maxsize=1024)
def share_interval(count: int, n: int, level: float = 0.95) -> tuple[float, float]:
    """Clopper and Pearson's exact interval of the share count / n: each end errs with at most (1 − level) / 2.

    Wilson's interval is shorter and does not keep that bound at small n. Raises `ValueError` for n = 0.

    >>> [round(end, 4) for end in share_interval(6, 6)]
    [0.5407, 1.0]
    """
    from scipy.stats import binomtest

    if n < 1:
        raise ValueError("a share of nothing")
    found = binomtest(count, n).proportion_ci(level, "exact")
    return float(found.low), float(found.high)


def hedges_g(a: Sequence[float], b: Sequence[float]) -> float | None:
    """(mean(a) − mean(b)) / pooled standard deviation, times Hedges' exact small-sample correction J(n_a + n_b − 2).

    J(m) = Γ(m/2) / (√(m/2) Γ((m−1)/2)), about 1 − 3 / (4m − 1). None for fewer than two values a side, and where
    neither side has any spread.

    >>> round(hedges_g([2.0, 4.0, 6.0], [1.0, 3.0, 5.0]), 4)  # 0.5 times J(4) = 0.7979
    0.3989
    """
    if min(len(a), len(b)) < 2:
        return None
    freedom = len(a) + len(b) - 2
    pooled = math.sqrt(((len(a) - 1) * stdev(a) ** 2 + (len(b) - 1) * stdev(b) ** 2) / freedom)
    if pooled == 0:
        return None
    correction = math.exp(math.lgamma(freedom / 2) - math.lgamma((freedom - 1) / 2)) / math.sqrt(freedom / 2)
    return correction * (fmean(a) - fmean(b)) / pooled


def superiority(a: Sequence[float], b: Sequence[float]) -> float:
    """P(A > B): the share of all pairs in which a's value is the larger; ties count half. `ValueError` without pairs.

    >>> superiority([1.0, 2.0], [1.0, 0.0])
    0.875
    """
    if not a or not b:
        raise ValueError("no pairs to compare")
    return sum((x > y) + (x == y) / 2 for x in a for y in b) / (len(a) * len(b))


def iqm(values: Sequence[float]) -> float:
    """Interquartile mean: without the lowest and the highest quarter of the values (of their number, rounded down).

    >>> iqm([0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 700.0])
    3.5
    """
    if not values:
        raise ValueError("a mean of no values")
    return float(_iqm(np.asarray(values, float)))


def aggregate(strata: Sequence[Sequence[float]], draws: int = 2000) -> Aggregate:
    """Interquartile mean of one method over several datasets, a stratum of seeds each, on one scale.

    The interval is a percentile bootstrap within each dataset (Agarwal et al. 2021), its percentiles expanded for the
    small sample (Hesterberg 2015). Without expansion it covers 88 % with three seeds a dataset and 93 % with ten; where
    the datasets' spreads differ, fewer. Hence there is one from `FEWEST_FOR_BOOTSTRAP` seeds a dataset on. The same
    input gives the same interval: the generator is numpy's frozen `RandomState`. The caller puts the values on one
    scale. A dataset without values is a `ValueError`, since leaving it out would flatter the method.
    """
    from scipy.stats import bootstrap

    if not strata or not all(strata):
        raise ValueError("a dataset without values: it may be left out only for all methods alike")
    values, n = [value for stratum in strata for value in stratum], min(map(len, strata))
    if n < FEWEST_FOR_BOOTSTRAP:
        reason = f"a bootstrap interval needs {FEWEST_FOR_BOOTSTRAP} seeds a dataset, here are {n}"
        return Aggregate(iqm(values), None, None, len(values), len(strata), reason)
    outside = ndtr(-math.sqrt(n / (n - 1)) * _quantile(len(values) - len(strata), 0.95))
    drawn = bootstrap(strata, lambda *parts, axis: _iqm(np.concatenate(parts, axis)), n_resamples=draws,
                      method="percentile", rng=np.random.RandomState(0), vectorized=True)  # fmt: skip
    low, high = np.quantile(drawn.bootstrap_distribution, [outside, 1 - outside])
    return Aggregate(iqm(values), float(low), float(high), len(values), len(strata))


def _iqm(values: "np.ndarray") -> "np.ndarray":
    """Interquartile means over the last axis."""
    n = values.shape[-1]
    return np.sort(values, axis=-1)[..., n // 4 : n - n // 4].mean(axis=-1)


def average_ranks(values: Mapping[Key, Mapping[Any, float | None]], better: str) -> Ranks[Key]:
    """Mean rank of each method over datasets, ties sharing the mean of their ranks (Demšar 2006).

    values: method -> dataset -> value, None or absent where it has none. Such a dataset is left out for all methods
    and named in `left_out`: a rank among fewer methods is another quantity. `better` is "lower" or "higher"
    (`ValueError` for anything else).

    >>> average_ranks({"a": {"x": 1.0, "y": 3.0}, "b": {"x": 2.0, "y": 3.0}}, "lower").means
    {'a': 1.25, 'b': 1.75}
    """
    from scipy.stats import rankdata

    if better not in ("lower", "higher"):
        raise ValueError(f"no ranks without a direction, got {better!r}")
    sign = 1 if better == "lower" else -1
    datasets = dict.fromkeys(name for found in values.values() for name in found)
    gaps = {name: [key for key, found in values.items() if found.get(name) is None] for name in datasets}
    ranked = [rankdata([sign * (found.get(n) or 0.0) for found in values.values()]) for n in datasets if not gaps[n]]
    means = {key: fmean(column) for key, column in zip(values, zip(*ranked, strict=True), strict=False)}
    return Ranks(means, len(ranked), {name: keys for name, keys in gaps.items() if keys})


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


def best(groups: Mapping[Key, Seeds], better: str) -> set[Key]:
    """The groups that are not surely worse than another; empty where there is nothing to choose from.

    With probability 1 − `ALPHA` at least, no true best is left out; the module's docstring has the procedure. Groups
    under three seeds take no part. `better` is "lower", "higher" or "none" (no direction: no best).
    """
    able = {key: seeds for key, seeds in groups.items() if len(seeds) >= FEWEST_SEEDS}
    if len(able) < 2 or better not in ("lower", "higher"):
        return set()
    sign = 1 if better == "higher" else -1
    ahead = {(a, b): _p_ahead(able[a], able[b], sign) for a, b in permutations(able, 2)}
    others = len(able) - 1
    ps = [min(1.0, others * min(ahead[other, key] for other in able if other != key)) for key in able]
    return {key for key, p in zip(able, holm(ps), strict=True) if p > ALPHA}


def rank_intervals(groups: Mapping[Key, Seeds], better: str) -> dict[Key, tuple[int, int]]:
    """The ranks (1 is best) that each group may have: those surely better stand before it, those surely worse behind.

    All intervals hold together with probability 1 − `ALPHA`: every ordered pair is tested as in `best`, Holm-corrected
    over all pairs. Groups under three seeds have no interval, and there is none without a direction.

    >>> rank_intervals({"a": {0: 1.0, 1: 1.1, 2: 0.9}, "b": {0: 9.0, 1: 9.2, 2: 9.1}, "c": {0: 9.1}}, "lower")
    {'a': (1, 1), 'b': (2, 2)}
    """
    able = {key: seeds for key, seeds in groups.items() if len(seeds) >= FEWEST_SEEDS}
    if len(able) < 2 or better not in ("lower", "higher"):
        return {}
    sign = 1 if better == "higher" else -1
    pairs = list(permutations(able, 2))
    ps = holm([_p_ahead(able[a], able[b], sign) for a, b in pairs])
    sure = {pair for pair, p in zip(pairs, ps, strict=True) if p <= ALPHA}
    return {
        key: (1 + sum((other, key) in sure for other in able), len(able) - sum((key, other) in sure for other in able))
        for key in able
    }


def smallest_lead(n: int, k: int) -> float:
    """The lead over the second of k groups, in standard deviations of a group of n seeds, that `best` begins to see.

    Of groups of equal spread, for Welch's test with all its degrees of freedom.

    >>> round(smallest_lead(3, 2), 1), round(smallest_lead(3, 10), 1), round(smallest_lead(6, 10), 1)
    (2.3, 6.8, 2.9)
    """
    tests = 2 if n >= FEWEST_PAIRS else 1
    return _quantile(2 * n - 2, 1 - 2 * ALPHA / (tests * k * (k - 1))) * math.sqrt(2 / n)


def _p_ahead(a: Seeds, b: Seeds, sign: int) -> float:
    """One-sided p of a being ahead of b: Welch's, or the smaller of two tests, both paid for."""
    tests = [welch_t(list(a.values()), list(b.values()))]
    if len(a.keys() & b.keys()) >= FEWEST_PAIRS:
        tests.append(paired_t(a, b))
    return len(tests) * min(test.p_above(sign) for test in tests)


def _quantile(freedom: float, level: float) -> float:
    """The t-quantile that bounds the middle `level`."""
    return float(stdtrit(freedom, (1 + level) / 2))


def _two_sided(mean: float, error: float, freedom: float) -> float:
    """p of |mean| / error under t. Without any spread two means are either the same or not."""
    if error == 0:
        return 1.0 if mean == 0 else 0.0
    return float(2 * stdtr(freedom, -abs(mean) / error))
