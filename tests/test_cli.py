"""The command line as a process: what it computes, what it keeps, what it says."""

import csv
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import synthetic
from conftest import ROOT, run_bench

from bench import registry
from bench.errors import UsageError
from bench.runs.runner import run
from bench.runs.task import Request, Settings
from bench.suite import load

SUITE = """\
title: Small
grid:
  datasets: [digits]
  variants: [ae, vae, pca]
  latent_sizes: [2]
  seeds: 2
train: {epochs: 2, batch_size: 64}
evaluate: {samplers: [prior], n_samples: 200, iw_images: 20, iw_samples: 5, embed: {methods: [tsne], points: 60}}
metrics: [mse, elbo, knn_accuracy]
"""


@pytest.fixture
def suite(tmp_path):
    path = tmp_path / "small.yaml"
    path.write_text(SUITE)
    return path


@pytest.fixture
def bench(tmp_path):
    def call(verb, *arguments, **env):
        return run_bench(verb, *map(str, arguments), cwd=tmp_path, **env)

    return call


def records(tmp_path, suite="small"):
    found = {}
    for path in sorted((tmp_path / "results" / suite).glob("*/record.json")):
        content = json.loads(path.read_text())
        found[content["id"]] = content
    return found


def numbers(tmp_path):
    return {i: {k: m["value"] for k, m in r["metrics"].items()} for i, r in records(tmp_path).items()}


def test_a_run_settles_every_cell_and_a_second_run_does_nothing(bench, suite, tmp_path):
    first = bench("run", suite, "--workers", 1)
    assert first.returncode == 0, first.stderr
    assert "6 done of 6" in first.stdout
    before = {p: p.stat().st_mtime_ns for p in (tmp_path / "results/small").glob("*/record.json")}
    assert len(before) == 6
    second = bench("run", suite, "--workers", 1)
    assert second.returncode == 0
    assert "0 of 6 cells to do" in second.stderr
    assert before == {p: p.stat().st_mtime_ns for p in before}


def test_a_cell_has_the_same_numbers_again_with_two_workers_and_in_another_home(bench, suite, tmp_path):
    """To the last bit, the map of t-SNE included."""
    bench("run", suite, "--workers", 1)
    first, maps = numbers(tmp_path), arrays(tmp_path / "results")
    assert bench("run", suite, "--workers", 1, "--force", HOME=str(tmp_path / "home")).returncode == 0
    assert (numbers(tmp_path), arrays(tmp_path / "results")) == (first, maps)
    two = bench("run", suite, "--workers", 2, "--results", "two")
    assert two.returncode == 0, two.stderr
    (tmp_path / "results").rename(tmp_path / "one")
    (tmp_path / "two").rename(tmp_path / "results")
    assert (numbers(tmp_path), arrays(tmp_path / "results")) == (first, maps)


def arrays(results):
    """Bytes of all arrays of a results folder, by file and name."""
    return {
        f"{path.relative_to(results)} {name}": array.tobytes()
        for path in results.rglob("*.npz")
        for name, array in np.load(path).items()
    }


def test_a_record_says_what_it_is_and_where_it_comes_from(bench, suite, tmp_path):
    bench("run", suite, "--only", "variant=vae", "--only", "seed=1")
    [record] = records(tmp_path).values()
    assert record["schema"] == 1
    assert record["status"] == "done"
    assert {"dataset", "variant", "net", "options", "label", "latent_size", "seed", "train", "evaluate"} <= set(
        record["cell"]
    )
    assert record["cell"]["seed"] == 1
    assert record["metrics"]["mse"].keys() >= {"value", "unit", "better", "n"}
    assert {"versions", "device", "threads", "precision", "fingerprint", "peak_memory_mb"} <= set(record["provenance"])
    folder = tmp_path / "results/small" / record["id"]
    assert {p.name for p in folder.iterdir()} == {
        "record.json", "history.csv", "checkpoint.safetensors", "codes.npz", "embeddings.npz",
        "reconstructions.png", "samples_prior.png", "manifold.png", "interpolations.png", "interpolations_moving.gif",
    }  # fmt: skip
    assert str(tmp_path) not in (folder / "record.json").read_text()


