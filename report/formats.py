"""A table as text to paste: plain, Markdown, LaTeX (booktabs), CSV, JSON."""

import csv
import io
import re
from collections.abc import Callable
from itertools import groupby

from .measure import GAPS, Value
from .tables import Place, Table, as_json, dumps, shown

EMPTY = "–"
LATEX = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_",
    "{": r"\{", "}": r"\}",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": r"\textless{}", ">": r"\textgreater{}",
    "|": r"\textbar{}", '"': r"\textquotedbl{}", "−": "$-$", "±": r"$\pm$",
    "↓": r"$\downarrow$", "↑": r"$\uparrow$",
    "×": r"$\times$", "≥": r"$\geq$", "≤": r"$\leq$", "β": r"$\beta$", "σ": r"$\sigma$", "μ": r"$\mu$",
    "–": "--",
    "†": r"\dag{}", "…": r"\ldots{}", "°": r"\textdegree{}", "²": r"\textsuperscript{2}",
}  # fmt: skip


def plain(tables: list[Table]) -> str:
    """Aligned columns for a terminal; `*` marks the best."""
    return "\n".join(_plain(table) for table in tables)


def _plain(table: Table) -> str:
    heads = [*map(table.axis, table.row_axes), *map(column_name, table.columns)]
    body = [[*names(row), *(_cell(table, row, c, "*{}*") for c in table.columns)] for row in table.rows]
    rows = [heads, *body]
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    left = len(table.row_axes)
    text = [_align(row, widths, left) for row in rows]
    rule = "─" * max(map(len, text))
    return "\n".join([table.heading, rule, text[0], rule, *text[1:], rule, *_notes(table), ""])


def _align(row: list[str], widths: list[int], left: int) -> str:
    parts = [c.ljust(w) if i < left else c.rjust(w) for i, (c, w) in enumerate(zip(row, widths, strict=True))]
    return "  ".join(parts).rstrip()


def markdown(tables: list[Table]) -> str:
    """Pipe tables with the notes below."""
    return "\n".join(_markdown(table) for table in tables)


def _markdown(table: Table) -> str:
    heads = [*map(table.axis, table.row_axes), *map(column_name, table.columns)]
    rule = ["---"] * len(table.row_axes) + ["---:"] * len(table.columns)
    lines = [_pipe(map(escape_markdown, heads)), _pipe(rule)]
    for row in table.rows:
        cells = (_cell(table, row, column, "**{}**", "<sup>{}</sup>") for column in table.columns)
        lines.append(_pipe([*map(escape_markdown, names(row)), *cells]))
    notes = "  \n".join(escape_markdown(note) for note in _notes(table))
    return "\n".join([f"**{escape_markdown(table.heading)}**", "", *lines, "", notes, ""])


def _pipe(parts: object) -> str:
    return "| " + " | ".join(parts) + " |"  # type: ignore[arg-type]


def escape_markdown(text: str) -> str:
    r"""Text that Markdown shows as it is.

    >>> print(escape_markdown("a|b_c <i>"))
    a\|b\_c &lt;i>
    """
    return re.sub(r"([\\`*_\[\]|])", r"\\\1", text).replace("&", "&amp;").replace("<", "&lt;")


def latex(tables: list[Table]) -> str:
    r"""A `table` environment each, for booktabs."""
    return "\n".join(_latex(table) for table in tables)


def _latex(table: Table) -> str:
    left, count = len(table.row_axes), len(table.columns)
    rows = []
    for row in table.rows:
        cells = [_latex_cell(table, row, column) for column in table.columns]
        rows.append(" & ".join([*map(escape_latex, names(row)), *cells]) + r" \\")
    caption = escape_latex(f"{table.heading}. {table.summary}".strip())
    label = re.sub(r"[^A-Za-z0-9:-]", "-", table.id)
    notes = [rf"\par\smallskip{{\footnotesize {escape_latex(note)}}}" for note in _notes(table)]
    return "\n".join([
        "% needs \\usepackage{booktabs}", r"\begin{table}", r"\centering",
        rf"\caption{{{caption}}}", rf"\label{{tab:{label}}}",
        rf"\begin{{tabular}}{{{'l' * left}{'r' * count}}}", r"\toprule", *_latex_head(table), r"\midrule",
        *rows, r"\bottomrule", r"\end{tabular}", *notes, r"\end{table}", "",
    ])  # fmt: skip


