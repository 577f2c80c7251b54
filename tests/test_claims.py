"""Claims: what a form expects, what the records say to it, and how every mistake is told before anything trains."""

import json
import math
import re
from dataclasses import replace
from pathlib import Path

import jsonschema
import numpy as np
import pytest
import scipy.stats
import synthetic
from bench.report.pages.claims import drawing
from conftest import run_bench
from test_report import Page

from bench import report
from bench.errors import SuiteError
from bench.results.claims import Point, as_json, as_text, counts, judge, verdicts
from bench.results.claims.verdicts import decide, decide_trend
from bench.suite import load
from bench.suite.expectations import read
from bench.suite.issues import Issues
from bench.suite.json_schema import json_schema

ROOT = Path(__file__).resolve().parent.parent
LOW = [0.010, 0.011, 0.012, 0.010, 0.013, 0.011]
HIGH = [0.020, 0.022, 0.021, 0.023, 0.020, 0.024]


def points(label, values, metric="mse", status="done", key=None, **cell):
    """A row of cells, a seed a value; a value None is a cell that has not run."""
    made = []
    for seed, value in enumerate(values):
        at = synthetic.make_cell(label=label, seed=seed, **cell) | {"variant": label}
        entry = {"value": value, "unit": "u", "better": "lower", "n": 10, "key": key or {}, "version": 1}
        missing = value is None
        reason = "not run yet" if missing else ""
        metrics = {} if missing else {metric: entry}
        made.append(Point(synthetic.cell_id(at), at, "missing" if missing else status, reason, metrics))
    return made


def claim(expect, **fields):
    return {"id": "c", "says": "s", "source": "t", "metric": "mse", "expect": expect} | fields


def verdict(expect, grid, **fields):
    return judge([claim(expect, **fields)], grid)[0]


BELOW = {"of": {"variant": "vae"}, "less_than": {"variant": "ae"}}


# Comparisons


def test_a_difference_is_supported_where_its_whole_interval_is_on_the_claimed_side():
    found = verdict(BELOW, points("vae", LOW) + points("ae", HIGH))
    expected = scipy.stats.ttest_rel(LOW, HIGH)
    assert found.verdict == "supported"
    outcome = found.main.outcome
    assert outcome.effect == pytest.approx(sum(LOW) / 6 - sum(HIGH) / 6)
    assert outcome.interval == pytest.approx(tuple(expected.confidence_interval()))
    assert outcome.p == pytest.approx(expected.pvalue)
    assert (outcome.n, outcome.in_direction) == (6, 6)
    assert len(found.cells) == 12


def test_it_is_contradicted_on_the_other_side_and_not_supported_across_zero():
    assert verdict(BELOW, points("vae", HIGH) + points("ae", LOW)).verdict == "contradicted"
    mixed = [0.02, 0.01, 0.02, 0.01, 0.02, 0.01]
    found = verdict(BELOW, points("vae", mixed) + points("ae", mixed[::-1]))
    assert found.verdict == "not supported"
    assert found.main.outcome.in_direction == 3


def test_greater_than_is_less_than_turned_round():
    grid = points("vae", LOW) + points("ae", HIGH)
    turned = {"of": {"variant": "ae"}, "greater_than": {"variant": "vae"}}
    one, other = verdict(BELOW, grid).main.outcome, verdict(turned, grid).main.outcome
    assert (one.verdict, other.effect, other.p) == (other.verdict, -one.effect, one.p)


def test_the_selector_may_stand_beside_its_form():
    grid = points("vae", LOW) + points("ae", HIGH)
    short = verdict({"variant": "vae", "less_than": {"variant": "ae"}}, grid)
    assert short == verdict(BELOW, grid)


def test_seeds_are_paired_and_those_of_one_side_only_are_left_out():
    """Differences of exactly −0.01 in every pair, while the seeds' own levels differ a hundredfold."""
    levels = [0.1, 5.0, 2.0, 9.0]
    grid = points("vae", [x - 0.01 for x in levels]) + points("ae", [*levels, 1000.0])
    outcome = verdict(BELOW, grid).main.outcome
    assert (outcome.verdict, outcome.n) == ("supported", 4)
    assert outcome.effect == pytest.approx(-0.01)


@pytest.mark.parametrize("n", [1, 2])
def test_fewer_than_three_pairs_never_support_anything(n):
    forms = [BELOW, BELOW | {"to": {"variant": "ae"}, "less_than": 0.9},
             {"of": {"variant": "vae"}, "same_as": {"variant": "ae"}, "margin": 5},
             {"of": {"variant": "vae"}, "at_most": 1}, {"of": {"variant": "vae"}, "near": 0.01, "tolerance": 0.9},
             {"of": {"variant": "vae"}, "different_from": {"variant": "ae"}}]  # fmt: skip
    for expect in forms:
        found = verdict(expect, points("vae", LOW[:n]) + points("ae", HIGH[:n]))
        assert found.verdict == "not supported"
        assert "n too small" in found.because
        assert found.main.outcome.p is None


def test_different_from_is_two_sided_and_reports_the_direction():
    expect = {"of": {"variant": "vae"}, "different_from": {"variant": "ae"}}
    lower = verdict(expect, points("vae", LOW) + points("ae", HIGH))
    higher = verdict(expect, points("vae", HIGH) + points("ae", LOW))
    assert lower.verdict == higher.verdict == "supported"
    assert "lower in 6 of 6" in lower.because
    assert "higher in 6 of 6" in higher.because
    same = verdict(expect, points("vae", LOW) + points("ae", LOW[::-1]))
    assert same.verdict == "not supported"


def test_each_side_may_have_a_metric_of_its_own():
    grid = points("vae", LOW)
    both = [Point(p.id, p.cell, p.status, "", p.metrics | {"elbo": {"value": 1.0, "unit": "nats"}}) for p in grid]
    found = verdict({"of": {"variant": "vae"}, "less_than": {"metric": "elbo"}}, both)
    assert found.verdict == "supported"
    assert found.main.says == "mse of vae below elbo"


# Numbers, ratios, equivalence


