"""Fronts, trends, variants, definitions, citations, and the whole in one file: what each says and leaves out."""

import base64
import csv
import hashlib
import io
import itertools
import json
import random
import re
from html.parser import HTMLParser
from urllib.parse import unquote_to_bytes

import pytest
import synthetic
import test_report
from bench.report.charts import pareto, trends
from bench.report.charts.colours import colours
from bench.report.charts.model import Axis, Line, LineChart, Mark, PointChart
from bench.report.charts.pareto import front
from bench.report.charts.scales import log_ticks, scale
from bench.report.charts.svg import line_chart, point_chart, shape_path
from bench.report.data import load
from bench.report.pages import bibtex, methods, variant
from bench.report.pages import suite as suite_page
from bench.report.pages.html import paragraphs
from bench.report.site import environment
from bench.report.tables import format_tables
from bench.report.tables.build import build
from bench.report.tables.names import configuration_text, format_number
from conftest import run_bench
from PIL import Image

from bench import registry, report

# -- fronts


@pytest.mark.parametrize("lower", list(itertools.product([True, False], repeat=2)))
def test_the_front_is_all_that_nothing_beats(lower):
    draw = random.Random(1)  # noqa: S311
    for _ in range(50):
        points = [(draw.randint(0, 5), draw.randint(0, 5)) for _ in range(draw.randint(1, 12))]
        turned = [tuple(v if low else -v for v, low in zip(p, lower, strict=True)) for p in points]
        wanted = {
            i for i, (x, y) in enumerate(turned)
            if not any(a <= x and b <= y and (a, b) != (x, y) for a, b in turned)
        }  # fmt: skip
        found = front(points, lower)
        assert set(found) == wanted
        assert [points[i][0] for i in found] == sorted(points[i][0] for i in found)


def test_a_logarithmic_axis_has_equal_steps_for_equal_factors():
    axis = scale([1.0, 10.0, 100.0], Axis("x", log=True), 0, 300)
    assert axis(10) - axis(1) == pytest.approx(axis(100) - axis(10))
    assert {1.0, 10.0, 100.0} <= set(axis.marks)
    assert scale([5.0], Axis("x", log=True), 0, 300)(5.0) == pytest.approx(150)


@pytest.mark.parametrize("high", [1.5, 9, 80, 4000, 1e7])
def test_a_logarithmic_axis_has_two_to_seven_ticks(high):
    assert 1 <= len(log_ticks(1.2, high)) <= 7


def with_terms(root, cells, rec=100.0, off=0.0):
    """Done cells whose last epoch's test terms add up to −ELBO, but for `off`."""
    for index, cell in enumerate(cells):
        record = synthetic.make_record(cell, "demo")
        kl = 5.0 + index
        record["metrics"]["elbo"]["value"] = -(rec + kl + off)
        folder = synthetic.write_record(root, "demo", record, artefacts=False)
        (folder / "history.csv").write_text(f"epoch,test_rec,test_kl\n1,999,999\n2,{rec},{kl}\n")
    synthetic.write_suite(root, "demo", [(cell, None) for cell in cells])
    return load(root, "demo")


def panels_of(suite):
    hues = colours(suite.groups)
    return {panel["title"]: panel for view in pareto.views(suite, build(suite), hues) for panel in view["panels"]}


def test_rate_and_distortion_are_the_last_epochs_test_terms(tmp_path):
    cells = [synthetic.make_cell(label=label, seed=seed) for label in ("vae", "beta_vae") for seed in range(2)]
    suite = with_terms(tmp_path, cells)
    assert [pareto.rate_distortion(group.cells[0].record) for group in suite.groups] == [(100.0, 5.0), (100.0, 7.0)]
    panel = panels_of(suite)["Rate and distortion"]
    assert panel["front"] == ["VAE"]  # net and latent size are the same for all
    assert "VAE: 100, 5.5" in panel["chart"]


def test_terms_that_do_not_add_up_to_the_elbo_are_no_rate_and_distortion(tmp_path):
    cells = [synthetic.make_cell(label=label, seed=0) for label in ("vae", "beta_vae")]
    assert "Rate and distortion" not in panels_of(with_terms(tmp_path, cells, off=10.0))


