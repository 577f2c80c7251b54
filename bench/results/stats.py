"""Intervals, tests and corrections over training seeds: what is replicated is the seed, never the test image.

Why t and not the bootstrap: with three to five values the percentile bootstrap's 95 % interval covers about
80 %, the t-interval 95 % (`tests/test_stats.py` simulates it). Why paired: the variants of a suite share
their seeds (split, order, initial streams), so a difference is measured better over shared seeds.

Sources: Student 1908 (t); Welch 1947, "The generalization of Student's problem" (unequal variances, with the
Satterthwaite degrees of freedom); Holm 1979, "A simple sequentially rejective multiple test procedure";
Schuirmann 1987 (two one-sided tests of equivalence); Page 1963, "Ordered hypotheses for multiple treatments";
Wilson 1927, "Probable inference, the law of succession, and statistical inference" (interval of a fraction);
Hedges 1981, "Distribution theory for Glass's estimator of effect size and related estimators" (g); Vargha & Delaney
2000 (probability of superiority); Agarwal et al. 2021, "Deep reinforcement learning at the edge of the statistical
precipice", https://arxiv.org/abs/2108.13264 (interquartile mean, stratified bootstrap); Demšar 2006, "Statistical
comparisons of classifiers over multiple data sets" (average ranks).
"""

import math
import random
from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from itertools import permutations
from statistics import fmean, stdev
from typing import Any, Generic, TypeVar

import numpy as np
from scipy.special import ndtr, ndtri, stdtr, stdtrit

#: With fewer seeds than this nothing is called best and no p-value is given.
FEWEST_SEEDS = 3
#: Up to so many treatments and blocks Page's L has its exact null distribution here (7! orders of a block).
MOST_EXACT = (7, 20)

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


@dataclass(frozen=True)
class Equivalence:
    """Mean of a − b, and the p of its lying within ±margin; `reason` says why p is None."""

    mean: float
    p: float | None
    n: int
    margin: float
    reason: str = ""


@dataclass(frozen=True)
class Trend:
    """Page's L of n blocks over k ordered treatments, with the one-sided p of an increase and of a decrease."""

    statistic: float
    p_increasing: float
    p_decreasing: float
    n: int
    k: int
    exact: bool


@dataclass(frozen=True)
class Aggregate:
    """Interquartile mean over all seeds of all datasets, with its stratified bootstrap interval.

    `low` and `high` are None, and `reason` says why, where a dataset has fewer than three seeds.
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


def tost(a: Seeds, b: Seeds, margin: float) -> Equivalence:
    """Two one-sided paired t-tests of |mean(a − b)| < margin; p is the larger of the two.

    p < 0.05 exactly where the 90 % t-interval of the difference lies within ±margin (Schuirmann 1987). Raises
    `ValueError` where a and b share no seed.

    >>> tost({0: 1.0, 1: 1.1, 2: 0.9}, {0: 1.0, 1: 1.1, 2: 0.9}, margin=0.1).p
    0.0
    """
    found = paired_t(a, b)
    if found.p is None or found.half_width is None:
        return Equivalence(found.mean, None, found.n, margin, found.reason)
    error = found.half_width / _quantile(found.n - 1, 0.95)
    ps = [_one_sided(distance, error, found.n - 1) for distance in (margin - found.mean, margin + found.mean)]
    return Equivalence(found.mean, max(ps), found.n, margin)


def page(blocks: Sequence[Sequence[float]]) -> Trend:
    """Page's test for a trend: n blocks (seeds), each with its values of k treatments in the order supposed.

    L = Σ_j j · (sum over blocks of the rank of treatment j). The null distribution is exact for k ≤ 7 and n ≤ 20
    without ties, else normal with mean n k (k+1)² / 4 and variance n k² (k+1) (k²−1) / 144; tied values share their
    mean rank. Raises `ValueError` for no blocks, blocks of unequal length, or k < 3.

    >>> page([[1, 2, 3]] * 3)
    Trend(statistic=42.0, p_increasing=0.004629629629629629, p_decreasing=1.0, n=3, k=3, exact=True)
    """
    n, k = len(blocks), len(blocks[0]) if blocks else 0
    if k < 3 or any(len(block) != k for block in blocks):
        raise ValueError("Page's test takes blocks of one length, at least 3")
    ranked = [_ranks(block) for block in blocks]
    statistic = sum(_page_sum(ranks) for ranks in ranked)
    exact = k <= MOST_EXACT[0] and n <= MOST_EXACT[1] and all(len(set(ranks)) == k for ranks in ranked)
    if exact:
        null = _page_null(n, k)
        total = math.factorial(k) ** n
        up = sum(count for value, count in null.items() if value >= statistic) / total
        down = sum(count for value, count in null.items() if value <= statistic) / total
        return Trend(statistic, up, down, n, k, exact)
    z = (statistic - n * k * (k + 1) ** 2 / 4) * 12 / math.sqrt(n * k**2 * (k + 1) * (k**2 - 1))
    return Trend(statistic, float(ndtr(-z)), float(ndtr(z)), n, k, exact)


def wilson(count: int, n: int, level: float = 0.95) -> tuple[float, float]:
    """Wilson's score interval of the fraction count / n. Raises `ValueError` for n = 0.

    >>> [round(end, 4) for end in wilson(6, 6)]
    [0.6097, 1.0]
    """
    if n < 1:
        raise ValueError("a fraction of nothing")
    z2, share = float(ndtri((1 + level) / 2)) ** 2, count / n
    centre, half = share + z2 / (2 * n), math.sqrt(z2 * (share * (1 - share) / n + z2 / (4 * n * n)))
    return max(0.0, (centre - half) / (1 + z2 / n)), min(1.0, (centre + half) / (1 + z2 / n))


def signs(a: Seeds, b: Seeds) -> tuple[int, int, int]:
    """In how many of the shared seeds a is below, equal to and above b.

    >>> signs({0: 1.0, 1: 2.0, 2: 3.0}, {0: 2.0, 1: 2.0, 3: 0.0})
    (1, 1, 0)
    """
    pairs = [(a[seed], b[seed]) for seed in a.keys() & b.keys()]
    return sum(x < y for x, y in pairs), sum(x == y for x, y in pairs), sum(x > y for x, y in pairs)


def hedges_g(a: Sequence[float], b: Sequence[float]) -> float | None:
    """(mean(a) − mean(b)) / pooled standard deviation, times Hedges' exact small-sample correction J(n_a + n_b − 2).

    J(m) = Γ(m/2) / (√(m/2) Γ((m−1)/2)), about 1 − 3 / (4m − 1). None under two values a side (no spread is known), or
    where neither side has any spread (no unit to measure in).

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
    cut = len(values) // 4
    return fmean(sorted(values)[cut : len(values) - cut])


