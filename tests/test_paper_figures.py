"""Figures for papers: the records' numbers, text as text whatever it holds, and the same bytes for the same records."""

import itertools
import json
import re
import shutil
import subprocess
import sys
from xml.etree import ElementTree

import numpy as np
import pytest
import synthetic
from bench.report.charts import pareto, trends
from bench.report.charts.colours import LIGHT, colours
from bench.report.charts.curves import curves
from bench.report.charts.model import LineChart, PointChart, TrendChart, Who
from bench.report.data import load
from bench.report.figures import figures, styles_of, write_figures
from bench.report.figures.mpl import figure, saved
from bench.report.figures.pictures import TILES
from bench.report.figures.style import entries, printable
from bench.report.tables.build import build
from bench.report.tables.names import row_texts
from conftest import ROOT, run_bench
from matplotlib.figure import Figure
from PIL import Image

from bench.errors import UsageError
from bench.evaluation.code_grids import STEPS
from bench.results.stats import summarise

HOSTILE = ["$x^{", "<script>alert(1)</script>", "\\input{/etc/passwd}", "_hidden", "%\\", "]", "שלום עולם"]


def outcome(cell):
    """One failed seed; everything else done."""
    failed = cell["label"] == "vae" and cell["net"] == "conv" and cell["seed"] == 2
    return ("failed", "out of memory") if failed else ("done", None)


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    root = tmp_path_factory.mktemp("results")
    synthetic.write(root, "demo", outcome, points=20)
    return root


@pytest.fixture(scope="module")
def written(results, tmp_path_factory):
    """The folder that `write_figures` made, and what it said."""
    out = tmp_path_factory.mktemp("figures")
    (told,) = write_figures(results, out)
    return out / "demo", told


@pytest.fixture(scope="module")
def suite(results):
    return load(results, "demo")


@pytest.fixture(scope="module")
def made(suite):
    return {one.name: one for one in figures(suite)}


def charts_among(found):
    """The figures that are charts; the others are of pictures."""
    return [one for one in found if not callable(one.drawing)]


def draw(suite, one) -> Figure:
    return figure(one.drawing, styles_of(suite), one.y)


def artists(fig, kind):
    """Everything drawn as "<kind>-<index>", by index."""
    found = {str(a.get_gid()): a for a in fig.axes[0].get_children()}
    return {int(gid.rsplit("-", 1)[1]): a for gid, a in found.items() if re.fullmatch(rf"{kind}-\d+", gid)}


def recorded(suite, who, metric, size):
    """A configuration's values in the records themselves."""
    return [r.metrics[metric]["value"] for r in suite.records
            if (r.cell["label"], r.cell["net"] or "", r.cell["latent_size"]) == (who.label, who.net, size)
            and r.status == "done"]  # fmt: skip


def labels_of(svg):
    """The words of all <text> elements."""
    tree = ElementTree.fromstring(svg)  # noqa: S314  (made here)
    return ["".join(element.itertext()).strip() for element in tree.iter("{http://www.w3.org/2000/svg}text")]


# -- numbers


def test_a_trend_has_the_means_intervals_and_every_seed_of_the_records(suite, made):
    one = made["trend-mnist-mse"]
    fig = draw(suite, one)
    assert len(one.drawing.trends) == 5
    for index, trend in enumerate(one.drawing.trends):
        mean, seeds = artists(fig, "mean")[index], artists(fig, "seeds")[index]
        bars = artists(fig, "interval").get(index)
        wanted = {size: recorded(suite, trend.who, "mse", size) for size in (2, 16)}
        assert mean.get_xdata().tolist() == [2, 16]
        assert mean.get_ydata() == pytest.approx([np.mean(wanted[size]) for size in (2, 16)])
        dots = sorted(zip(seeds.get_xdata(), seeds.get_ydata(), strict=True))
        assert dots == sorted((size, value) for size, values in wanted.items() for value in values)
        halves = [summarise(values).half_width for values in wanted.values()]
        ends = [(line[1][1] - line[0][1]) / 2 for line in bars.get_segments()] if bars else [None, None]
        assert ends == [None if half is None else pytest.approx(half) for half in halves]


