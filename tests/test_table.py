"""The table model and its forms: what is averaged, what is refused, what is said of gaps."""

import csv
import io
import json
import re
import shutil
import subprocess
from pathlib import Path

import latex_check
import pytest
import synthetic
from bench.report import table as print_table
from bench.report.data import load
from bench.report.tables import format_tables, parse
from bench.report.tables.aggregate import standings
from bench.report.tables.build import build, build_tables
from bench.report.tables.check import verify
from bench.report.tables.latex import COMPACT, SHRINK, escape_latex
from bench.report.tables.model import PrintedColumn
from bench.report.tables.names import row_texts
from bench.report.tables.width import INCHES, SETTINGS, Texts, layout, points

from bench.errors import UsageError
from bench.results.stats import aggregate


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
    assert keys == ["likelihood Bernoulli", "likelihood Gaussian"]
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


def test_a_yardstick_is_never_bold_and_stands_last_below_a_rule(tmp_path):
    records = [*runs("pca", [0.1] * 3, net=None), *runs("vae", [1.0, 1.1, 0.9]), *runs("ae", [5.0, 5.1, 4.9])]
    [table] = build(suite(tmp_path, records), "mse")
    assert [row_texts(row)[0] for row in table.rows] == ["VAE", "AE", "PCA"]
    assert {label: value.best for label, value in values(table).items()} == {"pca": False, "vae": True, "ae": False}
    assert format_tables([table], "latex").count(r"\midrule") == 2
    assert "┄" in format_tables([table], "text").splitlines()[6]


def test_a_closed_form_has_an_interval_only_where_its_values_differ(tmp_path):
    """PCA's error is the same for every seed, the distance of its samples is not; a trained method keeps its ± 0."""
    closed = [*runs("pca", [0.1] * 3, net=None), *runs("mean_image", [1.0, 1.1, 0.9], net=None)]
    text = format_tables(build(suite(tmp_path, [*closed, *runs("vae", [0.25] * 3)]), "mse"), "text")
    shown = {
        line.split()[0]: "±" in line for line in text.splitlines() if line.startswith(("PCA", "VAE", "Mean image"))
    }
    assert shown == {"VAE": True, "PCA": False, "Mean": True}
    assert "Without ±: the same for every seed." in " ".join(text.split())


def test_two_labels_with_one_name_for_readers_keep_their_rows(tmp_path):
    cells = [
        *runs("vae", [1.0] * 3),
        *[(c | {"label": "VAE", "options": {"x": 1}}, v) for c, v in runs("vae", [2.0] * 3)],
    ]
    suite(tmp_path, cells)
    [table] = build_tables(load(tmp_path, "s"), "mse", None, "metric")
    assert sorted(value.summary.mean for value in values(table).values()) == [1.0, 2.0]


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
    found = values(build(suite(tmp_path, [(synthetic.make_cell(), mse(1e301))]), "mse")[0])
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


def test_latex_rows_fill_exactly_the_declared_columns(tmp_path):
    synthetic.write(tmp_path, "s", artefacts=False, datasets=("mnist", "fashion_mnist"), nets=("mlp",))
    assert latex_check.complaints(print_table(tmp_path, "s", "latex")) == []


GREEK = "αβγδεζηθικλμνξοπρστυφχψωςΓΔΘΛΞΠΣΥΦΨΩΑΒ µ"
SIGNS = ["σ² ± 1 × 2 − 3 – 4 … ≤ ‖x‖", "naïve Fréchet Łódź", "かな ½ ﬁ", "`~^\\"]
AWKWARD = ["[a]", "*", '"quoted"', "--set x", GREEK, *SIGNS]


@pytest.mark.parametrize("text", AWKWARD)
def test_latex_of_any_text_is_sound(tmp_path, text):
    suite(tmp_path, runs(text, [1.0, 2.0, 3.0], dataset=text, net=text) + runs("b", [1.0, 2.0, 3.0]), title=text)
    assert latex_check.complaints(print_table(tmp_path, "s", "latex")) == []


def test_the_latex_checker_sees_what_is_wrong():
    for fault in ("{", "}", "é", r"\input{x}", "a_b", "$x", "50 % off }", '"'):
        assert latex_check.complaints(f"before {fault} after\n")
    bad = "\\begin{tabular}{lr}\n\\toprule\na & b & c \\\\\n\\midrule\n[a] & b \\\\\n\\bottomrule\n\\end{tabular}\n"
    found = " ".join(latex_check.complaints(bad))
    assert "3 columns of 2" in found
    assert "argument" in found


def test_latex_prints_signs_as_what_they_are():
    assert escape_latex("λ = 2 ± 1") == r"$\lambda$ = 2 $\pm$ 1"
    assert escape_latex('"a" --b') == "''a'' -{}-b"
    assert escape_latex("x² é か") == r"x\textsuperscript{2} \'{e} (U+304B)"


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


@pytest.mark.parametrize("form", ["text", "markdown", "latex", "csv", "json"])
def test_every_format_says_all_that_its_numbers_were_obtained_under(tmp_path, form):
    synthetic.write(tmp_path, "s", artefacts=False, labels=("vae",), nets=("mlp",), sizes=(2,), pca=False,
                    fields={"overrides": ["train.epochs=8"]})  # fmt: skip
    printed = " ".join(print_table(tmp_path, "s", form, "fcd_gmm").replace(r"\_", "_").replace("-{}-", "--").split())
    conditions = ["MNIST", "MLP", "Bernoulli", "GMM", synthetic.classifier_name("mnist"), "0.9874", "10000", "128",
                  "adam", "0.001", "fp32", "0123456789", "2026-03-01", load(tmp_path, "s").digest[:12],
                  "--set train.epochs=8"]  # fmt: skip
    assert [word for word in conditions if word.lower() not in printed.lower()] == []


