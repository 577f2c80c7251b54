"""Your own arrays: `train_images`, `train_labels`, `test_images`, `test_labels` in an npz or a folder of npy files."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np
import torch

from bench.errors import DataError

from . import Data, Factor, Split, to_split
from ._own import OwnFiles
from ._pairs import check_pixels, drawn, paired

KEYS = ("train_images", "train_labels", "test_images", "test_labels")  #: as in MedMNIST's files
UNSPLIT = ("images", "labels")  #: for `split`
FACTORS = ("train_factors", "test_factors")
ABOUT_FACTORS = ("factor_names", "factor_categorical")


class Array(OwnFiles):
    """Options: `path`, an npz or a folder of npy files; `split`, as of the dataset `folder`.

    - Images: uint8, or floats in [0, 1], which become round(255 x); N H W, N H W C or N C H W with 1 or 3 channels.
    - Labels: integers from 0, N or N 1; without them the dataset is unlabelled.
    - Factors of variation, optional: `train_factors` and `test_factors`, integers from 0, N K. Beside them, optional,
      `factor_names`, K texts, and `factor_categorical`, K booleans, True where the order of values means nothing.
    - Split: 0 where the arrays are called as `KEYS`; else the share of each class that is drawn for tests from the
      arrays `images`, `labels` and `factors`.

    Pickled arrays are refused. A relative `path` is looked for in the working directory and then under the data root.
    """

    title: ClassVar[str] = "Arrays"
    symbol: ClassVar[str] = "Arrays"
    source: ClassVar[str] = "arrays of the user"
    location_options: ClassVar[tuple[str, ...]] = ("path",)

    def __init__(
        self, *, path: str, split: float = 0.0, binarise: Literal["none", "threshold", "static", "dynamic"] = "none"
    ) -> None:
        """Raises `UsageError` for a split that is no share."""
        super().__init__(binarise=binarise)
        check_pixels("array", None, None, split)
        self.path = path
        self.split = split

    def missing(self, root: Path) -> str | None:
        if self.where(root).exists():
            return None
        return f"{self.not_there(root)}; put an npz or a folder of npy files with {', '.join(KEYS)} there"

    def fetch(self, root: Path) -> None:
        """Only the user has these arrays."""
        raise DataError(f"array: cannot be downloaded; {self.missing(root)}")

    def stamp(self, root: Path) -> list[tuple[str, int, int]]:
        where = self.where(root)
        stats = [(path.name, path.stat()) for path in (sorted(where.glob("*.npy")) if where.is_dir() else [where])]
        return [(name, stat.st_size, max(stat.st_mtime_ns, stat.st_ctime_ns)) for name, stat in stats]

    def inspect(self, root: Path) -> None:
        """Read all arrays once."""
        self.read(root)

    def read(self, root: Path) -> Data:
        where = self.where(root)
        names = (*UNSPLIT, "factors") if self.split else (*KEYS, *FACTORS)
        arrays = _read_arrays(where, (*names, *ABOUT_FACTORS))
        if self.split:
            train, test = drawn(where, _split(where, arrays, "images", "labels", "factors"), self.split)
        else:
            train, test = _given(where, arrays)
        found = paired(where, train, test, self.name, f"arrays in {Path(self.path).name}")
        return replace(found, factors=_about_factors(where, arrays, found))


def from_arrays(arrays: Mapping[str, np.ndarray], name: str) -> Data:
    """Arrays under `KEYS` and `FACTORS`, those that are there. Raises `DataError` as the dataset does."""
    where = Path(name)
    found = paired(where, *_given(where, arrays), name, "arrays of the user")
    return replace(found, factors=_about_factors(where, arrays, found))


def _about_factors(where: Path, arrays: Mapping[str, np.ndarray], data: Data) -> tuple[Factor, ...]:
    """Name, size and kind of each column of the factors; () where there are none."""
    train, test = data.train.factors, data.test.factors
    if train is None or test is None:
        return ()
    if train.shape[1] != test.shape[1]:
        raise DataError(f"{where}: train images have {train.shape[1]} factors, test images {test.shape[1]}")
    k = train.shape[1]
    sizes = (torch.cat([train, test]).amax(0) + 1).tolist()
    names = _texts(where, arrays.get("factor_names", np.array([f"factor {i}" for i in range(k)])), k)
    kinds = arrays.get("factor_categorical", np.zeros(k, dtype=bool))
    if kinds.dtype != bool or kinds.shape != (k,):
        raise DataError(f"{where}: factor_categorical is {kinds.dtype} {kinds.shape}; must be booleans ({k},)")
    return tuple(Factor(*row) for row in zip(names, sizes, kinds.tolist(), strict=True))


def _texts(where: Path, names: np.ndarray, k: int) -> list[str]:
    """k different texts of an array."""
    found: list[str] = names.tolist() if names.dtype.kind == "U" and names.shape == (k,) else []
    if len(set(found)) != k or not all(found):
        raise DataError(f"{where}: factor_names is {names.dtype} {names.shape}; must be {k} different texts")
    return found


def _read_arrays(where: Path, names: tuple[str, ...]) -> dict[str, np.ndarray]:
    try:
        if where.is_dir():
            found = {p.stem: np.load(p, allow_pickle=False) for p in sorted(where.glob("*.npy")) if p.stem in names}
        else:
            with np.load(where, allow_pickle=False) as file:
                found = {name: file[name] for name in names if name in file}
    except Exception as error:  # numpy and zipfile have half a dozen kinds for a damaged file
        raise DataError(f"{where}: cannot be read as arrays ({error})") from error
    if absent := [name for name in names if name.endswith("images") and name not in found]:
        other = "or leave out `split`" if "images" in names else "or `images` with `split: 0.2`"
        wanted = ", ".join(name for name in names if "factor" not in name)
        raise DataError(f"{where}: has no array {' and no '.join(absent)}; put {wanted} there, {other}")
    return found


def _given(where: Path, arrays: Mapping[str, np.ndarray]) -> tuple[Split, Split]:
    train, test = (
        _split(where, arrays, f"{part}_images", f"{part}_labels", f"{part}_factors") for part in ("train", "test")
    )
    return train, test


def _split(where: Path, arrays: Mapping[str, np.ndarray], images: str, labels: str, factors: str) -> Split:
    pixels = _channels_first(where, images, _to_bytes(where, images, arrays[images]))
    numbers = None if labels not in arrays else _whole_numbers(where, labels, arrays[labels])
    values = None if factors not in arrays else _values(where, factors, arrays[factors])
    return to_split(torch.from_numpy(pixels), numbers, f"{where}, {images}", values)


def _to_bytes(where: Path, name: str, values: np.ndarray) -> np.ndarray:
    """uint8 as they are; floats in [0, 1] as round(255 x)."""
    if values.dtype == np.uint8:
        return values
    if values.dtype.kind == "f" and values.size and 0 <= values.min() <= values.max() <= 1:  # False for NaN
        return np.rint(values.astype(np.float64) * 255).astype(np.uint8)
    raise DataError(f"{where}: {name} is {values.dtype}; must be uint8, or floats from 0 to 1")


def _channels_first(where: Path, name: str, values: np.ndarray) -> np.ndarray:
    """N H W, N H W C or N C H W as N C H W."""
    if values.ndim == 3:
        return np.ascontiguousarray(values[:, None])
    first, last = (values.ndim == 4 and values.shape[axis] in (1, 3) for axis in (1, 3))
    if first == last:
        raise DataError(f"{where}: {name} has the shape {values.shape}; must be N H W, N H W C or N C H W, C 1 or 3")
    return np.ascontiguousarray(values if first else values.transpose(0, 3, 1, 2))


def _whole_numbers(where: Path, name: str, values: np.ndarray) -> torch.Tensor:
    """Labels N or N 1 as int64 N."""
    flat = values[:, 0] if values.ndim == 2 and values.shape[1] == 1 else values
    if flat.ndim != 1 or not _is_from_zero(flat):
        raise DataError(f"{where}: {name} is {values.dtype} {values.shape}; must be integers from 0, N or N 1")
    return torch.from_numpy(flat.astype(np.int64))


def _values(where: Path, name: str, values: np.ndarray) -> torch.Tensor:
    """Values of factors, N K, as int64."""
    if values.ndim != 2 or not _is_from_zero(values):
        raise DataError(f"{where}: {name} is {values.dtype} {values.shape}; must be integers from 0, N K")
    return torch.from_numpy(values.astype(np.int64))


def _is_from_zero(values: np.ndarray) -> bool:
    return values.dtype.kind in "iu" and values.size > 0 and values.min() >= 0 and values.max() < 2**31
