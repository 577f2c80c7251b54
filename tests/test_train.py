"""The trainer: a model in a stack, resumed or replayed as a CUDA graph is the model trained alone and at once."""

import math
from dataclasses import replace
from functools import partial

import pytest
import torch
from conftest import colour, cut

from bench import registry
from bench.datasets import Data, Split
from bench.datasets._splits import hide_labels, subset, to_float
from bench.models.seeding import initialising
from bench.suite import Choice, Train
from bench.training import checkpoint, resume, stack, step, trainer
from bench.training.noise import mapped
from bench.training.stack import Redrawn
from bench.training.trainer import fit

pytestmark = pytest.mark.usefixtures("one_thread")
MLP, CONV = ("mlp", {"hidden": (32,), "activation": "relu"}), ("conv", {"channels": 4})


TRAINED = [n for n in registry.names("variants") if not registry.describe("variants", n).constants["closed_form"]]


def build(variant="vae", net=MLP, shape=(1, 8, 8), latent_size=2, likelihood=None, **options):
    likelihood = likelihood or registry.describe("variants", variant).constants["default_likelihood"]
    choices = Choice(variant, options), Choice(*net), Choice(likelihood, {})
    return lambda: checkpoint.build(shape, *choices, latent_size, 10)


SCALARS = [(name, s) for name in TRAINED for s in registry.describe("variants", name).constants["scalars"]]
SWEPT = sorted({name for name, _ in SCALARS})


def swept(variant, *names, net=MLP, **more):
    """Three builders; in each the scalars (all of them if none is named) are half of the one before, and a third."""
    known = registry.describe("variants", variant)
    values = {name: known.options[name].default for name in names or known.constants["scalars"]}
    builds = []
    for _ in range(3):
        builds.append(build(variant, net, **values, **more))
        values = {name: value / 2 + 1 / 3 for name, value in values.items()}
    return builds


def parameters(fitted):
    return torch.cat([p.detach().flatten() for p in fitted.model.parameters()])


def largest_difference(a, b):
    """Relative to the largest parameter."""
    return ((parameters(a) - parameters(b)).abs().max() / parameters(b).abs().max()).item()


@pytest.mark.parametrize(("variant", "net"), [*((v, MLP) for v in TRAINED), ("vae", CONV), ("conditional_vae", CONV)])
def test_a_seed_trained_in_a_stack_is_the_seed_trained_alone(variant, net, few_digits):
    budget = Train(epochs=2, batch_size=50)
    stacked = fit(build(variant, net), few_digits, budget, [0, 1, 2], group_size=3)
    [alone] = fit(build(variant, net), few_digits, budget, [1], group_size=1)
    assert largest_difference(stacked[1], alone) < 1e-3
    for a, b in zip(stacked[1].history, alone.history, strict=True):
        assert a["test_loss"] == pytest.approx(b["test_loss"], rel=1e-4)


@pytest.mark.parametrize("size", [1000, 70], ids=["one batch", "two"])
def test_test_losses_have_the_same_noise_however_many_models_are_stacked(size, few_digits, monkeypatch):
    monkeypatch.setattr(trainer, "TEST_BATCH", size)
    budget = Train(epochs=1, batch_size=200, lr=1e-9)  # the models stay as they are made
    for variant in ("vae", "denoising_ae"):
        stacked = fit(build(variant), few_digits, budget, list(range(11)), group_size=11)
        [alone] = fit(build(variant), few_digits, budget, [1], group_size=1)
        assert stacked[1].history[0]["test_loss"] == pytest.approx(alone.history[0]["test_loss"], rel=1e-6)