def test_curves_are_means_over_seeds_with_a_band(suite, made):
    fig = draw(suite, made["curves-mnist-d-2-rec"])
    chart = made["curves-mnist-d-2-rec"].drawing
    index = next(i for i, line in enumerate(chart.lines) if line.who == Who("ae", "mlp", "bernoulli") and line.low)
    runs = [r.history() for r in suite.records
            if (r.cell["label"], r.cell["net"], r.cell["latent_size"]) == ("ae", "mlp", 2)]  # fmt: skip
    found = [summarise([float(rows[epoch]["test_rec"]) for rows in runs]) for epoch in range(8)]
    line, band = artists(fig, "mean")[index], artists(fig, "interval")[index]
    assert len(runs) == 3
    assert line.get_ydata() == pytest.approx([s.mean for s in found])
    heights = {round(y, 6) for y in band.get_paths()[0].vertices[:, 1]}
    assert {round(s.mean + sign * s.half_width, 6) for s in found for sign in (-1, 1)} <= heights


def test_points_are_the_means_with_their_seeds_and_front(suite, made):
    one = made["pareto-mnist-mse-and-training-seconds"]
    fig = draw(suite, one)
    for index, mark in enumerate(one.drawing.marks):
        values = recorded(suite, mark.who, "mse", int(mark.text))
        (x,), (y,) = artists(fig, "mean")[index].get_data()
        assert (x, y) == (pytest.approx(12.3), pytest.approx(np.mean(values)))
        if len(values) > 1:
            assert sorted(artists(fig, "seeds")[index].get_ydata()) == pytest.approx(sorted(values))
            low, high = artists(fig, "interval-y")[index].get_ydata()
            assert (high - low) / 2 == pytest.approx(summarise(values).half_width)
    assert set(artists(fig, "ring")) == set(one.drawing.on_front)


@pytest.mark.parametrize(("kind", "drawing"), [("curves", LineChart), ("trend", TrendChart), ("pareto", PointChart)])
def test_nothing_drawn_lies_outside_the_view_and_every_axis_is_named(suite, made, kind, drawing):
    for one in (one for name, one in made.items() if name.startswith(kind)):
        assert isinstance(one.drawing, drawing)
        axes = draw(suite, one).axes[0]
        assert axes.get_xlabel()
        assert axes.get_ylabel()
        for mean in artists(axes.figure, "mean").values() if kind != "curves" else ():
            assert min(axes.get_xlim()) <= min(mean.get_xdata()) <= max(mean.get_xdata()) <= max(axes.get_xlim())
            assert min(axes.get_ylim()) <= min(mean.get_ydata()) <= max(mean.get_ydata()) <= max(axes.get_ylim())


@pytest.mark.parametrize("sizes", [(2, 16), (2, 3, 4, 64), (1, 2, 4, 8, 16, 32, 64)])
def test_many_configurations_side_by_side_stay_apart_and_in_view(sizes, tmp_path):
    labels = tuple(f"v{k:02d}" for k in range(12))
    synthetic.write(tmp_path, "demo", labels=labels, sizes=sizes, seeds=2, artefacts=False)
    found = load(tmp_path, "demo")
    fig = draw(found, next(one for one in figures(found) if one.name == "trend-mnist-mse"))
    (axes,) = fig.axes
    places = [line.get_transform().transform(line.get_xydata()) for kind in ("mean", "seeds")
              for line in artists(fig, kind).values()]  # fmt: skip
    assert len(places) == 2 * 25
    assert all(axes.bbox.padded(0.1).contains(x, y) for xy in places for x, y in xy)
    rows = [sorted(xy[i][0] for xy in places[:25]) for i in range(len(sizes))]
    assert all(before[-1] < after[0] for before, after in itertools.pairwise(rows))
    assert all(len({round(x, 3) for x in row}) == 25 for row in rows)


def test_every_drawing_of_the_page_has_its_figure(suite, made, written):
    folder, told = written
    assert told == (folder / "figures.tex", len(made))
    wanted = {"figures.tex", *(f"{name}.{form}" for name in made for form in ("svg", "pdf"))}
    assert {path.name for path in folder.iterdir()} == wanted
    assert re.findall(r"\\includegraphics\{(.+)\.pdf\}", (folder / "figures.tex").read_text()) == list(made)
    families = build(suite)
    page = [view for module in (pareto, trends) for view in module.views(suite, families, colours(suite.groups))]
    charts = [panel["chart"] for view in page for panel in view["panels"]]
    charts += [
        panel["chart"]
        for view in curves(suite, colours(suite.groups))
        for row in view["rows"]
        for panel in row["panels"]
    ]
    assert len(charts_among(made.values())) == len(charts) > 15


