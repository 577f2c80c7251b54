"""The first page: the leaderboard's numbers are the tables', findings follow the statistics, names are for readers."""

import json
import re
from dataclasses import replace

import pytest
import synthetic
from bench.report.data import load
from bench.report.pages.findings import findings
from bench.report.pages.leaderboard import boards, chips, facets
from bench.report.tables.build import build
from bench.report.tables.names import metric_name, reader_text

from bench import report


def write(root, values, name="demo", **cell):
    """A suite of d = 16 on MNIST: label -> the MSE of each seed."""
    cells = [synthetic.make_cell(label=label, seed=seed, latent_size=16, **cell)
             for label, seeds in values.items() for seed in range(len(seeds))]  # fmt: skip
    for made in cells:
        record = synthetic.make_record(made, name)
        record["metrics"] = {"mse": record["metrics"]["mse"] | {"value": values[made["label"]][made["seed"]]}}
        synthetic.write_record(root, name, record, artefacts=False)
    synthetic.write_suite(root, name, [(made, None) for made in cells])
    suite = load(root, name)
    return suite, build(suite)


CLEAR = {"ae": [0.010, 0.0101, 0.0099], "vae": [0.020, 0.0201, 0.0199], "beta_vae": [0.040, 0.0402, 0.0398]}


def test_a_finding_names_the_best_and_the_distance_of_the_next(tmp_path):
    [finding] = findings(*write(tmp_path, CLEAR))
    assert re.fullmatch(r"On MNIST with d = 16, AE has the lowest MSE, 0\.0100+ ± 0\.0002\d*; "
                        r"VAE follows with 0\.0200+ ± 0\.0002\d*, 2\.0 times as much\.", finding.text)  # fmt: skip
    assert finding.value.at["label"] == "ae"


def test_a_finding_names_what_is_not_surely_worse_than_the_best(tmp_path):
    close = CLEAR | {"vae": [0.0099, 0.0102, 0.0100]}
    [finding] = findings(*write(tmp_path, close))
    assert finding.text.endswith("; VAE is not surely worse.")


def test_a_finding_says_that_a_second_of_too_few_seeds_was_not_tested(tmp_path):
    [finding] = findings(*write(tmp_path, CLEAR | {"vae": [0.0200, 0.0201]}))
    assert re.search(r"; VAE follows with 0\.020\d* ± 0\.000\d* \(2 seeds, not tested\)\.$", finding.text)


def test_a_finding_of_too_few_seeds_says_so(tmp_path):
    [finding] = findings(*write(tmp_path, {label: seeds[:1] for label, seeds in CLEAR.items()}))
    assert finding.text.endswith("the seeds are too few to test the difference.")


def lose(root, name, label, seed):
    """Remove the record of one cell, which then has not run."""
    for path in (root / name).glob("*/record.json"):
        cell = json.loads(path.read_text())["cell"]
        if (cell["label"], cell["seed"]) == (label, seed):
            path.unlink()
    suite = load(root, name)
    return suite, build(suite)


@pytest.mark.parametrize(
    ("lost", "end"),
    [
        ("ae", r", ahead of VAE with 0\.0200.*; the difference is not tested, since AE has 3 of 4 seeds\."),
        ("vae", r"; VAE follows with 0\.0200\d* ± 0\.000\d* \(3 of 4 seeds, not tested\)\."),
    ],
)
def test_a_finding_says_that_a_row_with_a_missing_seed_is_not_tested(tmp_path, lost, end):
    write(tmp_path, {label: [*seeds, seeds[0]] for label, seeds in CLEAR.items()})
    [finding] = findings(*lose(tmp_path, "demo", lost, 3))
    assert re.search(f"{end}$", finding.text)


def test_a_finding_says_where_shared_seeds_are_ordered_otherwise(tmp_path):
    """AE has the better mean of ten seeds, and is behind VAE in each of the five that VAE has."""
    shared = [0.02, 0.03, 0.04, 0.05, 0.06]
    values = {"ae": [*shared, *[0.001] * 5], "vae": [value - 0.001 - value / 1e4 for value in shared]}
    [finding] = findings(*write(tmp_path, values))
    assert finding.text.endswith("; on the seeds that both have, another is ahead of it.")


def test_a_finding_says_where_budgets_differ_and_who_is_told_the_label(tmp_path):
    assert "Told" not in findings(*write(tmp_path, CLEAR))[0].text
    told = CLEAR | {"conditional_ae": [0.001, 0.0011, 0.0009]}
    suite, families = write(tmp_path / "told", told)
    assert findings(suite, families)[0].text.endswith(" Told the label: Conditional AE.")
    for group in suite.groups[:1]:
        for cell in group.cells:
            cell.cell["train"] = cell.cell["train"] | {"epochs": 77}
    assert " Training epochs: 77 (AE), " in findings(suite, families)[0].text


def test_two_findings_of_a_suite_say_once_who_is_told_the_label(tmp_path):
    told = CLEAR | {"conditional_ae": [0.001, 0.0011, 0.0009]}
    suite, [table] = write(tmp_path, told)
    first, second = findings(suite, [table, replace(table, metric="fcd")])
    assert first.text.endswith(" Told the label: Conditional AE.")
    assert "lowest FCD" in second.text
    assert "Told" not in second.text