def test_the_note_names_what_neither_rows_nor_columns_show(tmp_path):
    synthetic.write(tmp_path, "s", artefacts=False, labels=("vae",), nets=("mlp",), sizes=(2,), pca=False)
    loaded = load(tmp_path, "s")
    assert build(loaded, "elbo")[0].notes == (
        "Mean ± half-width of the 95 % t-interval over training seeds (n = 3; seeds 0 to 2).",
        "Net MLP; likelihood Bernoulli; latent size 2.",
        "Measured with binarisation none, likelihood bernoulli.",
        "The Bernoulli likelihood of grey pixels gives a cross-entropy bound, no bound of log p(x).",
        "Each seed's value is over 10000 images.",
        "Training: epochs 8, batch size 128, optimizer adam, lr 0.001, precision fp32.",
        f"Suite s ({loaded.digest[:12]}); code 0123456789; measured 2026-03-01.",
    )
    assert "t-SNE and UMAP with perplexity 30.0, n_neighbors 15" in build(loaded, "silhouette")[0].note
    assert "latent size 2; space t-SNE." in build(loaded, "silhouette_tsne")[0].note


def test_the_note_gives_a_closed_form_no_likelihood(tmp_path):
    rows = [*runs("vae", [1.0, 2.0, 3.0], likelihood="gaussian"), *runs("pca", [4.0] * 3, net=None)]
    note = build(suite(tmp_path, rows), "mse")[0].note
    assert "Likelihood Gaussian;" in note
    assert "Bernoulli" not in note


def test_the_note_counts_the_seeds_that_there_are_and_not_those_planned(tmp_path):
    two = [*runs("vae", [1.0, 2.0]), (synthetic.make_cell(seed=2), None)]
    assert "(n = 2; seeds 0, 1)" in build(suite(tmp_path / "two", two), "mse")[0].notes[0]
    note = build(suite(tmp_path / "both", [*two, *runs("ae", [1.0, 2.0, 3.0])]), "mse")[0].notes[0]
    assert "(n = 2 to 3; seeds 0 to 2)" in note


@pytest.mark.parametrize("grey", [True, False])
def test_the_note_calls_a_bound_of_binary_pixels_no_cross_entropy(tmp_path, grey):
    entry = mse(-90.0, key={"likelihood": "bernoulli", "binarisation": "none"}, evaluation_draws=3)["mse"]
    entry |= {"quantity": "cross-entropy bound"} if grey else {}
    records = [(synthetic.make_cell(seed=seed), {"elbo": entry}) for seed in range(3)]
    assert ("cross-entropy" in build(suite(tmp_path, records), "elbo")[0].note) is grey


@pytest.mark.parametrize(("few", "said"), [(10, False), (4, True)])
def test_the_note_says_where_a_bound_is_of_fewer_images_than_the_elbo(tmp_path, few, said):
    metrics = {"elbo": mse(-90.0)["mse"], "iw_bound": mse(-92.0, n=few, elbo_same_images=-93.0)["mse"]}
    loaded = suite(tmp_path, [(synthetic.make_cell(seed=seed), metrics) for seed in range(3)])
    words = "of fewer images than the ELBO and may lie below it"
    assert (words in build(loaded, "iw_bound")[0].note) is said
    assert (words in build(loaded, ("elbo", "iw_bound"), columns=("metric",))[0].note) is said
    assert words not in build(loaded, "elbo")[0].note


def test_comparable_published_values_are_printed_with_the_differences_that_the_suite_names(tmp_path):
    beside(tmp_path, REFERENCE | {"because": "another split"})
    assert "Published: 1.95 (VAE, MLP, MNIST, d = 2: A &amp; B 2014; differences: another split)." in print_table(
        tmp_path, "s", "markdown"
    )


def test_the_note_of_a_metric_of_a_matrix_does_not_call_its_pixels_images(tmp_path):
    records = [(synthetic.make_cell(seed=seed), {name: mse(1.0, n=784)["mse"] for name in ("mse", "identity_error")})
               for seed in range(3)]  # fmt: skip
    assert "over 784 images" in build(suite(tmp_path, records), "mse")[0].note
    found = build(load(tmp_path, "s"), "identity_error")[0]
    assert "images" not in found.note
    assert '"n_images": null' in format_tables([found], "json")


def test_a_condition_that_differs_is_told_by_the_axis_that_decides_it(tmp_path):
    images = {"mnist": 500, "kmnist": 360}
    records = [(synthetic.make_cell(dataset=d, seed=s), mse(1.0, n=n)) for d, n in images.items() for s in range(3)]
    records += [(synthetic.make_cell(label="slow", seed=s, epochs=99), mse(3.0, n=500)) for s in range(3)]
    note = build(suite(tmp_path, records), "mse")[0].note
    assert "over 500 (MNIST), 360 (KMNIST) images" in note
    assert "epochs 8 (VAE), 99 (slow)" in note


def test_a_condition_that_no_axis_decides_is_told_with_all_that_occur(tmp_path):
    places = [("vae", "mnist", 1), ("vae", "kmnist", 2), ("ae", "mnist", 2), ("ae", "kmnist", 1)]
    records = [(synthetic.make_cell(dataset=d, label=label), mse(1.0, n=n)) for label, d, n in places]
    assert "over 1 or 2 images" in build(suite(tmp_path, records), "mse")[0].note


def test_settings_other_than_the_default_are_named(tmp_path):
    cells = [synthetic.make_cell(seed=s) for s in range(3)]
    for cell in cells:
        cell["train"] |= {"schedule": "cosine", "train_images": 5000, "grad_clip": None, "weight_decay": 0.0}
    note = build(suite(tmp_path, [(cell, mse(1.0)) for cell in cells]), "mse")[0].note
    assert "schedule cosine, train images 5000." in note
    assert "weight decay" not in note


def test_a_label_of_ones_own_is_said_to_be_which_variant_with_which_options(tmp_path):
    strong = [synthetic.make_cell(label="beta_vae", seed=s) | {"label": "Strong"} for s in range(3)]
    note = build(suite(tmp_path, [(cell, mse(1.0)) for cell in strong]), "mse")[0].note
    assert "Strong is β-VAE (β = 4)." in note


