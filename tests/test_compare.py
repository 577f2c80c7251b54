"""Two result sets side by side: what is better or worse, what is the same, and what may not be compared."""

import json

import pytest
import scipy.stats
import synthetic
from bench.report.tables.compare import compare, counts, fails
from conftest import run_bench

from bench.errors import UsageError

ONE = [1.00, 1.10, 0.95, 1.05]
MUCH = [2.00, 2.12, 1.93, 2.06]


def write(root, values, suite="s", better="lower", edit=None, **cell):
    """A suite: label -> values over seeds; None is a failed seed. `edit(record)` changes each record."""
    cells = []
    for label, numbers in values.items():
        for seed, number in enumerate(numbers):
            made = synthetic.make_cell(label=label, seed=seed, **cell)
            record = synthetic.make_record(made, suite, *(("failed", "x") if number is None else ()))
            record["metrics"] = {"mse": {"value": number, "unit": "u", "better": better, "n": 10, "key": {}}}
            if edit:
                edit(record)
                record["id"] = synthetic.cell_id(record["cell"])
            synthetic.write_record(root, suite, record, artefacts=False)
            cells.append((record["cell"], None))
    synthetic.write_suite(root, suite, cells, metrics=[])
    return root / suite


def marks(a, b, *metrics):
    return {c.row.split(",")[0]: c.mark for c in compare(a, b, metrics)}


def only(found):
    [comparison] = found
    return comparison


def test_the_difference_is_b_minus_a_paired_over_shared_seeds(tmp_path):
    a, b = write(tmp_path / "a", {"vae": ONE}), write(tmp_path / "b", {"vae": MUCH})
    found = only(compare(a, b))
    expected = scipy.stats.ttest_rel(MUCH, ONE)
    low, high = expected.confidence_interval()
    assert found.interval == pytest.approx((low, high))
    assert (found.p, found.p_holm) == pytest.approx((expected.pvalue, expected.pvalue))
    assert (found.mark, found.test, found.pairs, found.superiority) == ("worse", "paired t", 4, 1.0)
    assert found.hedges_g > 5


def test_a_paired_rows_means_are_those_of_the_shared_seeds(tmp_path):
    """Seeds 0 and 1 are only in A and far off: the means of all seeds differ the other way."""
    a, b = write(tmp_path / "a", {"vae": [9.0, 9.1, *ONE]}), write(tmp_path / "b", {"vae": [None, None, *MUCH]})
    found = only(compare(a, b))
    assert (found.mark, found.n_a, found.n_b, found.superiority) == ("worse", 6, 4, 1.0)
    assert found.b - found.a == pytest.approx(found.difference)


def test_the_direction_of_the_metric_decides_what_is_better(tmp_path):
    a, b = write(tmp_path / "a", {"vae": ONE}), write(tmp_path / "b", {"vae": MUCH})
    assert (marks(a, b), marks(b, a)) == ({"vae": "worse"}, {"vae": "better"})
    a, b = (write(tmp_path / f"h{n}", {"vae": v}, better="higher") for n, v in enumerate((ONE, MUCH)))
    assert marks(a, b) == {"vae": "better"}
    a, b = (write(tmp_path / f"n{n}", {"vae": v}, better="none") for n, v in enumerate((ONE, MUCH)))
    assert marks(a, b) == {"vae": "changed"}


def test_the_same_numbers_are_equal_and_said_to_be_the_same(tmp_path):
    a, b = (write(tmp_path / name, {"vae": ONE, "lone": [1.0]}) for name in "ab")
    assert [(c.mark, c.identical, c.difference) for c in compare(a, b)] == [("equal", True, 0.0)] * 2


def test_rounding_is_no_difference_even_without_any_spread(tmp_path):
    a, b = write(tmp_path / "a", {"pca": [0.05] * 3}), write(tmp_path / "b", {"pca": [0.05 + 1e-12] * 3})
    found = only(compare(a, b))
    assert (found.mark, found.identical, found.reason) == ("equal", False, "but for rounding")


def test_a_difference_that_cannot_be_told_from_none_is_equal(tmp_path):
    a, b = write(tmp_path / "a", {"vae": ONE}), write(tmp_path / "b", {"vae": [1.1, 0.95, 1.05, 1.02]})
    found = only(compare(a, b))
    assert (found.mark, found.identical) == ("equal", False)
    assert found.interval[0] < 0 < found.interval[1]


