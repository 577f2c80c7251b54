"""A training step as one list of tensor operations.

A step of a small net spends a part of its time on what is not arithmetic: making a graph of gradients, walking it, and
looking at every tensor's history on the way. The operations are the same in every step, so those of forward and
backward pass are written down once (by `torch.fx`), and from then on the list alone is run; on a GPU as one CUDA graph,
which needs no launching of its kernels one by one.

It is used only where it gives the very bits of the step it was written down from, on its batch and on one of other
values (on GPUs, whose kernels need not repeat their own bits, the same but for rounding). What has no such list, such
as a net whose shapes depend on values, is trained the plain way, to the same result.
"""

import operator
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from .nested import leaves, mapped, shapes
from .replay import Recorded, Recorder

LONG = 200  #: steps of a training from which on capturing is worth it: 0.1 s against 0.2 to 2 ms a step
ROUNDING = {"cpu": 0.0, "cuda": 1e-4}  #: how far a captured step may be from the plain one, of each tensor's norm
RELU, RELU_BACK = "aten::relu", "aten::threshold_backward"
GATED = "bench::strided_down", "bench::strided_up"  #: these can do a ReLU, or its gradient, with their own work
TAKES_RELU, TAKES_GATE = ("bench::dense", "bench::sparse_linear", *GATED), ("bench::dense_by_input", *GATED)
SAME = ("aten::alias", "aten::detach")  #: operations that only hide a history
TURN, COPY = "aten::t", "aten::copy_"
CROSS_ENTROPY, SLOPE = "bench::cross_entropy", "bench::cross_entropy_slope"
LAYINGS = "aten::view", "aten::_unsafe_view", "bench::turned"  #: operations that only lay values in another way
PIXELWISE = 16  #: channels from which on it matters how an image lies
PRODUCTS = "aten::mm", "mkldnn::_linear_pointwise"
HALF_AND_FULL = {torch.float32, torch.bfloat16}
DEPENDS = torch.Tag.data_dependent_output, torch.Tag.dynamic_output_shape

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

        module = _straight(both_ways, *batch, self.parameters)
        if narrow:
            self.halves = _narrow(module, list(self.parameters.values()), len(self.names))
        _join_cross_entropy(module)
        self.module = module

    def factor(self, takes_factors: Callable[[Tensor], bool]) -> None:
        """From now on let `both` give, in place of a linear layer's gradient, the factors that it is the product of.

        takes_factors: whether a parameter's gradient may be left to whoever updates it.
        """
        _factor(self.module, [takes_factors(p) for p in self.parameters.values()], len(self.names))

    def run(self, *batch: Any) -> list[Any]:
        """Terms and gradients, in order."""
        return self.module.forward(*leaves(batch), *self.parameters.values())

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


# -- the list


def _straight(function: Callable[..., list[Any]], *arguments: Any) -> Any:
    """A module whose `forward` takes the leaves of the arguments and gives what the function gives."""
    from torch.fx.experimental.proxy_tensor import make_fx  # takes a second to import

    module = make_fx(function)(*arguments)
    module.graph.set_codegen(torch.fx.graph.CodeGen())  # without the arguments' nesting, which takes time to undo
    for node in list(module.graph.nodes):
        if node.op == "call_function" and isinstance(node.target, torch._ops.OpOverload):
            _simplify(node)
    _turn_once(module.graph)
    for node in list(module.graph.nodes):
        if _name(node) == RELU_BACK:
            _gate_before(node)
    _fold(module, arguments[0].device)
    module.graph.eliminate_dead_code()
    module.recompile()
    return module