def test_a_scheduled_option_of_a_label_of_ones_own_is_told_as_labels_show_it(tmp_path):
    schedule = {"from": 0.0, "to": 1.0, "over": 0.33}
    cells = [synthetic.make_cell(label="beta_vae", seed=s) for s in range(3)]
    cells = [cell | {"label": "Warm-up", "options": {"beta": schedule}} for cell in cells]
    note = build(suite(tmp_path, [(cell, mse(1.0)) for cell in cells]), "mse")[0].note
    assert "Warm-up is β-VAE (β = 0 → 1 over 0.33)." in note


def test_what_was_not_trained_is_said(tmp_path):
    loaded = suite(tmp_path, runs("vae", [1.0] * 3) + runs("pca", [2.0], net=None))
    assert "precision fp32. Yardsticks, in closed form and never bold: PCA." in build(loaded, "mse")[0].note


def test_a_modified_checkout_is_named_and_three_commits_at_most(tmp_path):
    for index, modified in enumerate([False, True, True, False, True]):
        record = synthetic.make_record(synthetic.make_cell(seed=index), "s")
        record["provenance"] |= {"git": f"{index}abcdef0123456", "dirty": modified}
        synthetic.write_record(tmp_path, "s", record, artefacts=False)
    synthetic.write_suite(tmp_path, "s", [(synthetic.make_cell(seed=s), None) for s in range(5)])
    note = build(load(tmp_path, "s"), "mse")[0].note
    assert "code 0abcdef012; 1abcdef012, modified; 2abcdef012, modified; and 2 more;" in note


def fingerprinted(root, prints):
    """A suite of one-label rows, label -> the fingerprint of each seed's images."""
    cells = [synthetic.make_cell(label=label, seed=s) for label, found in prints.items() for s in range(len(found))]
    for cell in cells:
        record = synthetic.make_record(cell, "s")
        record["provenance"]["fingerprint"] = prints[cell["label"]][cell["seed"]]
        synthetic.write_record(root, "s", record, artefacts=False)
    synthetic.write_suite(root, "s", [(cell, None) for cell in cells])
    return build(load(root, "s"), "mse")[0]


def test_seeds_on_different_images_are_not_averaged(tmp_path):
    value = values(fingerprinted(tmp_path, {"vae": ["abc", "abc", "def"]}))["vae"]
    assert value.summary is None
    assert value.gaps[0].reason == "seeds measured differently (data abc or data def)"


def test_rows_on_different_images_stand_in_different_columns_and_none_is_best(tmp_path):
    table = fingerprinted(tmp_path, {"vae": ["abc"] * 3, "ae": ["def"] * 3})
    assert [dict(column)["key"] for column in table.columns] == ["data abc", "data def"]
    assert not any(value.best for value in table.cells.values())


def test_the_images_are_not_told_where_they_are_the_same(tmp_path):
    table = fingerprinted(tmp_path, {"vae": ["abc"] * 3, "ae": ["abc"] * 3})
    assert table.column_axes == ("dataset",)
    assert "abc" not in table.note


def test_rows_of_different_datasets_are_not_compared(tmp_path):
    records = runs("vae", [1.0, 1.1, 0.9]) + runs("ae", [2.0, 2.1, 1.9])
    records += runs("vae", [8.0, 8.1, 7.9], dataset="kmnist") + runs("ae", [9.0, 9.1, 8.9], dataset="kmnist")
    table = build(suite(tmp_path, records), "mse", ("dataset", "label"), ("latent_size",))[0]
    assert len(table.columns) == 1
    best = [dict(row) for (row, _), value in table.cells.items() if value.best]
    assert best == [{"dataset": "mnist", "label": "vae"}, {"dataset": "kmnist", "label": "vae"}]


def test_csv_and_json_hold_every_axis_and_the_number_of_images(tmp_path):
    suite(tmp_path, runs("vae", [0.1, 0.2, 0.3]))
    row = next(csv.DictReader(io.StringIO(print_table(tmp_path, "s", "csv"))))
    found = json.loads(print_table(tmp_path, "s", "json"))["tables"][0]["rows"][0]["cells"][0]
    wanted = {"dataset": "mnist", "label": "vae", "variant": "vae", "net": "mlp", "likelihood": "bernoulli"}
    assert {name: row[name] for name in wanted} == wanted
    assert {name: found["coordinates"][name] for name in wanted} == wanted
    assert (row["latent_size"], row["n_images"], row["train.epochs"], row["key.version"]) == ("2", "10", "8", "1")
    assert (found["coordinates"]["latent_size"], found["n_images"], found["train"]["epochs"]) == (2, 10, "8")


@pytest.mark.parametrize("form", ["text", "markdown", "latex"])
def test_a_column_of_a_latent_size_is_headed_with_words(tmp_path, form):
    suite(tmp_path, runs("vae", [1.0] * 3) + runs("vae", [2.0] * 3, latent_size=16))
    printed = print_table(tmp_path, "s", form)
    assert "d = 2" in printed
    assert "d = 16" in printed


def test_a_column_shows_two_digits_of_the_uncertainty(tmp_path):
    suite(tmp_path, runs("vae", [-105.1, -105.3, -105.5]))
    assert "−105.30 ± 0.50" in print_table(tmp_path, "s", "text")


def test_a_member_of_a_family_keeps_one_column_where_rows_have_no_number(tmp_path):
    synthetic.write(tmp_path, "s", lambda cell: ("failed", "x") if cell["label"] == "ae" else ("done", None),
                    artefacts=False, nets=("mlp",), sizes=(2,))  # fmt: skip
    table = build(load(tmp_path, "s"), "fcd_gmm")[0]
    assert (len(table.rows), len(table.columns)) == (3, 1)
    assert "sampler GMM" in table.note


def test_each_format_says_what_its_mark_of_the_best_means(tmp_path):
    suite(tmp_path, runs("good", [1.0, 1.1, 0.9]) + runs("bad", [5.0, 5.1, 4.9]))
    text = " ".join(print_table(tmp_path, "s", "text").split())
    assert "*1.00 ± 0.25*" in text
    assert "Between asterisks: not surely worse than the best of a column" in text
    assert "Bold: not surely worse than the best of a column" in print_table(tmp_path, "s", "markdown")


