"""Intervals and tests against scipy, by hand, and by simulation."""

import math

import numpy as np
import pytest
import scipy.special
import scipy.stats

from bench.results.stats import (
    aggregate,
    average_ranks,
    best,
    difference,
    hedges_g,
    holm,
    iqm,
    page,
    paired_t,
    share_interval,
    smallest_lead,
    summarise,
    superiority,
    welch_t,
)

A = {0: 1.10, 1: 1.32, 2: 0.95, 3: 1.21, 4: 1.40}
B = {0: 1.00, 1: 1.15, 2: 0.90, 3: 1.18, 4: 1.22}


def seeds(values):
    return dict(enumerate(values))


def test_the_interval_is_scipys_t_interval():
    values = list(A.values())
    low, high = scipy.stats.t.interval(0.95, 4, np.mean(values), scipy.stats.sem(values))
    found = summarise(values)
    assert found.mean - found.half_width == pytest.approx(low, rel=1e-12)
    assert found.mean + found.half_width == pytest.approx(high, rel=1e-12)
    assert found.std == pytest.approx(np.std(values, ddof=1))


def test_one_value_has_a_mean_and_no_interval():
    assert summarise([3.0]).mean == 3.0
    assert summarise([3.0]).half_width is None


def test_no_values_are_refused():
    with pytest.raises(ValueError, match="no values"):
        summarise([])


@pytest.mark.parametrize("n", [3, 5])
def test_the_interval_covers_the_truth_95_times_in_100(n):
    draws = np.random.default_rng(0).normal(2.0, 3.0, (6_000, n))
    found = [summarise(row) for row in draws.tolist()]
    covered = np.mean([abs(s.mean - 2.0) <= s.half_width for s in found])
    assert covered == pytest.approx(0.95, abs=0.01)


def test_paired_t_is_scipys_over_the_shared_seeds_only():
    expected = scipy.stats.ttest_rel(list(A.values()), list(B.values()))
    found = paired_t(A | {9: 100.0}, B | {8: -100.0})
    assert found.n == 5
    assert found.p == pytest.approx(expected.pvalue, rel=1e-10)
    low, high = expected.confidence_interval()
    assert (found.mean - found.half_width, found.mean + found.half_width) == pytest.approx((low, high))


def test_welch_t_is_scipys():
    one, two = list(A.values()), [1.0, 1.15, 0.9, 2.2]
    expected = scipy.stats.ttest_ind(one, two, equal_var=False)
    found = welch_t(one, two)
    assert found.p == pytest.approx(expected.pvalue, rel=1e-10)
    low, high = expected.confidence_interval()
    assert (found.mean - found.half_width, found.mean + found.half_width) == pytest.approx((low, high))


def test_a_difference_is_paired_where_seeds_are_shared_and_welch_elsewhere():
    assert difference(A, B).test == "paired t"
    assert difference(A, {seed + 10: value for seed, value in B.items()}).test == "Welch t"


@pytest.mark.parametrize("n", [1, 2])
def test_too_few_seeds_give_a_reason_instead_of_a_p(n):
    few = dict(list(A.items())[:n])
    for found in (paired_t(few, B), welch_t(list(few.values()), list(B.values()))):
        assert found.p is None
        assert found.reason == "n too small"


def test_groups_without_spread_are_equal_or_not():
    assert paired_t(seeds([1.0] * 3), seeds([1.0] * 3)).p == 1.0
    assert welch_t([1.0] * 3, [2.0] * 3).p == 0.0


def test_holm_agrees_with_a_case_by_hand():
    # sorted 0.005, 0.011, 0.02, 0.04 times 4, 3, 2, 1, then made monotone
    assert holm([0.04, 0.005, 0.02, 0.011]) == pytest.approx([0.04, 0.02, 0.04, 0.033])
    assert holm([0.9, 0.8]) == [1.0, 1.0]
    assert holm([]) == []


# Not surely worse than the best