def test_a_killed_training_resumes_and_has_the_numbers_of_one_that_was_not(suite, tmp_path):
    """A long cell, killed with its state on disk; the process that goes on trains only the rest."""
    chosen = ("--workers", "1", "--only", "variant=vae", "--limit", "1", "--set", "train.epochs=30")
    code = "from bench.training import resume; resume.ResumePoint.__init__.__defaults__ = (0.0,)\n" \
           "from bench.__main__ import main; main()"  # fmt: skip
    command = [sys.executable, "-c", code, "run", str(suite), *chosen]
    process = subprocess.Popen(
        command, cwd=tmp_path, stderr=subprocess.DEVNULL, env={**os.environ, "PYTHONPATH": str(ROOT)}
    )
    while not (states := list((tmp_path / "results").glob("small/*/training.safetensors"))):
        assert process.poll() is None, "it ended before a state was written"
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert records(tmp_path) == {}
    loaded = load(suite, ["train.epochs=30"], ["variant=vae"])
    request = Request(frozenset(c.id for c in loaded.cells), limit=1)
    for results in ("results", "whole"):
        assert run(loaded, Settings(tmp_path / results, tmp_path), request, workers=1).settled == {"done": 1}
    assert not states[0].exists()
    resumed, whole = (next((tmp_path / p / "small").glob("*/history.csv")).read_text() for p in ("results", "whole"))
    assert untimed(resumed) == untimed(whole)
    [cell] = numbers(tmp_path).values()
    (tmp_path / "results").rename(tmp_path / "resumed")
    (tmp_path / "whole").rename(tmp_path / "results")
    assert list(numbers(tmp_path).values()) == [cell]


def untimed(history):
    """Rows without their seconds."""
    return [{k: v for k, v in row.items() if k != "seconds"} for row in csv.DictReader(history.splitlines())]


def test_a_metric_added_later_is_computed_from_the_checkpoint(bench, suite, tmp_path):
    bench("run", suite, "--workers", 1)
    before = records(tmp_path)
    made = {p: p.stat().st_mtime_ns for p in (tmp_path / "results/small").glob("*/*.*") if p.name != "record.json"}
    suite.write_text(SUITE.replace("[mse,", "[psnr, mse,"))
    status = bench("status", suite, "--json")
    assert json.loads(status.stdout)["counts"] == {"partial": 6}
    assert status.returncode == 3
    done = bench("evaluate", suite, "--workers", 1)
    assert done.returncode == 0, done.stderr
    after = records(tmp_path)
    assert after.keys() == before.keys()
    for cell_id, record in after.items():
        assert record["metrics"]["psnr"]["value"] > 0
        assert record["metrics"]["mse"]["value"] == before[cell_id]["metrics"]["mse"]["value"]
        assert record["training"] == before[cell_id]["training"]
    assert made == {p: p.stat().st_mtime_ns for p in made}  # maps and pictures are not made again


def test_another_protocol_reuses_the_trained_model(bench, suite, tmp_path):
    bench("run", suite, "--workers", 1, "--only", "variant=ae")
    done = bench("run", suite, "--workers", 1, "--only", "variant=ae", "--set", "evaluate.knn_k=1")
    assert done.returncode == 0
    found = list(records(tmp_path).values())
    assert len(found) == 4
    assert len({r["training"]["train_id"] for r in found}) == 2
    assert len({r["training"]["seconds"] for r in found}) == 2


def test_a_cell_trained_for_one_suite_is_not_trained_again_for_another(bench, suite, tmp_path):
    bench("run", suite, "--workers", 1, "--only", "variant=vae")
    first = records(tmp_path)
    other = tmp_path / "other.yaml"
    other.write_text(SUITE.replace("title: Small", "title: Other").replace("[mse, elbo, ", "[psnr, "))
    assert bench("run", other, "--workers", 1, "--only", "variant=vae").returncode == 0
    found = records(tmp_path, "other")
    assert found.keys() == first.keys()
    for cell_id, record in found.items():
        assert record["training"] == first[cell_id]["training"], "the seconds would differ if it had been trained"
        assert set(record["metrics"]) == {"psnr", "knn_accuracy"}
        assert record["metrics"]["knn_accuracy"]["value"] == first[cell_id]["metrics"]["knn_accuracy"]["value"]
    assert bench("run", suite, "--workers", 1).returncode == 0
    assert records(tmp_path).keys() > first.keys()


def test_figures_are_drawn_anew_and_the_record_stays_as_it_is(bench, suite, tmp_path):
    chosen = ("--workers", 1, "--only", "variant=vae", "--only", "seed=0")
    bench("run", suite, *chosen)
    [record] = (tmp_path / "results/small").glob("*/record.json")
    before, picture = record.read_bytes(), record.with_name("manifold.png")
    drawn = picture.read_bytes()
    picture.unlink()
    assert bench("evaluate", suite, *chosen).returncode == 0
    assert not picture.exists(), "no number is lacking, so nothing was to do"
    assert bench("evaluate", suite, "--figures", *chosen).returncode == 0
    assert picture.read_bytes() == drawn
    assert record.read_bytes() == before


