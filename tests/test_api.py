"""The Python API: what notebooks call. Its docstrings are examples that run; here are its numbers and its errors."""

import json
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import torch
from conftest import ROOT

import bench
from bench import registry
from bench.errors import DataError, SuiteError, UsageError

TINY = {
    "title": "Tiny",
    "grid": {"datasets": ["mine"], "variants": ["vae", "pca"], "latent_sizes": [2], "seeds": 1},
    "train": {"epochs": 1, "batch_size": 50},
    "evaluate": {"n_samples": 50, "iw_samples": 2, "iw_images": 5, "embed": {"methods": []}},
    "metrics": ["mse", "elbo", "knn_accuracy"],
}


@pytest.fixture(scope="module")
def arrays(few_digits):
    train, test = few_digits.train, few_digits.test
    return train.images[:, 0].numpy(), train.labels.numpy(), test.images[:, 0].numpy(), test.labels.numpy()


@pytest.fixture(scope="module")
def ran(arrays, tmp_path_factory):
    """The suite on images in memory: its results folder, its data, and what `run` returned."""
    folder, data = tmp_path_factory.mktemp("api"), bench.Data.from_arrays(*arrays)
    return folder, data, bench.run(TINY, datasets={"mine": data}, results=folder, name="tiny", progress=False)


def test_importing_bench_imports_neither_torch_nor_numpy():
    code = "import sys, bench; bench.__all__; sys.exit(bool({'torch', 'numpy', 'pandas'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT).returncode == 0
    with pytest.raises(AttributeError, match="has no attribute 'lode'"):
        _ = bench.lode
    assert set(bench.__all__) <= set(dir(bench))


def test_layouts_and_types_of_arrays_are_one_dataset(arrays):
    images, labels, test, test_labels = arrays
    wanted = bench.Data.from_arrays(*arrays).fingerprint()
    for change in (
        lambda x: x[:, None], lambda x: x[..., None], lambda x: x / 255, lambda x: (x / 255).astype(np.float32),
        torch.from_numpy,
    ):  # fmt: skip
        found = bench.Data.from_arrays(change(images), labels[:, None], change(test), torch.from_numpy(test_labels))
        assert found.fingerprint() == wanted
    named = bench.Data.from_arrays(*arrays, classes=[f"digit {n}" for n in range(10)])
    assert named.classes[3] == "digit 3"
    assert named.fingerprint() == wanted


@pytest.mark.parametrize(("change", "error", "message"), [
    (lambda a, b, c, d: (a.astype(np.int64), b, c, d), DataError, "must be uint8, or floats from 0 to 1"),
    (lambda a, b, c, d: (a, b[:-1], c, d), DataError, "199 labels"),
    (lambda a, b, c, d: (a, None, c, d), DataError, "one of train and test only"),
    (lambda a, b, c, d: (a, b, c[:, 1:], d), DataError, "differ in shape"),
])  # fmt: skip
def test_wrong_arrays_are_one_message(arrays, change, error, message):
    with pytest.raises(error, match=message):
        bench.Data.from_arrays(*change(*arrays))


def test_a_run_gives_a_row_for_each_cell_and_computes_nothing_twice(ran):
    folder, data, frame = ran
    assert frame["status"].tolist() == ["done", "done"]
    assert frame["dataset_label"].tolist() == ["mine", "mine"]
    assert set(frame["fingerprint"]) == {data.fingerprint()}
    written = {path: path.stat().st_mtime_ns for path in folder.glob("tiny/*/record.json")}
    again = bench.run(TINY, datasets={"mine": data}, results=folder, name="tiny", progress=False)
    assert again["id"].tolist() == frame["id"].tolist()
    assert {path: path.stat().st_mtime_ns for path in folder.glob("tiny/*/record.json")} == written


def test_ids_do_not_depend_on_where_images_are_kept(ran, tmp_path):
    _, data, frame = ran
    suite = bench.load_suite(TINY, datasets={"mine": data}, results=tmp_path, name="tiny")
    assert {cell.id for cell in suite.cells} == set(frame["id"])


def test_other_images_under_the_same_name_are_refused(ran, arrays):
    folder, _, _ = ran
    other = bench.Data.from_arrays(255 - arrays[0], *arrays[1:])
    with pytest.raises(DataError, match="--force"):
        bench.run(TINY, datasets={"mine": other}, results=folder, name="tiny", progress=False)