def test_notes_name_the_lead_that_the_compared_rows_need(tmp_path):
    suite(tmp_path, [pair for index in range(10) for pair in runs(f"m{index}", [index, index + 0.1, index + 0.2])])
    full = " ".join(print_table(tmp_path, "s", "text", "mse").split())
    assert "2.3 standard deviations between two rows and 6.8 among the 10 of a column" in full
    short = " ".join(print_table(tmp_path, "s", "text", "mse", columns="metric").split())
    assert "With 3 seeds and 10 rows a lead is seen from about 6.8 standard deviations." in short
    two = print_table(tmp_path, "s", "text", "mse", columns="metric", only=["label=m0,m1"])
    assert "a lead is seen" not in two


REFERENCE = {"variant": "vae", "metric": "mse", "value": 1.95, "source": "A & B 2014", "comparable": True}
OTHER = REFERENCE | {"variant": "ae", "value": 7.5, "source": "C 2019", "comparable": False, "because": "other nets"}


def beside(root, *references):
    return suite(root, runs("vae", [1.0, 2.0, 3.0]) + runs("ae", [9.0, 9.5, 8.5]), references=list(references))


@pytest.mark.parametrize("form", ["text", "markdown", "latex", "csv", "json"])
def test_comparable_published_values_have_a_column_and_their_source(tmp_path, form):
    beside(tmp_path, REFERENCE, OTHER)
    printed = " ".join(print_table(tmp_path, "s", form).split())
    assert "published" in printed
    assert "1.95" in printed
    if form != "csv":
        assert "A & B 2014" in printed.replace(r"\&", "&").replace("&amp;", "&")
        assert "other nets" in printed


def test_a_published_value_that_is_not_comparable_stands_in_the_note_only(tmp_path):
    beside(tmp_path, OTHER)
    printed = print_table(tmp_path, "s", "markdown")
    assert "Published but not comparable: 7.5 (AE, MLP, MNIST, d = 2: C 2019; other nets)." in printed
    assert not any("7.5" in line for line in printed.splitlines() if line.startswith("|"))


def test_a_row_with_a_seed_missing_is_not_put_beside_a_published_value(tmp_path):
    records = [*runs("vae", [1.0, 2.0]), (synthetic.make_cell(seed=2), None)]
    suite(tmp_path, records, references=[REFERENCE])
    assert "(VAE, MLP, MNIST, d = 2: A &amp; B 2014; 2 of 3 seeds)" in print_table(tmp_path, "s", "markdown")


def test_published_values_can_be_left_out(tmp_path):
    beside(tmp_path, REFERENCE, OTHER)
    printed = print_table(tmp_path, "s", "text", published=False)
    assert "ublished but" not in printed
    assert "1.95" not in printed
    assert printed.endswith("(bench table s --metric mse --no-published)\n")


@pytest.mark.parametrize("switch", [{"published": False}, {"external": False}, {"ranked": True}, {"transpose": True}])
def test_a_pasted_table_agrees_whatever_switches_printed_it(tmp_path, switch):
    suite(tmp_path, runs("vae", [1.0, 2.0]) + runs("ae", [3.0, 4.0]))
    [found] = verify(tmp_path, print_table(tmp_path, "s", "markdown", "mse", **switch))
    assert (found.differences, found.table_id) == ([], found.table_id_now)


def test_a_table_has_the_same_id_in_every_format(tmp_path):
    synthetic.write(tmp_path, "s", artefacts=False)
    [wanted] = re.findall(r"Table ([0-9a-f]{12}) ", print_table(tmp_path, "s", "text", "mse"))
    for form in ("markdown", "latex", "csv", "json"):
        [found] = parse.find(print_table(tmp_path, "s", form, "mse"))
        assert found.stamp == (wanted, ("s", "--metric", "mse"))


def test_the_id_is_that_of_the_records_and_the_arrangement(tmp_path):
    values = [1.0, 2.0, 3.0]
    one, two = (build(suite(tmp_path / name, runs("vae", values)), "mse")[0] for name in "ab")
    assert one.table_id == two.table_id
    other = build(suite(tmp_path / "c", runs("vae", [1.0, 2.0, 3.0000001])), "mse")[0]
    finer = build(suite(tmp_path / "d", runs("vae", values)), "mse", precision=5)[0]
    assert len({one.table_id, other.table_id, finer.table_id}) == 3


def test_the_id_is_also_that_of_gaps_and_of_published_values(tmp_path):
    whole = build(suite(tmp_path / "a", runs("vae", [1.0, 2.0, 3.0])), "mse")[0]
    gap = build(suite(tmp_path / "b", [*runs("vae", [1.0, 2.0]), (synthetic.make_cell(seed=2), None)]), "mse")[0]
    beside, another = (
        build(suite(tmp_path / f"c{value}", runs("vae", [1.0, 2.0, 3.0]), references=[REFERENCE | {"value": value}]),
              "mse")[0] for value in (1.9, 1.8)
    )  # fmt: skip
    assert len({table.table_id for table in (whole, gap, beside, another)}) == 4


def order(root, *arguments, **how):
    table = build(load(root, "s"), *arguments, **how)[0]
    return [dict(row)["label"] for row in table.rows]


def test_rows_are_sorted_best_first_and_those_without_a_number_last(tmp_path):
    records = runs("b", [2.0] * 3) + runs("hole", [None] * 3) + runs("a", [3.0] * 3) + runs("c", [1.0] * 3)
    suite(tmp_path, records)
    assert order(tmp_path, "mse", sort="1") == ["c", "b", "a", "hole"]
    assert order(tmp_path, "mse", sort="mnist") == ["c", "b", "a", "hole"]
    assert order(tmp_path, "mse", sort="name") == ["a", "b", "c", "hole"]
    with pytest.raises(UsageError, match="1 'MNIST'"):
        order(tmp_path, "mse", sort="mnst")


