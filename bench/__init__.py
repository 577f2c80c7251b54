"""bench: a reproduction-paper benchmark suite for autoencoders and VAEs.

Two functions are all a notebook needs:

    bench.load_results("results")          every record in one pandas DataFrame, a row a cell
    bench.load_model("3f2a9c", "results")  the trained model of a cell, ready to encode and generate

Everything else is the command line: `python -m bench --help`.
"""

from collections.abc import Callable
from pathlib import Path
from types import MethodType
from typing import TYPE_CHECKING, Any

from .errors import UsageError
from .version import __version__

if TYPE_CHECKING:
    import pandas as pd

    from .store import Record

__all__ = ["__version__", "load_model", "load_results"]


def load_results(results: str | Path = "results", suite: str | None = None) -> "pd.DataFrame":
    """The records of one suite, or of all under `results`, as a table: parameters, status, a column a metric.

    A row a cell. Of all suites, a cell that several share, since they ask for the same model, is still one row, so that
    no average counts it twice: `suites` names them all, separated by commas, `suite` the one whose record it is, and
    metrics that only another of them asked for are filled in from there. Of one suite, the rows are its own records.

    Only cells of each suite's present grid: trials with `--set` and cells of earlier versions are left out.
    """
    import pandas as pd

    from .store import Store, row

    store = Store(Path(results))
    if suite:
        return pd.DataFrame([{"suite": suite} | row(record) for record in store.current(suite)])
    cells: dict[str, list[Record]] = {}
    for record in (record for name in store.suites() for record in store.current(name)):
        cells.setdefault(record.id, []).append(record)
    return pd.DataFrame([_row(records) for records in cells.values()])


def _row(records: "list[Record]") -> dict[str, Any]:
    """One row of a cell out of its records in several suites: a done one's, filled in from the other done ones."""
    from .store import row

    first, *others = sorted(records, key=lambda record: record.status != "done")
    found = {"suite": first.suite, "suites": ", ".join(record.suite for record in records)} | row(first)
    for other in (other for other in others if other.status == "done"):
        more = {name: entry.get("value") for name, entry in other.metrics.items()}
        found |= {name: value for name, value in more.items() if found.get(name) is None}
    return found


def load_model(cell: str, results: str | Path = "results") -> Any:
    """The trained model of a cell, on the CPU in evaluation mode, its parameters without gradients.

    `.encode(x)` → codes (B, D), `.posterior(x)` → mean and log_var, each (B, D), `.generate(z)` → images (B, C, H, W).
    x: float32 (B, C, H, W) in [0, 1], of the cell's image size. A conditional model takes labels (B,) int64 as well:
    `.encode(x, y)`, `.generate(z, y)`. Images of another shape or type raise `UsageError`, and `.posterior` of a model
    that has none `NotApplicable`.

    cell: the beginning of the id of a cell you have trained: committed results come without checkpoints, so a suite has
    to be run first. Raises `UsageError` for an unknown or ambiguous id, `ResultError` if its checkpoint is damaged or
    not there.
    """
    from . import checkpoint
    from .errors import ResultError
    from .store import Store
    from .suite import Choice

    record = Store(Path(results)).find(cell)
    path = record.folder / "checkpoint.safetensors"
    if not path.is_file():
        raise ResultError(f"cell {record.id} has no checkpoint at {path}; run its suite again to make it")
    c = record.cell
    net = Choice(c["net"], c["net_options"]) if c["net"] else None
    model = checkpoint.build(
        tuple(record.about["dataset"]["shape"]),
        Choice(c["variant"], c["options"]),
        net,
        Choice(c["likelihood"], c["likelihood_options"]),
        c["latent_size"],
        len(record.about["dataset"]["classes"]),
    )
    return _checking_images(checkpoint.restore(model, path).requires_grad_(False))


def _checking_images(model: Any) -> Any:
    """The model, with one clear message where `encode` or `posterior` is given something else than its images."""
    for name in ("encode", "posterior"):
        setattr(model, name, MethodType(_checked(name), model))  # bound, so that a deep copy has its own
    return model


def _checked(name: str) -> Callable[..., Any]:
    def method(model: Any, x: Any, y: Any = None) -> Any:
        shape, kind = tuple(model.net.size.shape), str(getattr(x, "dtype", type(x).__name__))
        given = tuple(getattr(x, "shape", ()))
        if len(given) != 4 or given[1:] != shape or kind != "torch.float32":
            wanted = f"torch.float32 of shape (B, {', '.join(map(str, shape))}) in [0, 1]"
            raise UsageError(f"{name} takes images as {wanted}, not {kind}{f' of shape {given}' * bool(given)}")
        return getattr(type(model), name)(model, x, y)

    return method
