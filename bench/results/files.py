"""Files of a results folder: atomic writing, and reading that trusts neither content nor links.

Writing goes through a temporary file beside the target. Reading follows no link that leaves the results folder, opens
regular files only, and turns whatever is wrong with a file into one `ResultError`.
"""

import csv
import errno
import io
import json
import math
import os
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic_core import from_json

from bench.errors import ResultError, StorageError

if TYPE_CHECKING:
    import numpy as np

#: Errors of a disk that concern every further file as well: a run that meets one ends
FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EIO}
LARGEST_JSON = 64_000_000  #: bytes
LARGEST_ARRAYS = 4_000_000_000  #: bytes, unpacked
ABANDONED = 3600  #: seconds after which a temporary file outside of a cell's folder is nobody's

# -- writing


def write_json(path: Path, content: Any) -> None:
    """Write JSON atomically. Raises `ValueError` for NaN, which is not JSON, and `StorageError` as `write_bytes`."""
    write_bytes(path, (json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False) + "\n").encode())


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file so that it is either the old one or the whole new one, also after a power cut.

    Raises `StorageError` where the disk is full or cannot be written; no temporary file is left then.
    """

    def fill(temporary: Path) -> None:
        with temporary.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())

    replace_with(path, fill)


def copy_file(source: Path, target: Path) -> None:
    """Copy a file's content atomically. Raises as `write_bytes` and `read_bytes`."""
    write_bytes(target, read_bytes(source))


def replace_with(path: Path, fill: Callable[[Path], None]) -> None:
    """Let `fill` write a temporary file, which then takes the place of `path`. Raises `StorageError`."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    with storage_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            temporary.unlink(missing_ok=True)  # a link of that name is not written through
            fill(temporary)
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)


@contextmanager
def storage_errors(path: Path) -> Iterator[None]:
    """Turn an error of the disk that will meet the next file as well into `StorageError`."""
    try:
        yield
    except OSError as error:
        if error.errno in FULL:
            raise StorageError(path, error) from error
        raise


def csv_text(rows: list[dict[str, Any]]) -> str:
    """Rows as CSV with the union of their columns, in order of first appearance; None is an empty field."""
    columns = list(dict.fromkeys(name for r in rows for name in r))
    out = io.StringIO()
    writer = csv.DictWriter(out, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue()


def write_history(folder: Path, history: list[dict[str, float]]) -> None:
    """Write history.csv, if there is any history."""
    if history:
        write_bytes(folder / "history.csv", csv_text(history).encode())


def write_arrays(path: Path, arrays: "dict[str, np.ndarray]", compress: bool = True) -> None:
    """Write an .npz atomically. Compression takes 30 ms per MB, and makes codes, which are noise, 8 % smaller."""
    import numpy as np

    buffer = io.BytesIO()
    (np.savez_compressed if compress else np.savez)(buffer, **arrays)  # type: ignore[arg-type]
    write_bytes(path, buffer.getvalue())


def remove_leftovers(folder: Path, older_than: float = 0.0) -> None:
    """Remove temporary files that a killed process left in a folder.

    older_than: seconds since the last change; 0 for a folder whose lock the caller holds.
    """
    try:
        found = [path for path in folder.iterdir() if is_leftover(path.name)]
    except (FileNotFoundError, NotADirectoryError):
        return
    for path in found:
        try:
            if not older_than or time.time() - path.lstat().st_mtime > older_than:
                path.unlink()
        except (FileNotFoundError, IsADirectoryError, PermissionError):
            continue  # another process removed it first, or it is not ours


def is_leftover(name: str) -> bool:
    """True for the name of a temporary file of `replace_with`."""
    return name.startswith(".") and name.endswith(".tmp")


# -- reading


def read_bytes(path: Path | str, largest: int | None = None, root: Path | None = None) -> bytes:
    """The content of a regular file; a link is followed only inside the results folder.

    largest: bytes. root: the results folder; None: of the file of a cell, which is RESULTS/SUITE/CELL/FILE.
    Raises `FileNotFoundError` where nothing is there, else `ResultError`.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise FileNotFoundError(path) from error
    except OSError as error:
        if error.errno != errno.ELOOP:
            raise ResultError(f"{path}: cannot be read ({error.strerror})") from error
        check_inside(Path(path), root or Path(path).parent.parent.parent)
        return read_bytes(Path(path).resolve(), largest)
    about = os.fstat(descriptor)
    if not stat.S_ISREG(about.st_mode):
        os.close(descriptor)
        raise ResultError(f"{path}: is not a regular file")
    with os.fdopen(descriptor, "rb") as file:
        if largest is not None and about.st_size > largest:
            raise ResultError(f"{path}: has {about.st_size} bytes, more than {largest}")
        try:
            return file.read()
        except (OSError, MemoryError) as error:
            raise ResultError(f"{path}: cannot be read ({error})") from error


def check_inside(path: Path, root: Path) -> None:
    """Raise `ResultError` where a link leads from `path` out of the folder `root`, or nowhere."""
    try:
        inside = path.resolve(strict=True).is_relative_to(root.resolve(strict=True))
    except (OSError, RuntimeError) as error:
        raise ResultError(f"{path}: is a link that leads nowhere") from error
    if not inside:
        raise ResultError(f"{path}: is a link that leads out of {root}; replace it with what it points to")


def read_json(path: Path | str, root: Path | None = None) -> Any:
    """Parsed JSON without NaN, infinity as a literal, or nesting that Python cannot walk.

    root: as for `read_bytes`.
    Raises `ResultError` for what cannot be read, `FileNotFoundError` for what is not there.
    """
    try:
        return from_json(read_bytes(path, LARGEST_JSON, root), allow_inf_nan=False)
    except ValueError as error:
        raise ResultError(f"{path}: not readable as JSON ({error})") from error


def read_history(path: Path) -> list[dict[str, float]]:
    """Rows of history.csv, [] where there is none. Raises `ResultError` for a damaged file."""
    try:
        text = read_bytes(path, LARGEST_JSON).decode()
        rows = [{k: float(v) for k, v in row.items()} for row in csv.DictReader(io.StringIO(text, newline=""))]
    except FileNotFoundError:
        return []
    except (ValueError, TypeError, csv.Error) as error:
        raise ResultError(f"{path}: not a readable table of curves ({error})") from error
    if not all(isinstance(name, str) and math.isfinite(row.get("epoch", math.nan)) for row in rows for name in row):
        raise ResultError(f"{path}: not a readable table of curves (a row has no epoch)")
    return rows


def read_arrays(path: Path) -> "dict[str, np.ndarray] | None":
    """Arrays of an .npz, read without unpickling anything; None if the file is not there.

    Raises `ResultError` for a damaged file.
    """
    import numpy as np

    try:
        content = io.BytesIO(read_bytes(path, LARGEST_ARRAYS))
    except FileNotFoundError:
        return None
    try:
        with np.load(content, allow_pickle=False) as arrays:
            unpacked = sum(entry.file_size for entry in arrays.zip.infolist())
            if unpacked > LARGEST_ARRAYS:
                raise ValueError(f"{unpacked} bytes unpacked, more than {LARGEST_ARRAYS}")
            found = {name: arrays[name] for name in arrays.files}
            if not all(isinstance(array, np.ndarray) for array in found.values()):
                raise ValueError("an entry is no array")
            return found
    except Exception as error:  # numpy, zipfile and zlib raise a dozen kinds for a file that is damaged on purpose
        raise ResultError(f"{path}: not a readable array file ({type(error).__name__}: {error})") from error
