"""A damaged file costs only itself, in every verb: one message that names it, no traceback, and a way to mend it."""

import json
import logging
import shutil
from collections import Counter

import pytest
import soak_cases
from click.testing import CliRunner

from bench.__main__ import cli
from bench.errors import BenchError
from bench.results.store import Store

SUITE = """title: damaged
grid: {datasets: [digits], variants: [ae, pca], nets: [{name: mlp, hidden: [8]}], latent_sizes: [2], seeds: 2}
train: {epochs: 1, train_images: 100}
evaluate: {n_samples: 20, samplers: [prior], embed: {points: 50, methods: [tsne]}}
metrics: [mse, knn_accuracy, silhouette]
claims:
  - {id: c, source: s, says: it, metric: mse, expect: {of: {variant: ae}, less_than: {variant: pca}}}
"""


class Bench:
    """The verbs of the command line on one suite, in this process."""

    def __init__(self, root, caplog=None):
        self.root, self.results, self.caplog = root, root / "results", caplog
        self.file = root / "s.yaml"

    def __call__(self, verb, *arguments):
        """(exit code, output and messages); a traceback is a failure."""
        if self.caplog is not None:
            self.caplog.clear()
        result = CliRunner().invoke(cli, [verb, *map(str, arguments)])
        said = "\n".join(self.caplog.messages) if self.caplog is not None else ""
        error = result.exception
        if isinstance(error, BenchError):
            return error.exit_code, f"{result.output}{said}\n{error}"
        if error is not None and not isinstance(error, SystemExit):
            raise error
        return result.exit_code, f"{result.output}{said}"

    def readers(self):
        """The verbs that only read, with their arguments."""
        where, folder = ("--results", self.results), self.results / "s"
        return {
            "plan": (self.file, *where),
            "status": (self.file, *where),
            "table": ("s", *where),
            "claims": ("s", *where),
            "verify": ("s", *where),
            "compare": (folder, folder),
        }

    def report(self):
        return self("report", "--results", self.results, "--out", self.root / "site")

    def run(self, *flags):
        return self("run", self.file, "--results", self.results, "--workers", 1, "--offline", *flags)

    def cell(self, variant="ae"):
        return next(r for r in Store(self.results).records("s") if r.cell["variant"] == variant)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """The folder of a suite of four cells that were run."""
    root = tmp_path_factory.mktemp("trained")
    (root / "s.yaml").write_text(SUITE, encoding="utf-8")
    code, said = Bench(root).run()
    assert code == 0, said
    return root


@pytest.fixture
def bench(trained, tmp_path, caplog):
    caplog.set_level(logging.WARNING)
    shutil.copytree(trained, tmp_path / "copy")
    return Bench(tmp_path / "copy", caplog)


def test_a_damaged_record_is_shown_by_every_verb_and_replaced_by_retry_failed(bench):
    record = bench.cell()
    path = record.folder / "record.json"
    path.write_bytes(path.read_bytes()[:100])
    for verb, arguments in bench.readers().items():
        code, said = bench(verb, *arguments)
        assert code == {"status": 1, "verify": 1}.get(verb, 0), (verb, said)
        assert said.count(str(path)) >= 1, verb
        assert [str(path) in message for message in bench.caplog.messages] == [True], verb
    assert "damaged" in bench("plan", *bench.readers()["plan"])[1]
    assert "1 damaged" in bench("status", *bench.readers()["status"])[1]
    assert "damaged" in bench("table", *bench.readers()["table"])[1]
    code, said = bench.report()
    assert code == 0, said
    assert "damaged" in (bench.root / "site/suites/s/index.html").read_text()
    assert bench("sample", record.id, "--results", bench.results, "--out", bench.root / "x.png")[0] == 2
    before = {p: p.read_bytes() for p in bench.results.rglob("record.json")}
    code, said = bench.run()
    assert (code, "1 damaged" in said) == (1, True)
    assert before == {p: p.read_bytes() for p in bench.results.rglob("record.json")}
    assert bench("evaluate", bench.file, "--results", bench.results, "--workers", 1)[0] == 1
    code, said = bench.run("--retry-failed")
    assert code == 0, said
    assert bench.cell().metrics["mse"]["value"] == record.metrics["mse"]["value"]


def check_verbs(bench, verbs):
    """Run verbs on results that hold a fault. Returns how many were run."""
    for verb in verbs:
        code, said = bench.report() if verb == "report" else bench(verb, *bench.readers()[verb])
        assert code in (0, 1, 3), (verb, said)
    return len(verbs)


@pytest.mark.parametrize("seed", range(12))
def test_mutated_records_and_suites_give_no_traceback(bench, seed):
    fuzz(bench, range(5 * seed, 5 * seed + 5))


