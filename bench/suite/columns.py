"""The columns of results that a suite asks of a cell: a metric alone, or one for each sampler, space or corruption."""

from bench import registry

from .cells import Cell
from .names import members


def expected_metrics(metrics: tuple[str, ...], cell: Cell) -> dict[str, dict[str, int]]:
    """Column name → the versions that define it, for every value that the suite asks of a cell."""
    columns: dict[str, dict[str, int]] = {}
    for name in metrics:
        per = registry.describe("metrics", name).constants.get("per")
        for member in members(per, cell.evaluate):
            columns[f"{name}_{member}" if member else name] = versions(name, per, member)
    return columns


def versions(metric: str, per: str | None, member: str | None) -> dict[str, int]:
    """The versions that are recorded beside a column's value: the metric's, and its sampler's."""
    found = {"version": registry.describe("metrics", metric).constants.get("version", 1)}
    if per == "sampler" and member is not None:
        found["sampler_version"] = registry.describe("samplers", member).constants.get("version", 1)
    return found
