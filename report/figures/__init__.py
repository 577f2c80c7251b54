r"""The curves, trends and Pareto views of a suite's page as figures for a paper: SVG, PDF, captions to paste.

    DIR/<suite>/figures.tex   a figure environment each, with its caption
    DIR/<suite>/<figure>.svg  <figure>.pdf

The same numbers, hues and views as on the site; the same records give the same bytes.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from bench.report.charts import pareto, trends
from bench.report.charts.charts import colours
from bench.report.charts.curves import Run, curves
from bench.report.charts.model import Drawing, Who
from bench.report.data import Suite, history, load, number, words
from bench.report.tables.build import build
from bench.report.tables.footnotes import notes
from bench.report.tables.latex import escape_latex
from bench.report.tables.model import Table
from bench.report.tables.values import Value, gap_texts

from bench.errors import UsageError
from bench.results.store import Store

from .legend import entries
from .mpl import figure, saved
from .style import Styles

FORMS = ("svg", "pdf")
CURVES = (
    "Test images: mean over training seeds, band: its 95 % t-interval; dotted: training images. First epochs may lie "
    "outside the view."
)
TRENDS = (
    "Marks: mean over training seeds; bars: its 95 % t-interval; small dots: every seed. Configurations stand side by "
    "side at each size."
)
POINTS = (
    "A mark is a configuration, its mean over training seeds; small dots: seeds; bars: 95 % t-intervals{}; numbers: "
    "latent sizes. Ringed and joined: the front, which no other configuration beats in one of the two without being "
    "worse in the other."
)
SUMS = "Along a thin line the ELBO, written at it, is the same."


@dataclass(frozen=True)
class PaperFigure:
    """A figure of a suite: the name of its files, what it shows, its title and the sentences of its caption."""

    name: str
    drawing: Drawing
    y: str
    title: str
    caption: tuple[str, ...]


def write_figures(results: Path, out: Path, suites: Sequence[str] | None = None) -> list[tuple[Path, int]]:
    """Write the figures of all suites under `results`, or of those named; each figures.tex with its number of figures.

    A suite that has nothing to draw yet has no file. Figures of earlier records that are drawn no longer stay.
    Raises `UsageError` for a suite without results or a folder that has none at all, and `ResultError` for records
    that cannot be read; then nothing is written.
    """
    names = list(dict.fromkeys(suites or Store(results).suites()))
    if not names:
        raise UsageError(f"no results of any suite under {results}: `bench run SUITE` makes some")
    loaded = [load(results, name) for name in names]
    hues = colours(str(group.at["label"]) for suite in loaded for group in suite.groups)
    return [(out / suite.name / "figures.tex", _write(suite, out / suite.name, hues)) for suite in loaded]


def _write(suite: Suite, folder: Path, hues: dict[str, int]) -> int:
    found, styles = figures(suite, hues), styles_of(suite)
    if found:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "figures.tex").write_text(_tex(suite, found), encoding="ascii")
    for one in found:
        drawn = figure(one.drawing, styles, one.y)
        for form in FORMS:
            (folder / f"{one.name}.{form}").write_bytes(saved(drawn, form, one.title))
    return len(found)


def styles_of(suite: Suite) -> Styles:
    """A style for each configuration of a suite."""
    return Styles(Who.at(group.at) for group in suite.groups)


def figures(suite: Suite, hues: dict[str, int]) -> list[PaperFigure]:
    """All figures of a suite, in the order of its page, each with a file name of its own."""
    families = build(suite)
    made = [*_points(suite, families, hues), *_trends(suite, families, hues), *_curves(suite, hues)]
    seen: dict[str, int] = {}
    found = []
    for one in made:
        count = seen[one.name] = seen.get(one.name, 0) + 1
        found.append(replace(one, name=one.name if count == 1 else f"{one.name}--{count}"))
    return found


def _curves(suite: Suite, hues: dict[str, int]) -> Iterator[PaperFigure]:
    for view in curves(suite, hues):
        for row in view["rows"]:
            for panel in row["panels"]:
                values = [_of_run(run, panel["term"]) for run in panel["runs"]]
                title = f"{row['title']} per epoch: {panel['caption']}"
                about = f"curves-{panel['caption']}" + ("-rec" if panel["term"] == "rec" else "")
                yield _figure(suite, about, title, panel["drawing"], values, [CURVES])


def _of_run(run: Run, term: str) -> Value:
    """The curves' last values, so that a caption can say of which seeds and settings they are."""
    group, records = run
    seed = {cell.id: cell.seed for cell in group.cells}
    last = {seed[record.id]: (history(record) or [{}])[-1].get(f"test_{term}") for record in records}
    seeds = {key: value for key, found in last.items() if (value := number(found)) is not None}
    return Value(group, seeds, at=group.at)


