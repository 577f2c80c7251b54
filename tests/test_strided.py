"""Strided convolutions as tiles: PyTorch's numbers, and the identities that bind the three operations together."""

import pytest
import torch
import torch.nn.functional as F
from test_kernels import CPU, OURS, assert_as_near_in_bfloat16, assert_as_pytorchs, assert_differentiable_again
from test_train import build
from torch import nn

from bench.capture import Captured
from bench.kernels import faster_layers, strided
from bench.kernels.llvm import LANES, has_pairs
from bench.kernels.strided import down, up, weight_of
from bench.kernels.tiles import ROWS, WIDE
from bench.train import _One

pytestmark = pytest.mark.usefixtures("one_thread")
needs_pairs = pytest.mark.skipif(not has_pairs(), reason="this processor has no instruction for pairs of bfloat16")
PRECISIONS = [torch.float32, pytest.param(torch.bfloat16, marks=needs_pairs)]
ROUNDING = {torch.float32: 2e-6, torch.bfloat16: 4e-3}
#: batch, C, H, W, O: odd sizes, few and many channels, a batch of more images than are worked on at a time
SHAPES = [
    (3, 32, 9, 7, 64), (2, 64, 8, 8, 32), (3, 1, 12, 10, 32), (3, 3, 9, 8, 32),
    (4, 5, 6, 6, 32), (71, 32, 14, 14, 32), (3, 32, 2, 2, 32), (15, 64, 3, 5, 64), (5, 8, 7, 2, 32),
    (3, 4, 8, 6, 32), (5, 12, 5, 9, 32),
]


