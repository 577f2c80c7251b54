"""A table as data: JSON with rows of cells, and CSV with a line per value. Both hold every condition of a number."""

import json
from collections.abc import Callable, Sequence
from typing import Any

from bench.report.data import flatten, mapping

from bench.results import store

from .aggregate import standings
from .footnotes import classifier_accuracy, commits, dates, settings
from .model import Table
from .names import CellKey
from .values import Value, gap_texts

AXES = ("dataset", "label", "variant", "options", "net", "likelihood", "latent_size", "member", "setting")
NUMBERS = ("mean", "half_width", "std", "n", "planned", "best", "state", "reason", "n_images")

RowFields = Callable[[Table, CellKey], dict[str, Any]]  #: further fields of a row


def _no_fields(table: Table, row: CellKey) -> dict[str, Any]:
    return {}


def standing_fields(tables: Sequence[Table]) -> RowFields:
    """The standings of the rows of these tables as fields."""
    found = {id(table): standings(table) for table in tables}

    def fields(table: Table, row: CellKey) -> dict[str, Any]:
        standing = found[id(table)]
        return standing.as_data(row) if standing else {}

    return fields


def json_text(tables: Sequence[Table], fields: RowFields = _no_fields) -> str:
    """Several tables as JSON: rows of cells, each with its coordinates and conditions."""
    content = {"tables": [_as_json(table, fields) for table in tables]}
    return json.dumps(content, indent=1, ensure_ascii=False) + "\n"


def _as_json(table: Table, fields: RowFields) -> dict[str, Any]:
    return {
        "id": table.id, "table_id": table.table_id, "command": table.command,
        "suite": table.suite, "digest": table.digest, "overrides": table.overrides,
        "metric": table.metric, "unit": table.unit, "better": table.better, "summary": table.summary,
        "row_axes": table.row_axes, "column_axes": table.column_axes, "note": table.note,
        "rows": [_row(table, row) | fields(table, row) for row in table.rows],
    }  # fmt: skip


def _row(table: Table, row: CellKey) -> dict[str, Any]:
    cells = [_cell(table, row, column) for column in table.columns if (row, column) in table.cells]
    return {"at": dict(row), "cells": cells}


def _cell(table: Table, row: CellKey, column: CellKey) -> dict[str, Any]:
    names = ("published", "source", "protocol", "comparable", "because")
    beside = [{name: view[name] for name in names} for view in table.published.get((row, column), ())]
    value = table.cells[row, column]
    of = {} if table.metric else {"metric": value.metric, "unit": value.unit, "better": value.better}
    return {"at": dict(column), **of, **_value(value), "published": beside}


def _value(value: Value) -> dict[str, Any]:
    """A value with its seeds and conditions."""
    summary = value.summary
    return {
        "coordinates": _coordinates(value),
        "mean": summary.mean if summary else None,
        "half_width": summary.half_width if summary else None,
        "std": summary.std if summary else None,
        "n": len(value.seeds), "planned": value.planned, "best": value.best, "state": value.state,
        "reason": "; ".join(gap_texts(value)),
        "n_images": value.images[0] if len(value.images) == 1 else None,
        "seeds": {str(seed): number for seed, number in value.seeds.items()}, "cells": value.ids,
        "key": dict(value.key), "classifier_accuracy": classifier_accuracy(value), "train": settings(value),
        "commits": commits([value]), "dates": dates([value]),
    }  # fmt: skip


def _coordinates(value: Value) -> dict[str, str | int | None]:
    """Every axis, also those that the table does not show, and the variant's options."""
    options = flatten(mapping(value.group.cells[0].cell.get("options")))
    listed = ", ".join(f"{name}={text}" for name, text in options.items() if name)
    at = value.at | value.group.at  # identifiers, also where the table shows names for readers
    return {axis: at.get(axis) for axis in AXES} | {"options": listed or None}


def csv_text(tables: Sequence[Table], fields: RowFields = _no_fields) -> str:
    """All tables as one tidy CSV, a line per value: suite, metric, coordinates, numbers, conditions.

    The `fields` of a row stand in each of its lines.
    """
    lines = [_line(table, *place) | fields(table, place[0]) for table in tables for place in _places(table)]
    columns = sorted(dict.fromkeys(name for line in lines for name in line), key=_order)
    return store.csv_text([{name: line.get(name) for name in columns} for line in lines])


def _order(column: str) -> int:
    """Keys and training settings, which only some tables have, come last."""
    return 1 + column.startswith("key.") + 2 * column.startswith("train.")


def _places(table: Table) -> list[tuple[CellKey, CellKey]]:
    places = ((row, column) for row in table.rows for column in table.columns)
    return [place for place in places if place in table.cells]


def _line(table: Table, row: CellKey, column: CellKey) -> dict[str, Any]:
    value = table.cells[row, column]
    found = _value(value)
    return {
        "metric": table.metric or value.metric, "unit": value.unit, "better": value.better, **found["coordinates"],
        **{name: found[name] for name in NUMBERS},
        "seeds": " ".join(f"{seed}:{number!r}" for seed, number in found["seeds"].items()),
        "classifier_accuracy": found["classifier_accuracy"],
        "published": "; ".join(table.beside(row, column)),
        "suite": table.suite, "digest": table.digest, "overrides": table.overrides,
        "table_id": table.table_id, "command": table.command,
        "commits": "; ".join(found["commits"]), "dates": " ".join(found["dates"]),
        **{f"key.{name}": text for name, text in found["key"].items()},
        **{f"train.{name}": text for name, text in found["train"].items()},
    }  # fmt: skip
