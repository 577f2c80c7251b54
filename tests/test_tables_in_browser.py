"""The tools above a suite's tables: filters, metric switches, sorting, copies; the address keeps the state."""

import pytest
import synthetic
from bench.report.data import load
from bench.report.tables import check
from bench.report.tables.build import build
from bench.report.tables.model import PrintedColumn
from bench.report.tables.names import row_texts
from browsing import IN_BROWSER, copied, visit

from bench import report

pytestmark = IN_BROWSER

AXES = {"datasets": ("mnist", "digits"), "labels": ("ae", "vae", "beta_vae"), "sizes": (2, 16)}


def outcome(cell):
    """One seed failed, one cell of the other dataset was not run."""
    if (cell["label"], cell["net"], cell["seed"], cell["dataset"]) == ("vae", "conv", 2, "mnist"):
        return "failed", "out of memory"
    return (None, None) if (cell["label"], cell["seed"], cell["dataset"]) == ("ae", 1, "digits") else ("done", None)


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    root = tmp_path_factory.mktemp("results")
    synthetic.write(root, "demo", outcome, artefacts=False, **AXES)
    return root


@pytest.fixture(scope="module")
def site(results, tmp_path_factory):
    return report.build(results, tmp_path_factory.mktemp("site")).parent


@pytest.fixture
def suite(page, site):
    visit(page, site / "suites" / "demo" / "index.html")
    page.evaluate(
        "document.querySelectorAll('details.group, details.filters').forEach((group) => { group.open = true; })"
    )
    return page


def test_all_groups_of_metrics_but_the_first_are_folded_and_a_summary_stands_above(page, site):
    visit(page, site / "suites" / "demo" / "index.html")
    opened = page.locator("#tables details.group").evaluate_all("groups => groups.map((group) => group.open)")
    assert len(opened) > 1
    assert opened == [True] + [False] * (len(opened) - 1)
    assert page.locator("#summary h3").inner_text().startswith("Summary: ")
    assert page.locator("#summary tbody tr").count() > 1


def seen(page, metric, index=0):
    """The visible rows and cells of a metric's table: row heads, and cells as (text, bold)."""
    table = page.locator(f"section[data-metric={metric}]:visible table").nth(index)
    return table.evaluate("""t => [...t.tBodies[0].rows].filter((row) => row.checkVisibility()).map((row) => [
        [...row.querySelectorAll("th")].map((th) => th.textContent),
        [...row.querySelectorAll("td")].filter((td) => td.checkVisibility()).map((td) => {
          const kept = td.cloneNode(true);
          kept.querySelectorAll(".seeds").forEach((e) => e.remove());
          return [kept.textContent.trim().replace(/\\s+/g, " "), Boolean(td.querySelector("strong"))];
        })])""")


def test_the_page_shows_the_texts_and_the_bold_of_the_command(suite, results):
    [table] = build(load(results, "demo"), "mse")

    def cell(row, column):
        parts = table.parts(row, PrintedColumn(column))
        return [parts.text + parts.marks, parts.best]

    assert seen(suite, "mse") == [[row_texts(row), [cell(row, c) for c in table.columns]] for row in table.rows]


def test_a_filter_hides_rows_and_the_address_and_a_reload_keep_it(suite):
    before = seen(suite, "mse")
    suite.locator("input[data-only=label]").fill("vae")
    found = seen(suite, "mse")
    assert found == [row for row in before if "VAE" in row[0][0]]
    assert "only.label=vae" in suite.url
    suite.reload()
    suite.locator("[role=status]").get_by_text("hidden").wait_for()
    assert seen(suite, "mse") == found
    assert suite.locator("input[data-only=label]").input_value() == "vae"
    suite.get_by_role("button", name="Show all").click()
    assert seen(suite, "mse") == before
    assert suite.url.endswith("#tables")


def test_filters_take_whole_words_alternatives_and_numbers_and_hide_columns(suite):
    before = seen(suite, "mse")
    suite.locator("input[data-only=label]").fill("=vae, ae")
    suite.locator("input[data-only=latent_size]").fill("16")
    heads = suite.locator("section[data-metric=mse]:visible thead tr").last.inner_text()
    assert "d = 16" in heads
    assert "d = 2" not in heads
    spans = suite.locator("section[data-metric=mse]:visible th.span")
    assert [spans.nth(i).evaluate("th => th.colSpan") for i in range(spans.count())] == [1, 1]
    suite.locator("input[data-only=label]").fill("=vae")
    assert seen(suite, "mse") == [[heads, cells[1::2]] for heads, cells in before if heads[0] == "VAE"]