def test_a_suite_is_a_file_a_mapping_or_loaded_already(tmp_path):
    assert bench.load_suite("digits").name == "digits"
    path = tmp_path / "few.yaml"
    path.write_text("title: Few\ngrid: {datasets: [digits], variants: [ae], latent_sizes: [2], seeds: 1}\n")
    from_file = bench.load_suite(path)
    assert bench.load_suite(from_file) is from_file
    content = {"title": "Few", "grid": {"datasets": ("digits",), "variants": ["ae"], "latent_sizes": [2], "seeds": 1}}
    from_mapping = bench.load_suite(content, name="few", overrides=["train.epochs=3"])
    assert from_mapping.train.epochs == 3
    assert bench.load_suite(content, name="few").digest == from_file.digest
    assert bench.load_suite(content, name="few").text.startswith("title: Few")
    with pytest.raises(SuiteError, match=r"notebook.yaml:\d+:\d+: .*unknown variant 'pcaa'; did you mean 'pca'"):
        bench.load_suite({**content, "grid": {**content["grid"], "variants": ["pcaa"]}})
    with pytest.raises(SuiteError, match="use texts, numbers, lists and mappings"):
        bench.load_suite({**content, "title": object()})


def test_a_model_of_this_package_is_measured_as_it_was_recorded(ran):
    folder, data, frame = ran
    for row in frame.to_dict("records"):
        found = bench.evaluate(bench.load_model(row["id"], folder), data, ["mse", "elbo"], results=folder, device="cpu")
        assert found["mse"]["value"] == row["mse"]
        if row["label"] == "vae":
            assert found["elbo"]["value"] == row["elbo"]
            assert found["elbo"]["key"] == {"likelihood": "bernoulli", "binarisation": "none"}


def test_objects_and_outputs_are_measured(arrays, ran):
    folder, data, _ = ran

    class Half:
        def posterior(self, x):
            return x.flatten(1), torch.zeros(len(x), 64)

        def decode(self, z):
            return torch.full((len(z), 64), 0.5)

    found = bench.evaluate(Half(), data, ("mse", "elbo"), likelihood="bernoulli", results=folder)
    x = data.test.images.flatten(1).double() / 255
    assert found["mse"]["value"] == pytest.approx(((x - 0.5) ** 2).mean().item(), rel=1e-6)
    assert found["elbo"]["value"] == pytest.approx(-64 * np.log(2) - 0.5 * (x**2).sum(1).mean().item(), rel=1e-5)
    outputs = bench.evaluate({"reconstructions": arrays[2]}, data, "mse", results=folder)
    assert outputs["mse"]["value"] == 0
    with pytest.raises(UsageError, match="without encode"):
        bench.evaluate(object(), data, "mse", results=folder)
    with pytest.raises(UsageError, match="did you mean 'mse'"):
        bench.evaluate(Half(), data, "mze", results=folder)


def test_tables_as_text_and_as_a_frame(ran):
    folder, _, frame = ran
    assert "PCA" in bench.table("tiny", "mse", results=folder)
    assert r"\begin{tabular}" in bench.table("tiny", "mse", "latex", results=folder)
    values = bench.table("tiny", ["mse", "knn_accuracy"], "frame", results=folder)
    assert isinstance(values, pd.DataFrame)
    mine = values[(values["metric"] == "mse") & (values["label"] == "vae")]
    assert mine["mean"].item() == frame.set_index("label")["mse"]["vae"]


NOTEBOOKS = sorted((ROOT / "examples").glob("*.ipynb"))


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_the_cells_of_a_notebook_run_in_their_order(notebook, tmp_path, monkeypatch, one_thread):
    """In this process: a kernel for each would import PyTorch three times more, and need a dozen packages."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MPLBACKEND", "Agg")
    content = json.loads(notebook.read_text(encoding="utf-8"))
    assert (content["nbformat"], content["metadata"]["kernelspec"]["name"]) == (4, "python3")
    found = {"__name__": "__main__"}
    for cell in content["cells"]:
        if cell["cell_type"] == "code":
            assert (cell["outputs"], cell["execution_count"]) == ([], None)  # cleared
            exec(compile("".join(cell["source"]), f"{notebook.name}, {cell['id']}", "exec"), found)  # noqa: S102
    assert set(found["frame"]["status"]) == {"done"}
    if notebook.stem == "paper":
        assert "tabular" in (tmp_path / "table.tex").read_text()
        assert (tmp_path / "mse.pdf").stat().st_size > 0
        assert list((tmp_path / "figures").rglob("*.pdf"))
    if notebook.stem == "your_own":
        assert set(found["frame"]["label"]) == {"vae", "capacity_vae (capacity=3)", "pca"}
    registry.reset()


def test_there_are_three_notebooks():
    assert len(NOTEBOOKS) == 3
