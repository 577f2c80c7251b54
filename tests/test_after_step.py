"""What training does beside one step of one gradient: buffers that follow a batch, and learning rates of parts."""

from functools import partial

import pytest
import torch
from test_methods import normals
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
from test_variants import batch, make, objective

from bench.errors import UsageError
from bench.suite import Train
from bench.training import resume
from bench.training.stack import Redrawn, stack_of
from bench.training.step import make_optimizer
from bench.training.trainer import fit

pytestmark = pytest.mark.usefixtures("one_thread")
DOUBLE = torch.float64


# -- a codebook of running means


def vq(**options):
    """A quantiser of 4 numbers, 2 a vector, whose encoder returns what it is given."""
    method = make("vq_vae", latent_size=4, codes=5, dim=2, **options).double()
    method.net.encode = lambda x: x
    return method


def test_the_codebook_is_the_recursion_of_the_paper_by_hand():
    method = vq(decay=0.9)
    start = method.codebook.clone()
    counts, sums, codebook = [1.0] * 5, [v.clone() for v in start], [v.clone() for v in start]
    for step in range(3):
        z = normals(6, 4, seed=step)
        vectors = z.view(-1, 2)
        nearest = [min(range(5), key=lambda k: (v - codebook[k]).square().sum().item()) for v in vectors]
        for k in range(5):
            mine = [v for v, near in zip(vectors, nearest, strict=True) if near == k]
            counts[k] = 0.9 * counts[k] + 0.1 * len(mine)
            sums[k] = 0.9 * sums[k] + 0.1 * sum(mine, torch.zeros(2, dtype=DOUBLE))
        codebook = [s / n for s, n in zip(sums, counts, strict=True)]
        method.follow(z, None, ())
        torch.testing.assert_close(method.codebook, torch.stack(codebook))
    assert not torch.allclose(method.codebook, start)


def test_followed_long_enough_a_vector_is_the_mean_of_those_nearest_to_it_and_an_unused_one_stays():
    method, z = vq(decay=0.5), torch.tensor([[0.4, 0.5, 0.6, 0.5]], dtype=DOUBLE)
    method.codebook.copy_(torch.tensor([[0.0, 0.0], [9.0, 9.0], [8.0, 8.0], [7.0, 7.0], [6.0, 6.0]]))
    method.sums.copy_(method.codebook)
    for _ in range(2000):  # far beyond where a count of float64 has digits
        method.follow(z, None, ())
    torch.testing.assert_close(method.codebook[0], torch.tensor([0.5, 0.5], dtype=DOUBLE))
    torch.testing.assert_close(method.codebook[1], torch.tensor([9.0, 9.0], dtype=DOUBLE))


def test_the_loss_has_no_gradient_for_a_codebook_of_running_means_and_the_encoder_has_the_same():
    by_gradient, follows, (x, y) = make("vq_vae"), make("vq_vae", decay=0.99), batch()
    follows.net.load_state_dict(by_gradient.net.state_dict())
    follows.codebook.copy_(by_gradient.codebook.detach())
    assert "codebook" not in dict(follows.named_parameters())
    for model in (by_gradient, follows):
        objective(model, x, y)["loss"].backward()
    for a, b in zip(by_gradient.net.parameters(), follows.net.parameters(), strict=True):
        torch.testing.assert_close(a.grad, b.grad)


def test_a_vector_that_nobody_uses_starts_again_as_one_of_the_batch():
    method = vq(decay=0.9, restart=0.95)
    method.codebook.copy_(torch.tensor([[0.0, 0.0], [9.0, 9.0], [8.0, 8.0], [7.0, 7.0], [6.0, 6.0]]))
    method.sums.copy_(method.codebook)
    z = 0.1 * normals(6, 4)
    method.follow(z, None, torch.rand(6, 2, generator=torch.Generator().manual_seed(0)))
    vectors = {tuple(v) for v in z.view(-1, 2).numpy().round(9).tolist()}
    revived = {tuple(v) for v in method.codebook[1:].numpy().round(9).tolist()}
    assert len(revived) == 4
    assert revived <= vectors
    assert method.counts.min() >= 0.95


def test_running_means_are_trained_alone_whatever_the_group_and_learn_a_codebook(few_digits):
    train = partial(fit, build("vq_vae", latent_size=4, decay=0.9, restart=0.5), few_digits)
    budget = Train(epochs=3, batch_size=32)
    grouped = train(budget, [0, 1], group_size=2)
    [alone] = train(budget, [1], group_size=1)
    assert torch.equal(parameters(grouped[1]), parameters(alone))
    assert torch.equal(grouped[1].model.codebook, alone.model.codebook)
    assert grouped[0].history[-1]["test_loss"] < grouped[0].history[0]["test_loss"]
    assert not torch.allclose(grouped[0].model.codebook, grouped[1].model.codebook)