@pytest.mark.parametrize(
    ("expect", "told"),
    [
        ({"less_than": 0.02}, "supported"),
        ({"greater_than": 0.02}, "contradicted"),
        ({"less_than": 0.0112}, "not supported"),
        ({"near": 0.011, "tolerance": 0.25}, "supported"),
        ({"near": 0.011, "abs_tolerance": 0.0002}, "not supported"),
        ({"near": 0.02, "tolerance": 0.25}, "contradicted"),
    ],
)
def test_a_side_is_held_against_a_number(expect, told):
    assert verdict({"of": {"variant": "vae"}} | expect, points("vae", LOW)).verdict == told


def test_a_one_sample_claim_is_scipys_t_test():
    outcome = verdict({"variant": "vae", "less_than": 0.02}, points("vae", LOW)).main.outcome
    assert outcome.p == pytest.approx(scipy.stats.ttest_1samp(LOW, 0.02).pvalue)
    assert outcome.effect == pytest.approx(sum(LOW) / 6 - 0.02)


def test_a_ratio_has_a_geometric_mean_and_an_interval_of_the_logarithm():
    grid = points("vae", [1.0, 2.0, 4.0]) + points("ae", [2.0, 4.2, 7.8])
    expect = {"of": {"variant": "ae"}, "to": {"variant": "vae"}, "greater_than": 1.5}
    outcome = verdict(expect, grid).main.outcome
    assert outcome.effect == pytest.approx((2.0 * 2.1 * 1.95) ** (1 / 3))
    assert outcome.interval[0] * outcome.interval[1] == pytest.approx(outcome.effect**2)
    assert (outcome.verdict, outcome.in_direction, outcome.scale) == ("supported", 3, "ratio")
    assert verdict(expect | {"greater_than": 2.5}, grid).verdict == "contradicted"
    assert verdict(expect | {"greater_than": 2.0}, grid).verdict == "not supported"


def test_a_ratio_of_numbers_that_are_not_above_zero_is_not_run():
    grid = points("vae", [1.0, 2.0, 0.0]) + points("ae", [1.0, 1.0, 1.0])
    found = verdict({"of": {"variant": "ae"}, "to": {"variant": "vae"}, "less_than": 2}, grid)
    assert (found.verdict, found.because) == ("not run", "a ratio needs numbers above 0")


@pytest.mark.parametrize(("shift", "told"), [(0.0001, "supported"), (0.005, "contradicted"), (0.001, "not supported")])
def test_equivalence_is_within_a_margin_of_the_references_mean(shift, told):
    noise = [1e-4, -1e-4, 2e-4, 0.0, -2e-4, 1e-4]
    grid = points("vae", [x + shift + e for x, e in zip(HIGH, noise, strict=True)]) + points("ae", HIGH)
    expect = {"of": {"variant": "vae"}, "same_as": {"variant": "ae"}}
    assert verdict(expect | {"margin": 0.05}, grid).verdict == told
    assert verdict(expect | {"abs_margin": 0.05 * sum(HIGH) / 6}, grid).main.outcome.verdict == told


# Trends and fractions


def trend(rows, form="decreasing_in", **more):
    grid = [p for size, values in rows.items() for p in points("vae", values, latent_size=size)]
    return verdict({"variant": "vae", form: "latent_size"} | more, grid)


def test_a_trend_is_supported_where_every_step_is():
    rows = {10: [0.05, 0.06, 0.055], 20: [0.041, 0.048, 0.045], 40: [0.02, 0.03, 0.026]}
    found = trend(rows)
    assert found.verdict == "supported"
    steps = [scipy.stats.ttest_rel(rows[a], rows[b], alternative="greater").pvalue for a, b in ((10, 20), (20, 40))]
    assert found.main.outcome.p == pytest.approx(2 * max(steps))
    assert found.main.outcome.effect == pytest.approx((0.02 + 0.03 + 0.026 - 0.05 - 0.06 - 0.055) / 3)
    assert trend(rows, "increasing_in").verdict == "contradicted"


def test_a_step_that_is_not_shown_is_named_and_keeps_a_trend_from_being_supported():
    rows = {2: [5.0, 5.1, 4.9, 5.0], 4: [4.0, 4.1, 3.9, 4.0], 8: [4.1, 4.0, 3.9, 3.9]}
    found = trend(rows)
    assert found.verdict == "not supported"
    assert "1 of 2 steps are decreasing (not shown: latent size 4 to latent size 8)" in found.because
    turned = trend(rows | {8: [7.0, 7.1, 7.2, 6.9]})
    assert turned.verdict == "contradicted"


def test_a_trend_whose_share_of_strict_seeds_is_not_shown_is_supported_in_part():
    rows = {2: [5.0, 5.1, 4.9, 5.2, 5.0, 5.1], 4: [4.0, 4.1, 3.9, 4.2, 4.0, 4.3], 8: [3.0, 3.1, 2.9, 3.1, 3.2, 4.4]}
    assert trend(rows).verdict == "supported"
    assert trend(rows, **{"in": 0.3}).verdict == "supported"
    found = trend(rows, **{"in": 0.667})
    assert found.verdict == "supported in part"
    assert "strictly monotone in 5 of 6 seeds, claimed in 0.667 of them; at least 10 seeds are needed" in found.because


def test_values_without_a_trend_are_not_supported():
    assert trend({2: [1.0, 2.0, 3.0], 4: [2.0, 3.0, 1.0], 8: [3.0, 1.0, 2.0]}).verdict == "not supported"


@pytest.mark.parametrize("n", [1, 2])
def test_a_trend_over_fewer_than_three_seeds_is_not_decided(n):
    found = trend({2: [5.0, 5.1][:n], 4: [4.0, 4.1][:n], 8: [3.0, 3.1][:n]})
    assert found.verdict == "not supported"
    assert found.because.startswith(f"n too small: {n} seeds")