def left_out(values, sign=1):
    """`best` for many tables at once: values (tables, groups, seeds) -> True where a group is left out."""
    k, n = values.shape[1:]
    means, self_ = values.mean(-1), np.eye(k, dtype=bool)
    centred = values - means[..., None]
    covariances = np.einsum("tis,tjs->tij", centred, centred) / (n - 1) / n
    u = np.diagonal(covariances, axis1=1, axis2=2)
    lead = sign * (means[:, None, :] - means[:, :, None])  # of j over i
    squared, quartic = u[:, :, None] + u[:, None, :], u[:, :, None] ** 2 + u[:, None, :] ** 2
    p = scipy.special.stdtr(squared**2 * (n - 1) / quartic, -lead / np.sqrt(squared))
    if n >= 5:
        paired = np.where(self_, 1, squared - 2 * covariances)
        p = 2 * np.minimum(p, scipy.special.stdtr(n - 1, -lead / np.sqrt(paired)))
    p[:, self_] = 1
    ps = np.minimum(1, (k - 1) * p.min(-1))
    order = np.argsort(ps, 1)
    adjusted = np.maximum.accumulate(np.take_along_axis(ps, order, 1) * (k - np.arange(k)), 1)
    out = np.empty(ps.shape, bool)
    np.put_along_axis(out, order, adjusted <= 0.05, 1)
    return out


@pytest.mark.parametrize(("n", "k"), [(3, 2), (3, 5), (5, 4), (6, 3)])
@pytest.mark.parametrize("better", ["higher", "lower"])
def test_the_tables_that_are_simulated_have_the_best_of_the_function(n, k, better):
    values = np.random.default_rng(n * k).normal(size=(60, k, n)) + 1.5 * np.arange(k)[:, None]
    expected = [best({i: seeds(row) for i, row in enumerate(table)}, better) for table in values.tolist()]
    found = left_out(values, 1 if better == "higher" else -1)
    assert [set(np.flatnonzero(~row)) for row in found] == expected
    assert 0 < found.mean() < 1


TABLES = 4_000
MOST_WRONG = scipy.stats.binom.ppf(0.999, TABLES, 0.05)  #: of so many tables, allowing for the simulation's own noise
SPREADS = {
    "equal": lambda k: np.ones(k),
    "fivefold": lambda k: np.geomspace(1, 5, k),
    "hundredfold": lambda k: np.geomspace(1, 100, k),
    "one quiet": lambda k: np.r_[np.ones(k - 1), 0.01],
    "one loud": lambda k: np.r_[1, np.full(k - 1, 0.01)],
}


@pytest.mark.parametrize("n", [3, 5, 6, 10])
@pytest.mark.parametrize("k", [2, 3, 5, 10])
def test_of_equal_groups_none_is_left_out_in_95_of_100_tables(n, k):
    values = np.random.default_rng(100 * n + k).normal(size=(TABLES, k, n))
    assert left_out(values).any(1).sum() <= MOST_WRONG
    shared = 2 * np.random.default_rng(1).normal(size=(TABLES, 1, n))  # an effect that a seed has on every group
    assert left_out(values + shared).any(1).sum() <= MOST_WRONG


@pytest.mark.parametrize("n", [3, 5, 10])
@pytest.mark.parametrize("spread", list(SPREADS)[1:])
def test_unequal_spreads_leave_no_more_out(n, spread):
    for k in (3, 5):
        values = np.random.default_rng(n).normal(size=(TABLES, k, n)) * SPREADS[spread](k)[:, None]
        assert left_out(values).any(1).sum() <= MOST_WRONG


@pytest.mark.parametrize("n", [3, 6])
def test_true_bests_stay_beside_worse_groups(n):
    values = np.random.default_rng(n).normal(size=(TABLES, 5, n)) - np.array([0, 0, 0, 3, 30])[:, None]
    out = left_out(values)
    assert out[:, :3].any(1).sum() <= MOST_WRONG
    assert out[:, 4].mean() > 0.99


@pytest.mark.parametrize(("n", "k", "power"), [(3, 3, 0.99), (3, 5, 0.9), (5, 5, 0.99), (6, 10, 0.99), (10, 10, 0.99)])
def test_a_lead_of_ten_standard_deviations_stands_alone(n, k, power):
    values = np.random.default_rng(0).normal(size=(2_000, k, n))
    values[:, 0] += 10
    out = left_out(values)
    assert (~out[:, 0] & out[:, 1:].all(1)).mean() > power


def test_three_seeds_ten_deviations_apart_are_separated():
    groups = {"a": seeds([1.0, 1.1, 0.9]), "b": seeds([2.0, 2.1, 1.9]), "c": seeds([2.05, 1.9, 2.1])}
    assert best(groups, "lower") == {"a"}
    assert best(groups, "higher") == {"b", "c"}


def test_groups_without_spread_are_best_only_where_they_are_equal():
    assert best({"a": seeds([1.0] * 3), "b": seeds([1.0] * 3), "c": seeds([2.0] * 3)}, "lower") == {"a", "b"}


