"""Images that were replaced in place are noticed by run, plan and verify, which name the folder."""

import json

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from bench.__main__ import cli
from bench.datasets import _loading
from bench.errors import DataError
from bench.results.store import Store
from bench.runs import data_check
from bench.runs.runner import run
from bench.runs.task import Request, Settings
from bench.suite import load

SUITE = """
title: mean images
grid:
  datasets: [{{name: folder, path: {path}, size: 8, label: mine}}]
  variants: [mean_image]
  latent_sizes: [2]
  seeds: {seeds}
evaluate: {{n_samples: 20}}
metrics: [mse]
"""


def write_images(folder, seed=0):
    rng = np.random.default_rng(seed)
    for part, number in (("train", 6), ("test", 4)):
        for n in range(number):
            (folder / part / "ab"[n % 2]).mkdir(parents=True, exist_ok=True)
            Image.fromarray(rng.integers(0, 256, (8, 8, 3), np.uint8)).save(folder / part / "ab"[n % 2] / f"{n}.png")


def write_suite(folder, seeds=1):
    (folder / "s.yaml").write_text(SUITE.format(path=folder / "images", seeds=seeds), encoding="utf-8")
    return load(folder / "s.yaml")


@pytest.fixture
def finished(tmp_path):
    """A folder with images, a suite and its results; the settings it was run with."""
    write_images(tmp_path / "images")
    settings = Settings(tmp_path / "results", tmp_path / "data", "cpu")
    assert run(write_suite(tmp_path), settings).states == {"done": 1}
    return tmp_path, settings


def bench(folder, *words):
    where = ("--results", folder / "results", "--data", folder / "data")
    return CliRunner().invoke(cli, [str(w) for w in (*words, folder / "s.yaml", *where)])


def test_replaced_images_stop_a_run_and_are_named_by_plan_and_verify(finished):
    folder, settings = finished
    assert "fingerprint" not in bench(folder, "plan").output
    assert "✓ data" in bench(folder, "verify").output
    write_images(folder / "images", seed=1)
    message = (
        rf"mine: the images in {folder / 'images'} \(fingerprint .*\) are not those that 1 finished cell was computed"
    )
    for seeds in (1, 2):  # also where there is nothing to do
        with pytest.raises(DataError, match=message):
            run(write_suite(folder, seeds), settings)
    assert f"the images in {folder / 'images'} (fingerprint" in bench(folder, "plan").output
    verified = bench(folder, "verify", "--json")
    assert verified.exit_code == 1
    assert [fault["check"] for fault in json.loads(verified.output)["faults"]] == ["data"]
    assert run(write_suite(folder, 2), settings, Request(force=True)).states == {"done": 2}
    assert run(write_suite(folder, 2), settings).states == {"done": 2}


def test_images_are_read_again_only_if_a_file_changed(finished, monkeypatch):
    folder, settings = finished
    cells, records = write_suite(folder).cells, Store(settings.results).records("s")
    assert data_check.compare(cells, records, settings.data_root).changed == []
    loads = []
    monkeypatch.setattr(_loading, "load", lambda *asked: loads.append(asked))
    assert data_check.compare(cells, records, settings.data_root).changed == []
    assert not loads
    (folder / "images/train/a/0.png").touch()
    with pytest.raises(AttributeError):  # of the None that took the place of the images
        data_check.compare(cells, records, settings.data_root)
    assert loads


def test_images_that_moved_are_the_same_and_absent_ones_are_not_compared(finished):
    folder, settings = finished
    records = Store(settings.results).records("s")
    (folder / "images").rename(folder / "away")
    cells = write_suite(folder).cells
    compared = data_check.compare(cells, records, settings.data_root)
    assert (compared.changed, len(compared.unchecked)) == ([], 1)
    assert f"{folder / 'images'} is not there" in compared.unchecked[0]
    (folder / "images").symlink_to(folder / "away")
    assert data_check.compare(cells, records, settings.data_root) == data_check.Comparison()


def test_an_old_record_names_the_order_and_is_of_the_same_images(finished):
    folder, settings = finished
    (record,) = Store(settings.results).records("s")
    data = _loading.load(write_suite(folder).cells[0].dataset, settings.data_root)
    provenance = {k: v for k, v in record.provenance.items() if k != "order"} | {"fingerprint": data.order()}
    path = record.folder / "record.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"provenance": provenance}), encoding="utf-8")
    assert run(write_suite(folder, 2), settings).states == {"done": 2}


def test_files_that_are_not_read_are_counted_by_plan_and_the_record(tmp_path):
    write_images(tmp_path / "images")
    (tmp_path / "images/train/a/notes.txt").write_text("text")
    suite, settings = write_suite(tmp_path), Settings(tmp_path / "results", tmp_path / "data", "cpu")
    assert f"mine: not read in {tmp_path / 'images'}: 1 *.txt" in bench(tmp_path, "plan").output
    run(suite, settings)
    (record,) = Store(settings.results).records("s")
    assert record.about["dataset"]["skipped"] == {"*.txt": 1}


def test_a_bad_image_is_refused_before_anything_trains(tmp_path):
    write_images(tmp_path / "images")
    (tmp_path / "images/test/a/bad.png").write_bytes(b"")
    suite, settings = write_suite(tmp_path), Settings(tmp_path / "results", tmp_path / "data", "cpu")
    with pytest.raises(DataError, match=r"mine: .*images: 1 of 11 images cannot be used"):
        run(suite, settings)
    assert not list((tmp_path / "results").glob("*/*/*"))


def test_where_images_lie_stands_in_no_label_and_no_table(tmp_path):
    write_images(tmp_path / "images")
    (tmp_path / "s.yaml").write_text(SUITE.format(path=tmp_path / "images", seeds=1).replace(", label: mine", ""))
    suite = load(tmp_path / "s.yaml")
    assert suite.cells[0].dataset_label == "folder (path=images, size=8)"
    run(suite, Settings(tmp_path / "results", tmp_path / "data", "cpu"))
    table = CliRunner().invoke(cli, ["table", "s", "--results", str(tmp_path / "results")])
    assert "Folder (path = images, size = 8)" in table.output
    assert str(tmp_path / "images") not in table.output