@pytest.mark.parametrize(("variant", "scalar"), SCALARS)
def test_models_of_other_scalars_and_seeds_in_a_stack_are_those_trained_alone(variant, scalar, few_digits):
    budget, seeds, builds = Train(epochs=2, batch_size=32), [0, 1, 1], swept(variant, scalar)
    stacked = fit(builds, few_digits, budget, seeds, group_size=3)
    for found, make, seed in zip(stacked, builds, seeds, strict=True):
        [alone] = fit(make, few_digits, budget, [seed], group_size=1)
        assert getattr(found.model, scalar) == getattr(alone.model, scalar)
        # products of a stack round in another order, by processor and threads; float64 below leaves nothing of it
        assert largest_difference(found, alone) < 1e-3
        for a, b in zip(found.history, alone.history, strict=True):
            assert a["test_loss"] == pytest.approx(b["test_loss"], rel=1e-4)
    one, other = (f.history[-1]["test_loss"] for f in stacked[1:])  # of one seed: the scalar alone tells them apart
    assert max(largest_difference(*stacked[1:]), abs(one / other - 1)) > 2e-6


def test_a_scalar_is_a_number_again_even_after_a_step_that_broke():
    model, seen = build("beta_vae")(), []

    def broken_step():
        with stack._attributes(model, {"beta": torch.tensor(1.0)}):
            seen.append(model.beta)
            raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        broken_step()
    assert seen == [torch.tensor(1.0)]
    assert (model.beta, type(model.beta)) == (4.0, float)


@pytest.fixture
def double_precision(monkeypatch):
    """Everything in float64, where rounding cannot hide what stacking does."""
    monkeypatch.setattr(torch.Tensor, "float", torch.Tensor.double)


@pytest.mark.parametrize("net", [MLP, CONV], ids=["mlp", "conv"])
def test_in_double_precision_stacked_and_alone_are_one_computation(net, few_digits, double_precision):
    """In float32 an epoch of Adam amplifies one rounding to percents (docs/LOG.md); in float64 nothing is left."""
    budget = Train(epochs=4, batch_size=32)
    stacked = fit(lambda: build("vae", net)().double(), few_digits, budget, [0, 1, 2], group_size=3)
    [alone] = fit(lambda: build("vae", net)().double(), few_digits, budget, [1], group_size=1)
    assert parameters(alone).dtype == torch.float64
    assert largest_difference(stacked[1], alone) < 1e-11


@pytest.mark.parametrize("variant", SWEPT)
def test_in_double_precision_stacked_scalars_are_one_computation_too(variant, few_digits, double_precision):
    budget = Train(epochs=3, batch_size=32)
    builds = [lambda make=make: make().double() for make in swept(variant)]
    stacked = fit(builds, few_digits, budget, [0, 1, 2], group_size=3)
    [alone] = fit(builds[1], few_digits, budget, [1], group_size=1)
    assert parameters(alone).dtype == torch.float64
    assert largest_difference(stacked[1], alone) < 1e-11


@pytest.mark.parametrize("optimizer", ["adam", "adamw", "sgd", "rmsprop"])
@pytest.mark.parametrize("clip", [None, 0.5])
def test_every_optimiser_and_the_clipping_treat_each_seed_alone(optimizer, clip, few_digits):
    budget = Train(epochs=1, batch_size=32, optimizer=optimizer, lr=1e-4, grad_clip=clip, schedule="cosine")
    make = build(likelihood="learned_gaussian")  # has a parameter without any axis of its own
    stacked = fit(make, few_digits, budget, [0, 1], group_size=2)
    [alone] = fit(make, few_digits, budget, [1], group_size=1)
    assert largest_difference(stacked[1], alone) < 1e-4


def test_an_epochs_mean_weighs_batches_by_their_images():
    seen = [{"loss": torch.tensor([1.0, 10.0])}, {"loss": torch.tensor([4.0, 40.0])}]
    assert trainer._means(seen, [128, 64])["loss"].tolist() == [2.0, 20.0]


def test_two_runs_of_a_seed_are_equal_to_the_bit(few_digits):
    budget = Train(epochs=2, batch_size=32)
    [a], [b] = (fit(build(), few_digits, budget, [3]) for _ in range(2))
    assert torch.equal(parameters(a), parameters(b))
    assert [r["test_loss"] for r in a.history] == [r["test_loss"] for r in b.history]


