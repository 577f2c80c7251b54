"""S models of one definition seen as one: a group of one, or several stacked along a new first axis with `vmap`.

This is the only file that knows the axis of a stack. Every optimiser offered here is elementwise, so the sum of the
losses gives each model its own gradient and its own update. What would couple models (gradient clipping) is done for
each model alone.

Letters:  S models of a group · B batch
"""

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.func import functional_call, stack_module_state, vmap

from bench.errors import UsageError
from bench.models.precision import autocast

from .noise import mapped


class Stack(Protocol):
    """S models seen as one: images (S, B, C, H, W), labels (S, B) and noise (S, B, ...) in, terms (S,) out.

    `tensors` are parameters and buffers by name; training changes them in place. `at` sets scalars that have a schedule
    to their values when that fraction of all updates is done; before the first call and at 1 they have their last.
    `rates` are factors of the learning rate, in the order of `parameters`.
    """

    def parameters(self) -> list[Tensor]: ...
    def rates(self) -> list[float]: ...
    def tensors(self) -> dict[str, Tensor]: ...
    def draw(self, x: Tensor, generator: torch.Generator) -> Any: ...
    def terms(self, x: Tensor, y: Tensor, noise: Any) -> dict[str, Tensor]: ...
    def at(self, progress: float) -> None: ...
    def after_step(self, x: Tensor, y: Tensor, noise: Any) -> None: ...
    def clip(self, norm: float) -> None: ...
    def write_back(self) -> None: ...


def stack_of(models: list[Any], half: bool) -> Stack:
    """half: compute the nets in bfloat16 (`precision.autocast`)."""
    return _One(models[0], half) if len(models) == 1 else _Many(models, half)


class Redrawn:
    """A stack whose images are probabilities: each pixel of a batch is drawn, 0 or 1, before the loss is computed.

    The draws are part of the noise, so a model's images do not depend on what it is stacked with.
    """

    def __init__(self, stack: Stack) -> None:
        self.stack = stack

    def draw(self, x: Tensor, generator: torch.Generator) -> Any:
        return self.stack.draw(x, generator), torch.rand(x.shape, generator=generator, device=x.device)

    def terms(self, x: Tensor, y: Tensor, noise: Any) -> dict[str, Tensor]:
        noise, uniform = noise
        return self.stack.terms((uniform < x).to(x.dtype), y, noise)

    def after_step(self, x: Tensor, y: Tensor, noise: Any) -> None:
        noise, uniform = noise
        self.stack.after_step((uniform < x).to(x.dtype), y, noise)

    def rates(self) -> list[float]:
        return self.stack.rates()

    def at(self, progress: float) -> None:
        self.stack.at(progress)

    def parameters(self) -> list[Tensor]:
        return self.stack.parameters()

    def tensors(self) -> dict[str, Tensor]:
        return self.stack.tensors()

    def clip(self, norm: float) -> None:
        self.stack.clip(norm)

    def write_back(self) -> None:
        self.stack.write_back()


class _One:
    """A group of one: the model itself, without the cost of vmap."""

    def __init__(self, model: Any, half: bool) -> None:
        self.model, self.half = model, half
        self.scalars = Scalars([model])

    def parameters(self) -> list[Tensor]:
        return list(self.model.parameters())

    def tensors(self) -> dict[str, Tensor]:
        return {**dict(self.model.named_parameters()), **dict(self.model.named_buffers())}

    def draw(self, x: Tensor, generator: torch.Generator) -> Any:
        return self.model.draw(x, generator)

    def terms(self, x: Tensor, y: Tensor, noise: Any) -> dict[str, Tensor]:
        values = {name: value[0] for name, value in self.scalars.tensors.items()}
        with autocast(x.device, self.half), _attributes(self.model, values):
            terms = self.model(x[0], y[0], mapped(lambda n: n[0], noise))
        return {name: value.unsqueeze(0) for name, value in terms.items()}

    def at(self, progress: float) -> None:
        self.scalars.at(progress)

    def rates(self) -> list[float]:
        return _rates(self.model, [name for name, _ in self.model.named_parameters()])

    @torch.no_grad()
    def after_step(self, x: Tensor, y: Tensor, noise: Any) -> None:
        if getattr(self.model, "after_step", None) is not None:
            self.model.after_step(x[0], y[0], mapped(lambda n: n[0], noise))

    def clip(self, norm: float) -> None:
        nn.utils.clip_grad_norm_(self.model.parameters(), norm)

    def write_back(self) -> None:
        """The model has been trained in place."""
        for parameter in self.model.parameters():
            parameter.grad = None


