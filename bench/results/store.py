"""Results on disk: one folder a cell, its record written last and atomically. A record exists = the cell is settled.

    results/<suite>/suite.json               the grid as it was asked for, references, the YAML itself
    results/<suite>/results.csv              derived: a row a cell, rebuilt from the records at any time
    results/<suite>/<cell-id>/record.json    parameters, status, metrics, timings, provenance
                              history.csv    the curves, a row an epoch
                              checkpoint.safetensors  codes.npz  embeddings.npz  *.png
    results/rulers/                          the classifiers that FCD is measured with

Nothing here imports torch. What is read back is checked: a results folder may come from anywhere.
"""

import csv
import fcntl
import gc
import io
import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zipfile import BadZipFile

from bench.errors import ResultError, UsageError, did_you_mean

if TYPE_CHECKING:
    import numpy as np

SCHEMA = 1
KINDS = (("id", str), ("suite", str), ("status", str), ("cell", dict), ("metrics", dict), ("timings", dict))
STATUSES = ("done", "failed", "diverged", "skipped")
CELL_ID = re.compile(r"[0-9a-f]{12}")
SUITE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
NOT_SUITES = {"rulers", "speed"}  #: folders under results/ that hold something else


@dataclass(frozen=True)
class Record:
    """What one cell produced.

    metrics: name → {value, unit, better, n, key, version}, with {value: None, reason} where there is no number.
    """

    id: str
    suite: str
    status: str
    cell: dict[str, Any]
    reason: str | None = None
    metrics: dict[str, dict[str, Any]] = field(default_factory=dict)
    timings: dict[str, Any] = field(default_factory=dict)
    training: dict[str, Any] = field(default_factory=dict)
    about: dict[str, Any] = field(default_factory=dict)
    provenance: dict[str, Any] = field(default_factory=dict)
    folder: Path = Path()

    def value(self, metric: str) -> float | None:
        """The number of a metric, or None where it has none."""
        return self.metrics.get(metric, {}).get("value")

    def history(self) -> list[dict[str, float]]:
        """Rows of history.csv: epoch, seconds, and train_/test_ terms in nats per image; [] for closed forms.

        Raises `ResultError` for a damaged file.
        """
        path = self.folder / "history.csv"
        if not path.exists():
            return []
        try:
            with path.open(encoding="utf-8", newline="") as file:
                return [{k: float(v) for k, v in row.items()} for row in csv.DictReader(file)]
        except (ValueError, TypeError, csv.Error) as error:
            raise ResultError(f"{path}: not a readable table of curves ({error})") from error

    def embeddings(self) -> "dict[str, np.ndarray] | None":
        """`labels` (P,), `latent` (P, 2) and one (P, 2) array for each embedding method; None where there are none."""
        return read_arrays(self.folder / "embeddings.npz")

    def pictures(self) -> list[Path]:
        """The files of the cell's figures, sorted by name."""
        return sorted(path for path in self.folder.glob("*") if path.suffix in (".png", ".webp", ".gif"))

    def as_json(self) -> dict[str, Any]:
        """The content of record.json."""
        fields = {name: getattr(self, name) for name in ("id", "suite", "status", "reason", "cell", "metrics")}
        return {
            "schema": SCHEMA,
            **fields,
            "timings": self.timings,
            "training": self.training,
            "about": self.about,
            "provenance": self.provenance,
        }


