"""Datasets with factors of variation: what they hold, how they are read, and that nothing pickled is opened."""

import builtins
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import cell, run_bench

from bench.api import Data as InMemory
from bench.datasets import Data, Factor, Split, _loading
from bench.datasets import dsprites as dsprites_file
from bench.datasets import shapes3d as shapes3d_file
from bench.datasets._combinations import tests as drawn_tests
from bench.datasets._splits import hide_labels, subset
from bench.datasets.sprites import SCALES, _images
from bench.errors import DataError, UsageError
from bench.runs import memory_estimate
from bench.suite import Choice

RNG = np.random.default_rng(0)


@pytest.fixture(scope="module")
def sprites() -> Data:
    return _loading.build("sprites", {}).load(Path("unused"))


# -- sprites


def test_sprites_are_the_same_on_every_machine(sprites):
    assert (sprites.fingerprint(), sprites.order()) == ("a02065a848e6ae7d", "2c29ef4206b67cac")
    assert len(torch.cat([sprites.train.images, sprites.test.images]).unique(dim=0)) == 14_400


def test_every_combination_of_sprites_is_in_one_split(sprites):
    sizes = [factor.size for factor in sprites.factors]
    assert [factor.name for factor in sprites.factors if factor.categorical] == ["shape"]
    assert (len(sprites.train), len(sprites.test)) == (11_520, 2_880)
    both = torch.cat([sprites.train.factors, sprites.test.factors])
    assert both.unique(dim=0).tolist() == np.indices(sizes).reshape(5, -1).T.tolist()
    for split in (sprites.train, sprites.test):
        assert torch.equal(split.labels, split.factors[:, 0])
        assert all(len(split.factors[:, i].unique()) == size for i, size in enumerate(sizes))


def test_a_factor_of_sprites_does_what_its_name_says():
    images = _images().reshape(3, 4, 12, 10, 10, 32, 32).astype(int)
    assert (images[:, :, :, 1:, :, :, 2:] == images[:, :, :, :-1, :, :, :-2]).all()  # x: 2 pixels to the right
    assert (images[:, :, :, :, 1:, 2:] == images[:, :, :, :, :-1, :-2]).all()  # y: 2 pixels down
    tiles = images[:, :, :, 0, 0, :14, :14]
    assert (tiles[:, :, 3:] == np.rot90(tiles[:, :, :-3], axes=(3, 4))).all()  # three steps are a quarter turn
    areas = tiles.sum((3, 4)).mean(2) / 255
    by_hand = np.array([1.2 * 1.8 / 2, 0.81 * np.pi / 2, 1.2 * 1.6 - 0.7 * 1.1])  # of radius 1
    assert areas == pytest.approx(by_hand[:, None] * np.array(SCALES) ** 2, rel=0.02)


# -- what becomes of factors


def test_what_is_done_to_a_split_is_done_to_its_factors(sprites):
    rows = subset(sprites.train, 50)
    position = {tuple(values): i for i, values in enumerate(sprites.train.factors.tolist())}
    found = [position[tuple(values)] for values in rows.factors.tolist()]
    assert torch.equal(sprites.train.images[found], rows.images)
    assert torch.equal(hide_labels(rows, 0.5, [0]).factors, rows.factors)
    assert torch.equal(rows.to("cpu").factors, rows.factors)
    binary = _loading.build("sprites", {"binarise": "threshold"}).load(Path())
    assert torch.equal(binary.test.factors, sprites.test.factors)
    assert binary.factors == sprites.factors


def test_factors_are_in_the_fingerprints_and_data_without_keep_theirs():
    images, labels = torch.arange(48, dtype=torch.uint8).view(4, 1, 3, 4), torch.arange(4)
    values = torch.tensor([[0, 1], [1, 0], [2, 1], [0, 0]])
    bare = Data("x", Split(images, labels), Split(images[:2], labels[:2]), (), "")
    full = Data("x", Split(images, labels, values), Split(images[:2], labels[:2], values[:2]), (), "")
    other = replace(full, test=Split(images[:2], labels[:2], values[:2].flip(0)))
    moved = replace(full, train=full.train.at(torch.tensor([3, 1, 0, 2])))
    assert len({data.fingerprint() for data in (bare, full, other)}) == 3
    assert moved.fingerprint() == full.fingerprint()
    assert len({data.order() for data in (bare, full, other, moved)}) == 4


