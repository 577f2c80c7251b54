"""`bench sample`: pictures out of a trained model, in this process and as a command."""

import json
import shlex
import shutil
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from conftest import ROOT, run_bench
from PIL import Image

import bench
from bench import registry
from bench.datasets import _loading as data_room
from bench.errors import BenchError, DataError, ResultError, UsageError
from bench.evaluation import draw as drawing
from bench.evaluation.context import quantise
from bench.evaluation.draw import FigureRequest
from bench.results.store import Store

SUITE = """\
title: Small
grid:
  - {datasets: [digits], variants: [vae, ae, conditional_vae, semi_supervised_vae], latent_sizes: [2], seeds: 1}
  - {datasets: [digits], variants: [linear_ae], latent_sizes: [64], seeds: 1}
train: {epochs: 1, batch_size: 64}
evaluate: {samplers: [prior, gmm], n_samples: 300, embed: {methods: [], points: 60}}
metrics: [mse]
"""


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A folder with suites/small.yaml and its results, whose checkpoints nobody has thrown away."""
    folder = tmp_path_factory.mktemp("home")
    (folder / "suites").mkdir()
    (folder / "suites/small.yaml").write_text(SUITE)
    run_bench("run", "suites/small.yaml", "--workers", "1", cwd=folder, check=True)
    return folder


@pytest.fixture(scope="module")
def cells(home):
    """Label → record."""
    return {record.cell["label"]: record for record in Store(home / "results").records("small")}


def draw(record, root="nowhere", **options):
    return drawing.draw(record, FigureRequest(**options), root)


def read(path):
    return np.asarray(Image.open(path).convert("L"))[..., None]


def tile(picture, row, column):
    return picture[row * 9 : row * 9 + 8, column * 9 : column * 9 + 8]


@pytest.fixture
def no_data(monkeypatch):
    monkeypatch.setattr(data_room, "load", lambda *a: pytest.fail("loads a dataset"))


# -- as a command


def test_the_command_writes_the_samples_of_the_evaluation_and_says_where(home, cells):
    record = cells["vae"]
    done = run_bench("sample", record.id[:8], cwd=home)
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"{record.id}_samples.png\n"
    assert np.array_equal(read(home / done.stdout.strip()), read(record.folder / "samples_prior.png"))


def test_the_command_tells_json_and_writes_a_film_of_a_cells_folder(home, cells):
    folder = str(cells["vae"].folder.relative_to(home))
    done = run_bench("sample", folder, "--interpolate", "--out", "way.gif", "--n", "2", "--json", cwd=home)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    said = {"cell": cells["vae"].id, "suite": "small", "figure": "interpolations", "file": "way.gif"}
    assert said.items() <= told.items()
    with Image.open(home / "way.gif") as film:
        assert (film.n_frames, film.size) == (16, (told["width"], told["height"])) == (16, (18, 9))


def test_without_a_checkpoint_one_message_names_the_command_that_makes_it_and_that_command_does(home, cells, tmp_path):
    shutil.copytree(home, tmp_path / "copy")
    copy = tmp_path / "copy"
    checkpoint = copy / "results/small" / cells["conditional_vae"].id / "checkpoint.safetensors"
    checkpoint.unlink()
    failed = run_bench("sample", cells["conditional_vae"].id, cwd=copy)
    assert failed.returncode == 2
    assert "has no checkpoint" in failed.stderr
    assert "Traceback" not in failed.stderr
    command = shlex.split(failed.stderr.strip().splitlines()[-1])
    assert command[:5] == ["python", "-m", "bench", "run", "suites/small.yaml"]
    again = run_bench(*command[3:], "--workers", "1", cwd=copy)
    assert again.returncode == 0, again.stderr
    assert checkpoint.is_file()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--label", "3"), "variants with labels: conditional_ae, conditional_vae, m2_vae, semi_supervised_vae"),
        (("--figure", "manifold", "--interpolate"), "two different figures"),
        (("--out", "x.gif"), "only interpolations can be"),
        (("--n", "0"), "--n"),
    ],
)
def test_a_wish_that_cannot_be_met_is_one_message_and_exit_2(home, cells, arguments, message):
    failed = run_bench("sample", cells["vae"].id, *arguments, cwd=home)
    assert failed.returncode == 2
    assert message in failed.stderr
    assert "Traceback" not in failed.stderr


# -- which cell


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("", "not a cell id"),
        ("zz", "not a cell id"),
        ("*", "not a cell id"),
        ("../../../etc/passwd", "not a cell id"),
        ("../../../abc", "cannot be the name of a suite"),
        ("$(touch x)", "not a cell id"),
        ("0123456789abcdef", "not a cell id"),
        ("ffffffffffff", "no cell 'ffffffffffff'"),
        ("small/ffffffffffff", "no cell"),
        ("nothere/ab", "no cell"),
    ],
)
def test_what_names_no_cell_is_told(home, name, message):
    with pytest.raises(UsageError, match=message):
        drawing.find(name, home / "results")


def test_an_ambiguous_beginning_lists_the_cells_it_could_mean(home, cells, tmp_path):
    twin = tmp_path / "results/small"
    shutil.copytree(home / "results/small", twin)
    first = next(iter(cells.values()))
    other = first.id[:6] + ("0" if first.id[6] != "0" else "1") * 6
    shutil.copytree(twin / first.id, twin / other)
    path = twin / other / "record.json"
    path.write_text(path.read_text().replace(first.id, other))
    with pytest.raises(UsageError, match="ambiguous") as told:
        drawing.find(first.id[:6], tmp_path / "results")
    assert first.id in str(told.value)
    assert other in str(told.value)
    assert drawing.find(f"small/{first.id}", tmp_path / "results").id == first.id


def test_a_folder_must_be_that_of_a_cell(home, cells, tmp_path):
    assert drawing.find(str(cells["ae"].folder), tmp_path).id == cells["ae"].id
    with pytest.raises(UsageError, match=r"has no record\.json"):
        drawing.find(str(home / "results/small"), tmp_path)
    copy = tmp_path / "results/small/another"
    shutil.copytree(cells["ae"].folder, copy)
    with pytest.raises(UsageError, match="must be named after its id"):
        drawing.find(str(copy), tmp_path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: c["cell"].pop("train"), "does not describe a cell"),
        (lambda c: c["cell"].update(evaluate={"samplers": 3}), "does not describe a cell"),
        (lambda c: c["cell"].update(variant="../../vae"), r"unknown variant '\.\./\.\./vae'"),
        (lambda c: c["cell"].update(latent_size=3), "does not hold this model"),
        (lambda c: c["cell"].update(options={"beta": 4}), "does not describe a model"),
        (lambda c: c["about"].clear(), "does not describe a model"),
    ],
)
def test_a_damaged_record_is_told_and_not_a_traceback(cells, tmp_path, change, message):
    source = cells["vae"].folder
    folder = tmp_path / "results/small" / source.name
    shutil.copytree(source, folder)
    content = json.loads((folder / "record.json").read_text())
    change(content)
    (folder / "record.json").write_text(json.dumps(content))
    with pytest.raises(BenchError, match=message):
        draw(drawing.find(f"small/{source.name}", tmp_path / "results"))


def test_a_cell_that_diverged_has_no_model_to_make_again(cells, tmp_path):
    lost = replace(cells["vae"], folder=tmp_path, status="diverged", reason="the loss was not finite at step 3")
    with pytest.raises(UsageError, match=r"diverged \(the loss was not finite"):
        drawing.check_trained(lost, "unused")


# -- what is drawn


def test_the_prior_and_the_manifold_of_a_vae_need_no_data(cells, no_data):
    assert draw(cells["vae"], n=9).shape == (27, 27, 1)
    assert draw(cells["vae"], figure="manifold", n=3).shape == (27, 27, 1)
    assert draw(cells["conditional_vae"], figure="by_label", n=2).shape == (90, 18, 1)
    assert draw(cells["linear_ae"], figure="identity").shape == (64, 64, 3)


def test_a_figure_drawn_again_is_that_of_the_evaluation(cells, tmp_path):
    for label, names in (
        ("vae", {"manifold": "manifold", "interpolations": "interpolations", "reconstructions": "reconstructions"}),
        ("semi_supervised_vae", {"by_label": "by_label_prior"}),
        ("linear_ae", {"identity_clipped": "identity_clipped"}),
    ):
        for figure, file in names.items():
            out = tmp_path / "x.png"
            drawing.write(draw(cells[label], tmp_path, figure=figure), out)
            found = np.abs(read(out).astype(int) - read(cells[label].folder / f"{file}.png"))
            assert found.max() <= 1, figure


def test_a_fitted_sampler_draws_what_the_evaluation_drew(cells, tmp_path):
    picture = draw(cells["ae"], tmp_path, sampler="gmm")
    assert np.abs(picture.astype(int) - read(cells["ae"].folder / "samples_gmm.png")).max() <= 1


def test_a_fitted_sampler_without_its_images_says_what_is_missing(cells, tmp_path):
    record = cells["vae"]
    moved = replace(record, cell=record.cell | {"dataset": "mnist", "dataset_label": "mnist"})
    with pytest.raises(DataError, match="mnist"):
        draw(moved, tmp_path, sampler="gmm")
    changed = replace(record, provenance=record.provenance | {"fingerprint": "0" * 16})
    with pytest.raises(DataError, match="are not those that cell"):
        draw(changed, tmp_path, figure="reconstructions")


def test_a_label_is_given_to_the_decoder(cells):
    record = cells["conditional_vae"]
    model = bench.load_model(record.id, record.folder.parent.parent)
    picture = draw(record, label="7", n=1)
    whole = draw(record, figure="by_label", n=1)
    assert np.array_equal(tile(picture, 0, 0), tile(whole, 7, 0))
    code = torch.zeros(1, 2)
    with torch.no_grad():
        expected = quantise(model.generate(code, torch.tensor([7])))[0, 0].numpy()
    drawn = draw(record, figure="manifold", label="7", n=1)
    assert np.abs(tile(drawn, 0, 0)[..., 0].astype(int) - expected).max() <= 1


def test_without_a_label_a_conditional_model_shows_its_classes_in_turn(cells):
    record = cells["conditional_vae"]
    turn, seventh = draw(record, n=10), draw(record, label="7", n=10)
    assert np.array_equal(tile(turn, 1, 3), tile(seventh, 1, 3))  # the eighth of four columns
    assert not np.array_equal(turn, seventh)


def test_a_classifier_chooses_the_codes_of_its_label(cells, monkeypatch):
    kind = registry.load("variants", "semi_supervised_vae")
    monkeypatch.setattr(kind, "classify", lambda self, z: torch.nn.functional.one_hot((z[:, 0] > 0).long() + 3, 10))
    shades = lambda self, z, y=None: (z[:, :1, None, None] > 0).float().expand(-1, 1, 8, 8)  # noqa: E731
    monkeypatch.setattr(kind, "generate", shades)
    record = cells["semi_supervised_vae"]
    for label, shade in (("3", 0), ("4", 255)):
        picture = draw(record, label=label, n=9)
        assert all((tile(picture, row, column) == shade).all() for row in range(3) for column in range(3))
    with pytest.raises(UsageError, match="assigns none of"):
        draw(record, label="5")


def test_an_unknown_label_is_told_with_those_that_there_are(cells):
    with pytest.raises(UsageError, match="no class of digits; did you mean '7'"):
        draw(cells["conditional_vae"], label="77")


def test_another_seed_draws_other_codes(cells):
    one, again, other = (draw(cells["vae"], seed=seed) for seed in (5, 5, 6))
    assert np.array_equal(one, again)
    assert not np.array_equal(one, other)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"figure": "manifld"}, "did you mean 'manifold'"),
        ({"sampler": "gmn"}, "did you mean 'gmm'"),
        ({"figure": "identity", "n": 3}, "--n has no effect on identity"),
        ({"figure": "reconstructions", "sampler": "gmm"}, "--sampler has no effect on reconstructions"),
        ({"figure": "manifold", "seed": 1}, "--seed has no effect on manifold"),
        ({"figure": "manifold", "n": 101}, "at most 100 images a side"),
        ({"moving": True}, "only interpolations can be"),
    ],
)
def test_an_option_without_effect_and_a_wrong_name_are_told(options, message):
    with pytest.raises(UsageError, match=message):
        FigureRequest(**options)


def test_a_figure_that_a_model_does_not_have_is_told_with_the_reason(cells):
    with pytest.raises(UsageError, match="the model is not linear"):
        draw(cells["vae"], figure="identity")
    with pytest.raises(UsageError, match="gives its samples no label"):
        draw(cells["vae"], figure="by_label")
    with pytest.raises(UsageError, match="no plane"):
        draw(cells["linear_ae"], figure="manifold")


def test_a_file_name_must_fit_the_figure(tmp_path):
    for name, moving in (("x.jpg", False), ("x", False), ("x.gif", False), ("x.png", True)):
        with pytest.raises(UsageError, match="must end in"):
            drawing.check_name(tmp_path / name, moving)
    (tmp_path / "x.png").mkdir()
    with pytest.raises(UsageError, match="is a folder"):
        drawing.check_name(tmp_path / "x.png", False)


def test_a_default_name_holds_no_way_out_of_the_folder(cells):
    name = drawing.default_name(cells["vae"], FigureRequest(label="../../x y", n=3))
    assert name == f"{cells['vae'].id}_samples_label_______x_y_n_3.png"


def test_a_checkpoint_of_another_model_is_refused(cells, tmp_path):
    folder = tmp_path / "results/small" / cells["vae"].id
    shutil.copytree(cells["vae"].folder, folder)
    shutil.copyfile(cells["linear_ae"].folder / "checkpoint.safetensors", folder / "checkpoint.safetensors")
    with pytest.raises(ResultError, match="does not hold this model"):
        draw(drawing.find(f"small/{cells['vae'].id}", tmp_path / "results"))


def test_evaluate_draws_again_what_is_missing_and_nothing_else(home, cells, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(home, copy)
    folder = copy / "results/small" / cells["vae"].id
    names = ("manifold.png", "interpolations.png", "interpolations_moving.gif")
    gone = {name: (folder / name).read_bytes() for name in names}
    kept = {p: p.stat().st_mtime_ns for p in folder.glob("*.png") if p.name not in gone}
    for name in gone:
        (folder / name).unlink()
    path = copy / "suites/small.yaml"
    path.write_text(SUITE.replace("[mse]", "[mse, psnr]"))
    done = run_bench("evaluate", "suites/small.yaml", "--only", "variant=vae", "--workers", "1", cwd=copy)
    assert done.returncode == 0, done.stderr
    assert {name: (folder / name).read_bytes() for name in gone} == gone
    assert kept == {p: p.stat().st_mtime_ns for p in kept}


def test_help_needs_no_torch():
    code = "import sys; sys.argv = ['bench', 'sample', '--help']\nfrom bench.__main__ import cli\n"
    code += "try: cli()\nexcept SystemExit: sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True).returncode == 0
