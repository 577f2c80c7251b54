"""The table of methods: what counts as a proof of which method, and what a failed test does to it."""

import ast
import json
from textwrap import dedent

import pytest
from click.testing import CliRunner

from bench import registry
from benchmarks import methods


def test_a_test_names_methods_itself_by_parameters_by_helpers_and_by_what_it_imports():
    tree = ast.parse(
        dedent("""
        from bench.models.variants import pca
        from bench.models.variants.beta_tc_vae import kl_parts as parts
        NAMES = ["ae", "vae"]
        def helper(): return make("iwae")
        def test_own(): make("gm_vae")
        @parametrize("name", NAMES)
        def test_parameters(name): make(name)
        def test_helper(): helper()
        def test_imports(): parts(pca)
        def test_nothing(): "a vae"
    """)
    )
    found = methods.named(tree, set(registry.names("variants")))
    assert found == {
        "test_own": {"gm_vae"},
        "test_parameters": {"ae", "vae"},
        "test_helper": {"iwae"},
        "test_imports": {"beta_tc_vae", "pca"},
        "test_nothing": set(),
    }


def test_every_method_has_a_proof_and_a_family():
    found = methods.proofs()
    assert set(found) == set(registry.names("variants"))
    assert [name for name, counted in found.items() if not counted.tests] == []


def test_a_case_counts_for_the_methods_of_its_parameters_or_for_all_that_its_test_names():
    found = {name: methods.Counted({"f::t"}) for name in ("ae", "vae", "iwae")}
    methods.count(found, [("f::t", "ae-off0-vae", True), ("f::t", "vae", False), ("f::other", "ae", False)])
    assert [(c.passed, c.failed) for c in found.values()] == [(1, 0), (1, 1), (0, 0)]
    assert found["vae"].words() == "1 of 2 failed"
    methods.count(found, [("f::t", "", True)])
    assert found["iwae"].words() == "1 ✓"


@pytest.mark.parametrize("passed", [True, False])
def test_the_command_runs_what_the_table_names_and_fails_where_a_test_does(monkeypatch, passed):
    asked = []
    case = ("test_pythae::test_values_are_those_of_pythae", "iwae", passed)
    monkeypatch.setattr(methods, "run", lambda tests: asked.extend(tests) or [case])
    done = CliRunner().invoke(methods.methods, ["--run", "--json"])
    assert done.exit_code == (0 if passed else 1)
    [iwae] = [row for row in json.loads(done.output) if row["method"] == "iwae"]
    assert iwae["pythae"] == ("IWAE ✓" if passed else "IWAE: failed")
    assert {"::".join(methods.PEER), "::".join(methods.STACKED)} < set(asked)


def test_outcomes_are_those_of_pytest():
    outcomes = methods.run(["test_similarity::test_equal_images_have_similarity_1_and_opposite_ones_less_than_a_half"])
    assert outcomes == [
        ("test_similarity::test_equal_images_have_similarity_1_and_opposite_ones_less_than_a_half", "", True)
    ]


def test_numbers_that_do_not_compare_say_what_they_are_of():
    assert methods._condition("vae", "elbo", "bernoulli") == ""
    assert methods._condition("sigma_vae", "elbo", "learned_gaussian") == "learned gaussian"
    assert methods._condition("conditional_vae", "elbo", "bernoulli") == "given the label"
    assert methods._condition("vamp_vae", "fcd_own_prior", "bernoulli") == "own prior"