def test_pairs_separate_what_a_shared_effect_of_the_seeds_hides():
    level = [1.0, 5.0, 2.0, 9.0, 4.0]
    near = [value + shift for value, shift in zip(level, [0.5, 0.52, 0.48, 0.5, 0.51], strict=True)]
    assert best({"a": seeds(level), "b": seeds(near)}, "lower") == {"a"}
    assert best({"a": seeds(level), "b": {seed + 9: value for seed, value in seeds(near).items()}}, "lower") == {
        "a", "b"}  # fmt: skip


@pytest.mark.parametrize(("n", "k"), [(3, 2), (3, 6), (4, 10)])
def test_the_smallest_lead_is_where_groups_of_equal_spread_begin_to_be_separated(n, k):
    row = np.linspace(-1, 1, n) / np.linspace(-1, 1, n).std(ddof=1)
    for factor, count in ((1.01, 1), (0.99, k)):
        leads = [factor * smallest_lead(n, k), *[0.0] * (k - 1)]
        assert len(best({i: seeds((row + lead).tolist()) for i, lead in enumerate(leads)}, "higher")) == count


def test_nothing_is_best_where_a_metric_has_no_direction():
    assert best({"a": A, "b": B}, "none") == set()


def test_two_seeds_are_never_best_even_with_the_better_mean():
    groups = {"two": {0: 0.0, 1: 0.0}, "a": seeds([1.0, 1.1, 0.9]), "b": seeds([5.0, 5.1, 4.9])}
    assert best(groups, "lower") == {"a"}


def test_a_lone_group_is_not_best_of_anything():
    assert best({"a": A, "two": {0: 1.0, 1: 2.0}}, "lower") == set()


@pytest.mark.parametrize(("n", "k"), [(3, 3), (4, 5), (6, 4), (25, 9)])
def test_page_is_scipys_test_in_both_directions(n, k):
    data = np.random.default_rng(n * k).normal(size=(n, k)) + 0.4 * np.arange(k)
    expected, found = scipy.stats.page_trend_test(data), page(data.tolist())
    assert (found.statistic, found.p_increasing) == pytest.approx((expected.statistic, expected.pvalue))
    assert found.p_decreasing == pytest.approx(scipy.stats.page_trend_test(data[:, ::-1]).pvalue)


def test_page_refuses_two_treatments_and_ragged_blocks():
    for blocks in ([[1.0, 2.0]], [[1.0, 2.0, 3.0], [1.0, 2.0]], []):
        with pytest.raises(ValueError, match="at least 3"):
            page(blocks)


@pytest.mark.parametrize("n", [3, 6, 10, 30])
def test_each_end_of_the_interval_of_a_share_errs_in_at_most_a_fortieth_whatever_the_share(n):
    ends = np.array([share_interval(count, n) for count in range(n + 1)])
    for share in np.linspace(0.01, 0.99, 99):
        chances = scipy.stats.binom.pmf(range(n + 1), n, share)
        assert chances[ends[:, 0] > share].sum() <= 0.025
        assert chances[ends[:, 1] < share].sum() <= 0.025


def test_a_share_of_nothing_is_refused():
    with pytest.raises(ValueError, match="share of nothing"):
        share_interval(0, 0)


def test_hedges_g_agrees_with_a_case_by_hand():
    # means 1.5 and 0, both variances 1, so d = 1.5; J(4) = gamma(2) / (sqrt(2) gamma(1.5)) = 0.797885
    assert hedges_g([0.5, 1.5, 2.5], [-1.0, 0.0, 1.0]) == pytest.approx(1.5 * 0.7978845608)
    assert hedges_g(list(A.values()), list(B.values())) == -hedges_g(list(B.values()), list(A.values()))


def test_hedges_g_has_no_bias_in_small_samples():
    draws = np.random.default_rng(0).normal(0.0, 1.0, (2_500, 2, 4)) + np.array([[1.0], [0.0]])
    assert np.mean([hedges_g(a, b) for a, b in draws.tolist()]) == pytest.approx(1.0, abs=0.05)


def test_an_effect_without_any_spread_or_with_one_value_has_no_size():
    assert hedges_g([1.0, 1.0], [2.0, 2.0]) is None
    assert hedges_g([1.0], [2.0, 3.0]) is None


