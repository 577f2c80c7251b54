"""Results on disk: one folder a cell, its record written last and atomically. A record exists = the cell is settled.

    results/<suite>/suite.json               the grid as it was asked for, references, the YAML itself
    results/<suite>/results.csv              derived: a row a cell, rebuilt from the records at any time
    results/<suite>/<cell-id>/record.json    parameters, status, metrics, timings, provenance
                              history.csv    the curves, a row an epoch
                              checkpoint.safetensors  codes.npz  embeddings.npz  *.png
    results/rulers/                          the classifiers that FCD is measured with

Nothing here imports torch. What is read back is checked (`record.py`, `files.py`): a results folder may come from
anywhere. A record that cannot be used has the status "damaged" and its reason; it costs only itself.
"""

import os
import re
from contextlib import AbstractContextManager
from functools import lru_cache
from pathlib import Path
from typing import Any

from bench.errors import ResultError, UsageError, did_you_mean
from bench.suite.cells import format_value
from bench.suite.files import explain_bad_name
from bench.suite.garbage import collection_paused

from . import locks
from .files import (
    ABANDONED,
    check_inside,
    copy_file,
    csv_text,
    is_leftover,
    read_arrays,
    read_json,
    remove_leftovers,
    write_arrays,
    write_bytes,
    write_history,
    write_json,
)
from .problems import warn
from .record import DAMAGED, SCHEMA, STATUSES, Record, check_suite, damaged, read_record

__all__ = [
    "CELL_ID",
    "DAMAGED",
    "SCHEMA",
    "STATUSES",
    "Record",
    "Store",
    "copy_file",
    "csv_text",
    "read_arrays",
    "row",
    "write_arrays",
    "write_bytes",
    "write_history",
    "write_json",
]

CELL_ID = re.compile(r"[0-9a-f]{12}")


