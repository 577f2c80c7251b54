"""Zeros left out of linear layers: the bits of dense tiles, PyTorch's numbers, and only where there are zeros."""

import math

import pytest
import torch
import torch.nn.functional as F
from conftest import cut
from test_capture import step_of
from test_dense import PRECISIONS, made, near, needs_pairs
from test_kernels import (
    CPU,
    OURS,
    TORCHS,
    assert_as_pytorchs,
    assert_differentiable_again,
    assert_pytorch_complains,
    needs_onednn,
)
from test_train import build
from torch import nn

from bench import stepper
from bench.capture import capture, gradients
from bench.datasets import Data, Split
from bench.kernels import FusedAdam, adam, faster_layers, linear, sparse, sparse_loops
from bench.suite import Train
from bench.train import fit

pytestmark = pytest.mark.usefixtures("one_thread")
DENSE = OURS | dict.fromkeys(
    ("sparse_linear", "bf16_sparse_linear", "adam_of_sparse_product", "bf16_adam_of_sparse_product"), "torch"
)
#: batch, I, O: whole groups of inputs and blocks of outputs, and not; few images; more words than a chunk has
SHAPES = [(128, 784, 512), (7, 208, 136), (1, 128, 128), (33, 336, 200)]


def with_zeros(x, share=0.2):
    """About so many of the numbers, the same each time; a column, and the first of several images, are empty."""
    kept = torch.rand(x.shape, generator=torch.Generator().manual_seed(1)) < share
    kept[:, 3] = False
    if len(x) > 1:
        kept[0] = False
    return torch.where(kept, x, torch.zeros((), dtype=x.dtype))


@pytest.mark.parametrize("share", [0.0, 0.13])
@pytest.mark.parametrize("dtype", PRECISIONS, ids=str)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_a_product_without_its_zeros_has_the_bits_of_dense_tiles(shape, dtype, share, monkeypatch):
    x, weight, bias, _ = made(shape, dtype)
    x = with_zeros(x, share)
    monkeypatch.setattr(sparse, "_dense_linear", None)  # not to be called
    for b in (bias, None):
        for relu in (False, True):
            found = torch.ops.bench.sparse_linear(x, weight, b, "", relu=relu)
            assert torch.equal(found, torch.ops.bench.dense(x, weight, b, relu=relu))
    near(torch.ops.bench.sparse_linear(x, weight, bias, ""), F.linear(x.double(), weight.double(), bias.double()))


@pytest.mark.parametrize("bad", [math.nan, math.inf])
@pytest.mark.parametrize("dtype", PRECISIONS, ids=str)
def test_what_is_not_finite_is_seen_in_its_image_alone(dtype, bad, monkeypatch):
    monkeypatch.setattr(sparse, "_dense_linear", None)  # not to be called
    x, weight, bias, _ = made((9, 160, 128), dtype)
    x = with_zeros(x, 0.1)
    x[8, 159] = bad
    found = torch.ops.bench.sparse_linear(x, weight, bias, "", relu=True)
    assert not found[8].isfinite().all()
    assert found[:8].isfinite().all()


def test_a_negative_zero_is_one():
    x, weight, bias, _ = made((4, 128, 128), torch.float32)
    x = with_zeros(x)
    assert sparse.is_sparse(x, 0.3, 1)
    assert not sparse.is_sparse(x, 0.05, 1)
    negative = torch.where(x == 0, -0.0, x)
    assert sparse_loops.share(negative.numpy().ravel(), 1) == sparse_loops.share(x.numpy().ravel(), 1)
    found, expected = (torch.ops.bench.sparse_linear(images, weight, bias, "") for images in (x, negative))
    assert torch.equal(found, expected)


@needs_pairs
def test_a_pair_of_which_only_one_is_zero_is_no_zero_where_denormals_are():
    """As a float32, a bfloat16 one beside a zero is denormal."""
    x, weight, bias, _ = made((4, 128, 128), torch.bfloat16)
    x[:] = 0
    x[:, ::16] = 1
    expected = torch.ops.bench.sparse_linear(x, weight, bias, "")
    assert torch.set_flush_denormal(True)
    try:
        assert torch.equal(torch.ops.bench.sparse_linear(x, weight, bias, ""), expected)
    finally:
        torch.set_flush_denormal(False)
    near(expected, F.linear(x.double(), weight.double(), bias.double()))


