"""Processes that stand ready and, when told to, train the cells of a grid side by side.

A worker says when it is ready. Then it waits without using the machine, is told to start together with the others,
takes job after job from what is left, and reports the seconds that took it.
"""

import multiprocessing
import os
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from multiprocessing.connection import Connection
from typing import Any

from .grid import Grid, Job
from ..errors import BenchError, RunFailed
from ..executor import THREADS

CONTEXT = multiprocessing.get_context("spawn")  # a fork of a process that has used torch may hang


class Workers:
    """`count` processes of `threads` threads each (None: as many as torch takes by itself)."""

    def __init__(self, grid: Grid, count: int, threads: int | None, peer: str | None = None) -> None:
        self.left = CONTEXT.Value("i", 0)  # the next job
        self.pipes: list[Connection] = []
        self.processes: list[Any] = []
        for number in range(count):
            ours, theirs = CONTEXT.Pipe()
            process = CONTEXT.Process(target=_serve, args=(theirs, self.left, grid, threads, number, peer), daemon=True)
            with thread_variables(threads):
                process.start()
            theirs.close()
            self.pipes.append(ours)
            self.processes.append(process)
        self._answers()  # ready

    def train(self, grid: Grid) -> float:
        """Train the whole grid; returns the slowest worker's seconds."""
        self.left.value = 0
        return max(self._ask("train", grid))

    def rates(self, grid: Grid) -> dict[str, float]:
        """Best FLOP/s, summed over workers that measure at the same moment."""
        found = self._ask("rates", grid)
        return {kind: sum(rates[kind] for rates in found) for kind in found[0]}

    def close(self) -> None:
        """End the processes."""
        for pipe in self.pipes:
            pipe.close()
        for process in self.processes:
            process.join(10)
            if process.is_alive():
                process.kill()

    def _ask(self, what: str, grid: Grid) -> list[Any]:
        with _if_gone():
            for pipe in self.pipes:
                pipe.send((what, grid))
        return self._answers()

    def _answers(self) -> list[Any]:
        """Raises what a worker met: `BenchError` as it is, anything else as `RunFailed`."""
        with _if_gone():
            answers = [pipe.recv() for pipe in self.pipes]
        for error, _ in answers:
            if error is not None:
                raise error
        return [answer for _, answer in answers]


@contextmanager
def _if_gone() -> Iterator[None]:
    """A broken pipe means a process that is no more."""
    try:
        yield
    except (EOFError, ConnectionError) as gone:
        raise RunFailed("a worker process died; out of memory is the usual cause") from gone


@contextmanager
def standing_ready(grid: Grid, count: int, threads: int | None, peer: str | None = None) -> Iterator[Workers]:
    """Workers for as long as the block lasts. peer: the name of a file of bench/peers that trains in place of bench."""
    workers = Workers(grid, count, threads, peer)
    try:
        yield workers
    finally:
        workers.close()


@contextmanager
def thread_variables(threads: int | None) -> Iterator[None]:
    """The environment a process is started in: some libraries read their number of threads only there."""
    before = {name: os.environ.get(name) for name in THREADS}
    if threads is not None:
        os.environ.update({name: str(threads) for name in THREADS})
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def _serve(pipe: Connection, left: Any, grid: Grid, threads: int | None, number: int, peer: str | None) -> None:
    """A worker's life: get ready, then answer until nobody asks any more."""
    try:
        side = _side(grid, threads, number, peer)
        pipe.send((None, None))
        while True:
            what, asked = pipe.recv()
            pipe.send((None, getattr(side, what)(asked, left)))
    except (EOFError, KeyboardInterrupt):  # nobody asks any more
        return
    except BenchError as error:
        pipe.send((error, None))
    except Exception:  # whatever it is, the one who asked must hear of it
        pipe.send((RunFailed(f"a worker failed:\n{traceback.format_exc()}"), None))


class _Side:
    """How one process trains a job: bench itself, or a peer."""

    def __init__(self, device: str, train: Callable[[Grid, Job], float]) -> None:
        self.device, self.one = device, train

    def train(self, grid: Grid, left: Any) -> float:
        """Take jobs until none is left; the seconds they took."""
        grid, seconds = replace(grid, device=self.device), 0.0
        while (job := _next(left, grid)) is not None:
            seconds += self.one(grid, job)
        return seconds

    def rates(self, grid: Grid, left: Any) -> dict[str, float]:
        """Best FLOP/s of this process."""
        import torch

        from .limits import best_rates

        return best_rates(torch.device(self.device), grid.precision)


def _side(grid: Grid, threads: int | None, number: int, peer: str | None) -> _Side:
    import torch

    from . import grid as grids
    from ..memory import keep_freed_memory
    from ..task import pick_device

    if peer is None:
        import torch.fx.experimental.proxy_tensor  # of the capturing of steps, a second: importing is not counted

        keep_freed_memory()
    if threads is not None:
        torch.set_num_threads(threads)
    if peer is not None:
        from ..peers import load

        one = load(peer).train
    else:
        one = grids.train
    return _Side(str(pick_device(grid.device, number)), one)


def _next(left: Any, grid: Grid) -> Job | None:
    with left.get_lock():
        number = left.value
        left.value += 1
    return grid.jobs[number] if number < len(grid.jobs) else None


