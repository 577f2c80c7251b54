"""The cross-entropy and Adam in vector instructions: closed forms, float64 and torch's own kernels."""

import math
import os
import subprocess
import sys

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from test_kernels import CPU, OURS, TORCHS
from test_train import build
from torch import nn

from bench.capture import capture
from bench.kernels import FusedAdam, adam, cross_entropy, faster_layers, vectors
from bench.kernels.cross_entropy import CrossEntropy
from bench.kernels.llvm import has_pairs
from bench.likelihoods import Bernoulli
from bench.train import _One

needs_pairs = pytest.mark.skipif(not has_pairs(), reason="this processor has no instruction for pairs of bfloat16")
pytestmark = pytest.mark.usefixtures("one_thread")


def pixels(shape, scale=8.0):
    stream = torch.Generator().manual_seed(0)
    return scale * torch.randn(shape, generator=stream), torch.rand(shape, generator=stream)


@pytest.mark.parametrize("shape", [(5, 1, 28, 28), (3, 3, 7, 5), (4, 7), (2, 16), (1, 1)], ids=str)
def test_cross_entropy_and_its_gradient_are_those_of_float64(shape):
    raw, x = pixels(shape)
    exact, slope = raw.double().requires_grad_(), torch.rand(shape[0])
    expected = F.binary_cross_entropy_with_logits(exact, x.double(), reduction="none").flatten(1).sum(1)
    (gradient,) = torch.autograd.grad(expected, exact, slope.double())
    raw.requires_grad_()
    found = CrossEntropy.apply(raw, x)
    torch.testing.assert_close(found.double(), expected.detach(), rtol=3e-7, atol=1e-7)
    (ours,) = torch.autograd.grad(found, raw, slope)
    torch.testing.assert_close(ours.double(), gradient, rtol=0, atol=2e-7)


@needs_pairs
@pytest.mark.parametrize("shape", [(5, 1, 28, 28), (4, 7)], ids=str)
def test_logits_in_bfloat16_give_what_they_do_widened_and_a_gradient_in_bfloat16(shape):
    raw, x = pixels(shape)
    raw, slope = raw.to(torch.bfloat16), torch.rand(shape[0])
    assert torch.equal(torch.ops.bench.cross_entropy(raw, x), torch.ops.bench.cross_entropy(raw.float(), x))
    found, wide = (torch.ops.bench.cross_entropy_slope(slope, r, x) for r in (raw, raw.float()))
    assert torch.equal(found, wide.to(torch.bfloat16))


@pytest.mark.parametrize("dtype", [torch.float32, pytest.param(torch.bfloat16, marks=needs_pairs)], ids=str)
@pytest.mark.parametrize("shape", [(5, 1, 28, 28), (3, 3, 7, 5), (4, 7), (2, 16), (1, 1)], ids=str)
def test_cross_entropy_and_gradient_in_one_walk_have_the_bits_of_two(shape, dtype):
    raw, x = pixels(shape)
    raw, slope = raw.to(dtype), torch.rand(shape[0])
    nll, gradient = torch.ops.bench.cross_entropy_both(raw, x, slope)
    assert torch.equal(nll, torch.ops.bench.cross_entropy(raw, x))
    assert torch.equal(gradient, torch.ops.bench.cross_entropy_slope(slope, raw, x))
    assert gradient.dtype == dtype


class WeighedByBatch(nn.Module):
    """Its cross-entropy has a slope that is another one for each batch, or is read twice."""

    def __init__(self, weigh):
        super().__init__()
        self.model, self.weigh = build("ae")(), weigh

    def forward(self, x, y, noise):
        raw, nll = self.model.decode(self.model.encode(x)), self.model.likelihood.nll
        return {"loss": self.weigh(nll(raw, x), x).mean() + (nll(2 * raw, x).mean() if self.weigh is last else 0)}


def last(nll, x):
    return nll


def test_a_slope_that_is_known_beforehand_lets_both_be_made_in_one_walk():
    x, y = torch.rand(6, 1, 8, 8), torch.zeros(6, dtype=torch.long)
    found = []
    for weigh in (lambda nll, x: nll, lambda nll, x: nll * x.flatten(1).mean(1), last):
        model = WeighedByBatch(weigh)
        with faster_layers(model, CPU, OURS):
            captured = capture(_One(model, False).step, (x, y, ()))
        assert captured is not None
        found.append(sorted(str(n.target).split(".")[1] for n in named(captured, "cross_entropy")))
    both, apart = ["cross_entropy_both"], ["cross_entropy", "cross_entropy_slope"]
    assert found == [both, apart, both * 2]


