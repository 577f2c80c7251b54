"""The site in a real Chromium, opened from a file: what a reader does with it. Skipped where there is none."""

import json

import pytest
import synthetic
import test_report
from browsing import IN_BROWSER, copied, visit
from conftest import ROOT

from bench import report

pytestmark = IN_BROWSER

REFERENCES = [
    {"variant": "vae", "dataset": "mnist", "metric": "elbo", "value": -105.589, "latent_size": size, "net": "mlp",
     "source": "README of github.com/example/examples, vae (test loss 105.589 after 10 epochs)",
     "protocol": "cross-entropy summed over pixels in [0, 1], not binarised, plus the analytic KL; one sample an image",
     "comparable": True, "tolerance": 0.5, "because": "the same protocol, net, budget and images, word for word"}
    for size in (2, 16)
]  # fmt: skip


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    root = tmp_path_factory.mktemp("results")
    synthetic.write(root, "demo", points=60, sizes=(2, 16), labels=("ae", "vae"), nets=("mlp",),
                    fields={"references": REFERENCES})  # fmt: skip
    synthetic.write(root, "words", points=20, sizes=(2,), labels=("vae",), nets=("conv",), seeds=1,
                    fields={"title": "Something else entirely"})  # fmt: skip
    test_report.hostile_site(root)
    return root


@pytest.fixture(scope="module")
def site(results, tmp_path_factory):
    return report.build(results, tmp_path_factory.mktemp("site")).parent


@pytest.fixture(scope="module")
def single(results, tmp_path_factory):
    return report.build_single(results, tmp_path_factory.mktemp("single") / "all.html")


def test_every_kind_of_page_opens_from_a_file_with_its_style(page, site):
    cell = next(p for p in sorted((site / "suites" / "demo").iterdir()) if (p / "map_tsne.svg").exists())
    for path in ("index.html", "metrics.html", "suites/demo/index.html", f"suites/demo/{cell.name}/index.html"):
        visit(page, site / path)
        assert page.locator("h1").is_visible()
        assert page.evaluate("getComputedStyle(document.querySelector('main')).maxWidth") == "1184px"


def test_search_leaves_the_suites_that_hold_every_word(page, site):
    visit(page, site / "index.html")
    page.get_by_label("Search suites").fill("entirely SOMETHING")
    page.wait_for_url("**#search?q=entirely+SOMETHING")
    assert not page.locator("#board").is_visible()
    assert page.locator("#suites li:visible h3").all_inner_texts() == ["Something else entirely"]
    page.get_by_label("Search suites").fill("no such words")
    assert page.locator("#suites li:visible").count() == 0
    assert page.get_by_text("No suite matches.").is_visible()
    page.goto("about:blank")
    visit(page, site / "index.html", "#search?q=knn")
    assert page.locator("#metrics a:visible").all_inner_texts() == ["kNN accuracy"]


@pytest.mark.parametrize(("word", "kind"), [("LaTeX", "latex"), ("Markdown", "markdown"), ("CSV", "csv")])
def test_a_copied_table_is_what_the_command_prints(page, site, results, word, kind):
    visit(page, site / "suites" / "demo" / "index.html")
    section = page.locator("section.metric", has=page.get_by_role("heading", name="MSE"))
    assert copied(page, section.get_by_role("link", name=word)) == report.table(results, "demo", kind, "mse")


def test_copying_twice_works_twice(page, site, results):
    visit(page, site / "suites" / "demo" / "index.html")
    section = page.locator("section.metric", has=page.get_by_role("heading", name="MSE"))
    for word, kind in (("CSV", "csv"), ("LaTeX", "latex")):
        assert copied(page, section.get_by_role("link", name=word)) == report.table(results, "demo", kind, "mse")
        section.get_by_role("link", name=word).wait_for()


