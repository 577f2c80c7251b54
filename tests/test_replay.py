"""Steps recorded as one piece, as on a GPU, with a recorder that computes again what a graph would replay."""

import pytest
import torch
from test_train import CONV, MLP, TRAINED, build

from bench import stepper, train
from bench.capture import Replayed
from bench.nested import leaves
from bench.replay import Recorded, recorder
from bench.streams import generator
from bench.suite import Train
from bench.train import fit

pytestmark = pytest.mark.usefixtures("one_thread")


class ByHand:
    """Records as `replay.on_gpu` does: the function runs before, and a replay writes to where its results lay."""

    def __init__(self):
        self.replays = 0

    def __call__(self, function):
        for _ in range(3):
            function()
        results = function()

        @torch.inference_mode()  # as the results were made
        def replay():
            self.replays += 1
            for place, value in zip(results, function(), strict=True):
                if place is not None:
                    place.copy_(value)

        return results, replay


@pytest.fixture
def recording(monkeypatch):
    monkeypatch.setattr(stepper, "LONG", 1)

    def use(record):
        monkeypatch.setattr(stepper, "recorder", lambda device: record)
        return record

    return use


def whole_steps(monkeypatch):
    """Steppers made from now on."""
    made, original = [], stepper.Stepper.__init__

    def init(self, *given):
        original(self, *given)
        made.append(self)

    monkeypatch.setattr(stepper.Stepper, "__init__", init)
    return made


def assert_same(found, expected):
    for a, b in zip(found, expected, strict=True):
        assert [r["train_loss"] for r in a.history] == [r["train_loss"] for r in b.history]
        for p, q in zip(a.model.parameters(), b.model.parameters(), strict=True):
            assert torch.equal(p, q)


BUDGETS = [
    {},
    {"grad_clip": 0.5, "optimizer": "adamw", "weight_decay": 0.1},
    {"schedule": "cosine"},
    {"precision": "bf16"},
]


@pytest.mark.parametrize("budget", BUDGETS, ids=str)
@pytest.mark.parametrize("seeds", [[0], [0, 1, 2]], ids=["alone", "stacked"])
@pytest.mark.parametrize("variant", ["vae", "denoising_ae", "semi_supervised_vae"])
def test_a_training_by_recorded_steps_has_the_bits_of_one_by_captured_ones(
    variant, seeds, budget, few_digits, recording, monkeypatch
):
    budget = Train(epochs=2, batch_size=64, **budget)  # 200 images: the last batch is of another size
    recording(None)
    plain = fit(build(variant, MLP), few_digits, budget, seeds, group_size=len(seeds))
    record, made = recording(ByHand()), whole_steps(monkeypatch)
    found = fit(build(variant, MLP), few_digits, budget, seeds, group_size=len(seeds))
    assert isinstance(made[0].whole, Recorded)
    assert record.replays == 1 + 6  # to see that it is the plain step, and then three times an epoch
    assert_same(found, plain)


@pytest.mark.parametrize("optimizer", ["sgd", "rmsprop"])
def test_with_other_optimisers_all_but_the_update_is_recorded(optimizer, few_digits, recording, monkeypatch):
    budget = Train(epochs=2, batch_size=64, optimizer=optimizer)
    recording(None)
    plain = fit(build("vae", CONV), few_digits, budget, [0, 1], group_size=2)
    record, made = recording(ByHand()), whole_steps(monkeypatch)
    found = fit(build("vae", CONV), few_digits, budget, [0, 1], group_size=2)
    assert made[0].whole is None
    assert isinstance(made[0].captured, Replayed)
    assert record.replays == 2 + 6
    assert_same(found, plain)


def broken(function):
    raise RuntimeError("this device records nothing")


def wrong(function):
    results = function()
    return results, lambda: results[0].add_(1)


def never(function):
    results = function()
    return results, lambda: None


@pytest.mark.parametrize("record", [broken, wrong, never])
def test_what_cannot_be_recorded_is_trained_as_before(record, few_digits, recording, monkeypatch):
    """And nothing that was tried on the way is left in parameters or optimiser."""
    budget = Train(epochs=2, batch_size=50)
    recording(None)
    plain = fit(build("vae"), few_digits, budget, [0, 1], group_size=2)
    recording(record)
    made = whole_steps(monkeypatch)
    found = fit(build("vae"), few_digits, budget, [0, 1], group_size=2)
    assert made[0].whole is None
    assert_same(found, plain)


def test_on_cpus_nothing_is_recorded():
    assert recorder(torch.device("cpu")) is None


@pytest.mark.parametrize("variant", TRAINED)
def test_noise_drawn_for_many_steps_is_dealt_out_by_the_image(variant, few_digits):
    """Each seed's is its own however many are stacked; a Gaussian's numbers are even those of single draws."""
    model = build(variant, MLP, latent_size=16)()
    stack, images = train._One(model, False), few_digits.train.images
    batches = torch.arange(200).expand(2, 200).split(64, dim=1)

    def noises(seeds, ahead):
        generators = [generator(s, "noise") for s in seeds]
        return list(train._noise(stack, images, batches, generators, ahead))

    single, many, alone = noises([0, 1], 1), noises([0, 1], 3), noises([1], 3)
    assert len(single) == len(many) == 4
    for one, some, own, index in zip(single, many, alone, batches, strict=True):
        assert [n.shape for n in leaves(one)] == [n.shape for n in leaves(some)]
        assert all(n.shape[:2] == (2, index.shape[1]) for n in leaves(some))
        for a, b in zip(leaves(some), leaves(own), strict=True):
            assert torch.equal(a[1], b[0])
            assert not torch.equal(a[0], a[1])
    if variant == "vae":
        assert all(torch.equal(a, b) for a, b in zip(single, many, strict=True))


def test_noise_is_drawn_ahead_on_gpus_alone():
    assert train._ahead(torch.zeros(1, 1, 28, 28), 128) == 1
