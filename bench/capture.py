"""A training step as one list of tensor operations.

A step of a small net spends a part of its time on what is not arithmetic: making a graph of gradients, walking it, and
looking at every tensor's history on the way. The operations are the same in every step, so those of forward and
backward pass are written down once (by `torch.fx`), and from then on the list alone is run; on a GPU as one CUDA graph,
which needs no launching of its kernels one by one.

It is used only where it gives the very bits of the step it was written down from, on its batch and on one of other
values (on GPUs, whose kernels need not repeat their own bits, the same but for rounding). What has no such list, such
as a net whose shapes depend on values, is trained the plain way, to the same result.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from .nested import leaves, mapped, shapes
from .oplist import factor, join_cross_entropy, narrowed, quick, straight
from .replay import Recorded, Recorder

LONG = 200  #: steps of a training from which on capturing is worth it: 0.1 s against 0.2 to 2 ms a step
ROUNDING = {"cpu": 0.0, "cuda": 1e-4}  #: how far a captured step may be from the plain one, of each tensor's norm

Batch = tuple[Tensor, Tensor, Any]  #: images, labels, noise
Gradient = Tensor | tuple[Tensor, Tensor] | None  #: a pair of factors is their product leftᵀ right


@dataclass(frozen=True)
class Step:
    """What is to be captured, of a model or of a stack of them.

    terms: from parameters by name and a batch to the terms of the objective, among them "loss", a scalar or one for
        each model; a function of these and of `buffers`, which it may change.
    """

    terms: Callable[[dict[str, Tensor], Tensor, Tensor, Any], dict[str, Tensor]]
    parameters: dict[str, Tensor]
    buffers: Callable[[], list[Tensor]]  #: those that there are now: a module may put another in a buffer's place


class Captured:
    """A step on batches of one shape: called as `gradients` is, it does the same.

    narrow: it reads parameters that are only used in bfloat16 from copies, `halves`, which whoever changes the
    parameters must keep current, and gives such gradients as they are made, in bfloat16 (`both`).
    """

    def __init__(self, step: Step, batch: Batch, *, narrow: bool = False) -> None:
        self.parameters, self.shapes = step.parameters, shapes(batch)
        self.names: list[str] = []
        self.halves: list[Tensor | None] = []  #: for each parameter, if it has one; empty where nothing is narrow

        def both_ways(x: Tensor, y: Tensor, noise: Any, parameters: dict[str, Tensor]) -> list[Tensor | None]:
            with torch.enable_grad():
                free = {name: p.detach().requires_grad_() for name, p in parameters.items()}
                terms = step.terms(free, x, y, noise)
                loss = terms["loss"]
                found = torch.autograd.grad(loss, list(free.values()), torch.ones_like(loss), allow_unused=True)
            self.names = list(terms)
            return [*terms.values(), *map(_laid_as, found, parameters.values())]

        module = straight(both_ways, *batch, self.parameters)
        if narrow:
            self.halves = narrowed(module, list(self.parameters.values()), len(self.names))
        join_cross_entropy(module)
        self.module, self.list = module, quick(module)

    def factor(self, takes_factors: Callable[[Tensor], bool]) -> None:
        """From now on let `both` give, in place of a linear layer's gradient, the factors that it is the product of.

        takes_factors: whether a parameter's gradient may be left to whoever updates it.
        """
        factor(self.module, [takes_factors(p) for p in self.parameters.values()], len(self.names))
        self.list = quick(self.module)

    def run(self, *batch: Any) -> list[Any]:
        """Terms and gradients, in order."""
        return self.list(*leaves(batch), *self.parameters.values())

    def fits(self, batch: Batch) -> bool:
        """Whether a batch has the shapes that the step was written down for."""
        return shapes(batch) == self.shapes

    @torch.inference_mode()
    def both(self, x: Tensor, y: Tensor, noise: Any) -> tuple[dict[str, Tensor], list[Gradient]]:
        """Terms by name, and the gradient of each parameter."""
        values = self.run(x, y, noise)
        return dict(zip(self.names, values, strict=False)), values[len(self.names) :]

    @torch.inference_mode()
    def __call__(self, x: Tensor, y: Tensor, noise: Any) -> dict[str, Tensor]:
        terms, grads = self.both(x, y, noise)
        for parameter, grad in zip(self.parameters.values(), grads, strict=True):
            assert not isinstance(grad, tuple), "factors are for `both`"
            parameter.grad = None if grad is None else grad.to(parameter.dtype)
        return terms


class Replayed(Captured):
    """A captured step, recorded. Gradients lie in the same place after every call; terms are copied out of it."""

    def __init__(self, captured: Captured, batch: Batch, record: Recorder) -> None:
        self.parameters, self.shapes, self.names = captured.parameters, captured.shapes, captured.names
        self.halves = []
        self.recorded = Recorded(captured.run, batch, record)

    def run(self, *batch: Any) -> list[Any]:
        values = self.recorded(*batch)
        return [v.clone() if i < len(self.names) else v for i, v in enumerate(values)]


def gradients(step: Step, batch: Batch) -> dict[str, Tensor]:
    """The plain step: the terms of a batch, with the gradient of the loss left in each parameter's `grad`."""
    terms = step.terms(step.parameters, *batch)
    for parameter in step.parameters.values():
        parameter.grad = None
    terms["loss"].backward(torch.ones_like(terms["loss"]))
    return {name: value.detach() for name, value in terms.items()}


