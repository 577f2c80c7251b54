r"""A table as LaTeX: booktabs and siunitx (2 or 3), ASCII only, nothing out of a record runs as a command.

Numbers stand in siunitx's S columns, aligned at the decimal point, with their interval behind a ±. Bold needs numbers
in text mode there: siunitx 3 prints parts of an aligned uncertainty in mathematics, which cannot become bold.

What a text may hold beyond ASCII is written with commands that plain LaTeX has: Greek and signs as mathematics,
accented letters as accents. A character that LaTeX cannot be asked for so is named by its number, `(U+304B)`.
"""

import re
import unicodedata

from .layout import Slot, parts, slots, spans
from .model import Table
from .said import CellParts, names, table_notes

SETUP = r"\sisetup{separate-uncertainty, detect-weight, mode=text, group-minimum-digits=9}"
MEAN = re.compile(r"(-?)(\d+)(?:\.(\d+))?(?: ± (\d+)(?:\.(\d+))?)?")  #: sign, whole, decimals, the half-width's two
LONE = re.compile(r"-?\d+(?:\.\d+)?(?:e[+-]?\d+)?")

SPECIAL = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{", "}": r"\}",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": r"\textless{}", ">": r"\textgreater{}",
    "|": r"\textbar{}", '"': "''", "`": r"\textasciigrave{}",
}  # fmt: skip

SIGNS = {
    "−": "$-$", "±": r"$\pm$", "×": r"$\times$", "·": r"$\cdot$", "÷": r"$\div$", "√": r"$\surd$", "∞": r"$\infty$",
    "≤": r"$\leq$", "≥": r"$\geq$", "≈": r"$\approx$", "≠": r"$\neq$", "∼": r"$\sim$", "∝": r"$\propto$",
    "∈": r"$\in$", "∑": r"$\sum$", "∏": r"$\prod$", "∫": r"$\int$", "∂": r"$\partial$", "∇": r"$\nabla$",
    "‖": r"$\|$", "∥": r"$\|$", "←": r"$\leftarrow$", "→": r"$\rightarrow$", "↔": r"$\leftrightarrow$",
    "↑": r"$\uparrow$", "↓": r"$\downarrow$", "⇒": r"$\Rightarrow$", "ℓ": r"$\ell$", "′": r"$'$",
    "–": "--", "—": "---", "‐": "-", "⁄": "/", "‑": "-", "…": r"\ldots{}", "°": r"\textdegree{}", "†": r"\dag{}",
    "‡": r"\ddag{}", "§": r"\S{}", "¶": r"\P{}", "©": r"\copyright{}", "•": r"\textbullet{}", "“": "``", "”": "''",
    "„": ",,", "‘": "`", "’": "'", "«": "$\\ll$", "»": "$\\gg$", "¿": "?`", "¡": "!`", "\u00a0": "~", "\u202f": r"\,",
    "ß": r"\ss{}", "æ": r"\ae{}", "Æ": r"\AE{}", "œ": r"\oe{}", "Œ": r"\OE{}", "ø": r"\o{}", "Ø": r"\O{}",
    "ł": r"\l{}", "Ł": r"\L{}", "ı": r"\i{}",
}  # fmt: skip

_GREEK = {
    "αβγδεζηθικλμνξπ": "alpha beta gamma delta varepsilon zeta eta theta iota kappa lambda mu nu xi pi",
    "ρςστυφχψωϑϕϵϱ": "rho varsigma sigma tau upsilon varphi chi psi omega vartheta phi epsilon varrho",
    "ΓΔΘΛΞΠΣΥΦΨΩ": "Gamma Delta Theta Lambda Xi Pi Sigma Upsilon Phi Psi Omega",
    "µ": "mu",
}
_LATIN_LIKE = dict(zip("οΑΒΕΖΗΙΚΜΝΟΡΤΧ", "oABEZHIKMNOPTX", strict=True))  # no commands of their own
_ACCENTS = dict(zip("\u0300\u0301\u0302\u0303\u0308\u0304\u0307\u0306\u030a\u030b\u030c\u0327\u0328",
                    "`'^~\"=.urHvck", strict=True))  # fmt: skip
_SCRIPTS = {"<super>": "textsuperscript", "<sub>": "textsubscript"}

CHARACTERS = {
    **SPECIAL, **SIGNS, **_LATIN_LIKE,
    **{c: rf"$\{name}$" for letters, said in _GREEK.items() for c, name in zip(letters, said.split(), strict=True)},
}  # fmt: skip


def escape_latex(text: str) -> str:
    r"""Text that LaTeX prints as it is.

    >>> print(escape_latex("50 % of a_b, σ² = 1, --set, naïve"))
    50 \% of a\_b, $\sigma$\textsuperscript{2} = 1, -{}-set, na\"{\i}ve
    """
    apart = re.sub("-(?=-)", "-\0", text.replace("\0", ""))  # or two hyphens would be printed as one dash
    return "".join("{}" if character == "\0" else _character(character) for character in apart)


