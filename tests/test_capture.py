"""A captured step must be the plain one to the bit, whatever is trained."""

import pytest
import torch
from conftest import cut
from test_train import CONV, SWEPT, TRAINED, build, parameters, swept

from bench import stepper, train
from bench.capture import Step, capture, gradients, laid
from bench.kernels import chosen, faster_layers
from bench.suite import Train
from bench.train import fit

pytestmark = pytest.mark.usefixtures("one_thread")
CPU = torch.device("cpu")
MLP = ("mlp", {"hidden": (256,), "activation": "relu"})  # wide enough for the faster layers
SPATIAL = ("spatial", {})


@pytest.fixture
def from_the_first_step(monkeypatch):
    monkeypatch.setattr(stepper, "LONG", 1)


def batch(model, n=24, size=8):
    stream = torch.Generator().manual_seed(3)
    x, y = torch.rand(n, 1, size, size, generator=stream), torch.arange(n) % 11 - 1
    return x, y, model.draw(x, stream)


def step_of(model, half=False):
    return train._One(model, half).step


def values(step, terms):
    return [*terms.values(), *(p.grad for p in step.parameters.values() if p.grad is not None)]


@pytest.mark.parametrize("half", [False, True], ids=["fp32", "bf16"])
@pytest.mark.parametrize("net", [MLP, CONV, SPATIAL], ids=lambda net: net[0])
@pytest.mark.parametrize("variant", TRAINED)
def test_every_variant_has_a_captured_step_with_the_terms_and_gradients_of_the_plain_one(variant, net, half):
    size = 32 if net is SPATIAL else 8
    model = build(variant, net, (1, size, size), latent_size=16)()
    step = step_of(model, half)
    with faster_layers(model, CPU):
        captured = capture(step, batch(model, size=size))
        assert captured is not None
        x, y, noise = batch(model, size=size)
        x, y = x.square(), y.roll(5)
        found = values(step, captured(x, y, noise))
        expected = values(step, gradients(step, (x, y, noise)))
    assert len(found) == len(expected) > 3
    for a, b in zip(found, expected, strict=True):
        assert torch.equal(a, b)
        assert laid(a) == laid(b)  # fused optimisers walk through the memory of both


@pytest.mark.parametrize(
    "budget",
    [
        {},
        {"precision": "bf16"},
        {"grad_clip": 0.5},
        {"schedule": "cosine", "optimizer": "adamw", "weight_decay": 0.1},
        {"optimizer": "sgd", "lr": 1e-3},
        {"optimizer": "rmsprop"},
    ],
    ids=str,
)
@pytest.mark.parametrize("seeds", [[0], [0, 1, 2]], ids=["alone", "stacked"])
@pytest.mark.parametrize("variant", ["vae", "contractive_ae"])
def test_a_training_with_captured_steps_has_the_bits_of_one_without(variant, seeds, budget, few_digits, monkeypatch):
    """But where Adam takes a gradient's factors, whose product it does not round; see test_dense."""
    products = {question: "torch" for question in chosen() if "adam_of" in question}
    monkeypatch.setattr(stepper, "chosen", lambda: chosen() | products)
    budget = Train(epochs=2, batch_size=64, **budget)  # 200 images: the last batch is of another size
    *_, plain = fit(build(variant, MLP, latent_size=16), few_digits, budget, seeds, group_size=len(seeds))
    used = []

    def watched(*arguments, **options):
        used.append(capture(*arguments, **options))
        return used[0]

    monkeypatch.setattr(stepper, "LONG", 1)
    monkeypatch.setattr(stepper, "capture", watched)
    *_, captured = fit(build(variant, MLP, latent_size=16), few_digits, budget, seeds, group_size=len(seeds))
    assert used[0] is not None
    assert torch.equal(parameters(captured), parameters(plain))
    for a, b in zip(captured.history, plain.history, strict=True):
        assert {k: v for k, v in a.items() if k != "seconds"} == {k: v for k, v in b.items() if k != "seconds"}


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("variant", SWEPT)
def test_a_captured_stack_of_several_scalars_has_the_bits_of_a_plain_one(variant, precision, few_digits, monkeypatch):
    budget, builds = Train(epochs=2, batch_size=64, precision=precision), swept(variant, net=MLP, latent_size=16)
    plain = fit(builds, few_digits, budget, [0, 1, 2], group_size=3)
    monkeypatch.setattr(stepper, "LONG", 1)
    captured = fit(builds, few_digits, budget, [0, 1, 2], group_size=3)
    assert {f.how for f in plain} == {"plain"}
    assert {f.how for f in captured} == {"captured"}
    assert all(torch.equal(parameters(a), parameters(b)) for a, b in zip(captured, plain, strict=True))


class Net(torch.nn.Module):
    """The smallest thing that `fit` trains; `body` says what is peculiar about it."""

    closed_form, stackable = False, False

    def __init__(self, *layers, body=None):
        super().__init__()
        self.layers = torch.nn.Sequential(torch.nn.Flatten(), *layers, torch.nn.LazyLinear(64))
        self.layers(torch.zeros(2, 1, 8, 8))
        self.body = body

    def draw(self, x, generator):
        return ()

    def forward(self, x, y, noise):
        error = (self.layers(x) - x.flatten(1)).square().sum(1)
        return {"loss": (self.body(error, y) if self.body else error).mean()}


def by_mask(error, y):
    return error[y > 4]


def by_choice(error, y):
    return error * 2 if error.sum() > 0 else error


def by_the_largest(error, y):
    return error * float(error.detach().numpy().max())


def by_count(count=[0.0]):  # noqa: B006  (it is to remember)
    def body(error, y):
        count[0] += 1
        return error * count[0]

    return body


