"""The dataset `array`: npz files and folders of npy files."""

from pathlib import Path

import numpy as np
import pytest
import torch

from bench.datasets import _loading
from bench.errors import DataError, UsageError

RNG = np.random.default_rng(0)
PIXELS = {f"{part}_images": RNG.integers(0, 256, (n, 5, 4, 3), np.uint8) for part, n in (("train", 12), ("test", 6))}
LABELS = {"train_labels": np.arange(12)[:, None] % 3, "test_labels": np.arange(6)[:, None] % 3}


def load(root, arrays, name="a.npz", **options):
    if name.endswith(".npz"):
        np.savez(root / name, **arrays)
    else:
        (root / name).mkdir()
        for key, value in arrays.items():
            np.save(root / name / f"{key}.npy", value)
    return _loading.build("array", {"path": str(root / name)} | options).load(root)


def test_every_layout_and_type_gives_the_same_data(tmp_path):
    first = load(tmp_path, PIXELS | LABELS)
    assert first.shape == (3, 5, 4)
    assert torch.equal(first.train.images, torch.from_numpy(PIXELS["train_images"].transpose(0, 3, 1, 2)))
    assert (first.classes, first.test.labels.tolist()) == (("0", "1", "2"), [0, 1, 2, 0, 1, 2])
    channels_first = {key: value.transpose(0, 3, 1, 2) for key, value in PIXELS.items()}
    floats = {key: (value / 255).astype(np.float32) for key, value in PIXELS.items()}
    others = [load(tmp_path, channels_first | LABELS, "b"), load(tmp_path, floats | LABELS, "c.npz")]
    assert {other.order() for other in others} == {first.order()}
    grey = load(tmp_path, {key: value[..., 0] for key, value in PIXELS.items()}, "d.npz")
    assert (grey.shape, grey.train.labels, grey.classes) == ((1, 5, 4), None, ())


def test_a_split_is_drawn_from_images_and_labels(tmp_path):
    arrays = {"images": PIXELS["train_images"], "labels": np.arange(12) % 2}
    drawn = load(tmp_path, arrays, split=0.5)
    assert drawn.test.labels.bincount().tolist() == drawn.train.labels.bincount().tolist() == [3, 3]
    assert len(torch.cat([drawn.train.images, drawn.test.images]).unique(dim=0)) == 12


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"train_images": PIXELS["train_images"].astype(np.int64)}, "train_images is int64; must be uint8"),
        ({"train_images": np.full((12, 5, 4), np.nan)}, "must be uint8, or floats from 0 to 1"),
        ({"test_images": np.zeros((6, 5, 4, 2), np.uint8)}, r"shape \(6, 5, 4, 2\)"),
        ({"test_images": np.zeros((6, 3, 4, 3), np.uint8)}, r"shape \(6, 3, 4, 3\)"),
        ({"test_images": np.zeros((6, 9, 9, 3), np.uint8)}, "differ in shape"),
        ({"test_labels": np.arange(5)}, "6 images but 5 labels"),
        ({"test_labels": np.arange(6)}, "test_labels has 5, which train_labels does not have"),
        ({"test_labels": np.arange(6) - 1}, "integers from 0"),
        ({"train_images": np.array([None])}, "cannot be read as arrays"),
        ({"train_images": np.zeros((0, 5, 4), np.uint8)}, "expected uint8 images"),
        ({"train_images": np.zeros((12, 0, 4), np.uint8)}, "expected uint8 images"),
    ],
)
def test_other_arrays_are_refused(change, complaint, tmp_path):
    with pytest.raises(DataError, match=complaint):
        load(tmp_path, PIXELS | LABELS | change)


@pytest.mark.parametrize("kind", ["array", "folder", "hf"])
def test_a_path_that_is_not_there_names_each_place_once(kind, tmp_path):
    absolute, more = str(tmp_path / "mine"), {"size": 8} if kind == "folder" else {}
    assert _loading.build(kind, {"path": absolute, **more}).missing(tmp_path).count(absolute) == 2
    relative = _loading.build(kind, {"path": "mine", **more}).missing(tmp_path)
    assert f"looked for {Path('mine').absolute()} and {absolute};" in relative


def test_missing_arrays_are_named(tmp_path):
    with pytest.raises(DataError, match=r"no array train_images and no test_images.* or `images` with `split: 0.2`$"):
        load(tmp_path, {"images": PIXELS["train_images"]})
    with pytest.raises(DataError, match=r"has no array images.* or leave out `split`$"):
        load(tmp_path, PIXELS | LABELS, split=0.2)
    (tmp_path / "x.npz").write_bytes(b"no zip")
    with pytest.raises(DataError, match="cannot be read as arrays"):
        _loading.build("array", {"path": str(tmp_path / "x.npz")}).load(tmp_path)
    with pytest.raises(UsageError, match="split is 2"):
        _loading.build("array", {"path": "x", "split": 2.0})


def test_real_mnist_as_an_npz_is_mnist(tmp_path):
    root = _loading.find_root(None)
    mnist = _loading.build("mnist", {})
    if problem := mnist.missing(root):
        pytest.skip(f"no real mnist: {problem}")
    data = mnist.load(root)
    splits = {"train": data.train, "test": data.test}
    arrays = {f"{part}_images": split.images[:, 0].numpy() for part, split in splits.items()}
    arrays |= {f"{part}_labels": split.labels.numpy() for part, split in splits.items()}
    loaded = load(tmp_path, arrays)
    assert (loaded.fingerprint(), loaded.order()) == (data.fingerprint(), data.order())