class Store:
    """A results folder. Reading never writes; writing is atomic."""

    def __init__(self, root: Path) -> None:
        self.root = Path(root)

    def suites(self) -> list[str]:
        """Names of all suites with a suite.json."""
        if not self.root.is_dir():
            return []
        found = [p.name for p in self.root.iterdir() if is_suite_name(p.name) and os.path.lexists(p / "suite.json")]
        return sorted(name for name in found if not self._leads_out(name))

    def suite(self, name: str) -> dict[str, Any]:
        """The content of suite.json; of one that is damaged, only the name, and a warning.

        Raises `UsageError` for a suite never run.
        """
        path = self.suite_folder(name) / "suite.json"
        if not os.path.lexists(path):
            known = did_you_mean(name, self.suites(), "suites with results")
            hint = known or "; `bench run SUITE` computes some, --results names another folder"
            raise UsageError(f"no results of suite {name!r} under {self.root}{hint}")
        try:
            about = path.lstat()
            content = _suite(path, self.root, about.st_mtime_ns, about.st_size)
        except (ResultError, FileNotFoundError) as error:
            warn([f"{error}; `bench run` of the suite writes it anew"])
            return {"name": name, DAMAGED: str(error)}
        return dict(content)

    def records(self, suite: str) -> list[Record]:
        """All records of a suite, sorted by id. Those that cannot be used are "damaged", and named in a warning."""
        folder = self.suite_folder(suite)
        if not folder.is_dir():
            return []
        texts = self._texts(suite)
        with os.scandir(folder) as entries:
            ids = sorted(entry.name for entry in entries if CELL_ID.fullmatch(entry.name))
        with collection_paused():
            found = [self._read(suite, cell_id, folder / cell_id, texts) for cell_id in ids]
        records = [record for record in found if record is not None]
        warn([str(record.reason) for record in records if record.status == DAMAGED])
        return records

    def record(self, suite: str, cell_id: str) -> Record | None:
        """One record, which may be a damaged one, or None if the cell is not settled."""
        return self._read(suite, cell_id, self.folder(suite, cell_id), self._texts(suite))

    def find(self, prefix: str) -> Record:
        """The one record whose id, or an earlier id, starts with `prefix` (or `suite/prefix`).

        Raises `UsageError` for none or many, `ResultError` for one that is damaged.
        """
        suite, _, start = prefix.rpartition("/")
        if not re.fullmatch(r"[0-9a-f]{1,12}", start):
            raise UsageError(f"{prefix!r} is not a cell id: expected up to 12 hex digits, such as '3f2a9c'")
        suites = [suite] if suite else self.suites()
        every = [record for name in suites for record in self.records(name)]
        matches = [r for r in every if any(known.startswith(start) for known in (r.id, *r.aliases))]
        if not matches:
            raise UsageError(f"no cell {prefix!r} under {self.root}; `bench status SUITE --json` lists ids")
        if len({r.id for r in matches}) > 1:
            raise UsageError(f"{prefix!r} is ambiguous: {', '.join(sorted({r.id for r in matches}))}")
        first = min(matches, key=lambda record: record.status == DAMAGED)
        if first.status == DAMAGED:
            raise ResultError(str(first.reason))
        return first

    def suite_folder(self, suite: str) -> Path:
        """The suite's folder; its name is checked before it becomes a path.

        Raises `UsageError` for a name that no suite can have, `ResultError` for a link that leaves the results folder.
        """
        if not is_suite_name(suite):
            raise UsageError(f"{suite!r} cannot be the name of a suite: it {explain_bad_name(suite)}")
        folder = self.root / suite
        if folder.is_symlink():
            check_inside(folder, self.root)
        return folder

    def has_checkpoint(self, suite: str, cell_id: str) -> bool:
        """True if a cell's trained model is there."""
        return (self.folder(suite, cell_id) / "checkpoint.safetensors").is_file()

    def folder(self, suite: str, cell_id: str) -> Path:
        """A cell's folder; its id is checked before it becomes a path."""
        if not CELL_ID.fullmatch(cell_id):
            raise ResultError(f"{cell_id!r} is not a cell id")
        return self.suite_folder(suite) / cell_id

    def write_suite(self, name: str, content: dict[str, Any]) -> None:
        """Write suite.json; called when a run begins, so that missing cells are known.

        Raises `UsageError` where another suite's folder differs from this name by the case of letters only, which
        some file systems cannot tell apart.
        """
        folder = self.suite_folder(name)
        entries = self.root.iterdir() if self.root.is_dir() else ()
        alike = [p.name for p in entries if p.name != name and p.name.lower() == name.lower()]
        if alike:
            raise UsageError(
                f"{self.root} has results of a suite {alike[0]!r}: names of suites must differ by more than the case of "
                f"letters; rename {name!r}, or use another --results"
            )
        write_json(folder / "suite.json", {"schema": SCHEMA, **content})

    def write(self, record: Record) -> None:
        """Write record.json: the last file of a cell, which makes it settled."""
        assert record.status in STATUSES, record.status
        write_json(self.folder(record.suite, record.id) / "record.json", record.as_json())

    def forget(self, suite: str, cell_id: str) -> None:
        """Remove a cell's record (not its checkpoint), so that it is computed again."""
        (self.folder(suite, cell_id) / "record.json").unlink(missing_ok=True)

    def claim(self, suite: str, cell_id: str) -> AbstractContextManager[bool]:
        """Hold a cell while it is computed; yields False if another process holds it. A killed process lets go."""
        return locks.hold(self.folder(suite, cell_id))

    def holder(self, suite: str, cell_id: str) -> locks.Holder | None:
        """The process that holds a cell now, None where none does. Raises `ResultError` for a lock that is a link."""
        return locks.holder(self.folder(suite, cell_id))

    def sweep(self, suite: str) -> None:
        """Remove what killed processes left of this suite: temporary files and locks, never those of a live process."""
        folder = self.suite_folder(suite)
        for shared in (folder, self.root / "rulers"):
            remove_leftovers(shared, older_than=ABANDONED)
        if not folder.is_dir():
            return
        for cell in (p for p in sorted(folder.iterdir()) if CELL_ID.fullmatch(p.name) and not p.is_symlink()):
            if cell.is_dir() and any(is_leftover(p.name) or p.name in locks.FILES for p in cell.iterdir()):
                try:
                    with locks.hold(cell):  # which removes them, if no process holds the cell
                        pass
                except ResultError as error:
                    warn([str(error)])

    def current(self, suite: str) -> list[Record]:
        """The records of the grid in suite.json: without trials with `--set` and cells of earlier versions.

        Models that were trained elsewhere belong to no grid and are always there.
        """
        content = self.suite(suite)
        records = self.records(suite)
        if DAMAGED in content:  # nobody knows the grid
            return records
        ids = {entry["id"] for entry in content.get("cells", [])}
        return [record for record in records if record.id in ids or record.external]

    def write_csv(self, suite: str) -> Path:
        """Rebuild results.csv: a row a record of the grid, parameters first, then every metric's value."""
        records = self.current(suite)
        path = self.suite_folder(suite) / "results.csv"
        write_bytes(path, csv_text([row(record) for record in records]).encode())
        return path

    def _leads_out(self, name: str) -> bool:
        try:
            self.suite_folder(name)
        except ResultError as error:
            warn([str(error)])
            return True
        return False

    def _texts(self, suite: str) -> dict[str, Any]:
        return self._grid(suite).get("about", {})

    def _grid(self, suite: str) -> dict[str, Any]:
        """The content of suite.json, {} where there is none that can be used."""
        path = self.suite_folder(suite) / "suite.json"
        try:
            found = path.lstat()
            return _suite(path, self.root, found.st_mtime_ns, found.st_size)
        except (FileNotFoundError, ResultError):
            return {}

    def _read(self, suite: str, cell_id: str, folder: Path, texts: dict[str, Any]) -> Record | None:
        try:
            if folder.is_symlink():
                check_inside(folder, self.root)
            return read_record(folder, suite, cell_id, texts)
        except FileNotFoundError:
            return None
        except ResultError as error:
            cells = [e["cell"] for e in self._grid(suite).get("cells", []) if e["id"] == cell_id and "cell" in e]
            return damaged(suite, cell_id, folder, str(error), cells[0] if cells else {})