def aggregate(strata: Sequence[Sequence[float]], level: float = 0.95, draws: int = 2000, seed: int = 0) -> Aggregate:
    """Interquartile mean of one method over several datasets, a stratum of seeds each, in one scale throughout.

    Seeds are drawn anew with replacement within each dataset; the interval holds the middle `level` of the IQMs of
    `draws` such draws (Agarwal et al. 2021). The same input gives the same interval. The caller puts the values on
    one scale; a dataset without values is refused (`ValueError`), since leaving it out would flatter the method.
    """
    if not strata or not all(strata):
        raise ValueError("a dataset without values: it may be left out only for all methods alike")
    every, n = [value for stratum in strata for value in stratum], min(map(len, strata))
    if n < FEWEST_SEEDS:
        return Aggregate(iqm(every), None, None, len(every), len(strata), "n too small")
    return Aggregate(iqm(every), *_middle(_drawn_iqms(strata, draws, seed), level), len(every), len(strata))


def _drawn_iqms(strata: Sequence[Sequence[float]], draws: int, seed: int) -> list[float]:
    """IQMs, ascending, of `draws` samples in which every stratum is drawn anew with replacement."""
    sizes = [len(stratum) for stratum in strata]
    n, first, size = sum(sizes), np.repeat(np.cumsum([0, *sizes[:-1]]), sizes), np.repeat(sizes, sizes)
    which = first + (_uniform(draws, n, seed) * size).astype(int)
    drawn = np.concatenate([np.asarray(stratum, float) for stratum in strata])[which]
    middle = np.sort(drawn, axis=1)[:, n // 4 : n - n // 4]
    return [float(mean) for mean in np.sort(middle.mean(axis=1))]


@lru_cache(maxsize=8)
def _uniform(draws: int, n: int, seed: int) -> "np.ndarray":
    """Numbers in [0, 1) of shape (draws, n), by Python's generator: that of numpy may change with its version."""
    draw = random.Random(seed)  # noqa: S311  (no secret)
    return np.array([draw.random() for _ in range(draws * n)]).reshape(draws, n)


def average_ranks(values: Mapping[Key, Mapping[Any, float | None]], better: str) -> Ranks[Key]:
    """Mean rank of each method over datasets, ties sharing the mean of their ranks (Demšar 2006).

    values: method -> dataset -> value, None or absent where it has none. Such a dataset is left out for all methods
    and named in `left_out`: a rank among fewer methods is another quantity. `better` is "lower" or "higher"
    (`ValueError` for anything else).

    >>> average_ranks({"a": {"x": 1.0, "y": 3.0}, "b": {"x": 2.0, "y": 3.0}}, "lower").means
    {'a': 1.25, 'b': 1.75}
    """
    if better not in ("lower", "higher"):
        raise ValueError(f"no ranks without a direction, got {better!r}")
    sign = 1 if better == "lower" else -1
    datasets = dict.fromkeys(name for found in values.values() for name in found)
    holes = {name: [key for key, found in values.items() if found.get(name) is None] for name in datasets}
    ranked = [_ranks([sign * (found.get(n) or 0.0) for found in values.values()]) for n in datasets if not holes[n]]
    means = {key: fmean(column) for key, column in zip(values, zip(*ranked, strict=True), strict=False)}
    return Ranks(means, len(ranked), {name: keys for name, keys in holes.items() if keys})


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


def _one_sided(distance: float, error: float, freedom: float) -> float:
    """p of a distance that should be above 0."""
    if error == 0:
        return 0.0 if distance > 0 else 1.0
    return float(stdtr(freedom, -distance / error))


def _middle(ordered: Sequence[float], level: float) -> tuple[float, float]:
    """The ends of the middle `level` of sorted values."""
    tail = (1 - level) / 2 * (len(ordered) - 1)
    return ordered[math.floor(tail)], ordered[math.ceil(len(ordered) - 1 - tail)]


def _ranks(values: Sequence[float]) -> list[float]:
    """Ranks from 1; equal values share the mean of theirs."""
    return [sum(x < v for x in values) + (sum(x == v for x in values) + 1) / 2 for v in values]


def _page_sum(ranks: Sequence[float]) -> float:
    return sum(place * rank for place, rank in enumerate(ranks, start=1))


@cache
def _page_null(n: int, k: int) -> Counter[float]:
    """How many of the (k!)^n orders of n blocks have each value of L: one block's counts, n times convolved."""
    one = Counter(_page_sum(order) for order in permutations(range(1, k + 1)))
    total: Counter[float] = Counter({0: 1})
    for _ in range(n):
        further: Counter[float] = Counter()
        for (a, m), (b, count) in ((x, y) for x in total.items() for y in one.items()):
            further[a + b] += m * count
        total = further
    return total
