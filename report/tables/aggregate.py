"""Rows over all columns of a table: average rank and interquartile mean.

Ranks follow Demšar 2006. The interquartile mean (IQM) with its stratified bootstrap interval follows Agarwal et al.
2021, https://arxiv.org/abs/2108.13264: it is taken over the seeds of all columns, one stratum per column, after scaling
each column. Strata must be independent: columns that measure the same models, such as several samplers, have an IQM
without an interval. (Three such columns of 20 seeds: 74 % of the nominal 95 % intervals cover, in a simulation.)
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Any

from bench.results.stats import FEWEST_FOR_BOOTSTRAP, Aggregate, aggregate, average_ranks

from .model import Table
from .names import ARROWS, EMPTY, CellKey, format_number, row_texts

HEADS = ["Average rank", "IQM"]  #: of the two columns behind the row's own
FIELDS = ("average_rank", "ranked_columns", "iqm", "iqm_low", "iqm_high", "iqm_columns")  #: in CSV and JSON


@dataclass(frozen=True)
class Standing:
    """One row over the columns used; `iqm` is None where no column has a scale."""

    rank: float
    iqm: Aggregate | None

    @property
    def numbers(self) -> list[list[float]]:
        """The exact numbers below each of `HEADS`: rank; IQM with the ends of its interval."""
        found = self.iqm
        return [[self.rank], [end for end in (found.iqm, found.low, found.high) if end is not None] if found else []]

    @property
    def texts(self) -> list[str]:
        """The same as texts: "1.50", "0.933 [0.901, 0.954]", or "0.933" without an interval."""
        iqm, *interval = [format_number(number, 3) for number in self.numbers[1]] or [EMPTY]
        return [format_number(self.rank, 2), f"{iqm} [{', '.join(interval)}]" if interval else iqm]


@dataclass(frozen=True)
class Standings:
    """The standing of every row, the best rank first."""

    rows: dict[CellKey, Standing]  #: without yardsticks
    ranked: tuple[CellKey, ...]  #: columns in which every row has all its seeds
    scaled: tuple[CellKey, ...]  #: those of them in which the means of the rows differ
    columns: int  #: of the table

    @property
    def flat(self) -> int:
        """Number of ranked columns without a scale."""
        return len(self.ranked) - len(self.scaled)

    def as_data(self, row: CellKey) -> dict[str, Any]:
        """The fields of a row in CSV and JSON; all None for a yardstick."""
        if row not in self.rows:
            return dict.fromkeys(FIELDS)
        standing = self.rows[row]
        iqm = standing.iqm
        ends = (iqm.iqm, iqm.low, iqm.high) if iqm else (None, None, None)
        return dict(zip(FIELDS, (standing.rank, len(self.ranked), *ends, len(self.scaled)), strict=True))

    def grid(self, table: Table) -> list[list[str]]:
        """The table of standings as texts, heads first."""
        body = [[*row_texts(row), *standing.texts] for row, standing in self.rows.items()]
        return [[*map(table.axis, table.row_axes), *HEADS], *body]


def standings(table: Table) -> Standings | None:
    """Average rank and IQM of each row, over the columns in which every row has all its seeds.

    In each column the best mean becomes 1 and the worst 0, and every seed's value is scaled alike; a column of equal
    means has no such scale and is ranked only. A column with a gap is left out for all rows. None for a metric
    without a direction, for rows of different datasets, for fewer than two columns, and where every column has a gap.
    Yardsticks are not compared: the mean image would set the 0 of most scales.
    """
    if not _comparable(table):
        return None
    means = {row: {column: _mean(table, row, column) for column in table.columns} for row in _compared(table)}
    found = average_ranks(means, table.better)
    ranked = tuple(column for column in table.columns if column not in found.left_out)
    if not ranked:
        return None
    scaled = tuple(column for column in ranked if len({means[row][column] for row in means}) > 1)
    rows = {row: Standing(rank, _aggregate(table, row, scaled)) for row, rank in found.means.items()}
    return Standings(dict(sorted(rows.items(), key=lambda item: item[1].rank)), ranked, scaled, len(table.columns))


def standings_heading(table: Table) -> str:
    """The caption of a table of standings."""
    name = ", ".join(filter(None, [table.name, table.dataset_name]))
    return f"{name}: standings over the columns"


def rank_sentences(table: Table) -> tuple[str, ...]:
    """The note on standings: the columns used, the scale, and what is left out."""
    if not _comparable(table):
        return ()
    found = standings(table)
    if found is None:
        return ("No average ranks: every column misses a number.",)
    gaps = found.columns - len(found.ranked)
    left_out = f"; {gaps} with missing numbers left out" if gaps else ""
    ranks = f"Average ranks (1 is best) are over {len(found.ranked)} of {found.columns} columns{left_out}."
    if not found.scaled:
        return ranks, "No interquartile means: in each of these columns all rows have the same mean."
    flat = f"; left out: {found.flat}, where all means are equal" if found.flat else ""
    return ranks, (
        f"Interquartile means (IQM) are over the seeds of {len(found.scaled)} of them{flat}. Each column is scaled so "
        "that the best mean of these rows is 1 and the worst 0. Brackets: 95 % interval of a bootstrap stratified by "
        f"column; there is none where a column has fewer than {FEWEST_FOR_BOOTSTRAP} seeds or columns are of the same "
        "models, since it would cover less."
    )


def _comparable(table: Table) -> bool:
    several = len(table.columns) > 1 and "dataset" not in table.row_axes
    return several and table.better in ARROWS and bool(_compared(table))


def _compared(table: Table) -> list[CellKey]:
    return [row for row in table.rows if row not in table.yardsticks]


def _mean(table: Table, row: CellKey, column: CellKey) -> float | None:
    value = table.cells.get((row, column))
    return value.summary.mean if value and value.summary and value.complete else None


def _aggregate(table: Table, row: CellKey, columns: tuple[CellKey, ...]) -> Aggregate | None:
    if not columns:
        return None
    found = aggregate([_scaled(table, row, column) for column in columns])
    models = {id(table.cells[row, column].group) for column in columns}
    if len(models) == len(columns):
        return found
    return replace(found, low=None, high=None, reason=found.reason or "columns of the same models are not independent")


def _scaled(table: Table, row: CellKey, column: CellKey) -> list[float]:
    """A row's seeds on the column's scale; a single seed may lie below 0 or above 1."""
    means = [mean for other in _compared(table) if (mean := _mean(table, other, column)) is not None]
    worst, best = (max(means), min(means)) if table.better == "lower" else (min(means), max(means))
    return [(value - worst) / (best - worst) for _, value in sorted(table.cells[row, column].seeds.items())]


# -- the section of a suite's page


def view(families: Sequence[Table]) -> list[dict[str, Any]]:
    """One row per configuration and one column per metric, for metrics with standings over at least two datasets.

    Metrics whose rows have the same axes share a table.
    """
    found = [(table, s) for table in families if (s := standings(table)) and len(_datasets(s)) > 1]
    ordered = sorted(found, key=lambda pair: pair[0].row_axes)
    return [_view(list(pairs)) for _, pairs in groupby(ordered, key=lambda pair: pair[0].row_axes)]


def _datasets(found: Standings) -> set[str | int | None]:
    return {dict(column).get("dataset") for column in found.ranked}


def _view(pairs: list[tuple[Table, Standings]]) -> dict[str, Any]:
    rows = dict.fromkeys(row for table, found in pairs for row in table.rows if row in found.rows)
    return {
        "headings": [*map(pairs[0][0].axis, pairs[0][0].row_axes)],
        "metrics": [{"name": table.metric, "title": table.name, "arrow": ARROWS.get(table.better, ""),
                     "columns": _columns_text(found)}
                    for table, found in pairs],
        "rows": [{"heads": row_texts(row), "cells": [_cell(found.rows.get(row)) for _, found in pairs]}
                 for row in rows],
        "suite": pairs[0][0].suite,
    }  # fmt: skip


def _columns_text(found: Standings) -> str:
    flat = f", {len(found.scaled)} with a scale" if found.flat else ""
    return f"{len(found.ranked)} of {found.columns} columns{flat}"


def _cell(standing: Standing | None) -> dict[str, str] | None:
    return dict(zip(("rank", "iqm"), standing.texts, strict=True)) if standing else None
