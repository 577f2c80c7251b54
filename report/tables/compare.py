"""Two result sets compared row by row and metric by metric: better, worse, equal, or not comparable with the reason.

The difference is B − A of the means over seeds with its 95 % t-interval: paired where at least three seeds are shared,
and then the means are those of the shared seeds, otherwise Welch's. "better" and "worse" need p < 0.05 after Holm's
correction over the rows of a metric, since among many rows some would be worse by chance. "equal" is every other tested
difference; the output says if the numbers are the same. Too few seeds to test, another protocol, other images or
another definition of the cell: "not comparable".
"""

import math
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from bench.report.data import Group, Suite, flatten, load, mapping, words

from bench.errors import UsageError, did_you_mean
from bench.results.stats import difference, hedges_g, holm, summarise, superiority
from bench.results.store import Store

from .build import families
from .names import ARROWS, format_number
from .values import Value, gap_texts, measure

BETTER, WORSE, EQUAL, CHANGED, INCOMPARABLE = "better", "worse", "equal", "changed", "not comparable"
SIGNS = {BETTER: "+", WORSE: "−", EQUAL: "=", CHANGED: "≠", INCOMPARABLE: "?"}
FAIL_ON = {"worse": {WORSE}, "different": {WORSE, BETTER, CHANGED}, "not-comparable": {INCOMPARABLE}}
ALPHA = 0.05
TOLERANCE = 1e-6  #: a difference this small beside the values is rounding: another machine adds in another order
PLACE = ("label", "net", "likelihood", "dataset", "latent_size")
#: What may differ between two cells of the same numbers: names, and lists that only add columns.
HARMLESS = ("seed", "label", "net_label", "dataset_label", "evaluate.samplers", "evaluate.embed.methods")


@dataclass(frozen=True)
class Comparison:
    """One row of a table under one metric, in A and in B; `difference` is B − A."""

    suite: str
    row: str
    metric: str
    better: str
    mark: str
    a: float | None = None  #: mean over the seeds of the test, over all seeds without one
    b: float | None = None
    n_a: int = 0  #: seeds with a number, those that the test leaves out included
    n_b: int = 0
    difference: float | None = None
    interval: tuple[float, float] | None = None  #: 95 %, of this row alone
    p: float | None = None
    p_holm: float | None = None  #: corrected over the rows of the metric
    test: str = ""
    pairs: int = 0  #: seeds of the test: pairs, or the smaller group
    hedges_g: float | None = None
    superiority: float | None = None  #: P(B > A) over all pairs of seeds, ties half
    identical: bool = False  #: seed by seed the same number
    reason: str = ""


def compare(a: Path, b: Path, metrics: Iterable[str] = (), results: Path = Path("results")) -> list[Comparison]:
    """Compare two result sets: each the folder of a suite, a results folder, or a suite's name under `results`.

    Of two results folders every suite that both have is compared. `metrics` are names or families, all by default.
    Raises `UsageError` for what is no result set, for sets without a common suite, and for an unknown metric.
    """
    pairs = _pairs(_sets(Path(a), results), _sets(Path(b), results), f"{a} and {b}")
    loaded = [(load(*one), load(*two)) for one, two in pairs]
    wanted = list(metrics)
    _check(wanted, [suite for pair in loaded for suite in pair])
    found = [c for one, two in loaded for c in _corrected(_suites(one, two, wanted))]
    return [*found, *_alone(Path(a), Path(b), results, pairs)]


def _alone(a: Path, b: Path, results: Path, pairs: list[Any]) -> Iterator[Comparison]:
    """Suites that only one of two results folders has, so that a lost one is seen."""
    compared = {name for pair in pairs for _, name in pair}
    for side, path in (("A", a), ("B", b)):
        for name in _sets(path, results):
            if name not in compared:
                yield Comparison(name, "the whole suite", "", "none", INCOMPARABLE, reason=f"only in {side}")


def _sets(path: Path, results: Path) -> dict[str, tuple[Path, str]]:
    """Suite name -> (results folder, suite), of one argument."""
    if (path / "suite.json").is_file():
        here = path.resolve()
        return {here.name: (here.parent, here.name)}
    if names := Store(path).suites():
        return {name: (path, name) for name in names}
    if not path.exists() and len(path.parts) == 1 and (results / path / "suite.json").is_file():
        return {path.name: (results, path.name)}
    known = did_you_mean(path.name, Store(results).suites(), "suites with results")
    raise UsageError(f"{path} is neither a suite's results nor a results folder{known}")


def _pairs(
    a: dict[str, tuple[Path, str]], b: dict[str, tuple[Path, str]], paths: str
) -> list[tuple[tuple[Path, str], tuple[Path, str]]]:
    """Suites of the same name; two single suites whatever their names."""
    if len(a) == len(b) == 1:
        return [(next(iter(a.values())), next(iter(b.values())))]
    common = [name for name in a if name in b]
    if not common:
        raise UsageError(f"{paths} have no suite in common: {', '.join(a)} and {', '.join(b)}")
    return [(a[name], b[name]) for name in common]


