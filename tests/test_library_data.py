"""Datasets of other libraries: `hf` and `torchvision`, on files that the tests write, and on real MNIST."""

import ast
import bz2
import csv
import inspect
import sys

import numpy as np
import pytest
import torch
from PIL import Image
from test_datasets import encoded, real, write_idx
from torchvision import datasets as published

from bench import registry, run
from bench.datasets import _loading
from bench.datasets import hf as hf_module
from bench.datasets import torchvision as torchvision_module
from bench.errors import DataError, SuiteError, UsageError
from bench.suite import load

RNG = np.random.default_rng(0)
GREY = {"train": RNG.integers(0, 256, (12, 7, 6), np.uint8), "test": RNG.integers(0, 256, (6, 7, 6), np.uint8)}
LABELS = {"train": [n % 3 for n in range(12)], "test": [n % 3 for n in range(6)]}
COMMIT = "0123456789" * 4


@pytest.fixture(scope="module")
def library():
    return pytest.importorskip("datasets", reason="the extra `datasets` is not installed")


def table(library, part, labels=None, kind=None):
    """A `datasets.Dataset` of grey PNG images of 7×6 pixels with labels."""
    images = [{"bytes": encoded(Image.fromarray(pixels)), "path": None} for pixels in GREY[part]]
    kind = kind or library.ClassLabel(names=["zero", "one", "two"])
    features = library.Features({"image": library.Image(), "label": kind})
    return library.Dataset.from_dict({"image": images, "label": labels or LABELS[part]}, features=features)


@pytest.fixture(scope="module")
def written(library, tmp_path_factory):
    """The same images as a folder of parquet files, as `save_to_disk` writes them, and as single files."""
    root, tables = tmp_path_factory.mktemp("hf"), {part: table(library, part) for part in GREY}
    (root / "parquet/data").mkdir(parents=True)
    with hf_module.quiet(library):
        for part, one in tables.items():
            one.to_parquet(root / f"parquet/data/{part}-00000-of-00001.parquet")
        library.DatasetDict(tables).save_to_disk(root / "saved")
        tables["train"].to_parquet(root / "one.parquet")
    (root / "one.arrow").write_bytes(next((root / "saved/train").glob("*.arrow")).read_bytes())
    return root


def hf(root, **options):
    return _loading.build("hf", options).load(root)


# -- hf


@pytest.mark.parametrize("path", ["parquet", "saved"])
def test_a_data_set_on_disk_has_its_images_labels_and_classes(written, path):
    found = hf(written, path=path)
    assert found.shape == (1, 7, 6)  # neither cut nor made square
    assert torch.equal(found.train.images[:, 0], torch.from_numpy(GREY["train"]))
    assert torch.equal(found.test.images[:, 0], torch.from_numpy(GREY["test"]))
    assert (found.train.labels.tolist(), found.classes) == (LABELS["train"], ("zero", "one", "two"))
    assert hf(written, path=path, label=None).test.labels is None
    assert hf(written, path=path, size=4, channels=3).shape == (3, 4, 4)


@pytest.mark.parametrize("path", ["one.parquet", "one.arrow", "saved/train"])
def test_tests_are_drawn_from_one_split(written, path):
    found = hf(written, path=path, split=0.25)
    assert found.test.labels.bincount().tolist() == [1, 1, 1]
    assert len(torch.cat([found.train.images, found.test.images]).unique(dim=0)) == 12


def test_the_images_are_decoded_once_and_again_when_a_file_changes(written, library, tmp_path, monkeypatch):
    with hf_module.quiet(library):
        for part in GREY:
            table(library, part).to_parquet(tmp_path / f"{part}.parquet")
        first = hf(tmp_path, path=str(tmp_path))
        with monkeypatch.context() as patch:
            patch.setattr(hf_module, "decode", None)
            assert hf(tmp_path, path=str(tmp_path)).fingerprint() == first.fingerprint()
        table(library, "test").to_parquet(tmp_path / "train.parquet")
    assert len(hf(tmp_path, path=str(tmp_path)).train) == 6


