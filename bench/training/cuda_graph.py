"""A training step recorded once as a CUDA graph and replayed: one launch instead of hundreds.

Reference: PyTorch's notes on CUDA graphs, https://docs.pytorch.org/docs/stable/notes/cuda.html#cuda-graphs
"""

import gc
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from .noise import leaves, mapped, shapes

Step = Callable[[Tensor, Any], dict[str, Tensor]]  #: indices of a batch and its noise to the terms of the loss


class GraphedStep:
    """`step` on batches of one shape. Called as `step` is; parameters, optimiser and buffers change in place.

    Recording runs no kernel. The first call is the first computation. Raises what torch raises where a step cannot be
    recorded, for instance because it waits for the device.
    """

    def __init__(self, step: Step, index: Tensor, noise: Any) -> None:
        self.inputs = mapped(torch.clone, (index, noise))
        self.graph = torch.cuda.CUDAGraph()
        gc.collect()  # a graph that is freed while another is recorded would break the recording
        with torch.cuda.device(index.device), torch.cuda.graph(self.graph):
            self.terms = step(*self.inputs)

    def fits(self, index: Tensor, noise: Any) -> bool:
        """Whether a batch has the recorded shapes; the last batch of an epoch may be smaller."""
        return shapes((index, noise)) == shapes(self.inputs)

    def __call__(self, index: Tensor, noise: Any) -> dict[str, Tensor]:
        for place, leaf in zip(leaves(self.inputs), leaves((index, noise)), strict=True):
            place.copy_(leaf)
        self.graph.replay()
        return {name: value.clone() for name, value in self.terms.items()}
