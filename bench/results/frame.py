"""All records in one table."""

from pathlib import Path
from typing import Any

import pandas as pd

from .store import Record, Store, row


def load_results(results: str | Path = "results", suite: str | None = None) -> pd.DataFrame:
    """The records of one suite, or of all under `results`, as a table: parameters, status, a column a metric.

    A row a cell. Of all suites, a cell that several share, since they ask for the same model, is still one row, so that
    no average counts it twice: `suites` names them all, separated by commas, `suite` the one whose record it is, and
    metrics that only another of them asked for are filled in from there. Of one suite, the rows are its own records.

    Only cells of each suite's present grid: trials with `--set` and cells of earlier versions are left out.
    """
    store = Store(Path(results))
    if suite:
        return pd.DataFrame([{"suite": suite} | row(record) for record in store.current(suite)])
    cells: dict[str, list[Record]] = {}
    for record in (record for name in store.suites() for record in store.current(name)):
        cells.setdefault(record.id, []).append(record)
    return pd.DataFrame([_row(records) for records in cells.values()])


def _row(records: list[Record]) -> dict[str, Any]:
    """One row of a cell out of its records in several suites: a done one's, filled in from the other done ones."""
    first, *others = sorted(records, key=lambda record: record.status != "done")
    found = {"suite": first.suite, "suites": ", ".join(record.suite for record in records)} | row(first)
    for other in (other for other in others if other.status == "done"):
        more = {name: entry.get("value") for name, entry in other.metrics.items()}
        found |= {name: value for name, value in more.items() if found.get(name) is None}
    return found
