"""The Bernoulli likelihood's cross-entropy and its gradient, each in one walk over the pixels (`vectors`).

PyTorch writes the loss of every pixel before it sums them, and three tensors of pixels on the way back. A captured step
knows the slope beforehand, and has both made in one walk (`oplist`).
"""

from collections.abc import Callable, Mapping
from functools import cache, partial
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from . import operators
from .timing import ratio
from .views import flat
from ..likelihoods import Bernoulli, per_image

BATCH, PIXELS = 128, 784  #: what is measured
LANES = 16  #: `llvm.LANES`, which takes numba to import


def nll_of(module: nn.Module, kernels: Mapping[str, str]) -> Callable[[Tensor, Tensor], Tensor] | None:
    """What takes the place of a likelihood's `nll`; None where it stays."""
    if type(module) is not Bernoulli or kernels["cross_entropy"] != "vectors" or torch.get_num_threads() > 1:
        return None
    return partial(_nll, partial(Bernoulli.nll, module))


def measured_ratio(rounds: int = 15) -> float:
    """How many times faster loss and gradient are on one thread."""
    raw, x = torch.zeros(BATCH, PIXELS, requires_grad=True), torch.zeros(BATCH, PIXELS)
    usual = partial(Bernoulli.nll, Bernoulli())

    def step(nll: Callable[..., Tensor]) -> None:
        torch.autograd.grad(nll(raw, x).sum(), raw)

    return ratio(partial(step, usual), partial(step, CrossEntropy.apply), rounds)


def _nll(otherwise: Callable[[Tensor, Tensor], Tensor], raw: Tensor, x: Tensor) -> Tensor:
    plain = raw.dtype == x.dtype == torch.float32 and raw.shape == x.shape and raw.is_cpu and raw.numel() > 0
    if not plain or torch._C._are_functorch_transforms_active():
        return otherwise(raw, x)
    return CrossEntropy.apply(raw, x)


class CrossEntropy(torch.autograd.Function):
    """raw, x (B, ...) → −log p(x), nats per image, (B,)."""

    @staticmethod
    def forward(ctx: Any, raw: Tensor, x: Tensor) -> Tensor:
        ctx.save_for_backward(raw, x)
        return torch.ops.bench.cross_entropy(raw, x)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, Tensor | None]:
        (grad,), (raw, x) = grads, ctx.saved_tensors
        if torch.is_grad_enabled():  # to be differentiated again
            with torch.enable_grad():
                nll = per_image(F.binary_cross_entropy_with_logits(raw, x, reduction="none"))
                asked = [t for t, needed in zip((raw, x), ctx.needs_input_grad, strict=True) if needed]
                found = iter(torch.autograd.grad(nll, asked, grad, create_graph=True))
            by_raw, by_x = (next(found) if needed else None for needed in ctx.needs_input_grad)
            return by_raw, by_x
        by_raw = torch.ops.bench.cross_entropy_slope(grad, raw, x) if ctx.needs_input_grad[0] else None
        return by_raw, -raw * grad.view(-1, *[1] * (raw.ndim - 1)) if ctx.needs_input_grad[1] else None


def _cross_entropy(raw: Tensor, x: Tensor) -> Tensor:
    from .vectors import cross_entropy  # brings numba

    out = torch.empty(len(raw))
    cross_entropy(flat(raw), flat(x), len(raw), _far(raw.dtype), flat(out))
    return out


@cache
def _far(dtype: torch.dtype) -> np.ndarray:
    """Logits of pixels that add 2e-38 each."""
    return flat(torch.full((LANES,), -200.0, dtype=dtype))


def _cross_entropy_slope(grad: Tensor, raw: Tensor, x: Tensor) -> Tensor:
    from .vectors import cross_entropy_slope

    out = torch.empty(raw.shape, dtype=raw.dtype)
    cross_entropy_slope(flat(grad), flat(raw), flat(x), len(raw), flat(out))
    return out


def _cross_entropy_both(raw: Tensor, x: Tensor, grad: Tensor) -> tuple[Tensor, Tensor]:
    from .vectors import cross_entropy_both

    nll, out = torch.empty(len(raw)), torch.empty(raw.shape, dtype=raw.dtype)
    cross_entropy_both(flat(grad), flat(raw), flat(x), len(raw), _far(raw.dtype), flat(nll), flat(out))
    return nll, out


operators.define("cross_entropy(Tensor raw, Tensor x) -> Tensor", _cross_entropy)
operators.define("cross_entropy_slope(Tensor grad, Tensor raw, Tensor x) -> Tensor", _cross_entropy_slope)
operators.define("cross_entropy_both(Tensor raw, Tensor x, Tensor grad) -> (Tensor, Tensor)", _cross_entropy_both)
