"""A reader's hands on a suite's tables: filter, sort, arrange, round, copy; the address holds it all, and the numbers
and bold marks are those that `bench table` prints for the same arrangement."""

import csv
import io
import json
import random

import latex_check
import pytest
import synthetic
from browsing import IN_BROWSER, copied, visit
from scipy import stats as scipy_stats

import report
from report.data import load
from report.digits import shown
from report.said import cell_parts, names
from report.tables import build

pytestmark = IN_BROWSER

AXES = {"datasets": ("mnist", "digits"), "labels": ("ae", "vae", "beta_vae"), "sizes": (2, 16)}


def outcome(cell):
    """One seed failed, one cell of the other dataset never ran."""
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
    return visit(page, site / "suites" / "demo" / "index.html")


def seen(page, metric, index=0):
    """The one visible table of a metric: its row heads, and its cells as (text, bold)."""
    table = page.locator(f"section[data-metric={metric}]:visible table").nth(index)
    return table.evaluate("""t => [...t.tBodies[0].rows].map((row) => [
        [...row.querySelectorAll("th")].map((th) => th.textContent),
        [...row.querySelectorAll("td")].map((td) => {
          const kept = td.cloneNode(true);
          kept.querySelectorAll(".seeds").forEach((e) => e.remove());
          return [kept.textContent.trim().replace(/\\s+/g, " "), Boolean(td.querySelector("strong"))];
        })])""")


def printed(table):
    """The same of a table as the command has it; "(2/3)" stands in the page beside the dots."""
    def cell(row, column):
        parts = cell_parts(table, row, column)
        return [parts.text + parts.marks, parts.best]

    return [[names(row), [cell(row, column) for column in table.columns]] for row in table.rows]


ARRANGEMENTS = [
    ("label,net", "dataset,member,latent_size"),
    ("label,net,dataset", "member,latent_size"),
    ("label", "net,dataset,latent_size,member"),
    ("dataset,latent_size", "label,net,member"),
    ("net,latent_size,member", "label,dataset"),
    ("label,net,dataset,latent_size", "member"),
]


@pytest.mark.parametrize(("rows", "columns"), ARRANGEMENTS)
def test_every_arrangement_has_the_numbers_the_marks_and_the_bold_of_the_command(page, site, results, rows, columns):
    visit(page, site / "suites" / "demo" / "index.html", f"#tables?rows={rows}&columns={columns}&digits=4")
    page.locator("[data-shown] table").first.wait_for()
    for metric in ("mse", "elbo"):
        [table] = build(load(results, "demo"), metric, rows.split(","), columns.split(","), precision=4)
        if len(table.columns) <= 6 or "dataset" not in table.column_axes:
            assert seen(page, metric) == printed(table)
            continue
        for index, dataset in enumerate(AXES["datasets"]):
            [table] = build(load(results, "demo"), metric, rows.split(","), columns.split(","), dataset, precision=4)
            assert seen(page, metric, index) == printed(table)


def test_the_digits_of_a_rearranged_table_are_those_of_the_command(page, site, results):
    visit(page, site / "suites" / "demo" / "index.html", "#tables?rows=dataset,label&columns=net,latent_size,member")
    page.locator("[data-shown] table").first.wait_for()
    [table] = build(load(results, "demo"), "mse", ["dataset", "label"], ["net", "latent_size", "member"])
    assert seen(page, "mse") == printed(table)


def test_a_filter_narrows_the_tables_and_the_address_and_a_reload_keeps_both(suite):
    before = len(seen(suite, "mse"))
    suite.locator("input[data-only=label]").fill("vae")
    suite.locator("[data-shown] table").first.wait_for()
    found = seen(suite, "mse")
    assert 0 < len(found) < before
    assert {heads[0] for heads, _ in found} == {"vae", "beta_vae"}
    assert "only.label=vae" in suite.url
    suite.reload()
    suite.locator("[data-shown] table").first.wait_for()
    assert seen(suite, "mse") == found
    assert suite.locator("input[data-only=label]").input_value() == "vae"


def test_a_whole_word_several_words_and_numbers_can_be_asked_for(suite):
    suite.locator("input[data-only=label]").fill("=vae, ae")
    suite.locator("input[data-only=latent_size]").fill("16")
    suite.locator("[data-shown] table").first.wait_for()
    heads = suite.locator("section[data-metric=mse]:visible thead tr").last.inner_text()
    assert "latent 16" in heads
    assert "latent 2" not in heads
    suite.locator("input[data-only=label]").fill("=vae")
    assert {heads[0] for heads, _ in seen(suite, "mse")} == {"vae"}


