"""A table as data: JSON, rows of cells; and CSV, a line a value. Both hold every condition beside the number."""

import csv
import io
import json
from collections.abc import Callable
from typing import Any

from bench.report.data import flatten, mapping

from .footnotes import classifier_accuracy, commits, dates, settings
from .model import Place, Table
from .values import Value, gap_texts

AXES = ("dataset", "label", "variant", "options", "net", "likelihood", "latent_size", "member", "setting")
NUMBERS = ("mean", "half_width", "std", "n", "planned", "best", "state", "reason", "n_images")


More = Callable[[Table, Place], dict[str, Any]]  #: what else is known of a row


def _nothing(table: Table, row: Place) -> dict[str, Any]:
    return {}


def dumps(tables: list[Table], more: More = _nothing) -> str:
    """The JSON form of several tables."""
    return json.dumps({"tables": [as_json(table, more) for table in tables]}, indent=1, ensure_ascii=False) + "\n"


def as_json(table: Table, more: More = _nothing) -> dict[str, Any]:
    """A table as plain values: rows of cells, each with its coordinates and conditions."""
    return {
        "id": table.id, "table_id": table.table_id, "command": table.command,
        "suite": table.suite, "digest": table.digest, "overrides": table.overrides,
        "metric": table.metric, "unit": table.unit, "better": table.better, "summary": table.summary,
        "row_axes": table.row_axes, "column_axes": table.column_axes, "note": table.note,
        "rows": [_row(table, row) | more(table, row) for row in table.rows],
    }  # fmt: skip


def _row(table: Table, row: Place) -> dict[str, Any]:
    cells = [_cell(table, row, column) for column in table.columns if (row, column) in table.cells]
    return {"at": dict(row), "cells": cells}


def _cell(table: Table, row: Place, column: Place) -> dict[str, Any]:
    names = ("published", "source", "protocol", "comparable", "because")
    beside = [{name: view[name] for name in names} for view in table.published.get((row, column), ())]
    return {"at": dict(column), **value_json(table.cells[row, column]), "published": beside}


def value_json(value: Value) -> dict[str, Any]:
    """A value, its seeds, and all that it was obtained under."""
    summary = value.summary
    return {
        "coordinates": coordinates(value),
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


def coordinates(value: Value) -> dict[str, str | int | None]:
    """Every axis, whether or not the table shows it, and the variant's options."""
    options = flatten(mapping(value.group.cells[0].cell.get("options")))
    said = ", ".join(f"{name}={text}" for name, text in options.items() if name)
    return {axis: value.at.get(axis) for axis in AXES} | {"options": said or None}


def csv_text(tables: list[Table], more: More = _nothing) -> str:
    """One line a value, tidy: suite, metric, coordinates, numbers, conditions; all tables together.

    What `more` says of a row stands in each of its lines.
    """
    lines = [_line(table, *place) | more(table, place[0]) for table in tables for place in _places(table)]
    out = io.StringIO()
    columns = sorted(dict.fromkeys(name for line in lines for name in line), key=_order)
    writer = csv.DictWriter(out, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(lines)
    return out.getvalue()


def _order(column: str) -> int:
    """The keys and training settings that only some tables have stand together, at the end."""
    return 1 + column.startswith("key.") + 2 * column.startswith("train.")


def _places(table: Table) -> list[tuple[Place, Place]]:
    places = ((row, column) for row in table.rows for column in table.columns)
    return [place for place in places if place in table.cells]


def _line(table: Table, row: Place, column: Place) -> dict[str, Any]:
    found = value_json(table.cells[row, column])
    return {
        "metric": table.metric, "unit": table.unit, "better": table.better, **found["coordinates"],
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