def _check(wanted: list[str], suites: list[Suite]) -> None:
    known = {name for suite in suites for family, names in families(suite).items() for name in (family, *names)}
    for name in wanted:
        if name not in known:
            raise UsageError(f"no metric {name!r} in these records{did_you_mean(name, known)}")


# -- rows


def _suites(a: Suite, b: Suite, wanted: list[str]) -> Iterator[Comparison]:
    known: dict[str, dict[str, None]] = {}
    for suite in (a, b):
        for family, names in families(suite).items():
            known.setdefault(family, {}).update(dict.fromkeys(names))
    metrics = [m for family, names in known.items() for m in names if not wanted or {family, m} & set(wanted)]
    matched = list(_matched(a.groups, b.groups))
    for metric in metrics:
        better = _better(metric, a, b)
        for one, two in matched:
            found = _row(a.name, metric, better, one, two)
            if found is not None:
                yield found


def _better(metric: str, *suites: Suite) -> str:
    found = (words(mapping(r.metrics.get(metric)).get("better")) for suite in suites for r in suite.records)
    return next((word for word in found if word), "none")


def _matched(a: Iterable[Group], b: Iterable[Group]) -> Iterator[tuple[Group | None, Group | None]]:
    """Pairs of rows with the same coordinates; among several, rows of the same definition first."""
    rest = list(b)
    for one in a:
        here = [two for two in rest if _at(two) == _at(one)]
        two = next((two for two in here if not _redefined(one, two)), here[0] if here else None)
        if two is not None:
            rest.remove(two)
        yield one, two
    yield from ((None, two) for two in rest)


def _at(group: Group) -> tuple[Any, ...]:
    return tuple(group.at.get(axis) for axis in PLACE)


def _redefined(a: Group, b: Group) -> str:
    """The differences between two rows' cells except their seeds: "train.epochs 5 / 20"."""
    one, two = ({name: text for name, text in flatten(group.cells[0].cell).items() if text != "{}"} for group in (a, b))
    names = [name for name in {**one, **two} if name not in HARMLESS and one.get(name) != two.get(name)]
    return ", ".join(f"{name} {one.get(name, 'none')} / {two.get(name, 'none')}" for name in names)


def _row(suite: str, metric: str, better: str, a: Group | None, b: Group | None) -> Comparison | None:
    """The comparison of one row; None where neither side has a number to lose."""
    one, two = (measure(group, metric) if group else None for group in (a, b))
    if not (one and one.seeds) and not (two and two.seeds):
        return None
    place = ", ".join(_place(one or two))
    found = Comparison(suite, place, metric, better, INCOMPARABLE, *_means(one, two))
    if one is None or two is None:
        return replace(found, reason=f"only in {'A' if one else 'B'}")
    reason = _obstacle(one, two)
    return replace(found, reason=reason) if reason else _tested(found, one, two)


def _place(value: Value | None) -> list[str]:
    at = value.at if value else {}
    texts = [at.get(axis) for axis in ("label", "net", "dataset", "likelihood")]
    size = at.get("latent_size")
    return [str(text) for text in texts if text] + ([f"latent {size}"] if size is not None else [])


def _means(a: Value | None, b: Value | None) -> tuple[float | None, float | None, int, int]:
    means = [value.summary.mean if value and value.summary else None for value in (a, b)]
    return means[0], means[1], len(a.seeds) if a else 0, len(b.seeds) if b else 0


def _obstacle(a: Value, b: Value) -> str:
    """Why two values may not be compared, "" if they may."""
    for name, value in (("A", a), ("B", b)):
        if not value.seeds:
            return f"no number in {name}: {'; '.join(gap_texts(value))}"
    redefined = _redefined(a.group, b.group)
    if redefined:
        return f"the cell's definition differs: {redefined}"
    one, two = dict(a.key), dict(b.key)
    keys = [f"{name} {one.get(name, 'none')} / {two.get(name, 'none')}"
            for name in {**one, **two} if one.get(name) != two.get(name)]  # fmt: skip
    if keys:
        return f"measured differently: {', '.join(keys)}"
    if a.images != b.images:
        counts = [" or ".join(map(str, value.images)) or "unknown" for value in (a, b)]
        return f"measured on {counts[0]} / {counts[1]} images"
    return _other_version(a, b)


def _other_version(a: Value, b: Value) -> str:
    """A reason if cells of one definition and seed have two ids: a component has a new version or default."""
    ids = [{cell.seed: cell.id for cell in value.group.cells} for value in (a, b)]
    other = [seed for seed in ids[0].keys() & ids[1].keys() if ids[0][seed] != ids[1][seed]]
    return "the cells have other ids: a component's version or default differs" if other else ""