@pytest.mark.parametrize("raw", [-200.0, -87.5, -30.0, -1e-3, 0.0, 1e-3, 15.0, 88.0, 200.0])
def test_cross_entropy_of_extreme_logits_in_closed_form(raw):
    """−log σ(r) for x = 1, −log(1 − σ(r)) for x = 0, to 2e-7 of themselves where they are not below 1e-36."""
    for x, sign in ((1.0, -1), (0.0, 1)):
        expected = max(sign * raw, 0) + math.log1p(math.exp(-abs(raw)))
        found = CrossEntropy.apply(torch.tensor([[raw]]), torch.tensor([[x]])).item()
        assert found == pytest.approx(expected, rel=2e-7, abs=1e-36)


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("place", [3, 17])
def test_a_logit_that_is_not_finite_is_seen(bad, place):
    raw, x = pixels((2, 18))
    raw[1, place] = bad
    found = CrossEntropy.apply(raw, x)
    assert found[0].isfinite()
    assert not found[1].isfinite()


def test_cross_entropy_can_be_differentiated_again_and_by_the_images():
    raw, x = (t.requires_grad_() for t in pixels((3, 20), scale=1.0))

    def all_of(nll):
        first = torch.autograd.grad(nll(raw, x).square().sum(), (raw, x), create_graph=True)
        return [*first, *torch.autograd.grad(sum(g.square().sum() for g in first), (raw, x))]

    for a, b in zip(all_of(CrossEntropy.apply), all_of(Bernoulli().nll), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-5)


def test_only_the_bernoulli_likelihood_is_replaced_and_only_for_a_while():
    model = build()()
    gaussian = build(likelihood="gaussian")()
    with faster_layers(model, CPU, OURS), faster_layers(gaussian, CPU, OURS):
        assert "nll" in model.likelihood.__dict__
        assert "nll" not in gaussian.likelihood.__dict__
        raw, x = pixels((2, 3, 4, 4))
        expected = Bernoulli().nll(raw.double(), x.double())
        torch.testing.assert_close(model.likelihood.nll(raw, x).double(), expected, rtol=3e-7, atol=0)
        assert model.likelihood.nll(raw.double(), x.double()).dtype == torch.float64
    assert "nll" not in model.likelihood.__dict__
    with faster_layers(model, CPU, TORCHS):
        assert "nll" not in model.likelihood.__dict__


# -- Adam


def gradients_of(parameters, step):
    stream = torch.Generator().manual_seed(step)
    return [torch.randn(p.shape, generator=stream) * 10.0 ** (step % 5 - 2) for p in parameters]


def test_adam_in_vectors_is_torchs_fused_adam():
    """To the bit in whole vectors; with a gradient that is missing in some steps, and a rate that changes."""
    start = [torch.randn(300, 7), torch.randn(64), torch.randn(5), torch.randn(())]
    ours, theirs = ([t.clone() for t in start] for _ in range(2))
    steppers = FusedAdam(ours, 1e-2, 0.0, vectors=True), FusedAdam(theirs, 1e-2, 0.0)
    assert steppers[0].vectors
    for step in range(6):
        given = [None if step in (0, 3) and i == 1 else g for i, g in enumerate(gradients_of(start, step))]
        for stepper in steppers:
            stepper.param_groups[0]["lr"] = 1e-2 / (step + 1)
            stepper.step(given)
    for a, b in zip(ours, theirs, strict=True):
        whole = a.numel() // 16 * 16
        assert torch.equal(a.flatten()[:whole], b.flatten()[:whole])
        torch.testing.assert_close(a, b, rtol=1e-6, atol=1e-8)
    assert not torch.equal(ours[1], start[1])


@needs_pairs
def test_adam_takes_gradients_in_bfloat16_and_keeps_copies_current():
    start = [torch.randn(40, 9), torch.randn(3)]
    ours, theirs = ([t.clone() for t in start] for _ in range(2))
    narrow, wide = FusedAdam(ours, 1e-2, 0.0, vectors=True), FusedAdam(theirs, 1e-2, 0.0)
    halves = [ours[0].to(torch.bfloat16), None]
    narrow.keep_halves(halves)
    for step in range(4):
        first, second = gradients_of(start, step)
        first = first.to(torch.bfloat16)
        narrow.step([first, second])
        wide.step([first.float(), second])
        assert torch.equal(halves[0], ours[0].to(torch.bfloat16))
    for a, b in zip(ours, theirs, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-6, atol=1e-8)