def test_other_seeds_are_compared_unpaired(tmp_path):
    a = write(tmp_path / "a", {"vae": ONE})
    b = write(tmp_path / "b", {"vae": MUCH}, edit=lambda r: r["cell"].update(seed=r["cell"]["seed"] + 10))
    found = only(compare(a, b))
    assert (found.test, found.mark) == ("Welch t", "worse")
    assert found.p == pytest.approx(scipy.stats.ttest_ind(MUCH, ONE, equal_var=False).pvalue)


def test_too_few_seeds_decide_nothing(tmp_path):
    a, b = write(tmp_path / "a", {"vae": ONE[:2]}), write(tmp_path / "b", {"vae": MUCH[:2]})
    found = only(compare(a, b))
    assert (found.mark, found.reason, found.p) == ("not comparable", "n too small (n = 2)", None)


def test_a_p_is_corrected_over_the_rows_of_its_metric(tmp_path):
    shifted = [1.06, 1.15, 1.00, 1.12]  # p = 0.0009 alone
    labels = [f"v{k}" for k in range(60)]
    a = write(tmp_path / "a", dict.fromkeys(labels, ONE))
    b = write(tmp_path / "b", {label: shifted if label == "v0" else [1.1, 0.95, 1.05, 1.02] for label in labels})
    first = compare(a, b)[0]
    assert first.p < 0.05 < first.p_holm
    assert first.mark == "equal"
    alone = only(compare(write(tmp_path / "c", {"v0": ONE}), write(tmp_path / "d", {"v0": shifted})))
    assert alone.mark == "worse"


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda r: r["provenance"].update(fingerprint="abc"), "measured differently: data"),
        (lambda r: r["metrics"]["mse"].update(version=2), "measured differently: version 1 / 2"),
        (lambda r: r["metrics"]["mse"].update(key={"classifier": "x"}), "measured differently: classifier none / x"),
        (lambda r: r["metrics"]["mse"].update(n=5), "measured on 10 / 5 images"),
        (lambda r: r["cell"]["train"].update(epochs=99), "definition differs: train.epochs 8 / 99"),
        (lambda r: r["cell"]["evaluate"].update(knn_k=1), "definition differs: evaluate.knn_k 5 / 1"),
        (lambda r: r["cell"].update(options={"beta": 2}), "definition differs: options.beta none / 2"),
        (lambda r: r.update(metrics={}), "no number in B: not computed for this cell"),
    ],
)
def test_what_may_not_be_compared_is_told_with_the_reason(tmp_path, edit, message):
    a, b = write(tmp_path / "a", {"vae": ONE}), write(tmp_path / "b", {"vae": MUCH}, edit=edit)
    found = only(compare(a, b))
    assert found.mark == "not comparable"
    assert message in found.reason


def test_another_sampler_map_or_label_changes_no_number_and_hinders_nothing(tmp_path):
    def edit(record):
        record["cell"]["evaluate"]["samplers"] = ["prior"]
        record["cell"]["evaluate"]["embed"]["methods"] = []

    a, b = write(tmp_path / "a", {"vae": ONE}), write(tmp_path / "b", {"vae": MUCH})
    suite = b / "suite.json"
    for path in [*b.glob("*/record.json"), suite]:
        content = json.loads(path.read_text())
        for entry in content.get("cells", [content]):
            edit(entry)
        path.write_text(json.dumps(content))
    assert marks(a, b) == {"vae": "worse"}


def test_cells_with_other_ids_are_of_another_version(tmp_path):
    a, b = write(tmp_path / "a", {"vae": ONE}), write(tmp_path / "b", {"vae": MUCH})
    for path in [*b.glob("*/record.json"), b / "suite.json"]:
        content = json.loads(path.read_text())
        for entry in content.get("cells", [content]):
            entry["id"] = entry["id"][::-1]
        path.write_text(json.dumps(content))
    for folder in [p for p in b.iterdir() if p.is_dir()]:
        folder.rename(folder.with_name(folder.name[::-1]))
    assert "other ids" in only(compare(a, b)).reason


def test_failed_seeds_and_rows_of_one_side_are_told_and_never_averaged_over(tmp_path):
    a = write(tmp_path / "a", {"vae": ONE, "ae": ONE, "old": ONE})
    b = write(tmp_path / "b", {"vae": [None] * 4, "ae": [*MUCH[:3], None], "new": ONE})
    found = {c.row.split(",")[0]: c for c in compare(a, b)}
    assert found["vae"].reason == "no number in B: failed: x"
    assert (found["ae"].n_a, found["ae"].n_b, found["ae"].pairs) == (4, 3, 3)
    assert (found["old"].reason, found["new"].reason) == ("only in A", "only in B")


