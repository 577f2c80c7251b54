"""Which cells are one task, and that each cell of it has its own record."""

import time
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from conftest import cell

from bench.results.store import Store
from bench.runs import progress, runner, worker
from bench.runs.task import Event, Settings, Task
from bench.runs.worker import run_task
from bench.suite import Choice, Evaluate, Train, load
from bench.training import trainer
from bench.training.trainer import fit

CPU, GPU = torch.device("cpu"), SimpleNamespace(type="cuda")
SWEEP = """\
title: A sweep
grid:
  datasets: [digits]
  variants: [{name: beta_vae, beta: 1}, vae, {name: beta_vae, beta: 2}, beta_vae]
  latent_sizes: [2]
  seeds: 3
train: {epochs: 1}
metrics: [mse]
"""
ONE, TWO, FOUR = "beta_vae (beta=1)", "beta_vae (beta=2)", "beta_vae"


def of(variant, options, **changes):
    return replace(cell(variant), variant=Choice(variant, options), **changes)


def beta_vae(beta, **changes):
    return of("beta_vae", {"beta": beta}, **changes)


def groups(variant, option, *values):
    """How many groups cells are that differ by one option."""
    return len({of(variant, {option: value}).group_key for value in values})


def test_cells_that_differ_by_a_scalar_or_a_seed_are_of_one_group():
    cells = [beta_vae(1.0), beta_vae(4.0), beta_vae(4.0, seed=1), beta_vae(4.0, label="Four")]
    assert len({c.group_key for c in cells}) == 1
    assert len({c.train_id for c in cells}) == 3
    assert groups("semi_supervised_vae", "weight", 1.0, 10.0) == 1