def test_elbos_under_two_likelihoods_share_no_drawing(tmp_path):
    cells = [synthetic.make_cell(label=label, likelihood=likelihood) for likelihood in ("bernoulli", "gaussian")
             for label in ("vae", "beta_vae")]  # fmt: skip
    titles = [title for title in panels_of(with_terms(tmp_path, cells)) if title.startswith("Rate")]
    assert titles == ["Rate and distortion, Bernoulli", "Rate and distortion, Gaussian"]


def changed(root, change):
    """Records changed in place by `change(record)`."""
    for path in root.glob("demo/*/record.json"):
        record = json.loads(path.read_text())
        change(record)
        path.write_text(json.dumps(record))
    return load(root, "demo")


def test_seconds_of_two_machines_share_no_drawing(tmp_path):
    synthetic.write(tmp_path, "demo", artefacts=False, sizes=(2,), pca=False)

    def elsewhere(record):
        record["provenance"]["device"] = "gpu" if record["cell"]["net"] == "conv" else "cpu"

    suite = changed(tmp_path, elsewhere)
    views = pareto.views(suite, build(suite), {})
    seconds = [panel for view in views for panel in view["panels"] if panel["title"] == "MSE and training seconds"]
    assert [panel["where"] for panel in seconds] == ["Measured on cpu, 1 thread.", "Measured on gpu, 1 thread."]
    assert "Conv" not in seconds[0]["chart"]


def test_training_seconds_are_those_of_the_fastest_seed(tmp_path):
    """A seed beside which the machine did other work says nothing about its method."""
    synthetic.write(tmp_path, "demo", artefacts=False, sizes=(2,), pca=False)

    def slow(record):
        record["timings"]["train"] = 345.0 if record["cell"]["seed"] else 2.8

    marks = panels_of(changed(tmp_path, slow))["MSE and training seconds"]["drawing"].marks
    assert [mark.x for mark in marks] == pytest.approx([2.8] * len(marks))


def test_a_closed_form_that_trains_nothing_has_no_place_among_parameters(tmp_path):
    synthetic.write(tmp_path, "demo", artefacts=False, sizes=(2,))

    def closed(record):
        record["training"]["parameters"] = 0 if record["cell"]["variant"] == "pca" else 1000

    panels = panels_of(changed(tmp_path, closed))
    assert "PCA" not in panels["MSE and parameters"]["chart"]
    assert "PCA" in panels["MSE and training seconds"]["chart"]


def test_higher_is_better_where_the_metric_says_so(tmp_path):
    suite = (synthetic.write(tmp_path, "demo", artefacts=False, sizes=(2,), pca=False), load(tmp_path, "demo"))[1]
    panel = panels_of(suite)["kNN accuracy and parameters"]
    values = {tuple(dict(row).values()): table.cells[row, column].summary.mean
              for table in build(suite, "knn_accuracy") for row in table.rows for column in table.columns}  # fmt: skip
    label, net = max(values, key=values.get)
    assert panel["front"] == [configuration_text({"label": label, "net": net, "latent_size": None})]


# -- trends


def test_a_trend_has_a_dot_a_seed_and_a_line_a_configuration(tmp_path):
    synthetic.write(tmp_path, "demo", artefacts=False, sizes=(2, 4, 16), pca=False)
    suite = load(tmp_path, "demo")
    [view] = trends.views(suite, build(suite, "mse"), {})
    chart = view["panels"][0]["chart"]
    assert chart.count("h0") == 4 * 3 * 3
    assert chart.count("<polyline") == 4
    assert chart.count('class="bar') == 4


def test_one_latent_size_is_no_trend(tmp_path):
    synthetic.write(tmp_path, "demo", artefacts=False, sizes=(2,))
    suite = load(tmp_path, "demo")
    assert trends.views(suite, build(suite), {}) == []


# -- variants and definitions


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    root = tmp_path_factory.mktemp("results")
    synthetic.write(root, "one", points=20, sizes=(2,), nets=("mlp",))
    synthetic.write(root, "two", artefacts=False, sizes=(16,), labels=("vae", "beta_vae"), nets=("conv",), pca=False)
    return root


@pytest.fixture(scope="module")
def site(results, tmp_path_factory):
    return report.build(results, tmp_path_factory.mktemp("site")).parent