def test_texts_and_numbers_are_labels_and_nothing_else(library, tmp_path):
    def labelled(train, test, kind):
        with hf_module.quiet(library):
            for part, labels in (("train", train), ("test", test)):
                table(library, part, labels, library.Value(kind)).to_parquet(tmp_path / f"{part}.parquet")
        return hf(tmp_path, path=str(tmp_path))

    words = ["cat", "dog", "ant"]
    found = labelled(words * 4, words * 2, "string")
    assert (found.classes, found.test.labels.tolist()) == (("ant", "cat", "dog"), [1, 2, 0] * 2)
    assert labelled(LABELS["train"], LABELS["test"], "int64").classes == ("0", "1", "2")
    with pytest.raises(DataError, match=r"labels of test that train does not have: 'bee'"):
        labelled(words * 4, ["bee"] * 6, "string")
    with pytest.raises(DataError, match=r"the column 'label' has -1; labels are .*`label: null` reads none"):
        labelled(LABELS["train"], [-1] * 6, "int64")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"path": "saved", "image": "img"}, r"has no column 'img'; did you mean 'image'\? columns: image, label"),
        ({"path": "saved", "image": "label"}, "the column 'label' holds no images but ClassLabel"),
        ({"path": "saved", "test": "tests"}, r"has no split 'tests'; did you mean 'test'"),
        ({"path": "parquet", "train": "valid"}, "no file is named after the split 'valid'; found test-00000-of"),
        ({"path": "one.parquet"}, "no file is named after the split 'train'.*`split: 0.2` draws"),
        ({"path": "damaged.parquet", "split": 0.5}, r"damaged.parquet: cannot be read \("),
    ],
)
def test_what_a_data_set_lacks_is_said_with_the_nearest_name(written, options, message):
    (written / "damaged.parquet").write_bytes(b"PAR1 and no more")
    with pytest.raises(DataError, match=message):
        hf(written, **options)


def test_images_of_several_sizes_need_a_size(library, tmp_path):
    rows = [{"bytes": encoded(Image.new("L", (side, side))), "path": None} for side in (5, 6, 5, 5)]
    features = library.Features({"image": library.Image()})
    with hf_module.quiet(library):
        library.Dataset.from_dict({"image": rows}, features=features).to_parquet(tmp_path / "a.parquet")
    with pytest.raises(DataError, match=r"1 of 4 images cannot be used: 1 not 1×5×5 as the first one \(train, row 1"):
        hf(tmp_path, path="a.parquet", label=None, split=0.5)
    assert hf(tmp_path, path="a.parquet", label=None, split=0.5, size=4).shape == (1, 4, 4)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"path": "ylecun/mnist", "revision": "main"}, "must be the 40 hexadecimal digits of a commit"),
        ({"path": "../mnist", "revision": COMMIT}, "must be the name of a data set"),
        ({"path": "a/b", "revision": COMMIT, "config": "../c"}, "config is"),
        ({"path": "mnist", "test": "train"}, "train and test are both 'train'"),
        ({"path": "mnist", "size": 0}, "size is 0"),
        ({"path": "mnist", "size": True}, r"must be of type int \| None"),
    ],
)
def test_options_that_cannot_be_are_refused(options, message):
    with pytest.raises(UsageError, match=message):
        _loading.build("hf", options)


def test_a_revision_is_downloaded_once_and_kept(written, library, tmp_path, monkeypatch):
    asked = []

    def load_dataset(*names, **options):
        asked.append((*names, options["revision"]))
        return library.load_from_disk(written / "saved")

    monkeypatch.setattr(library, "load_dataset", load_dataset)
    monkeypatch.setattr(hf_module, "ask", lambda urls: None)
    dataset = _loading.build("hf", {"path": "them/digits", "revision": COMMIT, "config": "small"})
    _loading.check([("theirs", dataset)], tmp_path, offline=False)
    assert asked == [("them/digits", "small", COMMIT)]
    assert dataset.where(tmp_path) == tmp_path / f"huggingface/them--digits--small/{COMMIT}"
    assert [path.name for path in dataset.where(tmp_path).parent.iterdir()] == [COMMIT]
    found = dataset.load(tmp_path)
    assert found.fingerprint() == hf(written, path="saved").fingerprint()
    assert found.source == f"them/digits of https://huggingface.co/datasets, revision {COMMIT}"


def test_no_network_and_no_library_are_one_message_each(library, tmp_path, monkeypatch):
    dataset = _loading.build("hf", {"path": "them/digits", "revision": COMMIT})

    def silent(urls):
        raise OSError(f"{urls[0]}: no route to host")

    monkeypatch.setattr(hf_module, "ask", silent)
    message = (
        r"the download failed \(\S*huggingface.co: no route to host\); revision 012345678901 of them/digits is not"
    )
    with pytest.raises(DataError, match=message):
        _loading.check([("theirs", dataset)], tmp_path, offline=False)
    assert list((tmp_path / "huggingface/them--digits").iterdir()) == []
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(DataError, match=r"needs the package datasets: pip install 'latent-bench\[datasets\]'"):
        _loading.check([("theirs", dataset)], tmp_path, offline=False)


