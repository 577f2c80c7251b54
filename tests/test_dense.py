"""Linear layers as tiles, and Adam from the factors of their gradients: float64, PyTorch's numbers, identities."""

import math

import pytest
import torch
import torch.nn.functional as F
from test_capture import batch, step_of
from test_kernels import (
    CPU,
    OURS,
    TORCHS,
    assert_as_near_in_bfloat16,
    assert_as_pytorchs,
    assert_differentiable_again,
    assert_pytorch_complains,
)
from test_train import MLP, build
from torch import nn

from bench import stepper
from bench.capture import capture
from bench.kernels import FusedAdam, adam, dense, faster_layers
from bench.kernels.linear_loops import RUN
from bench.kernels.llvm import LANES, has_pairs
from bench.kernels.tiles import WIDE
from bench.suite import Train
from bench.train import fit

pytestmark = pytest.mark.usefixtures("one_thread")
needs_pairs = pytest.mark.skipif(not has_pairs(), reason="this processor has no instruction for pairs of bfloat16")
PRECISIONS = [torch.float32, pytest.param(torch.bfloat16, marks=needs_pairs)]
ROUNDING = {torch.float32: 2e-6, torch.bfloat16: 4e-3}
#: batch, I, O: whole blocks and not, fewer images than a tile's rows, as many, and more
SHAPES = [(128, 784, 512), (7, 48, 80), (1, 32, 32), (12, 64, 336), (133, 336, 64)]


def made(shape, dtype):
    """x, weight, bias, and a gradient, of numbers that the precision has."""
    images, inputs, outputs = shape
    stream = torch.Generator().manual_seed(0)
    shapes = (images, inputs), (outputs, inputs), (outputs,), (images, outputs)
    return [torch.randn(s, generator=stream).to(dtype) for s in shapes]


def near(found, expected):
    assert found.shape == expected.shape
    assert ((found.double() - expected).norm() / expected.norm()).item() < ROUNDING[found.dtype]


@pytest.mark.parametrize("dtype", PRECISIONS, ids=str)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_both_products_are_those_of_float64(shape, dtype):
    x, weight, bias, grad = made(shape, dtype)
    near(dense.dense(x, weight, bias), F.linear(x.double(), weight.double(), bias.double()))
    near(dense.dense(x, weight, None), F.linear(x.double(), weight.double()))
    near(dense.by_input(grad, weight), grad.double() @ weight.double())


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_each_product_is_the_others_adjoint(shape):
    x, weight, _, grad = made(shape, torch.float32)
    forward = (dense.dense(x, weight, None).double() * grad).sum()
    backward = (dense.by_input(grad, weight).double() * x).sum()
    assert forward.item() == pytest.approx(backward.item(), rel=1e-4, abs=1e-2)


@pytest.mark.parametrize("dtype", PRECISIONS, ids=str)
def test_a_relu_and_its_gradient_are_the_same_bits_within_the_operation(dtype):
    x, weight, bias, grad = made((13, 48, 80), dtype)
    assert torch.equal(torch.ops.bench.dense(x, weight, bias, relu=True), dense.dense(x, weight, bias).relu())
    x[0, :5] = torch.tensor([0.0, -0.0, math.nan, math.inf, -math.inf])
    expected = torch.ops.aten.threshold_backward(dense.by_input(grad, weight), x, 0)
    assert torch.equal(torch.ops.bench.dense_by_input(grad, weight, gate=x), expected)


@pytest.mark.parametrize("bad", [math.nan, math.inf])
@pytest.mark.parametrize("dtype", PRECISIONS, ids=str)
def test_what_is_not_finite_is_seen_in_its_image_alone(dtype, bad):
    x, weight, bias, grad = made((14, 48, 48), dtype)
    x[13, 47], grad[13, 47] = bad, bad
    for found in (torch.ops.bench.dense(x, weight, bias, relu=True), dense.by_input(grad, weight)):
        assert not found[13].isfinite().all()
        assert found[:13].isfinite().all()


def test_tensors_that_are_not_contiguous_are_read_as_what_they_are():
    x, weight, bias, grad = made((8, 64, 64), torch.float32)
    views = x[:, ::2], weight[:, 1::2], bias
    near(dense.dense(*views), F.linear(*(v.double() for v in views)))
    near(dense.by_input(grad.t().contiguous().t(), weight.t()), grad.double() @ weight.double().t())


def net():
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Linear(96, 64), nn.ReLU(), nn.Linear(64, 48, bias=False), nn.Tanh(), nn.Linear(48, 32), nn.Linear(32, 2),
        nn.Linear(2, 64),
    )  # fmt: skip


