"""Tables: from groups of records to rows and columns, in every format, and back from a pasted text.

names → values → footnotes, published → model → aggregate → build → text, latex, data: each imports those before it.
`parse` and `check` read a pasted table again; `compare` compares two result sets.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from bench.report.data import load

from bench import registry
from bench.errors import UsageError, did_you_mean

from . import data, latex, text
from .build import build_tables
from .model import Table

#: Format -> the text of one table and of the standings below it
PRINTED: dict[str, tuple[Callable[[Table], str], Callable[[Table], str]]] = {
    "text": (text.plain, text.plain_standings),
    "markdown": (text.markdown, text.markdown_standings),
    "latex": (latex.latex, latex.latex_standings),
}
DATA = {"csv": data.csv_text, "json": data.json_text}
FORMATS = (*PRINTED, *DATA)


def format_tables(tables: Sequence[Table], style: str, ranked: bool = False) -> str:
    """Tables in one of `FORMATS`, with the standings of their rows if `ranked`."""
    if style in DATA:
        return DATA[style](tables, data.standing_fields(tables)) if ranked else DATA[style](tables)
    one, below = PRINTED[style]
    return "\n".join(one(table) + (below(table) if ranked else "") for table in tables)


@registry.built_in_only()
def table(
    results: Path,
    suite: str,
    format: str = "text",  # noqa: A002  (the flag of the verb)
    metrics: str | Sequence[str] = (),
    rows: str | Sequence[str] | None = None,
    columns: str | Sequence[str] | None = None,
    **options: Any,
) -> str:
    """The output of `bench table SUITE`; several names are a sequence or one text with commas; `options`: see `build`.

    Raises `UsageError` for an unknown suite, format, metric, axis, dataset or column, and where nothing is recorded.
    """
    if format not in FORMATS:
        raise UsageError(f"unknown format {format!r}{did_you_mean(format, FORMATS)}")
    tables = build_tables(load(Path(results), suite), metrics, rows, columns, **options)
    return format_tables(tables, format, bool(options.get("ranked")))
