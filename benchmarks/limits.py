"""The machine's measured best: how fast matrix products and convolutions were seen to go here, by any kernel at hand.

Best of several shapes, layouts and kernels, each as fast as it ever was in its time: what arithmetic alone would allow
a training step. All workers measure at the same moment, so that shared caches and clocks count.
"""

import time
from collections.abc import Callable, Iterator

import torch
import torch.nn.functional as F
from torch import Tensor

from bench.models.precision import matmul_precision

SECONDS = 0.25  #: of each candidate
PRODUCTS = ((128, 784, 512), (512, 512, 512), (1024, 1024, 1024))  #: rows, inputs, outputs
FILLING = ((8192, 8192, 8192),)  #: more of them, that keep all of a GPU busy
CONVOLUTIONS = ((32, 14, 64, 4, 2), (64, 14, 64, 3, 1), (128, 14, 128, 3, 1))  #: I, H = W, O, kernel, stride
BATCH = 128


def best_rates(device: torch.device, precision: str) -> dict[str, float]:
    """{"linear": FLOP/s, "conv": FLOP/s} of this process, in a cell's precision: TF32 only where that is asked for."""
    dtype = torch.bfloat16 if precision == "bf16" else torch.float32
    with matmul_precision(precision):
        return {
            "linear": max(_rate(f, flop, device) for f, flop in _products(device, dtype)),
            "conv": max(_rate(f, flop, device) for f, flop in _convolutions(device, dtype)),
        }


def _products(device: torch.device, dtype: torch.dtype) -> Iterator[tuple[Callable[[], Tensor], float]]:
    for rows, inputs, outputs in PRODUCTS + (FILLING if device.type == "cuda" else ()):
        x, weight = torch.rand(rows, inputs), torch.rand(outputs, inputs)
        x, weight = x.to(device, dtype), weight.to(device, dtype)
        flop = 2.0 * rows * inputs * outputs
        yield (lambda x=x, w=weight: F.linear(x, w)), flop  # type: ignore[misc]
        if device.type == "cpu" and torch.backends.mkldnn.is_available():
            yield (lambda x=x, w=weight: torch.ops.mkldnn._linear_pointwise(x, w, None, "none", [], "")), flop  # type: ignore[misc]


def _convolutions(device: torch.device, dtype: torch.dtype) -> Iterator[tuple[Callable[[], Tensor], float]]:
    for inputs, size, outputs, kernel, stride in CONVOLUTIONS:
        for layout in (torch.contiguous_format, torch.channels_last):
            x = torch.rand(BATCH, inputs, size, size).to(device, dtype).contiguous(memory_format=layout)
            weight = torch.rand(outputs, inputs, kernel, kernel).to(device, dtype).contiguous(memory_format=layout)
            flop = 2.0 * BATCH * weight.numel() * (size // stride) ** 2
            yield (lambda x=x, w=weight, s=stride: F.conv2d(x, w, stride=s, padding=1)), flop  # type: ignore[misc]


@torch.no_grad()
def _rate(function: Callable[[], Tensor], flop: float, device: torch.device) -> float:
    best, end = float("inf"), time.perf_counter() + SECONDS
    while time.perf_counter() < end:
        start = time.perf_counter()
        function()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        best = min(best, time.perf_counter() - start)
    return flop / best
