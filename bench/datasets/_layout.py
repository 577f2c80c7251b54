"""Which images of a folder or zip are for training, which for tests, and of which class each one is."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from bench.errors import DataError, did_you_mean

from ._image_files import ImageFiles
from ._problems import printable

PARTS = ("train", "test")
BOTH = "put train/<class>/* and test/<class>/* there, or train/* and test/* without classes"


@dataclass(frozen=True)
class Layout:
    """Names of the images of both splits, sorted by class and name, and their classes where they have any."""

    names: Mapping[str, list[str]]  #: "train" and "test" → names
    labels: Mapping[str, list[str]] | None  #: the same → the class of each image; None: there are no class folders
    classes: tuple[str, ...]
    skipped: Mapping[str, int]


def find_layout(files: ImageFiles, split: float) -> Layout:
    """The splits of `files`: by the folders train and test, or by drawing a share `split` of each class for tests.

    A single folder around everything is left out of the names. Raises one `DataError` for another layout.
    """
    outer = _outer_folder(files.names, split)
    inner = {name: name.removeprefix(outer) for name in files.names}
    by_part = {part: [n for n in files.names if inner[n].startswith(f"{part}/")] for part in PARTS}
    if split:
        return _drawn(files, inner, by_part, split)
    for part in PARTS:
        if not by_part[part]:
            files.problems.refuse(files.path, files.total)
            other = ", or set `split: 0.2`" if not any(by_part.values()) else ""
            raise DataError(f"{files.path}: has no image below {part}/; {BOTH}{other}")
    labels = {part: _labels(files, part, [inner[n].split("/", 1)[1] for n in by_part[part]]) for part in PARTS}
    skipped = Counter(files.skipped)
    if outside := len(files.names) - sum(map(len, by_part.values())):
        skipped["images outside of train and test"] += outside
    return _layout(files, by_part, labels, skipped)


def _outer_folder(names: list[str], split: float) -> str:
    """The folders around everything, such as "images/"; "" if there are none.

    For a split that is drawn a folder of images is a class, and only a folder of folders is left out.
    """
    outer, depth = "", 2 if split else 1
    while names:
        first = names[0].removeprefix(outer).split("/", 1)[0]
        inside = [name.removeprefix(outer) for name in names]
        if first in PARTS or not all(name.startswith(f"{first}/") and name.count("/") >= depth for name in inside):
            break
        outer += f"{first}/"
    return outer


def _drawn(files: ImageFiles, inner: dict[str, str], by_part: dict[str, list[str]], split: float) -> Layout:
    if all(by_part.values()):
        raise DataError(f"{files.path}: has the folders train and test, so `split` must not be set")
    if len(files.names) < 2:
        files.problems.refuse(files.path, files.total)
        raise DataError(f"{files.path}: has {len(files.names)} images; a split needs 2 or more")
    labels = _labels(files, "the folder", list(inner.values()))
    tests = drawn_for_tests(labels or [""] * len(files.names), split)
    chosen = {"train": ~tests, "test": tests}
    names = {part: [n for n, use in zip(files.names, rows, strict=True) if use] for part, rows in chosen.items()}
    parts = {part: labels and [n for n, use in zip(labels, rows, strict=True) if use] for part, rows in chosen.items()}
    return _layout(files, names, parts, files.skipped)


def drawn_for_tests(labels: list[str], share: float) -> np.ndarray:
    """Mask (N,) of the rows that test: of each class a `share`, rounded, drawn with a fixed seed; of all at least one.

    A class keeps at least one image for training.
    """
    stream, chosen, known = np.random.RandomState(0), np.zeros(len(labels), dtype=bool), np.array(labels)
    for label in sorted(set(labels)):
        rows = stream.permutation(np.flatnonzero(known == label))
        chosen[rows[: min(round(share * len(rows)), len(rows) - 1)]] = True
    if not chosen.any():
        chosen[np.flatnonzero(known == max(set(labels), key=lambda label: (labels.count(label), label)))[-1]] = True
    return chosen


def _labels(files: ImageFiles, where: str, inside: list[str]) -> list[str] | None:
    """The first folder of each name; None if no image is in a folder."""
    flat = [name for name in inside if "/" not in name]
    if len(flat) == len(inside):
        return None
    if flat:
        files.problems.refuse(files.path, files.total)
        raise DataError(
            f"{files.path}: {len(flat)} images lie beside the class folders of {where}, such as {printable(flat[0])}; "
            "put every image into a class folder, or none"
        )
    return [name.split("/", 1)[0] for name in inside]


def _layout(
    files: ImageFiles, names: dict[str, list[str]], labels: dict[str, list[str] | None], skipped: Mapping[str, int]
) -> Layout:
    train, test = labels["train"], labels["test"]
    if train is None and test is None:
        return Layout(names, None, (), dict(sorted(skipped.items())))
    if train is None or test is None:
        has = "train" if test is None else "test"
        raise DataError(f"{files.path}: only {has} has class folders; {BOTH}")
    classes = tuple(sorted(set(train)))
    if strange := sorted(set(test) - set(classes)):
        hint = did_you_mean(strange[0], classes)
        raise DataError(
            f"{files.path}: classes of test that train does not have: {', '.join(map(printable, strange))}{hint}"
        )
    return Layout(names, {"train": train, "test": test}, classes, dict(sorted(skipped.items())))
