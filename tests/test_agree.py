"""`bench verify --table`: a pasted table against the records, in every format it may have been pasted in."""

import json
import re
from decimal import Decimal

import pytest
import synthetic
from bench.report import table as print_table
from bench.report.tables import PRINTED
from bench.report.tables.check import reading, rounds_to, same, verify
from conftest import run_bench

from bench.errors import UsageError

FORMS = ["latex", "markdown", "csv", "json"]
REFERENCE = {"variant": "vae", "metric": "mse", "value": 1.95, "source": "A 2014", "comparable": True}
HOSTILE = r"a|b_c & <i> \input{x} σ² %"


@pytest.fixture
def results(tmp_path):
    """One suite: a clear best, a row with a seed missing, one that failed, hostile text, a published value."""
    labels = {"good": [1.0, 1.1, 0.9], "bad": [5.0, 5.1, 4.9], HOSTILE: [7.0, 7.2, 7.1], "vae": [9.0, 9.5, None]}
    cells = []
    for label, values in labels.items():
        for seed, value in enumerate(values):
            cell = synthetic.make_cell(label=label, seed=seed)
            record = synthetic.make_record(cell, "s", *(() if value else ("failed", "out of memory")))
            record["metrics"] = {"mse": {"value": value, "unit": "u", "better": "lower", "n": 10, "key": {}}}
            synthetic.write_record(tmp_path, "s", record, artefacts=False)
            cells.append((cell, None))
    cells.append((synthetic.make_cell(label="late"), None))
    synthetic.write_suite(tmp_path, "s", cells, metrics=[], references=[REFERENCE])
    return tmp_path


def change(results, label, seed, value):
    """Overwrite one recorded number."""
    cell = synthetic.make_cell(label=label, seed=seed)
    path = results / "s" / synthetic.cell_id(cell) / "record.json"
    record = json.loads(path.read_text())
    record["metrics"]["mse"]["value"] = value
    path.write_text(json.dumps(record))


def told(results, text, suite=None):
    [found] = verify(results, text, suite)
    return [(d.what, d.row, d.column) for d in found.differences]


@pytest.mark.parametrize("form", FORMS)
def test_what_was_printed_agrees(results, form):
    [found] = verify(results, print_table(results, "s", form))
    assert found.differences == []
    assert found.table_id == found.table_id_now
    assert (found.checked, found.left_out, found.remark) == (5 if form in ("csv", "json") else 5 * 2, 0, "")


@pytest.mark.parametrize("form", ["latex", "markdown"])
def test_a_table_that_was_printed_with_identifiers_agrees(results, form):
    printed = print_table(results, "s", form)
    assert "VAE" in printed
    assert told(results, printed.replace("VAE", "vae").replace("MNIST", "mnist")) == []


@pytest.mark.parametrize("form", FORMS)
def test_a_number_that_changed_in_the_records_is_found_where_it_stands(results, form):
    printed = print_table(results, "s", form)
    change(results, "bad", 1, 6.3)
    [found] = verify(results, printed)
    assert {"number", "mean"} & {d.what for d in found.differences}
    assert all("bad" in d.row for d in found.differences)
    if form != "json":
        lines = {d.line for d in found.differences}
        row = re.compile(r"(\| |mse,.*,)?bad\b")
        assert [n for n, line in enumerate(printed.splitlines(), 1) if row.match(line) and " is " not in line] == [
            *lines
        ]


@pytest.mark.parametrize("form", ["latex", "markdown"])
def test_every_number_of_the_table_is_held_against_the_records(results, form):
    printed = print_table(results, "s", form)
    pairs = {"5.00": "5.01", "0.25": "0.26", "(2/3)": "(1/3)", "1.95": "1.96", "not run": "n/a"}
    for old, new in pairs.items():
        head, sign, body = printed.partition("good")
        wrong = head + sign + body.replace(old, new, 1)
        assert wrong != printed
        assert len(told(results, wrong)) == 1, old


@pytest.mark.parametrize("form", FORMS)
def test_whitespace_and_what_stands_around_a_table_do_not_matter(results, form):
    printed = print_table(results, "s", form)
    if form in ("latex", "markdown"):
        printed = printed.replace(" & ", "   &\t").replace(" | ", "  |   ").replace("bench table", "bench\n  table")
        printed = f"# Results\n\nAs said, {{it}} works.\n\n{printed}\n\nSo there | we are & go.\n"
    elif form == "csv":
        printed = f"Our numbers:\n\n{printed}\nand text, more text\n"
    else:
        printed = f"Our numbers: {json.dumps(json.loads(printed))} and text {{"
    assert told(results, printed) == []


