"""The claims of a suite held against its cells: a selector that means no cell, or several rows, is told at once.

A `--set` that changes the grid, the metrics or the evaluation may take cells and values away from a claim; that is
no fault of the file, and the claim's verdict will be `not run`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .cells import KEYS, Cell, explain_miss
from .document import At, Document
from .expectations import TRENDS, Expect, Side, read
from .names import check_value, metric_names
from .schema import Check, Claim

FEWEST_LEVELS = 3  #: Page's test takes three levels at least


def check_claims(claims: Sequence[Claim], cells: Sequence[Cell], known: tuple[str, ...], document: Document) -> None:
    """Note everything that keeps a claim from being tested on these cells, with its place.

    known: the values that a record of this suite can hold.
    """
    scope = _Scope(tuple(cells), known, document)
    for i, claim in enumerate(claims):
        at: At = ("claims", i)
        if claim.id in [other.id for other in claims[:i]]:
            document.fault((*at, "id"), f"another claim has the id '{claim.id}'")
        scope.check_metric(claim.metric, at)
        _check(scope, at, claim.where, claim.metric, claim.expect)
        for place, part in _further(claim, at):
            if part.metric is not None:
                scope.check_metric(part.metric, place)
            _check(scope, place, {**claim.where, **part.where}, part.metric or claim.metric, part.expect)


def _further(claim: Claim, at: At) -> list[tuple[At, Check]]:
    """The checks of a claim beside its own, with their places."""
    lists = {"or_else": claim.or_else, "also": claim.also}
    return [((*at, key, j), part) for key, parts in lists.items() for j, part in enumerate(parts)]


@dataclass(frozen=True)
class _Scope:
    """What a suite has, for claims to speak of."""

    cells: tuple[Cell, ...]
    known: tuple[str, ...]
    document: Document

    @property
    def changed(self) -> bool:
        """True where `--set` made another grid or other values than the claims were written for."""
        return any(at[:1] in (("grid",), ("metrics",), ("evaluate",)) for at in self.document.overridden)

    def check_metric(self, name: str, at: At) -> None:
        known = (*self.known, *metric_names()) if self.changed else self.known
        check_value(name, known, (*at, "metric"), self.document)

    def select(self, where: Mapping[str, Any], own: Mapping[str, Any], at: At) -> list[Cell]:
        """The cells of a selector; none, with the reason noted at `at`, where it means none.

        own: the part of `where` that stands at `at`.
        """
        found: list[Cell] = []
        miss = explain_miss(own, self.cells)
        if miss is None:
            found = [cell for cell in self.cells if cell.matches(where)]
            found = [cell for cell in found if cell.skip is None] or found
        if not found and not (self.changed and all(key in KEYS for key in own)):
            self.document.fault(at, miss or "no cell has all of these")
        return found


def _check(scope: _Scope, at: At, where: dict[str, Any], metric: str, raw: Any) -> None:
    def fault(place: At, message: str) -> None:
        scope.document.fault((*at, "expect", *place), message, key=message.startswith("unknown key"))

    expect = read(raw, fault)
    if not scope.select(where, where, (*at, "where")) or expect is None:
        return
    found = [_side(scope, (*at, "expect", *place), where, side) for side, place in _sides(expect, raw)]
    if not all(found):
        return
    if expect.form in TRENDS:
        _check_levels(scope, found[0], (*at, "expect"))
        return
    places = [(*at, "expect", *place) for _, place in _sides(expect, raw)]
    if all(_rows(scope, cells, place) for cells, place in zip(found, places, strict=True)):
        _check_pair(scope, expect, found, metric, (*at, "expect"))


def _sides(expect: Expect, raw: dict[str, Any]) -> list[tuple[Side, At]]:
    """The sides with their places inside `expect`."""
    first: At = ("of",) if "of" in raw else ()
    second: At = ("to",) if expect.ratio else (expect.form,)
    return list(zip(expect.sides, (first, second), strict=False))


def _side(scope: _Scope, at: At, where: dict[str, Any], side: Side) -> list[Cell]:
    if side.metric is not None:
        scope.check_metric(side.metric, at)
    return scope.select({**where, **side.where}, side.where, at)


def _rows(scope: _Scope, cells: Sequence[Cell], at: At) -> bool:
    """True where cells differ by their seeds only; else noted, since seeds are all that is averaged."""
    for key in ("dataset", "label", "net", "latent_size"):
        found = list(dict.fromkeys(str(cell.values(key)[-1]) for cell in cells))
        if len(found) > 1:
            scope.document.fault(at, f"means several rows at once; choose a {key}: {', '.join(found)}")
            return False
    return True


def _check_levels(scope: _Scope, cells: Sequence[Cell], at: At) -> None:
    sizes = dict.fromkeys(cell.latent_size for cell in cells)
    if len(sizes) < FEWEST_LEVELS and not scope.changed:
        scope.document.fault(at, f"a trend needs {FEWEST_LEVELS} latent sizes or more, here are {len(sizes)}")
        return
    for size in sizes:
        if not _rows(scope, [cell for cell in cells if cell.latent_size == size], at):
            return


def _check_pair(scope: _Scope, expect: Expect, found: Sequence[Sequence[Cell]], metric: str, at: At) -> None:
    if expect.second is None:
        return
    first, second = found
    if not {cell.seed for cell in first} & {cell.seed for cell in second}:
        scope.document.fault(at, "the two sides share no seed, and only shared seeds are compared")
    same = (expect.first.metric or metric) == (expect.second.metric or metric)
    if same and {cell.id for cell in first} == {cell.id for cell in second}:
        scope.document.fault(at, "both sides are the same cells under the same metric")