def test_the_decimals_and_the_dataset_can_be_chosen(tmp_path):
    suite(tmp_path, runs("vae", [1.0, 1.1, 1.2]) + runs("vae", [5.0, 5.1, 5.2], dataset="kmnist"))
    printed = print_table(tmp_path, "s", "text", precision=1, dataset="kmnist")
    assert "5.1 ± 0.2" in printed
    assert "1.1 ± 0.2" not in printed
    with pytest.raises(UsageError, match="did you mean 'kmnist'"):
        print_table(tmp_path, "s", dataset="kmnst")


def test_decimals_that_are_asked_for_hold_for_small_numbers_and_intervals_too(tmp_path):
    suite(tmp_path, runs("vae", [0.0121, 0.0122, 0.0123]) + runs("ae", [0.61, 0.62, 0.63]))
    assert "0.01 ± 0.00" in print_table(tmp_path, "s", "text", precision=2)
    assert "0.0 ± 0.0" in print_table(tmp_path, "s", "text", precision=1)


def ranked(root):
    """Two rows over four datasets: one of equal means, one with a hole."""
    records = []
    levels = {"mnist": (1.0, 2.0), "kmnist": (3.0, 3.0), "stl10": (2.0, 9.0), "digits": (8.0, 4.0)}
    for dataset, (a, b) in levels.items():
        records += runs("a", [a - 0.1, a, a + 0.1], dataset=dataset) + runs("b", [b - 0.1, b, b + 0.1], dataset=dataset)
    records = [(c, None if (c["dataset"], c["label"], c["seed"]) == ("stl10", "b", 2) else v) for c, v in records]
    return suite(root, records)


def test_standings_leave_out_columns_with_a_hole_for_all_rows(tmp_path):
    table = build(ranked(tmp_path), "mse", ranked=True)[0]
    assert "Average ranks (1 is best) are over 3 of 4 columns; 1 with missing numbers left out." in table.note
    assert "over the seeds of 2 of them; left out: 1, where all means are equal." in table.note
    found = {dict(row)["label"]: standing for row, standing in standings(table).rows.items()}
    assert {label: standing.rank for label, standing in found.items()} == {"a": 1.5, "b": 1.5}


def test_an_iqm_is_of_seeds_scaled_column_by_column_between_the_worst_mean_and_the_best(tmp_path):
    table = build(ranked(tmp_path), "mse", ranked=True)[0]
    found = {dict(row)["label"]: standing.iqm for row, standing in standings(table).rows.items()}
    # a: on mnist 1.1, 1, 0.9 (2 is the worst mean, 1 the best); on digits 0.025, 0, -0.025 (8 the worst, 4 the best)
    expected = {"a": [[1.1, 1.0, 0.9], [0.025, 0.0, -0.025]], "b": [[0.1, 0.0, -0.1], [1.025, 1.0, 0.975]]}
    for label, strata in expected.items():
        by_hand = aggregate(strata)
        assert found[label].iqm == pytest.approx(by_hand.iqm)
        assert (found[label].low, found[label].reason) == (None, by_hand.reason)


def test_an_iqm_of_20_seeds_a_column_has_an_interval(tmp_path):
    spread = [0.01 * seed for seed in range(20)]
    records = []
    for dataset, a, b in (("x", 1.0, 2.0), ("y", 8.0, 4.0)):
        records += runs("a", [a + more for more in spread], dataset=dataset)
        records += runs("b", [b + more for more in spread], dataset=dataset)
    table = build(suite(tmp_path, records), "mse", ranked=True)[0]
    found = {dict(row)["label"]: standing.iqm for row, standing in standings(table).rows.items()}
    assert found["a"].low < found["a"].iqm < found["a"].high
    assert "there is none where a column has fewer than 20 seeds" in table.note


def test_an_iqm_over_columns_of_the_same_models_has_no_interval(tmp_path):
    """Samplers of one model rise and fall together: a bootstrap that draws each column by itself covers too little."""
    metrics = ("fcd_prior", "fcd_gmm")
    records = [(synthetic.make_cell(label=label, seed=seed),
                {name: {"value": level + 0.01 * seed, "unit": "u", "better": "lower", "n": 10, "key": {},
                        "family": "fcd", "member": name.removeprefix("fcd_")} for name in metrics})
               for label, level in (("a", 1.0), ("b", 2.0)) for seed in range(20)]  # fmt: skip
    table = build(suite(tmp_path, records), "fcd", ranked=True)[0]
    found = [standing.iqm for standing in standings(table).rows.values()]
    assert [(iqm.low, iqm.reason) for iqm in found] == [(None, "columns of the same models are not independent")] * 2
    assert "or columns are of the same models" in table.note


def test_a_higher_score_is_scaled_the_other_way(tmp_path):
    records = [(synthetic.make_cell(label=label, dataset=dataset, seed=seed),
                {"mse": mse(value)["mse"] | {"better": "higher"}})
               for label, value in (("a", 5.0), ("b", 7.0)) for dataset in ("x", "y") for seed in range(3)]  # fmt: skip
    found = standings(build(suite(tmp_path, records), "mse")[0])
    assert [(dict(row)["label"], s.rank, s.iqm.iqm) for row, s in found.rows.items()] == [("b", 1, 1), ("a", 2, 0)]


def test_two_seeds_have_an_iqm_and_no_interval(tmp_path):
    records = [run for d in ("x", "y") for run in runs("a", [1.0, 1.0], dataset=d) + runs("b", [2.0, 2.0], dataset=d)]
    suite(tmp_path, records)
    printed = print_table(tmp_path, "s", "text", "mse", ranked=True)
    assert re.search(r"^a +1\.00  1\.000$", printed, re.MULTILINE)


def test_nothing_stands_where_every_column_misses_a_number_or_there_is_one(tmp_path):
    lone = build(suite(tmp_path / "lone", runs("a", [1.0] * 3) + runs("b", [2.0] * 3)), "mse", ranked=True)[0]
    assert standings(lone) is None
    assert "Average rank" not in lone.note
    records = runs("a", [1.0] * 3, dataset="x") + runs("b", [2.0] * 3, dataset="y")
    holes = build(suite(tmp_path / "holes", records), "mse", ranked=True)[0]
    assert standings(holes) is None
    assert "No average ranks: every column misses a number." in holes.note


