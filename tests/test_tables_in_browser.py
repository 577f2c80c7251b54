"""A reader's hands on a suite's tables: filter, sort, arrange, round, copy; the address holds it all, and the numbers
and bold marks are those that `bench table` prints for the same arrangement."""

import json
import random
from pathlib import Path

import latex_check
import pytest
import synthetic
from bench.report.data import load
from bench.report.tables import check
from bench.report.tables.digits import shown
from bench.report.tables.model import build
from bench.report.tables.said import cell_parts, names
from browsing import IN_BROWSER, copied, visit
from scipy import stats as scipy_stats

from bench import report

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


#: A fragment, a metric, and the flags of `bench table` that ask for the same.
SAID_BY_FLAGS = {
    "published": [
        ("rows=label,net,dataset&columns=member,latent_size", "mse",
         {"rows": "label,net,dataset", "columns": "member,latent_size"}),
        ("rows=member,latent_size&columns=dataset,label,net", "fcd",
         {"rows": "member,latent_size", "columns": "dataset,label,net", "dataset": "mnist"}),
        ("digits=2", "mse", {"precision": 2}),
        ("only.dataset=mnist&digits=0", "elbo", {"dataset": "mnist", "precision": 0}),
            ('sort=["mse",["mnist",2],0]', "mse", {"sort": "mnist, latent 2"}),
        ('sort=["elbo",["mnist",16],1]', "elbo", {"sort": "mnist, latent 16"}),
        ('sort=["mse","label",0]', "mse", {"sort": "name"}),
        ("digits=3", "fcd", {"dataset": "mnist", "precision": 3}),  # too wide: a table a dataset
    ],
    "keys": [
        ("rows=latent_size,label&columns=net,member,dataset", "elbo",
         {"rows": "latent_size,label", "columns": "net,member,dataset"}),
        ("digits=1&only.dataset=digits", "elbo", {"precision": 1, "dataset": "digits"}),
    ],
    "mnist_all": [
        ("rows=dataset,label&columns=latent_size,net,member", "mse",
         {"rows": "dataset,label", "columns": "latent_size,net,member"}),
        ("only.dataset==mnist", "fcd", {"dataset": "mnist"}),
        ('sort=["elbo",["mnist",16],1]&digits=1', "elbo", {"sort": "mnist, latent 16", "precision": 1}),
    ],
    "pytorch_vae_example": [
        ("rows=dataset,label&columns=net,member,latent_size", "elbo",
         {"rows": "dataset,label", "columns": "net,member,latent_size"}),
        ("digits=1", "silhouette", {"precision": 1}),
    ],
}  # fmt: skip


@pytest.fixture(scope="module")
def others(tmp_path_factory):
    """Suite -> (results, site): one with published values and odd words, one of two likelihoods, and committed ones."""
    made, site = tmp_path_factory.mktemp("made"), tmp_path_factory.mktemp("others")
    odd = AXES | {"labels": ("ae", "vae", 'a|b_c <i>, "名" --x (y)')}
    beside = {"dataset": "mnist", "latent_size": 2, "protocol": "", "source": "A & B_2, 2014"}
    references = [
        {"variant": "vae", "metric": "mse", "net": "mlp", "value": 0.039, "comparable": True, **beside},
        {"variant": "vae", "metric": "mse", "value": 0.0401, "comparable": True, **beside},
        {"variant": "ae", "metric": "elbo", "value": -130.25, "comparable": False, "because": "other data", **beside},
    ]
    fields = {"references": references, "overrides": ["title='Other, \"odd\"'"]}
    synthetic.write(made, "published", outcome, artefacts=False, fields=fields, **odd)
    cells = [cell for likelihood in ("bernoulli", "gaussian") for cell in
             synthetic.grid(likelihood=likelihood, nets=("mlp",), pca=False, datasets=AXES["datasets"])]  # fmt: skip
    for cell in cells:
        synthetic.write_record(made, "keys", synthetic.make_record(cell, "keys"), artefacts=False)
    synthetic.write_suite(made, "keys", [(cell, None) for cell in cells])
    committed = Path(__file__).parent.parent / "results"
    found = {}
    for root, some in ((made, ["published", "keys"]), (committed, ["mnist_all", "pytorch_vae_example"])):
        report.build(root, site / root.name, some)
        found |= dict.fromkeys(some, (root, site / root.name))
    return found


ASKED = [(suite, *case) for suite, cases in SAID_BY_FLAGS.items() for case in cases]


@pytest.mark.parametrize(("suite", "fragment", "metric", "flags"), ASKED)
def test_a_rearranged_table_is_copied_byte_for_byte_as_the_command_prints_it(
    page, others, suite, fragment, metric, flags
):
    results, site = others[suite]
    visit(page, site / "suites" / suite / "index.html", f"#tables?{fragment}")
    page.locator("[data-shown] table").first.wait_for()
    for word, form in (("LaTeX", "latex"), ("Markdown", "markdown"), ("CSV", "csv")):
        assert taken(page, metric, word) == report.table(results, suite, form, metric, **flags)


