"""The arithmetic of a training step: multiply-adds of linear and convolutional layers, counted from the modules.

A multiply-add is two floating-point operations. A layer's forward pass and its two gradients (of its weights, and of
its input) take the same number each; the first layer needs no gradient of its input. Activations, losses and the
optimiser are not counted: they are what a step spends beside its arithmetic.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

KINDS: dict[type[nn.Module], str] = {nn.Linear: "linear", nn.Conv2d: "conv", nn.ConvTranspose2d: "conv"}
BATCH = 2


def training_flops(model: Any, shape: tuple[int, int, int], classes: int) -> dict[str, float]:
    """{"linear": FLOP, "conv": FLOP} of one training step, for each image of shape (C, H, W)."""
    found = {"linear": 0.0, "conv": 0.0}
    hooks = [m.register_forward_hook(_counter(found, KINDS[type(m)])) for m in model.modules() if type(m) in KINDS]
    x, y = torch.rand(BATCH, *shape), torch.arange(BATCH) % classes
    try:
        with torch.enable_grad():
            model(x, y, model.draw(x, torch.Generator().manual_seed(0)))
    finally:
        for hook in hooks:
            hook.remove()
    return found


def _counter(found: dict[str, float], kind: str) -> Callable[[nn.Module, tuple[Tensor, ...], Tensor], None]:
    def count(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        passes = 3 if inputs[0].requires_grad else 2
        found[kind] += passes * 2 * multiply_adds(module, inputs[0], output) / len(inputs[0])

    return count


def multiply_adds(module: Any, x: Tensor, y: Tensor) -> int:
    """Of one forward pass from `x` to `y`, for the whole batch.

    >>> multiply_adds(nn.Linear(784, 512), torch.zeros(1, 784), torch.zeros(1, 512))
    401408
    """
    if isinstance(module, nn.Linear):
        return module.weight.numel() * (y.numel() // module.out_features)
    places = x if isinstance(module, nn.ConvTranspose2d) else y  # each of these meets every weight once
    return module.weight.numel() * places.shape[0] * places.shape[2] * places.shape[3]