def _fold(module: Any, device: torch.device) -> None:
    """Work out beforehand what is the same in every step: the gradient of a mean, say, by each of its terms."""
    operations = [n for n in module.graph.nodes if isinstance(n.target, torch._ops.OpOverload)]
    known: dict[Any, Tensor] = {}
    for node in operations:
        of = node.all_input_nodes
        if node.target._schema.is_mutable and node.args[0] in known:
            return  # a constant that is changed is none
        if node.target.name().partition(".")[0] == "aten::ones_like":
            about = node.meta["tensor_meta"]
            known[node] = torch.ones(about.shape, dtype=about.dtype, device=device)
        elif of and all(n in known for n in of) and torch.Tag.nondeterministic_seeded not in node.target.tags:
            arguments, options = torch.fx.node.map_arg((node.args, node.kwargs), known.__getitem__)
            known[node] = node.target(*arguments, **options)
    for node in [n for n in known if any(user not in known for user in n.users)]:
        module.register_buffer(node.name, known[node])
        with module.graph.inserting_before(node):
            constant = module.graph.get_attr(node.name)
            if any(user.op == "output" for user in node.users):  # what is given away may be changed there
                constant = module.graph.call_function(torch.ops.aten.clone.default, (constant,))
            node.replace_all_uses_with(constant)


def _narrow(module: Any, parameters: list[Tensor], terms: int) -> list[Tensor | None]:
    """Let the list read parameters in bfloat16 from copies, which are returned, and give gradients not yet widened."""
    inputs = [node for node in module.graph.nodes if node.op == "placeholder"][-len(parameters) :]
    (output,) = (node for node in module.graph.nodes if node.op == "output")
    halves: list[Tensor | None] = []
    for number, (node, parameter) in enumerate(zip(inputs, parameters, strict=True)):
        casts = [user for user in node.users if _is_cast(user, torch.bfloat16)]
        halves.append(parameter.detach().to(torch.bfloat16) if casts else None)
        for cast in casts:
            module.register_buffer(f"half_{number}", halves[-1])
            with module.graph.inserting_before(cast):
                cast.replace_all_uses_with(module.graph.get_attr(f"half_{number}"))
            module.graph.erase_node(cast)
    for node in list(module.graph.nodes):
        if _is_cast(node, torch.float32):
            _read_narrow(node)
    grads = [g.args[0] if g is not None and _is_cast(g, torch.float32) else g for g in output.args[0][terms:]]
    output.args = ([*output.args[0][:terms], *grads],)
    module.graph.eliminate_dead_code()
    module.recompile()
    return halves


def _read_narrow(cast: Any) -> None:
    """Let the cross-entropy read logits in bfloat16, and give its gradient so, if nothing else is done with either."""
    slopes = [user for user in cast.users if _name(user) == SLOPE]
    back = [_is_cast(user, torch.bfloat16) for slope in slopes for user in slope.users]
    if back and all(back) and all(_name(user) in (SLOPE, CROSS_ENTROPY) for user in cast.users):
        cast.replace_all_uses_with(cast.args[0])
        for user in [user for slope in slopes for user in slope.users]:
            user.replace_all_uses_with(user.args[0])


def _join_cross_entropy(module: Any) -> None:
    """Let one operation give the cross-entropy and its gradient, where the slope is the same in every step."""
    for loss in [node for node in module.graph.nodes if _name(node) == CROSS_ENTROPY]:
        slopes = [user for user in loss.args[0].users if _name(user) == SLOPE and user.args[1:] == loss.args]
        if len(slopes) != 1 or slopes[0].args[0].op != "get_attr":
            continue
        with module.graph.inserting_before(loss):
            constant = module.graph.get_attr(slopes[0].args[0].target)
            both = module.graph.call_function(torch.ops.bench.cross_entropy_both.default, (*loss.args, constant))
            parts = [module.graph.call_function(operator.getitem, (both, number)) for number in range(2)]
        for node, part in zip((loss, *slopes), parts, strict=True):
            node.replace_all_uses_with(part)
            module.graph.erase_node(node)
    module.graph.eliminate_dead_code()
    module.recompile()


