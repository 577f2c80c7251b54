"""A training step as one list of tensor operations.

A step of a small net spends a sixth of its time on what is not arithmetic: making a graph of gradients, walking it, and
looking at every tensor's history on the way. The operations are the same in every step, so those of forward and
backward pass are written down once (by `torch.fx`), and from then on the list alone is run.

It is used only where it gives the very bits of the step it was written down from, on its batch and on one in another
order. What has no such list, such as a net whose shapes depend on values, is trained the plain way, to the same result.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.func import functional_call

from .precision import autocast

LONG = 400  #: steps of a training from which on capturing, 0.1 s, is worth it
LINEAR, RELU = "mkldnn::_linear_pointwise", "aten::relu"
SAME = ("aten::alias", "aten::detach")  #: operations that only hide a history
DEPENDS = torch.Tag.data_dependent_output, torch.Tag.dynamic_output_shape


class Captured:
    """A step on batches of one shape: called as `gradients` is, it does the same."""

    def __init__(self, model: Any, half: bool, x: Tensor, y: Tensor, noise: Any) -> None:
        self.parameters = dict(model.named_parameters())
        self.shapes = _shapes(x, y, noise)
        self.terms: list[str] = []

        def step(x: Tensor, y: Tensor, noise: Any, parameters: dict[str, Tensor]) -> list[Tensor]:
            with torch.enable_grad():
                free = {name: p.detach().requires_grad_() for name, p in parameters.items()}
                with autocast(x.device, half):
                    terms = functional_call(model, free, (x, y, noise))
                found = torch.autograd.grad(terms["loss"], list(free.values()), allow_unused=True)
            self.terms = list(terms)
            return [*terms.values(), *found]

        self.run = _straight(step, x, y, noise, self.parameters)

    def fits(self, x: Tensor, y: Tensor, noise: Any) -> bool:
        """Whether a batch has the shapes that the step was written down for."""
        return _shapes(x, y, noise) == self.shapes

    @torch.inference_mode()
    def __call__(self, x: Tensor, y: Tensor, noise: Any) -> dict[str, Tensor]:
        values = self.run(x, y, noise, self.parameters)
        for parameter, grad in zip(self.parameters.values(), values[len(self.terms) :], strict=True):
            parameter.grad = grad
        return dict(zip(self.terms, values, strict=False))


def gradients(model: Any, half: bool, x: Tensor, y: Tensor, noise: Any) -> dict[str, Tensor]:
    """The plain step: the terms of a batch, with the gradient of the loss left in each parameter's `grad`."""
    with autocast(x.device, half):
        terms = model(x, y, noise)
    for parameter in model.parameters():
        parameter.grad = None
    terms["loss"].backward()
    return {name: value.detach() for name, value in terms.items()}


def capture(model: Any, half: bool, x: Tensor, y: Tensor, noise: Any) -> Captured | None:
    """The step of `model` on batches like this one; None where it cannot be had, or is not the plain one to the bit.

    x (B, C, H, W), y (B,), noise as the model draws it. The model, and torch's global random numbers, are left as they
    were.
    """
    if not all(parameter.requires_grad for parameter in model.parameters()):
        return None
    other = x.flip(0), y.roll(1), noise
    try:
        with _undone(model):
            captured = Captured(model, half, x, y, noise)
        equal = all(_equal(model, half, captured, batch) for batch in ((x, y, noise), other))
    except Exception:  # whatever it is that cannot be written down, it can be trained
        return None
    return captured if equal else None


def _equal(model: Any, half: bool, captured: Captured, batch: tuple[Tensor, Tensor, Any]) -> bool:
    def outcome(step: Any) -> list[Tensor | None]:
        with _undone(model):
            terms = step(*batch)
            return [*terms.values(), *(p.grad for p in model.parameters()), *(b.clone() for b in model.buffers())]

    found, expected = outcome(captured), outcome(lambda *batch: gradients(model, half, *batch))
    return all(a is b or (a is not None and b is not None and torch.equal(a, b))
               for a, b in zip(found, expected, strict=True))  # fmt: skip


@contextmanager
def _undone(model: Any) -> Iterator[None]:
    """Buffers (running means), gradients and torch's global random numbers are afterwards as they were."""
    before, grads = [b.clone() for b in model.buffers()], [p.grad for p in model.parameters()]
    with torch.random.fork_rng(devices=[]):
        try:
            yield
        finally:
            with torch.no_grad():
                for buffer, value in zip(model.buffers(), before, strict=True):
                    buffer.copy_(value)
            for parameter, grad in zip(model.parameters(), grads, strict=True):
                parameter.grad = grad


def _straight(step: Any, *arguments: Any) -> Any:
    from torch.fx.experimental.proxy_tensor import make_fx  # takes a second to import

    module = make_fx(step)(*arguments)
    for node in list(module.graph.nodes):
        if node.op == "call_function" and isinstance(node.target, torch._ops.OpOverload):
            _simplify(node)
    module.recompile()
    return module.forward


def _simplify(node: Any) -> None:
    """Leave out an operation that does nothing, and let oneDNN's linear layer do the ReLU behind it."""
    name = node.target.name().partition(".")[0]
    if any(tag in node.target.tags for tag in DEPENDS) and not _takes_rows(node):
        raise NotImplementedError(f"what {name} gives depends on values")
    if name in SAME:
        _replace(node, node.args[0])
    elif name == RELU:
        source = node.args[0]
        if source.op == "call_function" and source.target.name() == LINEAR and len(source.users) == 1:
            source.args = (*source.args[:3], "relu", [], "")
            _replace(node, source)


def _replace(node: Any, by: Any) -> None:
    node.replace_all_uses_with(by)
    node.graph.erase_node(node)


def _takes_rows(node: Any) -> bool:
    """Whether it is an indexing by whole numbers, whose shape is known, and not by a mask."""
    if node.target.name() != "aten::index.Tensor":
        return False
    values = [index.meta["tensor_meta"].dtype for index in node.args[1] if index is not None]
    return all(dtype in (torch.int64, torch.int32) for dtype in values)


def _shapes(x: Tensor, y: Tensor, noise: Any) -> list[torch.Size]:
    return [x.shape, y.shape, *(leaf.shape for leaf in _leaves(noise))]


def _leaves(noise: Any) -> Iterator[Tensor]:
    if isinstance(noise, Tensor):
        yield noise
    else:
        for part in noise:
            yield from _leaves(part)