def capture(
    step: Step, batch: Batch, *, narrow: bool = False, record: Recorder | None = None, why: list[str] | None = None
) -> Captured | None:
    """The step on batches like this one, `narrow` on CPUs alone; None where it cannot be had, or is not the plain one.

    record: how to record it, if it is to be replayed. why: is given the reason where there is none.
    Parameters, buffers, and torch's global random numbers, are left as they were.
    """
    why = [] if why is None else why
    if not all(parameter.requires_grad for parameter in step.parameters.values()):
        why.append("not all parameters are trained")
        return None
    try:
        with undone(step):
            captured = Captured(step, batch, narrow=narrow and batch[0].is_cpu)
            if record is not None:
                captured = Replayed(captured, batch, record)
        if _same(step, captured, batch):
            return captured
        why.append("it gave other numbers than the plain step")
    except Exception as error:  # whatever it is that cannot be written down, it can be trained
        why.append(in_words(error))
    return None


def in_words(error: Exception) -> str:
    """An error in a line."""
    return f"{type(error).__name__}: {error}".partition("\n")[0]


def _same(step: Step, captured: Captured, batch: Batch) -> bool:
    """Whether terms, gradients and buffers are those of the plain step, on a batch and on one of other values."""
    x, y, noise = batch
    axis = x.ndim - 4  # a stack's images have an axis before
    others = batch, (x.flip(axis).square(), y[..., :1].expand_as(y), mapped(lambda n: 1 - n, noise))
    return all(
        close(a, b)
        for other in others
        for a, b in zip(_outcome(step, captured, other), _outcome(step, None, other), strict=True)
    )


def _outcome(step: Step, captured: Captured | None, batch: Batch) -> list[Tensor | None]:
    with undone(step):
        terms = captured(*batch) if captured else gradients(step, batch)
        grads = [None if p.grad is None else p.grad.clone() for p in step.parameters.values()]
        return [*terms.values(), *grads, *(b.clone() for b in step.buffers())]


def close(a: Tensor | None, b: Tensor | None) -> bool:
    """Whether two tensors are the same and lie alike; on GPUs but for rounding."""
    if a is None or b is None:
        return a is b
    if laid(a) != laid(b):
        return False
    allowed = ROUNDING[b.device.type]
    return torch.equal(a, b) if allowed == 0 else bool(((a - b).norm() <= allowed * b.norm()).item())


@contextmanager
def undone(step: Step) -> Iterator[None]:
    """Buffers (running means), gradients and torch's global random numbers are afterwards as they were.

    Raises `NotImplementedError` where a buffer was replaced, and not changed: a list of operations cannot do that.
    """
    buffers, grads = step.buffers(), [p.grad for p in step.parameters.values()]
    before = [b.clone() for b in buffers]
    gpus = {p.device for p in step.parameters.values() if p.is_cuda}
    with torch.random.fork_rng(gpus):
        try:
            yield
        finally:
            now = step.buffers()
            with torch.no_grad():
                for buffer, value in zip(now, before, strict=True):
                    buffer.copy_(value)
            for parameter, grad in zip(step.parameters.values(), grads, strict=True):
                parameter.grad = grad
        if any(a is not b for a, b in zip(buffers, now, strict=True)):
            raise NotImplementedError("a buffer was replaced")


def _laid_as(grad: Tensor | None, parameter: Tensor) -> Tensor | None:
    """As `backward` leaves it: optimisers walk through both in step."""
    if grad is None or laid(grad) == laid(parameter):
        return grad
    return torch.empty_strided(parameter.shape, parameter.stride(), device=grad.device).copy_(grad)


def laid(values: Tensor) -> list[int]:
    """How a tensor lies in memory: its strides, where it has more than one element to stride over."""
    return [stride for size, stride in zip(values.shape, values.stride(), strict=True) if size > 1]
