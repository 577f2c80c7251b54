"""What a suite asks for against what is there: the state of each cell, without importing torch.

done      settled, with every metric the suite asks for
partial   trained, but the suite now asks for metrics its record does not have
missing   nothing yet, or interrupted
running   held by another process at this moment
failed    an error stopped it; `--retry-failed` tries again
diverged  its loss became non-finite: a result, not an error
skipped   makes no sense, for the reason given
damaged   its record cannot be used; `--retry-failed` computes it again
"""

import os
from dataclasses import dataclass
from typing import Any

from bench import registry
from bench.errors import ResultError
from bench.results.store import DAMAGED, Record, Store
from bench.suite import Cell, Suite
from bench.suite.columns import expected_metrics

OPEN = ("missing", "partial")  #: states that `run` works on


@dataclass(frozen=True)
class Planned:
    """A cell with its state; `reason` says why for everything that is not plainly done or missing."""

    cell: Cell
    state: str
    reason: str | None = None
    record: Record | None = None


def plan(suite: Suite, store: Store) -> list[Planned]:
    """The state of every cell, in the suite's order. Activates the suite's plugins."""
    registry.activate(suite.plugins)
    records = {record.id: record for record in store.records(suite.name)}
    return [_state(cell, records.get(cell.id), suite, store) for cell in suite.cells]


def lacking(metrics: tuple[str, ...], cell: Cell, record: Record) -> list[str]:
    """Columns that the suite asks for and the record does not have, or has by an older definition."""
    wanted = expected_metrics(metrics, cell)
    return [name for name, parts in wanted.items() if not parts.items() <= record.metrics.get(name, {}).items()]


def has_own_data(cell: Cell) -> bool:
    """True if nobody published checksums of the dataset's files: they are the user's, and may be replaced."""
    constants = registry.describe("datasets", cell.dataset.name).constants
    return not constants["embedded"] and not constants.get("md5")


def counts(planned: list[Planned]) -> dict[str, int]:
    """State → number of cells, only states that occur, in the order of first appearance."""
    found: dict[str, int] = {}
    for item in planned:
        found[item.state] = found.get(item.state, 0) + 1
    return found


def exit_code(states: dict[str, int]) -> int:
    """0 all is settled; 1 some cells failed or have a damaged record; 3 some are still open."""
    if states.get("failed") or states.get("damaged"):
        return 1
    return 3 if any(states.get(s) for s in (*OPEN, "running")) else 0


def limited(planned: list[Planned], limit: int | None) -> list[Planned]:
    """The same without the open cells after the first `limit` of them."""
    surplus = {p.cell.id for p in [p for p in planned if p.state in OPEN][limit:]} if limit else set()
    return [p for p in planned if p.cell.id not in surplus]


def estimate(planned: list[Planned], records: list[Record]) -> dict[str, Any]:
    """Seconds and bytes of the open cells, from what like `records` of any suite took; None where there are none."""
    like = _by_kind(records)
    costs = [_cost(p.cell, like) for p in planned if p.state in OPEN]
    known = [c for c in costs if c is not None]
    seconds = sum(s for s, _ in known)
    return {
        "open": len(costs),
        "without_estimate": len(costs) - len(known),
        "cell_seconds": round(seconds, 1) if known else None,
        "bytes": sum(b for _, b in known) if known else None,
    }


def _state(cell: Cell, record: Record | None, suite: Suite, store: Store) -> Planned:
    if cell.skip is not None:
        return Planned(cell, "skipped", cell.skip, record)
    if record is not None and record.status in ("failed", "diverged", DAMAGED):
        return Planned(cell, record.status, record.reason, record)
    if record is not None and record.status == "done":
        lack = lacking(suite.metrics, cell, record)
        state = "partial" if lack else "done"
        return Planned(cell, state, f"not computed yet: {', '.join(lack)}" if lack else None, record)
    try:
        holder = store.holder(suite.name, cell.id)
    except ResultError as error:
        return Planned(cell, DAMAGED, str(error))
    return Planned(cell, "missing") if holder is None else Planned(cell, "running", str(holder))


def _by_kind(records: list[Record]) -> dict[tuple[Any, ...], list[tuple[Record, int]]]:
    """Dataset, variant and net → the finished records that share them, each with the bytes of its folder."""
    found: dict[tuple[Any, ...], list[tuple[Record, int]]] = {}
    for record in records:
        if record.status == "done":
            with os.scandir(record.folder) as files:
                size = sum(file.stat(follow_symlinks=False).st_size for file in files)
            kind = tuple(record.cell.get(part) for part in ("dataset", "variant", "net"))
            found.setdefault(kind, []).append((record, size))
    return found


def _cost(cell: Cell, like: dict[tuple[Any, ...], list[tuple[Record, int]]]) -> tuple[float, int] | None:
    """Mean seconds and bytes of the recorded cells that share dataset, variant and net; epochs scale the training."""
    found = like.get((cell.dataset.name, cell.variant.name, cell.net.name if cell.net else None))
    if not found:
        return None
    seconds = [_scaled(r, cell.train.epochs) + float(r.timings.get("evaluate", 0)) for r, _ in found]
    return sum(seconds) / len(seconds), sum(size for _, size in found) // len(found)


def _scaled(record: Record, epochs: int) -> float:
    done = record.training.get("epochs") or epochs
    return float(record.timings.get("train", 0)) * epochs / done
