"""How much memory a run needs, told before it starts and without importing torch.

A worker process keeps the images of the datasets it has met, and trains one model at a time: parameters, gradients and
Adam's two averages, four float32 numbers a parameter. These two are computed. What evaluation builds on top is known
only from the records of like cells that this version of bench has computed, as their highest peak.
"""

import math
import os
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench import __version__, registry
from bench.results.store import Record
from bench.suite import Cell, Choice
from bench.suite.grid import extent

DATASETS_KEPT = 4  #: datasets whose images stay in a worker process, as in `bench.datasets._loading`
BYTES_OF_A_PARAMETER = 4 * 4  #: itself, its gradient, two averages of Adam, float32
BYTES_OF_A_LABEL = 8


@dataclass(frozen=True)
class Memory:
    """Bytes. images: dataset → its images and labels, None where only reading tells how many there are."""

    images: dict[str, int | None]
    model: int | None  #: the largest whose parameters are known, in training; None where none is
    unknown_models: int  #: kinds of model (variant, net, latent size, dataset) that no record tells the size of
    peak: int | None  #: the highest that records of like cells tell of a worker process

    @property
    def worker(self) -> int | None:
        """What one worker process is expected to need; None where nothing is known of it."""
        images = sum(sorted(n for n in self.images.values() if n is not None)[-DATASETS_KEPT:])
        return max(self.peak or 0, images + (self.model or 0)) or None

    def as_json(self) -> dict[str, Any]:
        """All of it, ready for JSON."""
        return {
            "images_bytes": self.images,
            "model_bytes": self.model,
            "unknown_models": self.unknown_models,
            "peak_bytes": self.peak,
            "worker_bytes": self.worker,
        }

    def words(self) -> str:
        """All of it in a line that says what is computed and what was measured."""
        images = ", ".join(f"{name} {_told(size)}" for name, size in self.images.items())
        if self.model is None:
            model = "models not known yet"
        else:
            model = f"largest known model {size_words(self.model)} with gradients and Adam"
            model += f" ({self.unknown_models} kinds not known yet)" if self.unknown_models else ""
        peak = "not known yet" if self.peak is None else f"{size_words(self.peak)} (measured on like cells)"
        return f"memory of a worker: images {images}; {model} (computed); peak with evaluation {peak}"


def memory(cells: Iterable[Cell], records: Iterable[Record]) -> Memory:
    """What the cells need, as far as components and finished `records` of any suite tell."""
    cells, records = [cell for cell in cells if cell.skip is None], [r for r in records if r.status == "done"]
    counts = _image_counts(records)
    images = {cell.dataset_label: _image_bytes(cell.dataset, counts) for cell in cells}
    parameters = {_model_of(r.cell): int(n) for r in records if (n := _number(r.training.get("parameters")))}
    wanted = {_model_of(cell.as_record()) for cell in cells if cell.net is not None}
    known = [parameters[model] for model in wanted & parameters.keys()]
    like = {(cell.dataset.name, cell.net.name if cell.net else None) for cell in cells}
    alike = [r.provenance for r in records if (r.cell.get("dataset"), r.cell.get("net")) in like]
    ours = [about for about in alike if about.get("bench") == __version__]
    measured = [peak for about in ours if (peak := _number(about.get("peak_memory_mb")))]
    return Memory(
        images,
        BYTES_OF_A_PARAMETER * max(known) if known else None,
        len(wanted - parameters.keys()),
        round(1e6 * max(measured)) if measured else None,
    )


def available() -> int | None:
    """Bytes of memory that processes can take now without swapping; None where the system does not say."""
    with suppress(OSError, ValueError):
        for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines():
            if line.startswith("MemAvailable:"):
                return 1024 * int(line.split()[1])
    with suppress(OSError, ValueError, AttributeError):
        return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return None


def size_words(size: int) -> str:
    """Bytes for a person.

    >>> size_words(55_440_000), size_words(10_864_200_000)
    ('55.4 MB', '10.9 GB')
    """
    return f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{size / 1e6:.1f} MB"


def _told(size: int | None) -> str:
    return "not known until they are read" if size is None else size_words(size)


def _image_bytes(dataset: Choice, counts: dict[str, int]) -> int | None:
    channels, size = (extent(dataset, key) for key in ("channels", "size"))
    count = counts.get(_key(dataset.name, dataset.options))
    if count is None:  # some datasets read a chosen number of their images
        declared = registry.describe("datasets", dataset.name).constants.get("images")
        count = dataset.options.get("combinations") or declared
    if not (channels and size and count):
        return None
    return count * (channels * size * size + BYTES_OF_A_LABEL)


def _image_counts(records: list[Record]) -> dict[str, int]:
    """Dataset → images of both splits, from records of cells that were trained on all of its train images."""
    found = {}
    for record in records:
        about, budget = _mapping(record.about.get("dataset")), _mapping(record.cell.get("train"))
        train, test = _number(about.get("train")), _number(about.get("test"))
        if train and test and train != budget.get("train_images"):
            found[_key(record.cell.get("dataset"), record.cell.get("dataset_options"))] = int(train + test)
    return found


def _number(value: Any) -> float | None:
    """What a record says, where it is a positive finite number."""
    plain = isinstance(value, int | float) and not isinstance(value, bool)
    return value if plain and 0 < value < math.inf else None


def _mapping(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _model_of(cell: dict[str, Any]) -> str:
    """What decides how many parameters a model has."""
    names = ("variant", "options", "net", "net_options", "likelihood", "latent_size", "dataset", "dataset_options")
    return repr([_plain(cell.get(name)) for name in names])


def _key(name: Any, options: Any) -> str:
    return repr([name, _plain(options)])


def _plain(value: Any) -> Any:
    """Options in one order, lists as tuples, as a suite and a record have them differently."""
    if isinstance(value, dict):
        return sorted((k, _plain(v)) for k, v in value.items())
    return tuple(map(_plain, value)) if isinstance(value, list | tuple) else value
