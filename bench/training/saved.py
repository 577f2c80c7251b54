"""The trained model of a cell, out of its checkpoint."""

from collections.abc import Callable
from pathlib import Path
from types import MethodType
from typing import Any

from bench.errors import ResultError, UsageError
from bench.results.store import Store
from bench.suite import Choice
from bench.suite.cells import recorded_choice

from . import checkpoint


def load_model(cell: str, results: str | Path = "results") -> Any:
    """The trained model of a cell, on the CPU in evaluation mode, its parameters without gradients.

    `.encode(x)` → codes (B, D), `.posterior(x)` → mean and log_var, each (B, D), `.generate(z)` → images (B, C, H, W).
    x: float32 (B, C, H, W) in [0, 1], of the cell's image size. A conditional model takes labels (B,) int64 as well:
    `.encode(x, y)`, `.generate(z, y)`. Images of another shape or type raise `UsageError`, and `.posterior` of a model
    that has none `NotApplicable`.

    cell: the beginning of the id of a cell you have trained: committed results come without checkpoints, so a suite has
    to be run first. Raises `UsageError` for an unknown or ambiguous id, `ResultError` if its checkpoint is damaged or
    not there.
    """

    record = Store(Path(results)).find(cell)
    path = record.folder / "checkpoint.safetensors"
    if not path.is_file():
        raise ResultError(f"cell {record.id} has no checkpoint at {path}; run its suite again to make it")
    c = record.cell
    net = recorded_choice(c, "net", "net_options") if c["net"] else None
    model = checkpoint.build(
        tuple(record.about["dataset"]["shape"]),
        recorded_choice(c, "variant", "options"),
        net,
        Choice(c["likelihood"], c["likelihood_options"]),
        c["latent_size"],
        len(record.about["dataset"]["classes"]),
    )
    return _checking_images(checkpoint.restore(model, path).requires_grad_(False))


def _checking_images(model: Any) -> Any:
    """The model, with one clear message where `encode` or `posterior` is given something else than its images."""
    for name in ("encode", "posterior"):
        setattr(model, name, MethodType(_checked(name), model))  # bound, so that a deep copy has its own
    return model


def _checked(name: str) -> Callable[..., Any]:
    def method(model: Any, x: Any, y: Any = None) -> Any:
        shape, kind = tuple(model.net.size.shape), str(getattr(x, "dtype", type(x).__name__))
        given = tuple(getattr(x, "shape", ()))
        if len(given) != 4 or given[1:] != shape or kind != "torch.float32":
            wanted = f"torch.float32 of shape (B, {', '.join(map(str, shape))}) in [0, 1]"
            raise UsageError(f"{name} takes images as {wanted}, not {kind}{f' of shape {given}' * bool(given)}")
        return getattr(type(model), name)(model, x, y)

    return method