def _trends(suite: Suite, families: list[Table], hues: dict[str, int]) -> Iterator[PaperFigure]:
    for view in trends.views(suite, families, hues):
        for panel in view["panels"]:
            title = f"{panel['title']} over the latent size on {view['dataset']}"
            about = f"trend-{view['dataset']}-{panel['title']}"
            y = f"{panel['metric']}, {panel['drawing'].y.label}"
            yield _figure(suite, about, title, panel["drawing"], panel["values"], [TRENDS], y)


def _points(suite: Suite, families: list[Table], hues: dict[str, int]) -> Iterator[PaperFigure]:
    for view in pareto.views(suite, families, hues):
        for panel in view["panels"]:
            title = f"{panel['title']} on {view['dataset']}"
            what = "" if panel["drawing"].sums else " of the quality"
            said = [POINTS.format(what), f"Front: {'; '.join(panel['front'])}.", panel["left"], panel["where"]]
            said += [SUMS] if panel["drawing"].sums else []
            about = f"pareto-{view['dataset']}-{panel['title']}"
            yield _figure(suite, about, title, panel["drawing"], panel["values"], said)


def _figure(suite: Suite, about: str, title: str, drawing: Any, values: list[Value], said: list[str],
            y: str = "") -> PaperFigure:  # fmt: skip
    """A figure whose caption ends with the conditions, as below a table."""
    plain = [replace(value, best=False) for value in values]
    shown = {"dataset", "label", "latent_size", *_told_apart(values)}
    caption = [f"{title}.", *said, *_incomplete(values), *notes(suite, plain, shown)]
    return PaperFigure(_slug(about), drawing, y, words(title, 200), tuple(part for part in caption if part))


def _told_apart(values: list[Value]) -> list[str]:
    """The axes that the figure's legend names."""
    return [axis for axis in ("net", "likelihood") if len({value.at.get(axis) for value in values} - {None, ""}) > 1]


def _incomplete(values: list[Value]) -> list[str]:
    """Seeds that are missing behind a point or line, with the reason."""
    found = []
    named = entries([Who.at(value.at) for value in values])
    for value in values:
        if not value.complete:
            why = "; ".join(gap_texts(value) or dict.fromkeys(c.reason for c in value.group.planned if c.reason))
            size = f", latent {value.at['latent_size']}" if value.at.get("latent_size") is not None else ""
            count = f"{len(value.seeds)} of {value.planned} seeds"
            found.append(f"{named[Who.at(value.at)]}{size}: {count}{f' ({why})' if why else ''}")
    return [f"Incomplete: {' · '.join(found)}."] if found else []


def _slug(text: str) -> str:
    """A file name that LaTeX and every file system take: lower case, so that no two differ in case alone."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower())[:100].strip("-")


def _tex(suite: Suite, found: list[PaperFigure]) -> str:
    head = [
        "% needs \\usepackage{graphicx}, and \\graphicspath{{path/to/this/folder/}} where it is not the document's",
        f"% {len(found)} figures of the suite {suite.name}, one column (3.25 in) wide at their natural size",
    ]
    return "\n".join([*head, "", *(_environment(suite, one) for one in found)])


def _environment(suite: Suite, one: PaperFigure) -> str:
    label = re.sub(r"[^A-Za-z0-9:-]", "-", f"{suite.name}:{one.name}")
    caption = " ".join(map(escape_latex, one.caption))
    return "\n".join([
        r"\begin{figure}", r"\centering", rf"\includegraphics{{{one.name}.pdf}}",
        rf"\caption[{{{escape_latex(one.title)}}}]{{{caption}}}", rf"\label{{fig:{label}}}", r"\end{figure}", "", "",
    ])  # fmt: skip
