"""How many groups are trained side by side on one GPU: measured in processes like the workers of a run.

A small net may not fill a GPU even with models stacked. 1, 2 and 4 processes each train the same group, from the
moment on when all of them have done their first epoch, and more of them must be faster by a tenth (`grouping.enough`).
What fails (no memory left, a process that dies or is silent for `LIMIT` seconds) counts as slow: measuring ends there,
and the run goes on with fewer. Nothing is measured in the process that asks, so that it holds no memory of a GPU. On
GPUs the arithmetic is the same whatever the images are: they are noise here, and no dataset is loaded.
"""

import gc
import time
from collections.abc import Callable, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, replace

import torch

from . import grouping
from .checkpoint import build_cell
from .crew import Crew
from .datasets import Data, Split
from .errors import BenchError, RunFailed
from .streams import generator
from .suite import Cell
from .suite_grid import extent
from .train import fit

COUNTS = (1, 2, 4)  #: processes that are tried
CLASSES = 10
SECONDS = 1.0  #: that processes train side by side, and until the end of an epoch
LIMIT = 120.0  #: seconds for a process to start, to measure sizes, for its first epoch, and for those that follow
MOST_EPOCHS = 100_000  #: more than there is time for
USUAL = 10_000  #: images of a dataset that does not say how many it has
WORTH_IT = 4  #: how much more than measuring takes there must be to train, of models that are as fast as each other


@dataclass(frozen=True)
class Load:
    """Groups of a run that are as fast as each other: about as many `models` of the kind of `cell`.

    work: images that all models of all these groups are trained on, about.
    """

    cell: Cell
    models: int
    work: int


def groups_on_a_gpu(
    groups: Sequence[Sequence[Cell]],
    gpus: Sequence[torch.device],
    most: int,
    threads: int,
    say: Callable[[str], None] = lambda line: None,
) -> int:
    """How many groups side by side on each GPU get a run done soonest; `most` at most. Measured now where not known.

    groups: the cells of each task. Where they are of several kinds, the time of the whole run decides: each kind counts
        by the images it is trained on, at its own rates. A number that one kind failed with is none for the run, and of
        several models of GPU the smallest number holds for all. Not counted are methods that cannot be stacked, such as
        closed forms, and what is trained sooner than measured.
    say: is told in a line that something is measured, and why something failed.
    """
    loads, counts = _loads(groups), [count for count in COUNTS if count <= most]
    if not loads or len(counts) < 2:
        return 1
    models = {grouping.device_name(gpu): gpu for gpu in reversed(gpus)}
    return min(grouping.enough(_of_run(loads, _rates(loads, gpu, counts, threads, say))) for gpu in models.values())


def _loads(groups: Sequence[Sequence[Cell]]) -> list[Load]:
    found: dict[tuple[grouping.Kind, int], Load] = {}
    for cells in groups:
        kind, models = grouping.kind(cells[0]), grouping.rounded(len(cells))
        if kind is not None:
            load = found.get((kind, models), Load(cells[0], models, 0))
            found[kind, models] = replace(load, work=load.work + sum(map(_images, cells)))
    return [load for load in found.values() if load.work >= WORTH_IT * _measured(load)]


def _images(cell: Cell) -> int:
    """Images that a cell is trained on, again and again; what nobody knows beforehand is taken for `USUAL`."""
    available = extent(cell.dataset, "images") or USUAL
    return cell.train.epochs * min(cell.train.train_images or available, available)


def _measured(load: Load) -> int:
    """Images that measuring sizes of groups takes."""
    return sum(grouping.SIZES) * grouping.EPOCHS * grouping.STEPS * load.cell.train.batch_size


def _of_run(loads: Sequence[Load], rates: Sequence[dict[int, float]]) -> dict[int, float]:
    """Count → work of all loads per second, each at its own rates; only counts that every load was trained with."""
    counts = [count for count in COUNTS if all(found.get(count, 0) > 0 for found in rates)]
    total = sum(load.work for load in loads)
    return {
        count: total / sum(load.work / found[count] for load, found in zip(loads, rates, strict=True))
        for count in counts
    }


def _rates(
    loads: Sequence[Load], gpu: torch.device, counts: Sequence[int], threads: int, say: Callable[[str], None]
) -> list[dict[int, float]]:
    """Count → model-images/s of each load; {} where nothing could be measured."""
    found = []
    with closing(Crew(Side, (str(gpu), threads), threads, LIMIT)) as crew:
        for load in loads:
            try:
                rates = _rates_of(load, gpu, counts, crew, say)
            except (BenchError, OSError) as error:
                say(f"groups side by side could not be measured: {_reason(error)}")
                crew.close()
                rates = {}
            found.append({count: rates[count] for count in counts if count in rates})
    return found