class Store:
    """A results folder. Reading never writes; writing is atomic."""

    def __init__(self, root: Path) -> None:
        self.root = Path(root)

    def suites(self) -> list[str]:
        """Names of all suites with a suite.json."""
        if not self.root.is_dir():
            return []
        folders = [p for p in self.root.iterdir() if (p / "suite.json").is_file()]
        return sorted(p.name for p in folders if SUITE_NAME.fullmatch(p.name) and p.name not in NOT_SUITES)

    def suite(self, name: str) -> dict[str, Any]:
        """The content of suite.json. Raises `UsageError` for a suite never run, `ResultError` if unreadable."""
        path = self.suite_folder(name) / "suite.json"
        if not path.is_file():
            known = did_you_mean(name, self.suites(), "suites with results")
            raise UsageError(f"no results of suite {name!r} under {self.root}{known}")
        return _read_json(path)

    def records(self, suite: str) -> list[Record]:
        """All records of a suite, sorted by id."""
        folder = self.suite_folder(suite)
        if not folder.is_dir():
            return []
        docs = self._docs(suite)
        with os.scandir(folder) as entries:
            ids = sorted(entry.name for entry in entries if CELL_ID.fullmatch(entry.name))
        with _no_collecting():
            found = [_read(suite, cell_id, folder / cell_id, docs) for cell_id in ids]
        return [record for record in found if record is not None]

    def record(self, suite: str, cell_id: str) -> Record | None:
        """One record, or None if the cell is not settled."""
        return _read(suite, cell_id, self.folder(suite, cell_id), self._docs(suite))

    def find(self, prefix: str) -> Record:
        """The one record whose id starts with `prefix` (or `suite/prefix`). Raises `UsageError` for none or many."""
        suite, _, start = prefix.rpartition("/")
        if not re.fullmatch(r"[0-9a-f]{1,12}", start):
            raise UsageError(f"{prefix!r} is not a cell id: expected up to 12 hex digits, such as '3f2a9c'")
        suites = [suite] if suite else self.suites()
        matches = [r for s in suites for r in self.records(s) if r.id.startswith(start)]
        if not matches:
            raise UsageError(f"no cell {prefix!r} under {self.root}; `bench status SUITE --json` lists ids")
        if len({r.id for r in matches}) > 1:
            raise UsageError(f"{prefix!r} is ambiguous: {', '.join(sorted({r.id for r in matches}))}")
        return matches[0]

    def suite_folder(self, suite: str) -> Path:
        """The suite's folder; its name is checked before it becomes a path."""
        if not SUITE_NAME.fullmatch(suite) or suite in NOT_SUITES:
            raise UsageError(f"{suite!r} cannot be the name of a suite: letters, digits, '_', '-' and '.' only")
        return self.root / suite

    def has_checkpoint(self, suite: str, cell_id: str) -> bool:
        """True if a cell's trained model is there."""
        return (self.folder(suite, cell_id) / "checkpoint.safetensors").is_file()

    def folder(self, suite: str, cell_id: str) -> Path:
        """A cell's folder; its id is checked before it becomes a path."""
        if not CELL_ID.fullmatch(cell_id):
            raise ResultError(f"{cell_id!r} is not a cell id")
        return self.suite_folder(suite) / cell_id

    def write_suite(self, name: str, content: dict[str, Any]) -> None:
        """Write suite.json; called when a run begins, so that missing cells are known."""
        write_json(self.suite_folder(name) / "suite.json", {"schema": SCHEMA, **content})

    def write(self, record: Record) -> None:
        """Write record.json: the last file of a cell, which makes it settled."""
        assert record.status in STATUSES, record.status
        write_json(self.folder(record.suite, record.id) / "record.json", record.as_json())

    def forget(self, suite: str, cell_id: str) -> None:
        """Remove a cell's record (not its checkpoint), so that it is computed again."""
        (self.folder(suite, cell_id) / "record.json").unlink(missing_ok=True)

    @contextmanager
    def claim(self, suite: str, cell_id: str) -> Iterator[bool]:
        """Hold a cell while it is computed; yields False if another process holds it. A killed process lets go."""
        folder = self.folder(suite, cell_id)
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / ".lock").open("w") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                ours = os.path.samestat(os.fstat(file.fileno()), (folder / ".lock").stat())
            except (BlockingIOError, FileNotFoundError):
                ours = False  # held, or its last holder removed it in between
            yield ours
            if ours:
                (folder / ".lock").unlink()

    def is_running(self, suite: str, cell_id: str) -> bool:
        """True while some process holds the cell."""
        path = self.folder(suite, cell_id) / ".lock"
        try:
            with path.open("r") as file:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except FileNotFoundError:
            return False
        except BlockingIOError:
            return True
        return False

    def current(self, suite: str) -> list[Record]:
        """The records of the grid in suite.json: without trials with `--set` and cells of earlier versions."""
        ids = {entry["id"] for entry in self.suite(suite).get("cells", [])}
        return [record for record in self.records(suite) if record.id in ids]

    def write_csv(self, suite: str) -> Path:
        """Rebuild results.csv: a row a record of the grid, parameters first, then every metric's value."""
        records = self.current(suite)
        path = self.suite_folder(suite) / "results.csv"
        write_bytes(path, csv_text([row(record) for record in records]).encode())
        return path

    def _docs(self, suite: str) -> dict[str, Any]:
        path = self.suite_folder(suite) / "suite.json"
        try:
            found = path.stat()
        except FileNotFoundError:
            return {}
        return _about(path, found.st_mtime_ns, found.st_size)


@lru_cache(maxsize=8)  # a large suite's file takes longer to read than a cell's record, which is read for every cell
def _about(path: Path, changed: int, size: int) -> dict[str, Any]:
    return _read_json(path).get("about", {})


