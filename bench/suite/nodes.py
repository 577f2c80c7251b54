"""A YAML file as ruamel's nodes, which know their lines; and a message that points at one of them."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.composer import Composer
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import Node, ScalarNode
from ruamel.yaml.reader import ReaderError

from bench.errors import SuiteError, printable

from .issues import quote

Mark = tuple[int, int]  #: line and column, from 0

MAX_BYTES = 250_000
MAX_NODES = 10_000  #: what ruamel reads in about a second, with aliases counted as often as they are used


@dataclass(frozen=True)
class Source:
    """A YAML file: its path as messages show it, and its text."""

    name: str
    text: str

    def point_at(self, mark: Mark, message: str) -> str:
        """`file:line:column: message`, and the source line with a caret below it; a window of a long line."""
        head = f"{self.name}:{mark[0] + 1}:{mark[1] + 1}: {message}"
        lines = self.text.splitlines()
        if mark[0] >= len(lines):
            return head
        start = max(0, mark[1] - 60) if len(lines[mark[0]]) > 120 else 0
        shown = printable(lines[mark[0]][start : start + 120].replace("\t", " "))
        number = str(mark[0] + 1)
        return f"{head}\n    {number} | {shown}\n    {' ' * len(number)} | {' ' * (mark[1] - start)}^"


def mark_of(node: Node) -> Mark:
    """Where a node begins."""
    return (node.start_mark.line, node.start_mark.column)


def key_of(node: Node) -> str:
    """The text of a key; "?" for one that is no single word."""
    return str(node.value) if isinstance(node, ScalarNode) else "?"


def read_text(path: Path) -> str:
    """The text of a file. Raises `SuiteError` where there is none, or it is too large."""
    try:
        with path.open("rb") as stream:
            raw = stream.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise SuiteError([f"{path}: there is no such file"]) from None
    except IsADirectoryError:
        raise SuiteError([f"{path}: is a folder, not a suite file"]) from None
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        raise SuiteError([f"{path}: cannot be read ({getattr(error, 'strerror', None) or error})"]) from None
    if len(raw) > MAX_BYTES:
        raise SuiteError([f"{path}: is larger than {MAX_BYTES // 1000} kB, too large for a suite file"])
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise SuiteError([f"{path}: is not a text file in UTF-8 (see byte {error.start})"]) from None


class _TooMany(Exception):  # noqa: N818  (it ends the parsing, and is caught here)
    pass


class _Composer(Composer):
    """ruamel's composer, which stops at a document of too many nodes instead of reading all of it."""

    nodes = 0

    def compose_node(self, parent: Node | None, index: Any) -> Node | None:
        self.nodes += 1
        if self.nodes > MAX_NODES:
            raise _TooMany
        return super().compose_node(parent, index)


def compose(name: str, text: str) -> Node | None:
    """The tree of nodes of a text; None where it is empty. Raises `SuiteError` where it is no YAML."""
    yaml = YAML(typ="safe", pure=True)
    yaml.Composer = _Composer
    yaml.composer.warn_double_anchors = False
    try:
        return yaml.compose(text)
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        parts = ", ".join(quote(str(part)) for part in (error.context, error.problem) if part)
        raise SuiteError(
            [Source(name, text).point_at((mark.line, mark.column) if mark else (0, 0), f"not YAML: {parts}")]
        ) from None
    except ReaderError as error:
        line, character = text.count("\n", 0, error.position) + 1, ord(text[error.position])
        raise SuiteError([f"{name}: line {line} holds the character {character:#04x}, which is not text"]) from None
    except _TooMany:
        raise SuiteError([too_many(name)]) from None
    except RecursionError:
        raise SuiteError([f"{name}: is nested too deeply"]) from None
    except (YAMLError, ValueError, AttributeError, NotImplementedError) as error:  # ruamel's own slips on odd input
        raise SuiteError([f"{name}: not YAML: {quote(str(error))}"]) from None


def too_many(name: str) -> str:
    """The message about a document of more than `MAX_NODES` values."""
    return f"{name}: has more than {MAX_NODES} values, aliases followed"
