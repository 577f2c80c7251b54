r"""The charts, pictures and maps of a suite as figures for a paper: SVG, PDF, and captions in LaTeX.

    DIR/<suite>/figures.tex   a figure environment each, with its caption
    DIR/<suite>/<figure>.svg  <figure>.pdf

The same numbers, hues and views as on the site; the same records give the same bytes.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from bench.report.charts import pareto, trends
from bench.report.charts.colours import colours
from bench.report.charts.curves import Run, curves
from bench.report.charts.model import Drawing, Who
from bench.report.data import Suite, history, load, number, words
from bench.report.tables.build import build
from bench.report.tables.footnotes import notes
from bench.report.tables.latex import escape_latex
from bench.report.tables.model import Table
from bench.report.tables.names import reader_text
from bench.report.tables.values import Value, gap_texts, measure, without_code_marks
from matplotlib.figure import Figure

from bench import registry
from bench.errors import UsageError
from bench.results.store import Store

from . import pictures
from .mpl import figure, saved
from .style import Styles, entries

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
    "latent sizes. Ringed and joined: the front, the configurations that no other one equals or beats in both."
)
#: First words of the sentences that concern numbers, which pictures do not have
NUMBERS = ("Mean ±", "One training seed", "Incomplete:", "Each seed's value")
SUMS = "A thin line joins points of equal ELBO, which is written at the line."


@dataclass(frozen=True)
class PaperFigure:
    """A figure of a suite: the name of its files, what it shows, its title and the sentences of its caption."""

    name: str
    drawing: "Drawing | Callable[[], Figure]"
    y: str
    title: str
    caption: tuple[str, ...]


@registry.built_in_only()
def write_figures(results: Path, out: Path, suites: Sequence[str] | None = None) -> list[tuple[Path, int]]:
    """Write the figures of all suites under `results`, or of those named; each figures.tex with its number of figures.

    A suite without results to draw gets no file. Figures of earlier records are not removed.
    Raises `UsageError` for a suite without results or a folder that has none at all, and `ResultError` for unreadable
    records; then nothing is written.
    """
    names = list(dict.fromkeys(suites or Store(results).suites()))
    if not names:
        raise UsageError(f"no results of any suite under {results}: `bench run SUITE` computes them")
    loaded = [load(results, name) for name in names]
    return [(out / suite.name / "figures.tex", _write(suite, out / suite.name)) for suite in loaded]


def _write(suite: Suite, folder: Path) -> int:
    found, styles = figures(suite), styles_of(suite)
    if found:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "figures.tex").write_text(_tex(suite, found), encoding="ascii")
    for one in found:
        drawn = one.drawing() if callable(one.drawing) else figure(one.drawing, styles, one.y)
        for form in FORMS:
            (folder / f"{one.name}.{form}").write_bytes(saved(drawn, form, one.title))
    return len(found)


def styles_of(suite: Suite) -> Styles:
    """A style for each configuration of a suite."""
    return Styles(Who.at(group.at) for group in suite.groups)


def figures(suite: Suite) -> list[PaperFigure]:
    """All figures of a suite, in the order of its page, each with a file name of its own."""
    hues = colours(suite.groups)
    families = build(suite)
    made = [*_points(suite, families, hues), *_trends(suite, families, hues), *_curves(suite, hues),
            *_pictures(suite, families)]  # fmt: skip
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
    """The curves' last values: a caption states their seeds and settings."""
    group, records = run
    seed = {cell.id: cell.seed for cell in group.cells}
    last = {seed[record.id]: (history(record) or [{}])[-1].get(f"test_{term}") for record in records}
    seeds = {key: value for key, found in last.items() if (value := number(found)) is not None}
    return Value(group, seeds, at=group.at)


def _trends(suite: Suite, families: list[Table], hues: dict[str, int]) -> Iterator[PaperFigure]:
    for view in trends.views(suite, families, hues):
        for panel in view["panels"]:
            title = f"{panel['title']} over the latent size on {reader_text('dataset', view['dataset'])}"
            about = f"trend-{view['dataset']}-{panel['title']}"
            y = f"{panel['metric']}, {panel['drawing'].y.label}"
            yield _figure(suite, about, title, panel["drawing"], panel["values"], [TRENDS], y)


def _points(suite: Suite, families: list[Table], hues: dict[str, int]) -> Iterator[PaperFigure]:
    for view in pareto.views(suite, families, hues):
        for panel in view["panels"]:
            title = f"{panel['title']} on {reader_text('dataset', view['dataset'])}"
            what = "" if panel["drawing"].sums else " of the quality"
            sentences = [POINTS.format(what), f"Front: {'; '.join(panel['front'])}.", panel["left"], panel["where"]]
            sentences += [SUMS] if panel["drawing"].sums else []
            about = f"pareto-{view['dataset']}-{panel['title']}"
            yield _figure(suite, about, title, panel["drawing"], panel["values"], sentences)


def _pictures(suite: Suite, families: list[Table]) -> Iterator[PaperFigure]:
    """Reconstructions, samples and maps; the caption leaves out what concerns means over seeds."""
    for one in pictures.figures(suite, families):
        values = [measure(group, "mse") for group in one.groups]
        made = _figure(suite, one.name, one.title, one.draw, values, [*one.sentences])
        caption = tuple(text for text in made.caption if not text.startswith(NUMBERS))
        yield replace(made, caption=caption)


def _figure(suite: Suite, about: str, title: str, drawing: Any, values: list[Value], sentences: list[str],
            y: str = "") -> PaperFigure:  # fmt: skip
    """A figure with a caption that ends with the conditions of its values, as below a table."""
    plain = [replace(value, best=False) for value in values]
    shown = {"dataset", "label", "latent_size", *_varied_axes(values)}
    caption = [f"{title}.", *sentences, *_incomplete(values), *notes(suite, plain, shown)]
    return PaperFigure(_slug(about), drawing, y, words(title, 200), tuple(part for part in caption if part))


def _varied_axes(values: list[Value]) -> list[str]:
    """The axes in which the values differ, which the legend therefore names."""
    return [axis for axis in ("net", "likelihood") if len({value.at.get(axis) for value in values} - {None, ""}) > 1]


def _incomplete(values: list[Value]) -> list[str]:
    """A sentence on the seeds that are missing, with the reasons; none where all are there."""
    found = []
    named = entries([Who.at(value.at) for value in values])
    for value in values:
        if not value.complete:
            why = "; ".join(
                gap_texts(value) or dict.fromkeys(without_code_marks(c.reason) for c in value.group.planned if c.reason)
            )
            size = f", d = {value.at['latent_size']}" if value.at.get("latent_size") is not None else ""
            count = f"{len(value.seeds)} of {value.planned} seeds"
            found.append(f"{named[Who.at(value.at)]}{size}: {count}{f' ({why})' if why else ''}")
    return [f"Incomplete: {' · '.join(found)}."] if found else []


def _slug(text: str) -> str:
    """A file name for LaTeX and every file system: lower case, so that no two names differ in case only."""
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
