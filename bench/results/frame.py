"""All records in one table."""

from pathlib import Path
from typing import Any

import pandas as pd

from bench.errors import UsageError

from .store import Record, Store, row


def load_results(results: str | Path = "results", suite: str | None = None) -> pd.DataFrame:
    """The records of one suite, or of all under `results`, as a table: parameters, status, a column a metric.

    A row a cell. Of all suites, a cell that several share, since they ask for the same model, is still one row, so that
    no average counts it twice: `suites` names them all, separated by commas, `suite` the one whose record it is, and
    metrics that only another of them asked for are filled in from there. Of one suite, the rows are its own records.

    Where the values of a metric are of several versions of it (or of its sampler), a column `<metric>_version` says of
    which each is, such as "1", "2" or "1, sampler 2", since values of two versions do not compare.

    Only cells of each suite's present grid: trials with `--set` and cells of earlier versions are left out.

    Raises `UsageError` where there is no such folder, and for a suite that it does not hold.
    """
    store = Store(Path(results))
    if not store.root.is_dir():
        raise UsageError(f"there is no results folder {store.root}")
    if suite:
        records = store.current(suite)
        rows = [{"suite": suite} | row(record) for record in records]
        return pd.DataFrame(_with_versions(rows, [_versions([record]) for record in records]))
    cells: dict[str, list[Record]] = {}
    for record in (record for name in store.suites() for record in store.current(name)):
        cells.setdefault(record.id, []).append(record)
    rows = [_row(records) for records in cells.values()]
    return pd.DataFrame(_with_versions(rows, [_versions(records) for records in cells.values()]))


def _row(records: list[Record]) -> dict[str, Any]:
    """One row of a cell out of its records in several suites: a done one's, filled in from the other done ones."""
    first, *others = _read_in_turn(records)
    found = {"suite": first.suite, "suites": ", ".join(record.suite for record in records)} | row(first)
    for other in others:
        more = {name: entry.get("value") for name, entry in other.metrics.items()}
        found |= {name: value for name, value in more.items() if found.get(name) is None}
    return found


def _read_in_turn(records: list[Record]) -> list[Record]:
    """The record of a row, a done one where there is one, and the other done ones."""
    first, *others = sorted(records, key=lambda record: record.status != "done")
    return [first, *(other for other in others if other.status == "done")]


def _versions(records: list[Record]) -> dict[str, str]:
    """Metric → the versions behind the value that `_row` takes from these records of one cell."""
    found: dict[str, str] = {}
    for record in _read_in_turn(records):
        for name, entry in record.metrics.items():
            if entry.get("value") is not None:
                sampler = entry.get("sampler_version", 1)
                found.setdefault(name, f"{entry.get('version', 1)}" + (f", sampler {sampler}" if sampler != 1 else ""))
    return found


def _with_versions(rows: list[dict[str, Any]], versions: list[dict[str, str]]) -> list[dict[str, Any]]:
    """The rows with a column of versions for each metric whose values are of several."""
    by_metric: dict[str, set[str]] = {}
    for found in versions:
        for name, version in found.items():
            by_metric.setdefault(name, set()).add(version)
    mixed = [name for name, found in by_metric.items() if len(found) > 1]
    return [row | {f"{name}_version": found.get(name) for name in mixed}
            for row, found in zip(rows, versions, strict=True)]  # fmt: skip
