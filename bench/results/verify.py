"""Do a suite's results still say what they said: are derived files, ids, fingerprints and hashes those of the records?

Nothing is trained or evaluated anew. Checked are what a careless edit, a merge or a later version of the code breaks
without anyone seeing it: results.csv against the records, every id against its cell, the images of a dataset against
each other, and the classifiers that distances were measured with against the files under results/rulers/.
"""

import csv
import hashlib
import io
import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from bench.errors import BenchError, ResultError
from bench.suite import load
from bench.suite.cells import Cell, location, recorded_choice

from .external import external_id
from .fingerprints import with_sets
from .store import DAMAGED, Record, Store, csv_text, row

#: What is checked, in the order shown
CHECKS = {
    "records": "can be read",
    "results.csv": "is what the records give",
    "ids": "are the hashes of their cells",
    "fingerprints": "of a dataset's images agree",
    "rulers": "have the hash that values name",
    "data": "are the images that cells were computed on",
}
MOST = 5  #: differing places shown of one file


@dataclass(frozen=True)
class Fault:
    """One thing that is not as it was recorded."""

    check: str  #: a key of CHECKS
    where: str
    message: str


@dataclass(frozen=True)
class Verification:
    """What was checked in a suite's results, and what is wrong."""

    suite: str
    records: int
    rulers: int  #: files of classifiers compared with their hash
    faults: tuple[Fault, ...]
    remarks: tuple[str, ...] = ()  #: what could not be checked

    def as_json(self) -> dict[str, Any]:
        return asdict(self) | {"checks": list(CHECKS), "sound": not self.faults}


def verify(results: Path, suite: str, file: Path | None = None) -> Verification:
    """Check a suite's results. Raises `UsageError` for a suite never run.

    file: the suite's YAML, where it is at hand, to say whether it asks for other cells by now.
    """
    store = Store(results)
    content, every = store.suite(suite), store.records(suite)
    records = [record for record in every if record.status != DAMAGED]
    hashes = _ruler_hashes(store.root)
    named = sorted({name for record in records for name in _classifiers(record)})
    faults = [
        *_damaged(content, every),
        *_csv_faults(store, suite),
        *_id_faults([(f"suite.json, cell {e['id']}", e["id"], e.get("cell", {})) for e in content.get("cells", [])]),
        *_id_faults([(f"{r.id}/record.json", r.id, r.cell) for r in records]),
        *_fingerprint_faults(records),
        *_ruler_faults(named, hashes),
    ]
    remarks = [f"the classifier {n} is not under {store.root / 'rulers'}, so its hash was not checked"
               for n in named if n.rpartition("-")[0] not in {dataset for dataset, _ in hashes}]  # fmt: skip
    unchecked = len(remarks)
    remarks += _file_remarks(content, file)
    return Verification(suite, len(every), len(named) - unchecked, tuple(faults), tuple(remarks))


def _damaged(content: dict[str, Any], records: list[Record]) -> Iterator[Fault]:
    """Files that cannot be read: of the suite, of cells, and the curves and maps beside sound records."""
    if DAMAGED in content:
        yield Fault("records", "suite.json", str(content[DAMAGED]))
    for record in records:
        if record.status == DAMAGED:
            yield Fault("records", record.id, str(record.reason))
            continue
        for read in (record.history, record.embeddings):
            try:
                read()
            except ResultError as error:
                yield Fault("records", record.id, str(error))


def _file_remarks(content: dict[str, Any], file: Path | None) -> Iterator[str]:
    if file is None or content.get("overrides"):  # run with --set, the cells are others by intention
        return
    try:
        asked = {cell.id for cell in load(file).cells}
    except BenchError as error:
        yield f"{file} cannot be read, so its cells were not compared: {error}"
        return
    known = {entry["id"] for entry in content.get("cells", [])}
    if asked != known:
        more, fewer = len(asked - known), len(known - asked)
        yield (f"{file} asks for other cells by now, {more} more and {fewer} no longer; tables and site show the suite "
               "as it was run")  # fmt: skip


# -- results.csv


def _csv_faults(store: Store, suite: str) -> Iterator[Fault]:
    path = store.suite_folder(suite) / "results.csv"
    expected = csv_text([row(record) for record in store.current(suite)])
    if not path.is_file():
        yield Fault("results.csv", "results.csv", "is not there; any `bench run` of the suite writes it anew")
        return
    found = path.read_text(encoding="utf-8", errors="replace")
    if found == expected:
        return
    differences = list(_differing(_table(found), _table(expected)))
    for where, message in differences[:MOST] or [("results.csv", "columns or rows stand in another order")]:
        yield Fault("results.csv", where, message)
    if len(differences) > MOST:
        yield Fault("results.csv", "results.csv", f"and {len(differences) - MOST} more differences")