def _factor(module: Any, wanted: list[bool], terms: int) -> None:
    """Let the list give the factors of gradients that are a product and nothing else."""
    (output,) = (node for node in module.graph.nodes if node.op == "output")
    values = list(output.args[0])
    for number, factored in enumerate(wanted, terms):
        values[number] = (_factors(values[number]) if factored else None) or values[number]
    given, output.args = output.args[0], (values,)
    for node in given[terms:]:
        if _name(node) == COPY and not node.users:  # changes something, and would not be left out as dead
            module.graph.erase_node(node)
    module.graph.eliminate_dead_code()
    module.recompile()


def _factors(node: Any) -> tuple[Any, Any] | None:
    """Of a product leftᵀ right that only the output reads, turned round or laid in another way perhaps, the two."""
    name = _name(node)
    if name not in PRODUCTS or len(node.users) > 1 or any(node.args[2:3]):  # a third is a bias
        within = _factors(node.args[-1]) if name in (TURN, COPY) and len(node.users) == 1 else None
        return within[::-1] if within and name == TURN else within
    left, right = node.args[:2]
    if name == "mkldnn::_linear_pointwise":  # multiplies with the other one turned
        if right.target != torch.ops.aten.t.default:
            return None
        right = right.args[0]
    return (left.args[0], right) if left.target == torch.ops.aten.t.default else None


def _is_cast(node: Any, dtype: torch.dtype) -> bool:
    """Whether it changes a tensor's precision between float32 and bfloat16, and nothing else."""
    asked = {"dtype": dtype, "layout": torch.strided, "device": torch.device("cpu")}
    if node.target != torch.ops.aten._to_copy.default or not node.kwargs.items() <= asked.items():
        return False
    about = getattr(node.args[0], "meta", {}).get("tensor_meta")  # of a number there is none
    return "dtype" in node.kwargs and about is not None and about.dtype in HALF_AND_FULL - {dtype}


def _simplify(node: Any) -> None:
    """Leave out an operation that does nothing or is part of the one before, and lay tensors read together alike.

    After linear layers ReLUs stay by themselves: oneDNN's turn a NaN into 0, and a diverged seed must be seen.
    """
    name = node.target.name().partition(".")[0]
    if any(tag in node.target.tags for tag in DEPENDS) and not _takes_rows(node):
        raise NotImplementedError(f"what {name} gives depends on values")
    if name in SAME or (name == "aten::pow" and node.args[1] == 1):  # as in the gradient of a square
        node.replace_all_uses_with(node.args[0])
        node.graph.erase_node(node)
    elif name == TURN and node.args[0].target == node.target:
        node.replace_all_uses_with(node.args[0].args[0])
        node.graph.erase_node(node)
    elif _is_done_within(node, name):
        work = node.args[0]
        work.kwargs = {**work.kwargs, **({"relu": True} if name == RELU else {"gate": node.args[1]})}
        node.replace_all_uses_with(work)
        node.graph.erase_node(node)
    elif name == RELU_BACK:
        _lay_alike(node)
    elif name == "aten::clone":
        _turn_quickly(node)


def _turn_once(graph: Any) -> None:
    """Lay images pixel by pixel once for all the convolutions that read them, which each would do for itself."""
    for node in list(graph.nodes):
        readers = [user for user in node.users if node in _images_of(user)]
        about = node.meta.get("tensor_meta")
        if not readers or about is None or about.memory_format != torch.contiguous_format or about.shape[1] < PIXELWISE:
            continue
        with graph.inserting_after(node):
            turned = graph.call_function(torch.ops.bench.turned.default, (node,))
        turned.meta["tensor_meta"] = about._replace(memory_format=torch.channels_last)
        for reader in readers:
            reader.replace_input_with(node, turned)