def test_a_filter_on_the_dataset_hides_the_tables_of_the_others(suite):
    tables = suite.locator("section[data-metric=fcd]:visible")
    assert tables.count() == 2  # too wide for one: a table per dataset
    suite.locator("input[data-only=dataset]").fill("=digits")
    assert [tables.nth(i).get_attribute("data-dataset") for i in range(tables.count())] == ["Digits"]
    suite.locator("input[data-only=dataset]").fill("nothing")
    assert suite.locator("#tables section[data-metric] table:visible").count() == 0


def test_a_head_sorts_up_then_down_then_restores_the_order_also_by_keyboard(suite):
    before = seen(suite, "mse")
    for turn, way in enumerate(("ascending", "descending")):
        head = suite.locator("section[data-metric=mse]:visible thead tr").last.locator("button.sort").nth(2)
        head.focus()
        suite.keyboard.press("Enter")
        suite.locator(f"section[data-metric=mse]:visible th[aria-sort={way}]").wait_for()
        values = [float(cells[0][0].split(" ")[0]) for _, cells in seen(suite, "mse") if cells[0][0][0].isdigit()]
        assert values == sorted(values, reverse=turn == 1)
        assert suite.evaluate("document.activeElement.closest('th')?.getAttribute('aria-sort')") == way
    assert "sort=" in suite.url
    suite.reload()
    suite.locator("th[aria-sort=descending] button").click()
    assert seen(suite, "mse") == before
    assert suite.url.endswith("#tables")


def test_rows_are_sorted_by_their_names_and_a_missing_number_comes_last(suite):
    heads = suite.locator("section[data-metric=elbo]:visible thead tr").last.locator("button.sort")
    heads.nth(0).click()
    names = [row[0][0] for row in seen(suite, "elbo")]
    assert names == sorted(names)
    heads.nth(2).click()
    texts = [cells[0][0] for _, cells in seen(suite, "elbo")]
    numbers = [text.startswith("−") for text in texts]
    assert numbers == sorted(numbers, reverse=True)
    assert not all(numbers)


def test_metrics_are_hidden_by_their_switches(suite):
    suite.locator("input[data-metric=elbo]").uncheck()
    assert suite.locator("section[data-metric=elbo]:visible").count() == 0
    assert suite.locator("section[data-metric=mse]:visible").count() == 1
    assert "hide=elbo" in suite.url


COPIES = {"LaTeX": "latex", "Markdown": "markdown", "CSV": "csv", "JSON": "json", "text": "text"}


def test_the_copies_are_the_output_of_the_command_also_of_a_filtered_table(suite, results):
    suite.locator("input[data-only=label]").fill("vae")
    section = suite.locator("section[data-metric=mse]:visible")
    for word, form in COPIES.items():
        text = copied(suite, section.get_by_role("link", name=word))
        assert text == report.table(results, "demo", form, "mse")
        if form != "text":
            [found] = check.verify(results, text)
            assert (found.differences, found.table_id) == ([], found.table_id_now)


def test_the_site_in_one_file_filters_and_copies_alike(page, results, tmp_path):
    visit(page, report.build_single(results, tmp_path / "site.html"), "#suites.demo--tables?only.label=%3Dvae")
    assert {heads[0] for heads, _ in seen(page, "mse")} == {"VAE"}
    link = page.locator("section[data-metric=mse]:visible").get_by_role("link", name="LaTeX")
    assert copied(page, link) == report.table(results, "demo", "latex", "mse")


def test_bibtex_is_copied(suite, site):
    wanted = next((site / "suites" / "demo" / "tables").glob("*-demo-mse.bib")).read_text()
    assert wanted.startswith("@misc{bench-demo-")
    assert copied(suite, suite.locator("section[data-metric=mse]").get_by_role("link", name="BibTeX")) == wanted


def test_a_link_to_another_place_of_the_page_keeps_the_filters_in_the_address(suite):
    suite.locator("input[data-only=label]").fill("vae")
    suite.locator(".contents").get_by_role("link", name="All cells").click()
    suite.wait_for_function("location.hash.includes('only.label=vae')")
    assert {heads[0] for heads, _ in seen(suite, "mse")} == {"VAE", "β-VAE"}


@pytest.mark.parametrize("fragment", [
    "#tables?sort=%5B%5B&digits=99&rows=evil", "#tables?only.__proto__=x&hide=,,", "#tables?sort=null",
    "#tables?sort=%7B%7D", '#tables?sort=["table-x",99,1]', "#tables?%", "#?",
])  # fmt: skip
def test_an_address_that_makes_no_sense_breaks_nothing(page, site, fragment):
    visit(page, site / "suites" / "demo" / "index.html", fragment)
    page.evaluate("document.querySelector('details.filters').open = true")
    page.locator("input[data-only=label]").fill("vae")
    assert page.locator("section[data-metric]:visible").count() > 0
