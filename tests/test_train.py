"""The seed axis must not be visible in the results."""

import math

import pytest
import torch
from conftest import colour, cut

from bench import checkpoint, registry, train
from bench.datasets import Data
from bench.nets import Net, mlp
from bench.streams import initialising
from bench.suite import Choice, Train
from bench.train import fit, hide_labels, subset, to_float

MLP, CONV = ("mlp", {"hidden": (32,), "activation": "relu"}), ("conv", {"channels": 4})


TRAINED = [n for n in registry.names("variants") if not registry.describe("variants", n).constants["closed_form"]]


def build(variant="vae", net=MLP, shape=(1, 8, 8), latent_size=2, likelihood="bernoulli", **options):
    choices = Choice(variant, options), Choice(*net), Choice(likelihood, {})
    return lambda: checkpoint.build(shape, *choices, latent_size, 10)


def parameters(fitted):
    return torch.cat([p.detach().flatten() for p in fitted.model.parameters()])


def largest_difference(a, b):
    """Relative to the largest parameter."""
    return ((parameters(a) - parameters(b)).abs().max() / parameters(b).abs().max()).item()


@pytest.mark.parametrize("net", [MLP, CONV], ids=["mlp", "conv"])
@pytest.mark.parametrize("variant", TRAINED)
def test_a_seed_trained_in_a_stack_is_the_seed_trained_alone(variant, net, few_digits):
    budget = Train(epochs=3, batch_size=32)
    stacked = fit(build(variant, net), few_digits, budget, [0, 1, 2], group_size=3)
    [alone] = fit(build(variant, net), few_digits, budget, [1], group_size=1)
    assert largest_difference(stacked[1], alone) < 1e-4
    for a, b in zip(stacked[1].history, alone.history, strict=True):
        assert a["test_loss"] == pytest.approx(b["test_loss"], rel=1e-4)


@pytest.mark.parametrize("size", [1000, 70], ids=["one batch", "two"])
def test_test_losses_have_the_same_noise_however_many_models_are_stacked(size, few_digits, monkeypatch):
    monkeypatch.setattr(train, "TEST_BATCH", size)
    budget = Train(epochs=1, batch_size=200, lr=1e-9)  # the models stay as they are made
    for variant in ("vae", "denoising_ae"):
        stacked = fit(build(variant), few_digits, budget, list(range(11)), group_size=11)
        [alone] = fit(build(variant), few_digits, budget, [1], group_size=1)
        assert stacked[1].history[0]["test_loss"] == pytest.approx(alone.history[0]["test_loss"], rel=1e-6)


@pytest.fixture
def double_precision(monkeypatch):
    """Everything in float64, where rounding cannot hide what stacking does."""
    monkeypatch.setattr("bench.stepper.to_float", lambda images: images.double() / 255)
    monkeypatch.setattr("bench.kernels.pixels.fits", lambda images: False)
    for kind in (Net, mlp.MLP):
        monkeypatch.setattr(kind, "encode", lambda self, x, given=None: self.encoder(x))
    monkeypatch.setattr(Net, "decode", lambda self, z, given=None: self.decoder(z))


@pytest.mark.parametrize("net", [MLP, CONV], ids=["mlp", "conv"])
def test_in_double_precision_stacked_and_alone_are_one_computation(net, few_digits, double_precision):
    """In float32 an epoch of Adam amplifies one rounding to percents (docs/LOG.md); in float64 nothing is left."""
    budget = Train(epochs=20, batch_size=32)
    stacked = fit(lambda: build("vae", net)().double(), few_digits, budget, [0, 1, 2], group_size=3)
    [alone] = fit(lambda: build("vae", net)().double(), few_digits, budget, [1], group_size=1)
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
    assert train._means(seen, [128, 64])["loss"].tolist() == [2.0, 20.0]


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
    [fitted] = fit(build(), few_digits, Train(epochs=20, batch_size=32), [0])
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


def test_cosine_schedule_ends_with_steps_of_nearly_nothing(few_digits):
    rows = {}
    for schedule in ("constant", "cosine"):
        budget = Train(epochs=10, batch_size=32, schedule=schedule)
        [fitted] = fit(build("ae"), few_digits, budget, [0])
        rows[schedule] = abs(fitted.history[-1]["test_loss"] - fitted.history[-2]["test_loss"])
    assert rows["cosine"] < rows["constant"]


def test_hidden_labels_are_a_fixed_fraction_of_the_train_images(few_digits):
    hidden = hide_labels(few_digits.train, 0.1)
    assert (hidden.labels >= 0).sum() == 20
    assert torch.equal(hidden.labels, hide_labels(few_digits.train, 0.1).labels)
    kept = hidden.labels >= 0
    assert torch.equal(hidden.labels[kept], few_digits.train.labels[kept])
    assert hide_labels(few_digits.train, 1.0) is few_digits.train


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


@pytest.mark.parametrize("net", [("mlp", {"hidden": (512,), "activation": "relu"}), ("conv", {"channels": 8})])
def test_stack_and_single_agree_after_an_epoch_of_real_mnist(net, mnist):
    data = Data("mnist", cut(mnist.train, 6000), cut(mnist.test, 1000), mnist.classes, mnist.source)
    make = build("vae", net, (1, 28, 28), 16)
    stacked = fit(make, data, Train(epochs=1), [0, 1, 2], group_size=3)
    [alone] = fit(make, data, Train(epochs=1), [1], group_size=1)
    assert largest_difference(stacked[1], alone) < 1e-3
    assert stacked[1].history[0]["test_loss"] == pytest.approx(alone.history[0]["test_loss"], rel=1e-4)