def test_different_seeds_differ_from_the_first_weight_on(few_digits):
    a, b = fit(build(), few_digits, Train(epochs=1, batch_size=32), [0, 1])
    assert not torch.equal(parameters(a), parameters(b))


def test_global_random_state_is_neither_read_nor_moved(few_digits):
    torch.manual_seed(1)
    before = torch.get_rng_state()
    [a] = fit(build(), few_digits, Train(epochs=1, batch_size=32), [0])
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(2)
    [b] = fit(build(), few_digits, Train(epochs=1, batch_size=32), [0])
    assert torch.equal(parameters(a), parameters(b))


def test_training_lowers_the_test_loss(few_digits):
    [fitted] = fit(build(), few_digits, Train(epochs=8, batch_size=32), [0])
    assert fitted.history[-1]["test_loss"] < fitted.history[0]["test_loss"] - 5


def test_history_has_a_row_an_epoch_with_the_terms_of_both_splits(few_digits):
    [fitted] = fit(build(), few_digits, Train(epochs=3, batch_size=64), [0])
    assert [r["epoch"] for r in fitted.history] == [1, 2, 3]
    row = fitted.history[-1]
    for split in ("train", "test"):
        assert row[f"{split}_loss"] == pytest.approx(row[f"{split}_rec"] + row[f"{split}_kl"], rel=1e-6)
    assert fitted.steps == 3 * math.ceil(200 / 64)
    assert fitted.images == 600


def test_the_recorded_test_loss_is_the_loss_of_the_model_given_back(few_digits):
    """Also with an incomplete last batch, and for a deterministic model, where no noise blurs it."""
    [fitted] = fit(build("ae"), few_digits, Train(epochs=1, batch_size=64), [0])
    x = to_float(few_digits.test.images)
    with torch.no_grad():
        loss = fitted.model(x, few_digits.test.labels, ())["loss"].item()
    assert fitted.history[-1]["test_loss"] == pytest.approx(loss, rel=1e-5)


class Exploding(torch.nn.Module):
    """Its loss becomes NaN in the seed whose first weight is smallest, from the given step on."""

    closed_form = False
    stackable = True

    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.randn(1))
        self.register_buffer("limit", torch.tensor(float("inf")))

    def draw(self, x, generator):
        return ()

    def forward(self, x, y, noise):
        loss = (self.weight - x.mean()).square().sum()
        return {"loss": loss + torch.where(self.weight.sum() > self.limit, float("nan"), 0.0)}


def exploding(limits):
    models = iter(limits)

    def make():
        model = Exploding()
        model.weight.data.fill_(0.0)
        model.limit.fill_(next(models))
        return model

    return make


def test_divergence_ends_one_seed_and_leaves_its_neighbours_unchanged():
    data, budget = colour(64, 4, 1), Train(epochs=3, batch_size=16, lr=0.05)
    inf = float("inf")
    # the first model of each list is only looked at for its declarations
    broken = fit(exploding([inf, inf, 0.12, inf]), data, budget, [0, 1, 2], group_size=3)
    whole = fit(exploding([inf, inf, inf, inf]), data, budget, [0, 1, 2], group_size=3)
    assert [f.diverged_at for f in broken] == [None, 4, None]
    assert len(broken[1].history) == 1
    for seed in (0, 2):
        assert torch.equal(parameters(broken[seed]), parameters(whole[seed]))
        assert len(broken[seed].history) == 3


def test_a_scalar_that_breaks_a_model_leaves_its_neighbours_unchanged(few_digits):
    budget = Train(epochs=3, batch_size=50, optimizer="sgd", lr=1e-4)

    def trained(*betas):
        return fit([build("beta_vae", beta=beta) for beta in betas], few_digits, budget, [0, 0, 1], group_size=3)

    broken, whole = trained(1.0, 1e30, 4.0), trained(1.0, 2.0, 4.0)
    assert [f.diverged_at is None for f in broken] == [True, False, True]
    for member in (0, 2):
        assert torch.equal(parameters(broken[member]), parameters(whole[member]))
        assert len(broken[member].history) == 3


