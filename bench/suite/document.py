"""YAML with positions: a suite file read so that every later fault can point at its line and column.

YAML 1.2 (`1e-3` is a number, `no` is text), one document, no tags, no key twice. The file becomes plain
dicts, lists and scalars; where each key and value stood is kept aside. Nothing here knows what a suite means.
"""

import math
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode
from ruamel.yaml.reader import ReaderError

from bench.errors import SuiteError, UsageError

At = tuple[str | int, ...]  #: where in the document: ("grid", "variants", 2)
Mark = tuple[int, int]  #: line and column, from 0

MAX_BYTES = 1_000_000
MAX_NODES = 100_000  #: an alias of an alias of an alias ... is a small file and a huge document
_TAG = "tag:yaml.org,2002:"


@dataclass
class Document:
    """A YAML file as plain values, the positions of its parts, and the faults found in it so far."""

    name: str
    text: str
    data: Any = None
    keys: dict[At, Mark] = field(default_factory=dict)
    values: dict[At, Mark] = field(default_factory=dict)
    overridden: dict[At, str] = field(default_factory=dict)  #: place -> the `--set` that wrote it
    faults: list[tuple[Mark, str]] = field(default_factory=list)

    def fault(self, at: At, message: str, *, key: bool = False) -> None:
        """Note a fault at the value (or, with `key`, the key) of a place, or at what holds that place."""
        inward = (at[:n] for n in range(len(at), -1, -1))
        origin = next((self.overridden[place] for place in inward if place in self.overridden), None)
        told = f"{show_place(at)}: {message}" if at else message
        if origin is not None:
            self._note((1 << 30, 0), f"--set {origin}: {told}")
            return
        mark = self.keys.get(at) if key else None
        while mark is None:
            mark, at = self.values.get(at, None if at else (0, 0)), at[:-1]
        self.fault_at(mark, told)

    def fault_at(self, mark: Mark, message: str) -> None:
        """Note a fault at a line and column, with the source line and a caret below it."""
        self._note(mark, f"{self.name}:{mark[0] + 1}:{mark[1] + 1}: {message}{excerpt(self.text, mark)}")

    def _note(self, mark: Mark, message: str) -> None:
        if (mark, message) not in self.faults:
            self.faults.append((mark, message))

    def raise_if_faulty(self) -> None:
        """Raise `SuiteError` with all faults, in the order of the file."""
        if self.faults:
            raise SuiteError([message for _, message in sorted(self.faults, key=lambda fault: fault[0])])

    def override(self, assignment: str) -> None:
        """Apply one `--set a.b[2].c=value`; the value is YAML. Raises `UsageError` if it cannot be read.

        Missing mappings are made on the way, a plain name on the way becomes `{name: ...}`, and `grid.x` is
        set in every block of a grid that is a list. Whether the key exists is left to the validation.
        """
        path, sign, value = assignment.partition("=")
        if not sign or not re.fullmatch(r"\w+(\.\w+|\[\d+\])*", path.strip()):
            form = "key=value, such as train.epochs=1 or grid.variants[0].beta=4"
            raise UsageError(f"--set {assignment}: write it as {form}")
        steps = re.findall(r"\w+", path)
        self.data = self._put(self.data, (), steps, _value(f"--set {assignment}", value), assignment)

    def _put(self, holder: Any, at: At, steps: list[str], value: Any, origin: str) -> Any:
        if not steps:
            self.overridden[at] = origin
            return value
        if isinstance(holder, list):
            return self._put_in_list(holder, at, steps, value, origin)
        if not isinstance(holder, dict):
            holder = {"name": holder} if isinstance(holder, str) else {}
            self.overridden[at] = origin
        step = steps[0]
        holder[step] = self._put(holder.get(step), (*at, step), steps[1:], value, origin)
        return holder

    def _put_in_list(self, holder: list[Any], at: At, steps: list[str], value: Any, origin: str) -> list[Any]:
        if at == ("grid",) and not steps[0].isdigit():
            return [self._put(block, (*at, i), steps, value, origin) for i, block in enumerate(holder)]
        if not steps[0].isdigit() or int(steps[0]) >= len(holder):
            count = f"{show_place(at)} is a list of {len(holder)}, counted from 0"
            raise UsageError(f"--set {origin}: there is no {show_place(at)}[{steps[0]}]; {count}")
        i = int(steps[0])
        holder[i] = self._put(holder[i], (*at, i), steps[1:], value, origin)
        return holder


