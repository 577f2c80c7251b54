"""Worker processes that train jobs side by side, and stay between rounds so that imports are not timed."""

import multiprocessing
import os
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass

from bench.errors import RunFailed
from bench.runs.cluster import THREADS

from .grid import Grid, Job


@dataclass
class Side:
    """One competitor: bench itself (`peer` None), or a file of `benchmarks/peers`, in its own processes."""

    pool: ProcessPoolExecutor
    workers: int
    peer: str | None = None

    def train(self, grid: Grid) -> float:
        """Train the whole grid and return its wall seconds.

        A peer reports its own seconds, from the first epoch to the last, so that its set-up does not count against it.
        Raises `RunFailed` if a worker process dies.
        """
        start = time.perf_counter()
        try:
            seconds = list(self.pool.map(_train, [(grid, job, self.peer) for job in grid.jobs]))
        except BrokenProcessPool as error:
            raise RunFailed("a worker process died; out of memory is the usual cause") from error
        return sum(seconds) / self.workers if self.peer else time.perf_counter() - start


@contextmanager
def side(workers: int, threads: int | None, peer: str | None = None) -> Iterator[Side]:
    """A competitor with so many processes. threads: of each process, None for the library's own choice."""
    context = multiprocessing.get_context("spawn")  # a fork of a process that has used torch may hang
    with _thread_variables(threads), ProcessPoolExecutor(workers, context, _prepare, (threads, peer)) as pool:
        yield Side(pool, workers, peer)


@contextmanager
def _thread_variables(threads: int | None) -> Iterator[None]:
    """The environment that processes are started in: some libraries read their number of threads only there."""
    before = {name: os.environ.get(name) for name in THREADS}
    if threads is not None:
        os.environ.update(dict.fromkeys(THREADS, str(threads)))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def _prepare(threads: int | None, peer: str | None) -> None:
    import torch

    from bench.training.allocator import keep_freed_memory

    if threads is not None:
        torch.set_num_threads(threads)
    if peer is None:
        keep_freed_memory()  # as every worker of `bench run` does


def _train(asked: tuple[Grid, Job, str | None]) -> float:
    from . import grid as own
    from . import peers

    grid, job, peer = asked
    return peers.load(peer).train(grid, job) if peer else own.train(grid, job)