def test_a_table_of_the_authors_taste_still_agrees(results):
    r"""table*, \textbf, $\pm$, no comments, a row and the published column left out, fewer decimals."""
    printed = print_table(results, "s", "latex", width="page")
    lines = [line for line in printed.splitlines() if not line.startswith(("%", "late"))]
    text = "\n".join(lines).replace(r"\bfseries 1.00 \pm 0.25", r"\textbf{$1.0 \pm 0.2$}")
    text = re.sub(r" & \{[^&]*published\}\} \\", r" \\\\", text).replace(r" & {--} \\", r" \\")
    [found] = verify(results, text.replace(r" & 1.95 \\", r" \\"))
    assert found.differences == []
    assert found.left_out == 10 - 4


def test_a_row_or_a_column_that_the_records_do_not_have_is_a_difference(results):
    printed = print_table(results, "s", "markdown").replace("| bad |", "| ours |")
    assert told(results, printed) == [("row", "ours", "")]
    printed = print_table(results, "s", "markdown").replace("| MNIST |", "| cifar |")
    assert told(results, printed) == [("column", "", "cifar")]


def test_a_mark_of_the_best_on_another_row_is_a_difference(results):
    printed = print_table(results, "s", "markdown")
    assert "**1.00 ± 0.25**" in printed
    wrong = printed.replace("**1.00 ± 0.25**", "1.00 ± 0.25").replace("5.00 ± 0.25", "**5.00 ± 0.25**")
    assert told(results, wrong) == [("mark", "good", "MNIST"), ("mark", "bad", "MNIST")]


def test_marks_are_not_compared_where_all_were_lost(results):
    printed = print_table(results, "s", "markdown")
    [found] = verify(results, printed.replace("**", ""))
    assert found.differences == []
    assert "not compared" in found.remark


def test_another_id_with_the_same_numbers_is_a_remark_and_no_difference(results):
    printed = print_table(results, "s", "markdown")
    cell = synthetic.make_cell(label="later")
    record = synthetic.make_record(cell, "s")
    suite = json.loads((results / "s" / "suite.json").read_text())
    suite["cells"].append({"id": record["id"], "skip": None, "cell": cell})
    (results / "s" / "suite.json").write_text(json.dumps(suite))
    [found] = verify(results, printed)
    assert found.differences == []
    assert found.table_id != found.table_id_now
    assert "no number has" in found.remark
    assert found.left_out == 2


def test_a_table_without_its_note_needs_the_name_of_its_suite(results):
    printed = print_table(results, "s", "markdown").split("Mean ±")[0]
    with pytest.raises(UsageError, match="name the suite"):
        verify(results, printed)
    assert told(results, printed, "s") == []
    assert told(results, printed.replace("5.00", "5.10"), "s") == [("number", "bad", "MNIST")]


@pytest.mark.parametrize("form", FORMS)
def test_several_tables_of_one_file_are_each_held_against_their_own(tmp_path, form):
    synthetic.write(tmp_path, "s", artefacts=False, datasets=("mnist", "kmnist"))
    printed = print_table(tmp_path, "s", form, ["mse", "fcd", "elbo"])
    found = verify(tmp_path, printed)
    assert [a.command.split()[-1] for a in found] == ["mse", "fcd", "elbo"]
    assert not any(a.differences for a in found)


def test_the_arrangement_is_that_of_the_pasted_command(tmp_path):
    synthetic.write(tmp_path, "s", artefacts=False, datasets=("mnist", "kmnist"))
    printed = print_table(tmp_path, "s", "latex", "mse", "dataset,latent_size", "label", sort="1", precision=5)
    [found] = verify(tmp_path, printed)
    assert (found.differences, found.left_out) == ([], 0)
    assert found.table_id == found.table_id_now


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("nothing here", "no table found"),
        ("a | b\nc | d", "no table found"),
        ('{"tables": 3}', "no table found"),
        (r"\begin{tabular}{ll} a & b \\ \end{tabular}", "without .toprule"),
        ("| a | b |\n|---|---|\n| x | 1 |\n\nTable (bench table s --metrik mse)", "did you mean 'metric'"),
        ("| a | b |\n|---|---|\n| x | 1 |\n\nTable (bench table t --metric mse)", "no results of suite 't'"),
        ("| a | b |\n|---|---|\n| x | 1 |\n\nTable (bench table s --metric msee)", "did you mean 'mse'"),
        ("| a | b |\n|---|---|\n| x | 1 |\n\nTable (bench table s --precision x)", "no whole number"),
        ("| a | b |\n|---|---|\n| x | 1 |\n\nTable (bench table ../s --metric mse)", "cannot be the name"),
    ],
)
def test_what_is_no_table_of_ours_is_said(results, text, message):
    with pytest.raises(UsageError, match=message):
        verify(results, text)