# -- numbers


def _tested(found: Comparison, a: Value, b: Value) -> Comparison:
    """Difference, interval and p; `_corrected` sets the mark of a row with a p."""
    test, shared = difference(b.seeds, a.seeds), a.seeds.keys() & b.seeds.keys()
    used = shared if test.test == "paired t" else a.seeds.keys() | b.seeds.keys()
    ones, twos = ([value for seed, value in side.seeds.items() if seed in used] for side in (a, b))
    found = replace(
        found, a=summarise(ones).mean, b=summarise(twos).mean, difference=test.mean, interval=test.interval, p=test.p,
        test=test.test, pairs=test.n, hedges_g=hedges_g(twos, ones), superiority=superiority(twos, ones),
        identical=a.seeds == b.seeds,
    )  # fmt: skip
    scale = max(abs(value) for value in (*ones, *twos))
    near = all(abs(a.seeds[s] - b.seeds[s]) <= TOLERANCE * scale for s in shared)
    if a.seeds.keys() == b.seeds.keys() and near:
        return replace(found, mark=EQUAL, p=None, reason="" if found.identical else "but for rounding")
    return found if test.p is not None else replace(found, reason=f"{test.reason} (n = {test.n})")


def _corrected(found: Iterable[Comparison]) -> Iterator[Comparison]:
    """Holm over the rows of each metric, and the marks that follow."""
    rows = list(found)
    for metric in dict.fromkeys(row.metric for row in rows):
        here = [row for row in rows if row.metric == metric]
        ps = iter(holm([row.p for row in here if row.p is not None]))
        yield from (row if row.p is None else _marked(row, next(ps)) for row in here)


def _marked(row: Comparison, p: float) -> Comparison:
    assert row.difference is not None  # what has a p has a difference
    if p >= ALPHA or row.difference == 0:
        return replace(row, p_holm=p, mark=EQUAL)
    if row.better not in ("lower", "higher"):
        return replace(row, p_holm=p, mark=CHANGED)
    gained = (row.difference > 0) == (row.better == "higher")
    return replace(row, p_holm=p, mark=BETTER if gained else WORSE)


# -- what is printed


def counts(found: Iterable[Comparison]) -> dict[str, int]:
    """Mark -> number of comparisons."""
    marks = [c.mark for c in found]
    return {mark: marks.count(mark) for mark in SIGNS if mark in marks}


def fails(found: Iterable[Comparison], on: Iterable[str]) -> bool:
    """True if a comparison has a mark that one of the conditions of `FAIL_ON` names."""
    marks = {mark for name in on for mark in FAIL_ON[name]}
    return any(c.mark in marks for c in found)


def as_json(found: list[Comparison]) -> dict[str, Any]:
    """Counts of the marks, and every comparison."""
    return {"counts": counts(found), "alpha": ALPHA, "comparisons": [asdict(c) for c in found]}


def as_text(found: list[Comparison]) -> str:
    """A block per metric, a line per row."""
    lines = []
    for suite, metric in dict.fromkeys((c.suite, c.metric) for c in found):
        here = [c for c in found if (c.suite, c.metric) == (suite, metric)]
        lines.append(f"{suite} · {metric} {ARROWS.get(here[0].better, '')}".rstrip() if metric else suite)
        width = max(len(c.row) for c in here)
        lines += [f"  {SIGNS[c.mark]} {c.mark:<14} {c.row:<{width}}  {_format_difference(c)}".rstrip() for c in here]
    total = ", ".join(f"{n} {mark}" for mark, n in counts(found).items())
    legend = (
        f"B − A with its 95 % t-interval; better and worse: p < {ALPHA:g} after Holm over the rows of a metric; "
        "equal: the same numbers, or no significant difference"
    )
    return "\n".join([*lines, total or "nothing to compare", legend])


def _format_difference(c: Comparison) -> str:
    if c.mark == INCOMPARABLE or c.a is None or c.b is None or c.difference is None:
        return c.reason
    if c.identical:
        return f"{_plain(c.a)}, the same numbers (n = {c.n_a})"
    wide = "" if c.interval is None else f" [{_signed(c.interval[0])}, {_signed(c.interval[1])}]"
    p = "" if c.p_holm is None else f", p = {c.p_holm:.2g}"
    test = f", {c.test}, n = {c.pairs}" if not c.reason else f", {c.reason}"
    return f"{_plain(c.a)} → {_plain(c.b)}: {_signed(c.difference)}{wide}{p}{test}"


def _plain(number: float) -> str:
    return format_number(number, max(0, min(6, 3 - math.floor(math.log10(abs(number)))))) if number else "0"


def _signed(number: float) -> str:
    return f"{number:+.3g}".replace("-", "−")
