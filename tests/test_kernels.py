"""The faster layers must be the same layers: same numbers, same gradients, same gradients of gradients."""

import copy
import json
import platform

import pytest
import torch
from torch import nn

from bench.kernels import FusedAdam, choice, convolution, faster_layers, linear, transposed

CPU = torch.device("cpu")
OURS = {
    "linear": "onednn",
    "transposed": "phases",
    "bf16_convolution": "channels_last",
    "strided": "tiles",
    "bf16_strided": "tiles",
    "linear_tiles": "tiles",
    "bf16_linear_tiles": "tiles",
    "sparse_linear": "lists",
    "bf16_sparse_linear": "lists",
    "bf16_adam": "vectors",
    "adam_of_product": "tiles",
    "bf16_adam_of_product": "tiles",
    "adam_of_thin_product": "tiles",
    "bf16_adam_of_thin_product": "tiles",
    "adam_of_sparse_product": "lists",
    "bf16_adam_of_sparse_product": "lists",
    "cross_entropy": "vectors",
    "pixels": "vectors",
}
TORCHS = dict.fromkeys(OURS, "torch")
needs_onednn = pytest.mark.skipif(not torch.backends.mkldnn.is_available(), reason="this torch has no oneDNN")


def net(inputs=300, hidden=200, outputs=40):
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(inputs, hidden), nn.Tanh(), nn.Linear(hidden, outputs, bias=False), nn.Linear(40, 2))


def loss_and_gradients(model, x):
    x = x.clone().requires_grad_()
    loss = model(x).square().mean()
    loss.backward()
    return [loss.detach(), x.grad, *(p.grad for p in model.parameters())]


def assert_as_pytorchs(plain, x, replaced):
    """Values and gradients of a model with the faster layers, of which `replaced` tells that they are in use."""
    fast = copy.deepcopy(plain)
    expected = loss_and_gradients(plain, x)
    with faster_layers(fast, CPU, OURS):
        assert replaced(fast)
        found = loss_and_gradients(fast, x)
    assert all(p.grad.is_contiguous() for p in fast.parameters())
    for a, b in zip(found, expected, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-6)


def assert_as_near_in_bfloat16(model, x):
    """Values and gradients in bfloat16 are as near to those in float32 as PyTorch's own."""
    exact, errors = loss_and_gradients(model, x), []
    for kernels in (OURS, TORCHS):
        model.zero_grad()
        with faster_layers(model, CPU, kernels), torch.autocast("cpu", torch.bfloat16):
            assert model(x).dtype == torch.bfloat16
            found = loss_and_gradients(model, x)
        errors.append([((a.float() - b).norm() / b.norm()).item() for a, b in zip(found, exact, strict=True)])
    assert max(errors[0]) > 0
    assert all(ours < 1.3 * torchs + 1e-3 for ours, torchs in zip(*errors, strict=True))


def assert_pytorch_complains(model, inputs, outputs):
    """Of too few inputs and of another precision; no images, and one without an axis for images, are taken."""
    with faster_layers(model, CPU, OURS):
        for x in (torch.rand(20, inputs - 1), torch.rand(20, inputs, dtype=torch.float64)):
            with pytest.raises(RuntimeError):
                model(x)
        assert model(torch.rand(0, inputs)).shape == (0, outputs)
        assert model(torch.rand(inputs)).shape == (outputs,)


def assert_differentiable_again(model, x):
    """A penalty on the gradient by the input has PyTorch's gradient."""

    def penalty(kernels):
        model.zero_grad()
        at = x.clone().requires_grad_()
        with faster_layers(model, CPU, kernels):
            slope = torch.autograd.grad(model(at).square().sum(), at, create_graph=True)[0]
            slope.square().sum().backward()
        return torch.cat([layer.weight.grad.flatten() for layer in model if hasattr(layer, "weight")])

    ours, torchs = penalty(OURS), penalty(TORCHS)
    assert torchs.abs().max() > 1e-3
    assert ((ours - torchs).norm() / torchs.norm()).item() < 1e-5


@needs_onednn
@pytest.mark.parametrize(("inputs", "outputs", "taken"), [(64, 64, True), (63, 500, False), (500, 63, False)])
def test_thin_layers_are_left_to_pytorch(inputs, outputs, taken):
    """What oneDNN does before it multiplies takes longer than their product."""
    kernels = {**TORCHS, "linear": "onednn"}
    assert (linear.forward_of(nn.Linear(inputs, outputs), kernels) is not None) == taken
    grad, x = torch.randn(8, outputs), torch.randn(8, inputs)
    with torch.no_grad():
        torch.testing.assert_close(linear.weight_gradient(grad, x), grad.t() @ x, rtol=1e-4, atol=1e-5)


@needs_onednn
@pytest.mark.parametrize("batch", [1, 7, 128])
@pytest.mark.parametrize("inputs", [64, 300])
def test_both_kernels_give_the_same_values_and_gradients(batch, inputs):
    model = net(inputs, hidden=500)
    assert_as_pytorchs(model, torch.randn(batch, inputs), lambda fast: "forward" in fast[0].__dict__)