# -- torchvision


def write_usps(root):
    """USPS in the text format of libsvm: label from 1, then 256 values from −1 to 1."""
    values = {"usps": RNG.uniform(-1, 1, (12, 256)), "usps.t": RNG.uniform(-1, 1, (6, 256))}
    for name, rows in values.items():
        lines = (
            f"{n % 3 + 1} " + " ".join(f"{i + 1}:{v:.4f}" for i, v in enumerate(row)) for n, row in enumerate(rows)
        )
        (root / f"{name}.bz2").write_bytes(bz2.compress("\n".join(lines).encode()))


def write_emnist(root):
    for part in GREY:
        images = np.zeros((len(GREY[part]), 28, 28), np.uint8)
        images[:, :7, :6] = GREY[part]
        for what, rows in (("images-idx3", images), ("labels-idx1", np.array(LABELS[part], np.uint8))):
            write_idx(root / f"EMNIST/raw/emnist-digits-{part}-{what}-ubyte", rows)


def write_gtsrb(root):
    """Traffic signs: train in folders of classes, tests with a table; images of several sizes."""
    below = root / "gtsrb/GTSRB"
    for n in range(6):
        (below / f"Training/{n % 2:05}").mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (20 + n, 20), (n, 0, 0)).save(below / f"Training/{n % 2:05}/{n}.ppm")
    (below / "Final_Test/Images").mkdir(parents=True)
    with (root / "gtsrb/GT-final_test.csv").open("w") as file:
        rows = csv.DictWriter(file, ["Filename", "ClassId"], delimiter=";")
        rows.writeheader()
        for n in range(4):
            Image.new("RGB", (20, 20), (n, 0, 0)).save(below / f"Final_Test/Images/{n}.ppm")
            rows.writerow({"Filename": f"{n}.ppm", "ClassId": n % 2})


def write_eurosat(root):
    for n in range(8):
        folder = root / f"eurosat/2750/{'Forest' if n % 2 else 'River'}"
        folder.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (8, 8), (n, n, n)).save(folder / f"{n}.png")


@pytest.mark.parametrize(
    ("options", "write", "shape", "sizes"),
    [
        ({"dataset": "USPS"}, write_usps, (1, 16, 16), (12, 6)),
        ({"dataset": "EMNIST", "arguments": {"split": "digits"}}, write_emnist, (1, 28, 28), (12, 6)),
        ({"dataset": "GTSRB", "size": 16}, write_gtsrb, (3, 16, 16), (6, 4)),
        ({"dataset": "EuroSAT", "split": 0.25}, write_eurosat, (3, 8, 8), (6, 2)),
    ],
)
def test_a_class_of_torchvision_gives_its_images_and_labels(tmp_path, monkeypatch, options, write, shape, sizes):
    dataset = _loading.build("torchvision", options)
    assert str(tmp_path) in dataset.missing(tmp_path)
    write(tmp_path)
    found = dataset.load(tmp_path)
    assert (found.shape, (len(found.train), len(found.test))) == (shape, sizes)
    if options["dataset"] != "EuroSAT":  # the others are in the order of torchvision
        for split, arguments in ((found.train, dataset.parts["train"]), (found.test, dataset.parts["test"])):
            theirs = getattr(published, options["dataset"])(str(tmp_path), **arguments)
            assert split.labels.tolist() == [label for _, label in theirs]
            if "size" not in options:
                assert torch.equal(split.images[:, 0], torch.from_numpy(np.stack([np.asarray(i) for i, _ in theirs])))
    monkeypatch.setattr(torchvision_module, "decode", None)
    assert dataset.load(tmp_path).fingerprint() == found.fingerprint()  # from the cache


def test_damaged_files_and_several_sizes_are_one_message(tmp_path):
    (tmp_path / "usps.bz2").write_bytes(b"no bz2")
    (tmp_path / "usps.t.bz2").touch()
    with pytest.raises(DataError, match=r"usps.bz2: torchvision cannot read USPS \(.*\); put there"):
        _loading.build("torchvision", {"dataset": "USPS"}).load(tmp_path)
    write_gtsrb(tmp_path)
    with pytest.raises(DataError, match=r"5 of 10 images cannot be used: 5 not 3×20×20 as the first one"):
        _loading.build("torchvision", {"dataset": "GTSRB"}).load(tmp_path)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"dataset": "usps"}, "unknown dataset 'usps'; did you mean"),
        ({"dataset": "ImageFolder"}, "unknown dataset 'ImageFolder'"),
        ({"dataset": "EMNIST"}, "EMNIST needs `arguments: {split: ...}`"),
        ({"dataset": "EMNIST", "arguments": {"splits": "digits"}}, "has no argument 'splits'; did you mean 'split'"),
        ({"dataset": "USPS", "arguments": {"download": True}}, "USPS has no argument 'download'"),
        ({"dataset": "SVHN", "arguments": {"split": "extra"}}, "split tells train from test; with `split: 0.2`"),
        ({"dataset": "Omniglot"}, "Omniglot has no test images of the same classes; `split: 0.2`"),
        ({"dataset": "USPS", "arguments": {"train": [1]}}, r"arguments is .* must be of type dict"),
    ],
)
def test_classes_and_arguments_that_cannot_be_are_refused(options, message):
    with pytest.raises(UsageError, match=message):
        _loading.build("torchvision", options)