# -- looks


def test_a_variant_keeps_its_hue_and_marker_and_a_net_its_stroke_and_fill(suite, made):
    looks, nets = {}, {}
    for name, one in ((one.name, one) for one in charts_among(made.values())):
        members = one.drawing.marks if name.startswith("pareto") else getattr(one.drawing, "trends", ())
        means = artists(draw(suite, one), "mean")
        for index, member in enumerate(members):
            looks.setdefault(member.who.label, set()).add((means[index].get_color(), means[index].get_marker()))
            nets.setdefault(member.who.net, set()).add(means[index].get_markerfacecolor() == "white")
    assert {label: len(found) for label, found in looks.items()} == {"ae": 1, "vae": 1, "pca": 1}
    assert {color for found in looks.values() for color, _ in found} == {
        LIGHT[n % 10] for n in colours(suite.groups).values()
    }
    assert len({marker for found in looks.values() for _, marker in found}) == 3
    assert (nets["mlp"], nets["conv"]) == ({False}, {True})


def test_a_figure_is_one_column_wide_with_text_of_seven_points_or_more(suite, made):
    for one in charts_among(made.values()):
        fig = draw(suite, one)
        assert fig.get_figwidth() == 3.25
        axes = fig.axes[0]
        assert {axes.xaxis.label.get_fontsize(), axes.yaxis.label.get_fontsize()} == {8.0}
        ticks = [*axes.get_xticklabels(), *axes.get_yticklabels(), *fig.legends[0].get_texts()]
        assert min(text.get_fontsize() for text in ticks) == 7.0
        assert fig.legends[0].get_window_extent().y1 < axes.get_tightbbox().y0 + 1
        assert fig.legends[0].get_window_extent().width <= fig.bbox.width


def test_a_legend_names_what_tells_configurations_apart():
    whos = [Who("vae", "mlp", "bernoulli"), Who("vae", "mlp", "gaussian"), Who("pca", "", "", "whiten=true")]
    assert list(entries(whos).values()) == ["VAE, Bernoulli", "VAE, Gaussian", "PCA, whiten=true"]


# -- files


def test_text_in_the_svg_is_text_and_fonts_in_the_pdf_are_embedded(suite, made):
    one = made["trend-mnist-mse"]
    fig = draw(suite, one)
    found = labels_of(saved(fig, "svg", one.title))
    assert {"latent size d", "2", "16", "VAE, MLP", "VAE, Conv", "PCA"} <= set(found)
    assert "squared pixel value in" in " ".join(found)
    pdf = saved(fig, "pdf", one.title)
    assert b"/FontFile2" in pdf
    assert b"/Type3" not in pdf


def test_the_same_records_give_the_same_bytes(tmp_path):
    synthetic.write(tmp_path / "results", "demo", points=20, sizes=(2,), nets=("mlp",))
    ((_, count),) = write_figures(tmp_path / "results", tmp_path / "a")
    arguments = ["report", "demo", "--results", str(tmp_path / "results"), "--figures", str(tmp_path / "b")]
    done = run_bench(*arguments, check=True, PYTHONHASHSEED="1", PYTHONWARNINGS="error")
    assert done.stdout == f"{tmp_path / 'b' / 'demo' / 'figures.tex'}: {count} figures\n"
    first, second = ({p.name: p.read_bytes() for p in (tmp_path / run / "demo").iterdir()} for run in "ab")
    assert first == second
    assert not any(b"CreationDate" in data or b"<dc:date>" in data for data in first.values())


def test_a_caption_tells_the_conditions_and_what_is_missing(written, suite):
    text = (written[0] / "figures.tex").read_text()
    captions = re.findall(r"\\caption.*", text)
    assert len(captions) == text.count(r"\begin{figure}")
    for caption in captions:
        assert "(n = " in caption or "Training seed 0" in caption
        assert "epochs 8" in caption
        assert "MNIST" in caption
        assert "measured 2026-03-01" in caption
        assert suite.digest[:12] in caption
    assert "VAE, Conv, d = 2: 2 of 3 seeds (failed: out of memory)" in text
    assert r"VAE, Conv, d = 2: 2 of 3 seeds" in next(c for c in captions if "Reconstruction term" in c)