def test_a_weight_that_is_not_finite_is_seen_by_the_images_that_read_it():
    x, weight, bias, _ = made((20, 128, 128), torch.float32)
    x = with_zeros(x)
    weight[5, 7] = math.nan
    found = torch.ops.bench.sparse_linear(x, weight, bias, "")
    assert torch.equal(found.isnan().any(1), x[:, 7] != 0)
    assert (x[:, 7] != 0).any()


@pytest.mark.parametrize(
    ("dtype", "usual"),
    [
        (torch.float32, "tiles"),
        (torch.float32, "torch"),
        pytest.param(torch.float32, "onednn", marks=needs_onednn),
        pytest.param(torch.bfloat16, "tiles", marks=needs_pairs),
        pytest.param(torch.bfloat16, "torch", marks=needs_pairs),
    ],
)
def test_what_is_dense_is_multiplied_as_it_would_be(dtype, usual, monkeypatch):
    monkeypatch.setattr(sparse, "_by_lists", None)  # not to be called
    x, weight, bias, _ = made((20, 128, 160), dtype)
    product = {"tiles": torch.ops.bench.dense, "onednn": linear.product, "torch": F.linear}[usual]
    expected = product(x, weight, bias)
    assert torch.equal(torch.ops.bench.sparse_linear(x, weight, bias, usual), expected)
    assert torch.equal(torch.ops.bench.sparse_linear(x, weight, bias, usual, relu=True), expected.relu())


def share_of(x, together):
    """Of 1, how many runs of so many numbers are not all zero."""
    return (x.reshape(-1, together) != 0).any(1).double().mean().item()


@pytest.mark.parametrize("dtype", PRECISIONS, ids=str)
@pytest.mark.parametrize("count", [6, 64, 1000])
def test_the_share_is_counted(count, dtype):
    x = with_zeros(torch.ones(7, count, dtype=dtype))
    for together in (1, 2):
        assert sparse_loops.share(sparse.flat(x), together) == pytest.approx(share_of(x, together))


@pytest.mark.parametrize("dtype", PRECISIONS, ids=str)
@pytest.mark.parametrize("together", [1, 2])
def test_what_is_measured_has_the_share_that_is_asked_for(together, dtype):
    for share in (0.2, 0.34, 0.59):
        assert share_of(sparse.images(share, together, dtype), together) == pytest.approx(share, abs=0.01)


def net(bias=True):
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(128, 192, bias), nn.ReLU(), nn.Linear(192, 160), nn.Linear(160, 40))


def uses(model):
    return [getattr(m.__dict__.get("forward"), "func", None) is sparse._forward for m in model if type(m) is nn.Linear]


def gradients_by_weights(model, x, kernels, half=False):
    model.zero_grad()
    with faster_layers(model, CPU, kernels), torch.autocast("cpu", torch.bfloat16, enabled=half):
        value = model(x).float().square().mean()
        value.backward()
    return [value.detach(), *(p.grad.clone() for p in model.parameters())]


@pytest.mark.parametrize("share", [0.2, 0.9])
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("images", [sparse.FEW - 1, sparse.FEW, 40])
def test_layers_have_the_values_and_gradients_of_pytorchs(images, bias, share, monkeypatch):
    model, x, ways = net(bias), with_zeros(torch.randn(images, 128), share), []
    with faster_layers(model, CPU, OURS):
        assert uses(model) == [True, True, False]
    for name in ("_dense_linear", "_by_lists"):
        original = getattr(sparse, name)
        monkeypatch.setattr(sparse, name, lambda *given, o=original, n=name: (ways.append(n), o(*given))[1])
    found = gradients_by_weights(model, x, OURS)
    assert ways == ([] if images < sparse.FEW else ["_dense_linear" if share == 0.9 else "_by_lists"])
    for a, b in zip(found, gradients_by_weights(model, x, TORCHS), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-6)
    with torch.inference_mode(), faster_layers(model, CPU, OURS):
        inferred = model(x)
    with torch.no_grad():
        torch.testing.assert_close(inferred, model(x), rtol=1e-4, atol=1e-6)