def test_a_killed_training_goes_on_with_its_running_means(
    few_digits,
    tmp_path,
    kept_after_every_epoch,  # noqa: F811
):
    file = resume.ResumeFile(tmp_path / "state", ["train id", 0])
    train = partial(fit, build("vq_vae", latent_size=4, decay=0.9, restart=0.5), few_digits,
                    Train(epochs=4, batch_size=48), [0])  # fmt: skip
    [whole] = train()
    with pytest.raises(KilledError):
        train(resume=[file], on_epoch=kill_after(2))
    [resumed] = train(resume=[file])
    for name in ("codebook", "counts", "sums"):
        assert torch.equal(getattr(whole.model, name), getattr(resumed.model, name))
    assert [untimed(r) for r in whole.history] == [untimed(r) for r in resumed.history]


def test_what_follows_a_step_sees_the_pixels_that_were_drawn_for_it():
    model, seen = build("ae")(), []
    model.after_step = lambda x, y, noise: seen.append(x)
    model.forward = lambda x, y, noise: seen.append(x) or {"loss": x.sum()}
    training = Redrawn(stack_of([model], half=False))
    x = torch.rand(1, 3, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    noise = ((), torch.rand(x.shape, generator=torch.Generator().manual_seed(1)))
    training.terms(x, torch.zeros(1, 3), noise)
    training.after_step(x, torch.zeros(1, 3), noise)
    assert torch.equal(*seen)
    assert set(seen[0].unique().tolist()) == {0.0, 1.0}


@pytest.mark.parametrize("wrong", [{"decay": 1.0}, {"decay": -0.1}, {"restart": 0.5}, {"decay": 0.9, "restart": -1.0}])
def test_an_impossible_running_mean_is_refused(wrong):
    with pytest.raises(UsageError, match="vq_vae: decay from 0 to below 1"):
        make("vq_vae", **wrong)


# -- learning rates of parts

ADVERSARIES = ["factor_vae", "adversarial_ae", "vae_gan"]


@pytest.mark.parametrize("name", ADVERSARIES)
def test_a_critic_of_rate_0_stays_where_it_is_and_the_model_moves(name, few_digits):
    [fitted] = fit(build(name, critic_rate=0.0), few_digits, Train(epochs=1, batch_size=100), [0])
    [other] = fit(build(name), few_digits, Train(epochs=1, batch_size=100), [0])
    start = dict(build_of(name).named_parameters())
    for key, parameter in fitted.model.named_parameters():
        assert torch.equal(parameter, start[key]) == key.startswith("critic"), key
    assert largest_difference(fitted, other) > 0


def build_of(name):
    from bench.models.seeding import initialising

    with initialising(0):
        return build(name)()


@pytest.mark.parametrize(("optimizer", "schedule"), [("sgd", "constant"), ("adam", "cosine")])
def test_a_factor_of_the_rate_is_a_factor_of_the_update(
    optimizer,
    schedule,
    few_digits,
    double_precision,  # noqa: F811
):
    """The first update, on one batch: proportional to the rate under SGD and Adam alike."""
    budget = Train(epochs=1, batch_size=200, optimizer=optimizer, schedule=schedule, lr=1e-3)
    start = dict(build_of("factor_vae").named_parameters())
    moved = {}
    for rate in (1.0, 0.25):
        [fitted] = fit(lambda rate=rate: build("factor_vae", critic_rate=rate)().double(), few_digits, budget, [0])
        moved[rate] = {key: p - start[key].double() for key, p in fitted.model.named_parameters()}
    for key, step in moved[1.0].items():
        factor = 0.25 if key.startswith("critic") else 1.0
        torch.testing.assert_close(moved[0.25][key], factor * step, rtol=1e-5, atol=1e-12)


def test_rates_of_parts_hold_in_a_stack(few_digits, double_precision):  # noqa: F811
    make_one = lambda: build("factor_vae", critic_rate=0.3)().double()  # noqa: E731
    budget = Train(epochs=2, batch_size=50, schedule="cosine")
    stacked = fit(make_one, few_digits, budget, [0, 1], group_size=2)
    [alone] = fit(make_one, few_digits, budget, [1], group_size=1)
    assert largest_difference(stacked[1], alone) < 1e-11


def test_parts_of_one_rate_are_one_group_of_the_optimiser():
    model = build("factor_vae")()
    optimizer = make_optimizer(list(model.parameters()), Train(), stack_of([model], half=False).rates())
    assert [len(group["params"]) for group in optimizer.param_groups] == [len(list(model.parameters()))]


def test_a_rate_of_no_parameter_is_told():
    model = build("vae")()
    model.rates = {"net.encoder": 0.5, "critc": 2.0}
    with pytest.raises(UsageError, match="VAE: no parameter's name begins with 'critc'"):
        stack_of([model], half=False).rates()
