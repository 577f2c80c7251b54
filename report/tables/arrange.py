"""The rows and columns of a table: which axes they show, how columns are ordered, and which cells are best."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from bench.report.data import AXES, EXTRA_AXES, Coordinates

from bench.results.stats import FEWEST_SEEDS, best, summarise

from .names import EMPTY, CellKey
from .values import Key, Value, key_text

Cells = dict[tuple[CellKey, CellKey], Value]  #: (row, column) -> value

#: The axes that separate two configurations, in the order in which they are added to the rows
SEPARATING = ("label", "net", "likelihood", "dataset", "latent_size", "member", "setting")


def choose_axes(
    every: list[Coordinates], rows: tuple[str, ...], columns: tuple[str, ...], compact: bool = False
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The axes that vary; those that are needed to separate two configurations are added to the rows.

    compact: an axis with one coordinate, which does not apply to some rows, does not vary; the metric is always shown.
    """
    ignored = {None} if compact else set()
    varied = {axis for axis in (*AXES, *EXTRA_AXES, "metric") if len({at.get(axis) for at in every} - ignored) > 1}
    varied |= {"metric"} if compact else set()
    rows = tuple(axis for axis in rows if axis in varied) or rows[:1]
    columns = tuple(axis for axis in columns if axis in varied) or columns[:1]
    for axis in SEPARATING:
        buckets: dict[tuple[CellKey, CellKey], set[Any]] = {}
        for at in every:
            buckets.setdefault((cell_key(at, rows), cell_key(at, columns)), set()).add(at.get(axis))
        if axis not in (*rows, *columns) and any(len(found) > 1 for found in buckets.values()):
            rows = (*rows, axis)
    return rows, columns


def cell_key(at: Coordinates, axes: Iterable[str]) -> CellKey:
    """The coordinates on some axes."""
    return tuple((axis, at.get(axis)) for axis in axes)


def split_by_key(cells: Cells, single: str = EMPTY) -> Cells:
    """One column per key where values of one dataset and column were measured under different keys.

    single: the coordinate of a column with one key.

    Different datasets always have other images and classifiers; their values are not compared, so they need no split.
    """
    keys: dict[Any, dict[Key, None]] = {}
    for (_, column), value in cells.items():
        found = keys.setdefault((column, value.at.get("dataset")), {})
        if value.seeds:
            found.setdefault(value.key)
    if all(len(found) < 2 for found in keys.values()):
        return cells
    split = {}
    for (row, column), value in cells.items():
        among = keys[column, value.at.get("dataset")]
        key = value.key if value.seeds else next(iter(among), ())
        split[row, (*column, ("key", key_text(key, among) or single))] = value
    return split


def sort_columns(columns: Iterable[CellKey]) -> tuple[CellKey, ...]:
    """Numbers by size, words in order of appearance, axis by axis."""
    every = list(dict.fromkeys(columns))
    ranks: list[dict[Any, int]] = []
    for coordinates in zip(*every, strict=True):
        found = list(dict.fromkeys(coordinate for _, coordinate in coordinates))
        if all(isinstance(x, int) for x in found):
            found.sort()
        ranks.append({x: rank for rank, x in enumerate(found)})
    return tuple(sorted(every, key=lambda c: tuple(rank[part[1]] for rank, part in zip(ranks, c, strict=True))))


def mark_best(cells: Cells) -> Cells:
    """Mark the best values of each column, separately for each dataset. Yardsticks are not compared.

    Rows with a missing seed are not candidates, since the missing value may be the worst. Nothing is marked where such
    a row, or one of too few seeds, has the better mean.
    """
    winners = {(row, column) for (column, _), values in _compared(cells).items() for row in _best_rows(values)}
    return {place: replace(value, best=place in winners) for place, value in cells.items()}


def most_compared(cells: Cells) -> list[Value]:
    """The values of the column with the most rows that can be marked as best; of several columns, the first."""
    able = [[value for value in values.values() if value.complete and len(value.seeds) >= FEWEST_SEEDS]
            for values in _compared(cells).values()]  # fmt: skip
    return max(able, key=len, default=[])


def _compared(cells: Cells) -> dict[tuple[CellKey, Any], dict[CellKey, Value]]:
    """Column and dataset -> the measured values of its rows, without yardsticks."""
    compared: dict[tuple[CellKey, Any], dict[CellKey, Value]] = {}
    for (row, column), value in cells.items():
        if value.seeds and not value.yardstick:
            compared.setdefault((column, value.at.get("dataset")), {})[row] = value
    return compared


def _best_rows(values: dict[CellKey, Value]) -> set[CellKey]:
    better = next(iter(values.values())).better
    found = best({row: value.seeds for row, value in values.items() if value.complete}, better)
    sign = -1 if better == "higher" else 1
    first = min(values, key=lambda row: sign * summarise(list(values[row].seeds.values())).mean)
    return found if first in found else set()