def _character(character: str) -> str:
    if character in CHARACTERS:
        return CHARACTERS[character]
    if " " <= character <= "\x7e":
        return character
    base, *rest = unicodedata.decomposition(character).split() or [""]
    if base in _SCRIPTS and len(rest) == 1:
        return rf"\{_SCRIPTS[base]}{{{_character(chr(int(rest[0], 16)))}}}"
    if len(rest) == 1 and not base.startswith("<") and chr(int(rest[0], 16)) in _ACCENTS:
        return _accented(chr(int(base, 16)), _ACCENTS[chr(int(rest[0], 16))])
    plainer = unicodedata.normalize("NFKC", character)  # such as a full-width letter
    return "".join(map(_character, plainer)) if plainer != character else f"(U+{ord(character):04X})"


def _accented(letter: str, accent: str) -> str:
    above = accent not in "ck"  # a dot under an accent is not printed
    inner = rf"\{letter}" if letter in "ij" and above else _character(letter)
    return rf"\{accent}{{{inner}}}"


def latex(tables: list[Table]) -> str:
    r"""A `table` environment each."""
    return "\n".join(_latex(table) for table in tables)


def _latex(table: Table) -> str:
    columns = slots(table)
    cells = {(row, slot): parts(table, row, slot) for row in table.rows for slot in columns}
    rows = [
        _row([*map(escape_latex, names(row)), *(_cell(cells[row, slot]) for slot in columns)]) for row in table.rows
    ]
    caption = escape_latex(f"{table.heading}. {table.summary}".strip())
    label = re.sub(r"[^A-Za-z0-9:-]", "-", table.id)
    notes = [rf"\par\smallskip{{\footnotesize {escape_latex(note)}}}" for note in table_notes(table)]
    specs = "".join(_spec([cells[row, slot] for row in table.rows]) for slot in columns)
    return "\n".join([
        "% needs \\usepackage{booktabs, siunitx}", r"\begin{table}", r"\centering", SETUP,
        rf"\caption{{{caption}}}", rf"\label{{tab:{label}}}",
        rf"\begin{{tabular}}{{{'l' * len(table.row_axes)}{specs}}}", r"\toprule", *_head(table, columns), r"\midrule",
        *rows, r"\bottomrule", r"\end{tabular}", *notes, r"\end{table}", "",
    ])  # fmt: skip


def _row(cells: list[str]) -> str:
    r"""A line of the table. One that begins with `[` or `*` would be read as an argument of the `\\` before it."""
    line = " & ".join(cells) + r" \\"
    return f"{{}}{line}" if line.startswith(("[", "*")) else line


def _head(table: Table, columns: list[Slot]) -> list[str]:
    """One line an axis; equal neighbours of all but the last share a spanning head with a rule."""
    lines, left = [], len(table.row_axes)
    for level in range(len(table.column_axes) - 1):
        found = spans(table, level)
        cells = [rf"\multicolumn{{{n}}}{{c}}{{{escape_latex(word)}}}" for word, n in found]
        lines.append(_row([*[""] * left, *cells]))
        start, rules = left + 1, []
        for _, n in found:
            rules.append(rf"\cmidrule(lr){{{start}-{start + n - 1}}}")
            start += n
        lines.append(" ".join(rules))
    last = [f"{{{escape_latex(slot.last_head)}}}" for slot in columns]
    return [*lines, _row([*(escape_latex(table.axis(axis)) for axis in table.row_axes), *last])]


def _spec(column: list[CellParts]) -> str:
    """The type of a column: S with room for its widest number, or centred where it has none."""
    found = [match for said in column if (match := _aligned(_plain(said.text)))]
    if not found:
        return "c"
    sign = "-" if any(match[1] for match in found) else ""
    whole, decimals = (max(len(match[i] or "") for match in found) for i in (2, 3))
    half = max((len(match[4]) + len(match[5] or "") for match in found if match[4]), default=0)
    room = f"({half})" if half else ""
    return f"S[table-format={sign}{whole}{f'.{decimals}' if decimals else ''}{room}]"


def _cell(said: CellParts) -> str:
    r"""A number bare, for the S column to align; everything else in braces, with the numbers in it under `\num`."""
    bold, text = r"\bfseries " if said.best else "", _plain(said.text)
    if _aligned(text) and not said.partial and not said.marks:
        return bold + text.replace("±", r"\pm")
    marks = rf"\textsuperscript{{{said.marks}}}" if said.marks else ""
    return f"{{{bold}{'; '.join(map(_piece, text.split('; ')))}{escape_latex(said.partial)}{marks}}}"


def _piece(text: str) -> str:
    return rf"\num{{{text.replace('±', chr(92) + 'pm')}}}" if _aligned(text) or LONE.fullmatch(text) else _words(text)


def _words(text: str) -> str:
    return escape_latex(text.replace("-", "−") if re.match(r"-?\d", text) else text)


def _aligned(text: str) -> re.Match[str] | None:
    """A mean, alone or with a half-width of as many decimals and not zero, or nothing.

    siunitx gives others decimals that they do not have, and prints no uncertainty of zero.
    """
    match = MEAN.fullmatch(text)
    if match and match[4] is not None:
        same, zero = len(match[3] or "") == len(match[5] or ""), not (match[4] + (match[5] or "")).strip("0")
        return match if same and not zero else None
    return match


def _plain(text: str) -> str:
    """Numbers as TeX reads them."""
    return text.replace("−", "-")