def test_pictures_stand_in_figures_with_the_originals_the_distances_and_maps_side_by_side(suite, made, written):
    one = made["reconstructions-mnist"]
    fig = one.drawing()
    assert [text.get_text() for text in fig.texts][:2] == ["Test images", "AE, MLP, d = 2"]
    assert len(fig.texts) == len(fig.axes) == 1 + sum(bool(group.done) for group in suite.groups)
    assert {ax.images[0].get_array().shape[1] >= 300 * 2 for ax in fig.axes} == {True}
    sheets = made["samples-mnist-2-gmm"].drawing()
    below = [text.get_text() for ax in sheets.axes for text in ax.texts]
    [table] = build(suite, "fcd_gmm", dataset="mnist")
    column = next(c for c in table.printed_columns if "d = 2" in c.name)
    names = [", ".join(text for text in row_texts(row) if text != "–") for row in table.rows]
    numbers = [table.parts(row, column).text for row in table.rows]
    assert below == ["Test images", *(f"{name}\nFCD {text}" for name, text in zip(names, numbers, strict=True))]
    maps = made["maps-mnist-2"].drawing()
    assert len(maps.axes) == 3 * len(table.rows)
    for name in ("reconstructions-mnist", "samples-mnist-2-gmm", "maps-mnist-2"):
        assert b"/FontFile2" in (written[0] / f"{name}.pdf").read_bytes()
        assert f"{{{name}.pdf}}" in (written[0] / "figures.tex").read_text()


def test_interpolations_between_the_same_images_stand_in_one_figure_and_others_in_another(tmp_path):
    synthetic.write(tmp_path, "demo", points=20, labels=("ae", "vae"), nets=("mlp",), sizes=(2,), seeds=1)
    suite = load(tmp_path, "demo")
    rng = np.random.default_rng(0)
    ends = {"ae": rng.integers(0, 256, (3 * 5, 5)), "vae": rng.integers(0, 256, (3 * 5, 5))}
    ends["pca"] = ends["ae"]
    for group in suite.groups:
        strip = rng.integers(0, 256, (3 * 5, 11 * 5 + 4))
        strip[:, :5] = strip[:, -5:] = ends[str(group.at["label"])]
        Image.fromarray(strip.astype(np.uint8)).save(group.done[0].record.folder / "interpolations.png")
    found = [one for one in figures(load(tmp_path, "demo")) if one.name.startswith("interpolations")]
    shown = [[text.get_text() for text in one.drawing().texts] for one in found]
    assert shown == [["AE", "PCA"], ["VAE"]]
    drawn = found[0].drawing().axes[0].images[0].get_array()
    assert drawn.shape[1] / drawn.shape[0] == pytest.approx((11 * 5 + 4) / (2 * 5))  # the first two of three pairs
    assert "Training seed 0." in found[0].caption


def test_a_strip_has_as_many_images_as_the_evaluation_draws():
    assert TILES == STEPS + 2


def has_graphicx():
    if shutil.which("pdflatex") is None or shutil.which("kpsewhich") is None:
        return False
    return subprocess.run(["kpsewhich", "graphicx.sty"], capture_output=True).returncode == 0


@pytest.mark.skipif(not has_graphicx(), reason="no pdflatex with graphicx here")
def test_figures_tex_compiles_with_hostile_labels(tmp_path):
    axes = {"labels": HOSTILE, "nets": ("mlp",), "sizes": (2,), "seeds": 2, "pca": False}
    synthetic.write(tmp_path / "results", "demo", points=20, **axes)
    write_figures(tmp_path / "results", tmp_path / "out")
    lines = [r"\documentclass{article}", r"\usepackage{graphicx}", r"\begin{document}", r"\listoffigures",
             r"\input{figures}", r"\end{document}"]  # fmt: skip
    folder = tmp_path / "out" / "demo"
    (folder / "t.tex").write_text("\n".join(lines))
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "-no-shell-escape", "t.tex"]
    for _ in range(2):
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, errors="replace")
        assert done.returncode == 0, done.stdout[-2000:]


# -- hostile and odd input


def test_hostile_labels_are_shown_as_text(tmp_path):
    synthetic.write(tmp_path, "demo", points=20, labels=HOSTILE, nets=("mlp",), seeds=2, pca=False)
    found = load(tmp_path, "demo")
    pictures = next(one for one in figures(found) if callable(one.drawing)).drawing()
    assert any("<script>" in text.get_text() for text in pictures.texts)
    for one in charts_among(figures(found)):
        svg = saved(draw(found, one), "svg", one.title)
        shown = " ".join(labels_of(svg))
        wanted = [label for label in HOSTILE if "pareto" not in one.name or "rate" not in one.name]
        assert all(label in shown for label in wanted), one.name
        assert b"<script" not in svg
        assert saved(draw(found, one), "pdf", one.title).startswith(b"%PDF")


