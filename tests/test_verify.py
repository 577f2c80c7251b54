"""`bench verify SUITE`: results that were edited, merged or made by another version of the code are found out."""

import hashlib
import json

import conftest
import pytest
import synthetic
from conftest import run_bench

from bench.errors import UsageError
from bench.results.store import Record, Store
from bench.results.verify import verify
from bench.suite import Cell, load


def written(root, seeds=2, **cell):
    """A suite of real cells, with the ids that bench gives them, and one classifier."""
    store = Store(root)
    rulers = root / "rulers"
    rulers.mkdir()
    (rulers / "digits-0123456789abcdef-v1.safetensors").write_bytes(b"weights")
    name = f"digits-{hashlib.sha256(b'weights').hexdigest()[:12]}"
    cells = [conftest.cell(seed=seed, **cell) for seed in range(seeds)]
    entries = [{"id": c.id, "skip": None, "cell": c.as_record()} for c in cells]
    store.write_suite("s", {"name": "s", "title": "s", "cells": entries})
    for index, c in enumerate(cells):
        fcd = synthetic.entry("fcd", 12.5 + index, key={"classifier": name})
        store.write(Record(c.id, "s", "done", c.as_record(), metrics={"fcd_prior": fcd},
                           training={"fingerprint": "abc"}, provenance={"fingerprint": "abc"}))  # fmt: skip
    store.write_csv("s")
    return cells


def edit(root, cell, change):
    """Change a record on disk in place."""
    path = root / "s" / cell.id / "record.json"
    record = json.loads(path.read_text(encoding="utf-8"))
    change(record)
    path.write_text(json.dumps(record), encoding="utf-8")


def faults(root):
    return [(fault.check, fault.where, fault.message) for fault in verify(root, "s").faults]


def test_what_a_run_writes_is_sound(tmp_path):
    written(tmp_path)
    found = verify(tmp_path, "s")
    assert (found.faults, found.remarks) == ((), ())
    assert (found.records, found.rulers) == (2, 1)


@pytest.mark.parametrize(
    "changes",
    [{}, {"net": None, "variant": "pca"}, {"net": "conv"}, {"variant": "beta_vae", "latent_size": 7}],
)
def test_a_cell_read_back_has_its_id(changes):
    cell = conftest.cell(**changes)
    assert Cell.from_record(json.loads(json.dumps(cell.as_record()))).id == cell.id


def test_the_committed_results_are_sound():
    for suite in Store(conftest.ROOT / "results").suites():
        assert verify(conftest.ROOT / "results", suite).faults == ()


def test_a_number_edited_in_results_csv_is_named_with_its_cell(tmp_path):
    cells = written(tmp_path)
    path = tmp_path / "s" / "results.csv"
    path.write_text(path.read_text().replace("13.5", "11.5"))
    assert faults(tmp_path) == [("results.csv", f"{cells[1].id}, fcd_prior", "says '11.5', the record '13.5'")]


def test_rows_too_many_and_too_few_are_named(tmp_path):
    cells = written(tmp_path)
    path = tmp_path / "s" / "results.csv"
    path.write_text(path.read_text().replace(cells[0].id, "0" * 12))
    assert {(where, message) for _, where, message in faults(tmp_path)} == {
        ("0" * 12, "has a row but no record"), (cells[0].id, "has a record but no row")}  # fmt: skip
    path.unlink()
    assert "is not there" in faults(tmp_path)[0][2]


def test_an_edited_cell_no_longer_has_its_id(tmp_path):
    cells = written(tmp_path)
    edit(tmp_path, cells[0], lambda r: r["cell"]["train"].update(lr=0.5))
    Store(tmp_path).write_csv("s")
    [(check, where, message)] = faults(tmp_path)
    assert (check, where) == ("ids", f"{cells[0].id}/record.json")
    assert "its cell has the id" in message


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda cell: cell.update(variant="bvae"), "unknown variant 'bvae'"),
        (lambda cell: cell["train"].update(epochs="many"), "epochs"),
        (lambda cell: cell.pop("likelihood"), "'likelihood' is missing"),
    ],
)
def test_a_cell_that_this_version_does_not_know_is_told_why(tmp_path, change, message):
    cells = written(tmp_path)
    edit(tmp_path, cells[0], lambda r: change(r["cell"]))
    Store(tmp_path).write_csv("s")
    [(check, _, said)] = faults(tmp_path)
    assert check == "ids"
    assert message in said


def test_one_dataset_has_one_fingerprint(tmp_path):
    cells = written(tmp_path, seeds=3)
    edit(tmp_path, cells[1], lambda r: r["training"].update(fingerprint="def"))
    [(check, where, message)] = faults(tmp_path)
    assert (check, where) == ("fingerprints", cells[1].id)
    assert "digits was def" in message


def test_a_classifier_that_was_trained_anew_is_found(tmp_path):
    written(tmp_path)
    [path] = (tmp_path / "rulers").glob("*.safetensors")
    path.write_bytes(b"other weights")
    [(check, _, message)] = faults(tmp_path)
    assert check == "rulers"
    assert path.name in message


def test_a_classifier_that_was_left_behind_is_a_remark(tmp_path):
    written(tmp_path)
    [path] = (tmp_path / "rulers").glob("*.safetensors")
    path.unlink()
    found = verify(tmp_path, "s")
    assert found.faults == ()
    assert "its hash was not checked" in found.remarks[0]
    assert found.rulers == 0


def test_the_command_exits_0_1_or_2(tmp_path):
    cells = written(tmp_path)
    done = run_bench("verify", "s", "--results", str(tmp_path))
    assert (done.returncode, done.stderr) == (0, "")
    assert "✓ results.csv" in done.stdout
    edit(tmp_path, cells[0], lambda r: r["metrics"]["fcd_prior"].update(value=1.0))
    done = run_bench("verify", "s", "--results", str(tmp_path), "--json")
    assert done.returncode == 1
    assert json.loads(done.stdout)["faults"][0]["where"] == f"{cells[0].id}, fcd_prior"
    for arguments in (("verify", "--results", str(tmp_path)), ("verify", "t", "--results", str(tmp_path))):
        done = run_bench(*arguments)
        assert done.returncode == 2
        assert "Traceback" not in done.stderr


def test_a_suite_that_never_ran_is_refused(tmp_path):
    with pytest.raises(UsageError, match="no results of suite"):
        verify(tmp_path, "s")


def test_a_suite_file_that_asks_for_other_cells_by_now_is_remarked_on(tmp_path):
    file = tmp_path / "small.yaml"
    grid = "{datasets: [digits], variants: [vae], nets: [mlp], likelihood: bernoulli, latent_sizes: [2], seeds: 2}"
    text = f"title: t\ngrid: {grid}\n"
    file.write_text(text, encoding="utf-8")
    cells = [{"id": c.id, "skip": None, "cell": c.as_record()} for c in load(file).cells]
    Store(tmp_path).write_suite("small", {"name": "small", "title": "t", "cells": cells})
    assert not verify(tmp_path, "small", file).remarks
    file.write_text(text.replace("seeds: 2", "seeds: [1, 2, 3]"), encoding="utf-8")
    assert "2 more and 1 no longer" in verify(tmp_path, "small", file).remarks[0]
    Store(tmp_path).write_suite("small", {"name": "small", "title": "t", "cells": cells, "overrides": ["x=1"]})
    assert not verify(tmp_path, "small", file).remarks