@needs_onednn
def test_a_gradient_can_be_differentiated_again():
    x, plain = torch.randn(8, 300), net()
    fast = copy.deepcopy(plain)

    def penalty(model):
        at = x.clone().requires_grad_()
        slope = torch.autograd.grad(model(at).sum(), at, create_graph=True)[0]
        slope.square().sum().backward()
        return [p.grad for p in model.parameters() if p.grad is not None]

    with faster_layers(fast, CPU, OURS):
        found = penalty(fast)
    for a, b in zip(found, penalty(plain), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-6)


@needs_onednn
def test_transforms_autocast_and_float64_take_pytorchs_own_path():
    x, model = torch.randn(8, 300), net()
    expected = torch.func.jacrev(model)(x[:1])
    with torch.autocast("cpu", torch.bfloat16):
        half = model(x)
    double = copy.deepcopy(model).double()
    with faster_layers(model, CPU, OURS), faster_layers(double, CPU, OURS):
        torch.testing.assert_close(torch.func.jacrev(model)(x[:1]), expected)
        with torch.autocast("cpu", torch.bfloat16):
            assert torch.equal(model(x), half)
        assert double(x.double()).dtype == torch.float64


def broken(model):
    assert "forward" in model[0].__dict__
    assert "forward" not in model[3].__dict__, "the call would cost more than this small layer"
    raise ZeroDivisionError


@needs_onednn
def test_the_model_is_as_it_was_afterwards_even_after_an_error():
    model = net()
    before = {name: dict(module.__dict__) for name, module in model.named_modules()}
    with pytest.raises(ZeroDivisionError), faster_layers(model, CPU, OURS):
        broken(model)
    assert {name: dict(module.__dict__) for name, module in model.named_modules()} == before


def test_where_pytorchs_own_is_faster_nothing_changes():
    model = net()
    with faster_layers(model, CPU, TORCHS):
        assert "forward" not in model[0].__dict__


@pytest.mark.parametrize("odd", [(0, 0), (1, 0), (1, 1)])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("bias", [True, False])
def test_the_phases_are_the_transposed_convolution_with_all_its_gradients(odd, channels, bias):
    torch.manual_seed(0)
    x, plain = torch.randn(3, 8, 5, 4), nn.ConvTranspose2d(8, channels, 4, 2, 1, output_padding=odd, bias=bias)
    fast = copy.deepcopy(plain)
    expected = loss_and_gradients(plain, x)
    with faster_layers(fast, CPU, OURS):
        assert "forward" in fast.__dict__
        found = loss_and_gradients(fast, x)
    for a, b in zip(found, expected, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-6)


def conv_net(channels=1, odd=0):
    """Down by an ordinary convolution, up by a wide and a narrow transposed one."""
    torch.manual_seed(0)
    up = [nn.ConvTranspose2d(24, 8, 4, 2, 1, output_padding=odd), nn.ReLU(), nn.ConvTranspose2d(8, channels, 4, 2, 1)]
    return nn.Sequential(nn.Conv2d(channels, 24, 4, 2, 1), nn.ReLU(), *up)


@pytest.mark.parametrize("odd", [0, 1])
@pytest.mark.parametrize("channels", [1, 3])
def test_convolutions_in_bfloat16_are_as_near_to_float32_as_pytorchs_own(channels, odd):
    x, model = torch.rand(4, channels, 10, 12), conv_net(channels, odd)
    exact = loss_and_gradients(model, x)
    errors = []
    for kernels in (OURS, TORCHS):
        model.zero_grad()
        with torch.autocast("cpu", torch.bfloat16), faster_layers(model, CPU, kernels):
            assert model(x).dtype == torch.bfloat16
            found = loss_and_gradients(model, x)
        errors.append([((a.float() - b).norm() / b.norm()).item() for a, b in zip(found, exact, strict=True)])
        assert all(p.grad.dtype == torch.float32 for p in model.parameters())
    assert max(errors[0]) > 0
    assert all(ours < 1.5 * torchs + 1e-2 for ours, torchs in zip(*errors, strict=True))


def test_in_float32_only_narrow_transposed_convolutions_change():
    x, model = torch.rand(2, 1, 8, 8), conv_net()
    with faster_layers(model, CPU, OURS | {"transposed": "torch"}):
        found = loss_and_gradients(model, x)
    model.zero_grad()
    assert all(torch.equal(a, b) for a, b in zip(found, loss_and_gradients(model, x), strict=True))


@pytest.mark.parametrize("half", [False, True])
def test_a_gradient_through_convolutions_can_be_differentiated_again(half):
    x, model = torch.rand(2, 1, 8, 8), conv_net()

    def penalty(kernels):
        model.zero_grad()
        at = x.clone().requires_grad_()
        with torch.autocast("cpu", torch.bfloat16, enabled=half), faster_layers(model, CPU, kernels):
            out = model(at).float()
        slope = torch.autograd.grad(out.square().sum(), at, create_graph=True)[0]
        slope.square().sum().backward()
        return torch.cat([layer.weight.grad.flatten() for layer in model if hasattr(layer, "weight")])

    ours, torchs = penalty(OURS), penalty(TORCHS)
    assert torchs.abs().max() > 1e-3
    assert ((ours - torchs).norm() / torchs.norm()).item() < (0.02 if half else 1e-5)