def _table(text: str) -> dict[str, dict[str, str]]:
    return {str(line.get("id")): line for line in csv.DictReader(io.StringIO(text))}


def _differing(found: dict[str, dict[str, str]], expected: dict[str, dict[str, str]]) -> Iterator[tuple[str, str]]:
    for cell_id in sorted(found.keys() | expected.keys()):
        if cell_id not in expected or cell_id not in found:
            yield cell_id, "has a row but no record" if cell_id in found else "has a record but no row"
            continue
        one, two = found[cell_id], expected[cell_id]
        for name in dict.fromkeys([*two, *one]):
            if one.get(name) != two.get(name):
                yield f"{cell_id}, {name}", f"says {one.get(name)!r}, the record {two.get(name)!r}"


# -- ids


def _id_faults(entries: Iterable[tuple[str, str, dict[str, Any]]]) -> Iterator[Fault]:
    for where, cell_id, cell in entries:
        try:
            rebuilt = None if "external" in cell else Cell.from_record(cell)
            derived = external_id(cell) if rebuilt is None else rebuilt.id
        except (BenchError, ValidationError, KeyError, TypeError, ValueError) as error:
            yield Fault("ids", where, f"is no cell of this version: {_brief(error)}")
            continue
        if derived != cell_id:
            said = "the cell was edited, or a component's version or a default was changed since"
            if rebuilt is not None and rebuilt.former_id == cell_id:
                said = "an earlier version hashed the path of its data; `bench verify SUITE --migrate` renames it"
            yield Fault("ids", where, f"its cell has the id {derived}: {said}")


def _brief(error: Exception) -> str:
    if isinstance(error, ValidationError):
        return "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
    return f"{error} is missing" if isinstance(error, KeyError) else str(error)


# -- fingerprints and rulers


def _fingerprint_faults(records: list[Record]) -> Iterator[Fault]:
    """One dataset with one set of options has one fingerprint, in every record and in its training."""
    first: dict[str, tuple[str, str]] = {}
    for record in (r for r in with_sets(records) if r.status == "done"):
        prints = {record.provenance.get("fingerprint"), record.training.get("fingerprint")} - {None}
        choice = recorded_choice({"dataset_options": {}, **record.cell}, "dataset", "dataset_options")
        place = location("datasets", choice)  # where it lies says nothing; then its label tells it from others
        options = {name: value for name, value in choice.options.items() if name not in place}
        name = json.dumps([choice.name, options, record.cell.get("dataset_label") if place else None], sort_keys=True)
        if not prints:
            yield Fault("fingerprints", record.id, "records none, so nobody knows which images it is of")
        for found in sorted(map(str, prints)):
            other, known = first.setdefault(name, (record.id, found))
            if known != found:
                label = record.cell.get("dataset_label")
                yield Fault("fingerprints", record.id, f"{label} was {found}, in {other} it was {known}")


def _classifiers(record: Record) -> set[str]:
    """Names of the classifiers that a record's values were measured with."""
    keys = [entry.get("key") for entry in record.metrics.values() if isinstance(entry, dict)]
    return {str(key["classifier"]) for key in keys if isinstance(key, dict) and key.get("classifier")}


def _ruler_hashes(root: Path) -> dict[tuple[str, str], str]:
    """(dataset, hash) of every classifier's file -> its name."""
    found = {}
    for path in sorted((root / "rulers").glob("*.safetensors")):
        dataset = path.stem.rsplit("-", 2)[0]  # <dataset>-<fingerprint>-v<version>
        found[dataset, hashlib.sha256(path.read_bytes()).hexdigest()[:12]] = path.name
    return found


def _ruler_faults(named: list[str], hashes: dict[tuple[str, str], str]) -> Iterator[Fault]:
    for name in named:
        dataset, _, digest = name.rpartition("-")
        files = {found: file for (of, found), file in hashes.items() if of == dataset}
        if files and digest not in files:
            told = ", ".join(f"{file} is {found}" for found, file in files.items())
            yield Fault("rulers", name, f"values were measured with a classifier that is no longer there: {told}")


def as_text(found: Verification) -> str:
    """A line a check, one a fault, one a remark."""
    lines = [f"{found.suite}: {found.records} records"]
    for check, says in CHECKS.items():
        faults = [fault for fault in found.faults if fault.check == check]
        lines.append(f"  {'✓' if not faults else '✗'} {check}: {says if not faults else f'{len(faults)} wrong'}")
        lines += [f"      {fault.where}: {fault.message}" for fault in faults]
    return "\n".join([*lines, *(f"  note: {remark}" for remark in found.remarks)])
