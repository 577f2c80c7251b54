"""The faster linear layers must be linear layers: same numbers, same gradients, same gradients of gradients."""

import copy
import json

import pytest
import torch
from torch import nn

from bench import kernels
from bench.kernels import faster_linear

CPU = torch.device("cpu")
needs_onednn = pytest.mark.skipif(not torch.backends.mkldnn.is_available(), reason="this torch has no oneDNN")


def net(inputs=300, hidden=200, outputs=40):
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(inputs, hidden), nn.Tanh(), nn.Linear(hidden, outputs, bias=False), nn.Linear(40, 2))


def loss_and_gradients(model, x):
    x = x.clone().requires_grad_()
    loss = model(x).square().mean()
    loss.backward()
    return [loss.detach(), x.grad, *(p.grad for p in model.parameters())]


@needs_onednn
@pytest.mark.parametrize("batch", [1, 7, 128])
@pytest.mark.parametrize("inputs", [40, 300])
def test_both_kernels_give_the_same_values_and_gradients(batch, inputs):
    x, plain = torch.randn(batch, inputs), net(inputs, hidden=500)
    fast = copy.deepcopy(plain)
    expected = loss_and_gradients(plain, x)
    with faster_linear(fast, CPU, "onednn"):
        found = loss_and_gradients(fast, x)
    assert all(p.grad.is_contiguous() for p in fast.parameters())
    for a, b in zip(found, expected, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-6)


@needs_onednn
def test_a_gradient_can_be_differentiated_again():
    x, plain = torch.randn(8, 300), net()
    fast = copy.deepcopy(plain)

    def penalty(model):
        at = x.clone().requires_grad_()
        slope = torch.autograd.grad(model(at).sum(), at, create_graph=True)[0]
        slope.square().sum().backward()
        return [p.grad for p in model.parameters() if p.grad is not None]

    with faster_linear(fast, CPU, "onednn"):
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
    with faster_linear(model, CPU, "onednn"), faster_linear(double, CPU, "onednn"):
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
    with pytest.raises(ZeroDivisionError), faster_linear(model, CPU, "onednn"):
        broken(model)
    assert {name: dict(module.__dict__) for name, module in model.named_modules()} == before


def test_where_pytorchs_own_is_faster_nothing_changes():
    model = net()
    with faster_linear(model, CPU, "torch"):
        assert "forward" not in model[0].__dict__


def test_the_answer_is_measured_once_a_machine_and_kept(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    ratios = iter([1.19, 2.0, 0.5])
    monkeypatch.setattr(kernels, "measured_ratio", lambda: next(ratios))
    ask = kernels.linear_kernel.__wrapped__
    assert (ask(), ask()) == ("torch", "torch")
    kept = tmp_path / "bench" / "kernels.json"
    content = json.loads(kept.read_text())
    assert content["ratio"] == 1.19
    kept.write_text(json.dumps(content | {"machine": "another"}))
    assert ask() == "onednn"
    kept.write_text("{")
    assert ask() == "torch"


def test_a_home_that_cannot_be_written_to_is_no_error(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    monkeypatch.setattr(kernels, "measured_ratio", lambda: 2.0)
    assert kernels.linear_kernel.__wrapped__() == "onednn"


@needs_onednn
def test_the_measured_ratio_is_a_ratio_of_times():
    assert 0.05 < kernels.measured_ratio(rounds=4) < 50
