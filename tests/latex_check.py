r"""A strict reader of the LaTeX that the report prints: what it would stumble over, in words. No LaTeX is needed.

Far narrower than LaTeX: it knows the commands that the report uses and complains of every other one, of bytes beyond
ASCII, of special characters outside their place, of unbalanced braces, and of rows that do not fill their columns.
"""

import re

GREEK = """alpha beta gamma delta varepsilon zeta eta theta iota kappa lambda mu nu xi pi rho varsigma sigma tau upsilon
varphi chi psi omega vartheta phi epsilon varrho Gamma Delta Theta Lambda Xi Pi Sigma Upsilon Phi Psi Omega"""
MATHS = {*GREEK.split(), "pm", "times", "cdot", "leq", "geq", "approx", "neq", "downarrow", "uparrow", "|", "infty"}
WORDS = {
    "begin", "end", "centering", "caption", "label", "ref",
    "toprule", "midrule", "bottomrule", "cmidrule", "multicolumn",
    "textbf", "bfseries", "num", "sisetup", "pm", "textsuperscript",
    "textsubscript", "par", "smallskip", "footnotesize", "ldots", "textbackslash",
    "small", "scriptsize", "shortstack",
    "raggedright", "allowbreak", "setlength", "tabcolsep", "resizebox", "linewidth", "width",
    "ifdim", "else", "fi",
    "textasciitilde", "textasciicircum", "textasciigrave", "textless", "textgreater", "textbar", "L", "i", "c", "k",
}  # fmt: skip
SYMBOLS = set("&%$#_{}\\,'`\"~^=.")
SPEC = r"(?:[lrc]|S\[table-format=-?\d+(?:\.\d+)?(?:\(\d+\))?\])"
#: What siunitx takes bare in an S column; everything else stands in braces
NUMERIC = re.compile(r"(\\bfseries )?-?\d+(\.\d+)?( \\pm \d+(\.\d+)?)?|\{.*\}|")
TOKEN = re.compile(r"\\([A-Za-z]+)|\\(.)|(.)", re.DOTALL)


def complaints(text):
    """Everything that is wrong with some LaTeX, one sentence each; [] for sound text."""
    lines = [line.removesuffix("%") if line.endswith("{%") else line
             for line in text.splitlines() if not line.startswith("%")]  # fmt: skip
    return [*_tokens("\n".join(lines)), *_tables("\n".join(lines)), *_arguments("\n".join(lines))]


def _tokens(text):
    depth, maths, found = 0, False, []
    for word, symbol, character in TOKEN.findall(_without_names(text)):
        if word and word not in (MATHS if maths else WORDS):
            found.append(f"unknown command \\{word}")
        elif symbol and symbol not in SYMBOLS | MATHS:
            found.append(f"unknown command \\{symbol}")
        elif character == "$":
            maths = not maths
        elif character in ("{", "}"):
            depth += 1 if character == "{" else -1
            found += ["a brace too many"] if depth < 0 else []
        elif character and (character in '_^#%"' or not character.isascii()):
            found.append(f"raw {character!r}")
    return found + (["a brace is left open"] if depth > 0 else []) + (["a $ is left open"] if maths else [])


def _without_names(text):
    """Labels, column specifications and settings hold names, not text."""
    return re.sub(rf"\\(label|ref|begin|end|sisetup)\{{([\w:*, =-]+)\}}(\{{{SPEC}+\}})?", r"\\\1{}", text)


def _tables(text):
    found = []
    for spec, body in re.findall(rf"\\begin\{{tabular\}}\{{({SPEC}+)\}}(.*?)\\end\{{tabular\}}", text, re.DOTALL):
        kinds = re.findall(SPEC, spec)
        rows = [line for line in body.splitlines() if line.endswith(r"\\")]
        widths = [_columns(row) for row in rows]
        found += [f"{width} columns of {len(kinds)}: {row}" for row, width in zip(rows, widths, strict=True)
                  if width != len(kinds)]  # fmt: skip
        found += [f"a column for numbers holds {cell!r}" for row in rows for kind, cell in _aligned(kinds, row)
                  if kind[0] == "S" and not NUMERIC.fullmatch(cell)]  # fmt: skip
        found += [] if rows else ["a table without rows"]
    if text.count(r"\begin{tabular}") != len(re.findall(rf"\\begin\{{tabular\}}\{{{SPEC}+\}}", text)):
        found.append("unknown column specification")
    return found


def _aligned(kinds, row):
    """The cells of a row with their column's type; none of a row with spans."""
    cells = [cell.strip() for cell in re.split(r"(?<!\\)&", row.removesuffix(r"\\"))]
    return zip(kinds, cells, strict=False) if r"\multicolumn" not in row else []


def _columns(row):
    """How many columns a row fills."""
    spans = [int(n) for n in re.findall(r"\\multicolumn\{(\d+)\}", row)]
    return len(re.split(r"(?<!\\)&", row)) + sum(spans) - len(spans)


def _arguments(text):
    r"""A `[` or `*` that follows `\\` or a rule is read as its argument."""
    return [f"read as an argument: {match!r}" for match in
            re.findall(r"(?:\\\\|\\(?:top|mid|bottom)rule|\\cmidrule\(lr\)\{[\d-]+\})\s*[\[*].*", text)]  # fmt: skip
