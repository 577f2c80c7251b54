"""Where tasks run: in this process, in local worker processes, or on a Dask cluster.

Worker processes have one thread and live as long as the run, so that datasets, feature extractors and compiled code are
loaded once. Results go through the file system (the store); only a short description of each cell is sent back.
"""

import os
from collections.abc import Callable, Iterator

from . import memory_estimate
from .devices import gpus
from .task import Event, Outcome, Settings, Task
from .worker import run_task


def execute(
    tasks: list[Task],
    settings: Settings,
    workers: int | None,
    scheduler: str | None,
    on_event: Callable[[Event], None] = lambda event: None,
) -> Iterator[list[Outcome]]:
    """Run tasks and yield the outcomes of each as it ends, in any order.

    workers: processes side by side; None takes `default_workers`. scheduler: address of a running Dask scheduler whose
    workers see the same results and data folders.
    Raises what ends a run (`BenchError`); an error of a single cell has been recorded by the task.
    """
    count = min(workers or default_workers(settings), max(1, len(tasks)))
    if not tasks:
        return
    if scheduler is None and count == 1:
        for task in tasks:
            yield run_task(task, settings, send=lambda text: on_event(Event("stage", text)))
        return
    from . import cluster  # Dask takes a second to import

    if scheduler is None:
        on_event(Event("note", f"starting {count} worker processes, about 5 s"))
        with cluster.local(settings, count) as client:
            yield from cluster.run_on(client, tasks, settings, on_event)
    else:
        with cluster.remote(scheduler, settings, on_event) as (client, marker):
            yield from cluster.run_on(client, tasks, settings, on_event, marker)


def default_workers(settings: Settings, need: int | None = None) -> int:
    """One per GPU where GPUs are used, else one per CPU core this process may use.

    need: bytes of memory that a worker is expected to take; on CPUs there are then no more than fit, but one at least.
    """
    devices = gpus(settings.device)
    if devices:
        return len(devices)
    if settings.device not in ("auto", "cpu"):
        return 1
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    count, room = max(1, cores // settings.threads), memory_estimate.available()
    if need and room:
        count = min(count, max(1, room // need))
    return count