def uses(model):
    return [getattr(m.__dict__.get("forward"), "func", None) is dense._forward for m in model if type(m) is nn.Linear]


@pytest.mark.parametrize("images", [1, 40])
def test_layers_have_the_values_and_gradients_of_pytorchs(images):
    assert_as_pytorchs(net(), torch.randn(images, 96), lambda model: uses(model) == [True, True, True, False, False])


@needs_pairs
def test_layers_in_bfloat16_are_as_near_to_float32_as_pytorchs_own():
    assert_as_near_in_bfloat16(net(), torch.randn(40, 96))


def test_a_gradient_can_be_differentiated_again():
    assert_differentiable_again(net(), torch.randn(5, 96))


def test_transforms_several_threads_and_thin_layers_take_pytorchs_own_path():
    x, model = torch.rand(1, 96), net()
    expected = torch.func.jacrev(model)(x)
    with faster_layers(model, CPU, OURS):
        assert torch.equal(torch.func.jacrev(model)(x), expected)
    odd = [nn.Linear(*sides) for sides in ((96, 16), (16, 96), (96, 36), (36, 96))]
    assert not any(dense.fits(layer, dtype) for layer in odd for dtype in dense.QUESTIONS)
    assert dense.fits(nn.Linear(40, 40), torch.float32)
    assert not dense.fits(nn.Linear(40, 40), torch.bfloat16)
    torch.set_num_threads(2)
    with faster_layers(model, CPU, OURS):
        assert not any(uses(model))


def test_what_a_layer_does_not_take_pytorch_complains_of():
    assert_pytorch_complains(net(), 96, 64)


@pytest.mark.parametrize("dtype", PRECISIONS, ids=str)
def test_the_measured_ratios_are_ratios_of_times(dtype):
    assert 0.05 < dense.measured_ratio(dtype, rounds=1) < 50
    assert all(0.05 < adam.product_ratio(dtype, thin, rounds=1) < 50 for thin in (False, True))
    assert (dense.WIDE, dense.RUN, adam.LANES) == (WIDE, RUN, LANES)


# -- Adam from factors


