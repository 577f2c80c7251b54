"""One configuration's numbers under one metric: a value per seed, and every gap with its reason."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from bench.stats import Summary, summarise

from .data import Cell, Group, mapping, number, words

#: How the absence of a number is called.
GAPS = {"missing": "not run", "n/a": "n/a", "skipped": "skipped", "failed": "failed", "diverged": "diverged"}

Key = tuple[tuple[str, str], ...]  #: what must agree before two values may be compared


@dataclass(frozen=True)
class Gap:
    """Seeds without a number, and why."""

    state: str  #: missing | skipped | failed | diverged | n/a
    reason: str
    seeds: tuple[int, ...]


@dataclass(frozen=True)
class Value:
    """One configuration's numbers under one metric: a value per seed, and the gaps."""

    seeds: dict[int, float]
    planned: int  #: seeds that were to be trained (all but the skipped)
    gaps: tuple[Gap, ...] = ()
    key: Key = ()
    counted: str = ""  #: how many images (or points) each value is over
    ids: dict[int, str] | None = None  #: seed -> cell id
    best: bool = False

    @cached_property
    def summary(self) -> Summary | None:
        return summarise([self.seeds[seed] for seed in sorted(self.seeds)]) if self.seeds else None

    @property
    def complete(self) -> bool:
        return len(self.seeds) == self.planned

    @property
    def state(self) -> str:
        """ "done", or what keeps it from having a number."""
        return "done" if self.seeds else (self.gaps[0].state if self.gaps else "n/a")


def gap_texts(value: Value | None) -> list[str]:
    """What a footnote says of each gap: "failed: out of memory"."""
    gaps = value.gaps if value else ()
    return list(dict.fromkeys(_gap_text(gap) for gap in gaps))


def _gap_text(gap: Gap) -> str:
    reason = gap.reason or "no reason recorded"
    return reason if gap.state == "missing" else f"{GAPS.get(gap.state, gap.state)}: {reason}"


def measure(group: Group, name: str) -> Value:
    """The values of metric `name` over a group's seeds, with every gap and its reason."""
    seeds: dict[int, float] = {}
    keys: dict[Key, list[int]] = {}
    gaps: dict[tuple[str, str], list[int]] = {}
    counted: set[str] = set()
    for cell in group.cells:
        value, why = _read(cell, name)
        if value is None:
            gaps.setdefault(why, []).append(cell.seed)
            continue
        entry = mapping(cell.record.metrics[name]) if cell.record else {}
        seeds[cell.seed] = value
        keys.setdefault(_key(entry), []).append(cell.seed)
        counted.add(words(entry.get("n")))
    if len(keys) > 1:
        gaps["n/a", f"seeds measured differently ({_key_clash(keys)})"] = sorted(seeds)
        seeds = {}
    ids = {cell.seed: cell.id for cell in group.cells}
    found = tuple(Gap(state, reason, tuple(which)) for (state, reason), which in gaps.items())
    key = next(iter(keys)) if len(keys) == 1 else ()
    return Value(seeds, len(group.planned), found, key, ", ".join(sorted(counted)), ids)


def _read(cell: Cell, name: str) -> tuple[float | None, tuple[str, str]]:
    """A cell's value, or the state and reason of its absence."""
    if cell.record is None or cell.status != "done":
        return None, (cell.status, cell.reason)
    if name not in cell.record.metrics:
        return None, ("missing", "not computed for this cell")
    entry = mapping(cell.record.metrics[name])
    value = number(entry.get("value"))
    return value, ("n/a", words(entry.get("reason"), 300) or "not a finite number")


def _key(entry: dict[str, Any]) -> Key:
    """What must agree before two values may be compared."""
    parts = {words(k): words(v) for k, v in mapping(entry.get("key")).items()}
    return tuple(sorted((parts | {"version": words(entry.get("version", 1))}).items()))


def _key_clash(keys: Iterable[Key]) -> str:
    return " or ".join(key_text(key, keys) for key in keys)


def key_text(key: Iterable[tuple[str, str]], among: Iterable[Key]) -> str:
    """The parts of a key that differ among several, as words: "likelihood bernoulli"."""
    every = [dict(other) for other in among]
    differing = [(k, v) for k, v in key if len({other.get(k) for other in every}) > 1]
    return ", ".join(f"{k} {v}" for k, v in differing)