def test_evaluate_trains_nothing(bench, suite, tmp_path):
    assert bench("evaluate", suite).returncode == 3
    assert records(tmp_path) == {}


def test_a_damaged_checkpoint_is_trained_again_to_the_same_numbers(bench, suite, tmp_path):
    bench("run", suite, "--workers", 1, "--limit", 1)
    [(cell_id, before)] = records(tmp_path).items()
    folder = tmp_path / "results/small" / cell_id
    (folder / "record.json").unlink()
    (folder / "checkpoint.safetensors").write_bytes(b"damaged")
    assert bench("run", suite, "--workers", 1, "--limit", 1).returncode == 0
    assert records(tmp_path)[cell_id]["metrics"]["mse"]["value"] == before["metrics"]["mse"]["value"]


BROKEN = """\
from pathlib import Path

from bench.models.variants.ae import AE


class Broken(AE):
    def encode(self, x, y=None):
        if Path("broken").exists():
            raise ValueError("broken on purpose")
        return super().encode(x)
"""


@pytest.fixture
def breaking(bench, suite, tmp_path):
    """Runs a suite with a variant that breaks while a file `broken` exists."""
    (tmp_path / "mine/variants").mkdir(parents=True)
    (tmp_path / "mine/variants/broken.py").write_text(BROKEN)
    suite.write_text(f"plugins: [./mine]\n{SUITE.replace('[ae, vae, pca]', '[broken, pca]')}")
    yield lambda *arguments: bench("run", suite, "--workers", 1, *arguments)
    registry.reset()


def test_a_failed_cell_is_recorded_the_others_go_on_and_it_can_be_retried(breaking, tmp_path):
    (tmp_path / "broken").touch()
    failed = breaking()
    assert failed.returncode == 1, failed.stderr
    assert "2 failed, 2 done" in failed.stdout
    broken = [r for r in records(tmp_path).values() if r["status"] == "failed"]
    assert {r["reason"] for r in broken} == {"variants/broken.py:9: ValueError: broken on purpose"}
    assert "Traceback" in (tmp_path / "results/small" / broken[0]["id"] / "error.txt").read_text()
    (tmp_path / "broken").unlink()
    assert breaking().returncode == 1  # a failure is not tried again unasked
    assert breaking("--retry-failed").returncode == 0
    assert not list((tmp_path / "results/small").glob("*/error.txt"))


def test_a_failure_never_replaces_results_that_are_there(breaking, suite, tmp_path):
    breaking()
    before = numbers(tmp_path)
    (tmp_path / "broken").touch()
    suite.write_text(suite.read_text().replace("[mse,", "[psnr, mse,"))
    assert breaking().returncode == 3
    for cell_id, values in numbers(tmp_path).items():
        assert before[cell_id].items() <= values.items()


def test_force_keeps_no_number_and_no_picture_of_other_weights(bench, suite, tmp_path):
    bench("run", suite, "--workers", 1, "--only", "variant=pca", "--limit", 1)
    [cell_id] = records(tmp_path)
    stale = tmp_path / "results/small" / cell_id / "samples_gone.png"
    stale.write_bytes((stale.parent / "reconstructions.png").read_bytes())
    suite.write_text(SUITE.replace("[mse, elbo, knn_accuracy]", "[mse]"))
    bench("run", suite, "--workers", 1, "--only", "variant=pca", "--force", "--limit", 1)
    assert set(records(tmp_path)[cell_id]["metrics"]) == {"mse"}
    assert not stale.exists()


def test_a_trial_with_set_does_not_take_the_place_of_the_suite(bench, suite, tmp_path):
    bench("run", suite, "--workers", 1, "--only", "variant=pca")
    before = (tmp_path / "results/small/suite.json").read_bytes()
    trial = bench("run", suite, "--workers", 1, "--only", "variant=pca", "--set", "train.batch_size=32")
    assert trial.returncode == 0
    assert "suite without --set" in trial.stderr
    assert (tmp_path / "results/small/suite.json").read_bytes() == before
    assert len(records(tmp_path)) == 4