@pytest.mark.parametrize("dtype", PRECISIONS, ids=str)
@pytest.mark.parametrize("images", [1, 37, 128])
@pytest.mark.parametrize("shape", [(8, 512), (61, 80), (300, 16)], ids=str)
def test_adam_from_factors_is_adam_from_their_product(shape, images, dtype):
    """In several steps, with a rate that changes; what is not touched in `mean` shows that each number is met once."""
    stream, half = torch.Generator().manual_seed(0), dtype == torch.bfloat16
    start = torch.randn(shape, generator=stream)
    ours, theirs = start.clone(), start.double()
    optimizer = FusedAdam([ours], 1e-2, 0.0, vectors=half, products=True, thin=True)
    exact = torch.optim.Adam([theirs], lr=1e-2)
    copy = ours.to(torch.bfloat16)
    if half:
        optimizer.keep_halves([copy])
    for step in range(4):
        left, right = (torch.randn(images, n, generator=stream).to(dtype) for n in shape)
        optimizer.param_groups[0]["lr"] = exact.param_groups[0]["lr"] = 1e-2 / (step + 1)
        optimizer.step([(left, right)])
        theirs.grad = left.double().t() @ right.double()
        exact.step()
        assert not half or torch.equal(copy, ours.to(torch.bfloat16))
    (row,), state = optimizer.rows, exact.state[theirs]
    torch.testing.assert_close(row.mean.double(), state["exp_avg"], rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(row.square.double(), state["exp_avg_sq"], rtol=1e-4, atol=1e-6)
    assert ((ours - theirs).norm() / (theirs - start).norm()).item() < 1e-5
    assert row.count == 4


def test_an_update_that_is_not_finite_stays_in_its_row():
    p = [torch.zeros(64, 64)]
    left, right = torch.ones(3, 64), torch.ones(3, 64)
    left[1, 5] = math.nan
    FusedAdam(p, 1e-3, 0.0, products=True).step([(left, right)])
    assert not p[0][5].isfinite().any()
    torch.testing.assert_close(p[0][torch.arange(64) != 5], torch.full((63, 64), -1e-3))


def test_which_weights_take_factors():
    wide, odd, small, flat, high = (torch.zeros(n) for n in ((64, 64), (512, 10), (8, 16), (63, 128), (512, 16)))
    weights = wide, odd, small, flat, high
    for ways, taken in (({"products": True}, [0]), ({"thin": True}, [3, 4])):
        optimizer = FusedAdam(weights, 1e-3, 0.0, **ways)
        assert [i for i, p in enumerate(weights) if optimizer.takes_factors(p)] == taken
    lists = FusedAdam(weights, 1e-3, 0.0, sparse=True)
    assert [lists.takes_factors(p) for p in (wide, torch.zeros(512, 32), torch.zeros(32, 512))] == [True, False, False]
    assert not FusedAdam([wide], 1e-3, 0.1, products=True, sparse=True).takes_factors(wide)
    assert not FusedAdam([wide], 1e-3, 0.0).takes_factors(wide)


@pytest.mark.parametrize("kernels", [OURS, OURS | {"linear_tiles": "torch", "bf16_linear_tiles": "torch"}, TORCHS])
@pytest.mark.parametrize("half", [False, pytest.param(True, marks=needs_pairs)], ids=["fp32", "bf16"])
def test_the_factors_of_a_captured_step_are_those_of_its_gradients(half, kernels):
    model = build("vae", ("mlp", {"hidden": (256, 128)}), (1, 16, 16), latent_size=16)()
    given, weights = batch(model, size=16), [p for p in model.parameters() if p.ndim == 2]
    with faster_layers(model, CPU, kernels):
        plain, factored = (capture(step_of(model, half), given, narrow=half) for _ in range(2))
        factored.factor(lambda p: p.ndim == 2)
        (_, expected), (_, found) = plain.both(*given), factored.both(*given)
    assert sum(isinstance(g, tuple) for g in found) == len(weights) == 6
    for a, b in zip(found, expected, strict=True):
        a = a[0].float().t() @ a[1].float() if isinstance(a, tuple) else a.float()
        torch.testing.assert_close(a, b.float(), rtol=1e-2 if half else 1e-4, atol=1e-4 if half else 1e-6)


def test_a_gradient_that_is_read_elsewhere_is_not_given_as_factors():
    """A weight that two layers share has a sum of two products."""
    model = build("contractive_ae", ("mlp", {"hidden": (64,)}), (1, 8, 8), latent_size=16)()
    given = batch(model, size=8)
    captured = capture(step_of(model, False), given)
    before = captured.both(*given)[1]
    captured.factor(lambda p: True)
    after = captured.both(*given)[1]
    kept = [isinstance(g, torch.Tensor) for g, p in zip(after, model.parameters(), strict=True) if p.ndim == 2]
    assert any(kept)
    assert not all(kept)
    assert all(torch.equal(a, b) for a, b in zip(after, before, strict=True) if isinstance(a, torch.Tensor))


@pytest.mark.parametrize("precision", ["fp32", pytest.param("bf16", marks=needs_pairs)])
@pytest.mark.parametrize("net", [("mlp", {"hidden": (128,)}), ("conv", {})], ids=lambda net: net[0])
def test_a_training_by_all_of_these_is_the_plain_one_but_for_rounding(net, precision, few_digits, monkeypatch):
    """Of each epoch the same losses: to 1e-4 of themselves, 1e-2 in bfloat16."""
    histories, steps = [], []
    original = FusedAdam._step_by_product
    monkeypatch.setattr(FusedAdam, "_step_by_product", lambda *given: (steps.append(1), original(*given))[1])
    for kernels in (OURS, TORCHS):
        monkeypatch.setattr(stepper, "chosen", lambda kernels=kernels: kernels)
        monkeypatch.setattr("bench.kernels.layers.chosen", lambda kernels=kernels: kernels)
        monkeypatch.setattr(stepper, "LONG", 1)
        budget = Train(epochs=3, batch_size=64, precision=precision)
        (result,) = fit(build("vae", net, latent_size=16), few_digits, budget, [0])
        histories.append([row["test_loss"] for row in result.history])
        assert bool(steps) == (kernels is OURS)
        steps.clear()
    assert histories[0] == pytest.approx(histories[1], rel=1e-2 if precision == "bf16" else 1e-4)
    assert histories[0][-1] < histories[0][0]


@pytest.mark.parametrize("budget", [{"grad_clip": 1.0}, {"weight_decay": 0.1}, {"optimizer": "sgd"}], ids=str)
def test_what_needs_the_gradient_itself_gets_it(budget, few_digits, monkeypatch):
    monkeypatch.setattr(stepper, "chosen", lambda: OURS)
    monkeypatch.setattr(stepper, "LONG", 1)
    for way in ("_step_by_product", "_step_by_sparse_product"):
        monkeypatch.setattr(FusedAdam, way, None)  # not to be called
    (result,) = fit(build("vae", MLP, latent_size=16), few_digits, Train(epochs=1, batch_size=64, **budget), [0])
    assert math.isfinite(result.history[-1]["test_loss"])