@pytest.mark.parametrize(
    "changes",
    [
        {"net": Choice("mlp", {"hidden": (16,), "activation": "relu"})},
        {"likelihood": Choice("gaussian", {"sigma": 1.0})},
        {"latent_size": 3},
        {"train": Train(epochs=3, batch_size=32)},
        {"dataset": Choice("mnist", {"binarise": "none"})},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_cells_that_differ_by_anything_else_are_not(changes):
    assert beta_vae(1.0).group_key != beta_vae(4.0, **changes).group_key


def test_what_hides_labels_is_rounded_or_chooses_is_no_scalar():
    assert groups("semi_supervised_vae", "labelled_fraction", 0.1, 0.5, 1.0) == 3
    assert groups("completion_ae", "side", 0.2, 0.4) == 2
    assert groups("contractive_ae", "exact_up_to", 1, 2) == 2
    assert groups("conditional_vae", "labels", "both", "decoder") == 2


@pytest.fixture
def tasks_of(tmp_path, monkeypatch):
    """A run of `SWEEP` on a device: label and seed of each cell of each task."""
    path, seen = tmp_path / "sweep.yaml", list[Task]()
    path.write_text(SWEEP)
    monkeypatch.setattr(runner, "execute", lambda tasks, *rest: seen.extend(tasks) or iter(()))

    def tasks(device, workers):
        monkeypatch.setattr(runner, "pick_device", lambda name: device)
        runner.run(load(path), Settings(tmp_path / "results", tmp_path), workers=workers)
        return [[(c.label, c.seed) for c in each.cells] for each in seen]

    return tasks


def test_on_a_gpu_a_task_has_the_cells_of_all_scalars_and_seeds(tasks_of):
    sweep = [(label, seed) for label in (ONE, TWO, FOUR) for seed in range(3)]
    assert tasks_of(GPU, 1) == [sweep, [("vae", seed) for seed in range(3)]]


@pytest.mark.parametrize(("gpus", "sizes"), [(2, [6, 3, 3]), (4, [3, 3, 3, 3]), (20, [1] * 12)])
def test_tasks_are_small_enough_for_each_gpu_to_have_its_share(gpus, sizes, tasks_of):
    assert [len(cells) for cells in tasks_of(GPU, gpus)] == sizes


def test_on_a_cpu_a_task_has_one_cell_in_the_order_of_the_suite(tasks_of):
    cells = [[(label, seed)] for label in (ONE, "vae", TWO, FOUR) for seed in range(3)]
    assert tasks_of(CPU, 1) == cells


def test_each_cell_of_a_stack_has_the_record_that_it_has_alone(tmp_path, monkeypatch):
    protocol = Evaluate(n_samples=50, iw_samples=2, iw_images=5, embed={"methods": []})
    cells = [beta_vae(beta, seed=seed, evaluate=protocol) for beta in (1.0, 2.5, 40.0) for seed in (0, 1)]
    stacked, alone = Store(tmp_path / "stacked"), Store(tmp_path / "alone")
    for one in cells:
        run_task(Task("test", (one,), ("mse", "elbo")), Settings(alone.root, tmp_path))
    sizes, whole = list[int](), trainer._Group
    monkeypatch.setattr(worker, "fit", lambda builds, *rest, **named: fit(builds, *rest, group_size=6, **named))
    monkeypatch.setattr(trainer, "_Group", lambda models, *rest: sizes.append(len(models)) or whole(models, *rest))
    run_task(Task("test", tuple(cells), ("mse", "elbo")), Settings(stacked.root, tmp_path))
    assert sizes == [6]
    numbers = set()
    for one in cells:
        found, expected = (store.record("test", one.id) for store in (stacked, alone))
        assert found.status == "done"
        assert found.cell == expected.cell == one.as_record()
        assert found.training["train_id"] == expected.training["train_id"] == one.train_id
        for name in ("mse", "elbo"):
            assert found.value(name) == pytest.approx(expected.value(name), rel=1e-4)
        assert found.history()[-1]["test_loss"] == pytest.approx(expected.history()[-1]["test_loss"], rel=1e-4)
        numbers.add(round(found.value("elbo"), 4))
    assert len(numbers) == 6


def test_a_method_that_needs_labels_says_so_before_it_is_trained(tmp_path, monkeypatch):
    np.savez(tmp_path / "faces.npz", images=np.zeros((6, 7, 5), np.uint8))
    options = {"path": str(tmp_path / "faces.npz"), "split": 0.5, "binarise": "none"}
    asked = of("conditional_vae", {}, dataset=Choice("array", options), dataset_label="Faces")
    monkeypatch.setattr(worker, "_keep", None)  # nothing is kept of a training
    [outcome] = run_task(Task("test", (asked,), ("mse",)), Settings(tmp_path / "results", tmp_path, "cpu"))
    assert outcome.status == "failed"
    assert outcome.words.startswith("conditional_vae needs labels, and Faces has none; `exclude: [{dataset: Faces,")


def test_the_messages_of_a_task_are_sent_with_the_cell_they_are_about(tmp_path):
    sent = list[str]()
    one = beta_vae(1.0, evaluate=Evaluate(n_samples=50, iw_samples=2, iw_images=5, embed={"methods": []}))
    run_task(Task("test", (one,), ("mse",)), Settings(tmp_path, tmp_path), send=sent.append)
    assert {f"{one.title}: loading digits", f"{one.title}: training"} <= set(sent)
    # with an expected duration where the process has evaluated a like cell before
    assert any(text.startswith(one.title) and text.endswith("evaluating mse") for text in sent)
    assert any(text.startswith(f"{one.title}: training: epoch 1 of 2, about ") for text in sent)
    assert sent[-1] == ""


def test_plain_output_repeats_the_stages_after_a_silence(capsys, monkeypatch):
    monkeypatch.setattr(progress, "QUIET", 0.2)
    with progress.show() as show:
        show(Event("note", "importing"))
        show(Event("stage", "a cell: training", worker="0"))
        deadline = time.monotonic() + 20
        lines = ""
        while "a cell: training" not in lines and time.monotonic() < deadline:
            time.sleep(0.05)
            lines += capsys.readouterr().err
    assert "importing" in lines
    assert "a cell: training (" in lines
