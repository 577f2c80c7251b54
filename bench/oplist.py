"""A step's operations as a list (`torch.fx`), with fewer of them, and quicker ones, than were written down.

What is left out or put together gives the same bits. A list is a module of `torch.fx`: its graph is changed here, and
`quick` makes of it what is run in every step.
"""

import copy
import operator
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor

from .kernels import operators

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
#: functions of Python's and PyTorch's that do the same as an operation, and are called in half the time
CALLED = {
    torch.ops.aten.add.Tensor: torch.add,
    torch.ops.aten.addmm.default: torch.addmm,
    torch.ops.aten.cat.default: torch.cat,
    torch.ops.aten.exp.default: torch.exp,
    torch.ops.aten.mean.default: torch.mean,
    torch.ops.aten.mm.default: torch.mm,
    torch.ops.aten.mul.Scalar: torch.mul,
    torch.ops.aten.mul.Tensor: torch.mul,
    torch.ops.aten.pow.Tensor_Scalar: torch.pow,
    torch.ops.aten.relu.default: torch.relu,
    torch.ops.aten.split.Tensor: torch.unsafe_split,  # unsafe for gradients, of which there are none here
    torch.ops.aten.sub.Tensor: torch.sub,
    torch.ops.aten.sum.dim_IntList: torch.sum,
    torch.ops.aten.t.default: torch.t,
    torch.ops.aten.unsqueeze.default: torch.unsqueeze,
    torch.ops.aten.view.default: torch.Tensor.view,
}
DEPENDS = torch.Tag.data_dependent_output, torch.Tag.dynamic_output_shape


def straight(function: Callable[..., list[Any]], *arguments: Any) -> Any:
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


def quick(module: Any) -> Callable[..., list[Any]]:
    """What the list does, of the same arguments, for whoever needs no gradient of it.

    Operations are called without the search for the one that fits the arguments, constants read as plain attributes.
    """
    made = torch.fx.GraphModule(module, copy.deepcopy(module.graph))
    for node in made.graph.nodes:
        if node.op == "call_function" and isinstance(node.target, torch._ops.OpOverload):
            node.target = CALLED.get(node.target) or operators.function_of(node.target) or node.target
    for name, constant in list(made.named_buffers(recurse=False)):
        delattr(made, name)
        setattr(made, name, constant)
    made.recompile()
    return made.forward


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


def narrowed(module: Any, parameters: list[Tensor], terms: int) -> list[Tensor | None]:
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


def join_cross_entropy(module: Any) -> None:
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


def factor(module: Any, wanted: list[bool], terms: int) -> None:
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
    plain = node.target == torch.ops.aten.pow.Tensor_Scalar and _about(node.args[0], "dtype").is_floating_point
    power = node.args[1] if plain else None
    if power == 2:  # a product, as PyTorch's power is one
        node.target, node.args = torch.ops.aten.mul.Tensor, (node.args[0], node.args[0])
    elif name in SAME or power == 1:  # as in the gradient of a square
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