@pytest.mark.parametrize("body", [by_mask, by_choice, by_the_largest, by_count()])
def test_a_step_that_depends_on_values_or_on_the_past_is_not_captured(body):
    model = Net(torch.nn.Linear(64, 8), torch.nn.ReLU(), body=body)
    assert capture(step_of(model), batch(model)) is None


class Averaging(Net):
    """Keeps a mean of its errors in a buffer that is another tensor after each step."""

    def __init__(self):
        super().__init__(body=self.average)
        self.register_buffer("mean", torch.zeros(()))

    def average(self, error, y):
        self.mean = 0.9 * self.mean + 0.1 * error.detach().mean()
        return error


def test_a_step_that_replaces_a_buffer_is_not_captured_and_the_buffer_stays_as_it_was():
    model = Averaging()
    assert capture(step_of(model), batch(model)) is None
    assert model.mean == 0


def test_a_layer_norm_before_a_relu_is_captured():
    model = Net(torch.nn.Linear(64, 8), torch.nn.LayerNorm(8), torch.nn.ReLU())
    assert capture(step_of(model), batch(model)) is not None


def test_what_is_not_a_number_stays_so_behind_a_relu():
    model = build("ae", MLP)()
    step = step_of(model)
    with faster_layers(model, CPU):
        captured = capture(step, batch(model))
        with torch.no_grad():
            step.parameters["net.encoder.1.weight"].fill_(float("nan"))
        assert captured(*batch(model))["loss"].isnan()


def test_an_index_of_whole_numbers_is_captured():
    weights = torch.arange(1.0, 12.0)
    model = Net(body=lambda error, y: error * weights[y + 1])
    assert capture(step_of(model), batch(model)) is not None


def test_frozen_parameters_are_trained_the_plain_way():
    model = Net()
    model.layers[1].bias.requires_grad_(False)
    assert capture(step_of(model), batch(model)) is None


def test_capturing_leaves_running_means_gradients_and_random_numbers_as_they_were():
    model = Net(torch.nn.BatchNorm1d(64), torch.nn.Dropout(0.5))
    before = [b.clone() for b in model.buffers()]
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    assert capture(step_of(model), batch(model)) is not None
    assert torch.equal(torch.rand(3), expected)
    assert all(torch.equal(a, b) for a, b in zip(model.buffers(), before, strict=True))
    assert all(p.grad is None for p in model.parameters())


def test_running_means_move_as_in_plain_training(few_digits, from_the_first_step, monkeypatch):
    def trained():
        torch.manual_seed(0)
        [fitted] = fit(lambda: Net(torch.nn.BatchNorm1d(64)), few_digits, Train(epochs=2, batch_size=50), [0])
        return fitted.model

    captured = trained()
    monkeypatch.setattr(stepper, "LONG", 10**9)
    plain = trained()
    assert captured.layers[1].num_batches_tracked > 0
    for a, b in zip(captured.state_dict().values(), plain.state_dict().values(), strict=True):
        assert torch.equal(a, b)


def test_a_loss_that_breaks_is_seen_at_its_step(few_digits, from_the_first_step):
    budget = Train(epochs=1, batch_size=50, optimizer="sgd", lr=1e30)
    [fitted] = fit(build("ae"), few_digits, budget, [0])
    assert fitted.diverged_at == 2


def test_a_trained_model_keeps_no_gradients(few_digits, from_the_first_step):
    [fitted] = fit(build("vae"), few_digits, Train(epochs=1, batch_size=100), [0])
    assert all(p.grad is None for p in fitted.model.parameters())


def test_short_trainings_are_not_captured(few_digits, monkeypatch):
    monkeypatch.setattr(stepper, "capture", None)  # calling it would be an error
    [fitted] = fit(build("vae"), cut_train(few_digits), Train(epochs=1, batch_size=10), [0])
    assert fitted.steps == 10


def cut_train(data):
    return type(data)(data.name, cut(data.train, 100), data.test, data.classes, data.source)


def test_a_constant_that_is_changed_is_not_worked_out_beforehand():
    parameters = {"w": torch.ones(3, requires_grad=True)}

    def terms(parameters, x, y, noise):
        total = torch.ones_like(parameters["w"].detach())
        total.add_(x.flatten()[:3])
        return {"loss": (parameters["w"] * total).sum()}

    step = Step(terms, parameters, list)
    x, y = torch.rand(2, 1, 2, 2), torch.zeros(2, dtype=torch.long)
    captured = capture(step, (x, y, ()))
    assert captured is not None
    for _ in range(3):
        assert captured(x, y, ())["loss"] == terms(parameters, x, y, ())["loss"]


def test_what_is_the_same_in_every_step_is_not_done_in_every_step():
    model = build("vae", MLP, (1, 8, 8), latent_size=16)()
    captured = capture(step_of(model), batch(model))
    counts = [captured.module.code.count(f"aten.{name}.") for name in ("ones_like", "expand", "unsqueeze")]
    assert counts == [0, 0, 0]


def test_a_gradient_that_is_always_the_same_may_be_changed_in_place():
    """As clipping does, before the optimiser sees it."""
    parameters = {"p": torch.ones(3, requires_grad=True), "w": torch.ones(3, requires_grad=True)}

    def terms(parameters, x, y, noise):
        return {"loss": (parameters["p"] * 2).sum() + (parameters["w"] * x.mean()).sum()}

    batch = torch.rand(2, 1, 2, 2), torch.zeros(2, dtype=torch.long), ()
    captured = capture(Step(terms, parameters, list), batch)
    for _ in range(3):
        captured(*batch)
        assert parameters["p"].grad.tolist() == [2.0, 2.0, 2.0]
        with torch.inference_mode():
            parameters["p"].grad.mul_(0.1)