@pytest.mark.parametrize(
    ("met", "n", "share", "expected"),
    [
        (10, 10, 0.667, "supported"),
        (6, 6, 0.667, "not supported"),
        (6, 6, 0.5, "supported"),
        (4, 6, 0.667, "not supported"),
        (0, 6, 0.667, "contradicted"),
        (20, 20, 1, "not supported"),
        (5, 6, 1, "contradicted"),
    ],
)
def test_a_fraction_is_held_against_the_exact_interval_of_the_share(met, n, share, expected):
    values = [0.95] * met + [0.5] * (n - met)
    found = verdict({"variant": "vae", "at_least": 0.9, "in": share}, points("vae", values))
    assert found.verdict == expected
    outcome = found.main.outcome
    interval = scipy.stats.binomtest(met, n).proportion_ci(method="exact")
    assert outcome.interval == pytest.approx((interval.low, interval.high))
    assert (outcome.effect, outcome.in_direction, outcome.p) == (pytest.approx(met / n), met, None)


def test_a_fraction_that_too_few_seeds_can_show_says_how_many_would():
    found = verdict({"variant": "vae", "at_least": 0.9, "in": 0.667}, points("vae", [0.95] * 6))
    assert found.because.endswith("at least 10 seeds are needed to show a share of 0.667")
    every = verdict({"variant": "vae", "at_least": 0.9, "in": 1}, points("vae", [0.95] * 6))
    assert every.because.endswith("no number of seeds shows that every seed does")


def test_values_that_are_all_alike_decide_from_six_seeds_on_unless_they_are_of_closed_forms():
    """2 · 0.5⁶ = 0.03 is the first p of a sign test below 5 %; with two alternatives each has 2.5 %, and seven."""
    above = {"of": {"variant": "vae"}, "greater_than": {"variant": "ae"}}
    for n, expected in ((3, "not supported"), (5, "not supported"), (6, "supported")):
        grid = points("vae", [8.0] * n) + points("ae", [7.0] * n)
        assert verdict(above, grid).verdict == expected
        against = verdict(above | {"of": {"variant": "ae"}, "greater_than": {"variant": "vae"}}, grid)
        assert against.verdict == ("contradicted" if n == 6 else "not supported")
        assert verdict(above, grid, or_else=[{"expect": above}]).verdict == "not supported"
        twice = {"of": {"variant": "vae"}, "to": {"variant": "ae"}, "greater_than": 1.1}
        assert verdict(twice, grid).verdict == expected
    counts_of = {2: 2.0, 5: 4.0, 16: 9.0}
    grid = [point for d, count in counts_of.items() for point in points("vae", [count] * 3, latent_size=d)]
    trend = verdict({"variant": "vae", "increasing_in": "latent_size"}, grid)
    assert (trend.verdict, trend.main.outcome.interval, trend.main.outcome.p) == ("not supported", None, 1.0)
    few = verdict({"variant": "vae", "at_least": 8}, points("vae", [8.0] * 3))
    assert few.because.startswith("all 3 seeds give the same value; fewer than 6 may agree by chance")
    exact = points("pca", [0.1] * 3) + points("mean_image", [0.2] * 3)
    assert verdict({"of": {"variant": "pca"}, "less_than": {"variant": "mean_image"}}, exact).verdict == "supported"


def test_a_bound_without_a_share_is_of_the_mean_and_is_met_at_the_bound_itself():
    assert verdict({"variant": "vae", "at_most": 0.5}, points("vae", [0.5] * 6)).verdict == "supported"
    assert verdict({"variant": "vae", "at_least": 0.5}, points("vae", [0.5] * 6)).verdict == "supported"
    met = verdict({"variant": "vae", "at_most": 0.5}, points("vae", [0.5] * 6))
    assert met.because == "mean 0.5 claimed at most 0.5; so in 6 of 6 seeds"  # equal is not lower
    found = verdict({"variant": "vae", "at_most": 0.0125}, points("vae", LOW))
    assert (found.verdict, found.main.says) == ("supported", "mse of vae at most 0.0125")
    assert found.main.outcome.p == pytest.approx(scipy.stats.ttest_1samp(LOW, 0.0125).pvalue)
    assert verdict({"variant": "vae", "at_most": 0.009}, points("vae", LOW)).verdict == "contradicted"


# Several checks, and what the source leaves open


@pytest.mark.parametrize(
    ("main", "also", "told"),
    [
        (True, True, "supported"),
        (True, False, "supported in part"),
        (False, True, "contradicted"),
        (False, False, "contradicted"),
    ],
)
def test_the_main_check_decides_and_a_further_one_can_only_weaken_supported(main, also, told):
    turned = {"of": {"variant": "vae"}, "greater_than": {"variant": "ae"}}
    checks = [BELOW if holds else turned for holds in (main, also)]
    found = verdict(checks[0], points("vae", LOW) + points("ae", HIGH), also=[{"expect": checks[1]}])
    assert found.verdict == told
    assert len(found.checks) == 2


def test_an_unsupported_main_check_is_not_lifted_either():
    mixed = [0.02, 0.01, 0.02, 0.01, 0.02, 0.01]
    grid = points("vae", mixed) + points("ae", mixed[::-1])
    held = [{"expect": {"of": {"variant": "vae"}, "less_than": 1}}]
    assert verdict(BELOW, grid, also=held).verdict == "not supported"


def test_what_was_declared_open_is_under_specified_and_its_numbers_are_shown():
    found = verdict(BELOW, points("vae", LOW) + points("ae", HIGH), under_specified="no epochs given")
    assert (found.verdict, found.because) == ("under-specified", "no epochs given")
    assert found.main.outcome.verdict == "supported"


def test_an_also_check_narrows_the_claims_cells_and_changes_its_metric():
    grid = points("vae", LOW, latent_size=2) + points("ae", HIGH, latent_size=2)
    grid += points("vae", HIGH, latent_size=8) + points("ae", LOW, latent_size=8)
    found = verdict(BELOW, grid, where={"latent_size": 2}, also=[{"where": {"latent_size": 8}, "expect": BELOW}])
    assert [check.outcome.verdict for check in found.checks] == ["supported", "contradicted"]


