r"""A table as LaTeX: booktabs and siunitx (2 or 3), ASCII only; no text of a record can run as a command.

Numbers stand in siunitx's S columns, aligned at the decimal point, with their interval behind a ±. Bold numbers are set
in text mode: siunitx 3 typesets parts of an aligned uncertainty as mathematics, which cannot become bold.
"""

import re
import unicodedata

from .aggregate import standings, standings_heading
from .model import CellParts, PrintedColumn, Table
from .names import CellKey, row_texts
from .width import SETTINGS, Setting, fit, stacked

SETUP = r"\sisetup{%sdetect-weight, mode=text, group-minimum-digits=9}"
MEAN = re.compile(r"(-?)(\d+)(?:\.(\d+))?(?: ± (\d+)(?:\.(\d+))?)?")  #: sign, integer, decimals; half-width likewise
#: Scales a box down to the width of the text, and leaves one that fits
SHRINK = r"\resizebox{\ifdim\width>\linewidth\linewidth\else\width\fi}{!}{%"
#: The note on numbers such as 1.23(12)
COMPACT = "The digits in parentheses are the half-width in units of the last digits."
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
    """A `table` environment, or `table*` for the width of a page."""
    columns = table.printed_columns
    cells = {(row, column): table.parts(row, column) for row in table.rows for column in columns}
    rows = [_line([*map(escape_latex, row_texts(row)), *(_cell(cells[row, column]) for column in columns)])
            for row in table.rows]  # fmt: skip
    apart = next((index for index, row in enumerate(table.rows) if row in table.yardsticks), 0)
    rows[apart:apart] = [r"\midrule"] if apart else []
    specs = "".join(_spec([cells[row, column] for row in table.rows]) for column in columns)
    setting = fit(_column_texts(table, cells), table.width) if table.width else SETTINGS[0]
    notes = [*table.all_notes[:1], *([COMPACT] if setting.compact else []), *table.all_notes[1:]]
    caption = f"{table.heading}. {table.summary}" if table.summary else table.heading
    kind = "table*" if table.width == "page" else "table"
    return "\n".join([
        f"% needs \\usepackage{{booktabs, {'graphicx, ' if table.width else ''}siunitx}}",
        rf"\begin{{{kind}}}", r"\centering", SETUP % ("" if setting.compact else "separate-uncertainty, "),
        *_body(table, caption, "", specs, _head(table, columns), rows, notes, setting), rf"\end{{{kind}}}", "",
    ])  # fmt: skip


def _column_texts(table: Table, cells: dict[tuple[CellKey, PrintedColumn], CellParts]) -> list[list[str]]:
    """The texts of each column, from which its width is estimated."""
    heads = [[table.axis(axis), *(row_texts(row)[index] for row in table.rows)]
             for index, axis in enumerate(table.row_axes)]  # fmt: skip
    for column in table.printed_columns:
        parts = [cells[row, column] for row in table.rows]
        bold = ["*" if p.best else "" for p in parts]
        texts = [f"{star}{p.text}{p.partial}{p.marks}{star}" for star, p in zip(bold, parts, strict=True)]
        heads.append([*stacked(column.last_head), *texts])
    return heads


def latex_standings(table: Table) -> str:
    """The standings below a table, "" where there are none."""
    found = standings(table)
    if not found:
        return ""
    head, *rows = [_line([*map(escape_latex, row)]) for row in found.grid(table)]
    body = _body(table, standings_heading(table), "-standings", "rl", [head], rows, [table.stamp], SETTINGS[0])
    return "\n".join(["", r"\begin{table}", r"\centering", *body, r"\end{table}", ""])


def _body(
    table: Table, caption: str, suffix: str, specs: str, head: list[str], rows: list[str], notes: list[str],
    setting: Setting,
) -> list[str]:  # fmt: skip
    """Caption, tabular and notes; a tabular of a given width is scaled down if its width was underestimated."""
    label = re.sub(r"[^A-Za-z0-9:-]", "-", table.id)
    tabular = [
        rf"\begin{{tabular}}{{{'l' * len(table.row_axes)}{specs}}}", r"\toprule", *head, r"\midrule", *rows,
        r"\bottomrule", r"\end{tabular}",
    ]  # fmt: skip
    if table.width:
        tabular = ["{" + "".join(setting.commands) + SHRINK, *tabular, "}}"]
    note = r"\par\smallskip{\footnotesize\raggedright %s\par}" if table.width else r"\par\smallskip{\footnotesize %s}"
    texts = [escape_latex(text) for text in notes]
    if table.width:  # long lists and paths may break after a comma or a slash
        texts = [re.sub(r"([,/])(?=\S)", r"\1\\allowbreak{}", text) for text in texts]
    return [rf"\caption{{{escape_latex(caption)}}}", rf"\label{{tab:{label}{suffix}}}", *tabular,
            *(note % text for text in texts)]  # fmt: skip


def _line(cells: list[str]) -> str:
    r"""A row. A first `[` or `*` is kept apart, since `\\` in the line before would read it as its argument."""
    line = " & ".join(cells) + r" \\"
    return f"{{}}{line}" if line.startswith(("[", "*")) else line


def _head(table: Table, columns: list[PrintedColumn]) -> list[str]:
    """One line per axis; equal neighbours of all axes but the last share a spanning head with a rule."""
    lines, left = [], len(table.row_axes)
    for level in range(len(table.column_axes) - 1):
        spans = table.spans(level, columns)
        lines.append(
            _line([*[""] * left, *(rf"\multicolumn{{{n}}}{{c}}{{{escape_latex(word)}}}" for word, n in spans)])
        )
        ends = [left + sum(n for _, n in spans[: index + 1]) for index in range(len(spans))]
        rules = [rf"\cmidrule(lr){{{end - n + 1}-{end}}}" for end, (_, n) in zip(ends, spans, strict=True)]
        lines.append(" ".join(rules))
    last = [f"{{{escape_latex(column.last_head)}}}" for column in columns]
    if table.width:
        last = [f"{{{_stack(stacked(column.last_head))}}}" for column in columns]
    return [*lines, _line([*(escape_latex(table.axis(axis)) for axis in table.row_axes), *last])]


def _stack(lines: list[str]) -> str:
    """Lines above each other in a head."""
    escaped = [escape_latex(line) for line in lines]
    return escaped[0] if len(lines) == 1 else rf"\shortstack{{{escaped[0]}\\{escaped[1]}}}"


def _spec(column: list[CellParts]) -> str:
    """The type of a column: S with room for its widest number, or centred where it has none."""
    found = [match for parts in column if (match := _aligned(_ascii_minus(parts.text)))]
    if not found:
        return "c"
    sign = "-" if any(match[1] for match in found) else ""
    integer, decimals = (max(len(match[i] or "") for match in found) for i in (2, 3))
    half = max((len(match[4]) + len(match[5] or "") for match in found if match[4]), default=0)
    room = f"({half})" if half else ""
    return f"S[table-format={sign}{integer}{f'.{decimals}' if decimals else ''}{room}]"


def _cell(parts: CellParts) -> str:
    r"""A bare number for the S column to align; any other text in braces, with its numbers in `\num`."""
    bold, text = r"\bfseries " if parts.best else "", _ascii_minus(parts.text)
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