@pytest.mark.parametrize(
    ("cell", "mean", "half"),
    [
        (r"\bfseries -0.0438 \pm 0.0010", "-0.0438", "0.0010"),
        (r"{\num{1.2e-07} (n = 1)\textsuperscript{a,b}}", "1.2e-07", None),
        (r"$\mathbf{1.5 \pm 0.2}$", "1.5", "0.2"),
        (r"1.5 +- 0.2", "1.5", "0.2"),
        ("**−1.5 ± 0.2** (2/3)<sup>a</sup>", "-1.5", "0.2"),
    ],
)
def test_cells_are_read_as_they_are_written(cell, mean, half):
    assert reading(cell).numbers == tuple(Decimal(part) for part in (mean, half) if part)


def test_a_number_agrees_if_it_is_the_records_rounded():
    assert rounds_to(0.04385, Decimal("0.0438"))
    assert rounds_to(0.04385, Decimal("0.0439"))
    assert rounds_to(1586.4, Decimal("1586"))
    assert not rounds_to(1586.6, Decimal("1586"))
    assert rounds_to(1.234e-7, Decimal("1.2e-07"))
    assert not rounds_to(-1.5, Decimal("1.5"))


def test_fields_are_the_same_to_nine_digits():
    assert same({"0": 0.1 + 0.2}, {"0": 0.3})
    assert not same({"0": 0.3}, {"1": 0.3})
    assert not same("0:0.1", "0:0.1 1:0.2")
    assert not same("done", "failed")


def test_the_command_says_what_differs_and_exits_1(results, tmp_path):
    path = tmp_path / "paper.tex"
    path.write_text(print_table(results, "s", "latex"), encoding="utf-8")
    base = ("verify", "--results", str(results), "--table", str(path))
    done = run_bench(*base)
    assert (done.returncode, done.stderr) == (0, "")
    assert "agrees, 10 cells compared" in done.stdout
    path.write_text(path.read_text(encoding="utf-8").replace("5.00", "5.10"), encoding="utf-8")
    done = run_bench(*base)
    assert done.returncode == 1
    assert "bad · MNIST: number 5.10, the records say 5.0" in done.stdout
    found = json.loads(run_bench(*base, "--json").stdout)["tables"][0]
    assert (found["agrees"], found["differences"][0]["pasted"]) == (False, "5.10")


def test_a_file_that_is_no_text_or_not_there_is_bad_input(results, tmp_path):
    (tmp_path / "x.tex").write_bytes(b"\xff\xfe\x00")
    for name, message in (("x.tex", "not a text file in UTF-8"), ("gone.tex", "No such file")):
        done = run_bench("verify", "--results", str(results), "--table", str(tmp_path / name))
        assert done.returncode == 2
        assert message in done.stderr
        assert "Traceback" not in done.stderr


def ranked_results(root):
    """Two rows over two datasets; a column is scaled between the rows' means."""
    cells = []
    for label, low in ((HOSTILE, 1.0), ("b", 2.0)):
        for dataset in ("x", "y"):
            for seed in range(3):
                cell = synthetic.make_cell(label=label, dataset=dataset, seed=seed)
                record = synthetic.make_record(cell, "s")
                value = low + 0.137 * seed**2 * (dataset == "y")
                record["metrics"] = {"mse": {"value": value, "unit": "u", "better": "lower", "n": 10, "key": {}}}
                synthetic.write_record(root, "s", record, artefacts=False)
                cells.append((cell, None))
    synthetic.write_suite(root, "s", cells, metrics=[])
    return root


@pytest.mark.parametrize("form", FORMS)
def test_standings_that_were_printed_agree_and_those_changed_by_hand_do_not(tmp_path, form):
    printed = print_table(ranked_results(tmp_path), "s", form, ranked=True)
    assert all(agreement.differences == [] for agreement in verify(tmp_path, printed))
    iqm = json.loads(print_table(tmp_path, "s", "json", ranked=True))["tables"][0]["rows"][1]["iqm"]
    old = f"{iqm:.3f} " if form in PRINTED else repr(iqm)
    assert old in printed
    found = verify(tmp_path, printed.replace(old, old.replace("0.", "0.9")))
    assert {d.what for agreement in found for d in agreement.differences} == {"number" if form in PRINTED else "iqm"}


@pytest.mark.parametrize("form", ["latex", "markdown"])
def test_a_row_added_to_the_standings_is_named_and_one_left_out_is_counted(tmp_path, form):
    lines = print_table(ranked_results(tmp_path), "s", form, ranked=True).splitlines()
    at = max(i for i, line in enumerate(lines) if "b " in line and "2.00" in line)  # below the table itself
    _, more = verify(tmp_path, "\n".join([*lines[:at], lines[at].replace("b ", "better ", 1), *lines[at:]]))
    assert [(d.what, d.row) for d in more.differences] == [("row", "better")]
    _, fewer = verify(tmp_path, "\n".join(lines[:at] + lines[at + 1 :]))
    assert (fewer.differences, fewer.checked, fewer.left_out) == ([], 2, 2)
