"""`include`: keys of a suite that stand in another file."""

from pathlib import Path

import jsonschema
import pytest

from bench import registry
from bench.errors import SuiteError
from bench.suite import load
from bench.suite.json_schema import json_schema

COMMON = """\
train: {epochs: 3, lr: 0.01}
evaluate:
  knn_k: 7
  embed: {methods: []}
metrics: [mse, knn_accuracy]
grid:
  - {datasets: [digits], variants: [ae], latent_sizes: [2], seeds: 2}
  - datasets: [digits]
    variants: [vae]
    latent_sizes: [4]
    seeds: 3
    train: {epochs: 9}
"""
GRID = "grid: {datasets: [digits], variants: [vae], latent_sizes: [2], seeds: 1}\n"
WHOLE = f"""\
title: One file
{GRID}
train: {{epochs: 3, lr: 0.01}}
evaluate: {{knn_k: 7, embed: {{methods: []}}}}
metrics: [mse, knn_accuracy]
"""


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("shared").mkdir()
    Path("shared/common.yaml").write_text(COMMON)
    return tmp_path


def suite(text, **more):
    for name, content in {"x.yaml": text, **more}.items():
        Path(name).write_text(content)
    return load("x.yaml")


def fault(text, **more):
    with pytest.raises(SuiteError) as caught:
        suite(text, **more)
    return str(caught.value)


def test_what_is_included_is_as_if_it_stood_here_and_ids_do_not_tell():
    whole = suite(WHOLE)
    shared = suite(f"title: One file\ninclude: shared/common.yaml\n{GRID}")
    assert [cell.id for cell in shared.cells] == [cell.id for cell in whole.cells]
    assert (shared.digest, shared.metrics, shared.evaluate) == (whole.digest, whole.metrics, whole.evaluate)
    assert suite(f"title: Of Python\n{GRID}").cells[0].id != whole.cells[0].id


def test_a_key_that_stands_here_wins_as_a_whole():
    found = suite(f"title: x\ninclude: shared/common.yaml\n{GRID}train: {{epochs: 5}}\n")
    assert (found.train.epochs, found.train.lr) == (5, 1e-3)
    found = suite(f"title: x\n{GRID}train: {{epochs: 5, include: shared/common.yaml#train}}\n")
    assert (found.train.epochs, found.train.lr) == (5, 0.01)


def test_a_block_of_the_grid_and_what_is_in_it_are_included_by_their_place():
    found = suite("title: x\ngrid: {include: 'shared/common.yaml#grid[1]', seeds: 1, variants: [ae]}\n")
    assert [(c.label, c.latent_size, c.seed, c.train.epochs) for c in found.cells] == [("ae", 4, 0, 9)]
    found = suite("title: x\ngrid: {include: 'shared/common.yaml#grid[1]', train: {lr: 0.1}}\n")
    assert {(c.train.epochs, c.train.lr) for c in found.cells} == {(20, 0.1)}
    found = suite(f"title: x\n{GRID}evaluate: {{embed: {{include: shared/common.yaml#evaluate.embed, seed: 3}}}}\n")
    assert (found.evaluate.embed.methods, found.evaluate.embed.seed) == ((), 3)


def test_of_several_files_the_first_that_has_a_key_gives_it_and_a_file_may_include_others():
    more = {
        "a.yaml": "train: {epochs: 1}\ninclude: shared/b.yaml\n",
        "shared/b.yaml": "include: common.yaml\nmetrics: [mse]\n",
    }
    found = suite(f"title: x\ninclude: [a.yaml, shared/common.yaml]\n{GRID}", **more)
    assert (found.train.epochs, found.metrics, found.evaluate.knn_k) == (1, ("mse",), 7)


def test_set_and_a_mapping_of_python_see_what_is_included(here):
    suite(f"title: x\ninclude: shared/common.yaml\n{GRID}")
    assert load("x.yaml", ["train.epochs=8"]).train == load("x.yaml").train.model_copy(update={"epochs": 8})
    content = {"title": "x", "include": "shared/common.yaml", "grid": {"include": "shared/common.yaml#grid[0]"}}
    assert (len(load(content).cells), load(content).train.epochs) == (2, 3)