@pytest.mark.parametrize("form", ["text", "markdown", "latex"])
def test_standings_stand_below_the_table_and_leave_it_as_it_is(tmp_path, form):
    loaded = ranked(tmp_path)
    made = [build(loaded, "mse", ranked=True)[0]]
    table, below = format_tables(made, form), format_tables(made, form, ranked=True)
    assert below.startswith(table)
    standing = below.removeprefix(table)
    assert "Average rank" in standing
    assert "0.481" in standing
    assert form != "latex" or latex_check.complaints(below) == []
    assert "Average rank" not in print_table(tmp_path, "s", form, "mse")


def test_long_standings_are_divided_into_floats_and_still_agree_with_the_records(tmp_path):
    levels = [(dataset, k) for dataset in ("mnist", "kmnist") for k in range(40)]
    suite(tmp_path, [pair for dataset, k in levels for pair in runs(f"m{k}", [k, k + 0.1, k + 0.2], dataset=dataset)])
    text = print_table(tmp_path, "s", "latex", "mse", ranked=True)
    assert latex_check.complaints(text) == []
    parts = text.split(r"\label{tab:s-mse-standings}")[1].split(r"Table~\ref{tab:s-mse-standings} (continued)")
    assert [sum(line.startswith("m") for line in part.splitlines()) for part in parts] == [36, 4]
    assert [(found.checked, found.differences) for found in verify(tmp_path, text)] == [(80, []), (80, [])]


def test_yardsticks_have_no_standing_and_set_no_scale(tmp_path):
    rows = {"a": [1.0] * 3, "b": [2.0, 2.1, 2.2]}
    records = [pair for d in ("mnist", "kmnist") for label in rows for pair in runs(label, rows[label], dataset=d)]
    far = [pair for dataset in ("mnist", "kmnist") for pair in runs("pca", [9.0] * 3, net=None, dataset=dataset)]
    alone = standings(build(suite(tmp_path / "alone", records), "mse", ranked=True)[0])
    beside = build(suite(tmp_path / "beside", records + far), "mse", ranked=True)[0]
    assert len(beside.rows) == 3
    assert [*standings(beside).rows.values()] == [*alone.rows.values()]
    assert print_table(tmp_path / "beside", "s", "csv", "mse", ranked=True).count("9.0") > 0


def test_standings_are_fields_of_the_data(tmp_path):
    ranked(tmp_path)
    [table] = json.loads(print_table(tmp_path, "s", "json", "mse", ranked=True))["tables"]
    lines = list(csv.DictReader(io.StringIO(print_table(tmp_path, "s", "csv", "mse", ranked=True))))
    for row in table["rows"]:
        assert (row["average_rank"], row["ranked_columns"], row["iqm_columns"]) == (1.5, 3, 2)
        assert (row["iqm_low"], row["iqm_high"]) == (None, None)  # three seeds a column
        assert {line["iqm"] for line in lines if line["label"] == row["at"]["label"]} == {repr(row["iqm"])}
    assert "iqm" not in print_table(tmp_path, "s", "csv", "mse") + print_table(tmp_path, "s", "json", "mse")


@pytest.mark.parametrize("name", ["[2pt] \\input{x}", "*", "a|b & c_d"])
def test_a_hostile_row_of_the_standings_is_text(tmp_path, name):
    records = [run for d in ("x", "y") for run in runs(name, [1.0] * 3, dataset=d) + runs("b", [2.0] * 3, dataset=d)]
    suite(tmp_path, records)
    assert latex_check.complaints(print_table(tmp_path, "s", "latex", "mse", ranked=True)) == []
    standing = parse.find(print_table(tmp_path, "s", "markdown", "mse", ranked=True))[1]
    assert [len(line.cells) for line in standing.rows] == [3, 3]


# -- several metrics in one table


METRICS = ["mse", "elbo", "fcd_prior", "knn_accuracy"]


@pytest.fixture(scope="module")
def several(tmp_path_factory):
    root = tmp_path_factory.mktemp("several")
    synthetic.write(root, "s", artefacts=False, labels=("ae", "vae"), nets=("mlp", "conv"))
    return root


def across(root, *metrics, **options):
    [table] = build_tables(load(root, "s"), metrics, None, "metric", **options)
    return table


def test_a_table_across_metrics_has_the_values_and_the_best_of_the_tables_of_each(several):
    table = across(several, *METRICS)
    assert [dict(column)["metric"] for column in table.columns] == [
        "MSE ↓",
        "ELBO ↑",
        "FCD (prior) ↓",
        "kNN accuracy ↑",
    ]
    assert table.row_axes == ("label", "net", "latent_size")
    for metric, column in zip(METRICS, table.columns, strict=True):
        [alone] = build(load(several, "s"), metric, ("label", "net", "latent_size"), ("member",))
        found = [table.cells[row, column] for row in table.rows]
        assert [(v.summary, v.best) for v in found] == [(v.summary, v.best) for v in alone.column(alone.columns[0])]
        assert [v.group for v in found] == [v.group for v in alone.column(alone.columns[0])]


def test_only_the_metric_with_several_keys_has_them_in_its_heads(tmp_path):
    shape = {"labels": ("vae",), "nets": ("mlp",), "sizes": (2,), "pca": False}
    cells = [cell for kind in ("bernoulli", "gaussian") for cell in synthetic.grid(likelihood=kind, **shape)]
    for cell in cells:
        synthetic.write_record(tmp_path, "s", synthetic.make_record(cell, "s"), artefacts=False)
    synthetic.write_suite(tmp_path, "s", [(cell, None) for cell in cells])
    heads = [column.name for column in across(tmp_path, "mse", "elbo").printed_columns]
    assert heads == ["MSE ↓", "ELBO ↑, likelihood Bernoulli", "ELBO ↑, likelihood Gaussian"]


