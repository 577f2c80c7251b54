"""Your own images: `train/<class>/*` and `test/<class>/*` of png or jpg, any size, in a folder or a zip."""

from pathlib import Path
from typing import ClassVar, Literal

import torch

from bench.errors import DataError, UsageError

from . import Data, Dataset, Split, to_split
from ._images import ImageFiles, Recipe, decode_cached, open_images


class Folder(Dataset):
    """Options: `path`, a folder or a zip (read without unpacking); `size`, pixels; `channels`, 1 or 3.

    A relative `path` is looked for in the working directory and then under the data root. The classes are the
    folders below `train/`, sorted; those below `test/` must be among them. What is done to the pixels, and in
    which order, is the docstring of `Recipe` in `_images.py`. The decoded images are kept under
    `<data root>/.cache`.
    """

    source: ClassVar[str] = "a folder of the user"
    location_options: ClassVar[tuple[str, ...]] = ("path",)

    def __init__(
        self,
        *,
        path: str,
        size: int,
        channels: int = 3,
        binarise: Literal["none", "threshold", "static"] = "none",
    ) -> None:
        """Raises `UsageError` for values that no image can have."""
        super().__init__(binarise=binarise)
        if size < 1:
            raise UsageError(f"folder: size is {size}, must be at least 1 pixel")
        if channels not in (1, 3):
            raise UsageError(f"folder: channels is {channels}, must be 1 (grey) or 3 (colour)")
        self.path = path
        self.recipe = Recipe(size, channels)

    def where(self, root: Path) -> Path:
        here, there = Path(self.path).expanduser(), root / self.path
        return there if there.exists() and not here.exists() else here

    def missing(self, root: Path) -> str | None:
        where = self.where(root)
        if where.is_file() or ((where / "train").is_dir() and (where / "test").is_dir()):
            return None
        looked = f"looked for {where.absolute()} and {(root / self.path).absolute()}"
        absent = "has no train and test folder in it" if where.is_dir() else "is not there"
        return f"{self.path} {absent}; {looked}; put train/<class>/* and test/<class>/* (png or jpg) there"

    def fetch(self, root: Path) -> None:
        """Nobody but the user has these images."""
        raise DataError(f"folder: cannot be downloaded; {self.missing(root)}")

    def read(self, root: Path) -> Data:
        where = self.where(root)
        with open_images(where) as files:
            train, test = _by_class(files, "train"), _by_class(files, "test")
            if strange := sorted(set(test) - set(train)):
                raise DataError(f"{where}: classes of test that train does not have: {', '.join(strange)}")
            splits = {"train": _flat(train), "test": _flat(test)}
            pixels = decode_cached(files, splits, self.recipe, root / ".cache")
        classes = tuple(train)
        train_split = _split(pixels["train"], train, classes)
        test_split = _split(pixels["test"], test, classes)
        return Data(self.name, train_split, test_split, classes, f"images in {Path(self.path).name}")


def _by_class(files: ImageFiles, part: str) -> dict[str, list[str]]:
    """Class → image names below `part`, both sorted. Raises `DataError` when there is none."""
    groups: dict[str, list[str]] = {}
    for name in files.names:
        first, _, rest = name.partition("/")
        label, slash, _ = rest.partition("/")
        if first == part and slash:
            groups.setdefault(label, []).append(name)
    if not groups:
        raise DataError(f"{files.path}: no image {part}/<class>/*.png or .jpg in it")
    return dict(sorted(groups.items()))


def _flat(groups: dict[str, list[str]]) -> list[str]:
    return [name for names in groups.values() for name in names]


def _split(images: torch.Tensor, groups: dict[str, list[str]], classes: tuple[str, ...]) -> Split:
    labels = [classes.index(label) for label, names in groups.items() for _ in names]
    return to_split(images, torch.tensor(labels), "folder")