class _Many:
    """A group of several models: stacked parameters, one vmapped call for all."""

    def __init__(self, models: list[Any], half: bool) -> None:
        self.models, self.half = models, half
        self.params, self.buffers = stack_module_state(models)
        self.scalars = Scalars(models)
        skeleton = copy.deepcopy(models[0]).to("meta")

        def one(params: Any, buffers: Any, scalars: Any, x: Tensor, y: Tensor, noise: Any) -> dict[str, Tensor]:
            with _attributes(skeleton, scalars):
                return functional_call(skeleton, (params, buffers), (x, y, noise))

        self.call = vmap(one)

    def parameters(self) -> list[Tensor]:
        return list(self.params.values())

    def tensors(self) -> dict[str, Tensor]:
        return {**self.params, **self.buffers}

    def draw(self, x: Tensor, generator: torch.Generator) -> Any:
        return self.models[0].draw(x, generator)

    def terms(self, x: Tensor, y: Tensor, noise: Any) -> dict[str, Tensor]:
        with autocast(x.device, self.half):
            return self.call(self.params, self.buffers, self.scalars.tensors, x, y, noise)

    def at(self, progress: float) -> None:
        self.scalars.at(progress)

    def rates(self) -> list[float]:
        return _rates(self.models[0], list(self.params))

    def after_step(self, x: Tensor, y: Tensor, noise: Any) -> None:
        """The trainer stacks no model that has one (`may_be_stacked`)."""

    @torch.no_grad()
    def clip(self, norm: float) -> None:
        """As `torch.nn.utils.clip_grad_norm_`, for each model alone."""
        grads = [p.grad for p in self.params.values() if p.grad is not None]
        total = torch.stack([g.reshape(len(g), -1).square().sum(1) for g in grads]).sum(0).sqrt()  # (S,)
        scale = (norm / (total + 1e-6)).clamp(max=1.0)
        for g in grads:
            g.mul_(scale.view(-1, *[1] * (g.ndim - 1)))

    def write_back(self) -> None:
        """Copy each model's parameters and buffers out of the stack."""
        with torch.no_grad():
            for s, model in enumerate(self.models):
                for name, p in model.named_parameters():
                    p.copy_(self.params[name][s])
                for name, b in model.named_buffers():
                    b.copy_(self.buffers[name][s])


def may_be_stacked(model: Any) -> bool:
    """Whether models such as this one may be trained together: what is no gradient is done for one model alone."""
    return bool(model.stackable) and getattr(model, "after_step", None) is None


def _rates(model: Any, names: list[str]) -> list[float]:
    """The factor of each parameter's learning rate; the longest matching part of `rates` counts, else 1."""
    known = getattr(model, "rates", None) or {}
    for part in known:
        if not any(f"{name}.".startswith(f"{part}.") for name in names):
            raise UsageError(f"{type(model).__name__}: no parameter's name begins with {part!r} of `rates`")
    longest = sorted(known, key=len, reverse=True)
    return [next((known[part] for part in longest if f"{name}.".startswith(f"{part}.")), 1.0) for name in names]


class Scalars:
    """The `scalars` that are not the same in all models of a stack or have a schedule, (S,), in the parameters' type.

    Tensors that are changed in place, so that a recorded step reads what they hold when it is replayed.
    """

    def __init__(self, models: list[Any]) -> None:
        like, names = next(models[0].parameters(), None), getattr(models[0], "scalars", ())
        last = {name: [getattr(model, name) for model in models] for name in names}
        self.schedules = [getattr(model, "schedules", {}) for model in models]
        self.changing = {name: last[name] for name in names if any(name in known for known in self.schedules)}
        self.tensors: dict[str, Tensor] = {
            name: torch.tensor(values, dtype=like.dtype, device=like.device)
            for name, values in last.items()
            if like is not None and (len(set(values)) > 1 or name in self.changing)
        }

    def at(self, progress: float) -> None:
        """Set those with a schedule to their values at that fraction of the updates."""
        for name, last in self.changing.items():
            pairs = zip(self.schedules, last, strict=True)
            values = [known[name].value(progress) if name in known else value for known, value in pairs]
            self.tensors[name].copy_(torch.tensor(values, dtype=self.tensors[name].dtype))


@contextmanager
def _attributes(model: Any, values: dict[str, Tensor]) -> Iterator[None]:
    """A model's attributes have these values while the block lasts."""
    before = {name: getattr(model, name) for name in values}
    try:
        for name, value in values.items():
            setattr(model, name, value)
        yield
    finally:
        for name, value in before.items():
            setattr(model, name, value)
