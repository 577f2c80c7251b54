"""Everything that is not training: a cell's bookkeeping, the start of `bench plan`, opening a large store."""

import json
import subprocess
import sys
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

from bench.datasets import _loading as data_room
from bench.results.store import Record, Store
from bench.suite import Suite, load

CELLS, RECORDS, STARTS = 6, 10_000, 5
LARGER = "mnist", 16, 3  #: a cell of usual size, where its data are there: dataset, latent size, cells

SUITE = """title: Overhead
grid:
  datasets: [{dataset}]
  variants: [vae]
  nets: [mlp]
  likelihood: bernoulli
  latent_sizes: [{latent_size}]
  seeds: {seeds}
train: {{epochs: 1}}
evaluate: {{embed: {{methods: [], points: 100}}}}
metrics: [mse]
"""


def measure(
    data_root: Path, cells: int = CELLS, records: int = RECORDS, starts: int = STARTS, larger: str = LARGER[0]
) -> dict[str, Any]:
    """Seconds, medians; ready for JSON. See `cell`, `plan_start` and `store`; `larger_cell` where `larger` is there."""
    with TemporaryDirectory() as folder:
        root = Path(folder)
        found: dict[str, Any] = {"cell": cell(root, data_root, cells)}
        if not data_room.build(larger, {}).missing(data_root):
            found["larger_cell"] = cell(root, data_root, min(cells, LARGER[2]), larger, LARGER[1])
        return found | {"plan_start": plan_start(root, starts), "store": store(root, records)}


def cell(root: Path, data_root: Path, n: int = CELLS, dataset: str = "digits", latent_size: int = 2) -> dict[str, Any]:
    """From a cell's being ready to its being recorded, less the work, median over `n` cells of one epoch.

    Work: training and its test losses, metrics, and figures, which is what the model computes for them (a decoded grid,
    reconstructions). Overhead: pictures, their assembling, encoding and writing, with the arrays; and other, which is
    building the model, checks, curves, checkpoint and record. The first cell of a process, which imports and loads, is
    not counted.
    """
    from bench.runs import runner
    from bench.runs.worker import Settings

    suite = _suite(root, n + 1, dataset, latent_size)
    marks: list[float] = []
    settings = Settings(root / "results", data_root, "cpu", 1, offline=True)
    runner.run(suite, settings, workers=1, on_event=lambda event: marks.append(time.perf_counter()))
    seconds = [b - a for a, b in pairwise(marks)][1:]  # the first mark is the plan's, the first cell not counted
    records = {r.id: r for r in Store(root / "results").records(suite.name)}
    parts = [_parts(s, records[c.id]) for s, c in zip(seconds, suite.cells[1:], strict=True)]
    return {"dataset": dataset} | {name: round(median(p[name] for p in parts), 4) for name in parts[0]}


def _parts(seconds: float, record: Record) -> dict[str, float]:
    timings = record.timings
    made = sum(timings["parts"].values()) + sum(entry.get("seconds", 0.0) for entry in record.metrics.values())
    figures, drawn = timings["parts"].get("figures", 0.0), timings["evaluate"] - made
    training = timings["train"] + record.training["test_seconds"]
    rest = seconds - training - made
    parts = {"overhead": rest, "pictures": drawn, "other": rest - drawn}
    return parts | {"training": training, "metrics": made - figures, "figures": figures}


def plan_start(root: Path, n: int = STARTS) -> float:
    """Seconds of `bench plan` on a small suite, as a process of its own, median of `n`."""
    path = _suite(root, 72).path
    command = [sys.executable, "-m", "bench", "plan", str(path), "--results", str(root / "results")]
    return round(median(_seconds(lambda: _quietly(command)) for _ in range(n)), 4)


def store(root: Path, n: int = RECORDS) -> dict[str, float]:
    """Seconds until all of `n` records of one suite have been read and checked; records of 30 metrics each."""
    whole = Store(root / "many")
    for number in range(n):
        record = _record(f"{number:012x}")
        path = whole.folder(record.suite, record.id) / "record.json"
        path.parent.mkdir(parents=True)
        path.write_text(json.dumps(record.as_json()), encoding="utf-8")  # a thousandth of the time of a safe write
    return {"records": n, "seconds": round(_seconds(lambda: whole.records("many")), 4)}


def _record(cell_id: str) -> Record:
    entry = {"value": 0.012345678, "unit": "nats per image", "better": "lower", "n": 10_000, "key": {}, "version": 1}
    cell = {"dataset": "mnist", "variant": "vae", "net": "mlp", "label": "vae", "latent_size": 16, "seed": 0}
    metrics = {f"metric_{i}": {**entry, "seconds": 0.01} for i in range(30)}
    return Record(cell_id, "many", "done", cell, metrics=metrics, timings={"train": 1.0, "evaluate": 1.0})


def _suite(root: Path, seeds: int, dataset: str = "digits", latent_size: int = 2) -> Suite:
    path = root / f"overhead_{dataset}_{seeds}.yaml"
    path.write_text(SUITE.format(seeds=seeds, dataset=dataset, latent_size=latent_size), encoding="utf-8")
    return load(path)


def _quietly(command: list[str]) -> None:
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)  # noqa: S603  (our own interpreter)


def _seconds(function: Callable[[], object]) -> float:
    start = time.perf_counter()
    function()
    return time.perf_counter() - start
