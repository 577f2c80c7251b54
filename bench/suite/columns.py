"""The columns of results that a suite asks of a cell: a metric alone, or one for each sampler, space or corruption."""

from typing import Any

from bench import registry

from .cells import Cell
from .names import members


def expected_metrics(metrics: tuple[str, ...], cell: Cell) -> dict[str, dict[str, Any]]:
    """Column name → the versions that define it, for every value that the suite asks of a cell."""
    columns: dict[str, dict[str, Any]] = {}
    for name in metrics:
        per = registry.describe("metrics", name).constants.get("per")
        for member in members(per, cell.evaluate):
            columns[f"{name}_{member}" if member else name] = versions(name, per, member)
    return columns


def versions(metric: str, per: str | None, member: str | None) -> dict[str, Any]:
    """The versions that are recorded beside a column's value: the metric's, and its sampler's.

    A plugin has the sha256 of its file as well.
    """
    declared = registry.describe("metrics", metric)
    found: dict[str, Any] = {"version": declared.constants.get("version", 1)}
    found |= {"sha256": declared.sha256} if declared.sha256 else {}
    if per == "sampler" and member is not None:
        sampler = registry.describe("samplers", member)
        found["sampler_version"] = sampler.constants.get("version", 1)
        found |= {"sampler_sha256": sampler.sha256} if sampler.sha256 else {}
    return found
