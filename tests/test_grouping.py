"""Models are stacked as far as was measured to pay, and no further than memory allows."""

import json
from types import SimpleNamespace

import pytest
import torch
from conftest import cell

from bench import capture, checkpoint, grouping, train
from bench.grouping import Answer, Kind
from bench.suite import Choice, Train

GPU = SimpleNamespace(type="cuda")


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "bench"


@pytest.fixture
def measured(monkeypatch):
    """A GPU on which four models are fastest; the list grows with each measurement."""
    asked = []
    monkeypatch.setattr(grouping, "device_name", lambda device: ("GPU X", "9.9"))
    monkeypatch.setattr(grouping, "measure", lambda *given: asked.append(given) or {1: 10.0, 4: 50.0, 16: 40.0})
    return asked


def a_kind(**changes):
    parts = {"net": "mlp", "images": "1×8×8", "latent_size": 2, "batch_size": 128, "precision": "fp32"}
    return Kind(**(parts | changes))


def size_for(of, models=6, device=GPU):
    return grouping.group_size(of, lambda: None, None, device, models)


def small_model():
    net = Choice("mlp", {"hidden": (8,), "activation": "relu"})
    return checkpoint.build((1, 8, 8), Choice("vae", {}), net, Choice("bernoulli", {}), 2, 10)


def test_a_kind_is_measured_once_on_a_device_and_kept(measured, monkeypatch):
    assert size_for(cell("vae")) == 4
    assert size_for(cell("vae")) == 4
    assert len(measured) == 1
    monkeypatch.setattr(grouping, "device_name", lambda device: ("GPU Y", "9.9"))
    assert size_for(cell("vae")) == 4
    assert len(measured) == 2
    assert {answer.device for answer in grouping.known()} == {"GPU X", "GPU Y"}


def test_on_a_cpu_models_are_trained_one_at_a_time_without_measuring(measured):
    assert size_for(cell("vae"), device=torch.device("cpu")) == 1
    assert measured == []


def test_where_there_is_nothing_to_stack_nothing_is_measured(measured):
    assert grouping.kind(cell("pca", net=None)) is None
    assert size_for(cell("pca", net=None)) == 1
    assert size_for(cell("vae"), models=1) == 1
    assert measured == []


def test_what_was_measured_is_told_with_its_device_and_the_rest_as_not_measured(measured):
    size_for(cell("vae"))
    entries = grouping.told([cell("vae"), cell("ae"), cell("vae", latent_size=3), cell("pca", net=None)])
    assert [(e["latent_size"], e["size"]) for e in entries] == [(2, 4), (4, None)]
    assert entries[0]["rates"] == {"1": 10.0, "4": 50.0, "16": 40.0}
    mlp, words = "mlp (hidden=[32])", "models stacked on a GPU: 4 (measured, GPU X): {0} D≤2; not measured yet: {0} D≤4"
    assert grouping.words(entries) == words.format(mlp)
    assert grouping.words(entries[1:]) == "models stacked on a GPU: not measured yet"
    assert grouping.words([]) == ""


@pytest.mark.parametrize(
    "damage",
    ["no json", "{}", "[{}]", '[{"kind": 3}]', "3", "null", "size"],
)
def test_a_damaged_cache_is_as_good_as_none_and_written_anew(damage, folder, measured):
    size_for(cell("vae"))
    path = folder / "groups.json"
    if damage == "size":
        damage = json.dumps([json.loads(path.read_text())[0] | {"size": 10**6}])
    path.write_text(damage)
    assert grouping.known() == []
    assert size_for(cell("vae")) == 4
    assert len(measured) == 2
    assert [answer.size for answer in grouping.known()] == [4]


def test_an_answer_takes_the_place_of_an_older_one_for_the_same():
    for size in (1, 16):
        grouping.keep(Answer("GPU X", "9.9", a_kind(), size, {}))
        grouping.keep(Answer("GPU X", "9.9", a_kind(precision="bf16"), 4, {}))
    assert {(a.kind.precision, a.size) for a in grouping.known()} == {("fp32", 16), ("bf16", 4)}
    assert len(grouping.known()) == 2


