"""The state of a training on disk, so that a killed one goes on at the last epoch kept instead of from the start.

It holds all that the next epoch depends on: parameters and buffers, the optimiser's state, the generators' states and
the history. On a CPU the resumed training has the bits of an uninterrupted one. safetensors and JSON, never pickle.
"""

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as serialise
from torch import Tensor

from bench import __version__
from bench.results.store import write_bytes

EVERY = 120.0  #: seconds between two states written


@dataclass(frozen=True)
class ResumeFile:
    """Where a training's state is kept while it lasts, and what must be equal for it to be used again.

    identity: JSON that names the training and its data; versions and the device are compared as well.
    """

    path: Path
    identity: Any


@dataclass
class TrainingState:
    """What a training depends on after an epoch: tensors that are read and set in place, and numbers.

    tensors: parameters, buffers and marks. numbers: JSON, replaced by what is loaded.
    """

    tensors: dict[str, Tensor]
    optimizer: torch.optim.Optimizer
    generators: dict[str, torch.Generator]
    numbers: dict[str, Any] = field(default_factory=dict)


class ResumePoint:
    """The file of one group of models. The time since the last write decides when it is written again, which changes
    no number."""

    def __init__(self, files: Sequence[ResumeFile], device: torch.device, every: float = EVERY) -> None:
        """A group has one file, that of its first member; it fits a group of the same members only."""
        self.path, self.every, self.last = files[0].path, every, time.monotonic()
        about = {"bench": __version__, "torch": torch.__version__, "device": device.type}
        self.identity = json.loads(json.dumps({"members": [f.identity for f in files], **about}))

    def load(self, state: TrainingState) -> bool:
        """Set `state` to what is on disk; False, with nothing changed, where there is no state of this very group."""
        try:
            with safe_open(self.path, "pt") as file:
                header = json.loads((file.metadata() or {})["bench"])
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        except (OSError, SafetensorError, KeyError, ValueError):
            return False
        if not isinstance(header, dict) or header.get("identity") != self.identity or not _fits(state, tensors):
            return False
        state.numbers = header["numbers"]
        _set(state, tensors)
        return True

    def save_if_due(self, state: TrainingState) -> None:
        """Write the state atomically, unless the last one was written less than `every` seconds ago."""
        if time.monotonic() - self.last < self.every:
            return
        header = {"identity": self.identity, "numbers": state.numbers}
        write_bytes(self.path, serialise(_all(state), metadata={"bench": json.dumps(header)}))
        self.last = time.monotonic()


def _all(state: TrainingState) -> dict[str, Tensor]:
    """Every tensor of a state under a name of its own, contiguous and on the CPU."""
    found = {f"tensor.{name}": value for name, value in state.tensors.items()}
    for index, values in state.optimizer.state_dict()["state"].items():
        found |= {f"optimizer.{index}.{name}": value for name, value in values.items() if value is not None}
    found |= {f"generator.{name}": generator.get_state() for name, generator in state.generators.items()}
    return {name: value.detach().cpu().contiguous() for name, value in found.items()}


def _fits(state: TrainingState, tensors: dict[str, Tensor]) -> bool:
    wanted = {f"tensor.{name}": value for name, value in state.tensors.items()}
    generators = {f"generator.{name}" for name in state.generators}
    shapes = all(name in tensors and tensors[name].shape == value.shape for name, value in wanted.items())
    return shapes and generators <= tensors.keys()


@torch.no_grad()
def _set(state: TrainingState, tensors: dict[str, Tensor]) -> None:
    for name, value in state.tensors.items():
        value.copy_(tensors[f"tensor.{name}"])
    for name, generator in state.generators.items():
        generator.set_state(tensors[f"generator.{name}"])
    parameters = [p for group in state.optimizer.param_groups for p in group["params"]]
    found: dict[int, dict[str, Tensor]] = {}
    for name, value in tensors.items():
        if name.startswith("optimizer."):
            _, index, key = name.split(".", 2)
            like = parameters[int(index)]
            # fused optimisers read a parameter and its averages in the order of memory, so the strides must agree
            found.setdefault(int(index), {})[key] = (
                torch.empty_like(like, dtype=value.dtype).copy_(value) if value.shape == like.shape else value
            )
    groups = state.optimizer.state_dict()["param_groups"]
    state.optimizer.load_state_dict({"state": found, "param_groups": groups})
