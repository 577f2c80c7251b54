"""Where tasks run: in this process, or on a Dask cluster of local workers or at a scheduler's address.

Workers are processes of one thread each that live as long as the run, so that datasets, feature nets and compiled UMAP
code are paid for once. Results go through the file system (the store); what travels back is a line for the person
watching. A worker that dies costs its task, which is recorded as failed; the others go on.
"""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import torch

from bench.errors import UsageError
from bench.results.store import Store

from . import memory_estimate
from .worker import Outcome, Settings, Task, pick_device, record_failure, run_task

if TYPE_CHECKING:
    from distributed import Client, Future

#: variables from which libraries read their number of threads when they are loaded
THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS")
RETRIES = 1  #: a task whose worker died is tried once more, on another one


def execute(
    tasks: list[Task], settings: Settings, workers: int | None, scheduler: str | None
) -> Iterator[list[Outcome]]:
    """Run tasks and yield the outcomes of each as it ends, in any order.

    workers: processes side by side; None takes `default_workers`. scheduler: address of a running Dask
    scheduler whose workers see the same results and data folders.
    Raises what ends a run (`BenchError`); what breaks a single cell has been recorded by the task.
    """
    count = min(workers or default_workers(settings), max(1, len(tasks)))
    if scheduler is None and count == 1:
        for task in tasks:
            yield run_task(task, settings)
    elif tasks:
        with _client(settings, count, scheduler) as client:
            yield from _on_cluster(client, tasks, settings)


def default_workers(settings: Settings, need: int | None = None) -> int:
    """One per GPU where GPUs are used, else one per CPU core this process may use.

    need: bytes of memory that a worker is expected to take; on CPUs there are then no more than fit, but one at least.
    """
    devices = gpus(settings)
    if devices:
        return len(devices)
    if settings.device not in ("auto", "cpu"):
        return 1
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    count, room = max(1, cores // settings.threads), memory_estimate.available()
    if need and room:
        count = min(count, max(1, room // need))
    return count


def gpus(settings: Settings) -> list[torch.device]:
    """The GPUs that workers are spread over; [] where another device is used."""
    if pick_device(settings.device).type != "cuda":
        return []
    return list(dict.fromkeys(pick_device(settings.device, i) for i in range(torch.cuda.device_count())))


@contextmanager
def _client(settings: Settings, count: int, scheduler: str | None) -> Iterator["Client"]:
    import dask
    from distributed import Client, LocalCluster

    if scheduler is not None:
        try:
            client = Client(scheduler, timeout="10s")
        except (OSError, ValueError) as error:
            raise UsageError(f"--scheduler {scheduler}: no Dask scheduler answers there ({error})") from error
        with client:
            yield client
        return
    with (
        dask.config.set({"distributed.scheduler.allowed-failures": RETRIES}),  # read when the scheduler is made
        LocalCluster(
            n_workers=count,
            threads_per_worker=1,
            processes=True,
            dashboard_address="127.0.0.1:0",  # any free port, reachable from here only
            memory_limit=0,  # pausing a worker by Dask's estimate of its memory only stalls it
            silence_logs=logging.CRITICAL,
            env={name: str(settings.threads) for name in THREADS},
        ) as local,
        Client(local) as client,
    ):
        yield client


def _on_cluster(client: "Client", tasks: list[Task], settings: Settings) -> Iterator[list[Outcome]]:
    from distributed import as_completed

    futures = {client.submit(_work, task, settings, pure=False, priority=-i): task for i, task in enumerate(tasks)}
    try:
        for future in as_completed(futures):
            yield _result(future, futures[future], settings)
    except BaseException:
        client.cancel(list(futures), force=True)
        raise


def _result(future: "Future", task: Task, settings: Settings) -> list[Outcome]:
    from distributed import KilledWorker

    error = future.exception()
    if error is None:
        return future.result()
    if not isinstance(error, KilledWorker):
        raise error
    reason = "its worker process died, twice; out of memory is the usual cause"
    store = Store(settings.results)
    left = [cell for cell in task.cells if store.record(task.suite, cell.id) is None or task.force]
    for cell in left:
        record_failure(cell, reason, task, store)
    return [Outcome(cell, "failed", reason) for cell in left]


def _work(task: Task, settings: Settings) -> list[Outcome]:
    """What a Dask worker runs; its number chooses its GPU."""
    from distributed import get_worker

    name = get_worker().name
    return run_task(task, settings, name if isinstance(name, int) else abs(hash(name)))
