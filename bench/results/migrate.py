"""Cells recorded under an id that held the path of their data get the id of this version; nothing is computed again.

The old id stays as an alias in the record. A cell is copied under its new id, its record last, before the old one is
removed, so that a kill at any moment loses nothing and the next call goes on.
"""

import json
import struct
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from bench.errors import BenchError, UsageError
from bench.suite.cells import Cell, location

from .files import copy_file, read_bytes, read_json, write_bytes, write_json
from .record import DAMAGED
from .store import Store

RECORD, CHECKPOINT = "record.json", "checkpoint.safetensors"


def migrate(results: Path, suite: str) -> dict[str, str]:
    """Rename a suite's cells. Returns old id → new id.

    Raises `UsageError` for a suite never run, and where a process is computing a cell that would be renamed.
    """
    store = Store(results)
    content = store.suite(suite)
    if DAMAGED in content:
        raise UsageError(f"{content[DAMAGED]}; `bench run` of the suite writes it anew, then cells can be migrated")
    cells = {record.id: record.cell for record in store.records(suite) if record.status != DAMAGED}
    renamed = {old: new for old, cell in cells.items() if (new := _renamed(old, cell))}
    for old, cell in renamed.items():
        _move(store, suite, old, cell)
    if former := former_ids(content):
        entries = [_entry(entry, former) for entry in content["cells"]]
        store.write_suite(suite, {**content, "cells": entries})
    if renamed or former:
        store.write_csv(suite)
    return {old: cell.id for old, cell in renamed.items()}


def former_ids(content: Mapping[str, Any]) -> dict[str, Cell]:
    """Ids in suite.json that an earlier version made from the path of the data → the cell with its present id."""
    entries = [entry for entry in content.get("cells", []) if "cell" in entry]
    return {entry["id"]: cell for entry in entries if (cell := _renamed(entry["id"], entry["cell"]))}


def _renamed(old: str, recorded: Mapping[str, Any]) -> Cell | None:
    """The cell under its present id; None where `old` is not an id made from a path."""
    try:
        cell = Cell.from_record(recorded)
        if cell.former_id != old:
            return None
    except (BenchError, ValidationError, KeyError, TypeError, ValueError):
        return None
    private = any(str(place) in cell.dataset_label for place in location("datasets", cell.dataset).values())
    return replace(cell, dataset_label=cell.dataset.title("datasets")) if private else cell


def _entry(entry: dict[str, Any], former: Mapping[str, Cell]) -> dict[str, Any]:
    cell = former.get(entry["id"])
    return entry if cell is None else {**entry, "id": cell.id, "cell": cell.as_record()}


def _move(store: Store, suite: str, old: str, cell: Cell) -> None:
    source, target = store.folder(suite, old), store.folder(suite, cell.id)
    with store.claim(suite, old) as ours, store.claim(suite, cell.id) as free:
        if not (ours and free):
            raise UsageError(f"{source}: a process is computing this cell; migrate the suite when it has ended")
        content = read_json(source / RECORD)
        names = sorted(p.name for p in source.iterdir() if not p.name.startswith(".") and p.is_file())
        if not (target / RECORD).exists():  # or the cell was computed again, or a kill came before the end of this
            for name in names:
                if name == CHECKPOINT:
                    write_bytes(target / name, with_train_id(read_bytes(source / name), cell.train_id))
                elif name != RECORD:
                    copy_file(source / name, target / name)
            if isinstance(content.get("training"), dict) and "train_id" in content["training"]:
                content["training"]["train_id"] = cell.train_id
            aliases = [*(content.get("aliases") or []), old]
            write_json(target / RECORD, content | {"id": cell.id, "cell": cell.as_record(), "aliases": aliases})
        elif old not in (read_json(target / RECORD).get("aliases") or []):
            raise UsageError(f"{source} and {target} are the same cell, computed twice; remove the one you do not want")
        for name in [RECORD, *(name for name in names if name != RECORD)]:
            (source / name).unlink()


def with_train_id(content: bytes, train_id: str) -> bytes:
    """A checkpoint with another `train_id` in its header; one that cannot be read stays as it is.

    A safetensors file begins with the length of its header, 8 bytes, little-endian; the header is JSON.
    """
    try:
        (size,) = struct.unpack_from("<Q", content)
        header = json.loads(content[8 : 8 + size])
        about = json.loads(header["__metadata__"]["bench"])
        header["__metadata__"]["bench"] = json.dumps(about | {"train_id": train_id}, sort_keys=True)
    except (ValueError, TypeError, KeyError, struct.error, RecursionError, OverflowError):
        return content
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)  # tensors stay aligned
    return struct.pack("<Q", len(text)) + text + content[8 + size :]
