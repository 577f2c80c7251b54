"""The speed benchmark: what it counts, that all cells are trained, and what it says. No test asserts a time."""

import csv
import io
import json
from contextlib import nullcontext
from pathlib import Path

import pytest
import torch
from bench.GONE import FusedAdam, chosen, operators, pixels
from conftest import run_bench

from bench.errors import DataError, RunFailed, UsageError
from benchmarks import evaluation, flops, grid, limits, measure, overhead, peers, profile, table, workers

NOWHERE = Path("/nowhere")


def a_grid(**changes):
    parts = {"variants": ("ae", "vae"), "net": "mlp", "precision": "fp32", "device": "cpu", "seeds": 3, "group": 1,
             "batch_size": 64, "images": 256, "data_root": NOWHERE}  # fmt: skip
    return grid.Grid(**(parts | changes))


def test_flops_of_the_mlp_are_those_of_its_matrices():
    """784-512-32 and 16-512-784: three products a layer, the first one has no gradient of its input."""
    found = flops.training_flops(grid.builder("vae", "mlp")(), (1, 28, 28), 10)
    weights = [784 * 512, 512 * 32, 16 * 512, 512 * 784]
    assert found == {"linear": 2 * (3 * sum(weights) - weights[0]), "conv": 0}


def test_flops_of_convolutions_count_every_place_a_kernel_is_laid():
    found = flops.training_flops(grid.builder("ae", "conv")(), (1, 28, 28), 10)
    first, second, code = 16 * 32 * 14 * 14, 16 * 32 * 64 * 7 * 7, 64 * 7 * 7 * 16
    assert found == {"linear": 2 * 3 * 2 * code, "conv": 2 * (3 * 2 * (first + second) - first)}


def test_a_grid_is_variants_times_seeds_in_groups():
    assert a_grid().jobs == tuple((v, (s,)) for v in ("ae", "vae") for s in range(3))
    assert a_grid(group=2).jobs == (("ae", (0, 1)), ("ae", (2,)), ("vae", (0, 1)), ("vae", (2,)))


def test_more_images_than_there_are_become_epochs():
    assert (a_grid().budget.epochs, a_grid().images_of_cell) == (1, 256)
    assert (a_grid(images=130_000).budget.epochs, a_grid(images=130_000).images_of_cell) == (2, 120_000)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_best_rates_are_measured_for_both_kinds_of_layer(precision, monkeypatch):
    monkeypatch.setattr(limits, "SECONDS", 0.0)
    monkeypatch.setattr(limits.time, "perf_counter", iter(range(1000)).__next__)
    monkeypatch.setattr(limits, "PRODUCTS", ((4, 5, 6),))
    monkeypatch.setattr(limits, "CONVOLUTIONS", ((2, 6, 3, 3, 1),))
    assert limits._rate(lambda: torch.zeros(()), 10.0, torch.device("cpu")) == 0  # no time, no rate
    monkeypatch.setattr(limits, "SECONDS", 3)
    asked = []
    monkeypatch.setattr(limits, "matmul_precision", lambda name: asked.append(name) or nullcontext())
    found = limits.best_rates(torch.device("cpu"), precision)
    assert asked == [precision]
    assert found == {"linear": 2 * 4 * 5 * 6, "conv": 2 * 128 * 2 * 3 * 9 * 36}  # every clock reading is a second later


@pytest.mark.parametrize(
    ("variants", "nets", "message"),
    [
        (("vea",), ("mlp",), "did you mean 'vae'"),
        (("vae",), ("mpl",), "did you mean 'mlp'"),
        (("pca",), ("mlp",), "closed form"),
    ],
)
def test_what_cannot_be_timed_is_refused(variants, nets, message):
    with pytest.raises(UsageError, match=message):
        measure.measure(measure.Plan(variants=variants, nets=nets))


def test_a_missing_peer_is_one_message_and_exit_code_2(monkeypatch):
    monkeypatch.setattr(peers, "find_spec", lambda name: None)
    with pytest.raises(UsageError, match=r"pythae is not installed; pip install 'bench\[peers\]'") as error:
        measure.measure(measure.Plan(against="pythae"))
    assert error.value.exit_code == 2
    done = run_bench("speed", "--against", "pytheae")
    assert done.returncode == 2
    assert done.stderr.strip() == "--against pytheae: unknown peer; did you mean 'pythae'? known: pythae"


def test_a_peer_says_what_it_can_be_compared_in(monkeypatch):
    monkeypatch.setattr(peers, "find_spec", lambda name: object())
    with pytest.raises(UsageError, match="compared in ae, vae, not in beta_vae"):
        peers.check("pythae", ("vae", "beta_vae"))