@pytest.mark.parametrize("name", torchvision_module.LAYOUTS)
def test_every_class_exists_and_takes_the_arguments_of_its_parts(name):
    kind, layout = getattr(published, name), torchvision_module.LAYOUTS[name]
    known = torchvision_module._parameters(kind)
    assert {*layout.train, *(layout.test or {})} <= known.keys()
    assert inspect.isclass(kind)


def test_the_names_that_a_suite_may_use_are_those_of_the_table():
    annotation = registry.describe("datasets", "torchvision").options["dataset"].annotation
    assert ast.literal_eval(annotation.removeprefix("Literal")) == list(torchvision_module.LAYOUTS)
    with pytest.raises(SuiteError, match=r"grid.datasets\[0\].dataset: unknown value 'usps'; did you mean 'USPS'"):
        load(suite_of({"name": "torchvision", "dataset": "usps"}))


# -- both in a suite


def suite_of(*datasets, **more):
    grid = {"datasets": list(datasets), "variants": ["pca"], "latent_sizes": [2], "seeds": 1}
    return {"title": "Other libraries", "grid": grid, **more}


def test_a_suite_names_their_columns_by_what_is_not_default():
    emnist = {"name": "torchvision", "dataset": "EMNIST", "arguments": {"split": "letters"}}
    mnist = {"name": "hf", "path": "ylecun/mnist", "revision": COMMIT}
    labels = [cell.dataset_label for cell in load(suite_of(emnist, mnist)).cells]
    assert labels == ["torchvision (dataset=EMNIST, arguments={split: letters})", f"hf (path=mnist, revision={COMMIT})"]


def test_real_mnist_through_every_door_is_mnist(tmp_path, library):
    dataset, root = real("mnist")
    data, arrays = dataset.load(root), {}
    with hf_module.quiet(library):
        for part, split in (("train", data.train), ("test", data.test)):
            arrays |= {f"{part}_images": split.images[:, 0].numpy(), f"{part}_labels": split.labels.numpy()}
            pictures = [
                {"bytes": encoded(Image.fromarray(i), compress_level=0), "path": None} for i in arrays[f"{part}_images"]
            ]
            features = library.Features({"image": library.Image(), "label": library.Value("int64")})
            columns = {"image": pictures, "label": split.labels.tolist()}
            library.Dataset.from_dict(columns, features=features).to_parquet(tmp_path / f"hf/{part}.parquet")
    np.savez(tmp_path / "mnist.npz", **arrays)
    (tmp_path / "MNIST").symlink_to((root / "MNIST").absolute())
    doors = [
        {"name": "array", "path": "mnist.npz"},
        {"name": "hf", "path": "hf"},
        {"name": "torchvision", "dataset": "MNIST"},
    ]
    assert registry.describe("datasets", "mnist").constants["published"] == data.fingerprint()
    for door in doors:
        options = {key: value for key, value in door.items() if key != "name"}
        found = _loading.build(door["name"], options).load(tmp_path)
        assert (found.fingerprint(), found.order()) == (data.fingerprint(), data.order())
    suite = suite_of("mnist", *doors, train={"epochs": 1, "train_images": 500}, metrics=["mse", "elbo", "knn_accuracy"])
    suite["grid"] |= {"variants": ["vae"], "nets": [{"name": "mlp", "hidden": [16]}]}
    suite["evaluate"] = {"embed": {"methods": []}}
    frame = run(suite, results=tmp_path / "results", data=tmp_path, progress=False)
    assert sorted(frame["dataset"]) == ["array", "hf", "mnist", "torchvision"]
    assert len(frame[["mse", "elbo", "knn_accuracy"]].drop_duplicates()) == 1  # to the last bit
    assert frame["mse"].notna().all()
