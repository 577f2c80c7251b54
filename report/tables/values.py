"""The numbers of one configuration under one metric: a value per seed, and every gap with its reason."""

import re
import statistics
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from bench.report.data import Cell, Coordinates, Group, fingerprint, mapping, number, outside, whole, words

from bench import registry
from bench.results.stats import Summary, summarise
from bench.results.store import Record

from .names import GAPS, coordinate_text, magnitude

Key = tuple[tuple[str, str], ...]  #: what must be equal before two values may be compared

#: Parts of a key that a table names only where they differ
CODE = re.compile(r"`([^`]+)`")  #: a name of code in a reason
QUIET = ("version", "sampler_version", "sha256", "sampler_sha256", "data")

OF_PIXELS = ("linear_map",)  #: what a metric may count in place of images: a matrix, a row a pixel


def without_code_marks(reason: str) -> str:
    """A reason without the backticks around names of code, for texts that cannot show them as code.

    >>> without_code_marks("the folder `inception` is missing; a lone ` stays")
    'the folder inception is missing; a lone ` stays'
    """
    return CODE.sub(r"\1", reason)


@dataclass(frozen=True)
class Gap:
    """Seeds without a number, and the reason."""

    state: str  #: missing | skipped | failed | diverged | damaged | n/a
    reason: str
    seeds: tuple[int, ...]

    @property
    def text(self) -> str:
        """The footnote of this gap: "failed: out of memory"."""
        reason = self.reason or "no reason recorded"
        return reason if self.state == "missing" else f"{GAPS.get(self.state, self.state)}: {reason}"


@dataclass(frozen=True)
class Value:
    """The numbers of one configuration under one metric: a value per seed, and the gaps."""

    group: Group
    seeds: dict[int, float]
    gaps: tuple[Gap, ...] = ()
    key: Key = ()
    images: tuple[int, ...] = ()  #: number of images behind one seed's value; several if seeds differ, () if not known
    at: Coordinates = field(default_factory=dict)  #: the group's coordinates, and the member of a metric family
    best: bool = False
    metric: str = ""
    unit: str = ""
    better: str = ""  #: lower | higher | none

    @cached_property
    def summary(self) -> Summary | None:
        return summarise([self.seeds[seed] for seed in sorted(self.seeds)]) if self.seeds else None

    @property
    def half_width(self) -> float | None:
        """Of the mean's interval; None for one seed, and for a closed form that has the same value for every seed."""
        if self.summary is None or (self.yardstick and self.summary.std == 0):
            return None
        return self.summary.half_width

    @property
    def yardstick(self) -> bool:
        """True for a reference that is not compared: never bold, and last in its table."""
        return is_yardstick(self.at.get("variant"))

    @property
    def planned(self) -> int:
        """Number of seeds to train: all but the skipped ones."""
        return len(self.group.planned)

    @property
    def complete(self) -> bool:
        return len(self.seeds) == self.planned

    @property
    def state(self) -> str:
        """ "done", or the state of the first gap."""
        return "done" if self.seeds else (self.gaps[0].state if self.gaps else "n/a")

    @property
    def records(self) -> list[Record]:
        """The records that hold the numbers, in the order of the seeds."""
        return [cell.record for cell in self.group.cells if cell.record and cell.seed in self.seeds]

    @property
    def ids(self) -> list[str]:
        """Ids of the cells that hold the numbers."""
        return [record.id for record in self.records]


def is_yardstick(variant: object) -> bool:
    """True for closed forms (mean image, PCA): references that are not compared with trained methods."""
    return registry.is_closed_form(variant)


def gap_texts(value: Value | None) -> list[str]:
    """The footnotes of a value's gaps, each once."""
    return list(dict.fromkeys(gap.text for gap in value.gaps)) if value else []


def footnotes_of(value: Value | None) -> list[str]:
    """What a letter beside a value stands for: its gaps, and the method or net if it is not part of bench."""
    named = outside(value.group.cells[0]) if value else {}
    rows = [f"{name.partition('/')[2]} is defined outside of bench, sha256 {sha256}"
            for name, sha256 in named.items() if name.startswith(("variants/", "nets/"))]  # fmt: skip
    return [*gap_texts(value), *rows]


def decimals_of(values: Iterable[Value]) -> int:
    """Decimals to show, 0 to 6: two digits of the median half-width; without one, four of the largest mean."""
    summaries = [value.summary for value in values if value.summary]
    halves = [magnitude(s.half_width) for s in summaries if s.half_width]
    means = [magnitude(s.mean) for s in summaries if s.mean]
    wanted = 1 - statistics.median_low(halves) if halves else (3 - max(means) if means else 0)
    return max(0, min(6, wanted))


def measure(group: Group, name: str, member: str | None = None) -> Value:
    """The values of metric `name` over a group's seeds, with every gap and its reason.

    Seeds that were measured under different keys, such as on different images, have no value at all.

    member: the sampler or space of the metric, for the coordinates.
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
        images |= {n for n in [whole(entry.get("n"))] if n is not None and _counts_images(name, entry)}
    if len(keys) > 1:
        clash = " or ".join(key_text(key, keys) for key in keys)
        gaps["n/a", f"seeds measured differently ({clash})"] = sorted(seeds)
        seeds = {}
    found = tuple(Gap(state, without_code_marks(reason), tuple(which)) for (state, reason), which in gaps.items())
    key = next(iter(keys)) if len(keys) == 1 else ()
    return Value(group, seeds, found, key, tuple(sorted(images)), {**group.at, "member": member}, metric=name)


def _read(cell: Cell, name: str) -> tuple[float | None, tuple[str, str]]:
    """A cell's value, or the state and reason of the gap."""
    if cell.record is None or cell.status != "done":
        return None, (cell.status, cell.reason)
    if name not in cell.record.metrics:
        return None, ("missing", "not computed for this cell")
    entry = mapping(cell.record.metrics[name])
    value = number(entry.get("value"))
    return value, ("n/a", words(entry.get("reason"), 300) or "not a finite number")


def _counts_images(name: str, entry: dict[str, Any]) -> bool:
    """False for a metric of a matrix, whose n is the number of pixels."""
    found = registry.find("metrics", words(entry.get("family") or name))
    return found is None or found.constants.get("counts") not in OF_PIXELS


def _key(entry: dict[str, Any], record: Record) -> Key:
    """The metric's own key, the versions of metric and sampler, and the images."""
    parts = {words(k): words(v) for k, v in mapping(entry.get("key")).items()}
    parts |= {name: words(entry.get(name, 1)) for name in ("version", "sampler_version")}
    files = {name: words(entry.get(name), 64)[:12] for name in ("sha256", "sampler_sha256")}
    parts |= {name: file for name, file in files.items() if file}  # a plugin's
    parts["data"] = fingerprint(record)
    return tuple(sorted(parts.items()))


def key_text(key: Iterable[tuple[str, str]], among: Iterable[Key]) -> str:
    """The parts of a key that differ among several keys, as words: "likelihood bernoulli"."""
    every = [dict(other) for other in among]
    differing = [(k, v or "unknown") for k, v in key if len({other.get(k) for other in every}) > 1]
    return ", ".join(f"{k} {coordinate_text(k, v)}" for k, v in differing)
