"""What a run is said to need of memory, and how many workers it starts for it."""

import json
from pathlib import Path

import pytest
from conftest import cell

from bench import __version__, registry
from bench.results.store import Record, Store
from bench.runs import executor, memory_estimate, runner
from bench.runs.worker import Settings
from bench.suite import Choice, load

MNIST = Choice("mnist", {"binarise": "none"})
FOLDER = Choice("folder", {"binarise": "none", "path": "x", "size": 32, "channels": 3})


def finished(of, peak=900.0, parameters=1000, **changes):
    """The record of a finished cell."""
    about = {"dataset": {"train": 300, "test": 100}}
    training, provenance = {"parameters": parameters}, {"peak_memory_mb": peak, "bench": __version__}
    whole = json.loads(json.dumps(of.as_record()))  # as it comes back from a file: lists in place of tuples
    fields = {"about": about, "training": training, "provenance": provenance, "folder": Path()} | changes
    return Record(of.id, "s", "done", whole, **fields)


def test_images_of_a_known_dataset_are_counted_without_reading_them():
    found = memory_estimate.memory([cell("vae", dataset=MNIST, dataset_label="MNIST")], [])
    assert found.images == {"MNIST": 70_000 * (28 * 28 + 8)}
    assert (found.model, found.unknown_models, found.peak) == (None, 1, None)
    assert found.worker == found.images["MNIST"]
    assert "MNIST 55.4 MB; models not known yet (computed); peak with evaluation not known yet" in found.words()


def test_the_declared_number_of_images_is_that_of_both_splits(digits):
    assert registry.describe("datasets", "digits").constants["images"] == len(digits.train) + len(digits.test)


def test_a_folder_of_images_is_not_known_until_a_cell_was_computed_on_all_of_it():
    asked = cell("vae", dataset=FOLDER)
    assert list(memory_estimate.memory([asked], []).images.values()) == [None]
    assert "not known until they are read" in memory_estimate.memory([asked], []).words()
    partly = finished(asked)
    partly.cell["train"]["train_images"] = 300
    assert list(memory_estimate.memory([asked], [partly]).images.values()) == [None]
    assert list(memory_estimate.memory([asked], [finished(asked)]).images.values()) == [400 * (3 * 32 * 32 + 8)]


def test_a_model_takes_four_floats_a_parameter_where_a_record_tells_how_many_it_has():
    cells = [cell("vae", seed=seed, latent_size=size) for size in (2, 4) for seed in range(2)]
    found = memory_estimate.memory(cells, [finished(cells[0], parameters=1_000_000)])
    assert (found.model, found.unknown_models) == (16_000_000, 1)
    assert "largest known model 16.0 MB with gradients and Adam (1 kinds not known yet)" in found.words()


def test_a_worker_needs_the_highest_peak_of_like_cells_where_that_is_more():
    like, other = cell("vae"), cell("vae", dataset=MNIST)
    records = [finished(like, 700.0), finished(like, 900.0), finished(other, 9_000.0)]
    assert memory_estimate.memory([like], records).worker == 900_000_000
    assert memory_estimate.memory([like], [finished(like, 0.001, parameters=10**9)]).worker > 16 * 10**9
    assert memory_estimate.memory([like], [finished(like, provenance={})]).peak is None
    other = {"peak_memory_mb": 900.0, "bench": "0.0.1"}
    assert memory_estimate.memory([like], [finished(like, provenance=other)]).peak is None  # another code


def test_cells_that_make_no_sense_need_nothing():
    assert memory_estimate.memory([cell("vae", skip="why")], []).worker is None


def test_no_more_workers_are_started_than_fit_into_memory(monkeypatch, tmp_path):
    settings = Settings(tmp_path, tmp_path, "cpu")
    monkeypatch.setattr(executor.os, "sched_getaffinity", lambda pid: range(8), raising=False)
    monkeypatch.setattr(memory_estimate, "available", lambda: 10 * 10**9)
    found = [executor.default_workers(settings, need) for need in (None, 10**9, 3 * 10**9, 10**11)]
    assert found == [8, 8, 3, 1]
    monkeypatch.setattr(memory_estimate, "available", lambda: None)
    assert executor.default_workers(settings, 10**11) == 8


def test_a_run_says_when_memory_decides_how_many_workers_it_starts(monkeypatch, tmp_path):
    store, cells, told = Store(tmp_path), [cell("vae", seed=seed) for seed in range(9)], []
    store.write_suite("s", {"name": "s"})
    store.write(finished(cells[0], peak=3_000.0))
    monkeypatch.setattr(executor.os, "sched_getaffinity", lambda pid: range(4), raising=False)
    monkeypatch.setattr(memory_estimate, "available", lambda: 7 * 10**9)
    settings = Settings(tmp_path, tmp_path, "cpu")
    groups = [(cell,) for cell in cells]
    assert runner._workers(groups, store, settings, told.append) == 2
    words = "workers: 2 of 4, since one is expected to take 3.0 GB of memory; --workers 4 starts them all the same"
    assert [event.text for event in told] == [words]
    assert runner._workers(groups[:2], store, settings, told.append) == 2
    assert len(told) == 1


def test_available_memory_is_a_number_of_bytes_where_the_system_says():
    found = memory_estimate.available()
    assert found is None or found > 10**6


@pytest.mark.parametrize("suite", sorted(Path(__file__).parent.parent.glob("suites/*.yaml")), ids=lambda p: p.stem)
def test_every_suite_has_its_need_of_memory_stated(suite):
    found = memory_estimate.memory(load(suite).cells, [])
    assert set(found.images) == {c.dataset_label for c in load(suite).cells if c.skip is None}
    assert found.as_json()["images_bytes"] == found.images


@pytest.mark.parametrize(
    "odd",
    [
        {"provenance": {"peak_memory_mb": float("nan"), "bench": __version__}},
        {"provenance": {"peak_memory_mb": float("inf"), "bench": __version__}},
        {"training": {"parameters": "many"}},
        {"about": {"dataset": [1]}},
        {"about": {"dataset": {"train": "60000", "test": None}}},
    ],
    ids=str,
)
def test_what_a_record_should_not_say_is_left_aside(odd):
    asked = cell()
    found = memory_estimate.memory([asked], [finished(asked, **odd)])
    assert found.words()
