"""bench: a reproduction-paper benchmark suite for autoencoders and VAEs.

Two functions are all a notebook needs:

    bench.load_results("results")          every record in one pandas DataFrame, a row a cell
    bench.load_model("3f2a9c", "results")  the trained model of a cell, ready to encode and generate

Everything else is the command line: `python -m bench --help`.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

__version__ = "0.3.0"

__all__ = ["__version__", "load_model", "load_results"]


def load_results(results: str | Path = "results", suite: str | None = None) -> "pd.DataFrame":
    """The records of one suite, or of all under `results`, as a table: see `bench.results.frame.load_results`."""
    from bench.results import frame

    return frame.load_results(results, suite)


def load_model(cell: str, results: str | Path = "results") -> Any:
    """The trained model of a cell, ready to encode and generate: see `bench.training.saved.load_model`."""
    from bench.training import saved

    return saved.load_model(cell, results)