@pytest.mark.parametrize(
    ("own", "other", "further", "told", "because"),
    [
        (True, False, None, "supported", "1 of 2 alternatives holds, "),
        (False, True, None, "supported", "1 of 2 alternatives holds, "),
        (True, True, None, "supported", "2 of 2 alternatives hold, "),
        (False, False, None, "contradicted", "none of 2 alternatives hold, "),
        (False, True, True, "supported", "all 2 checks hold; 1 of 2 alternatives holds, "),
        (False, True, False, "supported in part", "1 of 2 checks hold; not: "),
        (False, False, True, "contradicted", "none of 2 alternatives hold, "),
    ],
)
def test_one_of_the_alternatives_of_a_claim_is_enough(own, other, further, told, because):
    def check(holds):
        return BELOW if holds else {"of": {"variant": "vae"}, "greater_than": {"variant": "ae"}}

    also = [] if further is None else [{"expect": check(further)}]
    grid = points("vae", LOW) + points("ae", HIGH)
    found = verdict(check(own), grid, or_else=[{"expect": check(other)}], also=also)
    assert found.verdict == told
    assert found.because.startswith(because)
    assert len(found.checks) == 2 + len(also)


def test_alternatives_are_paid_for():
    """p = 0.042: supported alone, and not as one of two alternatives."""
    grid = points("vae", [1.0, 2.0, 3.0, 4.0]) + points("ae", [1.5, 2.2, 3.75, 4.25])
    alone = verdict(BELOW, grid)
    assert alone.verdict == "supported"
    assert alone.main.outcome.p > 0.025
    other = [{"expect": {"of": {"variant": "vae"}, "greater_than": {"variant": "ae"}}}]
    found = verdict(BELOW, grid, or_else=other)
    assert found.verdict == "not supported"
    assert "each at the level 97.5 %" in found.because
    shown = as_json([found])["claims"][0]["checks"][0]
    expected = scipy.stats.ttest_rel([1.0, 2.0, 3.0, 4.0], [1.5, 2.2, 3.75, 4.25]).confidence_interval(0.975)
    assert (shown["level"], shown["interval"]) == (0.975, pytest.approx([expected.low, expected.high]))
    assert "at 97.5 %" in as_text([found])


def test_a_claim_with_an_alternative_that_has_not_run_waits_for_it():
    grid = points("vae", LOW) + points("ae", HIGH) + points("vae", [None] * 6, latent_size=9)
    late = [{"where": {"latent_size": 9}, "expect": {"of": {"variant": "vae"}, "less_than": 1}}]
    found = verdict(BELOW, grid, where={"latent_size": 2}, or_else=late)
    assert found.verdict == "not run"


# The stated error of every form, by simulation

TIMES, TRENDS = 1_000, 400
SAMPLES = np.random.default_rng(0).normal(size=(TIMES, 6, 10))  #: repetition, side or level, seed


def at_most(rate):
    """The largest count of wrong verdicts that a rate allows, with room for the simulation's own noise."""
    return scipy.stats.binom.ppf(0.999, TIMES, rate)


def times(expect, sides, n, trend_over=False):
    """How often each verdict comes out; sides: (repetition, side, seed)."""
    expect = read(expect, Issues())
    found = []
    for rows in sides[:, :, :n].tolist():
        values = [dict(enumerate(row)) for row in rows]
        named = {f"latent size {i}": row for i, row in enumerate(values)}
        found.append((decide_trend(expect, named) if trend_over else decide(expect, *values)).verdict)
    return {name: found.count(name) for name in ("supported", "supported in part", "contradicted")}


SIDE = {"variant": "vae"}
ONE, TWO = SAMPLES[:, :1], SAMPLES[:, :2]
SEEDS = 3 * SAMPLES[:, 2:3]  #: an effect that a seed has on both sides
BORDERS = {
    "less_than": ({"less_than": SIDE}, TWO + SEEDS),
    "greater_than a number": ({"greater_than": 3}, ONE + 3),
    "at_least": ({"at_least": 3}, ONE + 3),
    "ratio": ({"to": SIDE, "greater_than": 1.5}, np.exp(TWO + np.array([[math.log(1.5)], [0.0]]))),
    "same_as at its upper end": ({"same_as": SIDE, "margin": 0.05}, TWO + SEEDS + np.array([[105.0], [100.0]])),
    "same_as at its lower end": ({"same_as": SIDE, "margin": 0.5}, TWO + np.array([[-15.0], [-10.0]])),
    "same_as that moves with the reference": (
        {"same_as": SIDE, "margin": 0.2},
        np.stack([1.2 * (10 + SAMPLES[:, 0]) + 0.1 * SAMPLES[:, 1], 10 + SAMPLES[:, 0]], 1),
    ),
    "near": ({"near": 2, "abs_tolerance": 3}, ONE + 5),
}


@pytest.mark.parametrize("n", [3, 6])
@pytest.mark.parametrize("name", list(BORDERS))
def test_at_the_border_of_a_one_sided_claim_each_wrong_verdict_has_at_most_a_fortieth(name, n):
    form, sides = BORDERS[name]
    found = times({"of": SIDE} | form, sides, n)
    assert max(found.values()) <= at_most(0.025)
    assert max(found.values()) > at_most(0.025) / 10  # the border is where the error is largest


@pytest.mark.parametrize("n", [3, 6])
def test_equal_sides_are_called_different_once_in_twenty(n):
    found = times({"of": SIDE, "different_from": SIDE}, TWO + SEEDS, n)
    assert found["supported"] <= at_most(0.05)
    assert found["contradicted"] == 0


@pytest.mark.parametrize("n", [3, 6, 10])
@pytest.mark.parametrize(("claimed", "true"), [(0.667, 0.5), (0.667, 0.666), (0.5, 0.49), (0.3, 0.299), (1, 0.95)])
def test_a_share_below_the_claimed_one_is_supported_once_in_forty_at_most(claimed, true, n):
    met = np.random.default_rng(n).random((TIMES, 1, n)) < true
    found = times({"of": SIDE, "at_least": 1, "in": claimed}, met.astype(float), n)
    assert found["supported"] + found["supported in part"] <= at_most(0.025)
    assert times({"of": SIDE, "at_most": 0, "in": claimed}, 1.0 - met, n) == found


@pytest.mark.parametrize("n", [3, 6, 10])
@pytest.mark.parametrize("share", [0.3, 0.667, 1])
def test_a_share_that_is_the_claimed_one_is_contradicted_once_in_forty_at_most(share, n):
    met = np.random.default_rng(n).random((TIMES, 1, n)) < share
    assert times({"of": SIDE, "at_least": 1, "in": share}, met.astype(float), n)["contradicted"] <= at_most(0.025)


