"""Claims: sentences of a source made testable, and what the records of a suite say to each of them.

    for verdict in verdicts(Path("results"), "seed_playground"):
        verdict.id, verdict.verdict, verdict.because, verdict.main.outcome.effect

A claim is read from the suite as it was run (suite.json). Its checks compare over the seeds that their sides share:
`bench.suite.expectations` has the forms, `verdicts` the rules. Imports no torch. A results folder may come from
anywhere, so nothing here trusts the type of a value.
"""

import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from bench.results.fingerprints import with_sets
from bench.results.stats import holm
from bench.results.store import Store
from bench.suite.expectations import TRENDS, Expect, read
from bench.suite.issues import Issues

from .select import Measured, Point, find_clash, points, reasons_of_gaps, select
from .text import data_words, evidence, sentence
from .verdicts import (
    ALPHA,
    CONTRADICTED,
    NOT_RUN,
    NOT_SUPPORTED,
    PART,
    SUPPORTED,
    UNDER_SPECIFIED,
    VERDICTS,
    Outcome,
    decide,
    decide_trend,
)

__all__ = ["VERDICTS", "Check", "Point", "Verdict", "as_json", "as_text", "counts", "judge", "points", "verdicts"]

P_NOTE = (
    "Each verdict is at 5 % for its own claim, alternatives included. p_holm of --json, Holm's correction over the\n"
    "suite's claims, is for information and changes no verdict."
)


@dataclass(frozen=True)
class Check:
    """One comparison of a claim with its outcome."""

    metric: str
    says: str  #: what was tested, in words
    outcome: Outcome
    sides: tuple[Measured, ...] = ()

    @property
    def unit(self) -> str:
        return self.sides[0].unit if self.sides else ""

    @property
    def cells(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(cell for side in self.sides for cell in side.ids.values()))

    @property
    def datasets(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(name for side in self.sides for name in side.datasets))

    @property
    def waits(self) -> bool:
        return any(side.waiting for side in self.sides)


@dataclass(frozen=True)
class Verdict:
    """A claim, its verdict, and its checks, the claim's own first."""

    id: str
    says: str
    source: str
    verdict: str
    because: str
    checks: tuple[Check, ...]
    note: str = ""
    p_holm: float | None = None  #: p of the first check, corrected over the suite's claims; the verdict ignores it

    @property
    def main(self) -> Check:
        return self.checks[0]

    @property
    def cells(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(cell for check in self.checks for cell in check.cells))

    @property
    def datasets(self) -> tuple[str, ...]:
        """Names of the data that its numbers are of; a source may have used others."""
        return tuple(dict.fromkeys(name for check in self.checks for name in check.datasets))


def verdicts(results: Path, suite: str) -> list[Verdict]:
    """Every claim of a suite with its verdict. Raises `UsageError` or `ResultError` as the store does."""
    store = Store(results)
    content = store.suite(suite)
    claims = content.get("claims")
    return judge(claims, points(content, with_sets(store.records(suite)))) if isinstance(claims, list) and claims else []


def judge(claims: Sequence[Any], grid: Sequence[Point]) -> list[Verdict]:
    """Claims, as plain values, against a grid; Holm's correction is over the claims that have a p."""
    found = [_judge(claim, grid) for claim in claims if isinstance(claim, dict)]
    ps = {i: v.main.outcome.p for i, v in enumerate(found)}
    tested = [i for i, p in ps.items() if p is not None]
    for i, p in zip(tested, holm([ps[i] or 0.0 for i in tested]), strict=True):
        found[i] = replace(found[i], p_holm=p)
    return found


def counts(found: Iterable[Verdict]) -> dict[str, int]:
    """Verdict -> number of claims, only those that occur, from supported to not run."""
    every = [verdict.verdict for verdict in found]
    return {name: every.count(name) for name in VERDICTS if name in every}