def test_the_root_is_divided_by_as_division_rounds_it():
    """In every step of a training, whose number the root depends on, of what is tiny, large, zero or broken."""
    stream, one = torch.Generator().manual_seed(0), np.float32(1)
    square = 10 ** (torch.rand(4096, generator=stream) * 48 - 40)
    square[:3] = torch.tensor([0.0, float("inf"), float("nan")])
    width, mean = np.sqrt(square.numpy()), 1 + torch.rand(4096, generator=stream).numpy()
    for step in (*range(1, 3000, 13), 10**4, 10**6):
        root = np.float32(math.sqrt(1 - 0.999**step))
        p, grad = np.zeros(4096, np.float32), mean.copy()
        vectors.adam(p, mean.copy(), square.numpy(), grad, None, 0 * one, one, 0 * one, one, root, 0 * one)
        with np.errstate(divide="ignore"):
            np.testing.assert_array_equal(p, mean / (width / root))


def test_weight_decay_and_odd_layouts_are_left_to_torch():
    plain, turned = torch.zeros(4, 4), torch.zeros(4, 6).t()
    assert not FusedAdam([plain], 1e-3, 0.1, vectors=True).vectors
    assert not FusedAdam([plain, turned], 1e-3, 0.0, vectors=True).vectors


def named(captured, name):
    """The operations of a list whose names begin so."""
    return [n for n in captured.module.graph.nodes if str(n.target).startswith(f"bench.{name}")]


@needs_pairs
@pytest.mark.parametrize("net", [("mlp", {"hidden": (256,)}), ("conv", {})], ids=lambda net: net[0])
def test_a_narrow_captured_step_reads_and_gives_bfloat16_with_the_same_values(net):
    model = build("vae", net, (1, 16, 16), latent_size=4)()
    x = torch.rand(6, 1, 16, 16)
    batch = x, torch.zeros(6, dtype=torch.long), model.draw(x, torch.Generator().manual_seed(0))
    with faster_layers(model, CPU, OURS):
        wide, narrow = (capture(_One(model, True).step, batch, narrow=narrow) for narrow in (False, True))
        (terms, grads), (_, expected) = narrow.both(*batch), wide.both(*batch)
    assert not wide.halves
    (joint,) = named(narrow, "cross_entropy")
    assert joint.args[0].meta["tensor_meta"].dtype == torch.bfloat16
    assert sum(half is not None for half in narrow.halves) == len(expected)
    assert all(g.dtype == torch.float32 for g in expected)
    assert sum(g.dtype == torch.bfloat16 for g in grads) >= len(grads) - 2
    assert terms["loss"].isfinite()
    for a, b in zip(grads, expected, strict=True):
        assert torch.equal(a.float(), b)


@pytest.mark.parametrize(
    "measure", [pytest.param(adam.measured_ratio, marks=needs_pairs), cross_entropy.measured_ratio]
)
def test_the_measured_ratios_are_ratios_of_times(measure):
    assert 0.05 < measure(rounds=3) < 50


def test_a_subclass_of_the_likelihood_keeps_its_own_formula():
    class Other(Bernoulli):
        def nll(self, raw, x):
            return super().nll(raw, x) + 1

    holder = nn.ModuleList([Other()])
    with faster_layers(holder, CPU, OURS):
        assert "nll" not in holder[0].__dict__


def test_tensors_that_are_not_contiguous_are_read_as_what_they_are():
    raw, x = pixels((4, 2, 4, 4))
    views = [
        (raw[:, :1], torch.full((), 0.5).expand(4, 1, 4, 4)),
        (raw.contiguous(memory_format=torch.channels_last)[:, :1], x[:, 1:]),
        (raw[..., ::2], x[..., 1::2]),
    ]
    for a, b in views:
        torch.testing.assert_close(CrossEntropy.apply(a, b), Bernoulli().nll(a, b), rtol=1e-6, atol=0)
    p = [torch.zeros(32)]
    FusedAdam(p, 1e-3, 0.0, vectors=True).step([torch.ones(()).expand(32)])
    torch.testing.assert_close(p[0], torch.full((32,), -1e-3))


def test_a_processor_without_bfloat16_gets_what_it_can_do(tmp_path):
    """As numba compiles for one of ten years ago: no question may end the process."""
    environment = os.environ | {"NUMBA_CPU_NAME": "haswell", "NUMBA_CPU_FEATURES": "", "NUMBA_CACHE_DIR": str(tmp_path)}
    script = (
        "import torch; from functools import partial; from bench.kernels import adam, cross_entropy, dense, strided;"
        "print(adam.measured_ratio(1), strided.measured_ratio(torch.bfloat16, 1), cross_entropy.measured_ratio(1) > 0,"
        " strided.measured_ratio(torch.float32, 1) > 0, adam.product_ratio(torch.bfloat16, rounds=1),"
        " adam.product_ratio(torch.float32, rounds=1) > 0, dense.measured_ratio(torch.bfloat16, 1),"
        " dense.measured_ratio(torch.float32, 1) > 0)"
    )
    done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["0.0", "0.0", "True", "True", "0.0", "True", "0.0", "True"]