@pytest.mark.parametrize("more", [{}, {"in": 0.3}])
@pytest.mark.parametrize(
    ("means", "spread"),
    [((4, 2, 0, 1, 2), 1.0), ((4, 2, 0, 1, 2), 3.0), ((4, 2, 0, 0), 0.2), ((0, 0, 0), 1.0)],
)
def test_means_that_do_not_decrease_at_every_step_are_not_called_decreasing(means, spread, more):
    values = np.array(means, float)[:, None] + spread * SAMPLES[:TRENDS, : len(means)]
    found = times({"of": SIDE, "decreasing_in": "latent_size"} | more, values, 6, trend_over=True)
    assert found["supported"] + found["supported in part"] <= scipy.stats.binom.ppf(0.999, TRENDS, 0.025)


@pytest.mark.parametrize("n", [3, 6])
def test_a_trend_at_its_border_is_contradicted_once_in_forty_at_most(n):
    values = SAMPLES[:TRENDS, :4] + SAMPLES[:TRENDS, 4:5]
    found = times({"of": SIDE, "increasing_in": "latent_size"}, values, n, trend_over=True)
    assert found["contradicted"] <= scipy.stats.binom.ppf(0.999, TRENDS, 0.025)


def test_false_alternatives_are_supported_once_in_forty_at_most():
    m, repetitions, supported = 4, 300, 0
    expect = {"of": {"variant": "vae"}, "less_than": 0.0}
    for rows in SAMPLES[:repetitions, :m, :5].tolist():
        grid = [point for size, row in enumerate(rows) for point in points("vae", row, latent_size=size + 2)]
        others = [{"where": {"latent_size": size + 2}, "expect": expect} for size in range(1, m)]
        supported += verdict(expect, grid, where={"latent_size": 2}, or_else=others).verdict == "supported"
    assert supported <= scipy.stats.binom.ppf(0.999, repetitions, 0.025)


@pytest.mark.parametrize(
    ("form", "sides"),
    [
        ({"less_than": SIDE}, TWO + np.array([[0.0], [6.0]])),
        ({"to": SIDE, "less_than": 0.5}, np.exp(0.1 * TWO - np.array([[2.0], [0.0]]))),
        ({"same_as": SIDE, "margin": 0.1}, TWO + 100),
        ({"near": 2, "tolerance": 0.5}, 0.2 * ONE + 2),
        ({"at_most": 9}, ONE),
        ({"at_least": -9, "in": 0.5}, ONE),
        ({"different_from": SIDE}, TWO + np.array([[0.0], [6.0]])),
    ],
)
def test_what_is_plainly_so_is_supported_with_six_seeds(form, sides):
    assert times({"of": SIDE} | form, sides[:300], 6)["supported"] >= 290


def test_a_plain_trend_is_supported_with_six_seeds():
    values = SAMPLES[:300, :4] - 5 * np.arange(4)[:, None]
    assert times({"of": SIDE, "decreasing_in": "latent_size"}, values, 6, trend_over=True)["supported"] >= 290


# The committed verdicts


def test_the_readmes_table_of_claims_counts_the_committed_verdicts():
    columns = ("supported", "supported in part", "not supported", "contradicted", "under-specified")
    rows = re.findall(r"^\| `(seed_\w+)` \|(.*)\|$", (ROOT / "README.md").read_text(encoding="utf-8"), re.MULTILINE)
    stated = {suite: [int(cell.strip() or 0) for cell in row.split("|")[:5]] for suite, row in rows}
    found = {suite: counts(verdicts(ROOT / "results", suite)) for suite in stated}
    assert stated == {suite: [found[suite].get(name, 0) for name in columns] for suite in stated}
    assert len(stated) == 5


@pytest.mark.parametrize(("suite", "claim_id"), [("seed_autoencoders", "001-1"), ("seed_exploring", "002-1")])
def test_a_contradicted_main_check_is_contradicted_whatever_stands_under_also(suite, claim_id):
    [found] = [verdict for verdict in verdicts(ROOT / "results", suite) if verdict.id == claim_id]
    assert (found.verdict, found.main.outcome.verdict) == ("contradicted", "contradicted")
    assert any(check.outcome.verdict == "supported" for check in found.checks[1:]) or claim_id == "002-1"


# What is not there


def test_missing_cells_are_not_run_and_say_how_many_of_how_many():
    found = verdict(BELOW, points("vae", [*LOW[:4], None, None]) + points("ae", HIGH))
    assert found.verdict == "not run"
    assert found.because.startswith("10 of 12 cells have a number (not run yet); so far: ")
    assert found.main.outcome.n == 4


def test_a_failed_cell_is_waited_for_and_beside_a_diverged_one_no_claim_is_supported():
    def ending(status):
        grid = points("vae", LOW) + points("ae", HIGH)
        return [Point(grid[0].id, grid[0].cell, status, "step 12", {}), *grid[1:]]

    assert verdict(BELOW, ending("failed")).verdict == "not run"
    found = verdict(BELOW, ending("diverged"))
    assert found.verdict == "not supported"
    lost = "only 11 of 12 cells have a number (diverged: step 12), and the missing value may be the worst; without it: "
    assert found.because.startswith(lost)
    assert found.main.outcome.n == 5


def test_a_metric_that_does_not_exist_for_a_model_is_not_run_with_its_reason():
    grid = points("vae", LOW, "elbo")
    gone = {"elbo": {"value": None, "reason": "a deterministic code has no ELBO"}}
    grid += [Point(p.id, p.cell, p.status, "", gone) for p in points("ae", HIGH)]
    found = verdict(BELOW, grid, metric="elbo")
    assert found.verdict == "not run"
    assert "a deterministic code has no ELBO" in found.because


def test_a_metric_that_is_not_computed_yet_is_not_run():
    found = verdict(BELOW, points("vae", LOW) + points("ae", HIGH), metric="fid_prior")
    assert (found.verdict, found.main.outcome.effect) == ("not run", None)
    assert "fid_prior is not computed yet" in found.because


def test_values_under_different_keys_are_never_compared():
    grid = points("vae", LOW, key={"likelihood": "bernoulli"}) + points("ae", HIGH, key={"likelihood": "gaussian"})
    found = verdict(BELOW, grid)
    assert (found.verdict, found.because) == ("not run", "not comparable: likelihood differs: bernoulli, gaussian")


