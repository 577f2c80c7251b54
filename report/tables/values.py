"""One configuration's numbers under one metric: a value per seed, and every gap with its reason."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from bench.report.data import Cell, Coordinates, Group, fingerprint, mapping, number, whole, words

from bench.results.stats import Summary, summarise
from bench.results.store import Record

#: How the absence of a number is called.
GAPS = {"missing": "not run", "n/a": "n/a", "skipped": "skipped", "failed": "failed", "diverged": "diverged"}

Key = tuple[tuple[str, str], ...]  #: what must agree before two values may be compared

#: Parts of every key that are told only where they clash.
QUIET = ("version", "sampler_version", "data")


@dataclass(frozen=True)
class Gap:
    """Seeds without a number, and why."""

    state: str  #: missing | skipped | failed | diverged | n/a
    reason: str
    seeds: tuple[int, ...]


@dataclass(frozen=True)
class Value:
    """One configuration's numbers under one metric: a value per seed, and the gaps."""

    group: Group
    seeds: dict[int, float]
    gaps: tuple[Gap, ...] = ()
    key: Key = ()
    images: tuple[int, ...] = ()  #: over how many images (or points) a seed's value is; several if seeds differ
    at: Coordinates = field(default_factory=dict)  #: the group's coordinates, and the member of a metric family
    best: bool = False

    @cached_property
    def summary(self) -> Summary | None:
        return summarise([self.seeds[seed] for seed in sorted(self.seeds)]) if self.seeds else None

    @property
    def planned(self) -> int:
        """Seeds that were to be trained (all but the skipped)."""
        return len(self.group.planned)

    @property
    def complete(self) -> bool:
        return len(self.seeds) == self.planned

    @property
    def state(self) -> str:
        """ "done", or what keeps it from having a number."""
        return "done" if self.seeds else (self.gaps[0].state if self.gaps else "n/a")

    @property
    def records(self) -> list[Record]:
        """The records that the numbers are from, in the order of the seeds."""
        return [cell.record for cell in self.group.cells if cell.record and cell.seed in self.seeds]

    @property
    def ids(self) -> list[str]:
        """Ids of the cells that the numbers are from."""
        return [record.id for record in self.records]


def gap_texts(value: Value | None) -> list[str]:
    """What a footnote says of each gap: "failed: out of memory"."""
    gaps = value.gaps if value else ()
    return list(dict.fromkeys(_gap_text(gap) for gap in gaps))


def _gap_text(gap: Gap) -> str:
    reason = gap.reason or "no reason recorded"
    return reason if gap.state == "missing" else f"{GAPS.get(gap.state, gap.state)}: {reason}"


def measure(group: Group, name: str, member: str | None = None) -> Value:
    """The values of metric `name` over a group's seeds, with every gap and its reason.

    member: the sampler or space that the metric is of, for its coordinates.

    There are none at all where seeds were measured under different keys, such as on different images.
    """
    seeds: dict[int, float] = {}
    keys: dict[Key, None] = {}
    gaps: dict[tuple[str, str], list[int]] = {}
    images: set[int] = set()
    for cell in group.cells:
        value, why = _read(cell, name)
        if value is None or cell.record is None:
            gaps.setdefault(why, []).append(cell.seed)
            continue
        entry = mapping(cell.record.metrics[name])
        seeds[cell.seed] = value
        keys.setdefault(_key(entry, cell.record))
        images |= {n for n in [whole(entry.get("n"))] if n is not None}
    if len(keys) > 1:
        gaps["n/a", f"seeds measured differently ({_key_clash(keys)})"] = sorted(seeds)
        seeds = {}
    found = tuple(Gap(state, reason, tuple(which)) for (state, reason), which in gaps.items())
    key = next(iter(keys)) if len(keys) == 1 else ()
    return Value(group, seeds, found, key, tuple(sorted(images)), {**group.at, "member": member})


def _read(cell: Cell, name: str) -> tuple[float | None, tuple[str, str]]:
    """A cell's value, or the state and reason of its absence."""
    if cell.record is None or cell.status != "done":
        return None, (cell.status, cell.reason)
    if name not in cell.record.metrics:
        return None, ("missing", "not computed for this cell")
    entry = mapping(cell.record.metrics[name])
    value = number(entry.get("value"))
    return value, ("n/a", words(entry.get("reason"), 300) or "not a finite number")


def _key(entry: dict[str, Any], record: Record) -> Key:
    """What must agree before two values may be compared: the metric's own key, its versions, the images."""
    parts = {words(k): words(v) for k, v in mapping(entry.get("key")).items()}
    parts |= {name: words(entry.get(name, 1)) for name in ("version", "sampler_version")}
    parts["data"] = fingerprint(record)
    return tuple(sorted(parts.items()))


def _key_clash(keys: Iterable[Key]) -> str:
    return " or ".join(key_text(key, keys) for key in keys)


def key_text(key: Iterable[tuple[str, str]], among: Iterable[Key]) -> str:
    """The parts of a key that differ among several, as words: "likelihood bernoulli"."""
    every = [dict(other) for other in among]
    differing = [(k, v or "unknown") for k, v in key if len({other.get(k) for other in every}) > 1]
    return ", ".join(f"{k} {v}" for k, v in differing)