@pytest.mark.parametrize(("word", "kind"), [("LaTeX", "latex"), ("Markdown", "markdown"), ("CSV", "csv")])
def test_without_scripts_a_table_opens_as_a_text_file(plain_page, site, results, word, kind):
    visit(plain_page, site / "suites" / "demo" / "index.html")
    section = plain_page.locator("section.metric", has=plain_page.get_by_role("heading", name="MSE"))
    words = ["Open", "LaTeX", "Markdown", "CSV", "JSON", "text", "BibTeX"]
    assert section.locator(".copies").inner_text().split() == words
    link = section.get_by_role("link", name=word)
    target = site / "suites" / "demo" / link.get_attribute("href")
    assert target.read_text(encoding="utf-8") == report.table(results, "demo", kind, "mse")


def test_without_scripts_nothing_is_offered_that_needs_them(plain_page, site):
    visit(plain_page, site / "index.html")
    assert not plain_page.get_by_label("Search suites").is_visible()
    cell = next(p for p in sorted((site / "suites" / "demo").iterdir()) if (p / "map_tsne.svg").exists())
    visit(plain_page, cell / "index.html")
    assert plain_page.get_by_text("python -m bench run").is_visible()
    assert plain_page.locator("button:visible").count() == 0


def test_a_table_whose_script_is_gone_is_opened_instead(browser, results, tmp_path):
    site = report.build(results, tmp_path).parent
    for script in (site / "suites" / "demo" / "tables").glob("*-mse.js"):
        script.unlink()
    page = browser.new_page()
    visit(page, site / "suites" / "demo" / "index.html")
    section = page.locator("section.metric", has=page.get_by_role("heading", name="MSE"))
    with page.expect_event("request", lambda r: r.url.endswith("-mse.md")):
        section.get_by_role("link", name="Markdown").click()
    page.close()


@pytest.mark.parametrize("width", [1184, 1200])
def test_published_values_fit_a_desktop_page(page, site, width):
    page.set_viewport_size({"width": width, "height": 900})
    visit(page, site / "suites" / "demo" / "index.html")
    inner, outer = page.evaluate("""() => {
      const area = document.querySelector('#published .scroll');
      return [area.scrollWidth, area.clientWidth]; }""")
    assert inner <= outer


def test_on_paper_no_table_is_cut_off_and_nothing_that_is_clicked_is_left(page, site):
    page.emulate_media(media="print")
    page.set_viewport_size({"width": 718, "height": 1000})  # A4 less its margins, at 96 dpi
    visit(page, site / "suites" / "demo" / "index.html")
    assert page.evaluate("document.documentElement.scrollWidth") <= 718
    assert page.locator("button:not(.sort):visible, .copies:visible, .contents:visible, .tools:visible").count() == 0
    assert page.locator(".conditions").first.is_visible()
    assert page.locator("table.numbers").first.is_visible()


def test_a_picture_is_enlarged_and_the_keys_go_on_and_back_and_close(page, site):
    visit(page, site / "suites" / "demo" / "index.html")
    links = page.locator("#reconstructions details").first.locator("a.zoom")
    links.nth(1).click()
    caption = page.locator("dialog.viewer p")
    assert caption.inner_text() == f"{links.nth(1).get_attribute('data-caption')} (2 of {links.count()})"
    page.keyboard.press("ArrowRight")
    assert links.nth(2).get_attribute("data-caption") in caption.inner_text()
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("ArrowLeft")
    assert f"({links.count()} of {links.count()})" in caption.inner_text()
    page.keyboard.press("Escape")
    assert not page.locator("dialog.viewer").is_visible()


def test_pictures_and_maps_are_really_drawn(page, site):
    visit(page, site / "suites" / "demo" / "index.html")
    for image in page.locator("main img:visible").all():
        image.scroll_into_view_if_needed()
        page.wait_for_function("i => i.complete && i.naturalWidth > 0", arg=image.element_handle())


def test_pictures_of_the_one_file_are_drawn_where_they_are_shown_again(page, single):
    visit(page, single, "#suites.demo")
    page.evaluate("document.querySelectorAll('article.here-now details').forEach((fold) => { fold.open = true; })")
    again = page.locator("article.here-now img:visible")
    assert again.count() > 4
    for image in again.all():
        image.scroll_into_view_if_needed()
        page.wait_for_function("i => i.complete && i.naturalWidth > 0", arg=image.element_handle())
    link = page.locator("article.here-now a.zoom:visible").nth(1)
    link.click()
    page.wait_for_function("document.querySelector('dialog.viewer img').naturalWidth > 0")
    assert page.locator("dialog.viewer img").get_attribute("src") == link.locator("img").get_attribute("src")


