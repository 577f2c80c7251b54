r"""A table as LaTeX: booktabs and siunitx (2 or 3), ASCII only; no text of a record can run as a command.

Numbers stand in siunitx's S columns, aligned at the decimal point, with their interval behind a ±. Bold numbers are set
in text mode: siunitx 3 typesets parts of an aligned uncertainty as mathematics, which cannot become bold.
"""

import re
import unicodedata

from .aggregate import standings, standings_heading
from .model import CellParts, PrintedColumn, Table
from .names import CellKey, row_texts
from .width import LONG, SETTINGS, Layout, Texts, layout, natural, stack

SETUP = r"\sisetup{%sdetect-weight, mode=text, group-minimum-digits=9}"
MEAN = re.compile(r"(-?)(\d+)(?:\.(\d+))?(?: ± (\d+)(?:\.(\d+))?)?")  #: sign, integer, decimals; half-width likewise
#: Scales a box down to the width of the text, and leaves one that fits
SHRINK = r"\resizebox{\ifdim\width>\linewidth\linewidth\else\width\fi}{!}{%"
STANDINGS_ROWS = 36  #: of a float at the size of the text; more are divided
#: The note on numbers such as 1.23(12)
COMPACT = "The digits in parentheses are the half-width in units of the last digits."
Cells = dict[tuple[CellKey, PrintedColumn], CellParts]
ZERO_HALF = re.compile(r"± 0\.0+$")  #: a half-width of zero, printed with one digit in a compact table
LONE = re.compile(r"-?\d+(?:\.\d+)?(?:e[+-]?\d+)?")

CHARACTERS = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{", "}": r"\}",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": r"\textless{}", ">": r"\textgreater{}",
    "|": r"\textbar{}", '"': "''", "`": r"\textasciigrave{}", "\u00a0": "~", "–": "--", "—": "---", "‐": "-", "‑": "-",
    "“": "``", "”": "''", "‘": "`", "’": "'", "…": r"\ldots{}", "§": r"\S{}", "†": r"\dag{}", "‡": r"\ddag{}",
    "ß": r"\ss{}", "æ": r"\ae{}", "Æ": r"\AE{}", "ø": r"\o{}", "Ø": r"\O{}", "œ": r"\oe{}", "Œ": r"\OE{}",
    "ł": r"\l{}", "Ł": r"\L{}", "ı": r"\i{}",
}  # fmt: skip
MATHS = {
    "−": "-", "±": r"\pm", "×": r"\times", "·": r"\cdot", "÷": r"\div", "√": r"\surd", "∞": r"\infty", "≤": r"\leq",
    "≥": r"\geq", "≈": r"\approx", "≠": r"\neq", "∼": r"\sim", "‖": r"\|", "∥": r"\|", "∈": r"\in", "∂": r"\partial",
    "∇": r"\nabla", "→": r"\rightarrow", "←": r"\leftarrow", "↑": r"\uparrow", "↓": r"\downarrow", "ℓ": r"\ell",
}  # fmt: skip
#: Combining accent -> the letter of its command
ACCENTS = dict(zip("\u0300\u0301\u0302\u0303\u0308\u0304\u0307\u0306\u030a\u030b\u030c\u0327\u0328",
                   "`'^~\"=.urHvck", strict=True))  # fmt: skip
SCRIPTS = {"<super>": "textsuperscript", "<sub>": "textsubscript"}
GREEK = re.compile("GREEK (SMALL|CAPITAL) LETTER (?:FINAL )?([A-Z]+)")
#: Greek letters without a command: they look like these Latin ones
LATIN_LIKE = dict(zip("οΑΒΕΖΗΙΚΜΝΟΡΤΧ", "oABEZHIKMNOPTX", strict=True))


def escape_latex(text: str) -> str:
    r"""Text that LaTeX prints unchanged.

    Greek letters and signs become mathematics, accented letters accents. A character without a LaTeX command is
    printed by its code point, `(U+304B)`.

    >>> print(escape_latex("50 % of a_b, σ² = 1, --set, naïve"))
    50 \% of a\_b, $\sigma$\textsuperscript{2} = 1, -{}-set, na\"{\i}ve
    """
    apart = re.sub("-(?=-)", "-\0", text.replace("\0", ""))  # two adjacent hyphens would print as one dash
    return "".join("{}" if character == "\0" else _character(character) for character in apart)


