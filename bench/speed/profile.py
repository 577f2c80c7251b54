"""Where a training step's time goes: an epoch of one cell, or of one stack of seeds on a GPU, under PyTorch's profiler.

On a CPU each operation counts with the time that it spends itself; what is in none of them is Python. On a GPU kernels
are counted, also those of a step that is replayed as one graph; what is in none of them is the GPU waiting. The
profiler itself takes some microseconds an operation.
"""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch.autograd import DeviceType

from .grid import Grid, builder, load
from ..kernels import FusedAdam
from ..suite import Train
from ..train import fit

STEPS = 200  #: of an epoch; the first is for capturing and compiling, the second is looked at
ADAM = "Adam"  #: what an update takes outside of PyTorch's operations, in our own kernels


def measure(grid: Grid, variant: str, steps: int | None = None) -> dict[str, Any]:
    """What one step of a cell, or of a stack of `grid.group` seeds, is made of; ready for JSON.

    {"step_ms": its wall time, "operations": [{"name", "calls", "ms"}], longest first, "rest_ms": what is in none of
    them, ...}
    """
    steps = steps or STEPS
    asked = {"epochs": 2, "batch_size": grid.batch_size, "precision": grid.precision}
    budget = Train.model_validate(asked | {"train_images": steps * grid.batch_size})
    profiler, marks = _profiler(grid.device), list[float]()

    def ended(epoch: int, rows: list[dict[str, float]]) -> None:
        marks.append(time.perf_counter())
        if epoch == 1:
            profiler.start()
            marks[0] = time.perf_counter()  # starting takes seconds
        else:
            profiler.stop()

    with _adam_named():
        fit(
            builder(variant, grid.net), load(grid.data_root), budget, range(grid.group), device=grid.device,
            group_size=grid.group, on_epoch=ended,
        )  # fmt: skip
    about = {"variant": variant, "net": grid.net, "precision": grid.precision, "device": grid.device}
    return about | {"stacked": grid.group, "steps": steps} | of_a_step(profiler, marks[1] - marks[0], steps)


def of_a_step(profiler: Any, seconds: float, steps: int) -> dict[str, Any]:
    """What was profiled, an average step of so many, which took so many seconds."""
    events = profiler.key_averages()
    kernels = [event for event in events if event.device_type == DeviceType.CUDA]
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
def _adam_named() -> Iterator[None]:
    """Within it an update that our own kernels do, outside of PyTorch's operations, is one of these by name."""
    step = FusedAdam.step

    def named(*arguments: Any) -> None:
        with torch.profiler.record_function(ADAM):
            step(*arguments)

    setattr(FusedAdam, "step", named)  # noqa: B010  (to mypy, methods are not to be changed)
    try:
        yield
    finally:
        setattr(FusedAdam, "step", step)  # noqa: B010
