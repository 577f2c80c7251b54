"""Are the images on this machine those that the finished cells of a suite were computed on?

The size and time of a file decide whether it is read again (`bench.datasets._loading.prints`); the fingerprint decides
whether the images are the same. Datasets that come installed with a package are not looked at.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from bench.datasets import Dataset, _loading
from bench.datasets._image_files import skipped_text
from bench.errors import BenchError, DataError
from bench.results.fingerprints import with_sets
from bench.results.store import Record, Store
from bench.results.verify import Fault, Verification
from bench.suite import Cell, load

from .plan import has_own_data


@dataclass(frozen=True)
class Comparison:
    """Sentences on datasets whose images changed, and on those that could not be compared."""

    changed: list[str] = field(default_factory=list)
    unchecked: list[str] = field(default_factory=list)


def compare(cells: Iterable[Cell], records: Iterable[Record], root: Path) -> Comparison:
    """Compare the images under the data root with the fingerprints in the finished `records` of `cells`."""
    done = {record.id: record for record in with_sets(records) if record.status == "done"}
    found = Comparison()
    for same in _by_dataset(cells):
        recorded = [str(p) for c in same if c.id in done and (p := done[c.id].provenance.get("fingerprint"))]
        dataset = _dataset(same[0])
        if not recorded or dataset.embedded:
            continue
        try:
            _compare(same[0], dataset, recorded, root, found)
        except DataError as error:
            found.unchecked.append(f"{same[0].dataset_label}: {error}")
    return found


def add_to(found: Verification, file: Path, results: Path, root: Path) -> Verification:
    """The same verification with a fault for each dataset of the suite's `file` whose images were replaced."""
    try:
        cells = load(file).cells
        compared = compare(cells, Store(results).records(found.suite), root)
    except BenchError as error:
        return replace(found, remarks=(*found.remarks, f"images were not compared: {error}"))
    faults = (Fault("data", message.split(": ", 1)[0], message.split(": ", 1)[1]) for message in compared.changed)
    return replace(found, faults=(*found.faults, *faults), remarks=(*found.remarks, *compared.unchecked))


def skipped_lines(cells: Iterable[Cell], root: Path) -> Iterator[str]:
    """A line for each dataset of the user's own with files that are not read, or that cannot be read."""
    for same in _by_dataset(cells):
        dataset, label = _dataset(same[0]), same[0].dataset_label
        if not has_own_data(same[0]) or dataset.missing(root):
            continue
        try:
            skipped = dataset.skipped(root)
        except DataError as error:
            yield f"{label}: {error}"
            continue
        if skipped:
            yield f"{label}: not read in {dataset.where(root)}: {skipped_text(skipped)}"


def _compare(cell: Cell, dataset: Dataset, recorded: list[str], root: Path, found: Comparison) -> None:
    where = dataset.where(root)
    if dataset.missing(root):
        found.unchecked.append(f"{cell.dataset_label}: {where} is not there, so its images were not compared")
        return
    prints = _loading.prints(cell.dataset, root)
    if other := [p for p in recorded if p not in (prints.content, prints.order)]:
        cells = "1 finished cell was" if len(other) == 1 else f"{len(other)} finished cells were"
        found.changed.append(
            f"{cell.dataset_label}: the images in {where} (fingerprint {prints.content}) are not those that {cells} "
            f"computed on ({other[0]})"
        )


def _by_dataset(cells: Iterable[Cell]) -> list[list[Cell]]:
    groups: dict[str, list[Cell]] = defaultdict(list)
    for cell in cells:
        groups[f"{cell.dataset.name} {sorted(cell.dataset.options.items())}"].append(cell)
    return list(groups.values())


def _dataset(cell: Cell) -> Dataset:
    return _loading.build(cell.dataset.name, cell.dataset.options)
