"""A cell's id does not hold where its data lie; cells of earlier versions are renamed, not computed again."""

import json
import shutil

import numpy as np
import pytest
from bench.report.tables import compare
from PIL import Image

from bench.errors import UsageError
from bench.results.migrate import migrate, with_train_id
from bench.results.store import Store
from bench.results.verify import verify
from bench.runs.runner import run
from bench.runs.task import Settings
from bench.suite import load
from bench.suite.cells import digest
from bench.training import checkpoint


def write_images(folder, seed=0):
    rng = np.random.default_rng(seed)
    for part in ("train", "test"):
        for name in ("cat", "dog"):
            (folder / part / name).mkdir(parents=True)
            for i in range(4):
                Image.fromarray(rng.integers(0, 255, (8, 8, 3), dtype=np.uint8)).save(folder / part / name / f"{i}.png")


def suite(root, images, label="mine", seeds=1):
    file = root / "s.yaml"
    named = f", label: {label}" if label else ""
    file.write_text(
        f"title: t\ngrid: {{datasets: [{{name: folder, path: {images}, size: 8{named}}}], variants: [pca], "
        f"latent_sizes: [2], seeds: {seeds}}}\nevaluate: {{n_samples: 5, embed: {{methods: []}}}}\nmetrics: [mse]\n",
        encoding="utf-8",
    )
    return load(file)


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    """Images, and the results of a suite on them."""
    root = tmp_path_factory.mktemp("recorded")
    write_images(root / "imgs")
    run(suite(root, root / "imgs", label=None), Settings(root / "results", root, "cpu"), workers=1)
    return root


@pytest.mark.parametrize("label", ["mine", None])
def test_the_same_images_at_another_absolute_path_are_the_same_cells(tmp_path, label):
    here, there = tmp_path / "a" / "imgs", tmp_path / "b" / "imgs"
    one, two = ([cell.id for cell in suite(tmp_path, place, label).cells] for place in (here, there))
    assert one == two
    assert suite(tmp_path, here, label).cells[0].dataset_label == (label or "folder (path=imgs, size=8)")
    assert [cell.id for cell in suite(tmp_path, here, "other").cells] != one


def test_two_places_of_one_name_in_one_suite_need_labels(tmp_path):
    file = tmp_path / "s.yaml"
    entries = ", ".join(f"{{name: folder, path: /{place}/imgs, size: 8}}" for place in "ab")
    file.write_text(
        f"title: t\ngrid: {{datasets: [{entries}], variants: [pca], latent_sizes: [2], seeds: 1}}\n", encoding="utf-8"
    )
    with pytest.raises(Exception, match="tell them apart with label"):
        load(file)


def test_a_relative_path_is_a_name_below_the_data_root_and_keeps_its_id(tmp_path):
    [cell] = suite(tmp_path, "cifar10-jpeg.zip").cells
    assert cell.former_id is None
    assert json.loads(json.dumps(cell.as_record()))["dataset_options"]["path"] == "cifar10-jpeg.zip"


def as_of_an_earlier_version(root, images):
    """Give the one cell the id, train_id and label that versions before 0.3 gave it. Returns (old, new) id."""
    [record] = Store(root / "results").records("s")
    suite_json = root / "results" / "s" / "suite.json"
    content = json.loads(suite_json.read_text())
    [cell] = suite(root, images, label=None).cells
    old, label = cell.former_id, f"folder (path={images}, size=8)"
    folder = record.folder.rename(record.folder.with_name(old))
    saved = json.loads((folder / "record.json").read_text())
    train_id = digest({"of": "an earlier version"})
    saved |= {"id": old, "cell": saved["cell"] | {"dataset_label": label}}
    saved["training"]["train_id"] = train_id
    (folder / "record.json").write_text(json.dumps(saved))
    path = folder / "checkpoint.safetensors"
    path.write_bytes(with_train_id(path.read_bytes(), train_id))
    content["cells"] = [e | {"id": old, "cell": e["cell"] | {"dataset_label": label}} for e in content["cells"]]
    suite_json.write_text(json.dumps(content))
    Store(root / "results").write_csv("s")
    return old, cell


def test_cells_of_an_earlier_version_are_renamed_with_all_that_was_measured(recorded, tmp_path):
    root = tmp_path / "copy"
    shutil.copytree(recorded, root)
    [before] = Store(root / "results").records("s")
    # the copied images lie at another absolute path, as on another machine
    old, cell = as_of_an_earlier_version(root, recorded / "imgs")
    [fault, _] = [f for f in verify(root / "results", "s").faults if f.check == "ids"]
    assert "--migrate" in fault.message
    asked = suite(root, root / "imgs", label=None)
    settings = Settings(root / "results", root, "cpu")
    with pytest.raises(UsageError, match="bench verify s --migrate"):
        run(asked, settings, workers=1)
    assert migrate(root / "results", "s") == {old: cell.id}
    store = Store(root / "results")
    [after] = store.records("s")
    assert (after.id, after.metrics, after.provenance) == (cell.id, before.metrics, before.provenance)
    assert after.aliases == (old,)
    assert after.cell["dataset_label"] == "folder (path=imgs, size=8)"
    assert store.find(old).id == cell.id
    assert sorted(p.name for p in after.folder.iterdir()) == sorted(p.name for p in before_files(recorded))
    assert not (root / "results" / "s" / old).exists()
    assert checkpoint.read_header(after.folder / "checkpoint.safetensors")["train_id"] == cell.train_id
    assert verify(root / "results", "s").faults == ()
    assert run(asked, settings, workers=1).settled == {}
    assert migrate(root / "results", "s") == {}


def before_files(root):
    [record] = Store(root / "results").records("s")
    return list(record.folder.iterdir())


def test_a_migration_that_was_killed_goes_on(recorded, tmp_path):
    root = tmp_path / "copy"
    shutil.copytree(recorded, root)
    old, cell = as_of_an_earlier_version(root, recorded / "imgs")
    shutil.copytree(root / "results" / "s" / old, tmp_path / "kept")
    assert migrate(root / "results", "s") == {old: cell.id}
    shutil.copytree(tmp_path / "kept", root / "results" / "s" / old)  # killed before the old folder was removed
    assert migrate(root / "results", "s") == {old: cell.id}
    assert [record.id for record in Store(root / "results").records("s")] == [cell.id]


def test_results_on_the_same_images_elsewhere_are_compared_and_no_path_is_printed(recorded, tmp_path):
    write_images(tmp_path / "imgs")
    run(suite(tmp_path, tmp_path / "imgs", label=None), Settings(tmp_path / "results", tmp_path, "cpu"), workers=1)
    rows = compare.compare(recorded / "results", tmp_path / "results")
    assert {row.mark for row in rows} == {compare.EQUAL}
    from bench.report import table

    assert str(recorded) not in table(recorded / "results", "s")


def test_other_images_at_the_new_place_are_refused(recorded, tmp_path):
    root = tmp_path / "copy"
    shutil.copytree(recorded, root)
    shutil.rmtree(root / "imgs")
    write_images(root / "imgs", seed=1)
    with pytest.raises(Exception, match="not those that"):
        run(suite(root, root / "imgs", label=None, seeds=2), Settings(root / "results", root, "cpu"), workers=1)
