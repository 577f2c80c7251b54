"""One update of a stack of models after another: images gathered, both passes, clipping, the optimiser.

A long training captures its first step (`capture`), and on a GPU records all of it as one piece (`replay`), from the
numbers of a batch's images to the updated parameters, so that a step is a handful of launches and not hundreds.
"""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol

import torch
from torch import Tensor

from .capture import LONG, Batch, Captured, Step, capture, close, gradients, in_words, undone
from .datasets import Split
from .kernels import FusedAdam, chosen, pixels
from .replay import Recorded, Recorder, recorder
from .suite import Train


class Stack(Protocol):
    """S models seen as one. `terms` carry a leading axis S; `step` and its `batch` have it only where S > 1."""

    step: Step

    def parameters(self) -> list[Tensor]: ...
    def draw(self, x: Tensor, generator: torch.Generator) -> Any: ...
    def batch(self, x: Tensor, y: Tensor, noise: Any) -> Batch: ...
    def terms(self, x: Tensor, y: Tensor, noise: Any) -> dict[str, Tensor]: ...
    def clip(self, norm: float) -> None: ...
    def write_back(self) -> None: ...


class Stepper:
    """Forward, backward, clip, step; knows the learning-rate schedule."""

    def __init__(self, stack: Stack, budget: Train, total_steps: int) -> None:
        self.stack, self.budget, self.total_steps = stack, budget, total_steps
        self.parameters = stack.parameters()
        self.optimizer = _optimizer(self.parameters, budget)
        self.count = 0
        self.captured: Captured | None = None
        self.whole: Recorded | None = None  #: all of a step, from `index` and `noise` to its terms, stacked
        self.record = recorder(self.parameters[0].device)
        self.how = "plain"  #: how steps are computed: plain, captured, or recorded; and why not better
        #: takes the gradients of a captured step as they are
        self.direct: FusedAdam | None = None
        if isinstance(self.optimizer, FusedAdam) and budget.grad_clip is None:
            self.direct = self.optimizer

    def step(self, train: Split, index: Tensor, noise: Any) -> dict[str, Tensor]:
        """One update of every model on the images at `index` (S, B); the terms before it, each (S,), without graph."""
        if self.budget.schedule == "cosine":
            self._set_rate(self.budget.lr * 0.5 * (1 + math.cos(math.pi * self.count / self.total_steps)))
        if self.count == 0 and self.total_steps >= LONG:
            self._capture(train, index, noise)
        if self.whole is not None and self.captured is not None and self.whole.fits(index, noise):
            (values,) = self.whole(index, noise)
            terms = dict(zip(self.captured.names, values.clone(), strict=True))
        else:
            terms = self._update(self._batch(train, index, noise))
        self.count += 1
        return {name: value.reshape(-1) for name, value in terms.items()}

    def _batch(self, train: Split, index: Tensor, noise: Any) -> Batch:
        return self.stack.batch(images_at(train, index), labels_at(train, index), noise)

    def _update(self, batch: Batch) -> dict[str, Tensor]:
        """Terms before the update."""
        if self.captured is not None and self.captured.fits(batch):
            if self.direct is not None:
                terms, grads = self.captured.both(*batch)
                self.direct.step(grads)
                return terms
            terms = self.captured(*batch)
        else:
            terms = gradients(self.stack.step, batch)
        self._finish()
        return terms

    def _finish(self) -> None:
        """What follows the gradients."""
        if self.budget.grad_clip is not None:
            self.stack.clip(self.budget.grad_clip)
        self.optimizer.step()

    def _set_rate(self, rate: float) -> None:
        for group in self.optimizer.param_groups:
            if isinstance(group["lr"], Tensor):  # a recorded step reads it there
                group["lr"].fill_(rate)
            else:
                group["lr"] = rate

    # -- a step written down, and on a GPU recorded

    def _capture(self, train: Split, index: Tensor, noise: Any) -> None:
        why, batch = list[str](), self._batch(train, index, noise)
        if self.record is None:
            self._capture_alone(batch, why)
        elif self.budget.optimizer in ("adam", "adamw"):
            self.captured = capture(self.stack.step, batch, why=why)
            if self.captured is not None:
                self.whole = self._record(self.captured, self.record, train, index, noise, why)
        if self.record is not None and self.whole is None:  # then without the update
            self.captured = capture(self.stack.step, batch, record=self.record, why=why)
        what = "plain" if self.captured is None else "captured"
        if self.record is not None and self.captured is not None:
            what = "passes recorded" if self.whole is None else "recorded"
        self.how = "; ".join([what, *dict.fromkeys(why)])

    def _capture_alone(self, batch: Batch, why: list[str]) -> None:
        """Not to be recorded; what can be left to our own Adam is."""
        adam = self.direct
        self.captured = capture(self.stack.step, batch, narrow=adam is not None and adam.vectors, why=why)
        if adam is not None and self.captured is not None:
            if self.captured.halves:
                adam.keep_halves(self.captured.halves)
            self.captured.factor(adam.takes_factors)

    def _record(
        self, captured: Captured, record: Recorder, train: Split, index: Tensor, noise: Any, why: list[str]
    ) -> Recorded | None:
        """The whole step, recorded; None where that cannot be had, or does something else, with the reason in `why`.

        Only with Adam: all that it knows before its first step is zeros, so that trials can be undone.
        """
        made: list[Tensor | None] = []

        def whole(index: Tensor, noise: Any) -> list[Tensor]:
            terms = captured(*self._batch(train, index, noise))
            made[:] = [parameter.grad for parameter in self.parameters]
            self._finish()
            return [torch.stack(list(terms.values()))]

        try:
            with self._undone():
                recorded = Recorded(whole, (index, noise), record)
            if self._is_plain(recorded, made, train, index, noise):
                return recorded
            why.append("recorded whole it gave other numbers than the plain step")
        except Exception as error:  # as `capture`: whatever cannot be recorded can be trained
            why.append(f"recorded whole: {in_words(error)}")
        self.optimizer = _optimizer(self.parameters, self.budget)  # what it knows may be incomplete
        return None

    def _is_plain(
        self, recorded: Recorded, grads: list[Tensor | None], train: Split, index: Tensor, noise: Any
    ) -> bool:
        """Whether terms and gradients are the plain step's, and the update is what the optimiser makes of them.

        The latter of the same gradients: where one is nearly zero, rounding decides the sign of Adam's first step.
        """
        with self._undone():
            (terms,) = recorded(index, noise)
            found = [*terms.clone(), *grads]
            updated = [parameter.detach().clone() for parameter in self.parameters]
        with self._undone():
            plain = gradients(self.stack.step, self._batch(train, index, noise))
            if self.budget.grad_clip is not None:
                self.stack.clip(self.budget.grad_clip)
            expected = [*plain.values(), *(parameter.grad for parameter in self.parameters)]
            alike = all(close(a, b) for a, b in zip(found, expected, strict=True))
            for parameter, grad in zip(self.parameters, grads, strict=True):
                parameter.grad = grad
            self.optimizer.step()
            return alike and all(close(a, p.detach()) for a, p in zip(updated, self.parameters, strict=True))

    @contextmanager
    def _undone(self) -> Iterator[None]:
        """Parameters, the optimiser, and what `capture.undone` names, are afterwards as before the first step."""
        before = [parameter.detach().clone() for parameter in self.parameters]
        try:
            with undone(self.stack.step):
                yield
        finally:
            with torch.no_grad():
                for parameter, value in zip(self.parameters, before, strict=True):
                    parameter.copy_(value)
            assert isinstance(self.optimizer, torch.optim.Optimizer)  # our own is for CPUs, where nothing is recorded
            _forget(self.optimizer)