def test_a_variants_page_has_its_method_its_reference_and_its_results_of_every_suite(site, results):
    text = " ".join(test_report.Page(site / "variants" / "vae.html").text.split())
    for words in ("The method vae.", "loss = rec + kl", "Auto-Encoding Variational Bayes", "Which autoencoder"):
        assert words in text
    for suite in ("one", "two"):
        [table] = build(load(results, suite), "mse")
        value, column = next((v, c) for (row, c), v in table.cells.items() if v.at["variant"] == "vae")
        assert format_number(value.summary.mean, table.decimals[column]) in text
    tags = test_report.Page(site / "variants" / "vae.html").tags
    links = {a["href"] for tag, a in tags if tag == "a" and "href" in a}
    assert {"../suites/one/index.html", "../suites/two/index.html"} <= links


def test_a_legend_draws_a_method_without_a_net_in_the_shape_of_its_marks(tmp_path):
    synthetic.write(tmp_path, "demo", points=20)
    suite = load(tmp_path, "demo")
    hues = colours(suite.groups)
    [view] = pareto.views(suite, build(suite), hues)
    outlines = {entry["label"]: entry["outline"] for entry in view["legend"]["labels"]}
    [shape] = {m.shape for p in view["panels"] for m in p["drawing"].marks if m.who.label == "pca"}
    assert outlines == {"ae": "", "vae": "", "pca": shape_path(shape, 0, 0)}
    assert shape not in {m.shape for p in view["panels"] for m in p["drawing"].marks if m.who.net}


def test_metrics_are_separated_by_commas_or_given_one_by_one(results, tmp_path):
    printed = [run_bench("table", "one", "--results", str(results), *asked, cwd=tmp_path).stdout
               for asked in (("--metric", "mse, elbo"), ("--metric", "mse", "--metric", "elbo"))]  # fmt: skip
    assert printed[0] == printed[1]
    assert "mse" in printed[0]
    assert "elbo" in printed[0]


def test_every_variant_has_a_page_and_the_first_page_leads_to_it(site):
    links = {a["href"] for tag, a in test_report.Page(site / "index.html").tags if tag == "a" and "href" in a}
    pages = {f"variants/{path.name}" for path in (site / "variants").iterdir()}
    assert pages == {f"variants/{name}.html" for name in ("ae", "beta_vae", "pca", "vae")}
    assert pages <= links


@pytest.mark.parametrize("name", ["../../etc", "a/b", ".", "VAE", "", "x" * 500, "con\u202e", "<b>"])
def test_a_variants_name_is_never_a_path(name):
    file = variant.file_name(name)
    assert re.fullmatch(r"[A-Za-z0-9_-]{1,60}", file)
    assert file.lower() != variant.file_name("vae")


def test_ticks_do_not_touch_the_title_of_the_vertical_axis():
    low, high = 0.03745, 0.03768
    charts = [
        line_chart(LineChart((Line("a", 0, [1, 2], [low, high]),), "epoch", "MSE", "a")),
        point_chart(PointChart((Mark("a", 0, 1, low), Mark("b", 1, 2, high)), (), Axis("s"), Axis("MSE"), "a")),
    ]
    for drawn in charts:
        ticks = re.findall(r'class="tick" x="([\d.]+)" y="[\d.]+" text-anchor="end">([^<]+)', drawn)
        assert max(len(text) for _, text in ticks) >= 6
        assert all(float(x) - 6.4 * len(text) > 14 for x, text in ticks), ticks


def test_the_definitions_name_every_metric_the_code_has_with_its_unit(results):
    grouped = methods.metrics([load(results, "one")])
    found = {metric["name"]: metric for _, metrics in grouped for metric in metrics}
    assert set(registry.names("metrics")) <= set(found)
    for name in registry.names("metrics"):
        assert found[name]["unit"]
        assert found[name]["about"].get("doc") or found[name]["about"].get("summary")
    assert found["mse"]["measured"]
    assert not found["psnr"]["measured"]


def test_the_protocol_is_that_of_the_cells(site):
    text = " ".join(test_report.Page(site / "metrics.html").text.split())
    assert "Nearest neighbours (k) 5 one, two" in text
    assert "Perplexity of t-SNE 30.0 one, two" in text


# -- standings


def standings_of(site):
    """Metric -> the cells below it, of the standings of a suite's page; {} where there are none."""
    text = (site / "suites" / "demo" / "index.html").read_text(encoding="utf-8")
    if '<section id="standings">' not in text:
        return {}
    section = text.split('<section id="standings">')[1].split("</section>")[0]
    heads = re.findall(r'<a href="../../metrics.html#metric-(\w+)">', section)
    rows = [re.findall(r"<td[^>]*>(.*?)</td>", row) for row in section.split("<tbody>")[1].split("<tr>")[1:]]
    return dict(zip(heads, zip(*rows, strict=True), strict=True))