def test_the_text_that_is_kept_needs_no_other_file(here):
    kept = suite(f"title: x # a comment\ninclude: shared/common.yaml\n{GRID}").text
    assert kept.startswith("# x.yaml with what it includes of shared/common.yaml\ntitle: x\n")
    Path("shared/common.yaml").unlink()
    Path("y.yaml").write_text(kept)
    assert load("y.yaml").train.epochs == 3
    assert "a comment" in suite(f"title: x # a comment\n{GRID}").text  # without include it is the file itself


def test_a_folder_of_plugins_is_relative_to_the_file_that_names_it(here):
    Path("shared/mine/metrics").mkdir(parents=True)
    Path("shared/mine/metrics/zero.py").write_text(
        "from bench.evaluation.metrics import metric\n\n"
        "@metric(unit='1', better='lower', counts='images')\ndef zero(images):\n    return 0.0\n"
    )
    text = f"title: x\ninclude: shared/code.yaml\n{GRID}metrics: [zero]\n"
    found = suite(text, **{"shared/code.yaml": "plugins: [./mine]\n"})
    assert [file.path for file in found.plugins] == ["shared/mine/metrics/zero.py"]
    registry.reset()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("train: {epoch: 3}\n", "shared/b.yaml:1:9: train.epoch: unknown key 'epoch'; did you mean 'epochs'"),
        ("\ntrain: {epochs: many}\n", "shared/b.yaml:2:17: train.epochs: expected a whole number, got 'many'"),
        ("train: 3\ntrain: 4\n", "shared/b.yaml:2:1: train: the key 'train' is given twice, first in line 1"),
        ("train: [\n", "shared/b.yaml:2:1: not YAML"),
        (
            "train: {include: comon.yaml}\n",
            "shared/b.yaml:1:18: include: there is no file shared/comon.yaml; did you mean 'common",
        ),
        ("include: ../x.yaml\n", "shared/b.yaml:1:10: include: x.yaml includes itself: x.yaml → b.yaml → x.yaml"),
        ("- 1\n", "x.yaml:2:10: include: shared/b.yaml is no mapping, and only a mapping can be included"),
    ],
)
def test_a_mistake_names_the_file_and_line_it_stands_in(content, message):
    assert message in fault(f"title: x\ninclude: shared/b.yaml\n{GRID}", **{"shared/b.yaml": content})


@pytest.mark.parametrize(
    ("reference", "message"),
    [
        ("/etc/common.yaml", "'/etc/common.yaml' is no relative path"),
        ("https://x.org/a.yaml", "is no relative path"),
        ("shared/common.txt", "is no YAML file by its name"),
        ("shared/comon.yaml", "there is no file shared/comon.yaml; did you mean 'common.yaml'"),
        ("shared/common.yaml#evalute", "shared/common.yaml has no evalute; did you mean 'evaluate'"),
        ("'shared/common.yaml#grid[2]'", "shared/common.yaml has no grid[2]"),
        ("shared/common.yaml#metrics", "is no mapping"),
        ("[[a.yaml]]", "expected a file, such as common.yaml"),
        ("x.yaml", "x.yaml includes itself: x.yaml → x.yaml"),
    ],
)
def test_what_cannot_be_included_is_refused_with_the_nearest_name(reference, message):
    said = fault(f"title: x\n{GRID}train: {{include: {reference}}}\n")
    assert said.startswith("x.yaml:3:")
    assert message in said


def test_the_key_is_suggested_and_stands_in_the_schema_of_editors():
    assert "did you mean 'include'" in fault(f"title: x\nincludes: shared/common.yaml\n{GRID}")
    assert "unknown key 'include'" in fault(f"title: x\n{GRID}references: [{{include: shared/common.yaml}}]\n")
    checker = jsonschema.Draft202012Validator(json_schema())
    assert checker.is_valid({"title": "x", "include": "a.yaml", "grid": {"include": ["b.yaml#grid[0]"]}})
    for wrong in ({"title": "x"}, {"title": "x", "include": "/a.yaml"}, {"title": "x", "include": "a.txt"}):
        assert not checker.is_valid(wrong)