def _latex_head(table: Table) -> list[str]:
    """One line an axis; equal neighbours of all but the last share a spanning head with a rule."""
    lines, left = [], len(table.row_axes)
    for level in range(len(table.column_axes)):
        last = level == len(table.column_axes) - 1
        first = [escape_latex(table.axis(a)) for a in table.row_axes] if last else [""] * left
        if last:
            lines.append(" & ".join([*first, *(escape_latex(_word(c[level])) for c in table.columns)]) + r" \\")
            continue
        spans = column_spans(table, level)
        cells = [rf"\multicolumn{{{n}}}{{c}}{{{escape_latex(word)}}}" for word, n in spans]
        lines.append(" & ".join([*first, *cells]) + r" \\")
        start, rules = left + 1, []
        for _, n in spans:
            rules.append(rf"\cmidrule(lr){{{start}-{start + n - 1}}}")
            start += n
        lines.append(" ".join(rules))
    return lines


def column_spans(table: Table, level: int) -> list[tuple[str, int]]:
    """Heads of one level with how many columns each spans; a span ends where an upper one does."""
    groups = groupby(table.columns, key=lambda column: column[: level + 1])
    return [(_word(prefix[level]), len(list(members))) for prefix, members in groups]


def _latex_cell(table: Table, row: Place, column: Place) -> str:
    value = table.cells.get((row, column))
    if value is None:
        return EMPTY.replace("–", "--")
    letters = ",".join(table.marks_of(value))
    marks = rf"\textsuperscript{{{letters}}}" if letters else ""
    text = escape_latex(number_text(value, table.decimals[column]))
    return (rf"\textbf{{{text}}}" if value.best else text) + escape_latex(_partial(value)) + marks


def escape_latex(text: str) -> str:
    r"""Text that LaTeX prints as it is.

    >>> print(escape_latex("50 % of a_b"))
    50 \% of a\_b
    """
    return "".join(LATEX.get(character, character) for character in text)


def csv_text(tables: list[Table]) -> str:
    """One line a value, tidy: the coordinates, then the numbers; all tables together."""
    axes = list(dict.fromkeys(a for t in tables for a in (*t.row_axes, *t.column_axes)))
    fields = ["mean", "half_width", "std", "n", "planned", "best", "state", "reason"]
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["metric", "unit", "better", *axes, *fields, "seeds"])
    for table in tables:
        for row in as_json(table)["rows"]:
            for cell in row["cells"]:
                at = {**row["at"], **cell["at"]}
                seeds = " ".join(f"{seed}:{value!r}" for seed, value in cell["seeds"].items())
                numbers = [cell[name] for name in fields]
                head = [table.metric, table.unit, table.better, *(at.get(a) for a in axes)]
                writer.writerow([*head, *numbers, seeds])
    return out.getvalue()


def names(place: Place) -> list[str]:
    return [_word(part) for part in place]


def column_name(column: Place) -> str:
    """A column in one line: "mnist, latent 16"."""
    return ", ".join(f"latent {x}" if axis == "latent_size" else _word((axis, x)) for axis, x in column)


def _word(part: tuple[str, "str | int | None"]) -> str:
    return EMPTY if part[1] in (None, "") else str(part[1])


def number_text(value: Value, decimals: int) -> str:
    """Mean ± half-width, or the word for its absence."""
    summary = value.summary
    if summary is None:
        return GAPS.get(value.state, value.state)
    mean = shown(summary.mean, decimals)
    return mean if summary.half_width is None else f"{mean} ± {shown(summary.half_width, decimals)}"


def _partial(value: Value) -> str:
    """ "(4/5)" where seeds are missing, "(n = 1)" for a lone one."""
    if value.seeds and not value.complete:
        return f" ({len(value.seeds)}/{value.planned})"
    return " (n = 1)" if len(value.seeds) == 1 else ""


def _cell(table: Table, row: Place, column: Place, bold: str, mark: str = "[{}]") -> str:
    value = table.cells.get((row, column))
    if value is None:
        return EMPTY
    text = number_text(value, table.decimals[column])
    letters = ",".join(table.marks_of(value))
    marks = mark.format(letters) if letters else ""
    return (bold.format(text) if value.best else text) + _partial(value) + marks


def _notes(table: Table) -> list[str]:
    return [table.note, *(f"{letter}: {text}." for text, letter in table.marks.items())]


FORMATS: dict[str, Callable[[list[Table]], str]] = {
    "text": plain, "markdown": markdown, "latex": latex, "csv": csv_text, "json": dumps,
}  # fmt: skip