def test_standings_over_two_datasets_are_those_of_the_command(tmp_path):
    grid = {"datasets": ("mnist", "digits"), "nets": ("mlp",), "sizes": (2,), "seeds": 20}
    synthetic.write(tmp_path, "demo", **grid, artefacts=False, pca=False)
    found = standings_of(report.build(tmp_path, tmp_path / "site").parent)
    assert "elbo" not in found  # one of the two rows has none
    assert "fid" not in found
    lines = list(csv.DictReader(io.StringIO(report.table(tmp_path, "demo", "csv", "mse", ranked=True))))
    for label, cell in zip(("ae", "vae"), found["mse"], strict=True):
        line = next(line for line in lines if line["label"] == label)
        iqm, low, high, rank = (float(line[name]) for name in ("iqm", "iqm_low", "iqm_high", "average_rank"))
        assert cell.replace("−", "-") == f'{iqm:.3f} [{low:.3f}, {high:.3f}]<span class="why">rank {rank:.2f}</span>'


def test_one_data_set_or_one_that_has_not_run_has_no_standings(tmp_path):
    synthetic.write(tmp_path / "a", "demo", nets=("mlp",), artefacts=False)
    assert standings_of(report.build(tmp_path / "a", tmp_path / "site").parent) == {}
    synthetic.write(tmp_path / "b", "demo", lambda cell: ("done", None) if cell["dataset"] == "mnist" else (None, None),
                    datasets=("mnist", "digits"), nets=("mlp",), artefacts=False, pca=False)  # fmt: skip
    assert standings_of(report.build(tmp_path / "b", tmp_path / "site").parent) == {}


# -- citations


@pytest.mark.parametrize("kind", ["variants", "metrics"])
def test_every_component_with_a_paper_cites_an_entry_of_the_same_paper(kind):
    for name in registry.names(kind):
        constants = registry.describe(kind, name).constants
        reference, key = constants.get("reference", ""), constants.get("cite", "")
        assert bool(key) == ("https://" in reference), name
        if key:
            found = bibtex.entry(kind, name, {})
            assert found.startswith(("@article{", "@inproceedings{", "@misc{")), name
            [address] = re.findall(r"url = \{(.*)\},", found)
            [year] = re.findall(r"year = \{(\d{4})\},", found)
            title = " ".join(re.findall(r"title = \{\{(.*?)\}\}", found, re.DOTALL)[0].split())
            assert all(part in reference for part in (address, year, title)), name


def test_every_entry_is_cited_and_has_balanced_braces():
    keys = {registry.describe(kind, name).constants.get("cite")
            for kind in ("variants", "metrics") for name in registry.names(kind)}  # fmt: skip
    assert set(bibtex.references()) == keys - {None, ""}
    assert all(text.count("{") == text.count("}") for text in bibtex.references().values())


def test_an_old_record_is_cited_by_the_entry_of_the_code_and_another_paper_by_its_line():
    old = "Hinton & Salakhutdinov, Science 313, 2006, https://doi.org/10.1126/science.1127647"
    assert "Reducing the Dimensionality" in bibtex.entry("variants", "ae", {"reference": old})
    for name in ("vae", "a_plugin", ["no name"]):
        assert "note = {Hinton \\& Salakhutdinov, Science 313, 2006}," in bibtex.entry(
            "variants", name, {"reference": old}
        )


def test_what_no_one_published_is_not_cited():
    assert bibtex.entry("metrics", "mse", {}) == ""


@pytest.mark.parametrize(
    "text", ["a } b {{ c, T, 2020", "\\input{/etc/passwd}, T, 2020", "%, #, 2020, https://x.org/\\a"]
)
def test_hostile_references_stay_inside_their_braces(text):
    found = bibtex.entry("variants", "a_plugin", {"reference": text})
    body = found[found.index("{") :]
    depths = list(itertools.accumulate((c == "{") - (c == "}") for c in body))
    assert min(depths[:-3]) >= 1
    assert depths[-1] == 0
    assert "\\input" not in found


def test_a_tables_citations_have_one_entry_a_key(site):
    for path in site.rglob("*.bib"):
        keys = re.findall(r"^@\w+\{(.*),$", path.read_text(encoding="ascii"), re.MULTILINE)
        assert len(keys) == len(set(keys))
        assert keys[0].startswith("bench-")


