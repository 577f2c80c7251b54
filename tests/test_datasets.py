"""Datasets: on files the tests write, and on real ones if the data root (BENCH_DATA, else ./data) has any."""

import gzip
import inspect
import io
import os
import pickle
import socket
import struct
import threading
import zipfile
import zlib
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision import datasets as published

from bench import registry
from bench.datasets import Data, Split, _loading, binarised
from bench.datasets._idx import read_idx
from bench.datasets._recipe import Recipe
from bench.datasets._torchvision import ask, md5
from bench.datasets.mnist import read_amat
from bench.errors import DataError, UsageError
from bench.suite import load as load_suite

ALL = registry.names("datasets")
IDX = ("mnist", "fashion_mnist", "kmnist")
CELEBA_FILES = ("img_align_celeba.zip", "list_attr_celeba.txt", "list_eval_partition.txt")


def example(name, **options):
    """A dataset with something plausible for every option that has no default."""
    needed = {o.name: o for o in registry.describe("datasets", name).options.values()}
    plausible = {"path": "my-images", "size": 8, "dataset": "USPS"}
    filled = {o.name: plausible[o.name] for o in needed.values() if o.default is registry.REQUIRED}
    return _loading.build(name, filled | options)


def real(name, **options):
    """The dataset and its root where the data are; else the test is skipped with the words of `missing`."""
    root, dataset = _loading.find_root(None), _loading.build(name, options)
    if problem := dataset.missing(root):
        pytest.skip(f"no real {name}: {problem}")
    return dataset, root


def write_idx(path, values):
    header = bytes((0, 0, 8, values.ndim)) + struct.pack(f">{values.ndim}I", *values.shape)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(header + values.tobytes())


def write_mnist(root, name="mnist", train=20, test=10):
    """A tiny dataset in MNIST's layout; returns its folder and the train images (N, 28, 28)."""
    folder = _loading.build(name, {}).where(root)
    images = {
        "train": np.random.default_rng(0).integers(0, 256, (train, 28, 28), np.uint8),
        "t10k": np.random.default_rng(1).integers(0, 256, (test, 28, 28), np.uint8),
    }
    for part, pixels in images.items():
        write_idx(folder / f"{part}-images-idx3-ubyte", pixels)
        write_idx(folder / f"{part}-labels-idx1-ubyte", np.arange(len(pixels), dtype=np.uint8) % 10)
    return folder, images["train"]


def encoded(image, kind="PNG", **save):
    out = io.BytesIO()
    image.save(out, kind, **save)
    return out.getvalue()


def picture(width, height, colour, kind="PNG", mode="RGB"):
    return encoded(Image.new(mode, (width, height), colour), kind)


def write_folder(root, files=None):
    """An image folder of two classes, pictures of several sizes and both formats."""
    files = files or {
        "train/cat/a.png": picture(9, 7, "red"),
        "train/cat/b.JPG": picture(20, 30, "white", "JPEG"),
        "train/dog/c.jpeg": picture(8, 8, "black", "JPEG"),
        "train/dog/.hidden.png": b"not looked at",
        "train/dog/notes.txt": b"not looked at",
        "test/dog/d.png": picture(5, 50, "blue"),
    }
    for name, content in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content)
    return root


def folder(root, path="images", **options):
    return _loading.build("folder", {"path": str(root / path), "size": 8} | options)


# --- the contract, for every dataset there is ---


@pytest.mark.parametrize("name", ALL)
def test_what_the_registry_reads_is_what_the_class_has(name):
    component, cls = registry.describe("datasets", name), registry.load("datasets", name)
    keyword_only = [p for p in inspect.signature(cls).parameters.values() if p.kind is p.KEYWORD_ONLY]
    assert {o.name: o.default for o in component.options.values() if o.default is not registry.REQUIRED} == {
        p.name: p.default for p in keyword_only if p.default is not p.empty
    }
    assert set(component.options) == {p.name for p in keyword_only} >= {"binarise"}
    assert {k: getattr(cls, k) for k in component.constants} == component.constants
    assert example(name).name == name
    assert component.summary.endswith(".")


@pytest.mark.parametrize("name", ALL)
def test_what_is_missing_is_said_with_the_place_it_was_looked_for(name, tmp_path):
    dataset = example(name)
    if dataset.embedded:
        assert dataset.missing(tmp_path) is None
        assert dataset.where(tmp_path).exists()
        return
    assert str(tmp_path) in dataset.missing(tmp_path)
    assert "put" in dataset.missing(tmp_path)
    with pytest.raises(DataError, match=f"^{name}: ") as caught:
        dataset.load(tmp_path)
    assert str(tmp_path) in str(caught.value)


@pytest.mark.parametrize("name", ALL)
def test_an_unknown_binarisation_is_refused_with_the_nearest_name(name):
    with pytest.raises(UsageError, match="did you mean 'static'"):
        example(name, binarise="statics")


@pytest.mark.parametrize("name", [n for n in ALL if registry.describe("datasets", n).constants["embedded"]])
def test_an_embedded_dataset_loads_from_an_empty_root(name, tmp_path):
    dataset = example(name)
    loaded = dataset.load(tmp_path)
    assert loaded.shape == (dataset.channels, dataset.size, dataset.size)
    assert loaded.train.labels.unique().tolist() == list(range(len(loaded.classes)))
    assert loaded.fingerprint() == example(name).load(tmp_path).fingerprint()


@pytest.mark.parametrize(
    ("name", "theirs"),
    [
        ("mnist", published.MNIST.resources),
        ("fashion_mnist", published.FashionMNIST.resources),
        ("kmnist", published.KMNIST.resources),
        ("cifar10", [*published.CIFAR10.train_list, *published.CIFAR10.test_list]),
        ("stl10", [r for r in published.STL10.train_list + published.STL10.test_list if "unlab" not in r[0]]),
        ("celeba", [(file, md5) for _, md5, file in published.CelebA.file_list if file in CELEBA_FILES]),
    ],
)
def test_the_recorded_checksums_are_those_torchvision_demands(name, theirs):
    ours = registry.load("datasets", name).md5
    assert {file: ours.get(file) for file, _ in theirs} == {file: md5 for file, md5 in theirs}  # noqa: C416