def _character(character: str) -> str:
    if character in CHARACTERS:
        return CHARACTERS[character]
    if " " <= character <= "\x7e":
        return character
    if character in MATHS or character in LATIN_LIKE:
        return f"${MATHS[character]}$" if character in MATHS else LATIN_LIKE[character]
    base, *rest = unicodedata.decomposition(character).split() or [""]
    other = chr(int(rest[0], 16)) if len(rest) == 1 else ""
    if other and base in SCRIPTS:
        return rf"\{SCRIPTS[base]}{{{_character(other)}}}"
    if other in ACCENTS and not base.startswith("<"):
        return _accented(chr(int(base, 16)), ACCENTS[other])
    if greek := GREEK.fullmatch(unicodedata.name(character, "")):
        name = greek[2].replace("LAMDA", "LAMBDA").lower()
        return f"$\\{name.capitalize() if greek[1] == 'CAPITAL' else name}$"
    plainer = unicodedata.normalize("NFKC", character)  # such as a full-width letter
    return "".join(map(_character, plainer)) if plainer != character else f"(U+{ord(character):04X})"


def _accented(letter: str, accent: str) -> str:
    above = accent not in "ck"  # an accent above replaces the dot of i and j
    inner = rf"\{letter}" if letter in "ij" and above else _character(letter)
    return rf"\{accent}{{{inner}}}"


def latex(table: Table) -> str:
    """A `table` environment, or `table*` where it is wider than a column; several where it is taller than a page.

    Without a width, a table that fits a column at the size of the text is set as it is; a wider one fits a page. The
    notes stand below the first part. Every part ends with the stamp.
    """
    columns = table.printed_columns
    cells = {(row, column): table.parts(row, column) for row in table.rows for column in columns}
    texts, notes = _texts(table, cells), table.all_notes
    as_is = not table.width and natural(texts, notes)
    every = (range(len(columns)),), (range(len(table.rows)),)
    found = Layout(SETTINGS[0], False, *every) if as_is else layout(texts, table.width or "page", [*notes, COMPACT])
    parts = [_part(table, cells, [columns[i] for i in part], rows, found, as_is)
             for part in found.parts for rows in found.rows]  # fmt: skip
    setting = found.setting
    notes[1:1] = [COMPACT] if setting.compact else []
    caption = f"{table.heading}. {table.summary}" if table.summary else table.heading
    first, others = (parts[0], parts[1:]) if found.floats else (_stack_parts(parts), [])
    floats = [_float(table, caption, "", first, notes, as_is), *(_continued(table, part) for part in others)]
    kind = "table" if as_is or table.width == "column" else "table*"
    setup = SETUP % ("" if setting.compact else "separate-uncertainty, ")
    return "\n".join([
        f"% needs \\usepackage{{booktabs, {'' if as_is else 'graphicx, '}siunitx}}",
        *(line for body in floats
          for line in (rf"\begin{{{kind}}}", r"\centering", setup, *body, rf"\end{{{kind}}}")), "",
    ])  # fmt: skip


def _stack_parts(parts: list[list[str]]) -> list[str]:
    """All parts in one float."""
    return [*parts[0], *(line for part in parts[1:] for line in (r"\par\smallskip", *part))]


def _part(
    table: Table, cells: Cells, columns: list[PrintedColumn], rows: range, found: Layout, as_is: bool
) -> list[str]:  # fmt: skip
    """The lines of a tabular with some of the columns and rows; scaled down if it has to fit and is still too wide."""
    compact = found.setting.compact
    lines = []
    for index in rows:
        row = table.rows[index]
        names = [_name(text, found.stacked) for text in row_texts(row)]
        first_yardstick = row in table.yardsticks and table.rows[index - 1] not in table.yardsticks
        lines += [r"\midrule"] if first_yardstick and index > rows.start else []
        lines.append(_line([*names, *(_cell(cells[row, column], compact) for column in columns)]))
    specs = "".join(_spec([cells[row, column] for row in table.rows], compact) for column in columns)
    tabular = _tabular("l" * len(table.row_axes) + specs, _head(table, columns, found.stacked, as_is), lines)
    if as_is:
        return tabular
    return ["{" + "".join(found.setting.commands) + SHRINK, *tabular, "}}"]


