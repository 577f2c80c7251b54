"""The figures of cells in the report: side by side over variants, each with its words, moving only when asked to."""

import io
import re
from html.parser import HTMLParser
from itertools import pairwise

import numpy as np
import pytest
import synthetic
from bench.report.data import load
from bench.report.pages.gallery import figures, galleries
from bench.report.pages.pictures import kind, read, read_all
from bench.report.tables.build import build
from browsing import IN_BROWSER
from PIL import Image

from bench import report
from bench.results.store import Store

SECTIONS = ("restored", "samples", "by-label", "manifolds", "interpolations", "identity")
DRAWN = {
    "restored_square_40.webp": (582, 291), "restored_training.png": (290, 87), "by_label_prior.png": (232, 290),
    "manifold.png": (348, 348), "interpolations.png": (323, 145), "identity.png": (64, 64),
    "identity_clipped.png": (64, 64),
}  # fmt: skip


def still(size):
    return Image.fromarray(np.random.default_rng(0).integers(0, 256, size[::-1], dtype=np.uint8))


def film(path, size=(145, 29)):
    first, *rest = [still(size).point(lambda v, k=k: v // (k + 1)) for k in range(3)]
    first.save(path, save_all=True, append_images=rest, duration=100, loop=0)


def add_figures(folder, names=DRAWN, moving=True):
    for name in names:
        still(DRAWN[name]).save(folder / name)
    if moving:
        film(folder / "interpolations_moving.gif")


class Tags(HTMLParser):
    """All start tags with their attributes, and the sections, folds and links that each stands in."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.open = [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        attributes = dict(attrs)
        self.tags.append((tag, attributes, [*self.open]))
        if tag in ("section", "details", "a", "picture"):
            self.open.append((tag, attributes))

    def handle_endtag(self, tag):
        if tag in ("section", "details", "a", "picture"):
            self.open.pop()

    def within(self, section, tag="img"):
        return [a for t, a, around in self.tags
                if t == tag and any(o[1].get("id") == section for o in around if o[0] == "section")]  # fmt: skip


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    root = tmp_path_factory.mktemp("results")
    synthetic.write(root, "demo", points=20, sizes=(2,), labels=("ae", "vae"), nets=("mlp",), seeds=2)
    synthetic.write(root, "old", points=20, sizes=(2,), labels=("vae",), nets=("mlp",), seeds=1, pca=False)
    for record in Store(root).records("demo"):
        add_figures(record.folder)
    return root


@pytest.fixture(scope="module")
def site(results, tmp_path_factory):
    return report.build(results, tmp_path_factory.mktemp("site")).parent


def page(site, name):
    return Tags((site / "suites" / name / "index.html").read_text(encoding="utf-8"))


def first_seeds(results):
    return [r for r in Store(results).records("demo") if r.cell["seed"] == 0]


def test_every_kind_of_figure_stands_side_by_side_over_all_variants_with_their_first_seed(site, results):
    tags, cells = page(site, "demo"), first_seeds(results)
    assert len(cells) == 3
    for section, file in (
        ("restored", "restored_square_40.webp"), ("restored", "restored_training.png"), ("samples", "samples_gmm.png"),
        ("by-label", "by_label_prior.png"), ("manifolds", "manifold.png"), ("interpolations", "interpolations.png"),
        ("identity", "identity.png"), ("identity", "identity_clipped.png"),
    ):  # fmt: skip
        shown = [a["src"] for a in tags.within(section) if a["src"].endswith(f"/{file}")]
        assert sorted(shown) == sorted(f"{c.id}/{file}" for c in cells), section
    linked = {a["href"] for t, a, _ in tags.tags if t == "a" and str(a.get("href")).startswith("#")}
    assert {f"#{section}" for section in SECTIONS} <= linked


def test_samples_stand_by_method_and_size_prior_first_with_their_distance_and_files_of_all_seeds(results):
    suite = load(results, "demo")
    [view] = galleries(suite, build(suite))
    assert [entry["method"] for entry in view["entries"]] == ["AE", "VAE", "PCA"]
    assert [shown["kind"].title for shown in view["sections"]["samples"]] == [
        "Codes from the prior",
        "Codes from the GMM",
    ]
    sheets = view["sections"]["samples"][1]
    assert [row["head"]["text"] for row in sheets["rows"]] == ["AE", "VAE", "PCA"]  # wide pictures
    [table] = build(suite, "fcd_gmm")
    shown = [row["cells"][0]["value"] for row in sheets["rows"]]
    assert shown == [f"FCD {table.parts(row, table.printed_columns[0]).text}" for row in table.rows]
    [by_label] = view["sections"]["by-label"]
    assert [head["text"] for head in by_label["heads"]] == ["AE", "VAE", "PCA"]
    assert [row["head"]["text"] for row in by_label["rows"]] == ["d = 2"]
    wanted = " ".join(f"{cell.seed}:{cell.id}/samples_gmm.png" for cell in suite.groups[0].cells)
    assert sheets["rows"][0]["cells"][0]["seeds"] == wanted


def test_a_cells_page_shows_every_figure_with_its_words_and_its_caption(site, results):
    [cell] = [c for c in first_seeds(results) if c.cell["label"] == "vae"]
    text = (site / "suites/demo" / cell.id / "index.html").read_text(encoding="utf-8")
    shown = {a["src"]: a["alt"] for t, a, _ in Tags(text).tags if t == "img"}
    for path in read_all(cell):
        assert shown[path.file] == f"{path.kind.says}: VAE, MLP, MNIST, d = 2, seed 0"
        assert (site / "suites/demo" / cell.id / path.file).read_bytes() == path.data
    assert "Images decoded from a grid over the plane of the codes. VAE, MLP, MNIST, d = 2, seed 0" in text


def test_a_film_is_loaded_from_a_closed_fold_and_less_motion_gets_the_strip(site, results):
    for tags in (page(site, "demo"), page(site, f"demo/{first_seeds(results)[0].id}")):
        films = [(a, around) for t, a, around in tags.tags if t == "img" and a["src"].endswith(".gif")]
        assert films
        for attributes, around in films:
            folds = [o[1] for o in around if o[0] == "details"]
            assert "open" not in folds[-1]
            assert attributes["loading"] == "lazy"
            assert not [o for o in around if o[0] == "a"]  # the arrow keys of the viewer never come to it
            assert around[-1][0] == "picture"
        for source in [a for t, a, _ in tags.tags if t == "source"]:
            assert source["media"] == "(prefers-reduced-motion: reduce)"
            assert source["srcset"].endswith("interpolations.png")


def test_a_film_without_its_strip_is_not_shown(tmp_path):
    synthetic.write(tmp_path / "r", "x", points=20, sizes=(2,), labels=("vae",), nets=("mlp",), seeds=1, pca=False)
    [record] = Store(tmp_path / "r").records("x")
    film(record.folder / "interpolations_moving.gif")
    assert [f["name"] for f in figures(read_all(record))] == ["reconstructions", "samples_gmm", "samples_prior"]
    site = report.build(tmp_path / "r", tmp_path / "s").parent
    assert ".gif" not in (site / "suites/x/index.html").read_text()


def test_records_without_the_figures_have_neither_sections_nor_links_to_them(site):
    tags = page(site, "old")
    ids = {a["id"] for t, a, _ in tags.tags if t == "section"}
    assert {"reconstructions", "samples", "maps"} <= ids
    assert not ids & {"restored", "by-label", "manifolds", "interpolations", "identity"}
    assert not [a for t, a, _ in tags.tags if t == "a" and a.get("href") in ("#manifolds", "#interpolations")]


def test_headings_do_not_jump(site, results):
    for name in ("demo", f"demo/{first_seeds(results)[0].id}"):
        levels = [int(t[1]) for t, _, _ in page(site, name).tags if re.fullmatch(r"h[1-6]", t)]
        assert all(after <= before + 1 for before, after in pairwise(levels))


def test_photographs_are_cut_into_originals_and_reconstructions_in_their_own_format(tmp_path):
    synthetic.write(tmp_path / "r", "x", points=20, sizes=(2,), labels=("vae",), nets=("mlp",), seeds=1, pca=False)
    [record] = Store(tmp_path / "r").records("x")
    (record.folder / "reconstructions.png").unlink()
    picture = Image.fromarray(np.vstack([np.full((20, 60, 3), 250, np.uint8), np.full((20, 60, 3), 10, np.uint8)]))
    picture.save(record.folder / "reconstructions.webp", quality=90)
    site = report.build(tmp_path / "r", tmp_path / "s").parent
    for name, shade in (("originals", 250), ("restored", 10)):
        with Image.open(site / "suites/x" / record.id / f"{name}.webp") as half:
            assert half.size == (60, 20)
            assert np.asarray(half).mean() == pytest.approx(shade, abs=4)
    shown = [a["src"] for a in page(site, "x").within("reconstructions")]
    assert shown == [f"{record.id}/originals.webp", f"{record.id}/restored.webp"]


def test_a_file_that_is_not_what_its_name_says_is_no_picture(tmp_path):
    buffer = io.BytesIO()
    still((8, 8)).save(buffer, "PNG")
    for name in ("a.gif", "b.webp", "c.bmp", "D.png", "e.f.png", "-.png"):
        (tmp_path / name).write_bytes(buffer.getvalue())
        assert read(tmp_path / name) is None, name
    (tmp_path / "f.png").write_bytes(buffer.getvalue())
    assert read(tmp_path / "f.png").width == 8


def test_of_one_picture_in_two_formats_one_is_shown(tmp_path):
    synthetic.write(tmp_path, "x", points=20, sizes=(2,), labels=("vae",), nets=("mlp",), seeds=1, pca=False)
    [record] = Store(tmp_path).records("x")
    still((232, 232)).save(record.folder / "samples_prior.webp")
    assert [p.file for p in read_all(record) if p.name == "samples_prior"] == ["samples_prior.png"]


def test_a_name_that_nobody_knows_speaks_for_itself_and_stands_in_no_gallery():
    assert (kind("my_own_figure").says, kind("my_own_figure").section) == ("my own figure", "")
    assert kind("restored_something_new").title == "something new"
    assert kind("by_label_gmm").says == "Samples by label, a row a class, codes from the GMM"


class TestInABrowser:
    pytestmark = IN_BROWSER

    def test_another_seed_is_shown_everywhere_in_a_gallery(self, page, site, results):
        other = next(r for r in Store(results).records("demo") if r.cell["seed"] == 1 and r.cell["label"] == "ae")
        page.goto((site / "suites/demo/index.html").as_uri() + "#samples")
        page.evaluate("document.querySelector('#samples details').open = true")
        page.locator("#samples select").select_option("1")
        link = page.locator("#samples a[data-seeds]").first
        assert link.get_attribute("href") == f"{other.id}/samples_prior.png"
        assert link.locator("img").get_attribute("src") == link.get_attribute("href")
        assert link.get_attribute("data-caption").endswith("seed 1")
        assert set(page.locator("#samples .seed-shown").all_inner_texts()) == {"1", "1: not there"}  # PCA has one

    @pytest.mark.parametrize(
        ("motion", "wanted"), [("no-preference", "interpolations_moving.gif"), ("reduce", "interpolations.png")]
    )
    def test_a_film_is_fetched_when_its_fold_is_opened(self, browser, site, results, motion, wanted):
        context = browser.new_context(reduced_motion=motion)
        opened, fetched = context.new_page(), []
        opened.on("request", lambda request: fetched.append(request.url.rsplit("/", 1)[-1]))
        opened.goto((site / "suites/demo" / first_seeds(results)[0].id / "index.html").as_uri())
        image = opened.locator("details.moving img")
        assert image.evaluate("i => i.currentSrc") == ""
        opened.locator("details.moving summary").click()
        image.scroll_into_view_if_needed()
        opened.wait_for_function("document.querySelector('details.moving img').naturalWidth > 0")
        assert image.evaluate("i => i.currentSrc").endswith(f"/{wanted}")
        assert ("interpolations_moving.gif" in fetched) == (motion == "no-preference")
        context.close()
