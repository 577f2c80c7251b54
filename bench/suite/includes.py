"""`include: common.yaml`: keys of a mapping that stand in another file, put in before the suite is checked.

    include: FILE                the whole file, which holds a mapping
    include: FILE#evaluate       one of its mappings; also FILE#grid[0].train
    include: [FILE, FILE#train]  several

- It stands at the top of a file, in `train`, `evaluate`, `evaluate.embed`, a block of the grid, and its `train`.
- A key that is given beside it wins, and replaces what is included as a whole. Of several, the first that has a key
  gives it. So does YAML merge mappings (`<<`); here they stand in other files.
- FILE is a path relative to the file that names it, and ends in .yaml or .yml. It may include others.

Everything is done with nodes of YAML, so every message names the file and the line that a value was written in.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from bench.errors import SuiteError, did_you_mean

from .issues import quote
from .nodes import Source, compose, key_of, mark_of, read_text

KEY = "include"
#: section ("": the file itself) → the sections in it that may hold the key as well
SECTIONS = {"": ("train", "evaluate", "grid"), "evaluate": ("embed",), "grid": ("train",)}
MAX_FILES = 50
_REFERENCE = re.compile(r"(?P<file>[^#]+)(#(?P<place>\w+(\.\w+|\[\d+\])*))?", re.ASCII)
_Pair = tuple[Node, Node]


@dataclass(frozen=True)
class _File:
    path: Path
    source: Source
    root: Node | None


@dataclass
class Includes:
    """Puts included keys into the nodes of a suite; `sources` says which keys come from another file."""

    sources: dict[int, Source] = field(default_factory=dict)  #: id of a key that was put in → the file it stands in
    _files: dict[Path, _File] = field(default_factory=dict)

    def expand(self, root: Node, source: Source, file: Path) -> "Includes":
        """Put in what a file includes, and what that includes. Raises `SuiteError` that points at a wrong include."""
        self._expand(_File(file, source, root), ())
        return self

    def _expand(self, file: _File, chain: tuple[Path, ...]) -> None:
        """chain: the files that include this one."""
        for section in list(_sections(file.root)):
            asked = [pair for pair in section.value if key_of(pair[0]) == KEY]
            section.value = [pair for pair in section.value if key_of(pair[0]) != KEY]
            if len(asked) > 1:
                raise _error(file, asked[1][0], f"the key '{KEY}' is given twice; write a list")
            for _, value in asked:
                own = {key_of(key) for key, _ in section.value}
                for reference in value.value if isinstance(value, SequenceNode) else [value]:
                    pairs = self._included(reference, file, (*chain, file.path))
                    section.value += [pair for pair in pairs if key_of(pair[0]) not in own]
                    own |= {key_of(key) for key, _ in pairs}

    def _included(self, reference: Node, file: _File, chain: tuple[Path, ...]) -> list[_Pair]:
        """The keys and values that a reference names."""
        found = _REFERENCE.fullmatch(reference.value) if isinstance(reference, ScalarNode) else None
        if found is None:
            raise _error(
                file, reference, "expected a file, such as common.yaml or common.yaml#train, or a list of such"
            )
        other = self._read(reference, found["file"].strip(), file, chain)
        node = other.root
        for step in re.findall(r"\w+", found["place"] or ""):
            inside = _children(node)
            if step not in inside:
                raise _error(file, reference, f"{other.path} has no {found['place']}{did_you_mean(step, inside)}")
            node = inside[step]
        if not isinstance(node, MappingNode):
            raise _error(file, reference, f"{quote(reference.value)} is no mapping, and only a mapping can be included")
        for key, _ in node.value:
            self.sources.setdefault(id(key), other.source)
        return node.value

    def _read(self, reference: Node, name: str, file: _File, chain: tuple[Path, ...]) -> _File:
        """A file with what it includes itself, read once."""
        path = file.path.parent / name
        if problem := _refusal(name, path) or _cycle(path, chain):
            raise _error(file, reference, problem)
        if (known := path.resolve()) not in self._files:
            if len(self._files) == MAX_FILES:
                raise _error(file, reference, f"more than {MAX_FILES} files are included")
            text = read_text(path)
            self._files[known] = _File(path, Source(str(path), text), compose(str(path), text))
            self._expand(self._files[known], chain)
        return self._files[known]


def _refusal(name: str, path: Path) -> str | None:
    """Why a path cannot be included; None: it can."""
    if name.startswith(("/", "~")) or "\\" in name or ":" in name:
        return f"'{quote(name)}' is no relative path; write it from this file on, with /"
    if PurePosixPath(name).suffix not in (".yaml", ".yml"):
        return f"'{quote(name)}' is no YAML file by its name (.yaml, .yml)"
    if path.is_file():
        return None
    beside = [file.name for file in path.parent.glob("*.y*ml")] if path.parent.is_dir() else []
    return f"there is no file {path}{did_you_mean(path.name, beside, 'files')}"


def _cycle(path: Path, chain: tuple[Path, ...]) -> str | None:
    same = [file.resolve() for file in chain]
    if path.resolve() not in same:
        return None
    names = [file.name for file in chain[same.index(path.resolve()) :]]
    return f"{path.name} includes itself: {' → '.join([*names, path.name])}"


def _error(file: _File, node: Node, message: str) -> SuiteError:
    return SuiteError([file.source.point_at(mark_of(node), f"{KEY}: {message}")])


def _sections(node: Node | None, name: str = "") -> Iterator[MappingNode]:
    """The mappings that may hold the key `include`: a file, and those within it that `SECTIONS` names."""
    blocks = node.value if isinstance(node, SequenceNode) and name == "grid" else [node]
    for block in blocks:
        if not isinstance(block, MappingNode):
            continue
        yield block
        inside = _children(block)
        for section in SECTIONS.get(name, ()):
            yield from _sections(inside.get(section), section)


def _children(node: Node | None) -> dict[str, Node]:
    """The values of a mapping by their keys, or of a list by their numbers."""
    if isinstance(node, MappingNode):
        return {key_of(key): value for key, value in reversed(node.value)}
    if isinstance(node, SequenceNode):
        return {str(i): value for i, value in enumerate(node.value)}
    return {}