def _judge(claim: dict[str, Any], grid: Sequence[Point]) -> Verdict:
    parts = (claim, *_parts(claim, "or_else"))
    alternatives = [_check(claim, part, grid, ALPHA / len(parts)) for part in parts]
    also = [_check(claim, part, grid, ALPHA) for part in _parts(claim, "also")]
    verdict, because = _combine(alternatives, also)
    if claim.get("under_specified"):
        verdict, because = UNDER_SPECIFIED, str(claim["under_specified"])
    words = {name: str(claim.get(name) or "") for name in ("id", "says", "source", "note")}
    checks = (*alternatives, *also)
    return Verdict(words["id"], words["says"], words["source"], verdict, because, checks, words["note"])


def _parts(claim: dict[str, Any], key: str) -> list[dict[str, Any]]:
    given = claim.get(key)
    return [part for part in (given if isinstance(given, list | tuple) else ()) if isinstance(part, dict)]


def _combine(alternatives: Sequence[Check], also: Sequence[Check]) -> tuple[str, str]:
    """The verdict of a claim's checks, with its reason.

    The main check decides: the claim's own, or the alternative that speaks most for the claim. A check under `also`
    that is not supported weakens "supported" to "supported in part" and changes no other verdict.
    """
    checks = (*alternatives, *also)
    if any(check.waits for check in checks) or alternatives[0].outcome.verdict == NOT_RUN:
        waiting = next((c.outcome for c in checks if c.waits), alternatives[0].outcome)
        return NOT_RUN, waiting.because
    main, m = _strongest(alternatives), len(alternatives)
    verdict, because = main.outcome.verdict, main.outcome.because
    if m > 1:
        holding = sum(check.outcome.verdict == SUPPORTED for check in alternatives)
        holds = f"{holding or 'none'} of {m} alternatives hold{'s' * (holding == 1)}"
        because = f"{holds}, each at the level {100 * (1 - ALPHA / m):.4g} %; {because}"
    failed = [f"{check.says}: {check.outcome.verdict}" for check in also if check.outcome.verdict != SUPPORTED]
    if not also or verdict != SUPPORTED:
        return verdict, because
    if failed:
        return PART, f"{len(also) + 1 - len(failed)} of {len(also) + 1} checks hold; not: {'; '.join(failed)}"
    return verdict, f"all {len(also) + 1} checks hold; {because}"


def _strongest(alternatives: Sequence[Check]) -> Check:
    """The alternative that speaks most for the claim, the first of equals."""
    order = (SUPPORTED, PART, NOT_SUPPORTED, CONTRADICTED, NOT_RUN)
    return min(alternatives, key=lambda check: order.index(check.outcome.verdict))


def _check(claim: dict[str, Any], part: dict[str, Any], grid: Sequence[Point], alpha: float) -> Check:
    issues = Issues()
    expect = read(part.get("expect"), issues)
    metric = str(part.get("metric") or claim.get("metric") or "")
    wheres = [claim.get("where"), part.get("where")]
    where = {key: value for given in wheres if isinstance(given, dict) for key, value in given.items()}
    if expect is None:
        return Check(
            metric, "not readable", Outcome(NOT_RUN, f"the claim cannot be read: {'; '.join(map(str, issues.found))}")
        )
    says = sentence(expect, metric, where)
    sides, problem = select(expect, metric, where, grid)
    if problem:
        return Check(metric, says, Outcome(NOT_RUN, problem), sides)
    shared = set.intersection(*(set(side.ids) for side in sides))
    if not shared:
        return Check(metric, says, Outcome(NOT_RUN, "the sides share no seed"), sides)
    sides = tuple(side.at(shared) for side in sides)
    return Check(metric, says, _outcome(expect, sides, alpha), sides)