def test_a_single_configuration_and_yardsticks_give_no_finding(tmp_path):
    assert findings(*write(tmp_path, {"ae": CLEAR["ae"]})) == []
    assert findings(*write(tmp_path / "b", {"ae": CLEAR["ae"], "pca": [0.001] * 3})) == []


def test_the_board_has_the_means_of_the_tables_and_yardsticks_last(tmp_path):
    measured = [write(tmp_path, CLEAR | {"pca": [0.03] * 3}), write(tmp_path, {"ae": [0.5]}, "other")]
    [board] = boards(measured)
    assert [row["heads"][0] for row in board["rows"]] == ["AE", "VAE", "β-VAE", "AE", "PCA"]
    assert [row["heads"][3] for row in board["rows"]] == ["Which autoencoder, and how many latent dimensions?"] * 5
    assert [float(row["cells"][0]["sort"]) for row in board["rows"]] == pytest.approx([0.01, 0.02, 0.04, 0.5, 0.03])
    assert [row["cells"][0]["best"] for row in board["rows"]] == [True, False, False, False, False]
    assert [row["yardstick"] for row in board["rows"]] == [False] * 4 + [True]
    assert chips([board]) == [("MNIST, d = 16", "only.latent_size=%3D16&only.dataset=%3DMNIST")]


def test_ranks_have_intervals_and_facets_name_family_and_label(tmp_path):
    measured = [write(tmp_path, CLEAR | {"pca": [0.03] * 3, "conditional_ae": [0.0401, 0.0402, 0.0399]})]
    [board] = boards(measured)
    ranks = {row["heads"][0]: row["cells"][0]["rank"] for row in board["rows"]}
    assert ranks["AE"] == "rank 1"
    assert ranks["β-VAE"] == ranks["Conditional AE"] == "rank 3–4"
    assert ranks["PCA"] == ""
    found = {axis: values for axis, _, values in facets([board])}
    assert found["family"] == ["Deterministic", "Variational", "Yardstick"]
    assert found["told"] == ["no", "yes"]


@pytest.mark.parametrize("nets", [("mlp", "conv"), ("mlp",)])
def test_a_second_key_has_a_column_where_it_has_several_rows_and_is_named_otherwise(tmp_path, nets):
    synthetic.write(tmp_path, "demo", artefacts=False, sizes=(2,), pca=False)
    for path in tmp_path.glob("demo/*/record.json"):
        record = json.loads(path.read_text())
        if record["cell"]["label"] == "ae" and record["cell"]["net_label"] in nets:
            record["metrics"]["fcd_prior"]["key"] = {"classifier": "another"}
            path.write_text(json.dumps(record))
    suite = load(tmp_path, "demo")
    [board] = boards([(suite, build(suite))])
    columns = [index for index, head in enumerate(board["heads"]) if head["name"] == "FCD (prior)"]
    assert len(columns) == len(nets)
    shown = [sum(row["cells"][index] is not None for index in columns) for row in board["rows"]]
    assert sum(shown) == 2 + len(nets)
    assert board["left_out"] == ([] if len(nets) == 2 else ["FCD (prior) (classifier another)"])


def test_rows_stand_best_first_and_yardsticks_last(tmp_path):
    values = {"vae": [0.02, 0.021, 0.019], "ae": [0.01, 0.011, 0.009], "sparse_ae": [0.015, 0.0151, 0.0149]}
    measured = [write(tmp_path, values | {"pca": [0.001] * 3}), write(tmp_path, {"beta_vae": [0.001]}, "small")]
    [board] = boards(measured)
    assert [row["heads"][0] for row in board["rows"]] == ["β-VAE", "AE", "Sparse AE", "VAE", "PCA"]
    ranks = [row["cells"][0]["rank"] for row in board["rows"][1:4]]
    assert ranks == ["rank 1", "rank 2", "rank 3"]
    [finding] = findings(*measured[0])
    assert "AE has the lowest MSE" in finding.text


def test_the_first_page_shows_cards_with_finding_progress_and_what_search_finds(tmp_path):
    write(tmp_path, CLEAR)
    page = report.build(tmp_path, tmp_path / "site").read_text(encoding="utf-8")
    for text in ("AE has the lowest MSE", "9 of 9 cells done", "β-VAE", "MNIST"):
        assert text in page
    assert "partly run" not in page
    next(tmp_path.glob("demo/*/record.json")).unlink()
    page = report.build(tmp_path, tmp_path / "site").read_text(encoding="utf-8")
    assert "partly run: 8 of 9 cells" in page


@pytest.mark.parametrize(
    ("axis", "label", "name"),
    [
        ("label", "beta_vae (beta=4)", "β-VAE (β = 4)"),
        ("label", "sparse_ae (weight=0.1)", "Sparse AE (λ = 0.1)"),
        ("label", "Our <b>VAE</b>", "Our <b>VAE</b>"),
        ("dataset", "fashion_mnist", "Fashion-MNIST"),
        ("net", None, "–"),
    ],
)
def test_names_are_for_readers(axis, label, name):
    assert reader_text(axis, label) == name


def test_a_metric_is_named_with_its_member():
    assert metric_name("fcd", "gmm") == "FCD (GMM)"
    assert metric_name("their_metric") == "their metric"