def read(path: Path) -> Document:
    """Read a YAML file. Raises `SuiteError` with one message if there is no document to speak of.

    A key given twice, or a tag, is only noted in `Document.faults`: the rest can still be checked.
    """
    document = Document(str(path), _read_text(path))
    root = _compose(document)
    if not isinstance(root, MappingNode):
        found = {type(None): "nothing", SequenceNode: "a list"}.get(type(root), "a single value")
        raise SuiteError([f"{path}: a suite is a mapping (title: ..., grid: ...); this file holds {found}"])
    document.data = _Builder(document).build(root, ())
    return document


def show_place(at: At) -> str:
    """
    >>> show_place(("grid", "variants", 2, "beta"))
    'grid.variants[2].beta'
    """
    return "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in at).lstrip(".")


def show_value(value: Any) -> str:
    """A value as a message quotes it: short, and in YAML's words.

    >>> show_value(True), show_value(None), show_value("a" * 99), show_value([1])
    ('true', 'nothing', "'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa…", 'a list')
    """
    if isinstance(value, bool):
        return str(value).lower()
    if value is None or isinstance(value, list | tuple | dict):
        return {type(None): "nothing", dict: "a mapping"}.get(type(value), "a list")
    text = repr(value)
    return text if len(text) <= 40 else f"{text[:40]}…"


def excerpt(text: str, mark: Mark) -> str:
    """The source line of a mark with a caret below it; a window of it where the line is long."""
    lines = text.splitlines()
    if mark[0] >= len(lines):
        return ""
    start = max(0, mark[1] - 60) if len(lines[mark[0]]) > 120 else 0
    shown = lines[mark[0]][start : start + 120].replace("\t", " ")
    number = str(mark[0] + 1)
    return f"\n    {number} | {shown}\n    {' ' * len(number)} | {' ' * (mark[1] - start)}^"


def _read_text(path: Path) -> str:
    if not path.exists():
        raise SuiteError([f"{path}: there is no such file"])
    if not path.is_file():
        raise SuiteError([f"{path}: is a folder, not a suite file"])
    try:
        with path.open("rb") as stream:
            raw = stream.read(MAX_BYTES + 1)
        if len(raw) > MAX_BYTES:
            raise SuiteError([f"{path}: is larger than {MAX_BYTES // 1000} kB, too large for a suite file"])
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise SuiteError([f"{path}: is not a text file in UTF-8 (see byte {error.start})"]) from None
    except OSError as error:
        raise SuiteError([f"{path}: cannot be read ({error.strerror})"]) from None


def _compose(document: Document) -> Node | None:
    """The tree of nodes of a text. Raises `SuiteError` where it is no YAML."""
    yaml = YAML(typ="rt", pure=True)
    yaml.composer.warn_double_anchors = False
    try:
        return yaml.compose(document.text)
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        told = f"not YAML: {', '.join(str(part) for part in (error.context, error.problem) if part)}"
        document.fault_at((mark.line, mark.column) if mark else (0, 0), told)
    except ReaderError as error:
        line = document.text.count("\n", 0, error.position) + 1
        character = ord(document.text[error.position])
        told = f"line {line} holds the character {character:#04x}, which is not text"
        raise SuiteError([f"{document.name}: {told}"]) from None
    except RecursionError:
        raise SuiteError([f"{document.name}: is nested too deeply"]) from None
    except YAMLError as error:
        raise SuiteError([f"{document.name}: not YAML: {error}"]) from None
    document.raise_if_faulty()
    raise AssertionError("a fault was noted above")


