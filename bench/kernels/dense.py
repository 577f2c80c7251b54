"""Linear layers as tiles in registers (`linear_loops`), with the ReLU that follows, or its gradient, in the same walk.

A layer's product and the gradient by its input are PyTorch operators, so that a captured step can name them; each is
the gradient of the other, and both can be differentiated any number of times. The gradient by the weight stays a
product, which a captured step can give as its factors (`adam`).

Letters:  B batch · I inputs · O outputs
"""

from collections.abc import Callable, Mapping
from functools import cache, partial
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from . import linear, operators, transposed
from .timing import ratio
from .views import flat, words

WIDE, RUN = 32, 8  #: `tiles.WIDE`, `linear_loops.RUN`, which take numba to import
BATCH, INPUTS, OUTPUTS = 128, 784, 512  #: the layer that is measured: the first of the usual net on MNIST
ELSEWHERE = 2**25  #: bytes of the weights that are measured in turn, more than the caches hold
QUESTIONS = {torch.float32: "linear_tiles", torch.bfloat16: "bf16_linear_tiles"}


def forward_of(layer: nn.Module, kernels: Mapping[str, str]) -> Callable[[Tensor], Tensor] | None:
    """What takes the place of a layer's `forward`; None where it stays."""
    if type(layer) is not nn.Linear or torch.get_num_threads() > 1:
        return None
    ours = tuple(d for d, question in QUESTIONS.items() if kernels[question] == "tiles" and fits(layer, d))
    otherwise = linear.forward_of(layer, kernels) or partial(nn.Linear.forward, layer)
    return partial(_forward, layer, ours, otherwise) if ours else None


def fits(layer: nn.Linear, dtype: torch.dtype) -> bool:
    """Whether both sides are as wide as a tile, and fill the words between which memory is asked for."""
    sides = layer.in_features, layer.out_features
    return all(side >= WIDE and side * dtype.itemsize % (4 * RUN) == 0 for side in sides)


def measured_ratio(dtype: torch.dtype, rounds: int = 5) -> float:
    """How many times faster both products, with a ReLU and its gradient, are on one thread than what is used else.

    Of a weight that no cache holds, as in training, where Adam walks through its memory between two steps. 0 where they
    cannot be.
    """
    from .llvm import has_pairs  # brings numba, which takes a second

    if dtype == torch.bfloat16 and not has_pairs():
        return 0.0
    shapes = (BATCH, INPUTS), (BATCH, OUTPUTS), (OUTPUTS,)
    x, grad, bias = (torch.ones(*shape, dtype=dtype) for shape in shapes)
    weights = elsewhere(dtype)
    usual = library(dtype)

    def plain() -> None:
        for weight in weights:
            usual(x, weight, bias).relu()
            torch.ops.aten.threshold_backward(usual(grad, weight.t()), x, 0)

    def fast() -> None:
        for weight in weights:
            _dense(x, weight, bias, relu=True)
            _by_input(grad, weight, gate=x)

    return ratio(plain, fast, rounds)


def library(dtype: torch.dtype) -> Callable[..., Tensor]:
    """The product x Wᵀ + b that tiles and lists are compared with."""
    return linear.product if dtype == torch.float32 and linear.is_there() else F.linear


def elsewhere(dtype: torch.dtype) -> list[Tensor]:
    """More weights of that layer than the caches hold; zeros may be no memory at all."""
    weight = torch.ones(OUTPUTS, INPUTS, dtype=dtype)
    return [weight.clone() for _ in range(ELSEWHERE // weight.nbytes)]


def _forward(
    layer: Any, ours: tuple[torch.dtype, ...], otherwise: Callable[[Tensor], Tensor], x: Tensor
) -> Tensor:
    meant = x.ndim == 2 and len(x) > 0 and x.shape[1] == layer.in_features
    if not meant or transposed.precision_of(layer, x) not in ours:
        return otherwise(x)
    return Dense.apply(*transposed.cast(layer, x))


class Dense(torch.autograd.Function):
    """x Wᵀ + b: x (B, I), weight (O, I), bias (O,) → (B, O)."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        ctx.save_for_backward(x, weight)
        return dense(x, weight, bias)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
        (grad,), (x, weight) = grads, ctx.saved_tensors
        needs_x, needs_weight, needs_bias = ctx.needs_input_grad
        return (
            ByInput.apply(grad, weight) if needs_x else None,
            linear.weight_gradient(grad, x) if needs_weight else None,
            grad.sum(0) if needs_bias else None,
        )


class ByInput(torch.autograd.Function):
    """Its gradient by x, grad W: grad (B, O), weight (O, I) → (B, I)."""

    @staticmethod
    def forward(ctx: Any, grad: Tensor, weight: Tensor) -> Tensor:
        ctx.save_for_backward(grad, weight)
        return by_input(grad, weight)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, Tensor | None]:
        (by,), (grad, weight) = grads, ctx.saved_tensors
        needs_grad, needs_weight = ctx.needs_input_grad
        return (
            Dense.apply(by, weight, None) if needs_grad else None,
            linear.weight_gradient(grad, by) if needs_weight else None,
        )


def dense(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    return torch.ops.bench.dense(x, weight, bias)


def by_input(grad: Tensor, weight: Tensor) -> Tensor:
    return torch.ops.bench.dense_by_input(grad, weight)


# -- as operators: what the loops need, of tensors


def _dense(x: Tensor, weight: Tensor, bias: Tensor | None, relu: bool = False) -> Tensor:
    batch, outputs = len(x), len(weight)
    out = torch.empty((batch, outputs), dtype=x.dtype)
    biases = _nothing(outputs) if bias is None else bias.detach().float().contiguous().numpy()
    least = np.float32(0 if relu else -np.inf)
    _loops().forward(words(x), words(weight), biases, least, _open(x.dtype), batch, flat(out))
    return out


def _by_input(grad: Tensor, weight: Tensor, gate: Tensor | None = None) -> Tensor:
    batch, inputs = len(grad), weight.shape[1]
    out = torch.empty((batch, inputs), dtype=grad.dtype)
    gates = _open(grad.dtype) if gate is None else flat(gate)
    _loops().by_input(words(grad), flat(weight), _nothing(inputs), gates, batch, inputs, flat(out))
    return out


@cache
def _loops() -> Any:
    from . import linear_loops  # brings numba

    return linear_loops


@cache
def _nothing(count: int) -> np.ndarray:
    return np.zeros(count, np.float32)


@cache
def _open(dtype: torch.dtype) -> np.ndarray:
    """A gate that lets everything pass."""
    return flat(torch.ones(WIDE, dtype=dtype))


operators.define("dense(Tensor x, Tensor weight, Tensor? bias, bool relu=False) -> Tensor", _dense)
operators.define("dense_by_input(Tensor grad, Tensor weight, Tensor? gate=None) -> Tensor", _by_input)