def _gate_before(back: Any) -> None:
    """Leave a ReLU's gradient to the layer that gives what it is of, if in between that is only laid and viewed."""
    work, (values, threshold) = back.args[0], back.args[1:]
    while _name(work) in LAYINGS and len(work.users) == 1:
        work = work.args[0]
    if _name(work) not in TAKES_GATE or {"relu", "gate"} & work.kwargs.keys() or len(work.users) > 1 or threshold != 0:
        return
    for gate in _laid_otherwise(values):
        if gate < work and all(_about(gate, word) == _about(work, word) for word in ("shape", "memory_format")):
            work.kwargs = {**work.kwargs, "gate": gate}
            back.replace_all_uses_with(back.args[0])
            back.graph.erase_node(back)
            return


def _laid_otherwise(node: Any) -> Iterator[Any]:
    """Nodes of the same values."""
    for user in node.users:
        if _name(user) in LAYINGS:
            yield user
            yield from _laid_otherwise(user)


def _about(node: Any, word: str) -> Any:
    return getattr(node.meta["tensor_meta"], word)


def _images_of(node: Any) -> tuple[Any, ...]:
    """What a convolution, or its gradient, reads pixel by pixel."""
    return node.args[: {**dict.fromkeys(GATED, 1), "bench::strided_weight": 2}.get(_name(node), 0)]


def _name(node: Any) -> str:
    """An operation's name, "" of what is none."""
    known = isinstance(getattr(node, "target", None), torch._ops.OpOverload)
    return node.target.name().partition(".")[0] if known else ""


def _turn_quickly(node: Any) -> None:
    """A copy that lays images channel by channel where they lay pixel by pixel, or the other way round."""
    before, after = node.args[0].meta["tensor_meta"], node.meta["tensor_meta"]
    layouts = {before.memory_format, after.memory_format}
    if layouts == {torch.contiguous_format, torch.channels_last} and before.dtype in HALF_AND_FULL:
        node.target, node.kwargs = torch.ops.bench.turned.default, {}


def _is_done_within(node: Any, name: str) -> bool:
    """Whether it is a ReLU, or its gradient, of what nothing else reads, from a layer that can do it by itself."""
    if name not in (RELU, RELU_BACK):
        return False
    work, kinds = node.args[0], TAKES_RELU if name == RELU else TAKES_GATE
    if not isinstance(work.target, torch._ops.OpOverload) or work.target.name() not in kinds:
        return False
    return len(work.users) == 1 and not {"relu", "gate"} & work.kwargs.keys() and node.args[2:] in ((), (0,))


def _lay_alike(node: Any) -> None:
    """Lay a gradient as the values that it belongs to: else both are read pixel by pixel, at a tenth of the speed."""
    grad, values = node.args[0], node.args[1]
    layout = values.meta["tensor_meta"].memory_format
    if layout == torch.channels_last != grad.meta["tensor_meta"].memory_format:
        with node.graph.inserting_before(node):
            laid = node.graph.call_function(torch.ops.aten.clone.default, (grad,), {"memory_format": layout})
        laid.meta["tensor_meta"] = grad.meta["tensor_meta"]._replace(memory_format=layout)
        _turn_quickly(laid)
        node.replace_input_with(grad, laid)
        node.meta["tensor_meta"] = node.meta["tensor_meta"]._replace(memory_format=layout)


def _takes_rows(node: Any) -> bool:
    """Whether it is an indexing by whole numbers, whose shape is known, and not by a mask."""
    if node.target.name() != "aten::index.Tensor":
        return False
    values = [index.meta["tensor_meta"].dtype for index in node.args[1] if index is not None]
    return all(dtype in (torch.int64, torch.int32) for dtype in values)


def _laid_as(grad: Tensor | None, parameter: Tensor) -> Tensor | None:
    """As `backward` leaves it: optimisers walk through both in step."""
    if grad is None or laid(grad) == laid(parameter):
        return grad
    return torch.empty_strided(parameter.shape, parameter.stride(), device=grad.device).copy_(grad)


def laid(values: Tensor) -> list[int]:
    """How a tensor lies in memory: its strides, where it has more than one element to stride over."""
    return [stride for size, stride in zip(values.shape, values.stride(), strict=True) if size > 1]