def test_a_single_diverged_seed_stops_at_its_epoch():
    [fitted] = fit(exploding([float("inf"), 0.12]), colour(64, 4, 1), Train(epochs=9, batch_size=16, lr=0.05), [0])
    assert fitted.diverged_at == 4
    assert len(fitted.history) == 1


def test_divergence_at_the_very_last_update_is_seen(few_digits):
    budget = Train(epochs=1, batch_size=200, optimizer="sgd", lr=1e30)
    [fitted] = fit(build("ae"), few_digits, budget, [0])
    assert fitted.diverged_at == 1


def test_variants_of_one_seed_start_from_the_same_decoder():
    """So their differences are paired, though the encoder of one has more heads than the other's."""
    models = {}
    for variant in ("ae", "vae"):
        with initialising(3):
            models[variant] = build(variant, CONV)()
    ae, vae = (models[v].net.decoder.state_dict() for v in ("ae", "vae"))
    assert all(torch.equal(ae[name], vae[name]) for name in ae)
    hidden = "net.encoder.0.weight"
    assert torch.equal(models["ae"].state_dict()[hidden], models["vae"].state_dict()[hidden])


def test_train_images_is_one_fixed_subset_for_every_seed(few_digits):
    chosen = subset(few_digits.train, 50)
    assert len(chosen) == 50
    assert torch.equal(chosen.images, subset(few_digits.train, 50).images)
    assert torch.equal(subset(few_digits.train, 20).images, chosen.images[:20])
    assert subset(few_digits.train, None) is few_digits.train


def test_bf16_trains_to_nearly_the_same_loss(few_digits):
    budget = Train(epochs=5, batch_size=32)
    [full] = fit(build(), few_digits, budget, [0])
    [half] = fit(build(), few_digits, budget.model_copy(update={"precision": "bf16"}), [0])
    assert not torch.equal(parameters(full), parameters(half))
    assert half.history[-1]["test_loss"] == pytest.approx(full.history[-1]["test_loss"], rel=0.02)
    assert all(p.dtype == torch.float32 for p in half.model.parameters())


@pytest.mark.parametrize("variant", SWEPT)
def test_in_bf16_scalars_in_a_stack_change_no_type_and_no_term(variant, few_digits):
    """Stacked or alone, before anything is trained: what follows differs by rounding that training amplifies."""
    models = [make() for make in swept(variant)]
    x, y = to_float(few_digits.train.images[:32]), few_digits.train.labels[:32]
    noise = models[0].draw(x, torch.Generator().manual_seed(0))
    many = (x.expand(3, *x.shape), y.expand(3, 32), mapped(lambda n: n.expand(3, *n.shape), noise))
    terms = stack._Many(models, True).terms(*many)
    for s, model in enumerate(models):
        alone = stack._One(model, True).terms(x[None], y[None], mapped(lambda n: n[None], noise))
        for name, value in alone.items():
            assert terms[name].dtype == value.dtype == torch.float32
            assert terms[name][s].item() == pytest.approx(value.item(), rel=5e-2, abs=5e-3)


def test_in_bf16_a_scalar_of_a_stack_keeps_all_its_digits(few_digits):
    budget, betas = Train(epochs=1, batch_size=50, precision="bf16"), (401.0, 803.0)  # 400 and 804 in bf16
    stacked = fit([build("beta_vae", beta=beta) for beta in betas], few_digits, budget, [0, 1], group_size=2)
    for fitted, beta in zip(stacked, betas, strict=True):
        [row] = fitted.history
        assert (row["train_loss"] - row["train_rec"]) / row["train_kl"] == pytest.approx(beta, rel=1e-4)