def test_superiority_is_the_mann_whitney_u_over_all_pairs():
    one, two = [1.0, 2.0, 2.0, 5.0], [2.0, 0.0, 3.0]
    expected = scipy.stats.mannwhitneyu(one, two).statistic / 12
    assert superiority(one, two) == pytest.approx(expected)
    assert superiority(one, two) + superiority(two, one) == pytest.approx(1.0)
    with pytest.raises(ValueError, match="no pairs"):
        superiority([], two)


@pytest.mark.parametrize("n", [1, 3, 8, 11])
def test_the_interquartile_mean_is_scipys_trimmed_mean(n):
    values = np.random.default_rng(n).normal(size=n).tolist()
    assert iqm(values) == pytest.approx(scipy.stats.trim_mean(values, 0.25))


def test_the_bootstrap_draws_within_each_dataset_and_never_across():
    # each dataset is constant: the IQM of every draw is that of 0 ... 0 1 ... 1 with a quarter cut at each end
    found = aggregate([[0.0] * 20, [1.0] * 20])
    assert (found.iqm, found.low, found.high) == (0.5, 0.5, 0.5)
    assert (found.n, found.datasets) == (40, 2)


def test_the_bootstrap_interval_is_scipys_with_expanded_percentiles_and_the_same_each_time():
    strata = np.random.default_rng(3).normal(size=(3, 20)).tolist()
    outside = scipy.stats.norm.cdf(math.sqrt(20 / 19) * scipy.stats.t.ppf(0.025, 57))
    expected = scipy.stats.bootstrap(
        strata, lambda *x, axis: scipy.stats.trim_mean(np.concatenate(x, axis), 0.25, axis), rng=1, n_resamples=4000,
        method="percentile", confidence_level=1 - 2 * outside,
    ).confidence_interval  # fmt: skip
    found = aggregate(strata)
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high), abs=0.03)
    assert found == aggregate(strata)


@pytest.mark.parametrize("spreads", [(1.0,), (1.0, 1.0), (0.05, 0.25), (0.1, 0.2, 0.3, 0.4)])
def test_the_bootstrap_interval_covers_where_it_is_given(spreads):
    rng, centres, d = np.random.default_rng(0), np.arange(len(spreads)), len(spreads)
    draws = centres[:, None] + np.array(spreads)[:, None] * rng.normal(size=(40_200, d, 20))
    pooled = np.sort(draws[200:].reshape(40_000, -1), axis=1)
    truth = pooled[:, 5 * d : 15 * d].mean()
    found = [aggregate(strata, draws=400) for strata in draws[:200].tolist()]
    covered = sum(one.low <= truth <= one.high for one in found)
    assert covered >= scipy.stats.binom.ppf(0.001, 200, 0.93)


def test_an_aggregate_of_fewer_than_20_seeds_has_no_interval_and_one_with_a_gap_is_refused():
    found = aggregate([[1.0, 2.0, 3.0] * 6, [3.0, 4.0] * 12])
    assert (found.low, found.high) == (None, None)
    assert found.reason == "a bootstrap interval needs 20 seeds a dataset, here are 18"
    with pytest.raises(ValueError, match="without values"):
        aggregate([[1.0, 2.0, 3.0], []])


def test_average_ranks_are_scipys_ranks_averaged():
    table = np.array([[3.0, 1.0, 2.0], [1.0, 1.0, 4.0], [5.0, 2.0, 2.0], [0.1, 0.3, 0.2]])  # datasets x methods
    values = {m: dict(enumerate(table[:, m].tolist())) for m in range(3)}
    for better, sign in (("lower", 1), ("higher", -1)):
        expected = scipy.stats.rankdata(sign * table, axis=1).mean(0)
        found = average_ranks(values, better)
        assert [found.means[m] for m in range(3)] == pytest.approx(expected.tolist())
        assert (found.n, found.left_out) == (4, {})


def test_a_dataset_with_a_hole_is_ranked_for_none_and_named():
    found = average_ranks({"a": {"x": 1.0, "y": 2.0}, "b": {"x": 2.0, "y": None}, "c": {"x": 3.0}}, "lower")
    assert found.means == {"a": 1.0, "b": 2.0, "c": 3.0}
    assert found.left_out == {"y": ["b", "c"]}
    nothing = average_ranks({"a": {"x": None}, "b": {"x": 1.0}}, "lower")
    assert (nothing.means, nothing.n) == ({}, 0)
    with pytest.raises(ValueError, match="direction"):
        average_ranks({"a": {"x": 1.0}}, "none")