def fuzz(bench, seeds):
    """Mutate the record of a cell, or every third time suite.json, and run each reading verb; `report` at the end."""
    record = bench.cell().folder / "record.json"
    suite, verbs = bench.results / "s" / "suite.json", list(bench.readers())
    originals = {path: path.read_bytes() for path in (record, suite)}
    for seed in seeds:
        path = suite if seed % 3 == 2 else record
        path.write_bytes(soak_cases.mutated(json.loads(originals[path]), seed))
        check_verbs(bench, verbs)
        if seed == seeds[-1]:
            check_verbs(bench, ["report"])
        path.write_bytes(originals[path])


@pytest.mark.parametrize("batch", range(len(soak_cases.batches())))
def test_hostile_files_give_no_traceback(bench, batch):
    cells = sorted(record.folder for record in Store(bench.results).records("s"))
    for number, name, what in soak_cases.batches()[batch]:
        soak_cases.plant(cells[number], name, what)
    check_verbs(bench, [*bench.readers(), "report"])


@pytest.mark.parametrize("number", range(len(soak_cases.FILES["checkpoint.safetensors"])))
def test_a_damaged_checkpoint_is_refused_by_name_and_trained_again(bench, number):
    record = bench.cell()
    soak_cases.plant(record.folder, "checkpoint.safetensors", number)
    code, said = bench("sample", record.id, "--results", bench.results, "--out", bench.root / "x.png")
    assert code == 2, said
    assert "checkpoint.safetensors" in said


def test_damaged_maps_are_made_anew_with_the_next_metric(bench):
    record = bench.cell()
    soak_cases.plant(record.folder, "embeddings.npz", 0)
    bench.file.write_text(SUITE.replace("[mse,", "[mse, psnr,"), encoding="utf-8")
    code, said = bench("evaluate", bench.file, "--results", bench.results, "--workers", 1)
    assert code == 0, said
    assert sorted(bench.cell().embeddings()) == ["labels", "latent", "tsne"]


def test_a_suite_all_of_whose_cells_failed_has_a_table_of_holes_with_reasons(bench):
    for record in Store(bench.results).records("s"):
        path = record.folder / "record.json"
        content = json.loads(path.read_bytes()) | {"status": "failed", "reason": "out of memory", "metrics": {}}
        path.write_text(json.dumps(content), encoding="utf-8")
    for arguments in (("s",), ("s", "--metric", "mse")):
        code, said = bench("table", *arguments, "--results", bench.results)
        assert code == 0, said
        assert "failed" in said
        assert "out of memory" in said
    assert bench.report()[0] == 0


def test_another_suite_of_one_name_is_refused_and_never_printed(bench):
    other = bench.root / "elsewhere" / "s.yaml"
    other.parent.mkdir()
    changed = SUITE.replace("title: damaged", "title: other question").replace("epochs: 1", "epochs: 2")
    other.write_text(changed, encoding="utf-8")
    before = (bench.results / "s" / "suite.json").read_bytes()
    code, said = bench("run", other, "--results", bench.results, "--workers", 1)
    assert code == 2
    assert "'damaged'" in said
    assert "'other question'" in said
    assert (bench.results / "s" / "suite.json").read_bytes() == before
    for verb, state in (("plan", 0), ("status", 3)):
        code, said = bench(verb, other, "--results", bench.results)
        assert (code, "'damaged'" in said) == (state, True), (verb, said)
    for verb in ("table", "claims", "report"):
        code, said = bench(
            verb, other, "--results", bench.results, *(["--out", bench.root / "x"] if verb == "report" else [])
        )
        assert (code, "'damaged'" in said) == (2, True), (verb, said)
    assert bench("table", bench.file, "--results", bench.results)[0] == 0


def test_a_suite_that_asks_for_more_is_shown_as_it_was_run_with_a_word(bench):
    bench.file.write_text(SUITE.replace("seeds: 2", "seeds: 3"), encoding="utf-8")
    code, said = bench("table", bench.file, "--results", bench.results)
    assert code == 0
    assert "asks for other cells by now, 1 more" in said or "2 more" in said


def soak_records(folder, n=500):
    """Mutated records and suites, and all hostile files, under every reading verb."""
    folder = folder / "soak"
    folder.mkdir()
    (folder / "s.yaml").write_text(SUITE, encoding="utf-8")
    bench = Bench(folder)
    assert bench.run()[0] == 0
    fuzz(bench, range(n))
    planted = 0
    for batch in soak_cases.batches():
        copy = folder.parent / "copy"
        shutil.copytree(folder, copy)
        hostile = Bench(copy)
        cells = sorted(record.folder for record in Store(hostile.results).records("s"))
        for number, name, what in batch:
            soak_cases.plant(cells[number], name, what)
            planted += 1
        check_verbs(hostile, [*hostile.readers(), "report"])
        shutil.rmtree(copy)
    return Counter({"records and suite.json mutated": n, "hostile files": planted})