def test_a_pasted_copy_agrees_with_the_records_it_is_of(page, others):
    results, site = others["published"]
    path = site / "suites" / "published" / "index.html"
    visit(page, path, "#tables?rows=latent_size,label&columns=dataset,member,net")
    page.locator("[data-shown] table").first.wait_for()
    for word in ("LaTeX", "Markdown", "CSV"):
        [found] = check.verify(results, taken(page, "mse", word))
        assert found.differences == []
        assert found.checked > 0
        assert found.table_id == found.table_id_now


def test_a_table_of_the_site_in_one_file_is_copied_alike(page, results, tmp_path):
    visit(page, report.build_single(results, tmp_path / "site.html"), "#suites.demo--tables?digits=2&rows=net,label")
    page.locator("[data-shown] table").first.wait_for()
    assert taken(page, "mse", "LaTeX") == report.table(results, "demo", "latex", "mse", "net,label", precision=2)


def test_a_browser_without_digests_names_the_command_in_the_place_of_the_id(suite, results):
    suite.evaluate("Object.defineProperty(globalThis.crypto, 'subtle', {value: undefined})")
    suite.locator("select[name=digits]").select_option("3")
    suite.locator("[data-shown] table").first.wait_for()
    text = taken(suite, "mse", "Markdown")
    assert "bench table demo --metric mse --precision 3 prints it with its id." in text
    [found] = check.verify(results, text)
    assert (found.table_id, found.differences) == ("", [])


def test_a_filtered_table_says_that_it_is_not_the_whole(suite):
    suite.locator("input[data-only=label]").fill("vae")
    suite.locator("[data-shown] table").first.wait_for()
    text = taken(suite, "mse", "Markdown")
    assert text.endswith("Not the whole table, only: variant vae. Bold is of the whole.\n")
    assert "bench table" not in text


def test_a_filter_that_hides_nothing_of_a_table_leaves_it_whole(suite, results):
    suite.locator("input[data-only=member]").fill("prior")
    suite.locator("[data-shown] table").first.wait_for()
    assert taken(suite, "mse", "LaTeX") == report.table(results, "demo", "latex", "mse")
    assert "Not the whole table, only: member prior." in taken(suite, "fcd", "Markdown")


def test_what_no_flags_say_is_copied_with_aligned_numbers_and_published_values(page, others):
    visit(page, others["published"][1] / "suites" / "published" / "index.html", "#tables?only.label=vae&digits=4")
    page.locator("[data-shown] table").first.wait_for()
    text = taken(page, "mse", "LaTeX")
    assert latex_check.complaints(text) == []
    assert "S[table-format=1.4(5)]" in text
    assert "{latent 2, published}" in text
    assert "Published: 0.039 (vae, mlp, mnist, latent 2: A \\& B\\_2, 2014); 0.0401 (" in text
    page.get_by_label("one table, a column a metric").check()
    page.locator("section[data-metric='all metrics']").wait_for()
    text = taken(page, "all metrics", "LaTeX")
    assert latex_check.complaints(text) == []
    assert "latent 2, published" in text


def test_a_sort_that_the_command_does_not_know_is_said_to_be_the_pages(page, site):
    visit(page, site / "suites" / "demo" / "index.html", '#tables?sort=["mse","net",1]')
    page.locator("[data-shown] table").first.wait_for()
    assert taken(page, "mse", "Markdown").endswith("Arranged in the report's page.\n")


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


def test_the_scripts_floats_are_written_as_python_writes_them(suite):
    draw = random.Random(1)  # noqa: S311
    cases = [0.0, -0.0, 1.0, 100.0, -2.5, 1e15, 1e16, 123456789012345680.0, 1e22, 1e-4, 1.5e-5, 5e-324, 0.1 + 0.2]
    cases += [draw.uniform(-1, 1) * 10.0 ** draw.randint(-12, 20) for _ in range(500)]
    wanted = list(map(repr, cases))
    assert suite.evaluate("texts => texts.map((text) => repr(Number(text)))", wanted) == wanted


def test_the_scripts_p_values_are_those_of_scipy(suite):
    cases = [(t, f) for t in (0.0, 0.3, 1.0, 2.2, 4.303, 12.0, 200.0) for f in (1, 2, 2.7, 5, 30, 400)]
    found = suite.evaluate("cases => cases.map(([t, f]) => twoSided(t, f))", cases)
    assert found == pytest.approx([2 * scipy_stats.t.sf(t, f) for t, f in cases], rel=1e-9, abs=1e-300)


def test_the_data_beside_a_page_are_ascii_and_hold_every_seed(site, results):
    text = (site / "suites" / "demo" / "tables" / "data.js").read_bytes().decode("ascii")
    data = json.loads(text.removeprefix("benchView(").removesuffix(");\n"))
    [family] = [f for f in data["families"] if f["metric"] == "mse"]
    seeds = sum(len(value[9]) for value in family["values"] if len(value) > 6)
    assert seeds == sum(record.status == "done" for record in load(results, "demo").records)