def _outcome(expect: Expect, sides: tuple[Measured, ...], alpha: float) -> Outcome:
    different, why = find_clash(sides), reasons_of_gaps(sides)
    if different:
        return Outcome(NOT_RUN, f"not comparable: {different}")
    planned, there = sum(len(side.ids) for side in sides), sum(len(side.values) for side in sides)
    counted = f"{there} of {planned} cells have a number" + (f" ({why})" if why else "")
    series, exact = [side.values for side in sides], all(side.exact for side in sides)
    if not set.intersection(*map(set, series)):
        return Outcome(NOT_RUN, counted)
    if expect.form in TRENDS:
        found = decide_trend(expect, {side.name: side.values for side in sides}, alpha, exact)
    else:
        found = decide(expect, series[0], series[1] if len(series) > 1 else None, alpha, exact)
    found = replace(found, level=1 - alpha)
    if any(side.waiting for side in sides):
        return replace(found, verdict=NOT_RUN, because=f"{counted}; so far: {found.because}")
    if why and found.verdict == SUPPORTED:  # as in tables, where no row is bold beside an incomplete one
        lost = f"only {counted}, and the missing value may be the worst; without it: {found.because}"
        return replace(found, verdict=NOT_SUPPORTED, because=lost)
    return replace(found, because=f"{found.because}; only {counted}") if why else found


def as_json(found: Iterable[Verdict]) -> dict[str, Any]:
    """What `bench claims --json` prints."""
    return {"claims": [_claim_json(verdict) for verdict in found]}


def _claim_json(verdict: Verdict) -> dict[str, Any]:
    main = _check_json(verdict.main)
    shared = {name: main[name] for name in ("metric", "unit", "effect", "interval", "p", "seeds")}
    return {
        "id": verdict.id, "says": verdict.says, "source": verdict.source, "verdict": verdict.verdict,
        "because": verdict.because, "note": verdict.note, **shared, "p_holm": verdict.p_holm,
        "datasets": list(verdict.datasets), "cells": list(verdict.cells),
        "checks": [_check_json(check) for check in verdict.checks],
    }  # fmt: skip


def _check_json(check: Check) -> dict[str, Any]:
    found = check.outcome
    return {
        "says": check.says, "metric": check.metric, "unit": check.unit, "verdict": found.verdict,
        "because": found.because, "effect": found.effect, "scale": found.scale,
        "interval": None if found.interval is None else list(found.interval), "level": found.level,
        "p": found.p, "test": found.test,
        "seeds": {"n": found.n, "in_direction": found.in_direction},
        "sides": [{"name": s.name, "metric": s.metric, "values": {str(k): v for k, v in s.values.items()}}
                  for s in check.sides],
        "cells": list(check.cells),
    }  # fmt: skip


def as_text(found: Sequence[Verdict], width: int = 0) -> str:
    """What `bench claims` prints: a paragraph a claim, and how many have which verdict.

    width: of the lines, which are divided at words; 0 for lines of any length.
    """
    if not found:
        return "this suite declares no claims\n"
    parts = [line for verdict in found for line in (*_lines(verdict), "")]
    counted = ", ".join(f"{n} {name}" for name, n in counts(found).items())
    tested = any(verdict.p_holm is not None for verdict in found)
    lines = [*parts, f"{counted} of {len(found)} claims", *([P_NOTE] * tested)]
    return "\n".join(_wrapped(line, width) if width else line for line in lines) + "\n"


def _wrapped(line: str, width: int) -> str:
    """A line divided at words; further lines are indented to the text behind the verdict."""
    indent = " " * 18 if line[:1] == " " or line[:17].rstrip() in VERDICTS else ""
    head, text = (line[:18], line[18:]) if indent else ("", line)
    return textwrap.fill(text, width, initial_indent=head, subsequent_indent=indent, break_on_hyphens=False)


def _lines(verdict: Verdict) -> list[str]:
    lines, tested = [], data_words(verdict.datasets)
    for check in verdict.checks:
        mark = "" if len(verdict.checks) == 1 else f"{check.outcome.verdict}: "
        lines.append(f"{mark}{' · '.join(filter(None, [check.says, evidence(check.outcome, check.unit)]))}")
    if verdict.verdict == UNDER_SPECIFIED:
        lines.append(f"{verdict.main.outcome.verdict} if read this way: {verdict.main.outcome.because}")
    lines += [verdict.because, *([f"note: {verdict.note}"] if verdict.note else [])]
    head = f"{verdict.verdict:<17} {verdict.id}  {verdict.says}  ({'; '.join(filter(None, [verdict.source, tested]))})"
    return [head, *(f"{'':<18}{line}" for line in lines)]