def test_different_metrics_are_compared_unless_a_key_that_both_have_differs():
    def side(label, values, metric, **key):
        return points(label, values, metric, key=key)

    expect = BELOW | {"less_than": {"variant": "ae", "metric": "elbo"}}
    assert verdict(expect, side("vae", LOW, "mse") + side("ae", HIGH, "elbo", k="1")).verdict == "supported"
    assert verdict(expect, side("vae", LOW, "mse", k="2") + side("ae", HIGH, "elbo", k="1")).verdict == "not run"


@pytest.mark.parametrize(
    ("first", "second", "told"),
    [
        ({"sampler_version": 1}, {"sampler_version": 2}, "sampler_version differs: 1, 2"),
        ({"sampler_sha256": "a"}, {}, "sampler_sha256 differs: a, none"),
        ({"version": 1}, {"version": 2}, "version differs: 1, 2"),
    ],
)
def test_values_of_two_definitions_are_never_compared(first, second, told):
    def grid(values, *entries, metric="mse", label="vae"):
        return [replace(p, metrics={metric: p.metrics[metric] | entry})
                for p, entry in zip(points(label, values, metric), entries, strict=True)]  # fmt: skip

    across = verdict(BELOW, grid(LOW, *[first] * 6) + grid(HIGH, *[second] * 6, label="ae"))
    assert (across.verdict, across.because) == ("not run", f"not comparable: {told}")
    elbo = BELOW | {"less_than": {"variant": "ae", "metric": "elbo"}}
    within = verdict(elbo, grid(LOW, *[first] * 5, second) + points("ae", HIGH, "elbo"))
    assert (within.verdict, within.because) == ("not run", f"not comparable: {told}")
    other = verdict(elbo, grid(LOW, *[first] * 6) + grid(HIGH, *[second] * 6, metric="elbo", label="ae"))
    assert other.verdict == "supported"  # of two metrics


def test_values_of_other_images_of_one_dataset_are_never_compared():
    def seen(fingerprint, *parts):
        return [replace(p, fingerprint=fingerprint) for p in points(*parts[:2], **parts[2])]

    mnist = {"dataset": "mnist"}
    found = verdict(BELOW, seen("a", "vae", LOW, mnist) + seen("b", "ae", HIGH, mnist))
    assert (found.verdict, found.because) == ("not run", "not comparable: images of mnist differs: a, b")
    assert verdict(BELOW, seen("a", "vae", LOW, mnist) + seen("a", "ae", HIGH, mnist)).verdict == "supported"
    other = verdict(BELOW, seen("a", "vae", LOW, mnist) + seen("b", "ae", HIGH, {"dataset": "digits"}))
    assert other.verdict == "supported"  # the claim compares two datasets


def test_several_rows_on_one_side_are_never_pooled():
    grid = points("vae", LOW) + points("vae", LOW, latent_size=8) + points("ae", HIGH)
    found = verdict(BELOW, grid)
    assert (found.verdict, found.because) == ("not run", "vae means several rows at once")


@pytest.mark.parametrize("broken", [None, 3, {}, {"of": 3, "less_than": 1}, {"less_than": "x"}, {"of": {}, "near": 1}])
def test_a_claim_that_cannot_be_read_is_not_run(broken):
    found = verdict(broken, points("vae", LOW))
    assert found.verdict == "not run"
    assert found.because.startswith("the claim cannot be read: ")


def points_of(label, values, dataset, called):
    """The same of a dataset that goes by another name."""
    return [replace(p, cell=p.cell | {"dataset_label": called}) for p in points(label, values, dataset=dataset)]


def test_a_verdict_says_on_which_data_it_was_found_whatever_the_claim_names():
    jpeg = ("folder", "CIFAR-10 as JPEG")
    grid = points_of("ae", HIGH, *jpeg) + points_of("vae", LOW, *jpeg) + points("pca", [None] * 3, dataset="stl10")
    found = verdict(BELOW, grid, says="lower on STL-10")
    assert found.datasets == ("CIFAR-10 as JPEG",)
    assert "lower on STL-10  (t; tested on CIFAR-10 as JPEG)" in as_text([found])
    gone = verdict({"of": {"variant": "pca"}, "less_than": 3}, grid)
    assert gone.datasets == ()
    assert "tested on" not in as_text([gone])


def test_a_claim_over_two_datasets_names_both_in_the_order_of_its_checks():
    grid = [p for name in ("mnist", "digits") for label, at in (("ae", 1.0), ("vae", 2.0))
            for p in points(label, [at, at + 0.1, at + 0.2], dataset=name)]  # fmt: skip
    also = [{"where": {"dataset": "digits"}, "expect": BELOW}]
    found = verdict(BELOW, grid, where={"dataset": "mnist"}, also=also)
    assert [check.datasets for check in found.checks] == [("mnist",), ("digits",)]
    assert found.datasets == ("mnist", "digits")


def test_holm_is_over_the_claims_that_have_a_p():
    grid = points("vae", LOW) + points("ae", HIGH)
    fraction = claim({"variant": "vae", "at_most": 1, "in": 0.5})
    found = judge([claim(BELOW), fraction, claim({"variant": "vae", "less_than": 0.0112})], grid)
    ps = [v.main.outcome.p for v in found]
    assert ps[1] is found[1].p_holm is None
    assert found[0].p_holm == pytest.approx(2 * ps[0])
    assert found[2].p_holm == pytest.approx(max(ps[2], 2 * ps[0]))


# In a suite file

SUITE = """\
title: A test
grid: {datasets: [digits], variants: [ae, vae], nets: [mlp, conv], latent_sizes: [2, 4, 8], seeds: 6}
evaluate: {samplers: [prior]}
metrics: [mse, elbo, fcd]
claims:
  - {id: a, says: s, source: t, where: {net: mlp, latent_size: 2}, metric: mse, expect: %s}
"""
GOOD = "{of: {variant: vae}, less_than: {variant: ae}}"