@pytest.mark.parametrize("name", [*IDX, "cifar10", "stl10"])
def test_files_lie_where_torchvision_puts_them(name, tmp_path):
    dataset = _loading.build(name, {})
    theirs = getattr(published, type(dataset).__name__)
    below = f"{theirs.__name__}/raw" if name in IDX else theirs.base_folder
    assert dataset.where(tmp_path) == tmp_path / below
    assert set(dataset.urls) == set(theirs.mirrors if name in IDX else [theirs.url])


# --- fingerprints ---


def labelled(images, labels):
    return Data("x", Split(images, labels), Split(images[:3], None if labels is None else labels[:3]), (), "")


def test_a_fingerprint_is_of_the_set_and_the_order_is_hashed_beside_it():
    images = torch.randint(0, 256, (20, 3, 4, 5), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    labels = torch.arange(20) % 3
    first, mixed = labelled(images, labels), torch.randperm(20, generator=torch.Generator().manual_seed(1))
    other = replace(first, train=Split(images[mixed], labels[mixed]))
    assert other.fingerprint() == first.fingerprint()
    assert other.order() != first.order()
    assert other.is_same_as(first.fingerprint())
    assert not other.is_same_as(first.order())
    assert replace(first).is_same_as(first.order())


def test_a_fingerprint_tells_pixels_labels_splits_shapes_and_repetitions_apart():
    images, labels = torch.arange(48, dtype=torch.uint8).view(4, 1, 3, 4), torch.tensor([0, 0, 1, 1])
    split, none = Split(images, labels), Split(images, None)
    brighter = images.clone()
    brighter[0, 0, 0, 0] += 1
    pairs = [
        (split, split),
        (Split(brighter, labels), split),
        (Split(images, labels.flip(0)), split),  # the same labels on other images
        (split, Split(images[:2], labels[:2])),
        (Split(images[:2], labels[:2]), split),
        (Split(images.view(4, 1, 4, 3), labels), split),
        (Split(images[[0, 0, 1, 2]], labels), split),
        (Split(images[[0, 1, 1, 2]], labels), split),
        (none, none),
    ]
    prints = {Data("x", train, test, (), "").fingerprint() for train, test in pairs}
    assert len(prints) == len(pairs)


def test_published_data_in_another_order_are_recognised(tmp_path, monkeypatch):
    folder, images = write_mnist(tmp_path)
    plain = _loading.build("mnist", {}).load(tmp_path)
    assert plain.order_note() is None
    monkeypatch.setattr(registry.load("datasets", "mnist"), "published", plain.fingerprint())
    write_idx(folder / "train-images-idx3-ubyte", images[::-1])
    write_idx(folder / "train-labels-idx1-ubyte", (np.arange(20, dtype=np.uint8) % 10)[::-1].copy())
    assert _loading.status("mnist", tmp_path)["order_note"] == "in another order than published"
    checksums = {path.name: md5(path) for path in folder.iterdir()}
    checksums |= {f"{name}.gz": "that of other packing" for name in checksums}
    monkeypatch.setattr(registry.load("datasets", "mnist"), "md5", checksums)
    for path in list(folder.iterdir()):  # packed again, a .gz has another checksum than the published one
        path.with_name(f"{path.name}.gz").write_bytes(gzip.compress(path.read_bytes()))
        path.unlink()
    assert _loading.status("mnist", tmp_path)["order_note"] == "as published"


# --- binarise ---


def test_threshold_cuts_at_128():
    images = torch.arange(256, dtype=torch.uint8).view(1, 1, 16, 16)
    assert torch.equal(binarised(images, "threshold", 0) == 255, images >= 128)


def test_static_binarisation_draws_each_pixel_with_its_own_probability():
    images = torch.tensor([0, 64, 255], dtype=torch.uint8).view(1, 3, 1, 1).expand(10_000, 3, 2, 2)
    drawn = binarised(images, "static", 0)
    assert set(drawn.unique().tolist()) == {0, 255}
    shares = (drawn == 255).double().mean((0, 2, 3))
    sigma = (64 / 255 * 191 / 255 / 40_000) ** 0.5
    assert shares[0] == 0
    assert abs(shares[1] - 64 / 255) < 5 * sigma
    assert shares[2] == 1


def test_static_binarisation_is_the_same_images_on_every_machine(tmp_path):
    first, again = (_loading.build("digits", {"binarise": "static"}).load(tmp_path) for _ in range(2))
    assert first.fingerprint() == again.fingerprint() == "154b8b3e27d4ed76"
    assert first.order() == "48dab5b3adfba869"
    assert first.train.labels.tolist() == _loading.build("digits", {}).load(tmp_path).train.labels.tolist()


def test_dynamic_binarisation_keeps_the_probabilities_and_the_fixed_draw(tmp_path):
    """Codes and metrics use the draw of "static"; training draws from the grey images anew."""
    dynamic, static, grey = (
        _loading.build("digits", {"binarise": how}).load(tmp_path) for how in ("dynamic", "static", "none")
    )
    assert torch.equal(dynamic.train.images, static.train.images)
    assert torch.equal(dynamic.test.images, static.test.images)
    assert torch.equal(dynamic.probabilities.images, grey.train.images)
    assert static.probabilities is None
    assert dynamic.fingerprint() == static.fingerprint()


def test_static_binarisation_of_the_test_split_does_not_depend_on_the_train_split(tmp_path):
    for train in (20, 30):
        write_mnist(tmp_path / str(train), train=train)
    few, more = (_loading.build("mnist", {"binarise": "static"}).load(tmp_path / str(n)) for n in (20, 30))
    assert torch.equal(few.test.images, more.test.images)
    assert not torch.equal(few.test.images, few.train.images[:10])


def write_amat(folder, train=12, test=5):
    """Tiny files in the form of the published ones; returns the pixels of the train images."""
    folder.mkdir(parents=True, exist_ok=True)
    pixels = {part: np.random.default_rng(n).integers(0, 2, (n, 784)) for part, n in (("train", train), ("test", test))}
    for part, rows in pixels.items():
        text = "".join(" ".join(map(str, row)) + "\n" for row in rows)
        (folder / f"binarized_mnist_{part}.amat").write_text(text)
    return pixels["train"]


@pytest.mark.parametrize("below", ["binarized_mnist", "."])
def test_the_published_binarisation_is_read_by_its_hash(tmp_path, monkeypatch, below):
    dataset = _loading.build("mnist", {"binarise": "larochelle"})
    assert str(tmp_path / "binarized_mnist") in dataset.missing(tmp_path)
    pixels = write_amat(tmp_path / below)
    with pytest.raises(DataError, match=r"train.amat: has the sha256 \w{16}, and the published file ad693b29f94c1427"):
        dataset.load(tmp_path)
    assert dataset.original(tmp_path) == "no: binarized_mnist_train.amat, binarized_mnist_test.amat"
    files = {path.name: sha256(path.read_bytes()).hexdigest() for path in (tmp_path / below).glob("*.amat")}
    monkeypatch.setattr(type(dataset), "sha256", files)
    found = dataset.load(tmp_path)
    assert torch.equal(found.train.images, torch.from_numpy(pixels * 255).to(torch.uint8).view(-1, 1, 28, 28))
    assert (len(found.test), found.train.labels, found.classes) == (5, None, ())
    assert dataset.original(tmp_path) == "yes"
    assert f"binarized_mnist_train.amat {files['binarized_mnist_train.amat'][:16]}" in found.source


@pytest.mark.parametrize("text", ["", "0 1\n", "2 " * 784, "0," * 784])
def test_a_file_that_is_no_binarised_mnist_is_refused(tmp_path, text):
    (tmp_path / "a.amat").write_text(text)
    with pytest.raises(DataError, match=r"a.amat: (\d+ bytes are no rows|holds something else)"):
        read_amat(tmp_path / "a.amat")


def test_only_mnist_has_a_published_binarisation_and_its_images_have_no_labels():
    suite = {"title": "?", "grid": {"datasets": ["mnist", {"name": "mnist", "binarise": "larochelle"}],
                                    "variants": ["conditional_vae"], "latent_sizes": [2], "seeds": 1}}  # fmt: skip
    skips = {cell.dataset_label: cell.skip for cell in load_suite(suite).cells}
    assert skips["mnist"] is None
    assert "needs labels, and mnist (binarise=larochelle) has none" in skips["mnist (binarise=larochelle)"]
    with pytest.raises(UsageError, match="kmnist: binarise is 'larochelle'"):
        _loading.build("kmnist", {"binarise": "larochelle"})


# --- digits ---


def test_digits_have_every_grey_value_of_the_original_and_a_stratified_split(tmp_path):
    loaded = _loading.build("digits", {}).load(tmp_path)
    values = torch.cat([loaded.train.images, loaded.test.images]).unique().tolist()
    assert values == [(255 * count + 8) // 16 for count in range(17)]
    assert (len(loaded.train), len(loaded.test)) == (1438, 359)
    share = loaded.test.labels.bincount() / (loaded.train.labels.bincount() + loaded.test.labels.bincount())
    assert ((share - 0.2).abs() < 0.003).all()
    assert (loaded.fingerprint(), loaded.order()) == ("2ed780959f626973", "ee77fcb61eff492c")
    train, test = ({image.tobytes() for image in split.images.numpy()} for split in (loaded.train, loaded.test))
    assert train.isdisjoint(test)


# --- the IDX family ---


@pytest.mark.parametrize("name", IDX)
def test_idx_files_are_read_plain_and_gzipped_to_the_same_data(name, tmp_path):
    folder, images = write_mnist(tmp_path, name)
    plain = _loading.build(name, {}).load(tmp_path)
    for path in list(folder.iterdir()):
        path.with_name(f"{path.name}.gz").write_bytes(gzip.compress(path.read_bytes()))
        path.unlink()
    packed = _loading.build(name, {}).load(tmp_path)
    assert torch.equal(plain.train.images[:, 0], torch.from_numpy(images))
    assert plain.train.labels.tolist() == [*range(10)] * 2
    assert packed.fingerprint() == plain.fingerprint()
    assert _loading.status(name, tmp_path)["original"].startswith("no: train-images")


def test_our_idx_reader_agrees_with_torchvision(tmp_path):
    folder, _ = write_mnist(tmp_path)
    path = folder / "train-images-idx3-ubyte"
    assert torch.equal(read_idx(path, axes=3), published.mnist.read_image_file(str(path)))


@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_a_truncated_idx_file_is_named(suffix, tmp_path):
    folder, _ = write_mnist(tmp_path)
    path = folder / "t10k-images-idx3-ubyte"
    whole = gzip.compress(path.read_bytes()) if suffix else path.read_bytes()
    path.unlink()
    path.with_name(path.name + suffix).write_bytes(whole[:-100])
    with pytest.raises(DataError, match=f"t10k-images-idx3-ubyte{suffix}: (truncated|cannot be read)"):
        _loading.build("mnist", {}).load(tmp_path)


@pytest.mark.parametrize(
    ("file", "values", "complaint"),
    [
        ("train-images-idx3-ubyte", np.zeros((20, 28), np.uint8), "not an IDX file of bytes with 3 axes"),
        ("train-images-idx3-ubyte", np.zeros((20, 32, 32), np.uint8), "images of 32×32 pixels"),
        ("train-images-idx3-ubyte", np.zeros((0, 28, 28), np.uint8), "expected uint8 images"),
        ("train-labels-idx1-ubyte", np.zeros(19, np.uint8), "20 images but 19 labels"),
        ("t10k-labels-idx1-ubyte", np.full(10, 10, np.uint8), "label 10, expected 0 to 9"),
    ],
)
def test_an_idx_file_with_other_contents_is_refused(file, values, complaint, tmp_path):
    folder, _ = write_mnist(tmp_path)
    write_idx(folder / file, values)
    with pytest.raises(DataError, match=complaint):
        _loading.build("mnist", {}).load(tmp_path)


# --- the others that torchvision downloads ---


class Trap:
    """Unpickling it makes a folder."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


def test_altered_cifar_batches_are_refused_before_they_are_unpickled(tmp_path):
    dataset, sprung = _loading.build("cifar10", {}), tmp_path / "sprung"
    dataset.where(tmp_path).mkdir()
    for (name,) in dataset.files:
        (dataset.where(tmp_path) / name).write_bytes(pickle.dumps(Trap(sprung)))
    with pytest.raises(DataError, match=r"cifar-10-batches-py: .* no: data_batch_1, .*batches\.meta"):
        dataset.load(tmp_path)
    assert not sprung.exists()


def write_stl10(root):
    where, rng = _loading.build("stl10", {}).where(root), np.random.default_rng(0)
    where.mkdir()
    images = rng.integers(0, 256, (3, 3, 96, 96), np.uint8)  # (N, C, H, W)
    for part in ("train", "test"):
        (where / f"{part}_X.bin").write_bytes(images.transpose(0, 1, 3, 2).tobytes())
        (where / f"{part}_y.bin").write_bytes(bytes((1, 10, 2)))
    return where, images


def test_stl10_is_read_from_its_columns_with_labels_from_zero(tmp_path):
    _, images = write_stl10(tmp_path)
    loaded = _loading.build("stl10", {}).load(tmp_path)
    assert torch.equal(loaded.test.images, torch.from_numpy(images))
    assert [loaded.classes[label] for label in loaded.train.labels] == ["airplane", "truck", "bird"]


@pytest.mark.parametrize(
    ("file", "content", "complaint"),
    [
        ("train_X.bin", b"123", "no multiple of 3·96·96"),
        ("test_y.bin", bytes((1, 2, 0)), "label 0, expected 1 to 10"),
    ],
)
def test_damaged_stl10_files_are_named(file, content, complaint, tmp_path):
    where, _ = write_stl10(tmp_path)
    (where / file).write_bytes(content)
    with pytest.raises(DataError, match=f"{file}: .*{complaint}"):
        _loading.build("stl10", {}).load(tmp_path)


def write_celeba(root, zipped=False):
    where = _loading.build("celeba", {}).where(root)
    colours = {"1.jpg": "red", "2.jpg": "lime", "3.jpg": "blue", "4.jpg": "white"}
    images = {f"img_align_celeba/{n}": picture(178, 218, c, "JPEG") for n, c in colours.items()}
    where.mkdir()
    if zipped:
        write_zip(where / "img_align_celeba.zip", images)
    else:
        write_folder(where, images)
    (where / "list_eval_partition.txt").write_text("1.jpg 0\n2.jpg 1\n3.jpg 0\n4.jpg 2\n")
    rows = "1.jpg  1 -1\n2.jpg -1 -1\n3.jpg -1  1\n4.jpg  1  1\n"
    (where / "list_attr_celeba.txt").write_text(f"4\nSmiling Eyeglasses\n{rows}")
    return where


@pytest.mark.parametrize("zipped", [False, True])
def test_celeba_takes_the_official_split_and_an_attribute_as_the_label(zipped, tmp_path):
    write_celeba(tmp_path, zipped)
    loaded = _loading.build("celeba", {"size": 16, "attribute": "Eyeglasses"}).load(tmp_path)
    assert loaded.train.images.shape == (2, 3, 16, 16)
    assert loaded.train.images[:, :, 8, 8].gt(128).tolist() == [[True, False, False], [False, False, True]]
    assert loaded.test.images.min() > 250
    assert loaded.train.labels.tolist() == [0, 1]
    assert loaded.classes == ("not Eyeglasses", "Eyeglasses")


def test_celeba_refuses_an_unknown_attribute_with_the_nearest(tmp_path):
    write_celeba(tmp_path)
    with pytest.raises(UsageError, match="'smiling'; did you mean 'Smiling'"):
        _loading.build("celeba", {"attribute": "smiling"}).load(tmp_path)


@pytest.mark.parametrize(
    ("file", "content", "complaint"),
    [
        ("list_eval_partition.txt", "1.jpg 0\n2.jpg 1\n", "do not name the same images"),
        ("list_eval_partition.txt", "1.jpg 0\n2.jpg", "list_eval_partition.txt: truncated"),
        ("list_attr_celeba.txt", "4\nSmiling Young\n1.jpg 1 1\n2.jpg 1\n", "list_attr_celeba.txt: truncated"),
        ("img_align_celeba/3.jpg", None, "3.jpg is not in it"),
    ],
)
def test_incomplete_celeba_files_are_named(file, content, complaint, tmp_path):
    path = write_celeba(tmp_path) / file
    path.unlink() if content is None else path.write_text(content)
    with pytest.raises(DataError, match=complaint):
        _loading.build("celeba", {}).load(tmp_path)


def test_celeba_names_the_extra_that_downloads_it(tmp_path, monkeypatch):
    monkeypatch.setattr("bench.datasets.celeba.find_spec", lambda name: None)
    with pytest.raises(DataError, match=r"gdown.*latent-bench\[celeba\].*list_attr_celeba.txt"):
        _loading.build("celeba", {}).fetch(tmp_path)


# --- image folders ---


def write_zip(path, files):
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)


def test_a_folder_of_any_sizes_becomes_squares_with_sorted_classes(tmp_path):
    write_folder(tmp_path / "images")
    loaded = folder(tmp_path).load(tmp_path)
    assert loaded.shape == (3, 8, 8)
    assert loaded.classes == ("cat", "dog")
    assert loaded.train.labels.tolist() == [0, 0, 1]
    assert loaded.test.labels.tolist() == [1]
    assert loaded.train.images[0, :, 4, 4].tolist() == [255, 0, 0]
    assert loaded.test.images[0, :, 4, 4].tolist() == [0, 0, 255]


def test_a_zip_gives_the_same_data_as_the_folder_it_was_made_from(tmp_path):
    root = write_folder(tmp_path / "images")
    files = {p.relative_to(root).as_posix(): p.read_bytes() for p in sorted(root.rglob("*")) if p.is_file()}
    write_zip(tmp_path / "images.zip", files | {"__MACOSX/train/cat/._a.png": b"shadow", "train/cat/": b""})
    before = sorted(tmp_path.iterdir())
    unpacked, packed = folder(tmp_path).load(tmp_path), folder(tmp_path, "images.zip").load(tmp_path)
    assert packed.fingerprint() == unpacked.fingerprint()
    assert sorted(p for p in tmp_path.iterdir() if p.name != ".cache") == before


def test_a_zip_cannot_write_or_read_outside_itself(tmp_path):
    names = ["train/x/1.png", "test/x/1.png", "train/x/../../../outside.png", "/train/x/outside.png"]
    write_zip(tmp_path / "a.zip", dict.fromkeys(names, picture(8, 8, "red")))
    with pytest.raises(DataError, match="2 with a name that leads out of the folder"):
        folder(tmp_path, "a.zip").load(tmp_path)
    assert not list(tmp_path.parent.rglob("outside.png"))


def test_one_channel_is_the_luma_of_the_colours(tmp_path):
    write_folder(tmp_path / "images")
    loaded = folder(tmp_path, channels=1).load(tmp_path)
    assert loaded.shape == (1, 8, 8)
    assert int(loaded.train.images[0, 0, 4, 4]) == round(0.299 * 255)


def test_a_relative_path_is_looked_for_in_the_working_directory_then_under_the_root(tmp_path, monkeypatch):
    here, root = tmp_path / "here", tmp_path / "root"
    write_folder(root / "images")
    here.mkdir()
    monkeypatch.chdir(here)
    dataset = _loading.build("folder", {"path": "images", "size": 8})
    assert dataset.where(root) == root / "images"
    write_folder(here / "images")
    assert dataset.where(root).resolve() == here / "images"


def test_the_centre_is_what_a_crop_keeps():
    stripes = Image.new("RGB", (30, 10), "red")
    stripes.paste("lime", (10, 0, 20, 10))
    pixels = Recipe(10, 3)(encoded(stripes))
    assert (pixels == np.array([0, 255, 0], np.uint8)[:, None, None]).all()


def test_resizing_is_antialiased():
    board = Image.fromarray((np.indices((64, 64)).sum(0) % 2 * 255).astype(np.uint8))
    assert np.abs(Recipe(8, 1)(encoded(board)).astype(int) - 127.5).max() < 16


def test_an_image_of_the_right_size_keeps_its_pixels():
    pixels = np.random.default_rng(0).integers(0, 256, (3, 8, 8), np.uint8)
    assert (Recipe(8, 3)(encoded(Image.fromarray(pixels.transpose(1, 2, 0)))) == pixels).all()


def test_transparency_is_white_and_an_exif_turn_is_followed():
    assert (Recipe(4, 3)(picture(4, 4, (0, 0, 0, 0), mode="RGBA")) == 255).all()
    half = Image.new("L", (8, 8), 0)
    half.paste(255, (0, 0, 4, 8))  # the left half is white
    exif = Image.Exif()
    exif[0x0112] = 6  # to be shown turned by 90° clockwise: left becomes top
    assert Recipe(8, 1)(encoded(half, exif=exif))[0, :, 4].tolist() == [255] * 4 + [0] * 4


def grey(value):
    return Image.new("L", (8, 8), value)


def deep(kind):
    """An image of 16 bits a channel that Pillow opens as one of 8."""
    if kind == "png":
        rows = b"".join(b"\0" + bytes(range(48)) for _ in range(8))
        header = struct.pack(">IIBBBBB", 8, 8, 16, 2, 0, 0, 0)
        chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b""))
        packed = (struct.pack(">I", len(c)) + k + c + struct.pack(">I", zlib.crc32(k + c)) for k, c in chunks)
        return b"\x89PNG\r\n\x1a\n" + b"".join(packed)
    if kind == "ppm":
        return b"P6 8 8 65535\n" + bytes(384)
    if kind == "tif":
        tags = [
            (256, 3, 8),
            (257, 3, 8),
            (258, 3, 16),
            (259, 3, 1),
            (262, 3, 1),
            (273, 4, 200),
            (277, 3, 1),
            (279, 4, 128),
        ]
        entries = b"".join(struct.pack("<HHII", tag, kind, 1, value) for tag, kind, value in tags)
        return (b"II*\0" + struct.pack("<IH", 8, len(tags)) + entries + bytes(4)).ljust(200, b"\0") + bytes(128)
    jp2 = bytearray(encoded(Image.new("RGB", (8, 8)), "JPEG2000"))
    jp2[jp2.find(b"\xff\x4f\xff\x51") + 42] = 11  # 12 bits
    return bytes(jp2)


@pytest.mark.parametrize("kind", ["png", "ppm", "tif", "jp2"])
def test_images_deeper_than_eight_bits_are_refused_and_not_cut(kind, tmp_path):
    files = {f"train/a/{n}.{kind}": deep(kind) for n in range(5)}
    files |= {f"{part}/a/good.png": picture(8, 8, "red") for part in ("train", "test")}
    write_folder(tmp_path / "images", files)
    expected = (
        rf"images: 5 of 7 images cannot be used: 5 with more than 8 bits a channel \(train/a/0.{kind}: .*, \.\.\.\)"
    )
    with pytest.raises(DataError, match=expected):
        folder(tmp_path).load(tmp_path)


@pytest.mark.parametrize("zipped", [False, True])
def test_all_images_that_cannot_be_used_are_counted_and_named_at_once(zipped, tmp_path):
    files = {
        "train/a/good.png": picture(8, 8, "red"),
        "train/a/odd.png": b"no picture",
        "train/a/cut.jpg": picture(60, 60, "red", "JPEG")[:400],
        "train/a/phone.heic": b"",
        "train/a/moving.gif": encoded(grey(0), "GIF", save_all=True, append_images=[grey(9)]),
        "test/a/deep.png": picture(8, 8, 300, mode="I;16"),
    }
    (write_zip if zipped else write_folder)(tmp_path / "images", files)
    with pytest.raises(DataError) as caught:
        folder(tmp_path).load(tmp_path)
    told = str(caught.value)
    assert "5 of 6 images cannot be used" in told
    for part in (
        "1 not an image inside (train/a/odd.png)",
        "1 unreadable (train/a/cut.jpg: ",
        "1 in the format .heic, which is not read (train/a/phone.heic)",
        "1 with more than one frame (train/a/moving.gif: 2 frames)",
        "1 with more than 8 bits a channel (test/a/deep.png: mode I;16, 16 bits)",
    ):
        assert part in told
    assert "\n" not in told


def test_every_format_of_eight_bits_is_read(tmp_path):
    kinds = {"a.png": "PNG", "b.bmp": "BMP", "c.webp": "WEBP", "d.gif": "GIF", "e.tif": "TIFF", "f.ppm": "PPM",
             "g.tga": "TGA", "h.jp2": "JPEG2000", "i.JPG": "JPEG", "j.avif": "AVIF", "k": "PNG", "l.image": "WEBP",
             }  # fmt: skip
    files = {f"train/{n[0]}/{n}": picture(8, 8, "red", kind) for n, kind in kinds.items()}
    files |= {"test/a/x.png": picture(8, 8, "red"), "val/a/x.png": b"", "train/a/notes.txt": b"BM", "train/README": b""}
    write_folder(tmp_path / "images", files | {"test/a/Thumbs.db": b"", "test/.DS_Store": b""})
    loaded = folder(tmp_path).load(tmp_path)
    assert loaded.classes == tuple("abcdefghijkl")
    assert (loaded.train.images[:, :, 4, 4].int() - torch.tensor([255, 0, 0])).abs().max() < 12  # jpg, avif: lossy
    expected = {
        "*.txt": 1, "files without a suffix": 1, "hidden files and files of operating systems": 2,
        "images outside of train and test": 1,
    }  # fmt: skip
    assert loaded.skipped == expected
    assert loaded.describe()["skipped"] == folder(tmp_path).skipped(tmp_path) == expected


@pytest.mark.parametrize(
    ("link", "target"),
    [("train/cat/parent", ".."), ("test/here", "."), ("train/again", "cat"), ("train/dog/x.png", "../cat/a.png")],
)
def test_a_link_to_what_is_read_already_is_named(link, target, tmp_path):
    root = write_folder(tmp_path / "images")
    (root / link).symlink_to(target)
    with pytest.raises(DataError, match=rf"1 linked to what is read already \({link}\)"):
        folder(tmp_path).load(tmp_path)


def test_links_to_what_lies_elsewhere_are_followed_once(tmp_path):
    root = write_folder(tmp_path / "elsewhere")
    (tmp_path / "images").mkdir()
    (tmp_path / "images/train").symlink_to(root / "train")
    (tmp_path / "images/test/dog").mkdir(parents=True)
    (tmp_path / "images/test/dog/d.png").symlink_to(root / "test/dog/d.png")
    assert folder(tmp_path).load(tmp_path).fingerprint() == folder(tmp_path, "elsewhere").load(tmp_path).fingerprint()
    (tmp_path / "images/test/dog/e.png").symlink_to("nowhere.png")
    with pytest.raises(DataError, match=r"1 linked to nothing \(test/dog/e.png\)"):
        folder(tmp_path).load(tmp_path)


def test_names_that_are_not_utf8_or_hold_control_characters_are_refused(tmp_path):
    write_folder(tmp_path / "images", {f"{part}/a/1.png": picture(8, 8, "red") for part in ("train", "test")})
    for name in (b"caf\xe9.png", b"bell\x07.png"):
        Path(os.fsdecode(os.fsencode(tmp_path / "images/train/a") + b"/" + name)).write_bytes(picture(8, 8, "red"))
    with pytest.raises(DataError) as caught:
        folder(tmp_path).load(tmp_path)
    assert "1 with a name that is not UTF-8 (train/a/caf\\udce9.png)" in str(caught.value)
    assert "1 with a name with control characters (train/a/bell\\x07.png)" in str(caught.value)


def test_a_zip_of_another_system_is_read_with_accents_composed(tmp_path):
    red = picture(8, 8, "red")
    files = {"images\\train\\cafe\u0301\\a.png": red, "images/test/caf\u00e9/b.png": red, "images/train/.DS_Store": b""}
    write_zip(tmp_path / "a.zip", files | {"__MACOSX/images/train/x/._a.png": b"", "images\\test\\": b""})
    loaded = folder(tmp_path, "a.zip").load(tmp_path)
    assert loaded.classes == ("caf\u00e9",)
    assert (len(loaded.train), len(loaded.test)) == (1, 1)


def test_images_without_class_folders_have_no_labels(tmp_path):
    write_folder(
        tmp_path / "images", {name: picture(8, 8, "red") for name in ("train/1.png", "train/2.png", "test/1.png")}
    )
    loaded = folder(tmp_path).load(tmp_path)
    assert (loaded.train.labels, loaded.test.labels, loaded.classes) == (None, None, ())
    assert (len(loaded.train), len(loaded.test)) == (2, 1)
    assert (
        _loading.status("folder", tmp_path, {"path": str(tmp_path / "images"), "size": 8})["train"]["per_class"] == []
    )


@pytest.mark.parametrize("flat", [False, True])
def test_a_split_is_drawn_of_every_class_and_is_always_the_same(flat, tmp_path):
    names = [f"{'' if flat else 'ab'[n % 2] + '/'}{n:02d}.png" for n in range(40)]
    shades = {name: picture(8, 8, (5 * n, 0, 0)) for n, name in enumerate(sorted(names))}
    write_folder(tmp_path / "images", shades)
    loaded, again = (folder(tmp_path, split=0.25).load(tmp_path) for _ in range(2))
    assert (len(loaded.train), len(loaded.test)) == (30, 10)
    assert loaded.order() == again.order()
    together = torch.cat([loaded.train.images, loaded.test.images])[:, 0, 0, 0]
    assert together.sort().values.tolist() == [5 * n for n in range(40)]
    if not flat:
        assert loaded.test.labels.bincount().tolist() == [5, 5]
    with pytest.raises(DataError, match=r"has no image below train/; put .* or set `split: 0\.2`"):
        folder(tmp_path).load(tmp_path)


def test_one_class_is_a_dataset(tmp_path):
    write_folder(tmp_path / "images", dict.fromkeys(("train/all/1.png", "test/all/1.png"), picture(8, 8, "red")))
    loaded = folder(tmp_path).load(tmp_path)
    assert (loaded.classes, loaded.train.labels.tolist()) == (("all",), [0])


@pytest.mark.parametrize(
    ("files", "options", "complaint"),
    [
        (["train/a/1.png", "test/b/1.png", "test/c/1.png"], {}, "classes of test that train does not have: b, c"),
        (["train/1.png", "test/a/1.png"], {}, "only test has class folders"),
        (
            ["train/a/1.png", "train/2.png", "test/a/1.png"],
            {},
            "1 images lie beside the class folders of train",
        ),
        (["train/a/1.png", "test/a/1.txt"], {}, "has no image below test/"),
        (
            ["train/a/1.png", "test/a/1.png"],
            {"split": 0.5},
            "has the folders train and test",
        ),
        (["1.png"], {"split": 0.5}, "a split needs 2 or more"),
        ([], {}, "has no image below train/"),
    ],
)
def test_a_folder_of_another_shape_is_refused(files, options, complaint, tmp_path):
    (tmp_path / "images").mkdir()
    for name in files:
        write_folder(tmp_path / "images", {name: picture(8, 8, "red") if name.endswith("png") else b"text"})
    with pytest.raises(DataError, match=complaint):
        folder(tmp_path, **options).load(tmp_path)


def test_a_file_that_is_no_zip_is_refused(tmp_path):
    (tmp_path / "images").write_bytes(b"something else")
    with pytest.raises(DataError, match="images: cannot be read as a zip"):
        folder(tmp_path).load(tmp_path)


@pytest.mark.parametrize("options", [{"size": 0}, {"channels": 2}])
def test_impossible_sizes_of_a_folder_are_refused(options, tmp_path):
    with pytest.raises(UsageError, match="must be"):
        folder(tmp_path, **options)


def test_images_that_do_not_fit_into_memory_are_refused_with_their_size(tmp_path):
    write_folder(tmp_path / "images")
    with pytest.raises(DataError, match=r"images of 3×100000000×100000000 take \d+ GB"):
        folder(tmp_path, size=100_000_000, channels=3).load(tmp_path)


def test_decoded_images_are_kept_until_a_file_or_an_option_changes(tmp_path, monkeypatch):
    write_folder(tmp_path / "images")
    first = folder(tmp_path).load(tmp_path)
    decoded = []
    decode = Recipe.__call__
    monkeypatch.setattr(Recipe, "__call__", lambda self, raw: decoded.append(raw) or decode(self, raw))
    assert folder(tmp_path).load(tmp_path).fingerprint() == first.fingerprint()
    assert not decoded
    folder(tmp_path, channels=1).load(tmp_path)
    assert len(decoded) == 4
    (tmp_path / "images/test/dog/d.png").write_bytes(picture(6, 6, "white"))
    assert folder(tmp_path).load(tmp_path).test.images.min() == 255
    assert len(decoded) == 8


def test_a_damaged_or_impossible_cache_costs_nothing_but_time(tmp_path):
    write_folder(tmp_path / "images")
    first = folder(tmp_path).load(tmp_path).fingerprint()
    (kept,) = (tmp_path / ".cache").iterdir()
    kept.write_bytes(kept.read_bytes()[:-1])
    assert folder(tmp_path).load(tmp_path).fingerprint() == first
    (tmp_path / "no").mkdir()
    (tmp_path / "no/.cache").write_text("a file where the folder would be")
    assert folder(tmp_path).load(tmp_path / "no").fingerprint() == first


# --- bench.datasets._loading ---


def test_the_root_is_the_flag_then_the_environment_then_data(monkeypatch):
    monkeypatch.setenv("BENCH_DATA", "there")
    assert _loading.find_root("here") == Path("here")
    assert _loading.find_root(None) == Path("there")
    monkeypatch.delenv("BENCH_DATA")
    assert _loading.find_root(None) == Path("data")


def test_options_that_do_not_exist_or_are_missing_are_named():
    with pytest.raises(UsageError, match="dataset mnist has no option 'binarize'; did you mean 'binarise'"):
        _loading.build("mnist", {"binarize": "static"})
    with pytest.raises(UsageError, match="dataset folder needs path and size"):
        _loading.build("folder", {})
    with pytest.raises(UsageError, match="dataset folder: size is 'big', must be of type int"):
        _loading.build("folder", {"path": "x", "size": "big"})
    with pytest.raises(UsageError, match="did you mean 'mnist'"):
        _loading.build("mnits", {})


def test_all_missing_datasets_are_told_at_once(tmp_path):
    write_mnist(tmp_path)
    entries = [(label, example(label)) for label in ("digits", "mnist", "kmnist", "cifar10")]
    own = ("my faces", _loading.build("folder", {"path": "faces.zip", "size": 8}))
    with pytest.raises(DataError) as caught:
        _loading.check([*entries, own], tmp_path, offline=True)
    lines = str(caught.value).splitlines()
    assert lines[0] == "3 datasets are missing"
    assert [line.split(":")[0].strip() for line in lines[1:4]] == ["kmnist", "cifar10", "my faces"]
    assert str(tmp_path / "KMNIST/raw") in lines[1]
    assert "BENCH_DATA" in lines[4]


def test_nothing_is_said_when_all_is_in_place(tmp_path):
    write_mnist(tmp_path)
    _loading.check([("digits", example("digits")), ("mnist", example("mnist"))], tmp_path, offline=True)


def test_a_failed_download_is_told_with_what_to_put_where(tmp_path, monkeypatch):
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.setattr(registry.load("datasets", "mnist"), "urls", ("http://127.0.0.1:1/",))
    with pytest.raises(DataError) as caught:
        _loading.check([("mnist", example("mnist"))], tmp_path, offline=False)
    assert "the download failed (http://127.0.0.1:1/: " in str(caught.value)
    assert f"looked in {tmp_path / 'MNIST/raw'}" in str(caught.value)


def test_what_a_download_brings_is_used(tmp_path, monkeypatch):
    cls = registry.load("datasets", "mnist")
    monkeypatch.setattr("bench.datasets._torchvision.ask", lambda urls: None)
    monkeypatch.setattr(cls, "download", lambda self, root: write_mnist(root))
    _loading.check([("mnist", example("mnist"))], tmp_path, offline=False)
    assert len(example("mnist").load(tmp_path).train) == 20


@pytest.fixture
def server():
    """A socket that listens; the test decides whether it ever answers."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield listening


def test_a_silent_server_is_given_up(server, monkeypatch):
    monkeypatch.setenv("no_proxy", "*")
    with pytest.raises(OSError, match=r"timed out|no answer within 0\.2 s"):
        ask((f"http://127.0.0.1:{server.getsockname()[1]}/",), seconds=0.2)


def test_one_server_that_answers_anything_is_enough(server, monkeypatch):
    monkeypatch.setenv("no_proxy", "*")

    def answer():
        connection, _ = server.accept()
        with connection:
            connection.recv(1000)
            connection.sendall(b"HTTP/1.0 403 Forbidden\r\n\r\n")

    thread = threading.Thread(target=answer)
    thread.start()
    ask(("http://127.0.0.1:1/", f"http://127.0.0.1:{server.getsockname()[1]}/"), seconds=20)
    thread.join()


def test_data_are_loaded_once_for_the_same_options_and_root(tmp_path):
    write_mnist(tmp_path)
    plain = SimpleNamespace(name="mnist", options={})
    first = _loading.load(plain, tmp_path)
    assert _loading.load(SimpleNamespace(name="mnist", options={}), tmp_path) is first
    binary = _loading.load(SimpleNamespace(name="mnist", options={"binarise": "threshold"}), tmp_path)
    assert set(binary.train.images.unique().tolist()) == {0, 255}
    write_mnist(tmp_path / "other", train=10)
    assert len(_loading.load(plain, tmp_path / "other").train) == 10


def test_the_status_of_a_dataset_counts_what_is_there(tmp_path):
    write_folder(tmp_path / "images")
    told = _loading.status("folder", tmp_path, {"path": str(tmp_path / "images"), "size": 8})
    assert told["train"] == {"images": 3, "per_class": [2, 1]}
    assert told["test"] == {"images": 1, "per_class": [0, 1]}
    assert told["shape"] == [3, 8, 8]
    assert told["where"] == str(tmp_path / "images")
    assert told["original"].startswith("unknown")


def test_checking_downloads_nothing_and_fetching_downloads_what_is_missing(tmp_path, monkeypatch):
    monkeypatch.setattr("bench.datasets._torchvision.ask", lambda urls: None)
    monkeypatch.setattr(registry.load("datasets", "mnist"), "download", lambda self, root: write_mnist(root))
    with pytest.raises(DataError, match="a dataset is missing"):
        _loading.fetch_or_check("check", "mnist", str(tmp_path), {})
    assert _loading.fetch_or_check("fetch", "mnist", str(tmp_path), {})["train"]["images"] == 20
    assert _loading.fetch_or_check("check", "mnist", str(tmp_path), {})["name"] == "mnist"


# --- real data, where there are any ---


def test_real_mnist_is_the_original():
    _, root = real("mnist")
    told = _loading.status("mnist", root)
    assert told["original"] == "yes"
    assert (told["fingerprint"], told["order"]) == ("5038806f1c37d4a4", "e0130f111822ed58")
    assert told["order_note"] == "as published"
    assert (told["train"]["images"], told["test"]["images"]) == (60_000, 10_000)
    assert told["test"]["per_class"] == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]


def test_real_fashion_mnist_is_complete():
    dataset, root = real("fashion_mnist")
    loaded = dataset.load(root)
    assert loaded.train.labels.bincount().tolist() == [6000] * 10
    assert loaded.test.labels.bincount().tolist() == [1000] * 10
    expected = "as published" if dataset.original(root) == "yes" else "in another order than published"
    assert loaded.order_note() == expected


def test_the_real_jpeg_copy_of_cifar10_loads_out_of_its_zip(tmp_path):
    dataset, root = real("folder", path="cifar10-jpeg.zip", size=32)
    whole = _loading.build("folder", {"path": str(dataset.where(root)), "size": 32}).load(tmp_path)
    assert whole.shape == (3, 32, 32)
    assert whole.classes == registry.load("datasets", "cifar10").classes
    assert whole.train.labels.bincount().tolist() == [5000] * 10
    assert whole.test.labels.bincount().tolist() == [1000] * 10