def _rates_of(
    load: Load, gpu: torch.device, counts: Sequence[int], crew: Crew, say: Callable[[str], None]
) -> dict[int, float]:
    """What the cache says of a load, or what it will say: measured now and kept."""
    asked, where = grouping.kind(load.cell), grouping.device_name(gpu)
    assert asked is not None  # or it would be no load
    answer = grouping.find(*where, asked)
    if answer is None:
        say(f"measuring how many models of {asked} to stack on {where[0]}: once")
        crew.start(1)
        tried: dict[int, float] = {}
        for size in grouping.SIZES:  # one by one, so that each has its time
            [found] = crew.ask("sizes", load.cell, (size,), count=1)
            tried |= found
        answer = grouping.answered(*where, asked, tried)
    stacked = min(answer.size, load.models)
    rates = answer.rates_beside(stacked)
    if not set(counts) <= rates.keys():
        say(f"measuring how many groups of {stacked} to train side by side, {asked} on {where[0]}: once")
        rates = measure(crew, load.cell, stacked, counts, say)
        told = {str(count): round(rate, 1) for count, rate in rates.items()}
        grouping.keep(replace(answer, beside={**answer.beside, str(stacked): told}))
    return rates


def measure(
    crew: Crew,
    cell: Cell,
    stacked: int,
    counts: Sequence[int] = COUNTS,
    say: Callable[[str], None] = lambda line: None,
) -> dict[int, float]:
    """Count → model-images/s of so many groups of `stacked` models together; 0 for one that failed and all above it.

    The crew is started as far as needed, and closed where one has failed.
    """
    rates = dict.fromkeys(counts, 0.0)
    for count in counts:
        try:
            crew.start(count)
            rates[count] = sum(crew.ask("rate", cell, stacked, SECONDS, count=count))
        except (BenchError, OSError) as error:
            say(f"{count} group{'s' * (count > 1)} side by side: {_reason(error)}")
            crew.close()  # whoever is left of them may be at work still
            break
    return rates


def _reason(error: Exception) -> str:
    return str(error).strip().rpartition("\n")[2]


class Side:
    """What one process does of a measurement."""

    def __init__(self, number: int, meet: Callable[[], None], device: str, threads: int) -> None:
        torch.set_num_threads(threads)
        self.meet, self.device = meet, torch.device(device)

    def sizes(self, cell: Cell, tried: Sequence[int]) -> dict[int, float]:
        """Models of a group → model-images/s, as `grouping.measure` finds them."""
        data = _noise(cell)
        return grouping.measure(lambda: build_cell(cell, data), data, cell.train, self.device, tried)

    def rate(self, cell: Cell, stacked: int, seconds: float) -> float:
        """Seed-images/s of a group, from the moment on when the others have done their first epoch as well.

        Raises `RunFailed` where the group does not fit into memory, or all of its models diverge at once.
        """
        data, budget = grouping.problem(_noise(cell), cell.train, MOST_EPOCHS)
        clock = _Clock(self.meet, stacked, seconds)
        with suppress(_Over):
            fit(lambda: build_cell(cell, data), data, budget, range(stacked), device=self.device, group_size=stacked,
                on_epoch=clock)  # fmt: skip
        if not clock.epochs:
            raise RunFailed("every model diverged at once")
        if self.device.type == "cuda":
            gc.collect()
            torch.cuda.empty_cache()  # what stays with a process is missing to those that are measured next
        return stacked * len(data.train) * clock.epochs / clock.seconds


class _Over(Exception):  # noqa: N818  (no error)
    """The time is over."""


class _Clock:
    """Is told of every epoch: waits for the others after the first, and ends the training after some seconds more."""

    def __init__(self, meet: Callable[[], None], stacked: int, limit: float) -> None:
        self.meet, self.stacked, self.limit = meet, stacked, limit
        self.begin = self.seconds = 0.0
        self.epochs = 0  #: after the first

    def __call__(self, epoch: int, rows: list[dict[str, float]]) -> None:
        if len(rows) != self.stacked:  # it is being tried with fewer, for want of memory
            raise RunFailed("a group does not fit into memory")
        if epoch == 1:
            self.meet()
            self.begin = time.perf_counter()
            return
        self.epochs, self.seconds = epoch - 1, time.perf_counter() - self.begin
        if self.seconds >= self.limit:
            raise _Over


def _noise(cell: Cell) -> Data:
    """A batch of images of the cell's shape, with labels."""
    channels, size, n = extent(cell.dataset, "channels") or 3, extent(cell.dataset, "size") or 32, cell.train.batch_size
    images = torch.randint(
        0, 256, (n, channels, size, size), generator=generator(0, "side by side"), dtype=torch.uint8
    )
    split = Split(images, torch.arange(n) % CLASSES)
    return Data("noise", split, split, tuple(map(str, range(CLASSES))), "noise")
