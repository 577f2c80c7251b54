"""Where the time of a training step goes: the last epoch of one cell, or of one stack of seeds, in PyTorch's profiler.

On a CPU each operation counts with the time that it spends itself, on a GPU with that of its kernels. The profiler
itself takes some microseconds for each operation.
"""

import os
import time
from typing import Any

from torch.autograd import DeviceType

from bench.errors import RunFailed
from bench.suite import Train
from bench.training.allocator import keep_freed_memory
from bench.training.trainer import fit

from .grid import Grid, builder, load

STEPS = 200  #: of the epoch that is profiled; the epoch before it is not counted
LONGEST = 12  #: operations that are named


def measure(grid: Grid, variant: str, steps: int = STEPS) -> dict[str, Any]:
    """One average step of a cell, or of a stack of `grid.group` seeds; ready for JSON.

    {"step_ms": its wall time, "operations": [{"name", "calls", "ms"}] longest first, "rest_ms": what is in none of
    them, "how": steps were computed, ...}. Raises `RunFailed` where the seeds do not fit, or all of them diverge.
    """
    data = load(grid.data_root)
    steps = max(1, min(steps, len(data.train) // grid.batch_size))
    asked = {"epochs": 2, "batch_size": grid.batch_size, "precision": grid.precision}
    budget = Train.model_validate(asked | {"train_images": min(len(data.train), steps * grid.batch_size)})
    profiler, marks = _profiler(grid.device), list[float]()

    def ended(epoch: int, rows: list[dict[str, float]]) -> None:
        if len(rows) != grid.group:
            raise RunFailed(f"{grid.group} seeds do not fit into the memory of {grid.device}")
        if epoch == 1:
            profiler.start()
        marks.append(time.perf_counter())
        if epoch == 2:
            profiler.stop()

    keep_freed_memory()
    seeds = range(grid.group)
    fitted = fit(
        builder(variant, grid.net), data, budget, seeds, device=grid.device, group_size=grid.group, on_epoch=ended
    )
    if len(marks) < 2:
        raise RunFailed(f"{variant} on {grid.net}: every seed diverged in the first epoch")
    about = {"variant": variant, "net": grid.net, "precision": grid.precision, "device": grid.device}
    more = {"stacked": grid.group, "how": fitted[0].how, "steps": steps}
    return about | more | of_a_step(profiler, marks[1] - marks[0], steps)


def of_a_step(profiler: Any, seconds: float, steps: int) -> dict[str, Any]:
    """What was profiled in so many seconds, as an average of so many steps."""
    events = profiler.key_averages()
    kernels = [e for e in events if e.device_type == DeviceType.CUDA and not e.is_user_annotation]
    spent = [(e, e.self_device_time_total) for e in kernels] or [(e, e.self_cpu_time_total) for e in events]
    longest = sorted(spent, key=lambda pair: -pair[1])[:LONGEST]
    operations = [
        {"name": event.key, "calls": round(event.count / steps, 2), "ms": round(us / 1e3 / steps, 4)}
        for event, us in longest
        if us > 0
    ]
    step, named = 1e3 * seconds / steps, sum(operation["ms"] for operation in operations)
    return {"step_ms": round(step, 4), "operations": operations, "rest_ms": round(step - named, 4)}


def _profiler(device: str) -> Any:
    os.environ.setdefault("KINETO_LOG_LEVEL", "99")  # it reports its own start, and that there is no GPU
    from torch.profiler import ProfilerActivity, profile

    on_gpu = [ProfilerActivity.CUDA] if device.startswith("cuda") else []
    return profile(activities=[ProfilerActivity.CPU, *on_gpu])