def test_rows_of_one_place_are_matched_by_their_definition(tmp_path):
    sets = []
    for name, quick in (("a", ONE), ("b", MUCH)):
        write(tmp_path / name, {"vae": ONE}, epochs=99)
        cells = [json.loads(p.read_text())["cell"] for p in (tmp_path / name / "s").glob("*/record.json")]
        path = write(tmp_path / name, {"vae": quick}, epochs=3)
        cells += [json.loads(p.read_text())["cell"] for p in path.glob("*/record.json")]
        unique = list({synthetic.cell_id(cell): cell for cell in cells}.values())
        synthetic.write_suite(tmp_path / name, "s", [(cell, None) for cell in unique], metrics=[])
        sets.append(path)
    assert sorted(c.mark for c in compare(*sets)) == ["equal", "worse"]


def test_results_folders_are_compared_suite_by_suite(tmp_path):
    for name, values in (("a", ONE), ("b", MUCH)):
        write(tmp_path / name, {"vae": ONE}, "same")
        write(tmp_path / name, {"vae": values}, "other")
        write(tmp_path / name, {"vae": ONE}, f"only_{name}")
    found = {c.suite: c.mark for c in compare(tmp_path / "a", tmp_path / "b") if not c.suite.startswith("only")}
    assert found == {"same": "equal", "other": "worse"}
    assert only(compare("same", tmp_path / "b" / "other", results=tmp_path / "a")).mark == "worse"


def test_a_suite_that_one_results_folder_has_lost_is_not_comparable(tmp_path):
    for suite in ("s", "t", "lost"):
        write(tmp_path / "a", {"vae": ONE}, suite)
    for suite in ("s", "t", "new"):
        write(tmp_path / "b", {"vae": ONE}, suite)
    found = compare(tmp_path / "a", tmp_path / "b")
    alone = {c.suite: c.reason for c in found if c.mark == "not comparable"}
    assert alone == {"lost": "only in A", "new": "only in B"}
    assert fails(found, ["not-comparable"])
    assert not fails(found, ["different"])


def test_what_is_no_result_set_is_said(tmp_path):
    write(tmp_path / "a", {"vae": ONE})
    write(tmp_path / "b", {"vae": ONE}, "t")
    write(tmp_path / "b", {"vae": ONE}, "u")
    for a, b, metric, message in (
        (tmp_path / "a", tmp_path / "b", (), "no suite in common"),
        (tmp_path / "a", tmp_path / "nowhere", (), "neither a suite's results"),
        (tmp_path / "a", tmp_path / "a", ("msee",), "did you mean 'mse'"),
    ):
        with pytest.raises(UsageError, match=message):
            compare(a, b, metric)


def test_conditions_for_failing_are_marks(tmp_path):
    a, b = write(tmp_path / "a", {"vae": ONE, "ae": ONE}), write(tmp_path / "b", {"vae": MUCH, "ae": ONE})
    found = compare(a, b)
    assert counts(found) == {"worse": 1, "equal": 1}
    assert fails(found, ["worse"])
    assert fails(found, ["different"])
    assert not fails(found, ["not-comparable"])
    assert not fails(compare(b, a), ["worse"])
    assert not fails(found, [])


def test_the_command_exits_1_only_where_it_was_asked_to(tmp_path):
    a, b = write(tmp_path / "a", {"vae": ONE}), write(tmp_path / "b", {"vae": MUCH})
    plain = run_bench("compare", str(a), str(b))
    assert (plain.returncode, plain.stderr) == (0, "")
    assert "− worse          vae, mlp, mnist, bernoulli, latent 2  1.025 → 2.027: +1" in plain.stdout
    done = run_bench("compare", str(a), str(b), "--json", "--metric", "mse", "--fail-on", "worse")
    assert done.returncode == 1
    found = json.loads(done.stdout)
    assert found["counts"] == {"worse": 1}
    assert found["comparisons"][0]["n_a"] == 4
    wrong = run_bench("compare", str(a), str(tmp_path / "gone"))
    assert (wrong.returncode, "Traceback" in wrong.stderr) == (2, False)