def test_two_answers_to_how_long_are_refused():
    done = run_bench("speed", "--images", "100", "--seconds", "2")
    assert (done.returncode, "give one of them" in done.stderr) == (2, True)


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    """`bench speed --json` on the smallest of grids, with two workers."""
    out = tmp_path_factory.mktemp("speed")
    how = ["--variant", "ae", "--seeds", "2", "--workers", "2", "--images", "128", "--rounds", "2", "--device", "cpu"]
    done = run_bench("speed", *how, "--data", str(out), "--out", str(out / "found"), "--json", check=True)
    return json.loads(done.stdout), out / "found"


def test_a_measurement_has_a_row_with_its_share_of_the_limit(measured):
    found, _ = measured
    [row] = found["rows"]
    assert {"variant": "ae", "net": "mlp", "device": "cpu", "precision": "fp32", "against": None, "ratio": None,
            "workers": 2, "images_per_cell": 128}.items() <= row.items()  # fmt: skip
    assert row["share_of_limit"] == pytest.approx(row["images_per_s"] / row["limit_images_per_s"], rel=1e-2)
    assert len(row["by_round"]) == 2
    assert found["machine"]["device"].startswith("cpu")
    assert found["data"].startswith("generated")


def test_a_measurement_is_written_as_a_table_and_as_numbers(measured):
    found, folder = measured
    assert json.loads((folder / "speed.json").read_text()) == found
    [row] = csv.DictReader(io.StringIO((folder / "speed.csv").read_text()))
    assert float(row["images_per_s"]) == found["rows"][0]["images_per_s"]
    assert (folder / "speed.md").read_text() == table.markdown(found)


@pytest.fixture
def short(monkeypatch):
    """Trainings of five steps are long ones."""
    monkeypatch.setattr("benchmarks.profile.LONG", 5)
    monkeypatch.setattr("bench.training.step.LONG", 5)


@pytest.fixture
def one_thread_kept():
    before = torch.get_num_threads()
    yield
    assert torch.get_num_threads() == before


def test_a_profile_tells_what_a_step_is_made_of(measured, monkeypatch, one_thread_kept, short):
    monkeypatch.setattr("benchmarks.profile.STEPS", 3)
    plan = measure.Plan(variants=("ae", "vae"), device="cpu", data_root=NOWHERE, batch_size=64)
    [found] = measure._profiles(plan, [a_grid()])
    assert (found["variant"], found["steps"], found["stacked"]) == ("vae", 3, 1)
    total = sum(operation["ms"] for operation in found["operations"]) + found["rest_ms"]
    assert total == pytest.approx(found["step_ms"], abs=0.05)
    calls = {operation["name"]: operation["calls"] for operation in found["operations"]}
    assert calls[profile.ADAM] == 1
    assert calls["bench::cross_entropy_both" if chosen()["cross_entropy"] == "vectors" else "aten::mean"] >= 1
    assert calls[profile.IMAGES if chosen()["pixels"] == "vectors" else "aten::index_select"] >= 1
    named = FusedAdam.step, pixels.gathered, operators.function_of
    assert [function.__name__ for function in named] == ["step", "gathered", "function_of"]  # as they were
    text = table.markdown(measured[0] | {"profiles": [found]})
    assert "| a step of vae mlp fp32 (cpu, captured) | calls | ms | share |" in text
    assert "| in none of them |" in text
    assert text.count("others |") == (len(found["operations"]) > table.LONGEST)


def test_a_profile_of_fewer_images_than_asked_for_counts_its_own_steps(short):
    found = profile.measure(a_grid(batch_size=25_000), "ae", steps=10)  # of 60,000 images
    assert found["steps"] == 2
    assert {o["name"]: o["calls"] for o in found["operations"]}[profile.ADAM] == 1


def test_a_profile_needs_a_seed_that_does_not_diverge(monkeypatch, short):
    monkeypatch.setattr(torch.nn.Linear, "reset_parameters", lambda layer: layer.weight.data.fill_(float("nan")))
    with pytest.raises(RunFailed, match="diverged"):
        profile.measure(a_grid(), "ae", steps=2)


def test_overhead_is_what_is_left_of_a_cell_and_stands_below_the_table(measured, tmp_path):
    found = overhead.measure(tmp_path, cells=1, records=3, starts=1, larger="digits")
    assert found["larger_cell"]["dataset"] == "digits"
    assert found["cell"]["other"] > 0
    assert "larger_cell" not in overhead.measure(tmp_path, cells=1, records=1, starts=1)  # without MNIST
    assert found["cell"]["overhead"] == pytest.approx(found["cell"]["pictures"] + found["cell"]["other"], abs=2e-4)
    assert found["store"]["records"] == 3
    text = table.markdown(measured[0] | {"overhead": found})
    assert "a store of 3 records" in text
    assert found["cell"]["figures"] > 0
    assert "ms that the model computes for figures" in text