def test_the_check_of_a_dataset_names_its_factors(tmp_path):
    told = json.loads(run_bench("data", "check", "sprites", "--data", str(tmp_path), "--json", check=True).stdout)
    assert told["factors"][0] == {"name": "shape", "size": 3, "categorical": True}
    assert [factor["size"] for factor in told["factors"]] == [3, 4, 12, 10, 10]


# -- arrays of the user


def arrays(**changes):
    found = {
        "train_images": RNG.integers(0, 256, (6, 4, 4), np.uint8),
        "test_images": RNG.integers(0, 256, (4, 4, 4), np.uint8),
        "train_factors": np.arange(12).reshape(6, 2) % 3,
        "test_factors": np.arange(8, dtype=np.uint8).reshape(4, 2) % 5,
    } | changes
    return {name: value for name, value in found.items() if value is not None}


def load_arrays(root, found, **options):
    np.savez(root / "a.npz", **found)
    return _loading.build("array", {"path": str(root / "a.npz")} | options).load(root)


def test_arrays_may_have_factors_with_names(tmp_path):
    given = arrays(factor_names=np.array(["a", "b"]), factor_categorical=np.array([False, True]))
    loaded = load_arrays(tmp_path, given)
    assert loaded.factors == (Factor("a", 5), Factor("b", 4, True))
    assert loaded.train.factors.tolist() == given["train_factors"].tolist()
    assert loaded.test.factors.dtype == torch.int64
    assert load_arrays(tmp_path, arrays()).factors == (Factor("factor 0", 5), Factor("factor 1", 4))
    whole = {"images": given["train_images"], "factors": given["train_factors"]}
    drawn = load_arrays(tmp_path, whole, split=0.5)
    rows = {image.tobytes(): values.tolist() for image, values in zip(*whole.values(), strict=True)}
    for image, values in zip(drawn.test.images, drawn.test.factors, strict=True):
        assert rows[image.numpy().tobytes()] == values.tolist()


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"test_factors": None}, "factors of one of train and test only"),
        ({"test_factors": np.zeros((4, 3), int)}, "train images have 2 factors, test images 3"),
        ({"test_factors": np.zeros((3, 2), int)}, "4 images but factors"),
        ({"train_factors": np.zeros((6, 2))}, "train_factors is float64"),
        ({"train_factors": np.zeros(6, int)}, "must be integers from 0, N K"),
        ({"train_factors": np.full((6, 2), -1)}, "must be integers from 0, N K"),
        ({"factor_names": np.array(["a", "a"])}, "must be 2 different texts"),
        ({"factor_names": np.array([1, 2])}, "must be 2 different texts"),
        ({"factor_categorical": np.array([1, 0])}, "must be booleans"),
    ],
)
def test_factors_that_do_not_fit_are_refused(change, complaint, tmp_path):
    with pytest.raises(DataError, match=complaint):
        load_arrays(tmp_path, arrays(**change))


def test_factors_in_memory_are_those_of_the_file_they_are_kept_in(tmp_path):
    from bench.api import _kept

    given = arrays()
    data = InMemory.from_arrays(
        given["train_images"], None, given["test_images"], None,
        train_factors=given["train_factors"], test_factors=given["test_factors"],
        factor_names=["a", "b"], factor_categorical=[True, False],
    )  # fmt: skip
    entry = _kept(data, "mine", tmp_path)
    loaded = _loading.build("array", {"path": entry["path"]}).load(tmp_path)
    assert loaded.factors == data.factors == (Factor("a", 5, True), Factor("b", 4))
    assert loaded.fingerprint() == data.fingerprint()


# -- published data, on files that the tests write