@dataclass
class _Builder:
    """Nodes → plain values; notes positions, keys given twice, tags and cycles in the document."""

    document: Document
    open: list[int] = field(default_factory=list)  #: the nodes we are inside of, to see a cycle
    count: int = 0

    def build(self, node: Node, at: At) -> Any:
        mark = (node.start_mark.line, node.start_mark.column)
        self.document.values[at] = mark
        self.count += 1
        if self.count > MAX_NODES:
            raise SuiteError([f"{self.document.name}: has more than {MAX_NODES} values, aliases followed"])
        if id(node) in self.open:
            self.document.fault(at, "an alias may not contain itself")
            return None
        self.open.append(id(node))
        value = self._mapping(node, at) if isinstance(node, MappingNode) else self._items_or_scalar(node, at)
        self.open.pop()
        return value

    def _mapping(self, node: MappingNode, at: At) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for key, value in node.value:
            name = str(key.value) if isinstance(key, ScalarNode) else "?"
            mark = (key.start_mark.line, key.start_mark.column)
            if name in found:
                first = self.document.keys[(*at, name)][0] + 1
                place = show_place((*at, name))
                told = f"{place}: the key '{name}' is given twice, first in line {first}"
                self.document.fault_at(mark, told)
                continue
            self.document.keys[(*at, name)] = mark
            found[name] = self.build(value, (*at, name))
        return found

    def _items_or_scalar(self, node: Node, at: At) -> Any:
        if isinstance(node, SequenceNode):
            return [self.build(item, (*at, i)) for i, item in enumerate(node.value)]
        kind = str(node.tag).removeprefix(_TAG)
        if kind not in _SCALARS:
            self.document.fault(at, f"the tag {node.tag} means nothing here")
            return node.value
        folded = isinstance(node, ScalarNode) and node.style == ">"
        return _SCALARS[kind](node.value.replace("\a", "") if folded else node.value)  # \a: the parser's fold marks


def _integer(text: str) -> int | str:
    digits = text.replace("_", "").lower()
    base = {"0x": 16, "0o": 8, "0b": 2}.get(digits.lstrip("+-")[:2], 10)
    return int(digits, base) if len(digits) < 40 else text


def _real(text: str) -> float:
    digits = text.replace("_", "").lower()
    if digits.lstrip("+-") in (".inf", ".nan"):
        return math.nan if "nan" in digits else math.inf
    return float(digits)


#: what a plain scalar is in Python, by the tag YAML 1.2 resolves it to; a date stays the text it was
_SCALARS: dict[str, Callable[[str], Any]] = {
    "str": str,
    "timestamp": str,
    "merge": str,
    "null": lambda text: None,
    "bool": lambda text: text.lower() == "true",
    "int": _integer,
    "float": _real,
}


def _value(name: str, text: str) -> Any:
    """The value of an assignment on the command line, read as YAML. Raises `UsageError`."""
    document = Document(name, text)
    try:
        root = _compose(document)
        value = None if root is None else _Builder(document).build(root, ())
        document.raise_if_faulty()
    except SuiteError as error:
        raise UsageError(error.faults[0]) from None
    return value


def parse_assignments(assignments: Iterable[str], flag: str = "--option") -> dict[str, Any]:
    """`["path=faces", "size=32"]` as a mapping, the values read as YAML. Raises `UsageError`.

    >>> parse_assignments(["path=faces", "size=32"])
    {'path': 'faces', 'size': 32}
    """
    found = {}
    for assignment in assignments:
        key, sign, text = assignment.partition("=")
        if not sign or not key.strip():
            raise UsageError(f"{flag} {assignment}: write it as key=value")
        found[key.strip()] = _value(f"{flag} {assignment}", text)
    return found