def test_status_names_the_settings_of_what_was_run_with_set(bench, suite):
    bench("run", suite, "--workers", 1, "--only", "variant=pca", "--set", "train.batch_size=32")
    asked = bench("status", suite, process=True)
    assert asked.returncode == 3
    assert "they were run with --set train.batch_size=32" in asked.stderr


def test_limit_and_only_choose_cells_and_the_rest_stays_open(bench, suite, tmp_path):
    assert bench("run", suite, "--workers", 1, "--limit", 2).returncode == 0
    assert len(records(tmp_path)) == 2
    assert bench("run", suite, "--workers", 1, "--only", "variant=pca").returncode == 0
    assert len(records(tmp_path)) == 4
    assert bench("status", suite).returncode == 3
    grid = json.loads((tmp_path / "results/small/suite.json").read_text())["cells"]
    assert len(grid) == 6  # the report shows the whole grid, with its holes


def test_plan_says_what_would_run_without_running_or_importing_torch(bench, suite, tmp_path):
    plan = json.loads(bench("plan", suite, "--json").stdout)
    assert plan["counts"] == {"missing": 6}
    assert plan["estimate"]["cell_seconds"] is None
    assert plan["memory"] | {"images_bytes": 0} == {
        "images_bytes": 0, "model_bytes": None, "unknown_models": 2, "peak_bytes": None, "worker_bytes": 1797 * 72
    }  # fmt: skip
    assert not (tmp_path / "results").exists()
    bench("run", suite, "--workers", 1, "--limit", 2)
    plan = json.loads(bench("plan", suite, "--json").stdout)
    assert plan["counts"] == {"done": 2, "missing": 4}
    assert plan["memory"]["worker_bytes"] == plan["memory"]["peak_bytes"] > 10**7
    assert {"id", "state", "reason"} <= set(plan["cells"][0])
    code = (
        "import sys; sys.argv = ['bench', 'plan', sys.argv[1]]\n"
        "from bench.__main__ import cli\n"
        "cli(standalone_mode=False); assert 'torch' not in sys.modules"
    )
    assert subprocess.run([sys.executable, "-c", code, str(suite)], cwd=tmp_path).returncode == 0


def test_a_missing_dataset_is_told_before_anything_trains(bench, tmp_path):
    path = tmp_path / "two.yaml"
    path.write_text(SUITE.replace("[digits]", "[digits, mnist, kmnist]"))
    failed = bench("run", path, "--offline", "--data", tmp_path / "nowhere")
    assert failed.returncode == 2
    assert "2 datasets are missing" in failed.stderr
    assert "mnist" in failed.stderr
    assert str(tmp_path / "nowhere" / "KMNIST") in failed.stderr
    assert "Traceback" not in failed.stderr
    assert not (tmp_path / "results").exists()


def test_images_that_changed_are_refused(bench, tmp_path):
    from PIL import Image

    def write(value):
        for split in ("train", "test"):
            for name in ("a", "b"):
                folder = tmp_path / "own" / split / name
                folder.mkdir(parents=True, exist_ok=True)
                for i in range(12):
                    Image.new("RGB", (8, 8), (value + i, 20 * i, 0)).save(folder / f"{i}.png")

    write(0)
    path = tmp_path / "own.yaml"
    path.write_text(SUITE.replace("[digits]", "[{name: folder, path: own, size: 8}]").replace("[ae, vae, pca]", "[ae]"))
    assert bench("run", path, "--workers", 1, "--limit", 1).returncode == 0
    write(90)
    refused = bench("run", path, "--workers", 1)
    assert refused.returncode == 2
    assert "--force" in refused.stderr
    assert "fingerprint" in refused.stderr


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("latent_sizes", "latent_size"), "did you mean 'latent_sizes'"),
        (("vae", "vea"), "did you mean 'vae'"),
        (("digits", "digit"), "did you mean 'digits'"),
        (("mse", "msee"), "did you mean 'mse'"),
        (("latent_sizes: [2]", "latent_sizes: [0]"), "at least 1"),
    ],
)
def test_a_mistake_in_a_suite_is_one_message_with_its_line_and_exit_2(bench, suite, change, message):
    suite.write_text(SUITE.replace(*change, 1))
    failed = bench("run", suite)
    assert failed.returncode == 2
    assert message in failed.stderr
    assert "small.yaml:" in failed.stderr
    assert "Traceback" not in failed.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("run", "nowhere.yaml"), "nowhere.yaml"),
        (("rnu",), "No such command"),
        (("table", "never_run"), "no results of suite 'never_run' under results; `bench run SUITE` computes some"),
        (("list", "variant_"), "did you mean"),
        (("data", "check", "mnits"), "did you mean 'mnist'"),
        (("run", "small.yaml", "--device", "cuda:9"), "no CUDA device"),
        (("run", "small.yaml", "--only", "variant=vea"), "did you mean"),
        (("run", "small.yaml", "--set", "train.epoch=1"), "did you mean 'epochs'"),
        (("run", "small.yaml", "--workers", "0"), "--workers"),
        (("report", "--out", ""), "is empty"),
    ],
)
def test_a_mistake_on_the_command_line_is_one_message_and_exit_2(bench, suite, arguments, message):
    failed = bench(*arguments)
    assert failed.returncode == 2, failed.stderr
    assert message in failed.stderr
    assert "Traceback" not in failed.stderr


