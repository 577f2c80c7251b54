"""Adam and AdamW without what `torch.optim` does around them in every step, and Adam in one walk through memory.

torch's fused kernel is taken as it is, so the bits are its own; around it `torch.optim.Adam.step` was measured to spend
0.2 ms, a twentieth of a whole training step of a small net. Where vector instructions of our own (`vectors.adam`) are
faster, they are used for Adam without weight decay: with the same bits (but for the last numbers of a tensor that is no
multiple of 16, and a mean below `vectors.TINY`), from gradients that may be bfloat16, and with a bfloat16 copy of each
parameter for the next step. The weight of a linear layer can be given the two factors of its gradient, which then is
never written (`factored_loops`, and `sparse_loops` where one of them is zero for the most part).

Reference: Kingma & Ba, Adam: A Method for Stochastic Optimization, 2015, https://arxiv.org/abs/1412.6980; decoupled
weight decay: Loshchilov & Hutter 2019, https://arxiv.org/abs/1711.05101
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor

from .linear import weight_gradient
from .sparse import GROUP, images, is_sparse
from .timing import ratio
from .views import flat

BETAS, EPS = (0.9, 0.999), 1e-8
SIZES = (784 * 512, 512, 512 * 32, 32, 16 * 512, 512, 512 * 784, 784)  #: what is measured: the usual net on MNIST
BATCH, FIRST, LAST, THIN = 128, (512, 784), (784, 512), ((32, 512), (512, 16))  #: its weights, outputs and inputs
WALK = 2**18  #: numbers walked through before, as the passes of a step do: the nearest caches then hold no weights
LANES = 16  #: `llvm.LANES`, which takes numba to import
SMALL = 2**12  #: numbers of a weight; below, its gradient may as well be written down

#: Of an image's pairs of columns, how many may not be zero for lists; in bfloat16 two images are listed together
MOST_PAIRS = {torch.float32: 0.5, torch.bfloat16: 0.3}
WORDS = {torch.float32: np.zeros(1, np.float32), torch.bfloat16: np.zeros(1, np.uint32)}  #: what is multiplied at once

Factors = tuple[Tensor, Tensor]  #: left (B, R) and right (B, C) of a gradient leftᵀ right, both of one precision


@dataclass
class _Row:
    """A parameter and what Adam knows of it."""

    parameter: Tensor
    mean: Tensor = field(init=False)
    square: Tensor = field(init=False)
    count: int = 0  #: updates so far
    half: np.ndarray | None = None  #: the memory of a copy in bfloat16, kept current

    def __post_init__(self) -> None:
        self.mean, self.square = torch.zeros_like(self.parameter), torch.zeros_like(self.parameter)

    @cached_property
    def memory(self) -> list[np.ndarray]:
        return [flat(self.parameter), flat(self.mean), flat(self.square)]


class FusedAdam:
    """Steps `parameters` (on the CPU) as `torch.optim.Adam(..., fused=True)` does, or `AdamW` where `decoupled`.

    vectors: by our own vector instructions, on one thread; only without weight decay.
    products, thin: gradients may be given as factors, where `takes_factors` says so; likewise. `thin` of weights with
        fewer than GROUP rows or columns, `products` of the others.
    sparse: the same of those others, and those whose right factor is zero for the most part are made without its zeros.
    """

    def __init__(
        self,
        parameters: Iterable[Tensor],
        lr: float,
        weight_decay: float,
        *,
        decoupled: bool = False,
        vectors: bool = False,
        products: bool = False,
        thin: bool = False,
        sparse: bool = False,
    ) -> None:
        self.param_groups = [{"lr": lr}]  #: as torch.optim has it, for schedules
        self.weight_decay = weight_decay
        self.update = torch._fused_adamw_ if decoupled else torch._fused_adam_
        self.rows = [_Row(p) for p in parameters]
        plain = weight_decay == 0 and all(row.parameter.is_contiguous() for row in self.rows)
        self.vectors, self.sparse = vectors and plain, sparse and plain
        self.products, self.thin = products and plain, thin and plain

    def keep_halves(self, halves: Sequence[Tensor | None]) -> None:
        """Keep these current, copies of the parameters in bfloat16; only with `vectors`."""
        assert self.vectors
        assert all(half is None or half.is_contiguous() for half in halves), "a copy's memory would be another one"
        for row, half in zip(self.rows, halves, strict=True):
            row.half = None if half is None else flat(half)

    def takes_factors(self, parameter: Tensor) -> bool:
        """Whether `step` does this one's gradient from its factors."""
        fits = parameter.ndim == 2 and parameter.shape[1] % LANES == 0 and parameter.numel() >= SMALL
        return fits and (self._takes_tiles(parameter) or (self.sparse and min(parameter.shape) >= GROUP))

    def _takes_tiles(self, parameter: Tensor) -> bool:
        """Whether its gradient's factors are multiplied tile by tile, if neither is sparse."""
        return self.thin if min(parameter.shape) < GROUP else self.products

    @torch.no_grad()
    def step(self, gradients: Sequence[Tensor | Factors | None] | None = None) -> None:
        """One update of every parameter that has a gradient: in its `grad`, or one of `gradients`, in their order."""
        grads = [row.parameter.grad for row in self.rows] if gradients is None else gradients
        found: list[tuple[_Row, Tensor]] = []
        for row, grad in zip(self.rows, grads, strict=True):
            if grad is None:
                continue
            row.count += 1
            if isinstance(grad, Tensor):
                found.append((row, grad))
            elif self.sparse and _is_sparse(*grad):
                self._step_by_sparse_product(row, *grad)
            elif self._takes_tiles(row.parameter):
                self._step_by_product(row, *grad)
            else:
                whole = weight_gradient(*grad).contiguous()  # torch's kernel walks through memory
                found.append((row, whole if self.vectors else whole.to(row.parameter.dtype)))
        if self.vectors:
            self._step_by_vectors(found)
        elif found:
            self._step_by_torch(found)

    def _step_by_torch(self, found: Sequence[tuple[_Row, Tensor]]) -> None:
        rows, grads = zip(*found, strict=True)
        steps = {count: torch.tensor(float(count)) for count in {row.count for row in rows}}  # one, as a rule
        self.update(
            [row.parameter for row in rows], list(grads), [row.mean for row in rows], [row.square for row in rows], [],
            [steps[row.count] for row in rows], lr=self.param_groups[0]["lr"], beta1=BETAS[0], beta2=BETAS[1],
            weight_decay=self.weight_decay, eps=EPS, amsgrad=False, maximize=False,
        )  # fmt: skip

    def _step_by_vectors(self, found: Sequence[tuple[_Row, Tensor]]) -> None:
        from .vectors import adam  # brings numba

        numbers = {count: self._numbers(count) for count in {row.count for row, _ in found}}
        for row, grad in found:
            adam(*row.memory, flat(grad), row.half, *numbers[row.count])

    def _step_by_product(self, row: _Row, left: Tensor, right: Tensor) -> None:
        from .factored_loops import adam_of_product

        numbers = self._numbers(row.count)
        adam_of_product(*row.memory, row.half, flat(left), flat(right), len(left), WORDS[left.dtype], *numbers)

    def _step_by_sparse_product(self, row: _Row, left: Tensor, right: Tensor) -> None:
        from .sparse_loops import adam_of_sparse_product, zipped

        words, batch = flat(right), len(right)
        if right.dtype == torch.bfloat16:
            words = np.empty(-(-batch // 2) * right.shape[1], np.uint32)
            zipped(flat(right), batch, words)
        adam_of_sparse_product(*row.memory, row.half, flat(left), words, batch, *self._numbers(row.count))

    def _numbers(self, count: int) -> list[Any]:
        """What the kernel wants of step number `count`, reckoned in float64."""
        rate, root = self.param_groups[0]["lr"] / (1 - BETAS[0] ** count), math.sqrt(1 - BETAS[1] ** count)
        return [np.float32(number) for number in (1 - BETAS[0], BETAS[1], 1 - BETAS[1], -rate, root, EPS)]


def _is_sparse(left: Tensor, right: Tensor) -> bool:
    """Whether the right one has so many zeros that they are left out; thin ones are not worth a look."""
    return min(left.shape[1], right.shape[1]) >= GROUP and is_sparse(right, MOST_PAIRS[right.dtype], 2)


def product_ratio(dtype: torch.dtype, thin: bool = False, rounds: int = 30) -> float:
    """How many times faster the update from factors is than their products, and Adam after them; 0 where it cannot be.

    thin: of weights with few rows or columns.
    """
    sizes = THIN if thin else [LAST]
    rights = [torch.ones(BATCH, inputs, dtype=dtype) for _, inputs in sizes]
    return _ratio_of_factors(sizes, rights, rounds, {}, {"thin" if thin else "products": True})


def sparse_ratio(dtype: torch.dtype, rounds: int = 30) -> float:
    """The same where zeros are left out, of factors as dense as are taken; or than `products`, whichever is less."""
    right = images(MOST_PAIRS[dtype] - 0.02, 2, dtype)
    assert _is_sparse(right, right), "else what is timed is the usual way"
    others: list[dict[str, bool]] = [{}, {"products": True}]
    return min(_ratio_of_factors([FIRST], [right], rounds, other, {"sparse": True}) for other in others)


@torch.no_grad()
def _ratio_of_factors(
    sizes: Sequence[tuple[int, int]],
    rights: Sequence[Tensor],
    rounds: int,
    usual: dict[str, bool],
    ours: dict[str, bool],
) -> float:
    """Of two optimisers made in these ways, of weights of these sizes, (outputs, inputs), with these right factors.

    The walk is part of both times: with few weights they are a little more alike than they would be without.
    """
    from .llvm import has_pairs

    dtype = rights[0].dtype
    half = dtype == torch.bfloat16
    if half and not has_pairs():
        return 0.0
    walked = torch.ones(WALK)
    factors = [(torch.ones(BATCH, outputs, dtype=dtype), x) for (outputs, _), x in zip(sizes, rights, strict=True)]

    def optimizer(**ways: bool) -> FusedAdam:
        weights = [torch.ones(size) for size in sizes]
        made = FusedAdam(weights, 1e-3, 0.0, vectors=half, **ways)
        if half:
            made.keep_halves([weight.to(dtype) for weight in weights])
        return made

    def step(optimizer: FusedAdam) -> None:
        walked.add_(1)
        whole = not any(map(optimizer.takes_factors, (row.parameter for row in optimizer.rows)))
        optimizer.step([weight_gradient(*pair) if whole else pair for pair in factors])

    slow, fast = optimizer(**usual), optimizer(**ours)
    return ratio(lambda: step(slow), lambda: step(fast), rounds)


def measured_ratio(rounds: int = 15) -> float:
    """How many times faster the vectors are than torch's fused kernel on one thread, of gradients in bfloat16.

    With torch's the gradients are widened before and the parameters narrowed afterwards. 0 where a processor cannot.
    """
    from .llvm import has_pairs  # brings numba, which takes a second

    if not has_pairs():
        return 0.0
    gradients = [torch.ones(size, dtype=torch.bfloat16) for size in SIZES]
    parameters = [torch.zeros(size) for size in SIZES]
    usual = FusedAdam([torch.zeros(size) for size in SIZES], 1e-3, 0.0)
    ours = FusedAdam(parameters, 1e-3, 0.0, vectors=True)
    ours.keep_halves([p.to(torch.bfloat16) for p in parameters])

    def plain() -> None:
        usual.step([grad.float() for grad in gradients])
        for row in usual.rows:
            row.parameter.to(torch.bfloat16)

    return ratio(plain, lambda: ours.step(gradients), rounds)
