"""Options that change while a model is trained: what a suite says, which cells it makes, and what training does."""

import json
from functools import partial

import jsonschema
import pytest
import torch
from bench.report.tables.names import reader_name
from test_train import (  # noqa: F401  (fixtures)
    KilledError,
    build,
    double_precision,
    kept_after_every_epoch,
    kill_after,
    largest_difference,
    parameters,
    untimed,
)

from bench.errors import SuiteError
from bench.suite import Cell, Train, load
from bench.suite.json_schema import json_schema
from bench.suite.schedules import Schedule
from bench.training import resume
from bench.training.stack import stack_of
from bench.training.trainer import fit

pytestmark = pytest.mark.usefixtures("one_thread")
WARM_UP = {"from": 0.0, "to": 1.0, "over": 0.5}
COOLING = {"from": 1.0, "to": 0.25, "curve": "geometric"}


@pytest.fixture
def read(tmp_path):
    def read_variant(entry):
        text = f"title: T\ngrid:\n  datasets: [digits]\n  variants:\n    - {entry}\n  latent_sizes: [2]\n  seeds: 1\n"
        (tmp_path / "s.yaml").write_text(text, encoding="utf-8")
        return load(tmp_path / "s.yaml").cells[0]

    return read_variant


def test_a_schedule_is_an_option_of_the_cell_its_label_and_its_id(read):
    cell, plain = read("{name: beta_vae, beta: {from: 0, to: 1, over: 0.5}}"), read("{name: beta_vae, beta: 1}")
    assert cell.variant.options["beta"] == WARM_UP
    assert cell.label == "beta_vae (beta=0 → 1 over 0.5)"
    assert reader_name("label", cell.label) == "β-VAE (β = 0 → 1 over 0.5)"
    assert len({cell.id, plain.id, read("{name: beta_vae, beta: {from: 0, to: 1}}").id}) == 3
    assert cell.group_key == plain.group_key  # they may share a stack
    again = Cell.from_record(json.loads(json.dumps(cell.as_record())))
    assert (again.id, again.label) == (cell.id, cell.label)


def test_what_is_at_its_default_is_not_in_the_id(read):
    short = read("{name: beta_vae, beta: {from: 0, to: 1}}")
    assert read("{name: beta_vae, beta: {to: 1.0, from: 0.0, over: 1, curve: linear}}").id == short.id
    assert short.label == "beta_vae (beta=0 → 1)"


@pytest.mark.parametrize(
    ("entry", "told"),
    [
        ("{name: beta_vae, beta: {from: 0, to: 1, too: 1}}", "unknown key 'too'; did you mean 'to'?"),
        ("{name: beta_vae, beta: {from: 0}}", "the key 'to' is missing"),
        ("{name: beta_vae, beta: {from: low, to: 1}}", "expected a number, got 'low'"),
        ("{name: beta_vae, beta: {from: 0, to: 1, over: 2}}", "must be at most 1, got 2"),
        ("{name: beta_vae, beta: {from: 1, to: 1}}", "from and to are both 1; write the number instead"),
        ("{name: beta_vae, beta: {from: 0, to: 1, curve: geometric}}", "needs from and to above 0, got 0 and 1"),
        ("{name: iwae, samples: {from: 1, to: 5}}", "'samples' cannot change in training; of iwae only beta can"),
        ("{name: fsq_ae, levels: {from: 2, to: 5}}", "'levels' cannot change in training"),
    ],
)
def test_a_wrong_schedule_is_told_with_its_line(read, entry, told):
    with pytest.raises(SuiteError) as error:
        read(entry)
    [fault] = error.value.faults
    assert ":5:" in fault.splitlines()[0]
    assert told in fault


def test_editors_know_schedules_of_scalars_alone():
    schema = json_schema()
    checker = jsonschema.Draft202012Validator({"$defs": schema["$defs"], "$ref": "#/$defs/variant"})
    assert checker.is_valid({"name": "beta_vae", "beta": WARM_UP})
    assert checker.is_valid({"name": "categorical_vae", "temperature": COOLING})
    assert not checker.is_valid({"name": "beta_vae", "beta": {"from": 0}})
    assert not checker.is_valid({"name": "iwae", "samples": WARM_UP})


def test_a_geometric_curve_has_equal_ratios():
    values = [Schedule.model_validate(COOLING).value(p) for p in (0.0, 0.5, 1.0)]
    assert values == pytest.approx([1.0, 0.5, 0.25])