@needs_pairs
def test_layers_in_bfloat16_are_as_near_to_float32_as_pytorchs_own(monkeypatch):
    monkeypatch.setattr(sparse, "_dense_linear", None)  # not to be called
    model, x = net(), with_zeros(torch.randn(40, 128), 0.1)
    exact, errors = gradients_by_weights(model, x, TORCHS), []
    for kernels in (OURS, TORCHS):
        found = gradients_by_weights(model, x, kernels, half=True)
        errors.append([((a - b).norm() / b.norm()).item() for a, b in zip(found, exact, strict=True)])
    assert max(errors[0]) > 0
    assert all(ours < 1.3 * torchs + 1e-3 for ours, torchs in zip(*errors, strict=True))


@pytest.mark.parametrize("half", [False, pytest.param(True, marks=needs_pairs)])
def test_a_gradient_by_the_weights_can_be_differentiated_again(half):
    x, found = with_zeros(torch.randn(24, 128), 0.1), []
    for kernels in (OURS, TORCHS):
        model = net()
        with faster_layers(model, CPU, kernels), torch.autocast("cpu", torch.bfloat16, enabled=half):
            loss = model(x).float().square().mean()
        slopes = torch.autograd.grad(loss, list(model.parameters()), create_graph=True)
        sum(slope.square().sum() for slope in slopes).backward()
        found.append(torch.cat([layer.weight.grad.flatten() for layer in model if hasattr(layer, "weight")]))
    ours, torchs = found
    assert torchs.abs().max() > 1e-4
    assert ((ours - torchs).norm() / torchs.norm()).item() < (0.03 if half else 1e-5)


def test_an_input_that_needs_a_gradient_has_it_and_its_gradient_again():
    x = with_zeros(torch.randn(12, 128))
    assert_as_pytorchs(net(), x, lambda model: uses(model) == [True, True, False])
    assert_differentiable_again(net(), x)


def test_transforms_several_threads_and_thin_layers_take_pytorchs_own_path():
    x, model = with_zeros(torch.rand(sparse.FEW, 128)), net()
    expected = torch.func.jacrev(model)(x)
    with faster_layers(model, CPU, OURS):
        assert torch.equal(torch.func.jacrev(model)(x), expected)
    assert sparse.fits(nn.Linear(64, 128), torch.float32)
    assert not any(sparse.fits(nn.Linear(*sides), torch.float32) for sides in ((63, 128), (64, 127)))
    assert [sparse.fits(nn.Linear(i, 128), torch.bfloat16) for i in (128, 127, 129)] == [True, False, False]
    torch.set_num_threads(2)
    with faster_layers(model, CPU, OURS):
        assert not any(uses(model))


def test_what_a_layer_does_not_take_pytorch_complains_of():
    assert_pytorch_complains(net(), 128, 40)


@pytest.mark.parametrize("dtype", PRECISIONS, ids=str)
def test_the_measured_ratios_are_ratios_of_times(dtype):
    assert 0.05 < sparse.measured_ratio(dtype, rounds=1) < 50
    assert 0.05 < adam.sparse_ratio(dtype, rounds=1) < 50
    assert (sparse.WIDE, sparse.GROUP) == (sparse_loops.WIDE, sparse_loops.GROUP)


# -- Adam from factors with zeros


@pytest.mark.parametrize("dtype", PRECISIONS, ids=str)
@pytest.mark.parametrize("images", [1, 37, 128])
@pytest.mark.parametrize("shape", [(512, 784), (64, 64), (75, 80), (300, 144)], ids=str)
def test_adam_from_factors_with_zeros_has_the_bits_of_that_from_all_of_them(shape, images, dtype, monkeypatch):
    """In several steps; what is not touched in `mean` shows that each number is met once."""
    stream, half = torch.Generator().manual_seed(0), dtype == torch.bfloat16
    start = torch.randn(shape, generator=stream)

    def optimizer(**ways):
        made = FusedAdam([start.clone()], 1e-2, 0.0, vectors=half, **ways)
        if half:
            made.keep_halves([start.to(torch.bfloat16)])
        return made

    whole, without = optimizer(products=True), optimizer(sparse=True)
    monkeypatch.setattr(adam, "weight_gradient", None)  # not to be called
    for _ in range(3):
        left, right = (torch.randn(images, n, generator=stream).to(dtype) for n in shape)
        for one in (whole, without):
            one.step([(left, with_zeros(right, 0.1))])
    (a,), (b,) = whole.rows, without.rows
    for name in ("parameter", "mean", "square"):
        assert torch.equal(getattr(a, name), getattr(b, name))
    assert not half or (a.half == b.half).all()
    assert (b.mean[:, 3] == 0).all()
    assert (b.mean != 0).any()


