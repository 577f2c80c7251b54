"""What a run is made of, as plain data: settings, what is asked for, tasks, outcomes, events."""

from dataclasses import dataclass, field
from pathlib import Path

from bench.plugins import PluginFile
from bench.suite import Cell


@dataclass(frozen=True)
class Settings:
    """How to run; nothing here may change a number beyond rounding."""

    results: Path
    data_root: Path
    device: str = "auto"  #: auto, cpu, mps, cuda or cuda:i
    threads: int = 1  #: per worker; another number changes the order of sums, hence the last bits
    offline: bool = False


@dataclass(frozen=True)
class Request:
    """Which cells a run computes. By default those that are missing or lack a metric."""

    only: frozenset[str] | None = None  #: ids of the cells to look at; None for all
    limit: int | None = None  #: at most this many of those with work to do
    retry_failed: bool = False  #: failed cells as well
    force: bool = False  #: train and evaluate anew whatever is there
    train: bool = True  #: False: evaluate cells that have a checkpoint and leave the others alone
    redraw: bool = False  #: make the figures of finished cells anew


@dataclass(frozen=True)
class Task:
    """Cells of one `group_key`, trained together.

    fingerprint: of the images that earlier cells of the suite were computed on; others are refused.
    donors: cell id → suite and id of another cell whose checkpoint can be used.
    plugins: the files of code that the suite uses, with their text: a worker may have no copy of them.
    """

    suite: str
    cells: tuple[Cell, ...]
    metrics: tuple[str, ...]
    fingerprint: str | None = None
    donors: dict[str, tuple[str, str]] = field(default_factory=dict)
    request: Request = field(default_factory=Request)
    plugins: tuple[PluginFile, ...] = ()


@dataclass(frozen=True)
class Outcome:
    """What became of a cell. `words` is a short description for the terminal, such as its seconds."""

    cell: Cell
    status: str
    words: str


@dataclass(frozen=True)
class Event:
    """Something to show while a run lasts.

    kind: "plan" and "note" are shown once, "cell" counts a finished cell, "stage" says what `worker` is doing now.
    """

    kind: str
    text: str
    status: str | None = None
    done: int = 0
    total: int = 0
    worker: str = ""