def _tabular(specs: str, head: list[str], rows: list[str]) -> list[str]:
    return [rf"\begin{{tabular}}{{{specs}}}", r"\toprule", *head, r"\midrule", *rows, r"\bottomrule", r"\end{tabular}"]


def _texts(table: Table, cells: Cells) -> Texts:
    """The texts of each column, of which its width is computed."""
    names = [[table.axis(axis), *(row_texts(row)[index] for row in table.rows)]
             for index, axis in enumerate(table.row_axes)]  # fmt: skip
    columns, alone = table.printed_columns, _alone(table)
    values = []
    for column in columns:
        heads = [line for text in (*alone.get(column, ()), column.last_head) for line in stack(text)]
        parts = [cells[row, column] for row in table.rows]
        values.append([*heads, *(f"{'*' if p.best else ''}{p.text}{p.partial}{p.marks}" for p in parts)])
    return Texts(names, values)


def _alone(table: Table) -> dict[PrintedColumn, list[str]]:
    """The upper heads that stand over one column only."""
    found: dict[PrintedColumn, list[str]] = {}
    columns = table.printed_columns
    for level in range(len(table.column_axes) - 1):
        at = 0
        for word, count in table.spans(level, columns):
            if count == 1:
                found.setdefault(columns[at], []).append(word)
            at += count
    return found


def latex_standings(table: Table) -> str:
    """The standings below a table, "" where there are none."""
    found = standings(table)
    if not found:
        return ""
    head, *rows = [_line([*map(escape_latex, row)]) for row in found.grid(table)]
    parts = [_tabular("l" * len(table.row_axes) + "rl", [head], rows[at : at + STANDINGS_ROWS])
             for at in range(0, len(rows), STANDINGS_ROWS)]  # fmt: skip
    first = _float(table, standings_heading(table), "-standings", parts[0], [table.stamp], True)
    floats = [first, *(_continued(table, part, "-standings") for part in parts[1:])]
    return "\n".join(["", *(line for body in floats
                            for line in (r"\begin{table}", r"\centering", *body, r"\end{table}")), ""])  # fmt: skip


def _float(
    table: Table, caption: str, suffix: str, lines: list[str], notes: list[str], as_is: bool
) -> list[str]:  # fmt: skip
    """Caption, the lines of the tabulars, and the notes; notes of a table that has to fit break anywhere in lists."""
    return [rf"\caption{{{escape_latex(caption)}}}", rf"\label{{tab:{_label(table)}{suffix}}}", *lines,
            *(_note(text, as_is) for text in notes)]  # fmt: skip


def _continued(table: Table, lines: list[str], suffix: str = "") -> list[str]:
    """A further part of a table in a float of its own, which has no number of its own."""
    heading = rf"{{\footnotesize Table~\ref{{tab:{_label(table)}{suffix}}} (continued)\par\smallskip}}"
    return [heading, *lines, _note(table.stamp, as_is=False)]


def _label(table: Table) -> str:
    return re.sub(r"[^A-Za-z0-9:-]", "-", table.id)


def _note(text: str, as_is: bool) -> str:
    """A note; where the table has to fit, long lists and paths may break after a comma or a slash."""
    if as_is:
        return rf"\par\smallskip{{\footnotesize {escape_latex(text)}}}"
    broken = re.sub(r"([,/])(?=\S)", r"\1\\allowbreak{}", escape_latex(text))
    return rf"\par\smallskip{{\footnotesize\raggedright {broken}\par}}"


def _line(cells: list[str]) -> str:
    r"""A row. A first `[` or `*` is kept apart, since `\\` in the line before would read it as its argument."""
    line = " & ".join(cells) + r" \\"
    return f"{{}}{line}" if line.startswith(("[", "*")) else line