def test_without_scripts_a_picture_of_the_one_file_is_on_its_cells_page_and_linked_elsewhere(plain_page, single):
    visit(plain_page, single, "#suites.demo")
    shown_again = plain_page.locator("#suites\\.demo a.zoom:has(img[data-picture]):visible").first
    name = shown_again.locator("img").get_attribute("data-picture")
    shown_again.click()
    held = plain_page.locator(f"#{name}")
    held.scroll_into_view_if_needed()
    assert held.is_visible()
    assert held.evaluate("async i => { await i.decode(); return i.naturalWidth; }") > 0


def test_the_metrics_of_a_cell_fit_their_page_however_long_a_reason_is(page, tmp_path):
    root = tmp_path / "results"
    synthetic.write(root, "demo", points=20, sizes=(2,), labels=("ae",), nets=("mlp",), seeds=1)
    path = next(root.glob("demo/*/record.json"))
    record = json.loads(path.read_text(encoding="utf-8"))
    name = next(iter(record["metrics"]))
    record["metrics"][name] |= {"value": None, "reason": "no weights of Inception-v3 under the data root, " * 8}
    path.write_text(json.dumps(record), encoding="utf-8")
    site = report.build(root, tmp_path / "site").parent
    visit(page, site / "suites" / "demo" / path.parent.name / "index.html")
    table = page.get_by_role("region", name="Metrics")
    assert "no weights of Inception-v3" in table.inner_text()
    assert table.evaluate("area => area.scrollWidth <= area.clientWidth")


def test_hostile_text_runs_nothing_and_is_seen(page, site):
    visit(page, site / "suites" / "bad" / "index.html")
    assert "<script>alert(1)</script></style>{{ 7*7 }}" in page.locator("h1").inner_text()
    assert page.evaluate("document.documentElement.scrollWidth") <= 1200
    visit(page, site / "metrics.html")
    assert "{{ 7*7 }}" in page.locator("main").inner_text()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out_from_its_ground(page, site, scheme):
    page.emulate_media(color_scheme=scheme)
    visit(page, site / "suites" / "demo" / "index.html")
    ratios = page.evaluate(CONTRAST)
    assert len(ratios) > 50
    assert min(ratios) >= 4.5


CONTRAST = """() => {
  const light = (c) => {
    const [r, g, b] = c.match(/[\\d.]+/g).map(Number).map((v) => v / 255)
      .map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const ground = light(getComputedStyle(document.body).backgroundColor);
  return [...document.querySelectorAll("main *")]
    .filter((e) => [...e.childNodes].some((n) => n.nodeType === 3 && n.data.trim()) && e.offsetParent)
    .map((e) => {
      const ink = light(getComputedStyle(e).color);
      return (Math.max(ink, ground) + 0.05) / (Math.min(ink, ground) + 0.05);
    });
}"""


UNNAMED = """() => [...document.querySelectorAll("a, button, input, summary, [role=img], [role=region]")]
  .filter((e) => !(e.textContent.trim() || e.getAttribute("aria-label") || e.getAttribute("aria-labelledby")
                   || e.querySelector("img[alt]") || e.labels?.length)).map((e) => e.outerHTML)"""


def test_a_phone_scrolls_tables_and_not_the_page(page, site):
    page.set_viewport_size({"width": 375, "height": 700})
    for path in ("index.html", "metrics.html", "suites/demo/index.html", "suites/bad/index.html"):
        visit(page, site / path)
        assert page.evaluate("document.documentElement.scrollWidth") <= 375


def test_what_can_be_operated_has_a_name_and_every_table_head_a_scope(page, site):
    visit(page, site / "suites" / "demo" / "index.html")
    assert page.evaluate(UNNAMED) == []
    assert page.locator("th:not([scope])").count() == 0
    assert page.evaluate("document.querySelectorAll('h1').length") == 1
    ids = page.evaluate("[...document.querySelectorAll('[id]')].map((e) => e.id)")
    assert len(ids) == len(set(ids))


