"""The claims on a suite's page: sentence, verdict, numbers and the cells they are computed from."""

import re
from collections.abc import Sequence
from typing import Any

from bench.report.data import Cell, Suite, coordinates, words
from bench.report.tables.build import families
from bench.report.tables.names import configuration_text, coordinate_text, metric_text
from markupsafe import Markup

from bench.results.claims import Check, Verdict, counts
from bench.results.claims.text import data_words, effect_words, p_words
from bench.results.claims.verdicts import UNDER_SPECIFIED, Outcome

WIDTH, HEIGHT, EDGE = 160, 20, 6  #: of a drawing


def view(suite: Suite) -> dict[str, Any] | None:
    """The claims for the template; None for a suite without claims."""
    if not suite.verdicts:
        return None
    cells = {cell.id: cell for cell in suite.cells}
    family = {name: words(found) for found, names in families(suite).items() for name in names}
    titles = _titles(suite, family)
    claims = [_claim(verdict, index, cells, family, titles) for index, verdict in enumerate(suite.verdicts)]
    return {"counts": counts(suite.verdicts), "claims": claims}


def _titles(suite: Suite, family: dict[str, str]) -> dict[str, str]:
    """Identifier -> its name for readers, of the metrics and components that a check names."""
    found = {name: metric_text(name) for name in (*family, *family.values())}
    for axis in ("variant", "label", "net", "dataset"):
        found |= {name: coordinate_text(axis, name) for group in suite.groups if (name := str(group.at[axis] or ""))}
    return found


def _readable(text: str, titles: dict[str, str]) -> str:
    """A sentence with names for readers in the place of identifiers.

    >>> _readable("mse of ae, mlp below that of pca", {"mse": "MSE", "ae": "AE", "mlp": "MLP", "pca": "PCA"})
    'MSE of AE, MLP below that of PCA'
    """
    names = "|".join(map(re.escape, sorted(titles, key=len, reverse=True)))
    return re.sub(rf"(?<![\w-])(?:{names})(?![\w-])", lambda found: titles[found[0]], text) if names else text


def _claim(
    verdict: Verdict, index: int, cells: dict[str, Cell], family: dict[str, str], titles: dict[str, str]
) -> dict[str, Any]:
    behind = [_cell(cells[name]) for name in verdict.cells if name in cells]
    several = len(verdict.checks) > 1 or verdict.verdict == UNDER_SPECIFIED
    done = sum(cell["link"] for cell in behind)
    counted = f"{len(behind)} cells" if done == len(behind) else f"{len(behind)} cells, {done} of them settled"
    return {
        "anchor": "claim-" + (re.sub(r"[^A-Za-z0-9_.-]+", "-", verdict.id)[:60] or str(index)),
        "id": words(verdict.id), "says": words(verdict.says, 600), "source": words(verdict.source, 400),
        "verdict": verdict.verdict, "because": words(verdict.because, 1200) if several else "",
        "tested": data_words([coordinate_text("dataset", words(name)) for name in verdict.datasets]),
        "note": words(verdict.note, 1200), "cells": behind, "counted": counted,
        "checks": [_check(check, family, verdict, titles) for check in verdict.checks],
    }  # fmt: skip


def _cell(cell: Cell) -> dict[str, Any]:
    where = configuration_text(coordinates(cell.cell), ("label", "net", "dataset", "latent_size"))
    state = "" if cell.status == "done" else f" ({'not run' if cell.status == 'missing' else cell.status})"
    return {"id": cell.id, "name": f"{where}, seed {cell.seed}{state}", "link": cell.record is not None}


def _check(check: Check, family: dict[str, str], verdict: Verdict, titles: dict[str, str]) -> dict[str, Any]:
    found = check.outcome
    corrected = verdict.p_holm if check is verdict.main else None
    holm = "" if corrected is None else f", Holm {p_words(corrected).removeprefix('p ').removeprefix('= ')}"
    named = check.metric in family and check.says.startswith(check.metric)  # then the name is a link
    return {
        "metric": metric_text(words(check.metric)), "family": family[check.metric] if named else "",
        "says": (" " if named else "") + words(_readable(check.says[len(check.metric) * named :], titles), 400),
        "verdict": found.verdict, "because": words(found.because, 800),
        "effect": words(effect_words(found, check.unit), 200) if found.effect is not None else "",
        "p": p_words(found.p) + holm if found.p is not None else "",
        "seeds": f"{found.in_direction} of {found.n} seeds" if found.n else "",
        "drawing": drawing(found),
    }  # fmt: skip


def drawing(found: Outcome) -> Markup:
    """An SVG: seeds as dots, the mean with its interval as a bar, a line at the border of the claimed side."""
    bar = () if found.scale == "fraction" or found.interval is None else found.interval
    every = [*found.seeds.values(), *found.borders, *bar]
    if not found.seeds or not every:
        return Markup()
    place = _scale(every)
    lines = "".join(f'<path class="border" d="M{place(x)} 1V{HEIGHT - 1}"/>' for x in found.borders)
    range_ = f'<path class="range" d="M{place(bar[0])} 6H{place(bar[1])}"/>' if bar else ""
    mean = f'<path class="mean" d="M{place(found.effect)} 2V10"/>' if bar and found.effect is not None else ""
    dots = "".join(f"M{place(x)} 15h0" for x in found.seeds.values())
    inner = f'{lines}{range_}{mean}<path class="dots" d="{dots}"/>'
    svg = f'<svg class="forest" viewBox="0 0 {WIDTH} {HEIGHT}" aria-hidden="true">{inner}</svg>'
    return Markup(svg)  # noqa: S704  (numbers only)


def _scale(values: Sequence[float]) -> Any:
    low, high = min(values), max(values)
    span = (high - low) or 1.0
    return lambda x: f"{EDGE + (WIDTH - 2 * EDGE) * ((x - low) / span if high > low else 0.5):.1f}"
