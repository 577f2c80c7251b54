"""Your own images: `train/<class>/*` and `test/<class>/*`, with or without classes, in a folder or a zip."""

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar, Literal

import torch

from bench.errors import DataError

from . import Data, to_split
from ._decoding import decode_cached
from ._image_files import open_images
from ._layout import BOTH, PARTS, Layout, find_layout
from ._own import OwnFiles
from ._pairs import check_pixels
from ._recipe import Recipe


class Folder(OwnFiles):
    """Options: `path`, a folder or a zip (read without unpacking); `size`, pixels; `channels`, 1 or 3; `split`.

    - Path: a relative one is looked for in the working directory and then under the data root.
    - Classes: the folders below `train/`, sorted; those below `test/` must be among them. Images that lie directly in
      `train/` and `test/` have no labels.
    - Split: 0 where there are the folders `train` and `test`; else the share of each class that is drawn for tests.
    - Files: every format that Pillow reads at 8 bits. Every other image is refused, with all of its kind, in one
      message; files that are not images are counted. What is done to the pixels is the docstring of `Recipe` in
      `_recipe.py`. The decoded images are kept under `<data root>/.cache`.
    """

    title: ClassVar[str] = "Folder of images"
    symbol: ClassVar[str] = "Folder"
    source: ClassVar[str] = "a folder of the user"
    location_options: ClassVar[tuple[str, ...]] = ("path",)

    def __init__(
        self,
        *,
        path: str,
        size: int,
        channels: int = 3,
        split: float = 0.0,
        binarise: Literal["none", "threshold", "static", "dynamic"] = "none",
    ) -> None:
        """Raises `UsageError` for values that no image can have."""
        super().__init__(binarise=binarise)
        check_pixels("folder", size, channels, split)
        self.path = path
        self.split = split
        self.recipe = Recipe(size, channels)

    def missing(self, root: Path) -> str | None:
        if self.where(root).exists():
            return None
        return f"{self.not_there(root)}; {BOTH}"

    def fetch(self, root: Path) -> None:
        """Only the user has these images."""
        raise DataError(f"folder: cannot be downloaded; {self.missing(root)}")

    def stamp(self, root: Path) -> list[tuple[str, int, int]]:
        with open_images(self.where(root)) as files:
            return files.stamp()

    def skipped(self, root: Path) -> Mapping[str, int]:
        with open_images(self.where(root)) as files:
            return find_layout(files, self.split).skipped

    def inspect(self, root: Path) -> None:
        """Decode every image once, which fills the cache."""
        self.read(root)

    def read(self, root: Path) -> Data:
        with open_images(self.where(root)) as files:
            layout = find_layout(files, self.split)
            pixels = decode_cached(files, dict(layout.names), self.recipe, root / ".cache")
        train, test = (to_split(pixels[part], _label_tensor(layout, part), "folder") for part in PARTS)
        source = f"images in {Path(self.path).name}"
        return Data(self.name, train, test, layout.classes, source, layout.skipped)


def _label_tensor(layout: Layout, part: str) -> torch.Tensor | None:
    if layout.labels is None:
        return None
    number = {name: i for i, name in enumerate(layout.classes)}
    return torch.tensor([number[name] for name in layout.labels[part]])