def told(tmp_path, text, *overrides):
    path = tmp_path / "x.yaml"
    path.write_text(text)
    with pytest.raises(SuiteError) as error:
        load(path, overrides)
    return [fault.removeprefix(str(tmp_path)).split("\n")[0] for fault in error.value.faults]


@pytest.mark.parametrize(
    "expect",
    [
        GOOD,
        "{variant: vae, greater_than: {variant: ae, latent_size: 4}}",
        "{variant: vae, less_than: 1.1}",
        "{variant: vae, near: 0.0028, tolerance: 0.25}",
        "{of: {variant: vae}, to: {variant: ae}, greater_than: 1.5}",
        "{of: {variant: vae}, same_as: {variant: ae}, margin: 0.05}",
        "{of: {variant: vae}, same_as: {variant: ae}, within: 0.05}",
        "{of: {variant: vae, latent_size: [2, 4, 8]}, decreasing_in: latent_size}",
        "{variant: vae, at_least: 0.9, in: 0.667}",
        "{variant: vae, metric: fcd_prior, different_from: {variant: ae, metric: mse}}",
    ],
)
def test_every_form_is_valid_in_the_file_and_in_the_schema(tmp_path, expect):
    path = tmp_path / "x.yaml"
    path.write_text(SUITE % expect)
    [loaded] = load(path).claims
    plain = {"id": "a", "says": "s", "source": "t", "metric": "mse", "expect": loaded.expect}
    grid = {"datasets": ["digits"], "variants": ["ae"], "latent_sizes": [2], "seeds": 6}
    jsonschema.validate({"title": "x", "grid": grid, "claims": [plain]}, json_schema())


MISTAKES = """\
{variant: vae, les_than: 1}                            | .les_than | unknown key 'les_than'; did you mean 'less_than'?
{variant: vae, less_than: 1, near: 2, tolerance: 1}    | .near | 'less_than' and 'near' are two forms
{variant: vae}                                         | | has no form to be tested: one of less_than,
{variant: vaee, less_than: 1}                          | | no cell has variant vaee; did you mean 'vae'?
{of: {variant: vaee}, less_than: 1}                    | .of | no cell has variant vaee
{variant: vae, less_than: {latent_size: 3}}            | .less_than | no cell has latent_size 3
{variant: vae, less_than: {varant: ae}}                | .less_than.varant | unknown key 'varant'; did you
{variant: vae, less_than: {metric: msee, variant: ae}} | .less_than.metric | this suite has no value 'msee'; did
{variant: vae, metric: fcd, less_than: 1}              | .metric | 'fcd' is several values; choose one of them: fcd
{variant: vae, less_than: high}                        | .less_than | expected a number, or a selector such as
{less_than: {variant: ae}}                             | | selects several rows; choose a label: ae, vae
{of: {variant: vae, net: [mlp, conv]}, less_than: 1}   | .of | selects several rows; choose a net: mlp, conv
{variant: vae, less_than: {variant: vae}}              | | both sides are the same cells under the same metric
{variant: vae, near: 1}                                | .near | 'near' needs one of tolerance or abs_tolerance
{variant: vae, near: 1, tolerance: -1}                 | .tolerance | must be above 0, got -1
{variant: vae, near: 0, tolerance: 0.1}                | .tolerance | a tolerance relative to 0 is 0; give abs_tolerance
{variant: vae, same_as: 1, margin: 0.1}                | .same_as | expected a selector such as {variant: ae}, got 1
{variant: vae, less_than: 1, margin: 0.1}              | .margin | 'margin' has no effect beside 'less_than'
{of: {variant: vae}, net: mlp, less_than: 1}           | .net | 'net' stands beside 'of'; put it inside
{variant: vae, decreasing_in: epochs}                  | .decreasing_in | a trend is in latent_size, got 'epochs'
{variant: vae, decreasing_in: latent_size}             | | a trend needs 3 latent sizes or more, here are 1
{variant: vae, at_least: 1, in: 1.5}                   | .in | must be a fraction of the seeds, above 0 and at most 1
{of: {variant: vae, seed: 1}, less_than: 1}            | .of.seed | both sides have the same seeds; choose
"""


@pytest.mark.parametrize("mistake", MISTAKES.splitlines())
def test_a_mistake_is_told_with_its_place_before_anything_trains(tmp_path, mistake):
    expect, place, message = (part.strip() for part in mistake.split("|"))
    [fault] = told(tmp_path, SUITE % expect)
    at, _, words = fault.partition(": ")
    assert at.startswith("/x.yaml:6:")
    assert words.startswith(f"claims[0].expect{place}: {message}")


def test_the_caret_stands_below_the_key_that_nobody_knows(tmp_path):
    path = tmp_path / "x.yaml"
    path.write_text(SUITE % "{variant: vae, les_than: 1}")
    with pytest.raises(SuiteError) as error:
        load(path)
    _, shown, caret = str(error.value).split("\n")
    assert shown[caret.index("^") :].startswith("les_than: 1")


def test_where_metric_and_also_are_checked_too(tmp_path):
    text = SUITE % GOOD
    assert "where: no cell has net mpl; did you mean 'mlp'" in told(tmp_path, text.replace("net: mlp", "net: mpl"))[0]
    assert "this suite has no value 'mze'" in told(tmp_path, text.replace("metric: mse", "metric: mze"))[0]
    also = text.replace("expect: {", "also: [{metric: elbow, expect: {variant: vae, less_than: 0}}], expect: {")
    assert "claims[0].also[0].metric: this suite has no value 'elbow'" in told(tmp_path, also)[0]
    other = also.replace("also:", "or_else:")
    assert "claims[0].or_else[0].metric: this suite has no value 'elbow'" in told(tmp_path, other)[0]


def test_a_set_that_takes_a_claims_cells_away_is_no_fault(tmp_path):
    path = tmp_path / "x.yaml"
    path.write_text(SUITE % GOOD)
    assert load(path, ["grid.latent_sizes=[16]"]).claims
    assert load(path, ["metrics=[elbo]"]).claims
    path.write_text(SUITE % GOOD.replace("variant: vae", "varant: vae"))
    with pytest.raises(SuiteError, match="unknown key 'varant'"):
        load(path, ["grid.latent_sizes=[16]"])