def test_each_model_is_made_by_its_own_builder_where_nothing_is_stacked(few_digits, monkeypatch):
    kind = registry.load("variants", "beta_vae")
    monkeypatch.setattr(kind, "stackable", False)
    budget, builds = Train(epochs=1, batch_size=50), swept("beta_vae")
    found = fit(builds, few_digits, budget, [0, 0, 1], group_size=3)
    for result, make in zip(found, builds, strict=True):
        [alone] = fit(make, few_digits, budget, [result.seed])
        assert torch.equal(parameters(result), parameters(alone))


def test_each_closed_form_is_made_by_its_own_builder(few_digits):
    found = fit([build("pca", latent_size=size) for size in (2, 3)], few_digits, Train(), [0, 1])
    assert [(f.seed, f.model.net.size.latent_size) for f in found] == [(0, 2), (1, 3)]


def test_as_many_builders_as_seeds_are_needed(few_digits):
    with pytest.raises(ValueError, match="longer"):
        fit([build(), build()], few_digits, Train(), [0, 1, 2])


def test_cosine_schedule_ends_with_steps_of_nearly_nothing(few_digits):
    rows = {}
    for schedule in ("constant", "cosine"):
        budget = Train(epochs=6, batch_size=32, schedule=schedule)
        [fitted] = fit(build("ae"), few_digits, budget, [0])
        rows[schedule] = abs(fitted.history[-1]["test_loss"] - fitted.history[-2]["test_loss"])
    assert rows["cosine"] < rows["constant"]


def test_hidden_labels_are_drawn_for_each_seed_as_many_of_each_class(few_digits):
    train = few_digits.train
    hidden = hide_labels(train, 0.1, [3, 4])
    assert hidden.labels.shape == (2, 200)
    for labels in hidden.labels:
        kept = labels >= 0
        assert labels[kept].bincount(minlength=10).tolist() == [2] * 10
        assert torch.equal(labels[kept], train.labels[kept])
    assert not torch.equal(*hidden.labels)
    assert torch.equal(hidden.labels[1:], hide_labels(train, 0.1, [4]).labels)
    assert hide_labels(train, 1.0, [0]) is train


def test_classes_too_small_for_their_share_of_labels_give_all_they_have():
    labels = torch.tensor([0] * 50 + [2] * 3 + [5] * 47)
    [hidden] = hide_labels(Split(torch.zeros(100, 1, 2, 2, dtype=torch.uint8), labels), 0.23, [0]).labels
    assert hidden[hidden >= 0].bincount(minlength=6).tolist() == [10, 0, 3, 0, 0, 10]


@pytest.mark.parametrize("variant", ["m2_vae", "semi_supervised_vae"])
def test_stacked_models_see_the_labels_of_their_own_seeds(few_digits, variant):
    make, budget = build(variant, labelled_fraction=0.1), Train(epochs=2, batch_size=50)
    together = fit(make, few_digits, budget, [0, 1], group_size=2)
    alone = fit(make, few_digits, budget, [0, 1], group_size=1)
    for one, other in zip(together, alone, strict=True):
        assert one.history[-1]["train_label"] == pytest.approx(other.history[-1]["train_label"], rel=1e-5)
    assert alone[0].history[0]["train_label"] != alone[1].history[0]["train_label"]


def test_the_labelled_fraction_of_a_variant_reaches_its_loss(few_digits):
    losses = {}
    for fraction in (0.0, 1.0):
        make = build("semi_supervised_vae", labelled_fraction=fraction)
        [fitted] = fit(make, few_digits, Train(epochs=1, batch_size=50), [0])
        losses[fraction] = fitted.history[0]["train_label"]
    assert losses[0.0] == 0
    assert losses[1.0] > 1


