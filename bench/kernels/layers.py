"""Models whose layers take the faster kernel for as long as a `with` block lasts."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import nn

from . import convolution, cross_entropy, dense, linear, sparse, strided, transposed
from .choice import chosen


@contextmanager
def faster_layers(
    model: nn.Module, device: torch.device, kernels: Mapping[str, str] | None = None
) -> Iterator[None]:
    """Inside, the layers of a model on the CPU for which there is a faster kernel use it; parameters are not touched.

    kernels: question → answer as `choice.chosen` gives them, None for what holds on this machine.
    """
    replaced: list[tuple[nn.Module, str]] = []
    if device.type == "cpu":
        answers = kernels or chosen()
        for layer in model.modules():
            for kind in (sparse, dense, linear, strided, convolution, transposed):
                forward = kind.forward_of(layer, answers)
                if forward is not None:
                    layer.forward = forward
                    replaced.append((layer, "forward"))
                    break
            nll = cross_entropy.nll_of(layer, answers)
            if nll is not None:
                setattr(layer, "nll", nll)  # noqa: B010  (to mypy, modules have tensors and modules alone)
                replaced.append((layer, "nll"))
    try:
        yield
    finally:
        for layer, name in replaced:
            delattr(layer, name)
