"""Other people's trainers, to be measured beside: one file each, named as on the command line.

A peer has `train(grid, job)`, which trains one job of a `benchmarks.grid.Grid` the way a user of that library would:
its own trainer and its own loader, with bench's nets, batch size, optimiser, data and epochs; it returns the seconds
that this took. It has `VARIANTS`, what it can train, and `REQUIRES`, the module that must be importable.
"""

from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from bench.errors import UsageError, did_you_mean


def names() -> list[str]:
    """All peers.

    >>> names()
    ['pythae']
    """
    return sorted(p.stem for p in Path(__file__).parent.glob("*.py") if not p.stem.startswith("_"))


def load(name: str) -> Any:
    """A peer's module. Raises `UsageError` for an unknown name, or a library that is not installed."""
    if name not in names():
        raise UsageError(f"--against {name}: unknown peer{did_you_mean(name, names())}")
    peer = import_module(f"benchmarks.peers.{name}")
    if find_spec(peer.REQUIRES) is None:
        raise UsageError(f"--against {name}: {peer.REQUIRES} is not installed; pip install '.[peers]' brings it")
    return peer


def check(name: str, variants: tuple[str, ...]) -> None:
    """Raise `UsageError` unless the peer is there and can train all `variants`."""
    peer = load(name)
    if unknown := [v for v in variants if v not in peer.VARIANTS]:
        raise UsageError(f"--against {name}: it is compared in {', '.join(peer.VARIANTS)}, not in {unknown[0]}")