def test_only_keeps_coordinates_and_rows_to_which_the_axis_does_not_apply(several):
    table = across(several, "mse", only=["latent_size=2", "net=mlp"])
    assert table.row_axes == ("label",)  # one net, and none
    assert [row_texts(row) for row in table.rows] == [["AE"], ["VAE"], ["PCA"]]
    assert "net MLP;" in table.note.replace("Net", "net")  # PCA, a yardstick, has none
    assert [dict(row)["label"] for row in across(several, "mse", only=["label=vae,pca"]).rows][:2] == ["vae", "vae"]


@pytest.mark.parametrize(
    ("only", "message"),
    [("net=mpl", "did you mean 'mlp'"), ("nett=mlp", "did you mean 'net'"), ("net", "expected AXIS=VALUE")],
)
def test_a_wrong_condition_is_told_with_the_nearest_right_one(several, only, message):
    with pytest.raises(UsageError, match=message):
        across(several, "mse", only=[only])


def test_a_compact_table_has_a_short_note_and_names_the_columns_that_it_leaves_out(several):
    table = across(several, "mse", "elbo", only=["label=ae"])
    assert [dict(column)["metric"] for column in table.columns] == ["MSE ↓"]
    assert "Left out, without any number: ELBO ↑." in table.note
    assert "n = 3; seeds 0 to 2" in table.note
    assert "8 training epochs; suite s (" in table.note
    assert "binarisation" not in table.note
    full = across(several, "mse", "elbo", notes="full")
    assert "Measured with binarisation none, likelihood bernoulli." in full.note
    assert full.marks != {}


def test_sorting_by_a_metric_follows_its_own_direction(several):
    table = across(several, "mse", "elbo", sort="elbo")
    means = [table.cells[row, table.columns[1]].summary for row in table.rows]
    numbers = [found.mean for found in means if found]
    assert numbers == sorted(numbers, reverse=True)
    assert means[: len(numbers)].count(None) == 0


def test_a_transposed_table_has_the_same_texts_in_swapped_places(several):
    table, turned = across(several, *METRICS), across(several, *METRICS, transpose=True)
    assert (turned.rows, turned.columns) == (table.columns, table.rows)
    for row in table.rows:
        for column in table.columns:
            assert turned.parts(column, PrintedColumn(row)) == table.parts(row, PrintedColumn(column))


def test_metrics_as_rows_are_the_transposed_table(several):
    turned = across(several, *METRICS, transpose=True, only=["latent_size=2"])
    [found] = build_tables(load(several, "s"), METRICS, "metric", "label,net", only=["latent_size=2"])
    assert (found.rows, found.columns, found.cells) == (turned.rows, turned.columns, turned.cells)
    assert found.command.endswith("--rows metric --columns label,net --only latent_size=2")


def test_a_table_of_one_metric_and_several_datasets_names_the_metric(several):
    [table] = build_tables(load(several, "s"), "mse", None, "metric,latent_size")
    assert [column.name for column in table.printed_columns] == ["MSE ↓, d = 2", "MSE ↓, d = 16"]


@pytest.mark.parametrize("options", [{}, {"width": "column"}, {"width": "page", "transpose": True}, {"notes": "full"}])
@pytest.mark.parametrize("form", ["latex", "markdown", "csv", "json"])
def test_a_pasted_table_across_metrics_is_verified(several, form, options):
    text = print_table(several, "s", form, METRICS, columns="metric", only=["latent_size=2"], **options)
    [found] = verify(several, text)
    assert (found.differences, found.left_out, found.table_id) == ([], 0, found.table_id_now)
    assert found.checked > 0
    if form == "latex":
        assert latex_check.complaints(text) == []


def test_csv_has_the_direction_and_the_unit_of_each_metric(several):
    lines = list(csv.DictReader(io.StringIO(print_table(several, "s", "csv", METRICS, columns="metric"))))
    directions = {line["metric"]: line["better"] for line in lines}
    assert directions == {"mse": "lower", "elbo": "higher", "fcd_prior": "lower", "knn_accuracy": "higher"}


def test_a_table_is_set_smaller_until_it_fits_its_width():
    column = ["knn_accuracy ↑", "0.9701 ± 0.0077"]
    for count, width in ((1, "column"), (2, "column"), (6, "page")):
        found = layout(Texts([["Method", "VAE"]], [column] * count), width)
        assert (
            points(Texts([["Method", "VAE"]], [column] * count), found.setting, found.stacked) <= INCHES[width] * 72.27
        )
        assert found.parts == (range(count),)
    assert layout(Texts([["Method", "VAE"]], [column]), "column").setting == SETTINGS[0]
    assert layout(Texts([["Method", "VAE"]], [column] * 3), "column").setting != SETTINGS[0]


def test_columns_that_do_not_fit_side_by_side_stand_in_parts_of_equal_size():
    texts = Texts([["Method", "VAE with a very long name"]], [["d = 16", "0.9701 ± 0.0077"]] * 9)
    found = layout(texts, "column")
    assert [*map(len, found.parts)] == [3, 3, 3]
    assert [index for part in found.parts for index in part] == [*range(9)]
    assert found.stacked
    endless = layout(Texts([["W" * 200]], [["1.0"]] * 2), "column")  # too wide for any: the LaTeX scales it down
    assert [*map(len, endless.parts)] == [1, 1]


def test_a_pasted_table_in_parts_is_verified_as_one(several):
    text = print_table(several, "s", "latex", "mse", rows="metric", columns="label,net,latent_size", width="column")
    assert text.count(r"\begin{tabular}") > 1
    [found] = verify(several, text)
    assert (found.differences, found.left_out) == ([], 0)
    number = re.findall(r"\d\.\d+ \\pm", text)[-1]
    [changed] = verify(several, f"9{number}".join(text.rsplit(number, 1)))
    assert len(changed.differences) == 1


def test_a_table_taller_than_a_page_stands_in_floats_and_is_verified_as_one(tmp_path):
    suite(tmp_path, [pair for index in range(90) for pair in runs(f"m{index:02}", [index / 7] * 3)])
    text = print_table(tmp_path, "s", "latex", "mse")
    assert latex_check.complaints(text) == []
    assert text.count(r"\begin{table*}") == text.count("(continued)") + 1 == 3
    assert text.count(r"\caption") == text.count("Mean $") == 1
    [found] = verify(tmp_path, text)
    assert (found.differences, found.left_out, found.checked) == ([], 0, 90)
    [changed] = verify(tmp_path, text.replace("m89 &", "m90 &"))
    assert [difference.what for difference in changed.differences] == ["row"]


