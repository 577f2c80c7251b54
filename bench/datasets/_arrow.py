"""Splits on disk as tables of the library `datasets`, and their columns of images and labels.

The library is an optional package: nothing here imports it before `import_datasets`.
"""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from bench.errors import DataError, did_you_mean

EXTRA = "reading it needs the package datasets: pip install 'latent-bench[datasets]'"
SUFFIXES = (".parquet", ".arrow")
SAVED = ("dataset_dict.json", "state.json")  #: one of these lies in a folder that `save_to_disk` wrote


def import_datasets() -> Any:
    """The library. Raises `DataError` where it is not installed."""
    try:
        import datasets

        datasets.load_dataset  # noqa: B018  (a folder called datasets may be found in its place)
    except (ImportError, AttributeError) as error:
        raise DataError(f"hf: {EXTRA}") from error
    return datasets


@contextmanager
def quiet(library: Any) -> Iterator[None]:
    """Without the library's progress bars, if they were on."""
    on = library.is_progress_bar_enabled()
    library.disable_progress_bars()
    try:
        yield
    finally:
        if on:
            library.enable_progress_bars()


def open_table(library: Any, where: Path, name: str, single: bool) -> Any:
    """The `datasets.Dataset` of a split. Raises `DataError` for a split that is not there, and for a damaged file.

    single: tests are drawn from this split, so data without the name of a split will do.
    """
    try:
        if any((where / file).is_file() for file in SAVED):
            return _saved(library, where, name, single)
        return library.concatenate_datasets([_from_file(library, file) for file in _files(where, name, single)])
    except DataError:
        raise
    except Exception as error:  # pyarrow and the library have a dozen kinds for a damaged file
        raise DataError(f"{where}: cannot be read ({' '.join(str(error).split())})") from error


def files_below(where: Path) -> list[Path]:
    """What lies in a folder, sorted, without hidden files and folders such as a cache; a file alone."""
    if not where.is_dir():
        return [where]
    return [
        path for path in sorted(where.rglob("*")) if not any(p.startswith(".") for p in path.relative_to(where).parts)
    ]


def _saved(library: Any, where: Path, name: str, single: bool) -> Any:
    found = library.load_from_disk(str(where))
    if not isinstance(found, library.DatasetDict):
        if single:
            return found
        found = {}
    if name not in found:
        raise DataError(f"{where}: has no split {name!r}{did_you_mean(name, found, 'splits')}{_hint(single)}")
    return found[name]


def _files(where: Path, name: str, single: bool) -> list[Path]:
    """The files of a split: those with its name at the beginning of a part of their path."""
    found = [path for path in files_below(where) if path.suffix in SUFFIXES or path == where]
    begins = re.compile(rf"(?:^|/){re.escape(name)}(?:[-._/]|$)")
    named = [path for path in found if where.is_dir() and begins.search(path.relative_to(where).as_posix())]
    if files := named or (found if single else []):
        return files
    listed = ", ".join(path.name for path in found[:3]) or f"no {' or '.join(SUFFIXES)} file"
    raise DataError(f"{where}: no file is named after the split {name!r}; found {listed}{_hint(single)}")


def _hint(single: bool) -> str:
    return "" if single else "; `split: 0.2` draws test images from a single split"


def _from_file(library: Any, file: Path) -> Any:
    if file.suffix == ".arrow":
        return library.Dataset.from_file(str(file))
    from pyarrow import parquet

    return library.Dataset(parquet.read_table(file))  # the library's own reader asks the network


def image_column(library: Any, where: Path, table: Any, name: str) -> Any:
    """A column as Arrow's {bytes, path}, nothing decoded. Raises `DataError` for one without images."""
    kind = _feature(where, table, name)
    try:
        return table.cast_column(name, library.Image(decode=False)).data.column(name)
    except Exception as error:  # pyarrow has its own for each pair of types
        advice = "the dataset `array` reads arrays of numbers"
        raise DataError(f"{where}: the column {name!r} holds no images but {kind}; {advice}") from error


def image_bytes(column: Any, row: int) -> bytes:
    """The image file of a row. Raises `ValueError` where there is none."""
    found: Mapping[str, Any] = column[row].as_py() or {}
    if found.get("bytes") is not None:
        return found["bytes"]
    if found.get("path"):
        return Path(found["path"]).read_bytes()
    raise ValueError("there is no image")


def label_columns(
    library: Any, where: Path, tables: list[Any], name: str
) -> tuple[list[Tensor], tuple[str, ...] | None]:
    """The labels of each split, train first, and the names of the classes where there are any.

    Class labels and whole numbers stay as they are; texts are numbered in their order. Raises `DataError`.
    """
    kinds = [_feature(where, table, name) for table in tables]
    columns = [table.data.column(name).to_pylist() for table in tables]
    if isinstance(kinds[0], library.ClassLabel):
        return [_whole_numbers(where, name, column) for column in columns], tuple(kinds[0].names)
    if not all(isinstance(value, str) for column in columns for value in column):
        return [_whole_numbers(where, name, column) for column in columns], None
    classes = tuple(sorted(set(columns[0])))
    if strange := sorted({value for column in columns for value in column} - set(classes)):
        shown = ", ".join(map(repr, strange[:5]))
        raise DataError(f"{where}: labels of test that train does not have: {shown}")
    numbers = {text: i for i, text in enumerate(classes)}
    return [torch.tensor([numbers[value] for value in column]) for column in columns], classes


def _feature(where: Path, table: Any, column: str) -> Any:
    if column not in table.features:
        raise DataError(f"{where}: has no column {column!r}{did_you_mean(column, table.features, 'columns')}")
    return table.features[column]


def _whole_numbers(where: Path, name: str, values: list[Any]) -> Tensor:
    wrong = [v for v in values if isinstance(v, bool) or not isinstance(v, int) or not 0 <= v < 2**31]
    if wrong:
        shown = "nothing" if wrong[0] is None else repr(wrong[0])
        advice = "labels are class labels, whole numbers from 0, or texts; `label: null` reads none"
        raise DataError(f"{where}: a row of the column {name!r} has {shown}; {advice}")
    return torch.tensor(values)
