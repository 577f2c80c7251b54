"""Linear layers that read images of which most pixels are zero: the products with zeros are left out (`sparse_loops`).

Of MNIST's pixels a fifth are not zero, of Fashion-MNIST's half. Whether a batch is worth it is seen from the batch
itself, each time; whatever is denser is multiplied as it would be elsewhere. Asked are layers whose input needs no
gradient: in training those that read images, else all that are large enough.
"""

from collections.abc import Callable, Mapping
from functools import cache, partial
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from . import dense, linear, operators, transposed
from .timing import ratio
from .views import flat, words

WIDE, GROUP = 128, 64  #: `sparse_loops.WIDE` and GROUP, which take numba to import
MOST = 0.3  #: of the words of a batch that may not be zero
FEW = 16  #: images of a batch; with fewer, packing the weight is not worth it, and fewer tell little
LOOKED_AT = 4  #: a batch's first images, one of so many, tell how many zeros there are
RUN = 8  #: pixels that are not zero side by side, in what is measured
QUESTIONS = {torch.float32: "sparse_linear", torch.bfloat16: "bf16_sparse_linear"}


def forward_of(layer: nn.Module, kernels: Mapping[str, str]) -> Callable[[Tensor], Tensor] | None:
    """What takes the place of a layer's `forward`; None where it stays."""
    if type(layer) is not nn.Linear or torch.get_num_threads() > 1:
        return None
    answered = (dtype for dtype, question in QUESTIONS.items() if kernels[question] == "lists")
    ours = {dtype: _usual(layer, dtype, kernels) for dtype in answered if fits(layer, dtype)}
    kinds = (kind.forward_of(layer, kernels) for kind in (dense, linear))
    otherwise = next(filter(None, kinds), partial(nn.Linear.forward, layer))
    return partial(_forward, layer, ours, otherwise) if ours else None


def fits(layer: nn.Linear, dtype: torch.dtype) -> bool:
    """Whether rows are whole words and long enough to look at, and there are outputs enough for a block."""
    size = layer.in_features * dtype.itemsize
    return size % 4 == 0 and size // 4 >= GROUP and layer.out_features >= WIDE


def _usual(layer: nn.Linear, dtype: torch.dtype, kernels: Mapping[str, str]) -> str:
    """How a dense batch is multiplied."""
    if kernels[dense.QUESTIONS[dtype]] == "tiles" and dense.fits(layer, dtype):
        return "tiles"
    return kernels["linear"] if dtype == torch.float32 else "torch"


def images(share: float, together: int, dtype: torch.dtype) -> Tensor:
    """(B, I): runs of ones, in each image elsewhere; of `together` numbers side by side about a `share` is not zero."""
    place = torch.arange(dense.INPUTS) + 37 * torch.arange(dense.BATCH).unsqueeze(1)
    return (place % ((RUN + together - 1) / share) < RUN).to(dtype)


def measured_ratio(dtype: torch.dtype, rounds: int = 5) -> float:
    """How many times faster a layer is with the densest images that are taken, as `dense.measured_ratio` measures.

    Than the library's and than tiles, whichever is used else: the lesser of both ratios.
    """
    from .llvm import has_pairs  # brings numba, which takes a second

    if dtype == torch.bfloat16 and not has_pairs():
        return 0.0
    x, bias = images(MOST, _per_word(dtype), dtype), torch.ones(dense.OUTPUTS, dtype=dtype)
    weights, usual = dense.elsewhere(dtype), dense.library(dtype)

    def library() -> None:
        for weight in weights:
            usual(x, weight, bias).relu()

    def tiles() -> None:
        for weight in weights:
            torch.ops.bench.dense(x, weight, bias, relu=True)

    def lists() -> None:
        for weight in weights:
            _by_lists(x, weight, bias, relu=True)

    return min(ratio(other, lists, rounds) for other in (library, tiles))


def _forward(
    layer: Any, ours: Mapping[torch.dtype, str], otherwise: Callable[[Tensor], Tensor], x: Tensor
) -> Tensor:
    meant = x.ndim == 2 and len(x) >= FEW and x.shape[1] == layer.in_features and not x.requires_grad
    precision = transposed.precision_of(layer, x) if meant else None
    if precision is None or precision not in ours:
        return otherwise(x)
    return Sparse.apply(*transposed.cast(layer, x), ours[precision])


class Sparse(torch.autograd.Function):
    """x Wᵀ + b: x (B, I), which needs no gradient, weight (O, I), bias (O,) → (B, O).

    usual: how it is computed where x is dense: "tiles", "onednn" or "torch".
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None, usual: str) -> Tensor:
        ctx.save_for_backward(x)
        return torch.ops.bench.sparse_linear(x, weight, bias, usual)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[None, Tensor | None, Tensor | None, None]:
        (grad,), (x,) = grads, ctx.saved_tensors
        _, needs_weight, needs_bias, _ = ctx.needs_input_grad
        by_weight = linear.weight_gradient(grad, x) if needs_weight else None
        return None, by_weight, grad.sum(0) if needs_bias else None, None


def is_sparse(x: Tensor, most: float, together: int) -> bool:
    """Whether at most so many, of 1, of the runs of `together` numbers, 1 or 2, are not all zero.

    The first images of a batch tell: but for rounding, nothing depends on it but time.
    """
    return _loops().share(flat(x[: max(FEW, len(x) // LOOKED_AT)]), together) <= most


def _per_word(dtype: torch.dtype) -> int:
    return 4 // dtype.itemsize


def _sparse_linear(x: Tensor, weight: Tensor, bias: Tensor | None, usual: str, relu: bool = False) -> Tensor:
    by_lists = is_sparse(x, MOST, _per_word(x.dtype))
    return _by_lists(x, weight, bias, relu) if by_lists else _dense_linear(x, weight, bias, usual, relu)


def _by_lists(x: Tensor, weight: Tensor, bias: Tensor | None, relu: bool) -> Tensor:
    out = torch.empty((len(x), len(weight)), dtype=x.dtype)
    biases = np.zeros(len(weight), np.float32) if bias is None else bias.detach().float().contiguous().numpy()
    _loops().forward(words(x), words(weight), biases, np.float32(0 if relu else -np.inf), len(x), flat(out))
    return out


def _dense_linear(x: Tensor, weight: Tensor, bias: Tensor | None, usual: str, relu: bool) -> Tensor:
    if usual == "tiles":
        return torch.ops.bench.dense(x, weight, bias, relu=relu)
    out = (linear.product if usual == "onednn" else F.linear)(x, weight, bias)
    return out.relu() if relu else out


@cache
def _loops() -> Any:
    from . import sparse_loops  # brings numba

    return sparse_loops


operators.define(
    "sparse_linear(Tensor x, Tensor weight, Tensor? bias, str usual, bool relu=False) -> Tensor",
    _sparse_linear,
)