def _optimizer(parameters: list[Tensor], budget: Train) -> torch.optim.Optimizer | FusedAdam:
    device, fused = parameters[0].device.type, parameters[0].device.type in ("cpu", "cuda")
    lr, decay = budget.lr, budget.weight_decay
    if device == "cpu" and budget.optimizer in ("adam", "adamw"):
        half, one_thread = budget.precision == "bf16", torch.get_num_threads() == 1
        answers, prefix = chosen() if one_thread else {}, "bf16_" if half else ""
        return FusedAdam(
            parameters,
            lr,
            decay,
            decoupled=budget.optimizer == "adamw",
            vectors=half and answers.get("bf16_adam") == "vectors",
            products=answers.get(f"{prefix}adam_of_product") == "tiles",
            thin=answers.get(f"{prefix}adam_of_thin_product") == "tiles",
            sparse=answers.get(f"{prefix}adam_of_sparse_product") == "lists",
        )
    if budget.optimizer in ("adam", "adamw"):
        if device == "cuda":
            return _recordable_adam(parameters, budget)
        kind = torch.optim.Adam if budget.optimizer == "adam" else torch.optim.AdamW
        return kind(parameters, lr=lr, weight_decay=decay, fused=fused)
    if budget.optimizer == "sgd":
        return torch.optim.SGD(parameters, lr=lr, weight_decay=decay, momentum=0.9, fused=fused)
    assert budget.optimizer == "rmsprop", budget.optimizer
    return torch.optim.RMSprop(parameters, lr=lr, weight_decay=decay)


def _recordable_adam(parameters: list[Tensor], budget: Train) -> torch.optim.Optimizer:
    """Adam or AdamW whose count of steps, and a rate that changes, are tensors beside the parameters."""
    kind = torch.optim.Adam if budget.optimizer == "adam" else torch.optim.AdamW
    rate = torch.tensor(budget.lr, device=parameters[0].device) if budget.schedule == "cosine" else budget.lr
    return kind(parameters, lr=rate, weight_decay=budget.weight_decay, fused=True, capturable=True)


def _forget(optimizer: torch.optim.Optimizer) -> None:
    """Bring Adam back to before its first step, in place."""
    for state in optimizer.state.values():
        for value in state.values():
            value.zero_()


def images_at(split: Split, index: Tensor) -> Tensor:
    """Images at `index` (...) as (..., C, H, W) float32; whole rows at a time, which indexing does not do for uint8."""
    rows, shape = index.flatten(), (*index.shape, *split.images.shape[1:])
    if pixels.fits(split.images) and chosen()["pixels"] == "vectors":
        return pixels.gathered(split.images, rows).view(shape)
    return to_float(split.images.index_select(0, rows).view(shape))


def labels_at(split: Split, index: Tensor) -> Tensor:
    """Labels at `index`, -1 where there are none."""
    if split.labels is None:
        return torch.full_like(index, -1)
    return split.labels.index_select(0, index.flatten()).view(index.shape)


def to_float(images: Tensor) -> Tensor:
    """uint8 (…) to float32 in [0, 1]."""
    return images.float().div_(255)
