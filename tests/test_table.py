"""The table model and its forms: what is averaged, what is refused, what is said of gaps."""

import csv
import io
import json
import re

import pytest
import synthetic

from bench.errors import UsageError
from report import table as print_table
from report.data import load
from report.tables import build


def suite(root, records, **fields):
    """A suite of given records: (cell, {metric: value}) pairs; a value None leaves the cell missing."""
    for cell, values in records:
        if values is not None:
            record = synthetic.make_record(cell, "s")
            record["metrics"] = values
            synthetic.write_record(root, "s", record, artefacts=False)
    synthetic.write_suite(root, "s", [(cell, None) for cell, _ in records], metrics=[], **fields)
    return load(root, "s")


def mse(value, **extra):
    return {"mse": {"value": value, "unit": "u", "better": "lower", "n": 10, "key": {}} | extra}


def runs(label, values, **cell):
    return [(synthetic.make_cell(label=label, seed=s, **cell), mse(v)) for s, v in enumerate(values)]


def values(table):
    return {dict(row)["label"]: value for (row, _), value in table.cells.items()}


def test_a_value_is_the_mean_over_the_seeds_of_one_configuration(tmp_path):
    loaded = suite(tmp_path, runs("vae", [1.0, 2.0, 3.0]) + runs("ae", [9.0, 9.0, 9.0]))
    table = build(loaded, "mse")[0]
    assert values(table)["vae"].summary.mean == 2.0
    assert values(table)["vae"].seeds == {0: 1.0, 1: 2.0, 2: 3.0}
    assert len(table.rows) == 2


def test_rows_that_differ_in_more_than_the_seed_are_never_pooled(tmp_path):
    slow = [(synthetic.make_cell(seed=s, epochs=99), mse(5.0)) for s in range(3)]
    table = build(suite(tmp_path, runs("vae", [1.0, 2.0, 3.0]) + slow), "mse")[0]
    assert [dict(row)["setting"] for row in table.rows] == ["train.epochs=8", "train.epochs=99"]


def test_an_axis_that_was_not_named_is_added_where_it_tells_rows_apart(tmp_path):
    records = runs("vae", [1.0] * 3) + runs("vae", [7.0] * 3, likelihood="gaussian")
    table = build(suite(tmp_path, records), "mse")[0]
    assert [dict(row)["likelihood"] for row in table.rows] == ["bernoulli", "gaussian"]


def test_values_under_different_keys_stand_in_different_columns(tmp_path):
    def elbo(value, likelihood):
        key = {"likelihood": likelihood, "binarisation": "none"}
        return {"elbo": {"value": value, "unit": "nats", "better": "higher", "n": 10, "key": key}}

    levels = [("a", "bernoulli", -100), ("b", "bernoulli", -120), ("c", "gaussian", 800)]
    records = [(synthetic.make_cell(label=label, seed=s, likelihood=kind), elbo(at + s, kind))
               for label, kind, at in levels for s in range(3)]  # fmt: skip
    table = build(suite(tmp_path, records), "elbo")[0]
    keys = [dict(column)["key"] for column in table.columns]
    assert keys == ["likelihood bernoulli", "likelihood gaussian"]
    assert not values(table)["c"].best
    assert values(table)["a"].best


def test_seeds_measured_under_different_keys_have_no_mean(tmp_path):
    cells = [synthetic.make_cell(seed=s) for s in range(2)]
    records = [(cell, mse(1.0, key={"classifier": f"hash{i}"})) for i, cell in enumerate(cells)]
    value = values(build(suite(tmp_path, records), "mse")[0])["vae"]
    assert value.summary is None
    assert "classifier hash0 or classifier hash1" in value.gaps[0].reason


def test_a_raised_metric_version_is_not_mixed_with_the_old_one(tmp_path):
    cells = [synthetic.make_cell(seed=s) for s in range(2)]
    records = [(cell, mse(1.0, version=1 + i)) for i, cell in enumerate(cells)]
    assert values(build(suite(tmp_path, records), "mse")[0])["vae"].summary is None


def test_best_is_bold_and_an_incomplete_row_never_is(tmp_path):
    records = runs("good", [1.0, 1.1, 0.9]) + runs("bad", [5.0, 5.1, 4.9]) + runs("half", [9.0, 9.1])
    records += [(synthetic.make_cell(label="half", seed=2), None)]
    found = values(build(suite(tmp_path, records), "mse")[0])
    assert [label for label, value in found.items() if value.best] == ["good"]
    assert (len(found["half"].seeds), found["half"].planned) == (2, 3)


def test_nothing_is_bold_where_an_incomplete_row_has_the_better_mean(tmp_path):
    records = runs("good", [1.0, 1.1, 0.9]) + runs("bad", [5.0, 5.1, 4.9]) + runs("half", [0.1, 0.1])
    records += [(synthetic.make_cell(label="half", seed=2), None)]
    assert not any(value.best for value in values(build(suite(tmp_path, records), "mse")[0]).values())


def test_two_seeds_are_never_bold(tmp_path):
    found = values(build(suite(tmp_path, runs("a", [1.0, 1.0]) + runs("b", [2.0, 2.0])), "mse")[0])
    assert not any(value.best for value in found.values())


