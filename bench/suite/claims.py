"""The claims of a suite checked against its cells: a selector without cells, or with several rows, is an issue.

A `--set` that changes the grid, the metrics or the evaluation can take cells and values away from a claim; that is
no issue of the file, and the verdict of the claim is then `not run`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .cells import KEYS, Cell, CellIndex
from .expectations import TRENDS, Expect, Side, read
from .issues import Issues
from .names import check_value, metric_names
from .schema import Check, Claim

FEWEST_LEVELS = 3  #: the fewest levels of Page's trend test


def check_claims(
    claims: Sequence[Claim], index: CellIndex, known: tuple[str, ...], changed: bool, issues: Issues
) -> None:
    """Note everything that keeps a claim from being tested on these cells.

    known: the values that a record of this suite can hold.
    changed: `--set` made another grid, or other values, than the claims were written for.
    """
    scope = _Scope(index, (*known, *metric_names()) if changed else known, changed)
    ids: set[str] = set()
    for i, claim in enumerate(claims):
        here = issues.at("claims", i)
        if claim.id in ids:
            here.at("id").add(f"another claim has the id '{claim.id}'")
        ids.add(claim.id)
        check_value(claim.metric, scope.known, here.at("metric"))
        _check(scope, here, claim.where, claim.metric, claim.expect)
        for part, place in _further(claim, here):
            if part.metric is not None:
                check_value(part.metric, scope.known, place.at("metric"))
            _check(scope, place, {**claim.where, **part.where}, part.metric or claim.metric, part.expect)


def _further(claim: Claim, issues: Issues) -> list[tuple[Check, Issues]]:
    """The checks of a claim beside its own, with their places."""
    lists = {"or_else": claim.or_else, "also": claim.also}
    return [(part, issues.at(key, j)) for key, parts in lists.items() for j, part in enumerate(parts)]


@dataclass(frozen=True)
class _Scope:
    """What a suite has, for claims to be about."""

    index: CellIndex
    known: tuple[str, ...]
    changed: bool

    def select(self, where: Mapping[str, Any], own: Mapping[str, Any], issues: Issues) -> list[Cell]:
        """The cells of a selector; [], with the reason noted, where there are none.

        own: the part of `where` that stands at the place of `issues`.
        """
        miss = self.index.explain_miss(own)
        found = [] if miss else self.index.select(where)
        if not found and not (self.changed and all(key in KEYS for key in own)):
            issues.add(miss or "no cell has all of these")
        return [cell for cell in found if cell.skip is None] or found


def _check(scope: _Scope, issues: Issues, where: dict[str, Any], metric: str, raw: Any) -> None:
    here = issues.at("expect")
    expect = read(raw, here)
    if not scope.select(where, where, issues.at("where")) or expect is None:
        return
    places = _places(expect, raw, here)
    found = [_side(scope, place, where, side) for side, place in zip(expect.sides, places, strict=True)]
    if not all(found):
        return
    if expect.form in TRENDS:
        _check_levels(scope, found[0], here)
    elif all(_is_one_row(cells, place) for cells, place in zip(found, places, strict=True)):
        _check_pair(expect, found, metric, here)


def _places(expect: Expect, raw: dict[str, Any], issues: Issues) -> list[Issues]:
    """The place of each side."""
    first = issues.at("of") if "of" in raw else issues
    return [first, issues.at("to" if expect.ratio else expect.form)][: len(expect.sides)]


def _side(scope: _Scope, issues: Issues, where: dict[str, Any], side: Side) -> list[Cell]:
    if side.metric is not None:
        check_value(side.metric, scope.known, issues.at("metric"))
    return scope.select({**where, **side.where}, side.where, issues)


def _is_one_row(cells: Sequence[Cell], issues: Issues) -> bool:
    """True where cells differ by their seeds only; else noted, since means are taken over seeds only."""
    for key in ("dataset", "label", "net", "latent_size"):
        found = list(dict.fromkeys(str(cell.values(key)[-1]) for cell in cells))
        if len(found) > 1:
            issues.add(f"selects several rows; choose a {key}: {', '.join(found)}")
            return False
    return True


def _check_levels(scope: _Scope, cells: Sequence[Cell], issues: Issues) -> None:
    levels: dict[int, list[Cell]] = {}
    for cell in cells:
        levels.setdefault(cell.latent_size, []).append(cell)
    if len(levels) < FEWEST_LEVELS and not scope.changed:
        issues.add(f"a trend needs {FEWEST_LEVELS} latent sizes or more, here are {len(levels)}")
        return
    for level in levels.values():
        if not _is_one_row(level, issues):
            return


def _check_pair(expect: Expect, found: Sequence[Sequence[Cell]], metric: str, issues: Issues) -> None:
    if expect.second is None:
        return
    first, second = found
    if not {cell.seed for cell in first} & {cell.seed for cell in second}:
        issues.add("the two sides share no seed, and only shared seeds are compared")
    same = (expect.first.metric or metric) == (expect.second.metric or metric)
    if same and {cell.id for cell in first} == {cell.id for cell in second}:
        issues.add("both sides are the same cells under the same metric")
