"""A YAML file as plain values, and the line and column of every place in it.

YAML 1.2 (`1e-3` is a number, `no` is text), one document, no key twice, no tags but YAML's own. Positions are the
marks of ruamel's nodes, looked up when a message needs one. Nothing here knows what a suite means.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from io import StringIO
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.composer import Composer
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode
from ruamel.yaml.reader import ReaderError

from bench.errors import SuiteError, printable

from .issues import Issue, Issues, Place, quote, show_value

Mark = tuple[int, int]  #: line and column, from 0
_Pairs = dict[str, list[tuple[Node, Node]]]  #: name of a key -> its keys and values, two if it is given twice

MAX_BYTES = 250_000
MAX_NODES = 10_000  #: what ruamel reads in about a second, with aliases counted as often as they are used
MAX_MESSAGES = 50
_TAG = "tag:yaml.org,2002:"


@dataclass
class Document:
    """A YAML file: its values as dicts, lists and scalars, and the nodes that they were read from."""

    name: str
    text: str
    data: Any = None
    root: Node | None = None
    overridden: dict[Place, str] = field(default_factory=dict)  #: place -> the `--set` that wrote it
    _pairs: dict[int, "_Pairs"] = field(default_factory=dict)  #: of each mapping that was searched

    def messages(self, issues: Issues) -> list[str]:
        """One message for each issue, with file, line, column and caret, in the order of the file."""
        placed = sorted(((self._mark(issue), i, issue) for i, issue in enumerate(issues.found)), key=lambda p: p[:2])
        told = [self._message(mark, issue) for mark, _, issue in placed[:MAX_MESSAGES]]
        more = len(placed) - len(told)
        return [*told, *([f"{self.name}: and {more} more"] if more else [])]

    def _mark(self, issue: Issue) -> Mark:
        return (len(self.text), 0) if self._origin(issue) else self.mark(issue.place, issue.key)

    def mark(self, place: Place, key: bool = False) -> Mark:
        """Line and column of a place, or of the innermost node around it that the text has."""
        node, found = self.root, self.root
        for depth, step in enumerate(place):
            pair = self._child(node, step, last=key)
            if pair is None:
                break
            node, found = pair[1], pair[0 if key and depth == len(place) - 1 else 1]
        return (found.start_mark.line, found.start_mark.column) if found is not None else (0, 0)

    def _child(self, node: Node | None, step: str | int, last: bool) -> tuple[Node, Node] | None:
        """Key and value of one step inwards; of a key that is given twice, the last or the first."""
        if isinstance(node, SequenceNode):
            inside = isinstance(step, int) and step < len(node.value)
            return (node.value[step], node.value[step]) if inside else None
        if not isinstance(node, MappingNode):
            return None
        if id(node) not in self._pairs:
            self._pairs[id(node)] = {}
            for key, value in node.value:
                self._pairs[id(node)].setdefault(_key(key), []).append((key, value))
        pairs = self._pairs[id(node)].get(str(step))
        return pairs[-1 if last else 0] if pairs else None

    def _origin(self, issue: Issue) -> str | None:
        """The `--set` that wrote the place of an issue, or what holds that place."""
        inward = (issue.place[:n] for n in range(len(issue.place), -1, -1))
        return next((self.overridden[place] for place in inward if place in self.overridden), None)

    def _message(self, mark: Mark, issue: Issue) -> str:
        origin = self._origin(issue)
        return f"--set {origin}: {issue}" if origin else point_at(self.name, self.text, mark, str(issue))


def read(path: Path, issues: Issues) -> Document:
    """Read a YAML file. Raises `SuiteError` with one message where there is no mapping to check.

    A key that is given twice, a wrong tag and a control character are noted in `issues`: the rest can be checked.
    """
    document = parse(str(path), _read_text(path), issues)
    if not isinstance(document.root, MappingNode):
        found = {type(None): "nothing", SequenceNode: "a list"}.get(type(document.root), "a single value")
        raise SuiteError([f"{path}: a suite is a mapping (title: ..., grid: ...); this file holds {found}"])
    return document


def from_mapping(content: Mapping[str, Any], name: str, issues: Issues) -> Document:
    """A suite that was written as a mapping in Python, as the YAML that says the same.

    Raises `SuiteError` for a value that YAML does not have.
    """
    yaml: Any = YAML(typ="safe", pure=True)
    stream = StringIO()
    yaml.default_flow_style, yaml.allow_unicode, yaml.width = None, True, 120
    yaml.sort_base_mapping_type_on_output = False
    try:
        yaml.dump(dict(content), stream)
    except YAMLError as error:
        raise SuiteError([f"{name}: {str(error).splitlines()[0]}; use texts, numbers, lists and mappings"]) from None
    return parse(name, stream.getvalue(), issues)


def parse(name: str, text: str, issues: Issues) -> Document:
    """Parse YAML. Raises `SuiteError` with one message where it is none."""
    root = _compose(name, text)
    try:
        data = None if root is None else _Builder(name).build(root, issues)
    except RecursionError:
        raise SuiteError([f"{name}: is nested too deeply"]) from None
    return Document(name, text, data, root)


def point_at(name: str, text: str, mark: Mark, message: str) -> str:
    """`file:line:column: message`, and the source line with a caret below it; a window of a long line."""
    head = f"{name}:{mark[0] + 1}:{mark[1] + 1}: {message}"
    lines = text.splitlines()
    if mark[0] >= len(lines):
        return head
    start = max(0, mark[1] - 60) if len(lines[mark[0]]) > 120 else 0
    shown = printable(lines[mark[0]][start : start + 120].replace("\t", " "))
    number = str(mark[0] + 1)
    return f"{head}\n    {number} | {shown}\n    {' ' * len(number)} | {' ' * (mark[1] - start)}^"


def _read_text(path: Path) -> str:
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


def _compose(name: str, text: str) -> Node | None:
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
            [point_at(name, text, (mark.line, mark.column) if mark else (0, 0), f"not YAML: {parts}")]
        ) from None
    except ReaderError as error:
        line, character = text.count("\n", 0, error.position) + 1, ord(text[error.position])
        raise SuiteError([f"{name}: line {line} holds the character {character:#04x}, which is not text"]) from None
    except _TooMany:
        raise SuiteError([_too_many(name)]) from None
    except RecursionError:
        raise SuiteError([f"{name}: is nested too deeply"]) from None
    except (YAMLError, ValueError, AttributeError, NotImplementedError) as error:  # ruamel's own slips on odd input
        raise SuiteError([f"{name}: not YAML: {quote(str(error))}"]) from None


def _too_many(name: str) -> str:
    return f"{name}: has more than {MAX_NODES} values, aliases followed"


@dataclass
class _Builder:
    """Nodes → plain values, each alias as a copy of its own."""

    name: str
    open: list[int] = field(default_factory=list)  #: the nodes around the present one, to find a cycle
    count: int = 0

    def build(self, node: Node, issues: Issues) -> Any:
        self.count += 1
        if self.count > MAX_NODES:
            raise SuiteError([_too_many(self.name)])
        if id(node) in self.open:
            issues.add("an alias may not contain itself")
            return None
        self.open.append(id(node))
        try:
            return self._value(node, issues)
        finally:
            self.open.pop()

    def _value(self, node: Node, issues: Issues) -> Any:
        tag = str(node.tag)
        kind = tag.removeprefix(_TAG)
        if isinstance(node, ScalarNode) and kind in _SCALARS:
            return _scalar(node, kind, issues)
        if (type(node), kind) not in ((MappingNode, "map"), (SequenceNode, "seq")):
            issues.add(f"the tag {quote(tag)} has no meaning in a suite")
            return None
        if isinstance(node, MappingNode):
            return self._mapping(node, issues)
        return [self.build(item, issues.at(i)) for i, item in enumerate(node.value)]

    def _mapping(self, node: MappingNode, issues: Issues) -> dict[str, Any]:
        found: dict[str, Any] = {}
        lines: dict[str, int] = {}
        for key, value in node.value:
            name = _key(key)
            here = issues.at(name)
            if name in found:
                here.add(f"the key '{quote(name)}' is given twice, first in line {lines[name]}", key=True)
                continue
            if not isinstance(key, ScalarNode):
                here.add("a key must be a single word", key=True)
            lines[name] = key.start_mark.line + 1
            found[name] = self.build(value, here)
        return found


def _key(node: Node) -> str:
    return str(node.value) if isinstance(node, ScalarNode) else "?"


def _scalar(node: ScalarNode, kind: str, issues: Issues) -> Any:
    text = node.value.replace("\a", "") if node.style == ">" else node.value  # \a: the parser's fold marks
    if printable(text) != text:
        issues.add(f"control characters are not allowed, got {show_value(text)}")
        return None
    try:
        return _SCALARS[kind](text)
    except ValueError:
        issues.add(f"the tag !!{kind} does not fit {show_value(text)}")
        return None


def _integer(text: str) -> int | str:
    digits = text.replace("_", "").lower()
    base = {"0x": 16, "0o": 8, "0b": 2}.get(digits.lstrip("+-")[:2], 10)
    return int(digits, base) if len(digits) < 40 else text  # longer ones are refused as text, unread


def _real(text: str) -> float:
    digits = text.replace("_", "").lower()
    if digits.lstrip("+-") in (".inf", ".nan"):
        return math.nan if "nan" in digits else math.inf
    return float(digits)


def _bool(text: str) -> bool:
    if text.lower() not in ("true", "false"):
        raise ValueError(text)
    return text.lower() == "true"


def _null(text: str) -> None:
    if text.lower() not in ("", "~", "null"):
        raise ValueError(text)


#: what a scalar is in Python, by the tag that YAML 1.2 resolves it to; a date is text
_SCALARS: dict[str, Callable[[str], Any]] = {
    "str": str,
    "timestamp": str,
    "merge": str,
    "value": str,
    "null": _null,
    "bool": _bool,
    "int": _integer,
    "float": _real,
}