def test_unlabelled_data_trains():
    data = colour()
    bare = Data("random", cut(data.train, 32), cut(data.test, 32), (), "random")
    bare = Data("random", type(bare.train)(bare.train.images, None), type(bare.test)(bare.test.images, None), (), "")
    [fitted] = fit(build("vae", CONV, (3, 16, 16)), bare, Train(epochs=1, batch_size=8), [0])
    assert math.isfinite(fitted.history[-1]["train_loss"])


@pytest.fixture
def kept_after_every_epoch(monkeypatch):
    """The state of a training is written after every epoch, whatever the time."""
    monkeypatch.setattr(resume.ResumePoint.__init__, "__defaults__", (0.0,))


class KilledError(Exception):
    pass


def kill_after(epoch):
    def on_epoch(number, rows):
        if number > epoch:
            raise KilledError

    return on_epoch


RESUMED = [
    ("vae", MLP, Train(epochs=5, batch_size=48, schedule="cosine"), 1, 3),
    ("vae", MLP, Train(epochs=5, batch_size=48), 3, 1),
    ("denoising_ae", CONV, Train(epochs=4, batch_size=64, optimizer="adamw", grad_clip=1.0), 1, 2),
    ("ae", MLP, Train(epochs=4, batch_size=64, optimizer="sgd", lr=1e-4), 2, 3),
    ("vae", MLP, Train(epochs=4, batch_size=64, optimizer="rmsprop", precision="bf16"), 1, 1),
]


@pytest.mark.parametrize(("variant", "net", "budget", "size", "epoch"), RESUMED)
def test_a_killed_training_goes_on_to_the_same_bits(
    variant, net, budget, size, epoch, few_digits, tmp_path, kept_after_every_epoch
):
    seeds = list(range(size))
    files = [resume.ResumeFile(tmp_path / f"{seed}", ["train id", seed]) for seed in seeds]
    train = partial(fit, build(variant, net), few_digits, budget, seeds, group_size=size)
    whole, epochs = train(), list[int]()
    with pytest.raises(KilledError):
        train(resume=files, on_epoch=kill_after(epoch))
    resumed = train(resume=files, on_epoch=lambda number, rows: epochs.append(number))
    assert epochs[0] == epoch + 1
    for a, b in zip(whole, resumed, strict=True):
        assert torch.equal(parameters(a), parameters(b))
        assert [untimed(r) for r in a.history] == [untimed(r) for r in b.history]
        assert (a.steps, a.images) == (b.steps, b.images)


def untimed(row):
    return {name: value for name, value in row.items() if name != "seconds"}


def test_a_state_is_used_by_the_training_that_it_is_of_and_no_other(few_digits, tmp_path, kept_after_every_epoch):
    budget, path, seen = Train(epochs=3, batch_size=64), tmp_path / "state", list[int]()
    with pytest.raises(KilledError):
        fit(build(), few_digits, budget, [0], resume=[resume.ResumeFile(path, "a")], on_epoch=kill_after(2))
    for content, identity, first in ((path.read_bytes(), "b", 1), (b"damaged", "a", 1), (path.read_bytes(), "a", 3)):
        path.write_bytes(content)
        seen.clear()
        file = resume.ResumeFile(path, identity)
        fit(build(), few_digits, budget, [0], resume=[file], on_epoch=lambda epoch, rows: seen.append(epoch))
        assert seen[0] == first


def test_no_state_is_written_before_its_time(few_digits, tmp_path):
    file = resume.ResumeFile(tmp_path / "state", "a")
    fit(build(), few_digits, Train(epochs=3, batch_size=64), [0], resume=[file])
    assert not file.path.exists()


def test_a_group_that_does_not_fit_into_memory_is_trained_as_two_halves(few_digits, monkeypatch):
    sizes, whole = list[int](), trainer._Group.fit

    def fit_if_small(group, *rest):
        sizes.append(len(group.seeds))
        if len(group.seeds) > 2:
            raise torch.OutOfMemoryError
        return whole(group, *rest)

    monkeypatch.setattr(trainer._Group, "fit", fit_if_small)
    budget = Train(epochs=1, batch_size=50)
    found = fit(build(), few_digits, budget, list(range(5)), group_size=5)
    assert sizes == [5, 2, 2, 1]
    assert [f.seed for f in found] == list(range(5))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("schedule", ["constant", "cosine"])
