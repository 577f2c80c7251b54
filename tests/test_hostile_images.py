"""Image folders and zips that are odd in random ways: each is read completely or refused with one message."""

import io
import os
import random
import warnings
import zipfile
from collections import Counter
from pathlib import Path

import pytest
from PIL import Image

from bench.datasets import _loading
from bench.errors import DataError

SUFFIXES = {"PNG": ".png", "JPEG": ".JPG", "BMP": ".bmp", "WEBP": ".webp", "GIF": ".gif", "TIFF": ".tif", "PPM": ".ppm"}
FOLDERS = ("cat", "dog", "caf\u00e9", "cafe\u0301", "a b", "-x", "\u732b", ".hidden", "__MACOSX", "deep/er")


def image(rng):
    """A small image in a random format: suffix, bytes."""
    kind = rng.choice(sorted(SUFFIXES))
    mode = rng.choice(["L", "RGB"] if kind != "PNG" else ["L", "RGB", "RGBA", "P", "1", "LA", "I;16"])
    out = io.BytesIO()
    Image.new(mode, (rng.randint(1, 12), rng.randint(1, 12)), rng.randint(0, 1)).save(out, kind)
    return SUFFIXES[kind], out.getvalue()


def damaged(raw, rng):
    """The bytes cut, with one byte changed, as they are, or others altogether."""
    where = rng.randrange(len(raw))
    other = bytes([rng.randrange(256)])
    return rng.choice([raw[:where], raw[:where] + other + raw[where + 1 :], raw, b"", rng.randbytes(50)])


def tree(rng):
    """Name → bytes, and the names of the images that are neither hidden nor outside of train and test."""
    damage, flat = rng.random() < 0.5, rng.random() < 0.2
    files = {}
    classes = rng.sample(FOLDERS, rng.randint(1, 3))
    for part in ("train", "test"):
        for number in range(rng.randint(1, 6)):
            suffix, raw = image(rng)
            place = part if flat else f"{part}/{rng.choice(classes)}"
            if damage and rng.random() < 0.3:
                raw, suffix = damaged(raw, rng), rng.choice([suffix, suffix, ".heic", ".png", ""])
            files[f"{place}/{number}{suffix}"] = raw
    for name in rng.sample([".DS_Store", "train/Thumbs.db", "notes.txt", "val/1.png", "train/x\x07.png"], 2):
        if damage or "\x07" not in name:
            files[name] = b"text"
    return files


def write_folder(root, files, rng):
    """Returns whether all files can be found in it."""
    for name, raw in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(raw)
    if rng.random() < 0.3:
        (root / "train" / rng.choice(["link", "link.png"])).symlink_to(rng.choice(["..", ".", "nowhere", "/dev/null"]))
    if rng.random() < 0.1:
        Path(os.fsdecode(os.fsencode(root) + b"/train/\xff.png")).write_bytes(b"")
    if rng.random() < 0.1:
        os.mkfifo(root / "train/pipe.png")
    return True


def write_zip(path, files, rng):
    """Returns whether the zip itself is left intact."""
    slash = rng.choice(["/", "/", "\\"])
    with zipfile.ZipFile(
        path, "w", rng.choice([zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_LZMA])
    ) as archive:
        for name, raw in files.items():
            archive.writestr(name.replace("/", slash), raw)
        if rng.random() < 0.1:
            archive.writestr("../out.png", b"")
    intact = rng.random() < 0.7
    if not intact:
        raw = bytearray(path.read_bytes())
        for _ in range(rng.randint(1, 4)):
            raw[rng.randrange(len(raw))] = rng.randrange(256)
        path.write_bytes(raw[: rng.randint(1, len(raw))] if rng.random() < 0.3 else raw)
    return intact


@pytest.mark.filterwarnings("error")
def test_every_folder_and_zip_is_read_completely_or_refused_with_one_message(tmp_path):
    assert soak_images(tmp_path, 30).total() == 30


def soak_images(folder, n=300):
    """Hostile folders and zips of images. Returns how many were read and refused."""
    outcomes = Counter()
    for seed in range(n):
        with warnings.catch_warnings(action="error"):
            outcomes[check(folder, random.Random(seed), seed)] += 1  # noqa: S311
    assert outcomes["read"] > n / 6, outcomes
    assert outcomes["refused"] > n / 6, outcomes
    return outcomes


def check(folder, rng, seed):
    """Make a folder or zip and read it: "read" or "refused"."""
    root, files, zipped = folder / str(seed), tree(rng), rng.random() < 0.5
    root.mkdir()
    where = root / ("images.zip" if zipped else "images")
    intact = (write_zip if zipped else write_folder)(where, files, rng)
    dataset = _loading.build("folder", {"path": str(where), "size": 4})
    try:
        loaded = dataset.load(root)
    except DataError as error:
        text = str(error)
        assert str(where) in text, (seed, text)
        assert text.isprintable(), (seed, text)
        return "refused"
    read = len(loaded.train) + len(loaded.test) + sum(loaded.skipped.values())
    assert not intact or read >= len(files), (seed, loaded.skipped, sorted(files))
    assert loaded.skipped == dataset.skipped(root)
    assert not any(path.suffix == ".png" for path in root.iterdir()), seed
    return "read"
