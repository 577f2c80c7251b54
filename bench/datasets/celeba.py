"""CelebA: photographs of faces, cropped and resized, colour, 162,770 train and 19,962 test images."""

from importlib.util import find_spec
from pathlib import Path, PurePosixPath
from typing import ClassVar, Literal

import torch

from bench.errors import DataError, UsageError, did_you_mean

from . import Data, to_split
from ._decoding import decode_cached
from ._image_files import ImageFiles, open_images
from ._recipe import Recipe
from ._torchvision import TorchvisionDataset

PARTS = {"train": "0", "test": "2"}  #: the codes of list_eval_partition.txt; "1" is validation


class CelebA(TorchvisionDataset):
    """Options: `size`, pixels; `crop`, side of the centre crop before it; `attribute`, the label.

    - Crop: the aligned images have 178×218 pixels. The field has no single crop, and FID depends on it. 148,
      then 64, is that of the PyTorch-VAE collection (https://github.com/AntixK/PyTorch-VAE) and the default;
      140, then 64, that of WAE (Tolstikhin et al. 2018, https://github.com/tolstikhin/wae), with Lanczos
      resizing. Here it is bicubic, see `Recipe` in `_recipe.py`.
    - Split: the official one; its 19,867 validation images are left out.
    - Files: the images as a folder or in their zip, and two of the text files. torchvision downloads them from
      Google Drive with the package `gdown` (`pip install 'latent-bench[celeba]'`). Download them by hand where the
      quota of the day is used up.

    The decoded images are kept under `<data root>/.cache`: 2.2 GB at 64 pixels.
    """

    title: ClassVar[str] = "CelebA"
    symbol: ClassVar[str] = "CelebA"
    reference: ClassVar[str] = (
        "Liu, Luo, Wang & Tang, Deep learning face attributes in the wild, 2015, https://arxiv.org/abs/1411.7766"
    )
    channels: ClassVar[int | None] = 3
    images: ClassVar[int | None] = 182_732
    source: ClassVar[str] = "CelebA, http://mmlab.ie.cuhk.edu.hk/projects/CelebA.html"
    folder: ClassVar[str] = "celeba"
    files: ClassVar[tuple[tuple[str, ...], ...]] = (
        ("img_align_celeba", "img_align_celeba.zip"),
        ("list_attr_celeba.txt",),
        ("list_eval_partition.txt",),
    )
    urls: ClassVar[tuple[str, ...]] = ("https://drive.google.com/drive/folders/0B7EVK8r0v71pWEZsZE9oNnFzTm8",)
    md5: ClassVar[dict[str, str]] = {
        "img_align_celeba.zip": "00d2c5bc6d35e252742224ab0c1e8fcb",
        "list_attr_celeba.txt": "75e246fa4810816ffd6ee81facbd244c",
        "list_eval_partition.txt": "d32c9cbf5e040fd4025c592c306e6668",
    }

    def __init__(
        self,
        *,
        size: int = 64,
        crop: int = 148,
        attribute: str = "Smiling",
        binarise: Literal["none", "threshold", "static", "dynamic"] = "none",
    ) -> None:
        """Raises `UsageError` for a size or crop that the 178×218 images do not have."""
        super().__init__(binarise=binarise)
        if size < 1 or not 1 <= crop <= 178:
            raise UsageError(f"celeba: size {size}, crop {crop}; size must be at least 1, crop 1 to 178")
        self.attribute = attribute
        self.recipe = Recipe(size, 3, crop)

    def fetch(self, root: Path) -> None:
        """Raises `DataError` where the optional package `gdown` is not installed."""
        if find_spec("gdown") is None:
            words = "the package gdown, which downloads it, is not installed: pip install 'latent-bench[celeba]'"
            raise DataError(f"celeba: {words}; or {self.missing(root)}")
        super().fetch(root)

    def download(self, root: Path) -> None:
        from torchvision import datasets

        datasets.CelebA(root, download=True)

    def read(self, root: Path) -> Data:
        has = self._attribute(root)
        part_of = self._table(root, "list_eval_partition.txt", skip=0)
        if part_of.keys() != has.keys():
            raise DataError(f"{self.where(root)}: its two text files do not name the same images")
        chosen = {part: [n for n, code in part_of.items() if code == [PARTS[part]]] for part in PARTS}
        with open_images(self.find(root, "img_align_celeba")) as files:
            stored = {part: _stored(files, names) for part, names in chosen.items()}
            pixels = decode_cached(files, stored, self.recipe, root / ".cache")
        labels = {part: torch.tensor([int(has[n]) for n in names]) for part, names in chosen.items()}
        train, test = (to_split(pixels[part], labels[part], str(self.where(root))) for part in PARTS)
        return Data(self.name, train, test, (f"not {self.attribute}", self.attribute), self.source)

    def _attribute(self, root: Path) -> dict[str, bool]:
        """Image name → has it the attribute. The file: the number of images, the 40 names, a row an image."""
        path = self.find(root, "list_attr_celeba.txt")
        known = "".join(path.read_text(encoding="utf-8").splitlines()[1:2]).split()
        if self.attribute not in known:
            hint = did_you_mean(self.attribute, known)
            raise UsageError(f"celeba: unknown attribute {self.attribute!r}{hint}")
        column = known.index(self.attribute)
        return {name: row[column] == "1" for name, row in self._table(root, path.name, skip=2).items()}

    def _table(self, root: Path, name: str, skip: int) -> dict[str, list[str]]:
        """Image name → the words behind it, from a text file of one line an image after `skip` others."""
        path = self.find(root, name)
        rows = [line.split() for line in path.read_text(encoding="utf-8").splitlines()[skip:]]
        if any(len(row) < 2 or len(row) != len(rows[0]) for row in rows):
            raise DataError(f"{path}: truncated or damaged: its lines are not of one length")
        return {row[0]: row[1:] for row in rows}


def _stored(files: ImageFiles, names: list[str]) -> list[str]:
    """The names as `files` has them (in a zip, a folder in front). Raises `DataError` for an absent one."""
    found = {PurePosixPath(name).name: name for name in files.names}
    if absent := [name for name in names if name not in found]:
        raise DataError(f"{files.path}: {absent[0]} is not in it")
    return [found[name] for name in names]