@pytest.mark.parametrize("form", ["text", "markdown", "latex", "csv", "json"])
def test_every_format_names_each_gap_with_its_reason(tmp_path, form):
    states = {"failed": "out of memory", "diverged": "step 12", "skipped": "no spatial code"}
    cells = []
    for index, (status, reason) in enumerate(states.items()):
        cell = synthetic.make_cell(label=f"v{index}")
        synthetic.write_record(tmp_path, "s", synthetic.make_record(cell, "s", status, reason))
        cells.append((cell, None))
    done, missing = synthetic.make_cell(label="ae"), synthetic.make_cell(label="late")
    synthetic.write_record(tmp_path, "s", synthetic.make_record(done, "s"), artefacts=False)
    synthetic.write_suite(tmp_path, "s", [*cells, (done, None), (missing, None)])
    text = print_table(tmp_path, "s", form, "elbo")
    for words in (
        "out of memory",
        "step 12",
        "no spatial code",
        "a deterministic code has no ELBO",
        "not run",
    ):
        assert words in text


def test_a_value_that_is_no_finite_number_is_a_gap(tmp_path):
    found = values(build(suite(tmp_path, [(synthetic.make_cell(), mse("12"))]), "mse")[0])
    assert found["vae"].summary is None
    assert found["vae"].gaps[0].reason == "not a finite number"


def test_records_that_left_the_grid_are_counted_and_not_averaged(tmp_path):
    old = synthetic.make_record(synthetic.make_cell(seed=7), "s")
    synthetic.write_record(tmp_path, "s", old, artefacts=False)
    loaded = suite(tmp_path, runs("vae", [1.0, 2.0, 3.0]))
    assert loaded.stale == 1
    assert 7 not in values(build(loaded, "mse")[0])["vae"].seeds


def test_rows_and_columns_can_be_arranged_at_will(tmp_path):
    synthetic.write(tmp_path, "s", artefacts=False, datasets=("mnist", "kmnist"))
    text = print_table(tmp_path, "s", "json", ["mse"], "dataset, latent_size", "label")
    found = json.loads(text)["tables"][0]
    assert found["row_axes"][:2] == ["dataset", "latent_size"]
    assert found["row_axes"][2:] == ["net"]
    assert found["column_axes"] == ["label"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"metrics": ["msee"]}, "did you mean 'mse'"),
        ({"rows": ["labels"]}, "did you mean 'label'"),
        ({"format": "latx"}, "did you mean 'latex'"),
        ({"rows": ["label"], "columns": ["label"]}, "named twice"),
        ({"suite": "demi"}, "did you mean 'demo'"),
    ],
)
def test_a_wrong_name_is_told_with_the_nearest_right_one(tmp_path, arguments, message):
    synthetic.write(tmp_path, "demo", artefacts=False, seeds=1)
    with pytest.raises(UsageError, match=message):
        print_table(tmp_path, **({"suite": "demo"} | arguments))


def test_csv_holds_the_full_precision_and_every_seed(tmp_path):
    loaded = suite(tmp_path, runs("vae", [0.1234567890123, 0.2, 0.3]))
    row = next(csv.DictReader(io.StringIO(print_table(tmp_path, "s", "csv"))))
    assert float(row["mean"]) == values(build(loaded, "mse")[0])["vae"].summary.mean
    assert row["seeds"].startswith("0:0.1234567890123 1:0.2")
    assert (row["n"], row["planned"], row["state"]) == ("3", "3", "done")


def columns_of(line):
    """How many columns a LaTeX row fills."""
    spans = [int(n) for n in re.findall(r"\\multicolumn\{(\d+)\}", line)]
    return len(re.split(r"(?<!\\)&", line)) + sum(spans) - len(spans)


def test_latex_rows_fill_exactly_the_declared_columns(tmp_path):
    synthetic.write(tmp_path, "s", artefacts=False, datasets=("mnist", "fashion_mnist"), nets=("mlp",))
    for block in print_table(tmp_path, "s", "latex").split(r"\begin{table}")[1:]:
        declared = len(re.search(r"\\begin\{tabular\}\{([lr]+)\}", block).group(1))
        body = block.split(r"\toprule")[1].split(r"\bottomrule")[0]
        rows = [line for line in body.splitlines() if line.rstrip().endswith(r"\\")]
        assert rows
        assert {columns_of(line) for line in rows} == {declared}
        assert block.count("{") - block.count(r"\{") == block.count("}") - block.count(r"\}")


HOSTILE = r"<script>&|_%$#{}~^\input{/etc/passwd}"


def test_latex_prints_hostile_text_and_runs_none_of_it(tmp_path):
    suite(tmp_path, runs(HOSTILE, [1.0, 2.0, 3.0]))
    text = print_table(tmp_path, "s", "latex")
    assert r"\input" not in text
    assert r"\textless{}script\textgreater{}\&\textbar{}\_\%\$\#\{\}" in text


def test_markdown_shows_hostile_text_and_keeps_its_columns(tmp_path):
    suite(tmp_path, runs(HOSTILE, [1.0, 2.0, 3.0]))
    lines = [line for line in print_table(tmp_path, "s", "markdown").splitlines() if line.startswith("|")]
    assert "<script>" not in "\n".join(lines)
    assert len({len(re.findall(r"(?<!\\)\|", line)) for line in lines}) == 1


def test_the_note_says_seeds_epochs_commit_date_and_digest(tmp_path):
    loaded = suite(tmp_path, runs("vae", [1.0, 2.0, 3.0]))
    note = build(loaded, "mse")[0].note
    for part in ("n = 3", "8 epochs", "0123456789", "2026-03-01", loaded.digest[:12]):
        assert part in note


def test_a_column_shows_two_digits_of_the_uncertainty(tmp_path):
    suite(tmp_path, runs("vae", [-105.1, -105.3, -105.5]))
    assert "−105.30 ± 0.50" in print_table(tmp_path, "s", "text")