# -- one file


class Document(HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.tags, self.blocks, self.open = [], {}, None
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        self.open = tag if tag in ("script", "style") and "type" not in dict(attrs) else None

    def handle_endtag(self, tag):
        self.open = None

    def handle_data(self, data):
        if self.open:
            self.blocks[self.open] = self.blocks.get(self.open, "") + data


@pytest.fixture(scope="module")
def single(results, tmp_path_factory):
    return report.build_single(results, tmp_path_factory.mktemp("single") / "all.html").read_text(encoding="utf-8")


def test_one_file_holds_every_page_and_every_link_leads_into_it(single, site):
    document = Document(single)
    ids = [a["id"] for _, a in document.tags if "id" in a]
    assert len(ids) == len(set(ids))
    articles = [a for tag, a in document.tags if tag == "article" and a.get("class") == "page"]
    assert len(articles) == len(list(site.rglob("*.html")))
    for tag, attributes in document.tags:
        for target in (attributes.get("href"), attributes.get("src")):
            if target and target.startswith("#"):
                assert target[1:].split("?")[0] in ids, target  # what follows is the state of the tables
            elif target and not target.startswith("data:"):
                assert (tag, attributes.get("rel")) == ("a", "noreferrer"), target


def test_one_file_allows_its_own_style_and_script_and_nothing_else(single):
    document = Document(single)
    [policy] = [a["content"] for t, a in document.tags if a.get("http-equiv") == "Content-Security-Policy"]
    for kind in ("style", "script"):
        digest = base64.b64encode(hashlib.sha256(document.blocks[kind].encode()).digest()).decode()
        assert f"{kind}-src 'sha256-{digest}'" in policy
    assert policy.startswith("default-src 'none'")
    assert "unsafe" not in policy
    assert not [a for _, a in document.tags if "style" in a or any(name.startswith("on") for name in a)]


def test_one_file_of_the_same_records_has_the_same_bytes(single, results, tmp_path):
    assert report.build_single(results, tmp_path / "again.html").read_text(encoding="utf-8") == single


def test_one_file_holds_every_picture_once_and_says_where_else_it_is_shown(single, site):
    tags = Document(single).tags
    held = [a["src"] for tag, a in tags if tag == "img" and "src" in a]
    assert len(held) == len(set(held))
    ids = {a["id"] for tag, a in tags if tag == "img" and "src" in a}
    others = [a["data-picture"] for _, a in tags if "data-picture" in a]
    assert others
    assert set(others) <= ids
    shown = [a["src"] for path in site.rglob("*.html") for tag, a in test_report.Page(path).tags if tag == "img"]
    assert len(held) + len(others) == len(shown)
    pictures = [path for path in site.rglob("suites/*/*/*") if path.suffix in (".png", ".svg")]
    assert len(set(held)) <= len({path.read_bytes() for path in pictures})


def test_a_picture_in_one_file_is_the_one_that_the_site_shows_there(single, site):
    tags = Document(single).tags
    held = {a["id"]: a["src"] for tag, a in tags if tag == "img" and "src" in a}
    found = {a["alt"]: a.get("src") or held[a["data-picture"]] for tag, a in tags if tag == "img"}
    folders = [path for path in site.rglob("*.html") if path.parent.parent.parent.name == "suites"]
    for path in folders:
        for attributes in (a for tag, a in test_report.Page(path).tags if tag == "img"):
            head, content = found[attributes["alt"]].split(",", 1)
            data = base64.b64decode(content) if head.endswith(";base64") else unquote_to_bytes(content)
            assert data == (path.parent / attributes["src"]).read_bytes()


def test_a_moving_picture_of_one_file_asks_for_nothing_beside_it(tmp_path):
    cells = synthetic.write(tmp_path, "demo", points=20, sizes=(2,), labels=("vae",), nets=("mlp",), seeds=1, pca=False)
    folder = tmp_path / "demo" / synthetic.cell_id(cells[0])
    frames = [Image.new("L", (56, 28), shade) for shade in (0, 255)]
    frames[0].save(folder / "interpolations.png")
    frames[0].save(folder / "interpolations_moving.gif", save_all=True, append_images=frames[1:])
    tags = Document(report.build_single(tmp_path, tmp_path / "x.html").read_text(encoding="utf-8")).tags
    sources = [a for tag, a in tags if tag == "source"]
    assert sources
    assert all("srcset" not in a for a in sources)
    assert {a["data-picture"] for a in sources} <= {a["id"] for tag, a in tags if tag == "img" and "src" in a}


def test_hostile_text_stays_text_in_one_file(tmp_path):
    test_report.hostile_site(tmp_path / "results")
    text = report.build_single(tmp_path / "results", tmp_path / "x.html").read_text(encoding="utf-8")
    document = Document(text)
    assert {t for t, a in document.tags if t == "script" and "type" not in a} == {"script"}
    assert text.count("<script>") == 1
    assert text.count("</style>") == 1
    assert "alert(1)" not in document.blocks["script"]


def test_the_verb_writes_one_file_and_says_where(results, tmp_path):
    done = run_bench("report", "--results", str(results), "--out", str(tmp_path / "pages"), "--single-file", check=True)
    assert done.stdout.strip() == str(tmp_path / "pages.html")
    assert [path.name for path in tmp_path.iterdir()] == ["pages.html"]


# -- building again


def test_where_nothing_changed_nothing_is_written_and_what_is_gone_comes_back(results, tmp_path):
    report.build(results, tmp_path)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*") if path.is_file()}
    report.build(results, tmp_path)
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*") if path.is_file()} == before
    page = tmp_path / "variants" / "vae.html"
    content = page.read_bytes()
    page.unlink()
    report.build(results, tmp_path)
    assert page.read_bytes() == content


def test_a_changed_suite_file_is_noticed(tmp_path):
    synthetic.write(tmp_path / "results", "demo", artefacts=False, sizes=(2,), seeds=1)
    site = report.build(tmp_path / "results", tmp_path / "site").parent
    fields = {"title": "Another question"}
    synthetic.write(tmp_path / "results", "demo", artefacts=False, sizes=(2,), seeds=1, fields=fields)
    report.build(tmp_path / "results", tmp_path / "site")
    assert "Another question" in (site / "index.html").read_text(encoding="utf-8")


def test_the_page_of_a_thousand_cells_stays_below_two_megabytes(tmp_path):
    synthetic.write(tmp_path, "big", artefacts=False, datasets=("mnist", "digits"), nets=("mlp", "conv"), seeds=5,
                    labels=tuple(f"method {k}" for k in range(10)), sizes=(2, 4, 8, 16, 32), pca=False)  # fmt: skip
    suite = load(tmp_path, "big")
    assert len(suite.cells) == 1000
    page = suite_page.files(environment(), suite, build(suite), colours(suite.groups))["suites/big/index.html"]
    assert len(page) < 2_000_000


def test_names_of_code_in_a_reason_are_shown_as_code_and_without_backticks(tmp_path):
    def outcome(cell):
        return ("failed", "put `<b>weights</b>` & `k` there") if cell["label"] == "ae" else ("done", None)

    results = tmp_path / "results"
    synthetic.write(results, "demo", outcome, artefacts=False, sizes=(2,), nets=("mlp",), seeds=1, pca=False)
    site = report.build(results, tmp_path / "site").parent
    pages = {page: page.read_text(encoding="utf-8") for page in site.rglob("*.html")}
    shown = "put <code>&lt;b&gt;weights&lt;/b&gt;</code> &amp; <code>k</code> there"
    assert sum(shown in text for text in pages.values()) == 2  # of the suite and of the cell
    plain = "put &lt;b&gt;weights&lt;/b&gt; &amp; k there"
    assert [page.parent.name for page, text in pages.items() if plain in text] == ["demo"]
    assert not any("<b>weights" in text or "`k`" in text for text in pages.values())
    printed = format_tables(build(load(results, "demo")), "text")
    assert "failed: put <b>weights</b> & k there" in printed


def test_a_docstring_with_a_table_has_a_table_and_escaped_cells():
    made = str(paragraphs("Of `p`.\n\n| input | what |\n|---|---|\n| `a`, `b` | p(x|z) <i> |\n\n- a list\n- <b>"))
    assert re.findall(r"<th [^>]*>(.*?)</th>", made) == ["input", "what"]
    assert re.findall(r"<td[^>]*>(.*?)</td>", made) == [
        "<code>a</code>, <code>b</code>", "p(x|z) &lt;i&gt;"
    ]  # fmt: skip
    assert made.startswith("<p>Of <code>p</code>.</p>")
    assert made.endswith("<pre>- a list\n- &lt;b&gt;</pre>")
    assert "<table" not in str(paragraphs("| not | a table |"))