def is_suite_name(name: str) -> bool:
    """True for what can name a suite, and its folder.

    >>> is_suite_name("mnist_all"), is_suite_name("../x"), is_suite_name("Rulers")
    (True, False, False)
    """
    return explain_bad_name(name) is None


@lru_cache(maxsize=8)  # a large suite's file takes longer to read than a cell's record, which is read for every cell
def _suite(path: Path, root: Path, changed: int, size: int) -> dict[str, Any]:
    return check_suite(read_json(path, root), path)


def row(record: Record) -> dict[str, Any]:
    """A record as one flat row: id, status, parameters with options and budget, metrics, seconds."""
    names = ("dataset", "dataset_label", "variant", "label", "net", "net_label", "likelihood", "latent_size", "seed")
    flat: dict[str, Any] = {"id": record.id, "status": record.status, "reason": record.reason}
    flat |= {name: record.cell.get(name) for name in names}
    for part, prefix in (("train", "train"), ("options", "option")):
        given = (record.cell.get(part) or {}).items()
        flat |= {f"{prefix}_{k}": format_value(v) if isinstance(v, dict) else v for k, v in given}
    if plugins := record.cell.get("plugins"):
        flat["plugins"] = ", ".join(f"{name} {sha256[:12]}" for name, sha256 in sorted(plugins.items()))
    flat |= {name: entry.get("value") for name, entry in record.metrics.items()}
    flat |= {name: record.training.get(name) for name in ("parameters", "epochs", "images_per_s")}
    seconds = {f"{k}_seconds": v for k, v in record.timings.items() if isinstance(v, int | float)}
    return flat | seconds | {"fingerprint": record.provenance.get("fingerprint")}
