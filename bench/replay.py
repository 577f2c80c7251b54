"""Operations recorded once and replayed: on a GPU as one CUDA graph, whose kernels need no launching one by one."""

import gc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from torch import Tensor

from .nested import leaves, mapped, shapes

#: takes a function without arguments; gives its results, and what computes them again into the same places
Recorder = Callable[[Callable[[], list[Any]]], tuple[list[Any], Callable[[], None]]]


class Recorded:
    """A function of tensors, or of tuples of them, which gives a list, and then is recorded as it ran.

    A call copies its arguments, of the shapes that were recorded, to where those lay; its results lie in the same place
    after every call. The function may also change tensors that it holds itself, such as parameters.
    """

    @torch.no_grad()
    def __init__(self, function: Callable[..., list[Any]], arguments: tuple[Any, ...], record: Recorder) -> None:
        self.places = mapped(torch.clone, arguments)
        self.results, self.replay = record(lambda: function(*self.places))

    def fits(self, *arguments: Any) -> bool:
        """Whether arguments have the shapes that were recorded."""
        return shapes(arguments) == shapes(self.places)

    @torch.no_grad()
    def __call__(self, *arguments: Any) -> list[Any]:
        for place, leaf in zip(leaves(self.places), leaves(arguments), strict=True):
            place.copy_(leaf)
        self.replay()
        return self.results


def recorder(device: torch.device) -> Recorder | None:
    """How operations on a device are recorded; None where that gains nothing."""
    return partial(on_gpu, device) if device.type == "cuda" else None


def on_gpu(
    device: torch.device, function: Callable[[], list[Tensor]]
) -> tuple[list[Tensor], Callable[[], None]]:
    """As a CUDA graph. The function runs three times before, and not while it is recorded."""
    stream = torch.cuda.current_stream(device)
    with torch.cuda.device(device), torch.cuda.stream(stream):  # which is the current one again, even if this fails
        aside = torch.cuda.Stream()
        aside.wait_stream(stream)
        with torch.cuda.stream(aside):  # what libraries allocate on first use may not be part of the graph
            for _ in range(3):
                function()
        stream.wait_stream(aside)
        graph = torch.cuda.CUDAGraph()
        with _no_garbage(), torch.cuda.graph(graph):
            results = function()
    return results, graph.replay


@contextmanager
def _no_garbage() -> Iterator[None]:
    """Nothing is collected within: an old graph that is freed while a new one is recorded breaks that."""
    gc.collect()
    before = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if before:
            gc.enable()