def made(shape, dtype):
    """x, y, weight and both biases, of numbers that the precision has."""
    batch, c, tall, wide, o = shape
    stream = torch.Generator().manual_seed(0)
    shapes = (batch, c, tall, wide), (batch, o, tall // 2, wide // 2), (o, c, 4, 4), (o,), (c,)
    return [torch.randn(s, generator=stream).to(dtype) for s in shapes]


def near(found, expected):
    assert found.shape == expected.shape
    error = ((found.double() - expected).norm() / expected.norm()).item()
    assert error < ROUNDING[found.dtype]


@pytest.mark.parametrize("dtype", PRECISIONS, ids=str)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_the_three_operations_are_those_of_float64(shape, dtype):
    x, y, weight, bias, bias_up = made(shape, dtype)
    x64, y64, w64 = x.double().requires_grad_(), y.double(), weight.double().requires_grad_()
    out = F.conv2d(x64, w64, stride=2, padding=1)
    by_x, by_weight = torch.autograd.grad(out, (x64, w64), y64)
    near(down(x, weight, bias), out + bias.double()[:, None, None])
    near(up(y, weight, bias_up, tuple(x.shape[2:])), by_x + bias_up.double()[:, None, None])
    near(weight_of(x, y), by_weight)


@pytest.mark.parametrize("dtype", PRECISIONS, ids=str)
@pytest.mark.parametrize("channels", [1, 32])
def test_no_images_give_no_images(channels, dtype):
    x, y, weight, *_ = made((0, channels, 8, 8, 32), dtype)
    assert down(x, weight, None).shape == y.shape
    assert up(y, weight, None, (8, 8)).shape == x.shape
    assert torch.equal(weight_of(x, y), torch.zeros_like(weight))


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_up_is_the_adjoint_of_down_and_both_are_linear_in_the_weight(shape):
    """⟨down(x; w), y⟩ = ⟨x, up(y; w)⟩ = ⟨w, weight(x, y)⟩."""
    x, y, weight, *_ = made(shape, torch.float32)
    numbers = [
        (down(x, weight, None) * y).double().sum(),
        (x * up(y, weight, None, tuple(x.shape[2:]))).double().sum(),
        (weight * weight_of(x, y)).double().sum(),
    ]
    scale = (down(x, weight, None).norm() * y.norm()).item()
    assert max(numbers) - min(numbers) < 1e-5 * scale


@pytest.mark.parametrize("dtype", PRECISIONS, ids=str)
@pytest.mark.parametrize("channels", [1, 32])
def test_a_relu_and_its_gradient_are_the_same_bits_within_the_operation(channels, dtype):
    x, y, weight, bias, bias_up = made((5, channels, 8, 6, 64), dtype)
    plain = down(x, weight, bias).relu()
    gated = torch.ops.aten.threshold_backward(down(x, weight, None), y, 0)
    assert torch.equal(torch.ops.bench.strided_down(x, weight, bias, relu=True), plain)
    assert torch.equal(torch.ops.bench.strided_down(x, weight, None, gate=y), gated)
    size = tuple(x.shape[2:])
    plain = up(y, weight, bias_up, size).relu()
    gated = torch.ops.aten.threshold_backward(up(y, weight, None, size), x, 0)
    assert torch.equal(torch.ops.bench.strided_up(y, weight, bias_up, size, relu=True), plain)
    assert torch.equal(torch.ops.bench.strided_up(y, weight, None, size, gate=x), gated)


@pytest.mark.parametrize("dtype", PRECISIONS, ids=str)
def test_nan_and_infinity_are_seen(dtype):
    """A diverged seed must not become a healthy one."""
    x, y, weight, *_ = made((2, 32, 8, 8, 32), dtype)
    x[1, 3, 4, 4] = float("nan")
    out = torch.ops.bench.strided_down(x, weight, None, relu=True)
    assert out[0].isfinite().all()
    assert out[1, :, 1:3, 1:3].isnan().all()
    assert weight_of(x, y)[:, 3].isnan().any(0).any()
    y[0, 0, 0, 0] = float("inf")
    back = up(y, weight, None, (8, 8))
    assert not back[0, :, :3, :3].isfinite().any()
    assert back[1].isfinite().all()
    open_gate = torch.full_like(back, float("nan"))
    assert torch.equal(torch.ops.bench.strided_up(y, weight, None, (8, 8), gate=open_gate)[1], back[1])


def net(odd=0):
    """Down twice, up twice: the widths of the usual net, with one channel and 32, and a linear map between."""
    torch.manual_seed(0)
    down_twice = [nn.Conv2d(1, 32, 4, 2, 1), nn.ReLU(), nn.Conv2d(32, 64, 4, 2, 1, bias=False), nn.Tanh()]
    up_twice = [nn.ConvTranspose2d(64, 32, 4, 2, 1, output_padding=odd), nn.ReLU(), nn.ConvTranspose2d(32, 1, 4, 2, 1)]
    return nn.Sequential(*down_twice, *up_twice)


def uses(model):
    return [getattr(layer.__dict__.get("forward"), "func", None) is strided._forward for layer in model]


@pytest.mark.parametrize("odd", [0, 1])
def test_layers_have_the_values_and_gradients_of_pytorchs(odd):
    expected = [True, False, True, False, True, False, True]
    assert_as_pytorchs(net(odd), torch.rand(4, 1, 10, 12), lambda model: uses(model) == expected)


@needs_pairs
def test_layers_in_bfloat16_are_as_near_to_float32_as_pytorchs_own():
    assert_as_near_in_bfloat16(net(), torch.rand(4, 1, 12, 12))


def test_a_gradient_can_be_differentiated_again():
    assert_differentiable_again(net(), torch.rand(2, 1, 8, 8))


def test_transforms_take_pytorchs_own_path():
    x, model = torch.rand(1, 1, 8, 8), net()
    expected = torch.func.jacrev(model)(x)
    with faster_layers(model, CPU, OURS):
        assert torch.equal(torch.func.jacrev(model)(x), expected)


def test_several_threads_and_other_layers_take_pytorchs_own_path():
    odd_ones = [(32, 32, 3, 2, 1), (32, 32, 4, 2, 0), (32, 24, 4, 2, 1)]
    layers = [nn.Conv2d(*options) for options in odd_ones] + [nn.Conv2d(32, 32, 4, 2, 1, padding_mode="circular")]
    assert not any(strided.fits(layer) for layer in layers)
    model = net()
    torch.set_num_threads(2)
    with faster_layers(model, CPU, OURS):
        assert not any(uses(model))


@pytest.mark.parametrize("half", [False, pytest.param(True, marks=needs_pairs)], ids=["fp32", "bf16"])
def test_a_captured_step_does_its_relus_within_its_layers(half):
    torch.manual_seed(0)
    model = build("vae", ("conv", {}), (1, 16, 16), latent_size=16)()
    step = _One(model, half).step
    x = torch.rand(6, 1, 16, 16)
    noise = model.draw(x, torch.Generator().manual_seed(0))
    with faster_layers(model, CPU, OURS):
        captured = Captured(step, (x, torch.zeros(6, dtype=torch.long), noise))
    code = captured.module.code
    counts = [code.count(f"bench.strided_{name}.default(") for name in ("down", "up", "weight")]
    assert counts == [4, 3, 4]
    assert (code.count("relu = True"), code.count("gate = ")) == (3, 4)
    assert code.count("aten.relu") == 1  # after the thin linear layer
    assert "threshold_backward" not in code
    assert code.count("bench.turned") == 4  # once for each of two maps, each way


@pytest.mark.parametrize("dtype", PRECISIONS, ids=str)
def test_the_measured_ratio_is_a_ratio_of_times(dtype):
    assert 0.05 < strided.measured_ratio(dtype, rounds=3) < 50
    assert (strided.WIDE, strided.ROWS, strided.LANES) == (WIDE, ROWS, LANES)


def test_what_a_layer_does_not_take_pytorch_complains_of():
    model = net()
    with faster_layers(model, CPU, OURS), pytest.raises(RuntimeError):
        model(torch.rand(2, 3, 8, 8))
    with faster_layers(model, CPU, OURS), pytest.raises(RuntimeError):
        model(torch.rand(2, 1, 1, 1))
    with faster_layers(model, CPU, OURS), pytest.raises(RuntimeError):
        model(torch.rand(2, 1, 8, 8, dtype=torch.float64))
