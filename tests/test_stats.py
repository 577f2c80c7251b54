"""Intervals and tests against scipy, by hand, and by simulation."""

import numpy as np
import pytest
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
    signs,
    summarise,
    superiority,
    tost,
    welch_t,
    wilson,
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
    draws = np.random.default_rng(0).normal(2.0, 3.0, (20_000, n))
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


def test_best_holds_the_first_and_all_that_cannot_be_told_from_it():
    groups = {"a": seeds([1.0, 1.1, 0.9]), "b": seeds([1.05, 0.9, 1.1]), "c": seeds([5.0, 5.1, 4.9])}
    assert best(groups, "lower") == {"a", "b"}
    assert best(groups, "higher") == {"c"}


def test_nothing_is_best_where_a_metric_has_no_direction():
    assert best({"a": A, "b": B}, "none") == set()


def test_two_seeds_are_never_best_even_with_the_better_mean():
    groups = {"two": {0: 0.0, 1: 0.0}, "a": seeds([1.0, 1.1, 0.9]), "b": seeds([5.0, 5.1, 4.9])}
    assert best(groups, "lower") == {"a"}


def test_a_lone_group_is_not_best_of_anything():
    assert best({"a": A, "two": {0: 1.0, 1: 2.0}}, "lower") == set()


def test_holm_keeps_what_a_single_test_would_have_dropped():
    first = [1.0, 1.1, 0.9, 1.05, 0.95]
    near = [value + shift for value, shift in zip(first, [0.3, 0.12, 0.05, 0.25, 0.1], strict=True)]
    assert difference(seeds(near), seeds(first)).p < 0.05
    alone = {"first": seeds(first), "near": seeds(near)}
    assert best(alone, "lower") == {"first"}
    crowd = {
        f"far {k}": seeds([value + shift for value, shift in zip(near, [k, 0, 0, k, 0.01], strict=True)])
        for k in (0.0, 0.01, 0.02)
    }
    assert "near" in best(alone | crowd, "lower")


@pytest.mark.parametrize("margin", [0.05, 0.2, 0.4])
def test_equivalence_is_scipys_two_one_sided_t_tests(margin):
    d = np.array(list(A.values())) - np.array(list(B.values()))
    above = scipy.stats.ttest_1samp(d, -margin, alternative="greater").pvalue
    below = scipy.stats.ttest_1samp(d, margin, alternative="less").pvalue
    assert tost(A, B, margin).p == pytest.approx(max(above, below), rel=1e-10)


def test_equivalence_holds_at_5_percent_exactly_where_the_90_percent_interval_is_inside():
    found = paired_t(A, B, level=0.90)
    edge = abs(found.mean) + found.half_width
    assert tost(A, B, edge * 1.001).p < 0.05 < tost(A, B, edge * 0.999).p


def test_two_seeds_are_never_equivalent():
    found = tost({0: 1.0, 1: 1.0}, {0: 1.0, 1: 1.0}, 0.5)
    assert (found.p, found.reason) == (None, "n too small")


@pytest.mark.parametrize(("n", "k"), [(3, 3), (4, 5), (6, 4)])
def test_page_is_scipys_exact_test(n, k):
    data = np.random.default_rng(n * k).normal(size=(n, k)) + 0.4 * np.arange(k)
    expected = scipy.stats.page_trend_test(data, method="exact")
    found = page(data.tolist())
    assert found.exact
    assert found.statistic == expected.statistic
    assert found.p_increasing == pytest.approx(expected.pvalue, rel=1e-10)
    assert found.p_decreasing == pytest.approx(page(data[:, ::-1].tolist()).p_increasing, rel=1e-10)


@pytest.mark.parametrize("data", [np.array([[1.0, 1.0, 2.0, 3.0], [0.0, 2.0, 2.0, 2.5], [1, 2, 3, 4]]),
                                  np.random.default_rng(1).normal(size=(5, 9))])  # fmt: skip
def test_page_with_ties_or_many_treatments_is_scipys_normal_one(data):
    expected = scipy.stats.page_trend_test(data, method="asymptotic")
    found = page(data.tolist())
    assert not found.exact
    assert found.statistic == pytest.approx(expected.statistic)
    assert found.p_increasing == pytest.approx(expected.pvalue, rel=1e-9)


def test_page_refuses_two_treatments_and_ragged_blocks():
    for blocks in ([[1.0, 2.0]], [[1.0, 2.0, 3.0], [1.0, 2.0]], []):
        with pytest.raises(ValueError, match="at least 3"):
            page(blocks)


@pytest.mark.parametrize(("count", "n"), [(0, 6), (4, 6), (6, 6), (1, 3)])
def test_the_interval_of_a_fraction_is_scipys(count, n):
    expected = scipy.stats.binomtest(count, n).proportion_ci(method="wilson")
    assert wilson(count, n) == pytest.approx((expected.low, expected.high), abs=1e-12)


def test_signs_count_shared_seeds_only():
    assert signs(A | {9: 0.0}, B) == (0, 0, 5)
    assert signs({0: 1.0, 1: 2.0}, {0: 1.0, 1: 5.0}) == (1, 1, 0)


def test_hedges_g_agrees_with_a_case_by_hand():
    # means 1.5 and 0, both variances 1, so d = 1.5; J(4) = gamma(2) / (sqrt(2) gamma(1.5)) = 0.797885
    assert hedges_g([0.5, 1.5, 2.5], [-1.0, 0.0, 1.0]) == pytest.approx(1.5 * 0.7978845608)
    assert hedges_g(list(A.values()), list(B.values())) == -hedges_g(list(B.values()), list(A.values()))


def test_hedges_g_has_no_bias_in_small_samples():
    draws = np.random.default_rng(0).normal(0.0, 1.0, (4_000, 2, 4)) + np.array([[1.0], [0.0]])
    assert np.mean([hedges_g(a, b) for a, b in draws.tolist()]) == pytest.approx(1.0, abs=0.04)


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
    # each dataset is constant: whatever is drawn within it, the IQM is that of 0 0 0 1 1 1 with one cut at each end
    found = aggregate([[0.0] * 3, [1.0] * 3])
    assert (found.iqm, found.low, found.high) == (0.5, 0.5, 0.5)
    assert (found.n, found.datasets) == (6, 2)


def test_the_bootstrap_interval_is_scipys_percentile_interval():
    values = np.random.default_rng(3).normal(size=40).tolist()
    expected = scipy.stats.bootstrap((values,), lambda x: scipy.stats.trim_mean(x, 0.25), vectorized=False,
                                     method="percentile", n_resamples=2000, rng=1).confidence_interval  # fmt: skip
    found = aggregate([values])
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high), abs=0.05)
    assert found == aggregate([values])


def test_an_aggregate_of_too_few_seeds_or_with_a_hole_is_told_as_such():
    assert aggregate([[1.0, 2.0], [3.0, 4.0, 5.0]]).reason == "n too small"
    assert aggregate([[1.0, 2.0], [3.0, 4.0, 5.0]]).low is None
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