@pytest.mark.parametrize("options", [(32, 1, 4, 2, 0), (32, 1, 3, 2, 1), (32, 1, 4, 1, 1)])
def test_other_transposed_convolutions_stay_as_they_are(options):
    layer = nn.ConvTranspose2d(*options)
    with faster_layers(layer, CPU, OURS):
        assert "forward" not in layer.__dict__


@pytest.mark.parametrize("half", [False, True])
def test_convolutions_under_transforms_are_pytorchs_own(half):
    x, model = torch.rand(1, 1, 8, 8), conv_net()
    with torch.autocast("cpu", torch.bfloat16, enabled=half):
        expected = torch.func.jacrev(model)(x)
        with faster_layers(model, CPU, OURS):
            assert torch.equal(torch.func.jacrev(model)(x), expected)


def answers(monkeypatch, ratios):
    """Ask `choice.chosen` as a fresh process would, with these measured ratios of the linear question."""
    given = iter(ratios)
    questions = {"linear": ("onednn", lambda: next(given)), "transposed": ("phases", lambda: 3.0)}
    monkeypatch.setattr(choice, "QUESTIONS", questions)
    return lambda: choice.chosen.__wrapped__()["linear"]


def test_processors_of_one_name_are_told_apart(tmp_path):
    cpuinfo = tmp_path / "cpuinfo"
    core = "processor\t: {}\ncpu family\t: 25\nmodel\t\t: 17\nmodel name\t: AMD EPYC\n\n"
    cpuinfo.write_text(core.format(0) + core.format(1))
    assert choice.processor(cpuinfo) == "AMD EPYC (family 25, model 17)"
    other = tmp_path / "other"
    other.write_text("model name\t: Arm\n")
    assert choice.processor(other) == "Arm"
    assert choice.processor(tmp_path / "none") in (platform.processor(), platform.machine())


def test_the_answer_is_measured_once_a_machine_and_kept(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    ask = answers(monkeypatch, [1.01, 2.0, 0.5])
    assert (ask(), ask()) == ("torch", "torch")
    kept = tmp_path / "bench" / "kernels.json"
    content = json.loads(kept.read_text())
    assert content["ratios"] == {"linear": 1.01, "transposed": 3.0}
    kept.write_text(json.dumps(content | {"machine": "another"}))
    assert ask() == "onednn"
    kept.write_text("{")
    assert ask() == "torch"


def test_a_kernel_that_cannot_be_compiled_is_not_used(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    ask = answers(monkeypatch, [])  # the measurement raises
    assert not choice.is_known()
    assert ask() == "torch"
    assert choice.is_known()
    errors = json.loads((tmp_path / "bench" / "kernels.json").read_text())["errors"]
    assert list(errors) == ["linear"]
    assert errors["linear"].endswith("StopIteration\n")


def test_a_question_that_is_new_is_measured_and_the_known_answer_kept(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    kept = tmp_path / "bench" / "kernels.json"
    kept.parent.mkdir()
    kept.write_text(json.dumps({"machine": choice._machine(), "linear": "onednn", "ratio": 2.0}))
    ask = answers(monkeypatch, [0.5])
    assert ask() == "onednn"
    assert json.loads(kept.read_text())["transposed"] == "phases"


def test_a_home_that_cannot_be_written_to_is_no_error(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert answers(monkeypatch, [2.0])() == "onednn"


@needs_onednn
@pytest.mark.parametrize("measure", [linear.measured_ratio, transposed.measured_ratio, convolution.measured_ratio])
def test_the_measured_ratio_is_a_ratio_of_times(measure):
    assert 0.05 < measure(rounds=3) < 50


@pytest.mark.parametrize("decoupled", [False, True])
def test_fused_adam_is_torchs_fused_adam_to_the_bit(decoupled):
    """Also for a parameter that has no gradient in some steps, and with another learning rate in each."""
    torch.manual_seed(0)
    start = [torch.randn(300, 7), torch.randn(5), torch.randn(())]
    ours, theirs = ([t.clone().requires_grad_() for t in start] for _ in range(2))
    kind = torch.optim.AdamW if decoupled else torch.optim.Adam
    steppers = FusedAdam(ours, 1e-2, 0.1, decoupled=decoupled), kind(theirs, lr=1e-2, weight_decay=0.1, fused=True)
    for step in range(5):
        grads = [None if step in (0, 3) and i == 1 else torch.randn_like(t) for i, t in enumerate(start)]
        for parameters, stepper in zip((ours, theirs), steppers, strict=True):
            stepper.param_groups[0]["lr"] = 1e-2 / (step + 1)
            for parameter, grad in zip(parameters, grads, strict=True):
                parameter.grad = None if grad is None else grad.clone()
            stepper.step()
    assert all(torch.equal(a, b) for a, b in zip(ours, theirs, strict=True))
    assert not torch.equal(ours[1], start[1])