def _head(table: Table, columns: list[PrintedColumn], stacked: bool, as_is: bool) -> list[str]:
    """One line per axis; equal neighbours of all axes but the last share a spanning head with a rule."""
    lines, left = [], len(table.row_axes)
    for level in range(len(table.column_axes) - 1):
        spans = table.spans(level, columns)
        words = [_head_text(word, as_is or n > 1) for word, n in spans]
        spanning = [rf"\multicolumn{{{n}}}{{c}}{{{word}}}" for word, (_, n) in zip(words, spans, strict=True)]
        lines.append(_line([*[""] * left, *spanning]))
        ends = [left + sum(n for _, n in spans[: index + 1]) for index in range(len(spans))]
        rules = [rf"\cmidrule(lr){{{end - n + 1}-{end}}}" for end, (_, n) in zip(ends, spans, strict=True)]
        lines.append(" ".join(rules))
    last = [f"{{{_head_text(column.last_head, as_is)}}}" for column in columns]
    return [*lines, _line([*(_name(table.axis(axis), stacked) for axis in table.row_axes), *last])]


def _head_text(text: str, as_is: bool) -> str:
    return escape_latex(text) if as_is else _stacked(stack(text))


def _name(text: str, stacked: bool) -> str:
    """The name of a row or of an axis."""
    return _stacked(stack(text, LONG), "[l]") if stacked else escape_latex(text)


def _stacked(lines: list[str], place: str = "") -> str:
    """Lines above each other. `[` or `*` at the begin of a line would be read as an argument of the line break."""
    escaped = [f"{{}}{text}" if text.startswith(("[", "*")) else text for text in map(escape_latex, lines)]
    return escaped[0] if len(lines) == 1 else rf"\shortstack{place}{{{escaped[0]}\\{escaped[1]}}}"


def _spec(column: list[CellParts], compact: bool) -> str:
    """The type of a column: S with room for its widest number, or centred where it has none.

    compact: a half-width of 0.0012 is printed as its significant digits, (12).
    """
    found = [match for parts in column if (match := _aligned(_ascii_minus(parts.text)))]
    if not found:
        return "c"
    sign = "-" if any(match[1] for match in found) else ""
    integer, decimals = (max(len(match[i] or "") for match in found) for i in (2, 3))
    halves = [match[4] + (match[5] or "") for match in found if match[4]]
    half = max((len(digits.lstrip("0") if compact else digits) for digits in halves), default=0)
    room = f"({half})" if half else ""
    return f"S[table-format={sign}{integer}{f'.{decimals}' if decimals else ''}{room}]"


def _cell(parts: CellParts, compact: bool) -> str:
    r"""A bare number for the S column to align; any other text in braces, with its numbers in `\num`."""
    bold, text = r"\bfseries " if parts.best else "", _ascii_minus(parts.text)
    if compact:
        text = ZERO_HALF.sub("± 0", text)
    if _aligned(text) and not parts.partial and not parts.marks:
        return bold + text.replace("±", r"\pm")
    marks = rf"\textsuperscript{{{parts.marks}}}" if parts.marks else ""
    return f"{{{bold}{'; '.join(map(_piece, text.split('; ')))}{escape_latex(parts.partial)}{marks}}}"


def _piece(text: str) -> str:
    if _aligned(text) or LONE.fullmatch(text):
        return rf"\num{{{text.replace('±', chr(92) + 'pm')}}}"
    return escape_latex(text.replace("-", "−") if re.match(r"-?\d", text) else text)


def _aligned(text: str) -> re.Match[str] | None:
    """A mean, alone or with a half-width of as many decimals that is not zero.

    siunitx pads numbers of unequal decimals with zeros and omits an uncertainty of zero.
    """
    match = MEAN.fullmatch(text)
    if match and match[4] is not None:
        same, zero = len(match[3] or "") == len(match[5] or ""), not (match[4] + (match[5] or "")).strip("0")
        return match if same and not zero else None
    return match


def _ascii_minus(text: str) -> str:
    return text.replace("−", "-")
