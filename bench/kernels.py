"""Fully connected layers through whichever matrix product is faster on this machine's CPU.

PyTorch sends float32 `linear` on the CPU to its BLAS, which is MKL in the usual builds. On AMD processors oneDNN's
kernels were measured to be more than twice as fast (230 against 105 GFLOP/s on one core); on Intel's they need not be.
So it is measured, once a machine, and the answer kept in the user's cache folder, so that the same cell run twice
takes the same path and gives the same bits.

    with faster_linear(model, device):
        ...  # every nn.Linear of the model computes its product, and both of its gradients, by the faster kernel

The two differ by rounding (1e-6 relative). Under autocast, under `torch.func` transforms, when a gradient is itself
to be differentiated, and on any device but the CPU, PyTorch's own path is taken.
"""

import json
import os
import platform
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cache, partial
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .store import write_bytes

BATCH, WIDE, NARROW = 128, 784, 512  #: the layer that is measured: the first of the usual net on MNIST
WORTH = 1.2  #: how many times faster oneDNN must be, so that noise does not decide
SMALL = 2**14  #: weights of a layer; below, the call costs more than the product
FEW = 64  #: inputs of a layer


@contextmanager
def faster_linear(model: nn.Module, device: torch.device, kernel: str | None = None) -> Iterator[None]:
    """Inside, large `nn.Linear`s of a model on the CPU use the faster kernel; its parameters are not touched.

    kernel: "onednn" or "torch", None for what `linear_kernel` says of this machine.
    """
    layers = [m for m in model.modules() if type(m) is nn.Linear and m.weight.numel() >= SMALL]
    if device.type != "cpu" or not layers or (kernel or linear_kernel()) == "torch":
        yield
        return
    for layer in layers:
        layer.forward = partial(_linear, layer)  # type: ignore[method-assign]
    try:
        yield
    finally:
        for layer in layers:
            del layer.forward


def _linear(layer: nn.Linear, x: Tensor) -> Tensor:
    if (
        x.dtype != torch.float32
        or x.ndim != 2
        or torch.is_autocast_enabled("cpu")
        or torch._C._are_functorch_transforms_active()
    ):
        return F.linear(x, layer.weight, layer.bias)
    return _OneDNN.apply(x, layer.weight, layer.bias)


class _OneDNN(torch.autograd.Function):
    """x Wᵀ + b with oneDNN in both directions. x (B, I), weight (O, I), bias (O,)."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        ctx.save_for_backward(x, weight)
        return _product(x, weight, bias)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
        (grad,), (x, weight) = grads, ctx.saved_tensors
        product = _torch_product if torch.is_grad_enabled() else _product  # enabled: to be differentiated again
        needs_x, needs_weight, needs_bias = ctx.needs_input_grad
        return (
            product(grad, weight.t()) if needs_x else None,
            _weight_gradient(product, x, grad) if needs_weight else None,
            grad.sum(0) if needs_bias else None,
        )


def _weight_gradient(product: Callable[..., Tensor], x: Tensor, grad: Tensor) -> Tensor:
    """gradᵀ x, (O, I). A few wide rows are faster the other way round, and the copy that turning costs is small."""
    if x.shape[1] < FEW:
        return product(x.t(), grad.t()).t()
    return product(grad.t(), x.t())


def _product(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    return torch.ops.mkldnn._linear_pointwise(x, weight, bias, "none", [], "")


def _torch_product(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    return F.linear(x, weight, bias)


@cache
def linear_kernel() -> str:
    """"onednn" or "torch": which is the faster one here, from this machine's cache or measured now (0.1 s)."""
    path = cache_folder() / "kernels.json"
    with suppress(OSError, ValueError):
        known = json.loads(path.read_text(encoding="utf-8"))
        if known.get("machine") == _machine() and known.get("linear") in ("onednn", "torch"):
            return known["linear"]
    ratio = measured_ratio()
    chosen = "onednn" if ratio > WORTH else "torch"
    with suppress(OSError):  # a home that may not be written to: measured again by the next process
        path.parent.mkdir(parents=True, exist_ok=True)
        content = {"machine": _machine(), "linear": chosen, "ratio": round(ratio, 3)}
        write_bytes(path, json.dumps(content, indent=1).encode())
    return chosen


def measured_ratio(rounds: int = 15) -> float:
    """How many times faster oneDNN is for one layer's three products on one thread; 0 where there is no oneDNN.

    The kernels alternate and their best times are compared, so that other work on the machine disturbs both alike.
    """
    if not torch.backends.mkldnn.is_available():
        return 0.0
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        layer, grad = nn.Linear(WIDE, NARROW), torch.zeros(BATCH, NARROW)
        x = torch.zeros(BATCH, WIDE, requires_grad=True)
        functions: list[Callable[..., Tensor]] = [F.linear, _OneDNN.apply]
        seconds = [[_seconds(f, x, layer, grad) for f in functions] for _ in range(rounds)]
        plain, one_dnn = (min(column) for column in zip(*seconds[2:], strict=True))  # the first ones warm up
        return plain / one_dnn
    finally:
        torch.set_num_threads(threads)


def _seconds(function: Callable[..., Tensor], x: Tensor, layer: nn.Linear, grad: Tensor) -> float:
    start = time.perf_counter()
    torch.autograd.grad(function(x, layer.weight, layer.bias), (x, layer.weight), grad)
    return time.perf_counter() - start


def cache_folder() -> Path:
    """Where what was measured of this machine is kept: $XDG_CACHE_HOME/bench, or ~/.cache/bench."""
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "bench"


def _machine() -> str:
    """What an answer holds for: it is asked again on another processor, or with another torch."""
    return f"{processor()}, torch {torch.__version__}"


@cache
def processor() -> str:
    """The CPU's model name."""
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