def test_what_a_filter_hides_still_counts_for_bold(suite, results):
    [table] = build(load(results, "demo"), "mse", precision=4)
    best = next(row for row in table.rows for c in table.columns if table.cells[row, c].best)
    other = next(label for label in ("ae", "vae", "beta_vae", "pca") if label != dict(best)["label"])
    suite.locator("input[data-only=label]").fill(f"={other}")
    suite.locator("[data-shown] table").first.wait_for()
    wanted = [any(table.cells[row, c].best for row in table.rows if dict(row)["label"] == other) for c in table.columns]
    found = seen(suite, "mse")
    assert [any(bold for _, bold in column) for column in zip(*(cells for _, cells in found), strict=True)] == wanted


def test_a_head_sorts_up_then_down_then_as_usual_and_by_keyboard(suite):
    usual = seen(suite, "mse")
    for turns, way in ((1, "ascending"), (2, "descending")):
        head = suite.locator("section[data-metric=mse]:visible thead tr").last.locator("button.sort").nth(2)
        head.focus()
        suite.keyboard.press("Enter")
        sorted_head = suite.locator(f"section[data-metric=mse]:visible th[aria-sort={way}]")
        sorted_head.wait_for()
        values = [float(cells[0][0].split(" ")[0]) for _, cells in seen(suite, "mse") if cells[0][0][0].isdigit()]
        assert values == sorted(values, reverse=turns == 2)
        assert suite.evaluate("document.activeElement.closest('th')?.getAttribute('aria-sort')") == way
    assert "sort=" in suite.url
    suite.reload()
    suite.locator("th[aria-sort=descending]").wait_for()
    suite.locator("th[aria-sort=descending] button").click()
    suite.locator("[data-usual]").wait_for()
    assert seen(suite, "mse") == usual
    assert suite.url.endswith("#tables")


def test_metrics_are_hidden_and_all_stand_in_one_table(suite):
    suite.get_by_text("Metrics", exact=True).click()
    suite.locator("input[data-metric=elbo]").uncheck()
    suite.locator("[data-shown] table").first.wait_for()
    assert suite.locator("section[data-metric=elbo]:visible").count() == 0
    suite.get_by_label("one table, a column a metric").check()
    suite.locator("section[data-metric='all metrics']").wait_for()
    assert suite.locator("[data-shown] table").count() == 1
    heads = suite.locator("[data-shown] thead").inner_text()
    assert "mse" in heads
    assert "elbo" not in heads
    suite.get_by_role("button", name="As usual").click()
    assert suite.locator("section[data-metric=elbo]:visible").count() > 0


def taken(page, metric, word, role="button"):
    """What is copied from a metric's table, rearranged ("button") or as usual ("link")."""
    section = page.locator(f"section[data-metric='{metric}']:visible").first
    return copied(page, section.get_by_role(role, name=word))


def test_a_rearranged_table_is_copied_as_the_command_prints_it_but_for_its_notes(page, site, results):
    visit(page, site / "suites" / "demo" / "index.html", "#tables?rows=label,net,dataset&columns=member,latent_size")
    page.locator("[data-shown] table").first.wait_for()
    text = taken(page, "mse", "Markdown")
    wanted = report.table(results, "demo", "markdown", "mse", "label,net,dataset", "member,latent_size")
    assert [x for x in text.splitlines() if x.startswith("|")] == [x for x in wanted.splitlines() if x.startswith("|")]
    assert "bench table demo --metric mse --rows label,net,dataset --columns member,latent\\_size" in text
    assert latex_check.complaints(taken(page, "mse", "LaTeX")) == []
    [table] = build(load(results, "demo"), "mse", ["label", "net", "dataset"], ["member", "latent_size"])
    lines = list(csv.DictReader(io.StringIO(taken(page, "mse", "CSV"))))
    assert [float(x["mean"]) for x in lines if x["mean"]] == [
        table.cells[r, c].summary.mean for r in table.rows for c in table.columns
        if (r, c) in table.cells and table.cells[r, c].summary
    ]  # fmt: skip