def seen_in_training(few_digits, monkeypatch, **options):
    """The values of β that each call of `forward` was given, of updates and of tests."""
    make, seen = build("beta_vae", **options), {True: [], False: []}

    def watched():
        model = make()
        forward = model.forward
        model.forward = lambda *given: seen[torch.is_grad_enabled()].append(float(model.beta)) or forward(*given)
        return model

    [fitted] = fit(watched, few_digits, Train(epochs=2, batch_size=50), [0])
    return fitted, seen[True], seen[False]


def test_updates_have_the_value_of_their_progress_tests_and_the_model_the_last(few_digits, monkeypatch):
    fitted, updates, tests = seen_in_training(few_digits, monkeypatch, beta=WARM_UP)
    assert updates == pytest.approx([0, 0.25, 0.5, 0.75, 1, 1, 1, 1])
    assert set(tests) == {1.0}
    assert (fitted.model.beta, type(fitted.model.beta)) == (1.0, float)


def test_schedules_and_numbers_share_a_stack_and_are_those_trained_alone(few_digits, double_precision):  # noqa: F811
    betas = [WARM_UP, {"from": 4.0, "to": 0.5}, 2.0]
    builds = [lambda beta=beta: build("beta_vae", beta=beta)().double() for beta in betas]
    train = partial(fit, data=few_digits, budget=Train(epochs=3, batch_size=32))
    stacked = train(builds, seeds=[0, 1, 2], group_size=3)
    for found, make, seed in zip(stacked, builds, (0, 1, 2), strict=True):
        [alone] = train(make, seeds=[seed], group_size=1)
        assert largest_difference(found, alone) < 1e-11
        assert found.history[-1]["test_loss"] == pytest.approx(alone.history[-1]["test_loss"], rel=1e-9)


def test_a_warm_up_is_not_the_training_at_its_last_value(few_digits):
    [warm], [plain] = (fit(build("beta_vae", beta=beta), few_digits, Train(epochs=2, batch_size=50), [0])
                       for beta in (WARM_UP, 1.0))  # fmt: skip
    assert largest_difference(warm, plain) > 1e-3


@pytest.mark.parametrize(
    ("variant", "options", "size"),
    [("two_layer_vae", {"beta": WARM_UP}, 1), ("categorical_vae", {"temperature": COOLING}, 2)],
)
def test_a_killed_training_goes_on_in_the_middle_of_its_schedule(
    variant,
    options,
    size,
    few_digits,
    tmp_path,
    kept_after_every_epoch,  # noqa: F811
):
    seeds = list(range(size))
    files = [resume.ResumeFile(tmp_path / f"{seed}", ["train id", seed]) for seed in seeds]
    budget = Train(epochs=5, batch_size=48)
    train = partial(fit, build(variant, **options), few_digits, budget, seeds, group_size=size)
    whole = train()
    with pytest.raises(KilledError):
        train(resume=files, on_epoch=kill_after(2))
    for a, b in zip(whole, train(resume=files), strict=True):
        assert torch.equal(parameters(a), parameters(b))
        assert [untimed(r) for r in a.history] == [untimed(r) for r in b.history]


@pytest.mark.parametrize("name", ["iwae", "miwae", "two_layer_vae", "vamp_vae", "categorical_vae", "hamiltonian_vae"])
def test_the_weight_of_a_warm_up_is_that_of_the_kl(name):
    """At 0 the loss is that of the reconstruction; at 1 the one without the option, to the bit."""
    x, y = torch.rand(6, 1, 8, 8, generator=torch.Generator().manual_seed(0)), torch.zeros(6, dtype=torch.int64)
    model = build(name, **({"samples": 1} if "iwae" in name else {}))()
    noise = model.draw(x, torch.Generator().manual_seed(0))
    terms = model(x, y, noise)
    torch.testing.assert_close(terms["loss"], terms["rec"] + terms["kl"])
    model.beta = 0.0
    torch.testing.assert_close(model(x, y, noise)["loss"], terms["rec"])


def test_the_tensors_of_a_stack_change_in_place():
    """A recorded step reads them where they were when it was recorded."""
    stack = stack_of([build("beta_vae", beta=beta)() for beta in (WARM_UP, 3.0)], half=False)
    held = stack.scalars.tensors["beta"]
    assert held.tolist() == [1.0, 3.0]
    stack.at(0.25)
    assert held.tolist() == [0.5, 3.0]