# On the command line and in the report


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """A made-up result set with a claim of every kind of ending."""
    root = tmp_path_factory.mktemp("results")
    where = {"where": {"net": "mlp", "latent_size": 2}}
    claims = [
        claim({"variant": "ae", "less_than": {"variant": "vae"}}, id="held", says="AE is better", **where),
        claim({"variant": "vae", "less_than": {"variant": "ae"}}, id="turned", says="VAE is better", **where),
        claim({"variant": "vae", "greater_than": {"variant": "ae"}}, id="gone", metric="fid_prior", **where),
        claim({"variant": "vae", "near": 1, "tolerance": 0.1}, id="open", under_specified="no unit", **where),
    ]
    fields = {"claims": claims}
    synthetic.write(root, "demo", sizes=(2,), seeds=6, artefacts=False, fields=fields)
    synthetic.write(root, "plain", sizes=(2,), seeds=1, labels=("vae",), nets=("mlp",), artefacts=False)
    return root


def test_the_verb_prints_verdicts_and_json_has_the_promised_shape(results, tmp_path):
    done = run_bench("claims", "suites/demo.yaml", "--results", str(results), "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)["claims"]
    assert [(c["id"], c["verdict"]) for c in found] == [
        ("held", "supported"), ("turned", "contradicted"), ("gone", "not run"), ("open", "under-specified"),
    ]  # fmt: skip
    assert {"id", "says", "source", "verdict", "effect", "interval", "p", "seeds", "cells"} <= found[0].keys()
    assert [c["datasets"] for c in found] == [["mnist"], ["mnist"], [], ["mnist"]]
    assert found[0]["seeds"] == {"n": 6, "in_direction": 6}
    assert found[0]["interval"][0] < found[0]["effect"] < found[0]["interval"][1] < 0
    assert len(found[0]["cells"]) == 12
    assert all((results / "demo" / cell / "record.json").is_file() for cell in found[0]["cells"])
    text = run_bench("claims", "demo", "--results", str(results), cwd=tmp_path).stdout
    assert "supported         held  AE is better  (t; tested on mnist)" in text
    assert "1 supported, 1 contradicted, 1 under-specified, 1 not run of 4 claims" in text
    assert "is for information and changes no verdict" in " ".join(text.split())


def test_the_verb_says_where_there_is_nothing(results, tmp_path):
    plain = run_bench("claims", "plain", "--results", str(results), cwd=tmp_path)
    assert (plain.returncode, plain.stdout) == (0, "this suite declares no claims\n")
    wrong = run_bench("claims", "demmo", "--results", str(results), cwd=tmp_path)
    assert wrong.returncode == 2
    assert "did you mean 'demo'" in wrong.stderr


def test_claims_follow_the_summary_of_a_suites_page_and_are_counted_on_the_index(results, tmp_path):
    index = report.build(results, tmp_path)
    page = Page(tmp_path / "suites" / "demo" / "index.html")
    sections = [attributes["id"] for tag, attributes in page.tags if tag == "section"]
    assert [name for name in sections if not name.startswith("table-")][:2] == ["summary", "claims"]
    links = {a["href"] for tag, a in page.tags if tag == "a" and a.get("href", "").endswith("/index.html")}
    ids = {cell for v in json.loads(run_json(results))["claims"] for cell in v["cells"]}
    assert {f"{cell}/index.html" for cell in ids} <= links
    text = " ".join(page.text.split())
    assert "MSE of AE below that of VAE" in text
    assert text.count("tested on MNIST") == 3
    assert "under-specified" in text
    assert "1 supported 1 contradicted 1 under-specified 1 not run" in " ".join(Page(index).text.split())


def run_json(results):
    return json.dumps(as_json(verdicts(results, "demo")))


def test_a_suite_without_claims_has_no_such_section(results, tmp_path):
    report.build(results, tmp_path)
    page = Page(tmp_path / "suites" / "plain" / "index.html")
    assert "claims" not in [a.get("id") for tag, a in page.tags if tag == "section"]
    assert "Claims" not in page.text


HOSTILE = "<script>alert(1)</script>\"'&{{ 7*7 }}"


def test_hostile_claims_show_as_text(tmp_path):
    cells = synthetic.grid(sizes=(2,), seeds=3, nets=("mlp",))
    for cell in cells:
        synthetic.write_record(tmp_path, "bad", synthetic.make_record(cell, "bad"), artefacts=False)
    words = dict.fromkeys(("id", "says", "source", "note", "metric", "under_specified"), HOSTILE)
    claims = [claim({"variant": "ae", "less_than": {"variant": HOSTILE}}, **words), 7, claim([HOSTILE]),
              claim({"variant": "ae", HOSTILE: 1}), claim(BELOW, where=[HOSTILE], also=HOSTILE),
              claim({"of": {"latent_size": {}}, "at_least": 1e308})]  # fmt: skip
    synthetic.write_suite(tmp_path, "bad", [(cell, None) for cell in cells], claims=claims)
    report.build(tmp_path, tmp_path / "site")
    place = tmp_path / "site" / "suites" / "bad"
    page = Page(place / "index.html")
    scripts = [a for tag, a in page.tags if tag == "script"]
    assert scripts
    assert all(set(a) == {"src", "defer"} and (place / a["src"]).is_file() for a in scripts)
    assert HOSTILE in page.text
    assert sum(tag == "li" and a.get("class") == "claim" for tag, a in page.tags) == 5


def test_the_drawing_has_a_dot_a_seed_and_the_border():
    grid = points("vae", LOW) + points("ae", HIGH)
    svg = str(drawing(verdict(BELOW, grid).main.outcome))
    assert svg.count("h0") == 6
    assert svg.count('class="border"') == 1
    assert str(drawing(verdict(BELOW, []).main.outcome)) == ""


def test_lines_divide_at_words_and_stay_behind_the_verdict():
    found = [verdict(BELOW, points("vae", LOW) + points("ae", HIGH), says="a statement of several words " * 4)]
    lines = as_text(found, width=60).splitlines()
    assert max(map(len, lines)) <= 60
    assert lines[0].startswith("supported         c  ")
    assert all(line.startswith(" " * 18) for line in lines[1 : lines.index("")])
    assert " ".join(" ".join(lines).split()) == " ".join(as_text(found).split())