@pytest.mark.parametrize("dtype", PRECISIONS, ids=str)
@pytest.mark.parametrize("shape", [(80, 128), (512, 32), (32, 80)], ids=str)
@pytest.mark.parametrize("ways", [{}, {"products": True}, {"vectors": True}], ids=str)
def test_factors_without_zeros_are_multiplied_as_they_would_be(ways, shape, dtype, monkeypatch):
    """Also where few columns make the product one that is turned round in memory."""
    monkeypatch.setattr(FusedAdam, "_step_by_sparse_product", None)  # not to be called
    left, right = (torch.randn(20, n).to(dtype) for n in shape)
    if ways and dtype == torch.bfloat16:
        ways = ways | {"vectors": True}
    ours, exact = FusedAdam([torch.ones(shape)], 1e-2, 0.0, sparse=True, **ways), torch.ones(shape).double()
    theirs = torch.optim.Adam([exact], lr=1e-2)
    for _ in range(2):
        ours.step([(left, right)])
        exact.grad = left.double().t() @ right.double()
        theirs.step()
    (row,) = ours.rows
    error = (row.mean - theirs.state[exact]["exp_avg"]).norm() / row.mean.norm()
    assert error.item() < (1e-2 if dtype == torch.bfloat16 else 1e-5)
    assert row.count == 2


def test_a_gradient_that_is_not_finite_stays_in_its_block_of_rows():
    p = [torch.zeros(192, 128)]
    left, right = torch.ones(20, 192), with_zeros(torch.ones(20, 128))
    left[3, 70] = math.nan
    FusedAdam(p, 1e-3, 0.0, sparse=True).step([(left, right)])
    assert torch.equal(p[0].isnan().any(1), torch.arange(192) == 70)
    assert p[0].isnan().any(0).sum() >= (right[3] != 0).sum() > 0


def test_thin_factors_are_not_looked_at():
    zeros = torch.zeros(20, 512)
    assert adam._is_sparse(zeros, zeros)
    assert not adam._is_sparse(zeros[:, :32], zeros)
    assert not adam._is_sparse(zeros, zeros[:, :32])


@pytest.mark.parametrize("half", [False, pytest.param(True, marks=needs_pairs)])
def test_a_mean_of_gradients_that_are_zero_becomes_zero_and_no_denormal(half):
    """Denormals are slow. What moves is what PyTorch's Adam moves."""
    ours, theirs = torch.ones(64, 64), torch.ones(64, 64)
    optimizer = FusedAdam([ours], 1e-3, 0.0, vectors=half, sparse=True)
    if half:
        optimizer.keep_halves([ours.to(torch.bfloat16)])
    exact = torch.optim.Adam([theirs], lr=1e-3, fused=True)
    dtype = torch.bfloat16 if half else torch.float32
    left, right = torch.ones(4, 64, dtype=dtype), torch.zeros(4, 64, dtype=dtype)
    right[:, :9] = 1
    for _ in range(900):
        optimizer.step([(left, right)])
        theirs.grad = left.float().t() @ right.float()
        exact.step()
        right = torch.zeros_like(right)
    assert 0 < exact.state[theirs]["exp_avg"][0, 0] < 1e-38
    assert (optimizer.rows[0].mean == 0).all()
    torch.testing.assert_close(ours, theirs, rtol=1e-6, atol=0)
    assert (ours[:, :9] < 1).all()
    assert (ours[:, 9:] == 1).all()


# -- in training


@pytest.fixture(scope="module")
def mostly_black(digits):
    """Digits of 8×8 pixels on a black ground of 16×16: an eighth of their pixels are not zero."""

    def framed(split):
        return Split(F.pad(split.images, (4, 4, 4, 4)), split.labels)

    return Data("framed", framed(cut(digits.train, 200)), framed(cut(digits.test, 100)), digits.classes, digits.source)