def test_the_largest_suite_fits_six_screens_and_its_summary_the_width(page, tmp_path):
    site = report.build(ROOT / "results", tmp_path, ["mnist_all"]).parent
    page.set_viewport_size({"width": 1280, "height": 900})
    for path, table in (("index.html", "#board .scroll"), ("suites/mnist_all/index.html", "#summary .scroll")):
        visit(page, site / path)
        assert page.locator(table).evaluate_all("areas => areas.every(area => area.scrollWidth <= area.clientWidth)")
    assert page.evaluate("document.documentElement.scrollHeight") <= 6 * 900


# -- six questions of a stranger, each answered within three clicks from the first page


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    """The site of a published suite."""
    return report.build(ROOT / "results", tmp_path_factory.mktemp("published"), ["seed_playground"]).parent


def clicked(page, *places):
    """Click on each place in turn."""
    assert len(places) <= 3
    for place in places:
        place.click()


def the_suite(page):
    return page.locator("#suites h3 a")


def test_which_method_reconstructs_best_and_is_it_surely_better(page, published):
    """No click, or one that sorts: bold is the best and what cannot be distinguished from it."""
    visit(page, published / "index.html")
    assert "has the lowest MSE" in page.locator(".lead").first.inner_text()
    clicked(page, page.locator(".board").get_by_role("button", name="MSE").first)
    means = [float(cell.get_attribute("data-value"))
             for cell in page.locator(".board tbody tr:visible td:nth-of-type(1)[data-value]").all()]  # fmt: skip
    assert means == sorted(means)
    assert page.locator(".board tbody td:nth-of-type(1).best").count() > 0


def test_what_does_a_sample_of_a_vae_look_like_beside_one_of_an_autoencoder(page, published):
    visit(page, published / "index.html")
    clicked(page, the_suite(page), page.locator(".contents").get_by_role("link", name="Samples", exact=True))
    sheet = page.locator("#samples table.sheets").first
    heads = sheet.locator("thead th").all_inner_texts()
    assert {"AE", "VAE"} <= {head.strip().split(",")[0] for head in heads}
    assert sheet.locator("img").first.is_visible()


def test_what_is_fcd(page, published):
    visit(page, published / "index.html")
    clicked(page, page.locator("#metrics").get_by_role("link", name="FCD", exact=True))
    page.locator("#metric-fcd").wait_for(state="visible")  # a script opens the group it lies in
    assert "squared feature distance · lower is better" in page.locator("#metric-fcd").inner_text()


def test_how_was_this_number_made(page, published):
    visit(page, published / "index.html")
    clicked(page, page.locator(".board td[data-value] a").first)
    assert page.get_by_text("python -m bench run").is_visible()
    assert page.get_by_text("fingerprint", exact=False).first.is_visible()


def test_which_claims_failed(page, published):
    visit(page, published / "index.html")
    failed = page.locator("#suites .verdict-contradicted, #suites .verdict-not-supported").first
    clicked(page, failed)
    states = page.locator("#claims .claim:visible .state").all_inner_texts()
    assert {"contradicted", "not supported"} & set(states)


def test_give_me_the_latex(page, published):
    visit(page, published / "index.html")
    the_suite(page).click()
    text = copied(page, page.locator("#summary").get_by_role("link", name="LaTeX"))  # the second click
    assert text == (published / "suites" / "seed_playground" / "tables" / "summary.tex").read_text()
    assert r"\begin{tabular}" in text


def test_a_search_opens_the_groups_that_hold_a_definition_and_a_link_opens_its_own(page, site):
    visit(page, site / "metrics.html")
    assert page.locator(".definition:visible").count() == 0
    page.get_by_label("Search these definitions").fill("importance-weighted bound")
    shown = page.locator(".definition:visible").all_text_contents()
    assert shown
    assert all("importance-weighted" in text.lower() and "bound" in text.lower() for text in shown)
    page.get_by_label("Search these definitions").fill("")
    assert page.locator(".definition:visible").count() == 0
    visit(page, site / "metrics.html", "#metric-mse")
    assert page.locator("#metric-mse").is_visible()
