"""One update of a stack of models: gather the images, both passes, clip, the optimiser.

On CUDA the update is recorded once as a CUDA graph and replayed (`cuda_graph`); elsewhere every step is the plain one.
"""

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from bench.datasets import Split
from bench.datasets._splits import images_at, labels_at
from bench.suite import Train

from .cuda_graph import GraphedStep
from .stack import Stack

WARM_UP = 3  #: plain steps before a graph is recorded: libraries allocate their workspaces in them
GRAPHED = ("adam", "adamw")  #: optimisers whose state can live on the device (`capturable`)


class Stepper:
    """Forward, backward, clip, step; knows the learning-rate schedule.

    `how` says how steps are computed: "plain" or "CUDA graph", and why not the latter where recording failed.
    """

    def __init__(self, stack: Stack, budget: Train, total_steps: int) -> None:
        self.stack, self.budget, self.total_steps = stack, budget, total_steps
        self.parameters = stack.parameters()
        self.device = self.parameters[0].device
        self.optimizer = make_optimizer(self.parameters, budget, stack.rates())
        self.count = 0  #: updates, also those before a training was resumed
        self.plain = 0  #: plain steps of this process
        self.how = "plain"
        self.graph: GraphedStep | None = None
        self.side = torch.cuda.Stream(self.device) if self._can_record() else None

    def step(self, train: Split, index: Tensor, noise: Any) -> dict[str, Tensor]:
        """One update of every model on the images at `index` (S, B).

        Returns the terms before the update, each (S,), without a graph of gradients.
        """
        if self.budget.schedule == "cosine":
            self._set_rate(self.budget.lr * 0.5 * (1 + math.cos(math.pi * self.count / self.total_steps)))
        self.stack.at(self.count / self.total_steps)
        terms = self._computed(train, index, noise)
        self.count += 1
        return {name: value.reshape(-1) for name, value in terms.items()}

    def _computed(self, train: Split, index: Tensor, noise: Any) -> dict[str, Tensor]:
        if self.side is not None and self.plain == WARM_UP:
            self._record(train, index, noise)
        if self.graph is not None and self.graph.fits(index, noise):
            return self.graph(index, noise)
        self.plain += 1
        if self.side is None:
            return self.update(train, index, noise)
        self.side.wait_stream(torch.cuda.current_stream(self.device))
        with torch.cuda.stream(self.side):  # autograd remembers the stream of a first pass; a graph has its own
            terms = self.update(train, index, noise)
        torch.cuda.current_stream(self.device).wait_stream(self.side)
        return terms

    def update(self, train: Split, index: Tensor, noise: Any) -> dict[str, Tensor]:
        """The plain step; the terms before the update."""
        x, y = images_at(train, index), labels_at(train, index)
        terms = self.stack.terms(x, y, noise)
        for parameter in self.parameters:
            parameter.grad = None
        terms["loss"].sum().backward()
        if self.budget.grad_clip is not None:
            self.stack.clip(self.budget.grad_clip)
        self.optimizer.step()
        self.stack.after_step(x, y, noise)
        return {name: value.detach() for name, value in terms.items()}

    def _can_record(self) -> bool:
        return self.device.type == "cuda" and self.budget.optimizer in GRAPHED and self.total_steps > WARM_UP

    def _record(self, train: Split, index: Tensor, noise: Any) -> None:
        """Recording computes nothing, so a failure loses nothing: training goes on with plain steps."""
        try:
            self.graph = GraphedStep(lambda i, n: self.update(train, i, n), index, noise)
            self.how = "CUDA graph"
        except torch.OutOfMemoryError:
            raise
        except Exception as error:  # whatever cannot be recorded can still be trained
            first_line = f"{type(error).__name__}: {error}".partition("\n")[0]
            self.how = f"plain; not recorded: {first_line}"

    def _set_rate(self, rate: float) -> None:
        for group in self.optimizer.param_groups:
            if isinstance(group["lr"], Tensor):  # a recorded step reads it there
                group["lr"].fill_(rate * group["factor"])
            else:
                group["lr"] = rate * group["factor"]


def make_optimizer(
    parameters: list[Tensor], budget: Train, rates: Sequence[float] | None = None
) -> torch.optim.Optimizer:
    """The optimiser of a budget, in PyTorch's fused form where it has one.

    rates: the factor of each parameter's learning rate; None: 1 for all.

    On CUDA, Adam's count of steps and a learning rate that changes are tensors, as a recorded step needs them.
    """
    device, decay = parameters[0].device, budget.weight_decay
    fused = device.type in ("cpu", "cuda")
    moving = device.type == "cuda" and budget.schedule == "cosine" and budget.optimizer in GRAPHED
    groups = _groups(parameters, rates or [1.0] * len(parameters), budget.lr, device if moving else None)
    if budget.optimizer in GRAPHED:
        kind = torch.optim.Adam if budget.optimizer == "adam" else torch.optim.AdamW
        return kind(groups, weight_decay=decay, fused=fused, capturable=device.type == "cuda")
    if budget.optimizer == "sgd":
        return torch.optim.SGD(groups, weight_decay=decay, momentum=0.9, fused=fused)
    assert budget.optimizer == "rmsprop", budget.optimizer
    return torch.optim.RMSprop(groups, weight_decay=decay)


def _groups(
    parameters: list[Tensor], rates: Sequence[float], lr: float, device: torch.device | None
) -> list[dict[str, Any]]:
    """The parameters of each factor of the learning rate; with a device the rates are tensors on it."""
    found: dict[float, list[Tensor]] = {}
    for parameter, factor in zip(parameters, rates, strict=True):
        found.setdefault(factor, []).append(parameter)
    return [
        {
            "params": own,
            "factor": factor,
            "lr": lr * factor if device is None else torch.tensor(lr * factor, device=device),
        }
        for factor, own in found.items()
    ]