@pytest.mark.parametrize("net", [MLP, CONV], ids=["mlp", "conv"])
def test_a_step_replayed_as_a_cuda_graph_is_the_plain_step(net, schedule, few_digits, monkeypatch):
    budget = Train(epochs=4, batch_size=48, schedule=schedule)
    recorded = fit(build("vae", net), few_digits, budget, [0, 1], device="cuda")
    monkeypatch.setattr(step.Stepper, "_can_record", lambda self: False)
    plain = fit(build("vae", net), few_digits, budget, [0, 1], device="cuda")
    assert [(a.how, b.how) for a, b in zip(recorded, plain, strict=True)] == [("CUDA graph", "plain")] * 2
    for a, b in zip(recorded, plain, strict=True):
        assert largest_difference(a, b) < 1e-4


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize(
    ("variant", "options", "seeds"),
    [("beta_vae", {"beta": {"from": 0.0, "to": 1.0, "over": 0.5}}, [0, 1]),
     ("vq_vae", {"decay": 0.9, "restart": 0.5}, [0]), ("factor_vae", {"critic_rate": 0.5}, [0, 1])],
)  # fmt: skip
def test_a_replayed_step_follows_schedules_running_means_and_rates(variant, options, seeds, few_digits, monkeypatch):
    budget, make = Train(epochs=4, batch_size=50, schedule="cosine"), build(variant, **options)
    recorded = fit(make, few_digits, budget, seeds, device="cuda")
    monkeypatch.setattr(step.Stepper, "_can_record", lambda self: False)
    for a, b in zip(recorded, fit(make, few_digits, budget, seeds, device="cuda"), strict=True):
        assert (a.how, b.how) == ("CUDA graph", "plain")
        assert largest_difference(a, b) < 1e-3


# -- images that are drawn anew for each batch


def grey(n=64):
    data = colour(n, 8, 1)
    return replace(data, probabilities=data.train, train=data.train)


def test_the_pixels_of_a_batch_are_drawn_with_their_probabilities_and_anew_each_time():
    seen = []

    class Recorder:
        def draw(self, x, generator):
            return ()

        def terms(self, x, y, noise):
            seen.append(x)
            return {}

    stack, x = Redrawn(Recorder()), torch.rand(1, 500, 1, 4, 4, generator=torch.Generator().manual_seed(1))
    x[..., 0, 0], x[..., 0, 1] = 0.0, 1.0
    generator = torch.Generator().manual_seed(0)
    for _ in range(200):
        noise, uniform = stack.draw(x[0], generator)
        stack.terms(x, None, (noise, uniform.unsqueeze(0)))
    drawn = torch.stack(seen)
    assert set(drawn.unique().tolist()) == {0.0, 1.0}
    assert drawn[..., 0, 0].max() == 0
    assert drawn[..., 0, 1].min() == 1
    torch.testing.assert_close(drawn.mean((0, 2)), x.mean(1), rtol=0, atol=0.01)
    assert not torch.equal(seen[0], seen[1])


def test_redrawn_images_are_the_same_alone_and_in_a_stack(double_precision):
    budget = Train(epochs=3, batch_size=32)
    builds = lambda: build("vae", MLP)().double()  # noqa: E731
    stacked = fit(builds, grey(), budget, [0, 1, 2], group_size=3)
    [alone] = fit(builds, grey(), budget, [1], group_size=1)
    assert largest_difference(stacked[1], alone) < 1e-11
    [fixed] = fit(builds, replace(grey(), probabilities=None), budget, [1], group_size=1)
    assert largest_difference(fixed, alone) > 1e-4
