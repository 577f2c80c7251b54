"""Trained models on disk: safetensors with a JSON header, never pickle. And building models from cells."""

import json
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as serialise

from bench.datasets import Data
from bench.errors import ResultError, RunFailed
from bench.models.nets import Net, Size
from bench.registry import describe
from bench.results.store import write_bytes
from bench.suite import Cell, Choice
from bench.suite.schedules import final, scheduled


def build(
    shape: tuple[int, int, int],
    variant: Choice,
    net: Choice | None,
    likelihood: Choice,
    latent_size: int,
    classes: int = 0,
) -> Any:
    """An untrained model of a cell for images of `shape` (C, H, W); parameters come from torch's global generator.

    Options with a schedule have their last value; the model's `schedules` are for the trainer.
    """
    kind = variant.load("variants")
    options = final(variant.options, kind.scalars)
    size = Size(shape, latent_size, kind.heads, classes, *kind.given(classes, **options))
    pair = Net(size) if net is None else net.load("nets")(size, **net.options)
    terms = likelihood.load("likelihoods")(**likelihood.options)
    model = kind(pair, terms, **options)
    model.schedules = scheduled(variant.options, kind.scalars)
    return model


def build_cell(cell: Cell, data: Data) -> Any:
    """An untrained model of a cell for these images. Raises `RunFailed` where it needs labels and there are none."""
    if data.train.labels is None and describe("variants", cell.variant.name).constants["needs_labels"]:
        example = f"`exclude: [{{dataset: {cell.dataset_label}, variant: {cell.variant.name}}}]` leaves it out"
        raise RunFailed(f"{cell.variant.name} needs labels, and {cell.dataset_label} has none; {example}")
    return build(data.shape, cell.variant, cell.net, cell.likelihood, cell.latent_size, len(data.classes))


def save(model: Any, path: Path, header: dict[str, Any]) -> None:
    """Write parameters and buffers atomically; `header` is JSON beside them."""
    tensors = {name: value.detach().cpu().contiguous() for name, value in model.state_dict().items()}
    if not tensors:
        tensors = {"_empty": torch.zeros(0)}
    write_bytes(path, serialise(tensors, metadata={"bench": json.dumps(header, sort_keys=True)}))


def read_header(path: Path) -> dict[str, Any]:
    """The JSON header of a checkpoint. Raises `ResultError` if the file is damaged."""
    try:
        if not path.is_file():  # opening a named pipe would wait for ever
            raise OSError("not a regular file")
        with safe_open(path, "pt") as file:
            header = json.loads((file.metadata() or {})["bench"])
        if not isinstance(header, dict):
            raise TypeError(f"its header is a {type(header).__name__}")
    except (SafetensorError, OSError, KeyError, ValueError, TypeError, RecursionError) as error:
        raise ResultError(f"{path}: not a readable checkpoint ({error})") from error
    return header


def restore(model: Any, path: Path) -> Any:
    """Load parameters into `model` and return it in evaluation mode. Raises `ResultError` if they do not fit."""
    try:
        with safe_open(path, "pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys() if name != "_empty"}  # noqa: SIM118
        model.load_state_dict(tensors)
    except (SafetensorError, OSError, RuntimeError, ValueError, TypeError) as error:
        raise ResultError(f"{path}: does not hold this model ({error})") from error
    return model.eval()
