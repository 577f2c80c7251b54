"""bench: a reproduction-paper benchmark suite for autoencoders and VAEs.

    bench.load_suite("digits")             a validated suite, from a file or a mapping
    bench.run(suite, datasets={...})       compute what is missing; a pandas DataFrame, a row for each cell
    bench.table("digits", format="latex")  the comparison table as text, LaTeX or a DataFrame
    bench.load_results("results")          every record in one DataFrame
    bench.load_model("3f2a9c")             the trained model of a cell, ready to encode and generate
    bench.evaluate(model, "mnist")         any model, measured by the protocol of every suite
    bench.Data.from_arrays(...)            images in memory as a dataset

The command line is `bench --help`. Importing this package imports no torch.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

    from bench.api import Data, evaluate, load_suite, run, table

__version__ = "0.3.0"

__all__ = ["Data", "__version__", "evaluate", "load_model", "load_results", "load_suite", "run", "table"]


def load_results(results: str | Path = "results", suite: str | None = None) -> "pd.DataFrame":
    """The records of one suite, or of all under `results`, as a table: see `bench.results.frame.load_results`."""
    from bench.results import frame

    return frame.load_results(results, suite)


def load_model(cell: str, results: str | Path = "results") -> Any:
    """The trained model of a cell, ready to encode and generate: see `bench.training.saved.load_model`."""
    from bench.training import saved

    return saved.load_model(cell, results)


def __getattr__(name: str) -> Any:
    """What is in `bench.api`, imported when it is first asked for."""
    if name not in __all__:
        raise AttributeError(f"module 'bench' has no attribute {name!r}")
    from bench import api

    return getattr(api, name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