def test_a_filtered_table_says_that_it_is_not_the_whole(suite):
    suite.locator("input[data-only=label]").fill("vae_")
    suite.locator("input[data-only=label]").fill("vae")
    suite.locator("[data-shown] table").first.wait_for()
    assert "Not the whole table, only: variant vae. Bold is of the whole." in taken(suite, "mse", "Markdown")


def test_bibtex_is_copied_from_the_usual_and_from_a_rearranged_table(suite, site):
    wanted = next((site / "suites" / "demo" / "tables").glob("*-demo-mse.bib")).read_text()
    assert wanted.startswith("@misc{bench-demo-")
    assert taken(suite, "mse", "BibTeX", "link") == wanted
    suite.locator("select[name=digits]").select_option("3")
    suite.locator("[data-shown] table").first.wait_for()
    assert taken(suite, "mse", "BibTeX").split() == wanted.split()


def test_as_usual_again_the_copied_latex_is_the_commands_byte_for_byte(suite, results):
    suite.locator("select[name=digits]").select_option("3")
    suite.locator("[data-shown] table").first.wait_for()
    suite.get_by_role("button", name="As usual").click()
    assert taken(suite, "mse", "LaTeX", "link") == report.table(results, "demo", "latex", "mse")


def test_going_to_another_place_of_the_page_keeps_the_arrangement_in_the_address(suite):
    suite.locator("input[data-only=label]").fill("vae")
    suite.locator("[data-shown] table").first.wait_for()
    suite.locator(".contents").get_by_role("link", name="All cells").click()
    suite.wait_for_function("location.hash.includes('only.label=vae')")
    assert {heads[0] for heads, _ in seen(suite, "mse")} == {"vae", "beta_vae"}


@pytest.mark.parametrize("fragment", [
    "#tables?sort=%5B%5B&digits=99&rows=evil,label&columns=", "#tables?only.__proto__=x&hide=,,&one=2",
    "#tables?sort=null", "#tables?sort=%7B%7D&only.label=%3Cscript%3E", "#tables?%", "#?", "#tables?rows=label",
])  # fmt: skip
def test_an_address_that_makes_no_sense_breaks_nothing(page, site, fragment):
    visit(page, site / "suites" / "demo" / "index.html", fragment)
    page.locator("select[name=digits]").select_option("2")
    page.locator("[data-shown]").wait_for()
    assert page.locator("section[data-metric]:visible").count() > 0


def test_without_the_data_the_usual_tables_stay_and_it_is_said(browser, results, tmp_path):
    site = report.build(results, tmp_path).parent
    (site / "suites" / "demo" / "tables" / "data.js").unlink()
    page = visit(browser.new_page(), site / "suites" / "demo" / "index.html")
    page.locator("select[name=digits]").select_option("2")
    page.get_by_text("could not be loaded").wait_for()
    assert page.locator("[data-usual] table").first.is_visible()
    page.close()


def test_the_scripts_numbers_are_those_of_the_report(suite):
    draw = random.Random(0)  # noqa: S311
    cases = [(x, d) for d in (0, 1, 2, 4, 6) for x in (0.5, 1.5, 2.5, -0.125, 0.375, 1e7, 12345678.9, 1e-9, 0.0, -3.05)]
    cases += [(draw.uniform(-1, 1) * 10.0 ** draw.randint(-9, 9), draw.randint(0, 6)) for _ in range(500)]
    assert suite.evaluate("cases => cases.map(([x, d]) => shown(x, d))", cases) == [shown(x, d) for x, d in cases]


def test_the_scripts_p_values_are_those_of_scipy(suite):
    cases = [(t, f) for t in (0.0, 0.3, 1.0, 2.2, 4.303, 12.0, 200.0) for f in (1, 2, 2.7, 5, 30, 400)]
    found = suite.evaluate("cases => cases.map(([t, f]) => twoSided(t, f))", cases)
    assert found == pytest.approx([2 * scipy_stats.t.sf(t, f) for t, f in cases], rel=1e-9, abs=1e-300)


def test_the_data_beside_a_page_are_ascii_and_hold_every_seed(site, results):
    text = (site / "suites" / "demo" / "tables" / "data.js").read_bytes().decode("ascii")
    data = json.loads(text.removeprefix("benchView(").removesuffix(");\n"))
    [family] = [f for f in data["families"] if f["metric"] == "mse"]
    seeds = sum(len(value[7]) for value in family["values"] if not isinstance(value[4], str))
    assert seeds == sum(record.status == "done" for record in load(results, "demo").records)
