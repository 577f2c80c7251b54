"""Steps recorded as one piece, as on a GPU, with a recorder that computes again what a graph would replay."""

import pytest
import torch
from test_train import CONV, MLP, SWEPT, TRAINED, build, swept

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
        """Steps recorded so, by the optimisers that are used on a GPU; None: not recorded, by the same optimisers."""
        monkeypatch.setattr(stepper, "recorder", lambda device: record)
        return record

    def optimizer(parameters, budget):
        adam = budget.optimizer in ("adam", "adamw")
        return (stepper._recordable_adam if adam else original)(parameters, budget)

    original = stepper._optimizer
    monkeypatch.setattr(stepper, "_optimizer", optimizer)

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
    assert {result.how for result in found} == {"recorded"}
    assert_same(found, plain)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("variant", SWEPT)
def test_a_stack_of_several_scalars_is_recorded_as_one_of_seeds(variant, precision, few_digits, recording):
    budget, builds = Train(epochs=2, batch_size=64, precision=precision), swept(variant)
    recording(None)
    plain = fit(builds, few_digits, budget, [0, 1, 1], group_size=3)
    recording(ByHand())
    found = fit(builds, few_digits, budget, [0, 1, 1], group_size=3)
    assert {result.how for result in found} == {"recorded"}
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
    assert {result.how for result in found} == {"passes recorded"}
    assert_same(found, plain)


def broken(function):
    raise RuntimeError("this device records nothing")


def broken_later(function):
    """With what Adam knows half made, as when memory ends."""
    function()
    for state in OPTIMIZERS[-1].state.values():
        del state["exp_avg_sq"]
    raise RuntimeError("out of memory")


def changed(what):
    """A recorder whose replays of a whole step, which comes first, give other terms, or make another update."""
    recorded = []

    def record(function):
        results, replay = ByHand()(function)
        recorded.append(1)
        if len(recorded) > 1:
            return results, replay

        @torch.inference_mode()
        def replay_changed():
            replay()
            (results[0] if what == "terms" else OPTIMIZERS[-1].param_groups[0]["params"][0]).add_(1)

        return results, replay_changed

    return record


def never(function):
    results = function()
    return results, lambda: None


OPTIMIZERS = []


@pytest.mark.parametrize(
    ("record", "why"),
    [
        (broken, "RuntimeError: this device records nothing"),
        (broken_later, "RuntimeError: out of memory"),
        (never, "other numbers"),
        (changed("terms"), "other numbers"),
        (changed("update"), "other numbers"),
    ],
    ids=["broken", "broken later", "never", "terms", "update"],
)
def test_what_cannot_be_recorded_is_trained_as_before(record, why, few_digits, recording, monkeypatch):
    """And nothing that was tried on the way is left in parameters or optimiser."""
    budget = Train(epochs=2, batch_size=50)
    recording(None)
    plain = fit(build("vae"), few_digits, budget, [0, 1], group_size=2)
    recording(record)
    made, original = whole_steps(monkeypatch), stepper._recordable_adam
    known = lambda *given: OPTIMIZERS.append(original(*given)) or OPTIMIZERS[-1]  # noqa: E731
    monkeypatch.setattr(stepper, "_recordable_adam", known)
    found = fit(build("vae"), few_digits, budget, [0, 1], group_size=2)
    assert made[0].whole is None
    assert why in found[0].how
    assert_same(found, plain)


def test_a_recorded_step_with_other_gradients_is_not_the_plain_one(few_digits, recording, monkeypatch):
    """Although its update is what the optimiser makes of them."""
    plain_gradients, check = stepper.gradients, stepper.Stepper._is_plain

    def doubled(step, batch):
        terms = plain_gradients(step, batch)
        next(iter(step.parameters.values())).grad.mul_(2)
        return terms

    def checked(self, *given):
        with monkeypatch.context() as patch:
            patch.setattr(stepper, "gradients", doubled)
            return check(self, *given)

    monkeypatch.setattr(stepper.Stepper, "_is_plain", checked)
    recording(ByHand())
    [found] = fit(build("vae"), few_digits, Train(epochs=1, batch_size=50), [0])
    assert found.how == "passes recorded; recorded whole it gave other numbers than the plain step"


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
    cpu, gpu = torch.device("cpu"), torch.device("cuda")
    assert train._ahead(cpu, 128 * 784) == 1
    assert train._ahead(gpu, 128 * 784) == train.AHEAD // (128 * 784) > 10
    assert train._ahead(gpu, 10**9) == 1


@pytest.mark.parametrize("variant", TRAINED)
def test_noise_does_not_look_at_pixels(variant):
    model = build(variant, MLP, latent_size=16)()
    images = torch.rand(5, 1, 8, 8), torch.zeros(5, 1, 8, 8)
    some, others = (list(leaves(model.draw(x, generator(0, "noise")))) for x in images)
    assert all(torch.equal(a, b) for a, b in zip(some, others, strict=True))