def test_a_captured_step_leaves_zeros_out_and_has_the_bits_of_the_plain_one(mostly_black):
    model = build("vae", ("mlp", {"hidden": (256,)}), (1, 16, 16), latent_size=16)()
    x, y = mostly_black.train.images[:64].float() / 255, mostly_black.train.labels[:64]
    given = x, y, model.draw(x, torch.Generator().manual_seed(0))
    step = step_of(model)
    with faster_layers(model, CPU, OURS):
        captured = capture(step, given)
        operations = [n for n in captured.module.graph.nodes if "sparse_linear" in str(n.target)]
        assert [n.kwargs for n in operations] == [{"relu": True}]
        assert sparse.is_sparse(x, sparse.MOST, 1)
        found = [*captured(*given).values(), *(p.grad for p in step.parameters.values())]
        expected = [*gradients(step, given).values(), *(p.grad for p in step.parameters.values())]
    assert all(torch.equal(a, b) for a, b in zip(found, expected, strict=True))


@pytest.mark.parametrize("precision", ["fp32", pytest.param("bf16", marks=needs_pairs)])
@pytest.mark.parametrize("variant", ["vae", "sparse_ae", "denoising_ae"])
def test_a_training_without_zeros_is_that_with_them_to_the_bit(variant, precision, mostly_black, monkeypatch):
    """Where the others are tiles, which add up in the same order."""
    results, calls = [], set[str]()

    def watch(owner, name):
        original = getattr(owner, name)
        monkeypatch.setattr(owner, name, lambda *given: (calls.add(name), original(*given))[1])

    watch(sparse_loops, "forward")
    watch(FusedAdam, "_step_by_sparse_product")
    monkeypatch.setattr(stepper, "LONG", 1)
    for kernels in (OURS, DENSE):
        monkeypatch.setattr(stepper, "chosen", lambda kernels=kernels: kernels)
        monkeypatch.setattr("bench.kernels.layers.chosen", lambda kernels=kernels: kernels)
        budget = Train(epochs=3, batch_size=64, precision=precision)
        make = build(variant, ("mlp", {"hidden": (256,)}), (1, 16, 16), latent_size=16)
        (result,) = fit(make, mostly_black, budget, [0])
        results.append(result)
        assert calls == ({"forward", "_step_by_sparse_product"} if kernels is OURS else set())
        calls.clear()
    ours, whole = results
    assert ours.how == whole.how == "captured"
    for a, b in zip(ours.model.parameters(), whole.model.parameters(), strict=True):
        assert torch.equal(a, b)
    assert [row["test_loss"] for row in ours.history] == [row["test_loss"] for row in whole.history]


def test_labels_behind_the_pixels_change_nothing(mostly_black, monkeypatch):
    """266 columns are no whole vectors, and no tiles."""
    histories = []
    for kernels in (OURS, TORCHS):
        monkeypatch.setattr(stepper, "chosen", lambda kernels=kernels: kernels)
        monkeypatch.setattr("bench.kernels.layers.chosen", lambda kernels=kernels: kernels)
        make = build("conditional_vae", ("mlp", {"hidden": (256,)}), (1, 16, 16), latent_size=16)
        (result,) = fit(make, mostly_black, Train(epochs=3, batch_size=64), [0])
        histories.append([row["test_loss"] for row in result.history])
    assert histories[0] == pytest.approx(histories[1], rel=1e-4)


def test_a_training_without_black_pixels_is_what_it_was(mostly_black, monkeypatch):
    white = Data("white", *(Split(255 - s.images, s.labels) for s in (mostly_black.train, mostly_black.test)), (), "")
    monkeypatch.setattr(FusedAdam, "_step_by_sparse_product", None)  # not to be called
    monkeypatch.setattr(sparse, "_by_lists", None)
    monkeypatch.setattr(stepper, "LONG", 1)
    found = []
    for kernels in (OURS, DENSE):
        monkeypatch.setattr(stepper, "chosen", lambda kernels=kernels: kernels)
        monkeypatch.setattr("bench.kernels.layers.chosen", lambda kernels=kernels: kernels)
        make = build("vae", ("mlp", {"hidden": (256,), "activation": "tanh"}), (1, 16, 16), latent_size=16)
        (result,) = fit(make, white, Train(epochs=2, batch_size=64), [0])
        found.append(list(result.model.parameters()))
    assert all(torch.equal(a, b) for a, b in zip(*found, strict=True))