class Payload:
    """Unpickling this would create a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return (Path.touch, (self.path,))


@pytest.fixture
def dsprites(tmp_path, monkeypatch):
    """48 images in the layout of the published file, with its pickle."""
    monkeypatch.setattr(dsprites_file, "COUNT", 48)
    values = np.stack([np.zeros(48, int), *(RNG.integers(0, size, 48) for size in (3, 6, 40, 32, 32))], 1)
    content = {"imgs": RNG.integers(0, 2, (48, 64, 64), np.uint8), "latents_classes": values}
    path = tmp_path / "dsprites" / dsprites_file.FILE
    path.parent.mkdir()
    np.savez_compressed(path, **content, metadata=np.array(Payload(tmp_path / "ran"), dtype=object))
    return tmp_path, path, content


def pairs(data: Data) -> dict[bytes, list[int]]:
    """Image → values of its factors."""
    splits = (data.train, data.test)
    return {i.numpy().tobytes(): v.tolist() for s in splits for i, v in zip(s.images, s.factors, strict=True)}


def test_dsprites_reads_two_arrays_and_opens_no_pickle(dsprites, monkeypatch):
    root, _, content = dsprites
    monkeypatch.setattr(dsprites_file, "BLOCK", 7)
    data = _loading.build("dsprites", {}).load(root)
    assert (len(data.train), len(data.test), data.shape) == (39, 9, (1, 64, 64))
    values = content["latents_classes"][:, 1:].tolist()
    assert pairs(data) == {(255 * i).tobytes(): v for i, v in zip(content["imgs"], values, strict=True)}
    assert torch.equal(data.train.labels, data.train.factors[:, 0])
    assert not (root / "ran").exists()
    some = _loading.build("dsprites", {"combinations": 20}).load(root)
    assert len(some.train) + len(some.test) == len(pairs(some)) == 20
    assert pairs(some).items() <= pairs(data).items()


def test_dsprites_that_are_not_the_published_ones_are_told_and_damaged_ones_refused(dsprites):
    root, path, content = dsprites
    dataset = _loading.build("dsprites", {})
    assert dataset.original(root) == f"no: {path.name}"
    for change, complaint in (
        ({"imgs": content["imgs"][:9]}, "expected 48 rows"),
        ({"imgs": content["imgs"] + 1}, "expected uint8 of 0 and 1"),
        ({"imgs": np.array([None] * 48)}, "imgs.npy is object"),
        ({"latents_classes": content["latents_classes"] + 9}, "do not fit the sizes"),
    ):
        np.savez(path, **(content | change))
        with pytest.raises(DataError, match=complaint):
            dataset.load(root)
    path.write_bytes(path.read_bytes()[:5000])
    with pytest.raises(DataError, match="truncated or damaged"):
        dataset.load(root)
    with pytest.raises(UsageError, match="combinations is 99, must be 0 for all, or from 10 to 48"):
        _loading.build("dsprites", {"combinations": 99})


def test_shapes3d_are_read_from_hdf5(tmp_path, monkeypatch):
    h5py = pytest.importorskip("h5py")
    monkeypatch.setattr(shapes3d_file, "COUNT", 60)
    monkeypatch.setattr(shapes3d_file, "BLOCK", 7)
    sizes = [factor.size for factor in shapes3d_file.FACTORS]
    values = np.stack([np.arange(60) % size for size in sizes], 1)
    images = RNG.integers(0, 256, (60, 64, 64, 3), np.uint8)
    (tmp_path / "3dshapes").mkdir()
    with h5py.File(tmp_path / "3dshapes" / shapes3d_file.FILE, "w") as file:
        file["images"], file["labels"] = images, values / 7 - 30.0  # numbers in ascending order, as angles and hues are
    data = _loading.build("shapes3d", {}).load(tmp_path)
    assert data.shape == (3, 64, 64)
    expected = {i.transpose(2, 0, 1).tobytes(): v.tolist() for i, v in zip(images, values, strict=True)}
    assert pairs(data) == expected
    assert torch.equal(data.test.labels, data.test.factors[:, 4])
    (tmp_path / "3dshapes" / shapes3d_file.FILE).write_bytes(b"no hdf5")
    with pytest.raises(DataError, match="truncated or damaged"):
        _loading.build("shapes3d", {}).load(tmp_path)


def test_shapes3d_says_which_package_reads_it(monkeypatch, tmp_path):
    real = builtins.__import__

    def without(name, *rest):
        if name == "h5py":
            raise ImportError(name)
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(DataError, match=r"pip install 'latent-bench\[shapes3d\]'"):
        _loading.build("shapes3d", {}).inspect(tmp_path)


@pytest.mark.parametrize(("combinations", "size"), [(0, 737_280), (20_000, 20_000)])
def test_the_memory_of_dsprites_is_known_before_they_are_read(combinations, size):
    choice = Choice("dsprites", {"combinations": combinations, "binarise": "none"})
    found = memory_estimate.memory([cell(dataset=choice, dataset_label="dSprites")], [])
    assert found.images["dSprites"] == pytest.approx(size * 64 * 64, rel=0.01)


def test_at_most_ten_thousand_combinations_test():
    assert [int(drawn_tests(n).sum()) for n in (10, 48, 100_000)] == [2, 9, 10_000]