@pytest.fixture(scope="module")
def evaluated(tmp_path_factory):
    """Both sides of an evaluation, on few digits and in this process."""
    home = tmp_path_factory.mktemp("evaluation")
    asked = evaluation.Asked(home, home, "digits", points=100, samples=120, iw_images=5, inception_images=0, warm=1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(evaluation, "_apart", lambda side, job, threads, count=1: [side(job)] * count)
        return evaluation.measure(asked)


def test_an_evaluation_is_told_by_part_and_the_parts_are_all_of_it(evaluated):
    for name in ("cold", "warm", "warm_all_points"):
        side = evaluated["ours"][name]
        assert sum(side["parts"].values()) == pytest.approx(side["wall"], abs=0.02)
        assert {"tsne", "umap", "knn", "bounds", "classifier", "samples"} <= side["parts"].keys()
    by_hand = evaluated["naive"]["all"]
    assert sum(by_hand["parts"].values()) == pytest.approx(by_hand["wall"], abs=0.02)
    assert {"tsne", "umap", "knn", "bounds", "silhouettes"} <= by_hand["parts"].keys()


def test_where_protocols_agree_so_do_the_numbers(evaluated):
    same = {name: d for name, d in evaluated["differences"].items() if d["same_protocol"]}
    assert {"mse", "psnr", "knn_accuracy", "kmeans_nmi", "kmeans_ari", "silhouette_latent"} == same.keys()
    for name, pair in same.items():
        assert pair["ours"] == pytest.approx(pair["naive"], rel=1e-5), name
    bounds = evaluated["differences"]["elbo"]
    assert bounds["ours"] == pytest.approx(bounds["naive"], rel=0.05)  # other noise


def test_an_evaluation_stands_below_the_table(measured, evaluated):
    text = table.markdown(measured[0] | {"evaluation": evaluated})
    assert "| naive, all |" in text
    assert "left out on both sides: FID and KID" in text
    ratio = evaluated["ratios"]["protocol"]
    assert f"protocol ×{ratio['wall']:.1f} ({ratio['cpu']:.1f})" in text


def test_workers_side_by_side_share_the_machine(evaluated):
    """Of each part the slowest counts, and what each takes is divided by their number."""
    mine, theirs = evaluated["ours"], evaluated["naive"]
    quick, slow = ({"warm": {"wall": wall, "cpu": 1.0}} for wall in (2.0, 3.0))
    assert evaluation.slowest([quick, slow, quick]) == slow
    alone, two = (evaluation.compare(mine, theirs, workers)["ratios"]["protocol"] for workers in (1, 2))
    assert two["wall"] == pytest.approx(2 * alone["wall"], abs=0.02)
    assert two["cpu"] == alone["cpu"]


def side(job):
    evaluation._wait_for_others()
    return {"done": job}


def broken_beside(job):
    """Whoever comes first breaks."""
    try:
        job.touch(exist_ok=False)
    except FileExistsError:
        evaluation._wait_for_others()
        return {}
    raise ValueError("it broke")


def test_processes_wait_for_each_other_but_not_for_one_that_broke(tmp_path):
    assert evaluation._apart(side, "job", threads=1, count=2) == [{"done": "job"}] * 2
    with pytest.raises(ValueError, match="it broke"):
        evaluation._apart(broken_beside, tmp_path / "first", threads=1, count=2)


def test_every_second_belongs_to_one_part():
    maps = [("points_tsne", 1.0), ("nll", 0.25), ("iw_bound", 0.25), ("samples_gmm", 2.0), ("samples_covered_gmm", 0.5)]
    found = evaluation.by_part([*maps, ("fid_prior", 3.0), ("ssim", 1.0)], 10.0)
    assert found == {"tsne": 1, "bounds": 0.5, "samples": 2, "classifier": 0.5, "inception": 3, evaluation.REST: 3}


def test_an_evaluation_without_its_dataset_says_what_is_missing():
    with pytest.raises(DataError, match="mnist"):
        evaluation.measure(evaluation.Asked(NOWHERE, NOWHERE))


def test_every_job_is_taken_once(monkeypatch):
    taken = []
    left = workers.CONTEXT.Value("i", 0)
    side = workers._Side("cpu", lambda grid, job: taken.append(job) or 0.5, left)
    assert side.train(a_grid()) == 3.0
    assert side.train(a_grid()) == 0.0
    assert taken == list(a_grid().jobs)


def test_what_breaks_in_a_worker_reaches_the_one_who_asked():
    with workers.standing_ready(a_grid(), 1, 1) as side:
        with pytest.raises(UsageError, match="unknown net 'nope'"):
            side.train(a_grid(net="nope"))
        with pytest.raises(RunFailed, match="died"):
            side.train(a_grid())


def test_the_peer_trains_benchs_nets(tmp_path):
    pythae = pytest.importorskip("benchmarks.peers.pythae")
    pytest.importorskip("pythae", reason="pythae is not installed (the extra 'peers')")
    for variant in pythae.VARIANTS:
        ours, theirs = grid.builder(variant, "mlp")(), pythae.model(variant, "mlp")
        shapes = [p.shape for p in ours.net.encoder.parameters()], [p.shape for p in theirs.encoder.parameters()]
        assert shapes[0] == shapes[1]
        assert pythae.train(a_grid(images=128), (variant, (0,))) > 0
