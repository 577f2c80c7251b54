"""Tasks on Dask: worker processes on this machine, or the workers of a running scheduler.

The workers of a scheduler must see the driver's results folder and run the same versions, or their records would be
written elsewhere or mean something else. Each is checked before it gets work (`refusal`). A worker that dies costs its
task, which is recorded as failed. A scheduler that dies ends the run; what is recorded stays.
"""

import logging
import os
import platform
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4
from zlib import crc32

import dask
import torch
from distributed import Client, Future, KilledWorker, LocalCluster, as_completed, get_worker

from bench import __version__
from bench.errors import RunInterrupted, UsageError
from bench.results.store import Store

from .task import Event, Outcome, Settings, Task
from .worker import record_failure, run_task

#: variables from which libraries read their number of threads when they are loaded
THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS")
RETRIES = 1  #: a task whose worker died is tried once more, on another one
TOPIC = "bench-stage"  #: of Dask's events
PATIENCE = 5.0  #: seconds without a worker after which the user is told

OnEvent = Callable[[Event], None]


@dataclass(frozen=True)
class Marker:
    """How a worker proves that it sees the driver's results folder and runs its versions."""

    file: Path  #: a file that the driver made in the results folder
    versions: dict[str, str]


@contextmanager
def local(settings: Settings, count: int) -> Iterator[Client]:
    """`count` worker processes on this machine. They are killed when the block is left by an exception."""
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
        ) as cluster,
        Client(cluster) as client,
    ):
        processes = [worker["pid"] for worker in client.run(_identity).values()]
        try:
            yield client
        except BaseException:
            for process in processes:  # what they have not recorded is lost anyway, and a cell may take an hour
                with suppress(ProcessLookupError):
                    os.kill(process, signal.SIGKILL)
            raise


@contextmanager
def remote(address: str, settings: Settings, on_event: OnEvent) -> Iterator[tuple[Client, Marker]]:
    """A running scheduler, once it has a worker and all its workers have been checked.

    Raises `UsageError` where no scheduler answers, or a worker sees another results folder or has other versions.
    """
    logging.getLogger("distributed").setLevel(logging.CRITICAL)  # a lost scheduler is one message, not tracebacks
    try:
        client = Client(address, timeout="10s")
    except (OSError, ValueError) as error:
        raise UsageError(f"--scheduler {address}: no Dask scheduler answers there ({error})") from error
    with client, _marker(settings.results) as marker:
        _wait_for_a_worker(client, address, on_event)
        _check_workers(client, marker)
        yield client, marker


def run_on(
    client: Client, tasks: list[Task], settings: Settings, on_event: OnEvent, marker: Marker | None = None
) -> Iterator[list[Outcome]]:
    """Submit tasks and yield the outcomes of each as it ends. Raises `RunInterrupted` if the scheduler is lost."""
    client.subscribe_topic(TOPIC, lambda event: on_event(Event("stage", event[1]["text"], worker=event[1]["name"])))
    numbers = _numbers(client)
    futures = {
        client.submit(_work, task, settings, numbers, marker, pure=False, priority=-i): task
        for i, task in enumerate(tasks)
    }
    for future in as_completed(futures):
        yield _result(future, futures[future], settings)


def versions() -> dict[str, str]:
    """What must be the same in all workers of a run."""
    return {"bench": __version__, "torch": torch.__version__, "Python": ".".join(platform.python_version_tuple()[:2])}


def refusal(marker: Marker) -> str | None:
    """Why this process may not work for a driver; None: it may."""
    if not marker.file.exists():
        return f"does not see the results folder {marker.file.parent} of this run"
    mine = versions()
    other = [f"{name} {mine[name]} instead of {version}" for name, version in marker.versions.items()
             if mine[name] != version]  # fmt: skip
    return f"runs {', '.join(other)}" if other else None


@contextmanager
def _marker(results: Path) -> Iterator[Marker]:
    file = results / f".run-{uuid4().hex}"
    results.mkdir(parents=True, exist_ok=True)
    file.touch()
    try:
        yield Marker(file, versions())
    finally:
        file.unlink(missing_ok=True)


def _wait_for_a_worker(client: Client, address: str, on_event: OnEvent) -> None:
    start, told = time.monotonic(), False
    while not client.scheduler_info(n_workers=-1)["workers"]:
        if client.status != "running":
            raise _lost(address)
        if not told and time.monotonic() - start > PATIENCE:
            told = True
            on_event(Event("note", f"the scheduler {address} has no workers; waiting for one (dask worker {address})"))
        time.sleep(0.2)


def _check_workers(client: Client, marker: Marker) -> None:
    try:
        found = client.run(refusal, marker, on_error="return")
    except Exception as error:
        raise UsageError(f"the workers could not be checked: {type(error).__name__}: {error}") from error
    for address, problem in sorted(found.items()):
        if isinstance(problem, BaseException):
            raise UsageError(f"worker {address} cannot run bench: {type(problem).__name__}: {problem}")
        if problem is not None:
            raise UsageError(f"worker {address} {problem}")


def _result(future: Future, task: Task, settings: Settings) -> list[Outcome]:
    if future.status == "cancelled":
        raise _lost(future.client.scheduler.address if future.client.scheduler else "")
    error = future.exception()
    if error is None:
        return future.result()
    if not isinstance(error, KilledWorker):
        raise error
    reason = "its worker process died twice; running out of memory is the usual cause"
    store = Store(settings.results)
    left = [c for c in task.cells if store.record(task.suite, c.id) is None or task.request.force]
    for cell in left:
        record_failure(cell, reason, task, store)
    return [Outcome(cell, "failed", reason) for cell in left]


def _lost(address: str) -> RunInterrupted:
    return RunInterrupted(
        f"the connection to the Dask scheduler {address} was lost; "
        "finished cells are kept, run the same command to go on"
    )


def _numbers(client: Client) -> dict[str, int]:
    """Address of each worker → its number on its machine, from 0; it chooses a GPU there."""
    on_host, found = Counter[str](), dict[str, int]()
    for address, worker in sorted(client.scheduler_info(n_workers=-1)["workers"].items()):
        found[address] = on_host[worker["host"]]
        on_host[worker["host"]] += 1
    return found


def _work(task: Task, settings: Settings, numbers: dict[str, int], marker: Marker | None) -> list[Outcome]:
    """Run a task in a Dask worker. A worker that joined late, or was restarted, is checked and numbered here."""
    worker: Any = get_worker()
    problem = marker and refusal(marker)
    if problem:
        raise UsageError(f"worker {worker.address} {problem}")
    number = numbers.get(worker.address, crc32(worker.address.encode()))
    name = str(number) if marker is None else worker.address

    def send(text: str) -> None:
        worker.log_event(TOPIC, {"name": name, "text": text})

    return run_task(task, settings, number, send)


def _identity() -> dict[str, int]:
    return {"pid": os.getpid()}