@contextmanager
def _no_collecting() -> Iterator[None]:
    """While thousands of records are read nothing becomes garbage; looking for it took 40 % of the time."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def row(record: Record) -> dict[str, Any]:
    """A record as one flat row: id, status, parameters with options and budget, metrics, seconds."""
    names = ("dataset", "dataset_label", "variant", "label", "net", "net_label", "likelihood", "latent_size", "seed")
    flat: dict[str, Any] = {"id": record.id, "status": record.status, "reason": record.reason}
    flat |= {name: record.cell.get(name) for name in names}
    for part, prefix in (("train", "train"), ("options", "option")):
        flat |= {f"{prefix}_{k}": v for k, v in (record.cell.get(part) or {}).items()}
    flat |= {name: entry.get("value") for name, entry in record.metrics.items()}
    flat |= {name: record.training.get(name) for name in ("parameters", "epochs", "images_per_s")}
    seconds = {f"{k}_seconds": v for k, v in record.timings.items() if isinstance(v, int | float)}
    return flat | seconds | {"fingerprint": record.provenance.get("fingerprint")}


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
    """Write an .npz atomically. Compressing takes 30 ms a MB, and makes codes, which are noise, 8 % smaller."""
    import numpy as np

    buffer = io.BytesIO()
    (np.savez_compressed if compress else np.savez)(buffer, **arrays)  # type: ignore[arg-type]
    write_bytes(path, buffer.getvalue())


def read_arrays(path: Path) -> "dict[str, np.ndarray] | None":
    """Read an .npz without unpickling anything; None if it is not there."""
    if not path.is_file():
        return None
    import numpy as np

    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            return {name: arrays[name] for name in arrays.files}
    except (ValueError, OSError, KeyError, BadZipFile) as error:
        raise ResultError(f"{path}: not a readable array file ({error})") from error


def write_json(path: Path, content: Any) -> None:
    """Write JSON atomically; NaN is refused, since it is not JSON."""
    write_bytes(path, (json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False) + "\n").encode())


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file so that it is either the old one or the whole new one, also after a power cut."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    with temporary.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


def _read(suite: str, cell_id: str, folder: Path, docs: dict[str, Any]) -> Record | None:
    path = f"{folder}{os.sep}record.json"  # a string: making paths took as long as reading files
    try:
        content = _read_json(path)
    except FileNotFoundError:
        return None
    _check(content, path)
    if content["id"] != cell_id:
        raise ResultError(f"{path}: says it is cell {content['id']!r}, but lies in the folder of {cell_id!r}")
    return Record(
        cell_id,
        suite,
        content["status"],
        content["cell"],
        content.get("reason"),
        content["metrics"],
        content["timings"],
        content.get("training") or {},
        _merged(content.get("about") or {}, content["metrics"], docs),
        content.get("provenance") or {},
        folder,
    )


def _read_json(path: Path | str) -> dict[str, Any]:
    """Raises `ResultError` for what cannot be read, `FileNotFoundError` for what is not there."""
    try:
        with open(path, "rb") as file:  # noqa: PTH123  (for the same reason)
            content = json.loads(file.read())
    except (FileNotFoundError, NotADirectoryError) as error:
        raise FileNotFoundError(path) from error
    except (ValueError, OSError) as error:
        raise ResultError(f"{path}: not readable as JSON ({error})") from error
    if not isinstance(content, dict) or content.get("schema") != SCHEMA:
        found = content.get("schema") if isinstance(content, dict) else type(content).__name__
        raise ResultError(f"{path}: schema {found!r}, this version reads schema {SCHEMA}")
    return content


def _check(content: dict[str, Any], path: str) -> None:
    for name, kind in KINDS:
        if not isinstance(content.get(name), kind):
            raise ResultError(f"{path}: '{name}' is missing or not a {kind.__name__}")
    if content["status"] not in STATUSES:
        raise ResultError(f"{path}: unknown status {content['status']!r}")


def _merged(about: dict[str, Any], metrics: dict[str, dict[str, Any]], docs: dict[str, Any]) -> dict[str, Any]:
    """A record's one-line descriptions (kept by family) for each of its columns, with the suite's long texts."""
    lines, texts = about.get("metrics", {}), docs.get("metrics", {})
    families = {name: entry.get("family", name) for name, entry in metrics.items()}
    told = {family: {**texts.get(family, {}), **lines.get(family, {})} for family in {*families.values()}}
    merged = dict(about)
    merged["metrics"] = {name: told[family] for name, family in families.items()}
    for kind in ("variant", "net", "likelihood"):
        entry = about.get(kind)
        if isinstance(entry, dict):
            merged[kind] = {**docs.get(f"{kind}s", {}).get(entry.get("name"), {}), **entry}
    return merged
