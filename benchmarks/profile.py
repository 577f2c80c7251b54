"""Where a training step's time goes: an epoch of one cell, or of one stack of seeds on a GPU, under PyTorch's profiler.

On a CPU each operation counts with the time that it spends itself; what is in none of them is Python. On a GPU kernels
are counted, also those of a step that is replayed as one graph; what is in none of them is the GPU waiting. The
profiler itself takes some microseconds an operation.
"""

import math
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from bench.GONE import LONG, FusedAdam, operators, pixels
from torch.autograd import DeviceType

from bench.errors import RunFailed
from bench.suite import Train
from bench.training.allocator import keep_freed_memory
from bench.training.trainer import fit

from .grid import Grid, builder, load

STEPS = 200  #: of the epoch that is looked at, the last; before it, as many as make a training long and compile kernels
ADAM = "Adam"  #: what an update takes outside of PyTorch's operations, in our own kernels
IMAGES = "images"  #: likewise the gathering of a batch


def measure(grid: Grid, variant: str, steps: int | None = None) -> dict[str, Any]:
    """What one step of a cell, or of a stack of `grid.group` seeds, is made of; ready for JSON.

    {"step_ms": its wall time, "operations": [{"name", "calls", "ms"}], longest first, "rest_ms": what is in none of
    them, "how": steps were computed, ...}. Raises `RunFailed` where the seeds do not fit, or all of them diverge.
    """
    data = load(grid.data_root)
    steps = max(1, min(steps or STEPS, len(data.train) // grid.batch_size))
    before = math.ceil(LONG / steps)
    asked = {"epochs": before + 1, "batch_size": grid.batch_size, "precision": grid.precision}
    budget = Train.model_validate(asked | {"train_images": min(len(data.train), steps * grid.batch_size)})
    profiler, marks = _profiler(grid.device), list[float]()

    def ended(epoch: int, rows: list[dict[str, float]]) -> None:
        if len(rows) != grid.group:
            raise RunFailed(f"{grid.group} seeds do not fit into the memory of {grid.device}")
        if epoch == before:
            profiler.start()
        if epoch >= before:  # starting takes seconds, and is over
            marks.append(time.perf_counter())
        if epoch == before + 1:
            profiler.stop()

    keep_freed_memory()  # as every task does
    with _all_named():
        fitted = fit(
            builder(variant, grid.net), data, budget, range(grid.group), device=grid.device, group_size=grid.group,
            on_epoch=ended,
        )  # fmt: skip
    if len(marks) < 2:
        raise RunFailed(f"{variant} on {grid.net}: every seed diverged before there was a step to look at")
    about = {"variant": variant, "net": grid.net, "precision": grid.precision, "device": grid.device}
    more = {"stacked": grid.group, "how": fitted[0].how, "steps": steps}
    return about | more | of_a_step(profiler, marks[1] - marks[0], steps)


def of_a_step(profiler: Any, seconds: float, steps: int) -> dict[str, Any]:
    """What was profiled, an average step of so many, which took so many seconds."""
    events = profiler.key_averages()
    kernels = [e for e in events if e.device_type == DeviceType.CUDA and not e.is_user_annotation]
    spent = [(e, e.self_device_time_total) for e in kernels] or [(e, e.self_cpu_time_total) for e in events]
    operations = [
        {"name": event.key, "calls": round(event.count / steps, 2), "ms": round(us / 1e3 / steps, 4)}
        for event, us in sorted(spent, key=lambda pair: -pair[1])
        if us > 0
    ]
    step, inside = 1e3 * seconds / steps, sum(us for _, us in spent) / 1e3 / steps
    return {"step_ms": round(step, 4), "operations": operations, "rest_ms": round(step - inside, 4)}


def _profiler(device: str) -> Any:
    os.environ.setdefault("KINETO_LOG_LEVEL", "99")  # it reports its own start, and that there is no GPU
    from torch.profiler import ProfilerActivity, profile

    on_gpu = [ProfilerActivity.CUDA] if torch.device(device).type == "cuda" else []
    return profile(activities=[ProfilerActivity.CPU, *on_gpu])


@contextmanager
def _all_named() -> Iterator[None]:
    """Within it the profiler sees what our own kernels do: operators are called as such, and the rest has a name."""
    plain = (FusedAdam, "step"), (pixels, "gathered"), (operators, "function_of")
    before = [getattr(owner, name) for owner, name in plain]
    after = _named(ADAM, before[0]), _named(IMAGES, before[1]), lambda operator: None
    try:
        for (owner, name), function in zip(plain, after, strict=True):
            setattr(owner, name, function)
        yield
    finally:
        for (owner, name), function in zip(plain, before, strict=True):
            setattr(owner, name, function)


def _named(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    def named(*arguments: Any) -> Any:
        with torch.profiler.record_function(name):
            return function(*arguments)

    return named
