"""A YAML file as plain values, and the file, line and column of every place in it.

YAML 1.2 (`1e-3` is a number, `no` is text), one document, no key twice, no tags but YAML's own. Positions are the
marks of ruamel's nodes, looked up when a message needs one. Nothing here knows what a suite means, except for
`include` (in `includes`), which is resolved before the values are built.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from io import StringIO
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from bench.errors import SuiteError, printable

from .includes import Includes
from .issues import Issue, Issues, Place, quote, show_value
from .nodes import MAX_NODES, Mark, Source, compose, key_of, mark_of, read_text, too_many

_Pairs = dict[str, list[tuple[Node, Node]]]  #: name of a key -> its keys and values, two if it is given twice

MAX_MESSAGES = 50
_TAG = "tag:yaml.org,2002:"


@dataclass
class Document:
    """A YAML file: its values as dicts, lists and scalars, and the nodes that they were read from."""

    name: str
    text: str
    data: Any = None
    root: Node | None = None
    sources: dict[int, Source] = field(default_factory=dict)  #: id of an included key -> the file that it stands in
    overridden: dict[Place, str] = field(default_factory=dict)  #: place -> the `--set` that wrote it
    _pairs: dict[int, "_Pairs"] = field(default_factory=dict)  #: of each mapping that was searched

    def messages(self, issues: Issues) -> list[str]:
        """One message for each issue, with file, line, column and caret, in the order of the file."""
        placed = sorted(((self._rank(issue), i, issue) for i, issue in enumerate(issues.found)), key=lambda p: p[:2])
        told = [self._message(issue) for _, _, issue in placed[:MAX_MESSAGES]]
        more = len(placed) - len(told)
        return [*told, *([f"{self.name}: and {more} more"] if more else [])]

    def _rank(self, issue: Issue) -> tuple[int, Mark]:
        """Messages stand in the order of lines, those on included files after those on the file itself."""
        if self._origin(issue):
            return (len(self.sources) + 1, (0, 0))
        source, mark = self.find(issue.place, issue.key)
        included = list(dict.fromkeys(self.sources.values()))
        return (included.index(source) + 1 if source in included else 0, mark)

    def find(self, place: Place, key: bool = False) -> tuple[Source, Mark]:
        """File, line and column of a place, or of the innermost node around it that the text has."""
        node, found, source = self.root, self.root, Source(self.name, self.text)
        for depth, step in enumerate(place):
            pair = self._child(node, step, last=key)
            if pair is None:
                break
            node, found = pair[1], pair[0 if key and depth == len(place) - 1 else 1]
            source = self.sources.get(id(pair[0]), source)
        return source, mark_of(found) if found is not None else (0, 0)

    @property
    def resolved(self) -> str:
        """The text, with everything that it includes in its place."""
        if not self.sources:
            return self.text
        names = dict.fromkeys(source.name for source in self.sources.values())
        return f"# {Path(self.name).name} with what it includes of {', '.join(names)}\n{_as_yaml(self.data)}"

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
                self._pairs[id(node)].setdefault(key_of(key), []).append((key, value))
        pairs = self._pairs[id(node)].get(str(step))
        return pairs[-1 if last else 0] if pairs else None

    def _origin(self, issue: Issue) -> str | None:
        """The `--set` that wrote the place of an issue, or what holds that place."""
        inward = (issue.place[:n] for n in range(len(issue.place), -1, -1))
        return next((self.overridden[place] for place in inward if place in self.overridden), None)

    def _message(self, issue: Issue) -> str:
        if origin := self._origin(issue):
            return f"--set {origin}: {issue}"
        source, mark = self.find(issue.place, issue.key)
        return source.point_at(mark, str(issue))


def read(path: Path, issues: Issues) -> Document:
    """Read a YAML file with what it includes. Raises `SuiteError` with one message where there is no mapping to check.

    A key that is given twice, a wrong tag and a control character are noted in `issues`: the rest can be checked.
    """
    document = parse(str(path), read_text(path), issues, Path(path))
    if not isinstance(document.root, MappingNode):
        found = {type(None): "nothing", SequenceNode: "a list"}.get(type(document.root), "a single value")
        raise SuiteError([f"{path}: a suite is a mapping (title: ..., grid: ...); this file holds {found}"])
    return document


def from_mapping(content: Mapping[str, Any], name: str, issues: Issues) -> Document:
    """A suite that was written as a mapping in Python, as the YAML that says the same.

    Raises `SuiteError` for a value that YAML does not have.
    """
    try:
        text = _as_yaml(dict(content))
    except YAMLError as error:
        raise SuiteError([f"{name}: {str(error).splitlines()[0]}; use texts, numbers, lists and mappings"]) from None
    return parse(name, text, issues, Path(name))


def parse(name: str, text: str, issues: Issues, file: Path | None = None) -> Document:
    """Parse YAML. Raises `SuiteError` with one message where it is none.

    file: from which on included files are found; None: nothing is included.
    """
    root, sources = compose(name, text), dict[int, Source]()
    try:
        if root is not None and file is not None:
            sources = Includes().expand(root, Source(name, text), file).sources
        data = None if root is None else _Builder(name).build(root, issues)
    except RecursionError:
        raise SuiteError([f"{name}: is nested too deeply"]) from None
    return Document(name, text, data, root, sources)


def _as_yaml(content: Any) -> str:
    yaml: Any = YAML(typ="safe", pure=True)
    stream = StringIO()
    yaml.default_flow_style, yaml.allow_unicode, yaml.width = None, True, 120
    yaml.sort_base_mapping_type_on_output = False
    yaml.dump(content, stream)
    return stream.getvalue()


@dataclass
class _Builder:
    """Nodes → plain values, each alias as a copy of its own."""

    name: str
    open: list[int] = field(default_factory=list)  #: the nodes around the present one, to find a cycle
    count: int = 0

    def build(self, node: Node, issues: Issues) -> Any:
        self.count += 1
        if self.count > MAX_NODES:
            raise SuiteError([too_many(self.name)])
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
            name = key_of(key)
            here = issues.at(name)
            if name in found:
                here.add(f"the key '{quote(name)}' is given twice, first in line {lines[name]}", key=True)
                continue
            if not isinstance(key, ScalarNode):
                here.add("a key must be a single word", key=True)
            lines[name] = key.start_mark.line + 1
            found[name] = self.build(value, here)
        return found


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