def test_list_names_everything_with_its_first_line(bench):
    found = json.loads(bench("list", "--json").stdout)
    assert {"variants", "nets", "samplers", "datasets", "metrics", "suites", "likelihoods"} == set(found)
    assert all(item["summary"] for kind in found.values() for item in kind)
    assert "vae" in bench("list", "variants").stdout
    metrics = bench("list", "metrics").stdout
    assert "(squared error per pixel, lower is better)" in " ".join(metrics.split())
    assert max(map(len, metrics.splitlines())) <= 80  # wrapped at words to the width of the terminal


def test_data_check_tells_what_a_dataset_holds(bench):
    found = json.loads(bench("data", "check", "digits", "--json").stdout)
    assert found["fingerprint"]
    missing = bench("data", "mnist", "--data", "nowhere")
    assert missing.returncode == 2
    assert "nowhere" in missing.stderr


def test_a_model_comes_back_in_two_lines(bench, suite, tmp_path):
    bench("run", suite, "--workers", 1, "--only", "variant=vae", "--limit", 1)
    import torch

    import bench as package

    [cell_id] = records(tmp_path)
    model = package.load_model(cell_id[:6], tmp_path / "results")
    assert model.generate(torch.zeros(3, 2)).shape == (3, 1, 8, 8)
    assert not model.encode(torch.zeros(3, 1, 8, 8)).requires_grad
    assert model.posterior(torch.zeros(3, 1, 8, 8)).log_var.shape == (3, 2)
    for wrong in (torch.zeros(3, 8, 8), torch.zeros(3, 1, 28, 28), torch.zeros(3, 1, 8, 8, dtype=torch.uint8), [0.5]):
        with pytest.raises(UsageError, match=r"float32 of shape \(B, 1, 8, 8\) in \[0, 1\], not "):
            model.encode(wrong)
    table = package.load_results(tmp_path / "results")
    assert list(table["id"]) == [cell_id]
    assert table["mse"][0] > 0


def test_results_can_be_read_where_nothing_was_run(tmp_path):
    import bench as package

    assert len(package.load_results(Path(tmp_path))) == 0
    with pytest.raises(UsageError, match=r"there is no results folder .*nowhere"):
        package.load_results(tmp_path / "nowhere")


@pytest.mark.parametrize(("suite", "opens", "code"), [((), True, 0), (("demo",), True, 0), (("demo",), False, 1)])
def test_open_builds_the_site_and_opens_the_page_or_says_where_it_is(tmp_path, monkeypatch, suite, opens, code):
    synthetic.write(tmp_path / "results", "demo", artefacts=False, sizes=(2,), nets=("mlp",), seeds=1, pca=False)
    opened = []
    monkeypatch.setattr("webbrowser.open", lambda address: opened.append(address) or opens)
    done = run_bench("open", *suite, cwd=tmp_path)
    page = tmp_path / "site" / ("suites/demo/index.html" if suite else "index.html")
    assert page.is_file()
    assert opened == [page.as_uri()]
    assert (done.returncode, tmp_path / done.stdout.strip()) == (code, page)
    assert ("no browser could be started" in done.stderr) is not opens


def test_open_refuses_an_unknown_suite_and_opens_nothing(tmp_path, monkeypatch):
    synthetic.write(tmp_path / "results", "demo", artefacts=False, sizes=(2,), nets=("mlp",), seeds=1, pca=False)
    opened = []
    monkeypatch.setattr("webbrowser.open", opened.append)
    done = run_bench("open", "demos", cwd=tmp_path)
    assert (done.returncode, done.stdout, opened) == (2, "", [])
    assert "no results of suite 'demos'" in done.stderr
    assert "did you mean 'demo'?" in done.stderr
    assert not (tmp_path / "site").exists()