def test_a_cache_that_cannot_be_written_is_no_error(folder, measured):
    folder.write_text("a file where the folder should be")
    assert size_for(cell("vae")) == 4


def test_a_measurement_trains_each_size_and_says_how_fast(few_digits, monkeypatch):
    monkeypatch.setattr(grouping, "STEPS", 2)
    rates = grouping.measure(small_model, few_digits, Train(batch_size=8), torch.device("cpu"), (1, 3))
    assert list(rates) == [1, 3]
    assert min(rates.values()) > 0


def test_a_size_that_does_not_fit_into_memory_has_no_rate(few_digits, monkeypatch, room):
    monkeypatch.setattr(grouping, "STEPS", 1)
    room(4)
    rates = grouping.measure(small_model, few_digits, Train(batch_size=8), torch.device("cpu"), (1, 4, 8))
    assert list(rates) == [1, 4]


def test_of_several_sizes_the_fastest_is_best_and_one_where_none_could_be_measured():
    assert grouping.best({1: 100.0, 4: 350.0, 16: 340.0}) == 4
    assert grouping.best({}) == 1


@pytest.fixture
def room(monkeypatch):
    """Memory for a number of models only; the list grows with the size of each group that is tried."""
    tried, whole = [], train._fit_group

    def make(most):
        def fit_group(models, *rest):
            tried.append(len(models))
            if len(models) > most:
                raise torch.OutOfMemoryError("CUDA out of memory")
            return whole(models, *rest)

        monkeypatch.setattr(train, "_fit_group", fit_group)
        return tried

    return make


def test_a_group_that_does_not_fit_into_memory_is_trained_in_halves(few_digits, room):
    budget, seeds = Train(epochs=1, batch_size=50), list(range(7))
    whole = train.fit(small_model, few_digits, budget, seeds, group_size=7)
    tried = room(2)
    found = train.fit(small_model, few_digits, budget, seeds, group_size=7)
    assert tried == [7, 3, 1, 1, 1, 1, 1, 1, 1]
    assert [f.seed for f in found] == seeds
    for a, b in zip(found, whole, strict=True):
        assert a.history[0]["test_loss"] == pytest.approx(b.history[0]["test_loss"], rel=1e-4)


def test_each_half_has_the_builders_of_its_models(few_digits, room):
    def builder(beta):
        net = Choice("mlp", {"hidden": (8,), "activation": "relu"})
        choices = Choice("beta_vae", {"beta": beta}), net, Choice("bernoulli", {})
        return lambda: checkpoint.build((1, 8, 8), *choices, 2, 10)

    budget, betas, seeds = Train(epochs=1, batch_size=50), [1.0, 2.0, 4.0, 8.0, 16.0], [0, 1, 0, 1, 0]
    tried = room(2)
    found = train.fit([builder(beta) for beta in betas], few_digits, budget, seeds, group_size=5)
    assert tried == [5, 2, 2, 1]
    assert [(f.model.beta, f.seed) for f in found] == list(zip(betas, seeds, strict=True))
    for fitted, beta in zip(found, betas, strict=True):
        row = fitted.history[0]
        assert row["test_loss"] == pytest.approx(row["test_rec"] + beta * row["test_kl"], rel=1e-6)


def test_a_single_model_that_does_not_fit_is_an_error(few_digits, room):
    tried = room(0)
    with pytest.raises(torch.OutOfMemoryError):
        train.fit(small_model, few_digits, Train(epochs=1), [0, 1, 2, 3], group_size=4)
    assert tried == [4, 2, 1]


def test_a_measurement_is_long_enough_to_capture_its_step_as_training_does():
    assert grouping.STEPS * grouping.EPOCHS >= capture.LONG
