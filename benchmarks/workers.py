"""Processes that stand ready and, when told to, train the cells of a grid side by side.

They take job after job from what is left, and report the seconds that took them.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from .grid import Grid, Job
from .worker_pool import CONTEXT, Crew


class Workers(Crew):
    """Processes of `threads` threads each (None: as many as torch takes by itself)."""

    def __init__(self, grid: Grid, threads: int | None, peer: str | None = None) -> None:
        self.left = CONTEXT.Value("i", 0)  # the next job
        super().__init__(_side, (self.left, grid, threads, peer), threads)

    def train(self, grid: Grid) -> float:
        """Train the whole grid; returns the slowest worker's seconds."""
        self.left.value = 0
        return max(self.ask("train", grid))

    def rates(self, grid: Grid) -> dict[str, float]:
        """Best FLOP/s, summed over workers that measure at the same moment."""
        found = self.ask("rates", grid)
        return {kind: sum(rates[kind] for rates in found) for kind in found[0]}


@contextmanager
def standing_ready(grid: Grid, count: int, threads: int | None, peer: str | None = None) -> Iterator[Workers]:
    """`count` workers for as long as the block lasts. peer: a file of bench/peers that trains in place of bench."""
    workers = Workers(grid, threads, peer)
    try:
        workers.start(count)
        yield workers
    finally:
        workers.close()


class _Side:
    """How one process trains a job: bench itself, or a peer. left: the next job, shared by all."""

    def __init__(self, device: str, train: Callable[[Grid, Job], float], left: Any) -> None:
        self.device, self.one, self.left = device, train, left

    def train(self, grid: Grid) -> float:
        """Take jobs until none is left; the seconds they took."""
        grid, seconds = replace(grid, device=self.device), 0.0
        while (job := _next(self.left, grid)) is not None:
            seconds += self.one(grid, job)
        return seconds

    def rates(self, grid: Grid) -> dict[str, float]:
        """Best FLOP/s of this process."""
        import torch

        from .limits import best_rates

        return best_rates(torch.device(self.device), grid.precision)


def _side(number: int, meet: Callable[[], None], left: Any, grid: Grid, threads: int | None, peer: str | None) -> _Side:
    import torch

    from bench.runs.worker import pick_device
    from bench.training.allocator import keep_freed_memory

    from . import grid as grids

    if peer is None:
        import torch.fx.experimental.proxy_tensor  # of the capturing of steps, a second: importing is not counted

        keep_freed_memory()
    if threads is not None:
        torch.set_num_threads(threads)
    if peer is not None:
        from .peers import load

        one = load(peer).train
    else:
        one = grids.train
    return _Side(str(pick_device(grid.device, number)), one, left)


def _next(left: Any, grid: Grid) -> Job | None:
    with left.get_lock():
        number = left.value
        left.value += 1
    return grid.jobs[number] if number < len(grid.jobs) else None
