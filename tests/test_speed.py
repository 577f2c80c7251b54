"""The speed benchmark: that all cells are trained, and what it says. No test asserts a time."""

import json
from pathlib import Path

import pytest
from conftest import run_bench

from bench.errors import UsageError
from benchmarks import grid, measure, peers

NOWHERE = Path("/nowhere")


def a_grid(**changes):
    parts = {"variants": ("ae", "vae"), "net": "mlp", "precision": "fp32", "device": "cpu", "seeds": 3, "group": 1,
             "batch_size": 64, "images": 256, "data_root": NOWHERE}  # fmt: skip
    return grid.Grid(**(parts | changes))


def test_a_grid_is_variants_times_seeds_in_groups():
    assert a_grid().jobs == tuple((v, (s,)) for v in ("ae", "vae") for s in range(3))
    assert a_grid(group=2).jobs == (("ae", (0, 1)), ("ae", (2,)), ("vae", (0, 1)), ("vae", (2,)))


def test_more_images_than_there_are_become_epochs():
    assert (a_grid().budget.epochs, a_grid().images_of_cell) == (1, 256)
    assert (a_grid(images=130_000).budget.epochs, a_grid(images=130_000).images_of_cell) == (2, 120_000)


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    """One small measurement with two workers, through the command line."""
    out = tmp_path_factory.mktemp("speed")
    asked = ["--images", "128", "--batch-size", "64", "--seeds", "2", "--rounds", "2", "--workers", "2", "--profile"]
    done = run_bench("speed", *asked, "--data", str(NOWHERE), "--out", str(out), "--json", process=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout), out


def test_a_row_counts_the_images_of_all_cells(measured):
    found, _ = measured
    [row] = found["rows"]
    assert (row["images_per_cell"], row["workers"], len(row["by_round"])) == (128, 2, 2)
    assert row["images_per_s"] > 0
    assert row["ratio"] is None
    assert found["data"] == "generated: uniform noise"


def test_what_is_written_is_what_is_printed(measured):
    found, out = measured
    assert json.loads((out / "speed.json").read_text()) == found
    assert (out / "speed.md").read_text() == measure.markdown(found)
    assert (out / "speed.csv").read_text().splitlines()[0] == ",".join(measure.COLUMNS)


def test_a_profile_adds_up_to_the_step(measured):
    [profiled] = measured[0]["profiles"]
    named = sum(operation["ms"] for operation in profiled["operations"])
    assert named + profiled["rest_ms"] == pytest.approx(profiled["step_ms"], abs=0.01)
    assert (profiled["variant"], profiled["how"]) == ("vae", "plain")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--net", "mpl"], "unknown net 'mpl'; did you mean 'mlp'?"),
        (["--variant", "pca"], "pca is computed in closed form"),
        (["--images", "64", "--seconds", "1"], "give one of them"),
        (["--against", "pythea"], "unknown peer; did you mean 'pythae'?"),
    ],
)
def test_a_mistake_is_one_message(arguments, message, capsys, monkeypatch):
    from benchmarks import __main__ as command

    monkeypatch.setattr("sys.argv", ["bench speed", *arguments])
    with pytest.raises(SystemExit) as ended:
        command.main()
    assert ended.value.code == 2
    assert message in capsys.readouterr().err


def test_a_peer_is_refused_for_what_it_cannot_train():
    pytest.importorskip("pythae", reason="pythae is not installed: pip install '.[peers]'")
    with pytest.raises(UsageError, match="it is compared in ae, vae, not in beta_vae"):
        peers.check("pythae", ("ae", "beta_vae"))


def test_pythae_trains_the_same_nets():
    pytest.importorskip("pythae", reason="pythae is not installed: pip install '.[peers]'")
    pythae = peers.load("pythae")
    ours = sum(p.numel() for p in grid.builder("vae", "mlp")().parameters())
    assert sum(p.numel() for p in pythae.model("vae", "mlp").parameters()) == ours
    assert pythae.train(a_grid(images=64), ("ae", (0,))) > 0