def test_latex_of_a_column_prints_the_half_width_in_parentheses_and_says_so(several):
    text = print_table(several, "s", "latex", METRICS, columns="metric", width="column")
    assert "separate-uncertainty" not in text
    assert COMPACT in text
    page = print_table(several, "s", "latex", METRICS, columns="metric", width="page")
    assert "separate-uncertainty" in page
    assert r"\begin{table*}" in page


def test_latex_sets_numbers_in_columns_that_siunitx_aligns(tmp_path):
    suite(tmp_path, runs("good", [-9.0, -9.1, -8.9]) + runs("bad", [105.0, 105.1, 104.9]) + runs("lone", [3.0]))
    printed = print_table(tmp_path, "s", "latex")
    assert r"{lS[table-format=-3.2(3)]}" in printed
    assert r"good & \bfseries -9.00 \pm 0.25 \\" in printed
    assert r"lone & {\num{3.00} (n = 1)} \\" in printed


def test_latex_prints_digits_as_they_are_where_siunitx_would_invent_or_drop_some(tmp_path):
    suite(tmp_path, runs("same", [2.0] * 3) + runs("fine", [1.0, 1.0001, 1.0002]))
    printed = print_table(tmp_path, "s", "latex", precision=2)
    assert r"same & {2.00 $\pm$ 0.00}" in printed
    assert r"1.00 $\pm$ 0.00}" in printed


def test_the_latex_checker_sees_text_in_a_column_of_numbers():
    sound = "\\begin{tabular}{lS[table-format=1.2(3)]}\n\\toprule\na & {b} \\\\\n\\bottomrule\n\\end{tabular}\n"
    assert latex_check.complaints(sound) == []
    assert "holds 'b'" in latex_check.complaints(sound.replace("{b}", "b"))[0]
    assert latex_check.complaints(sound.replace("S[table-format=1.2(3)]", "Q")) != []


def has_tex():
    """True where pdflatex finds the packages that the tables need."""
    if shutil.which("pdflatex") is None or shutil.which("kpsewhich") is None:
        return False
    found = subprocess.run(["kpsewhich", "siunitx.sty", "booktabs.sty"], capture_output=True, text=True)
    return len(found.stdout.split()) == 2


PAGE = r"\documentclass{article}\usepackage[papersize={90cm,60cm},margin=1cm]{geometry}"
PAGE += r"\usepackage{booktabs,graphicx,siunitx}"


@pytest.mark.skipif(not has_tex(), reason="no pdflatex with siunitx and booktabs here; the strict checker has run")
def test_a_real_latex_sets_every_table_without_a_warning(tmp_path):
    def status(cell):
        return ("failed", "x") if cell["seed"] and cell["net"] == "conv" else ("done", None)

    synthetic.write(tmp_path, "s", status, artefacts=False, datasets=("mnist", "kmnist"))
    beside(tmp_path / "other", REFERENCE, REFERENCE | {"value": 1.5e-9}, OTHER)
    suite(tmp_path / "awkward", [pair for text in AWKWARD for pair in runs(text, [1.0, 2.0, 3.0])], title=HOSTILE)
    tables = print_table(tmp_path, "s", "latex", ranked=True)
    tables += "".join(print_table(tmp_path / name, "s", "latex") for name in ("other", "awkward"))
    body = tables.replace(r"\end{table}", r"\end{table}\clearpage")
    (tmp_path / "t.tex").write_text(rf"{PAGE}\begin{{document}}{body}\end{{document}}")
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "-no-shell-escape", "t.tex"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, timeout=300)
    log = (tmp_path / "t.log").read_text(errors="replace")
    assert done.returncode == 0, log[-3000:]
    assert [line for line in log.splitlines() if "siunitx Warning" in line or "Overfull" in line] == []


ARTICLE = r"""\documentclass[10pt]{article}
\usepackage[letterpaper,textwidth=%sin,textheight=550pt]{geometry}
\usepackage{booktabs,graphicx,siunitx}\newsavebox\whole
\newcommand\measured[1]{\sbox\whole{#1}\typeout{MEASURED \the\wd\whole}%%
\resizebox{\ifdim\wd\whole>\linewidth\linewidth\else\wd\whole\fi}{!}{\usebox\whole}}
\begin{document}%s\end{document}"""


@pytest.mark.skipif(not has_tex(), reason="no pdflatex with siunitx and booktabs here; the estimate has been tested")
@pytest.mark.parametrize(
    ("inches", "options"),
    [(3.4, {"columns": "metric", "width": "column"}), (6.9, {"columns": "metric", "width": "page"}), (6.9, {})],
)
def test_no_box_of_a_published_suites_tables_is_overfull_or_scaled_down(tmp_path, inches, options):
    results = Path(__file__).parent.parent / "results"
    names = sorted(path.parent.name for path in results.glob("*/suite.json"))
    tables = [print_table(results, name, "latex", **options) for name in names]
    body = "".join(tables).replace("{table*}", "{table}").replace(r"\end{table}", r"\end{table}\clearpage")
    (tmp_path / "t.tex").write_text(ARTICLE % (inches, body.replace(SHRINK, r"\measured{%")))
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "-no-shell-escape", "t.tex"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, timeout=300)
    log = (tmp_path / "t.log").read_text(errors="replace")
    assert done.returncode == 0, log[-3000:]
    assert [points for points in re.findall(r"Overfull \\hbox \(([\d.]+)pt", log) if float(points) > 2] == []
    assert "Float too large" not in log
    widths = [float(points) for points in re.findall(r"MEASURED ([\d.]+)pt", log)]
    assert len(widths) == body.count(SHRINK) > 0
    assert max(widths) <= 1.03 * 72.27 * inches  # so that it is readable: the fonts are those that the table names
