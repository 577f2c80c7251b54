"""Fully connected layers through oneDNN.

PyTorch sends float32 `linear` on the CPU to its BLAS, which is MKL in the usual builds. On AMD processors oneDNN's
kernels were measured to be more than twice as fast (230 against 105 GFLOP/s on one core); on Intel's they need not be.
In bfloat16 PyTorch takes oneDNN by itself, and there is nothing to choose.

Letters:  B batch · I inputs · O outputs
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .timing import ratio

FEW = 64  #: inputs or outputs of a layer; with fewer, the call costs more than the product
BATCH, WIDE, NARROW = 128, 784, 512  #: the layer that is measured: the first of the usual net on MNIST


def forward_of(layer: nn.Module, kernels: Mapping[str, str]) -> Callable[[Tensor], Tensor] | None:
    """What takes the place of a layer's `forward`; None where it stays."""
    if type(layer) is nn.Linear and min(layer.weight.shape) >= FEW and kernels["linear"] == "onednn":
        return partial(_linear, layer)
    return None


def measured_ratio(rounds: int = 15) -> float:
    """How many times faster oneDNN is for one layer's three products on one thread; 0 where there is no oneDNN."""
    if not is_there():
        return 0.0
    layer, grad = nn.Linear(WIDE, NARROW), torch.zeros(BATCH, NARROW)
    x = torch.zeros(BATCH, WIDE, requires_grad=True)

    def step(function: Callable[..., Tensor]) -> None:
        torch.autograd.grad(function(x, layer.weight, layer.bias), (x, layer.weight), grad)

    return ratio(partial(step, F.linear), partial(step, OneDNN.apply), rounds)


def is_there() -> bool:
    """Whether this torch has oneDNN."""
    return torch.backends.mkldnn.is_available()


def weight_gradient(grad: Tensor, x: Tensor) -> Tensor:
    """gradᵀ x, (O, I), of grad (B, O) and x (B, I), by oneDNN where it is there, unless to be differentiated again."""
    thin = min(grad.shape[1], x.shape[1]) < FEW
    if thin or grad.dtype != torch.float32 or not is_there() or torch.is_grad_enabled():
        return grad.t() @ x
    return product(grad.t(), x.t())


def _linear(layer: nn.Linear, x: Tensor) -> Tensor:
    if (
        x.dtype != torch.float32
        or x.ndim != 2
        or torch.is_autocast_enabled("cpu")
        or torch._C._are_functorch_transforms_active()
    ):
        return F.linear(x, layer.weight, layer.bias)
    return OneDNN.apply(x, layer.weight, layer.bias)


class OneDNN(torch.autograd.Function):
    """x Wᵀ + b with oneDNN in both directions. x (B, I), weight (O, I), bias (O,)."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        ctx.save_for_backward(x, weight)
        return product(x, weight, bias)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
        (grad,), (x, weight) = grads, ctx.saved_tensors
        multiply = F.linear if torch.is_grad_enabled() else product  # enabled: to be differentiated again
        needs_x, needs_weight, needs_bias = ctx.needs_input_grad
        return (
            multiply(grad, weight.t()) if needs_x else None,
            weight_gradient(grad, x) if needs_weight else None,
            grad.sum(0) if needs_bias else None,
        )


def product(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """x Wᵀ + b of float32 by oneDNN; not differentiable."""
    return torch.ops.mkldnn._linear_pointwise(x, weight, bias, "none", [], "")
