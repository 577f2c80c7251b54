"""How the rows of a table stand over all its columns: the average rank and the interquartile mean of each.

Ranks are those of Demšar 2006. The interquartile mean (IQM) with its stratified bootstrap interval is that of Agarwal
et al. 2021, https://arxiv.org/abs/2108.13264: over the seeds of all columns, a column a stratum, each scaled first.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bench.results.stats import Aggregate, aggregate, average_ranks

if TYPE_CHECKING:
    from .model import Place, Table


@dataclass(frozen=True)
class Standing:
    """One row over the columns used; `iqm` is None where no column has a scale."""

    rank: float
    iqm: Aggregate | None


@dataclass(frozen=True)
class Standings:
    """Every row's standing, the best rank first."""

    rows: "dict[Place, Standing]"
    ranked: "tuple[Place, ...]"  #: columns in which every row has all its seeds
    scaled: "tuple[Place, ...]"  #: those of them in which the rows' means differ
    columns: int  #: of the table

    @property
    def flat(self) -> int:
        """Columns that are ranked and have no scale."""
        return len(self.ranked) - len(self.scaled)


def standings(table: "Table") -> Standings | None:
    """Average rank and IQM of each row, over the columns in which every row has all its seeds.

    In each column the best row's mean becomes 1 and the worst's 0, and every seed's value is scaled alike; a column of
    equal means has no such scale and is ranked only. Columns with a hole are left out for all rows. None for a metric
    without a direction, where rows are of different datasets, for fewer than two columns, and where all have holes.
    """
    if not _comparable(table):
        return None
    means = {row: {column: _mean(table, row, column) for column in table.columns} for row in table.rows}
    found = average_ranks(means, table.better)
    ranked = tuple(column for column in table.columns if column not in found.left_out)
    if not ranked:
        return None
    scaled = tuple(column for column in ranked if len({means[row][column] for row in table.rows}) > 1)
    rows = {row: Standing(rank, _aggregate(table, row, scaled)) for row, rank in found.means.items()}
    return Standings(dict(sorted(rows.items(), key=lambda item: item[1].rank)), ranked, scaled, len(table.columns))


def sentences(table: "Table") -> tuple[str, ...]:
    """What a table's note says of its standings: over which columns, how scaled, and what is left out."""
    if not _comparable(table):
        return ()
    found = standings(table)
    if found is None:
        return ("No average ranks: every column misses a number.",)
    holes = found.columns - len(found.ranked)
    left_out = f"; {holes} with missing numbers left out" if holes else ""
    said = [f"Average ranks (1 is best) are over {len(found.ranked)} of {found.columns} columns{left_out}."]
    return (*said, *_scale_said(found))


def _scale_said(found: Standings) -> list[str]:
    if not found.scaled:
        return ["No interquartile means: in each of these columns all rows have the same mean."]
    flat = f"; left out: {found.flat}, where all means are equal" if found.flat else ""
    return [
        f"Interquartile means (IQM) are over the seeds of {len(found.scaled)} of them{flat}. Each column is scaled so "
        "that of these rows the best mean is 1 and the worst 0; in brackets the 95 % interval of a bootstrap "
        "stratified by column, where each has at least 3 seeds."
    ]


def _comparable(table: "Table") -> bool:
    return table.better in ("lower", "higher") and len(table.columns) > 1 and "dataset" not in table.row_axes


def _mean(table: "Table", row: "Place", column: "Place") -> float | None:
    value = table.cells.get((row, column))
    return value.summary.mean if value and value.summary and value.complete else None


def _aggregate(table: "Table", row: "Place", columns: "tuple[Place, ...]") -> Aggregate | None:
    return aggregate([_scaled(table, row, column) for column in columns]) if columns else None


def _scaled(table: "Table", row: "Place", column: "Place") -> list[float]:
    """A row's seeds on the column's scale, on which a value may also be below 0 or above 1."""
    means = [mean for other in table.rows if (mean := _mean(table, other, column)) is not None]
    worst, best = (max(means), min(means)) if table.better == "lower" else (min(means), max(means))
    return [(value - worst) / (best - worst) for _, value in sorted(table.cells[row, column].seeds.items())]
