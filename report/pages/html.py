"""Text as HTML: paragraphs of documentation, links in references, commands, numbers."""

import re
import shlex
from collections.abc import Sequence
from typing import Any

from bench.report.data import number, words
from bench.report.tables.names import format_significant
from bench.report.tables.values import CODE
from markupsafe import Markup, escape

#: A web address; parentheses in it come in pairs, as in older DOIs
URL = re.compile(r"https?://(?:[^\s<>\"'()\[\]{}\\]|\([^\s<>\"'()\[\]{}\\]*\))+(?<![.,;:])")
#: The second line of a table in a docstring
RULE = re.compile(r"\|(?:\s*:?-+:?\s*\|)+")


def linked(text: Any) -> Markup:
    """Escaped text with its web addresses as links.

    >>> print(linked("see https://a.org/x. <b>"))
    see <a href="https://a.org/x" rel="noreferrer">https://a.org/x</a>. &lt;b&gt;
    """
    source, parts, end = words(text, 20_000, lines=True), [], 0
    for match in URL.finditer(source):
        url = escape(match.group())
        parts += [escape(source[end : match.start()]), f'<a href="{url}" rel="noreferrer">{url}</a>']
        end = match.end()
    return Markup("".join([*parts, escape(source[end:])]))  # noqa: S704  (every part is escaped)


def coded(text: Any) -> Markup:
    """Escaped text with the names between backticks as code.

    >>> print(coded("the folder `<inception>` is missing & needed"))
    the folder <code>&lt;inception&gt;</code> is missing &amp; needed
    """
    parts = CODE.split(words(text, 300))
    return Markup("").join(Markup("<code>{}</code>").format(part) if index % 2 else escape(part)
                           for index, part in enumerate(parts))  # fmt: skip


def paragraphs(text: Any) -> Markup:
    """A docstring as HTML: paragraphs are joined, tables are tables, indented or list-like blocks keep their lines."""
    blocks = re.split(r"\n\s*\n", words(text, 20_000, lines=True).strip("\n"))
    return Markup("").join(_paragraph(block) for block in blocks if block.strip())


def _paragraph(block: str) -> Markup:
    lines = block.split("\n")
    if len(lines) > 2 and all(line.startswith("|") for line in lines) and RULE.fullmatch(lines[1]):
        return _table([_row(line) for line in (lines[0], *lines[2:])])
    if any(re.match(r"\s{2,}|[|>+*-]", line) for line in lines):
        return Markup("<pre>{}</pre>").format(linked(block))
    return Markup("<p>{}</p>").format(prose(" ".join(line.strip() for line in lines)))


def _row(line: str) -> list[Markup]:
    """The cells of a line `| a | b |`; a bar without spaces around it, as in p(x|z), is text."""
    return [prose(cell.strip()) for cell in line.strip().removeprefix("|").removesuffix("|").split(" | ")]


def _table(rows: list[list[Markup]]) -> Markup:
    head = Markup("").join(Markup('<th scope="col">{}</th>').format(cell) for cell in rows[0])
    lines = [
        Markup("").join(Markup('<td class="word source">{}</td>').format(cell) for cell in row) for row in rows[1:]
    ]
    body = Markup("").join(Markup("<tr>{}</tr>").format(line) for line in lines)
    table = Markup('<table class="numbers words"><thead><tr>{}</tr></thead><tbody>{}</tbody></table>').format(
        head, body
    )
    return Markup('<div class="scroll" tabindex="0" role="region" aria-label="Table">{}</div>').format(table)


def prose(text: Any) -> Markup:
    """Escaped text with links, and the names between backticks as code."""
    parts = CODE.split(words(text, 20_000, lines=True))
    return Markup("").join(Markup("<code>{}</code>").format(part) if index % 2 else linked(part)
                           for index, part in enumerate(parts))  # fmt: skip


def figure(value: Any, digits: int = 5) -> str:
    """A number with a few significant digits; anything else as text.

    >>> figure(407050), figure("cpu")
    ('407 050', 'cpu')
    """
    found = number(value)
    return words(value, 300) if found is None else format_significant(found, digits)


def command(suite: str, cell: dict[str, Any], overrides: Sequence[str] = ()) -> str:
    """The shell command that computes one cell again (`--force`: also a finished one), with quoted words.

    >>> command("demo", {"label": "a b", "net": None, "latent_size": 2, "seed": 0})
    "python -m bench run suites/demo.yaml --only 'label=a b' --only latent_size=2 --only seed=0 --force"
    """
    names = {
        "dataset": "dataset_label",
        "label": "label",
        "net": "net_label",
        "latent_size": "latent_size",
        "seed": "seed",
    }
    parts = ["python", "-m", "bench", "run", f"suites/{suite}.yaml"]
    parts += [word for override in overrides for word in ("--set", override)]
    for name, field in names.items():
        if cell.get(field) is not None:
            parts += ["--only", f"{name}={words(cell[field], 300)}"]
    return shlex.join([*parts, "--force"])