def test_an_endless_label_is_cut_so_that_the_legend_fits(tmp_path):
    synthetic.write(tmp_path, "demo", points=20, labels=("W" * 10_000, "i" * 10_000), nets=("mlp",), seeds=2, pca=False)
    found = load(tmp_path, "demo")
    for one in charts_among(figures(found)):
        fig = draw(found, one)
        assert fig.legends[0].get_window_extent().width <= fig.bbox.width
        assert all("…" in text.get_text() and len(text.get_text()) <= 80 for text in fig.legends[0].get_texts()[:1])


def test_a_character_that_the_font_lacks_is_named_by_its_number():
    assert printable("β か") == "β (U+304B)"


def test_data_of_names_that_no_file_can_have_get_files_of_their_own(tmp_path):
    synthetic.write(tmp_path / "results", "demo", points=20, datasets=("../../x", "..\\..\\X", "か"), nets=("mlp",),
                    labels=("vae",), sizes=(2,), seeds=2, pca=False)  # fmt: skip
    ((file, count),) = write_figures(tmp_path / "results", tmp_path / "out")
    names = [path.name for path in file.parent.iterdir()]
    assert len({name.lower() for name in names}) == 2 * count + 1
    assert all(re.fullmatch(r"[a-z0-9-]+\.(svg|pdf)|figures\.tex", name) for name in names)
    assert {path.name for path in tmp_path.iterdir()} == {"results", "out"}


def test_a_single_seed_and_a_single_epoch_are_drawn_without_intervals(tmp_path):
    synthetic.write(tmp_path, "demo", points=20, seeds=1, epochs=1)
    found = load(tmp_path, "demo")
    for one in charts_among(figures(found)):
        fig = draw(found, one)
        assert artists(fig, "mean")
        assert not artists(fig, "interval")
        assert any("so there is no interval" in part for part in one.caption)


def test_a_suite_without_results_draws_nothing_and_says_so(tmp_path):
    synthetic.write(tmp_path / "results", "demo", lambda cell: (None, None))
    done = run_bench("report", "--results", str(tmp_path / "results"), "--figures", str(tmp_path / "out"))
    assert (done.returncode, done.stdout) == (0, "demo: nothing to draw yet\n")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("arguments", [("no_such_suite",), ("demo", "--single-file"), ("demo", "--out", "site")])
def test_a_mistake_is_told_with_exit_code_2_and_nothing_is_written(results, tmp_path, arguments):
    done = run_bench("report", *arguments, "--results", str(results), "--figures", str(tmp_path / "out"))
    assert done.returncode == 2
    assert "no_such_suite" in done.stderr or "--figures" in done.stderr
    assert "Traceback" not in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_folder_without_any_results_is_refused(tmp_path):
    with pytest.raises(UsageError, match="no results of any suite"):
        write_figures(tmp_path / "nowhere", tmp_path / "out")


def test_the_site_is_built_without_matplotlib(results, tmp_path):
    code = ("import sys, report; from pathlib import Path; report.build(Path(sys.argv[1]), Path(sys.argv[2])); "
            "sys.exit('matplotlib' in sys.modules)")  # fmt: skip
    command = [sys.executable, "-c", code, str(results), str(tmp_path / "site")]
    assert subprocess.run(command, cwd=ROOT).returncode == 0


def test_a_record_with_hostile_numbers_does_not_break_a_figure(tmp_path):
    synthetic.write(tmp_path, "demo", points=20, nets=("mlp",))
    for path in sorted((tmp_path / "demo").glob("*/record.json"))[:2]:
        record = json.loads(path.read_text())
        record["metrics"]["mse"]["value"] = 1e299
        record["timings"]["train"] = "soon"
        path.write_text(json.dumps(record))
    found = load(tmp_path, "demo")
    made = {one.name: one for one in figures(found)}
    for name in ("trend-mnist-mse", "pareto-mnist-mse-and-training-seconds", "pareto-mnist-mse-and-parameters"):
        assert "PCA" in labels_of(saved(draw(found, made[name]), "svg", made[name].title))
