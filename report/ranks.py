"""Average ranks over the columns of a table (Demšar 2006), as a sentence of its note."""

from typing import TYPE_CHECKING, Any

from bench.stats import average_ranks

if TYPE_CHECKING:
    from .tables import Table


def sentences(table: "Table") -> tuple[str, ...]:
    """One sentence: the rank of each row's mean, averaged over the columns in which every row has all its seeds.

    Columns with a hole are counted and left out for all rows. Nothing is said of a metric without a direction, nor
    where rows are of different datasets, nor of fewer than two columns.
    """
    from .said import names

    if table.better not in ("lower", "higher") or len(table.columns) < 2 or "dataset" in table.row_axes:
        return ()
    means = {row: {column: _mean(table, row, column) for column in table.columns} for row in table.rows}
    found = average_ranks(means, table.better)
    left_out = f" {len(found.left_out)} with missing numbers left out." if found.left_out else ""
    if found.n == 0:
        return ("No average ranks: every column misses a number.",)
    said = ", ".join(f"{' '.join(names(row))} {rank:.3g}" for row, rank in sorted(found.means.items(), key=_by_rank))
    return (f"Average rank over {found.n} of {len(table.columns)} columns (1 is best): {said}.{left_out}",)


def _mean(table: "Table", row: Any, column: Any) -> float | None:
    value = table.cells.get((row, column))
    return value.summary.mean if value and value.summary and value.complete else None


def _by_rank(item: tuple[Any, float]) -> float:
    return item[1]
