"""Plugins: components outside of the package, one file each, known by the sha256 of the file.

A folder of plugins has the sub-folders `variants/ nets/ samplers/ datasets/ metrics/`; a file in them is written as a
built-in one, with absolute imports (`from bench.models.variants.vae import VAE`). An installed package offers the same
through the entry-point groups `bench.variants`, `bench.nets`, `bench.samplers`, `bench.datasets` and `bench.metrics`,
each with the value `package.module`. Files are found and read here as text. Only `module_of` runs one.

A worker on another machine receives the text with its task, so it needs no copy of the folder.
"""

import hashlib
import linecache
import re
import sys
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cache
from importlib.machinery import PathFinder
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from types import ModuleType

from bench.errors import ComponentError

KINDS = ("variants", "nets", "samplers", "datasets", "metrics")
NAME = re.compile(r"[a-z][a-z0-9_]{0,59}", re.ASCII | re.IGNORECASE)
MAX_BYTES = 1_000_000  #: of a file, which travels with every task


@dataclass(frozen=True)
class PluginFile:
    """The file of one component, with its text."""

    kind: str
    name: str
    path: str  #: for messages only; it is neither in a cell's id nor in a record
    source: bytes = field(repr=False)
    sha256: str
    installed: bool = False  #: offered by an entry point of an installed package

    @property
    def line(self) -> str:
        """What a person is told before the code of the file runs."""
        return f"{self.path} (sha256 {self.sha256[:12]})"


@dataclass
class Session:
    """What the command line says about plugins, for all suites of the process."""

    files: tuple[PluginFile, ...] = ()
    allowed: bool = True  #: False: `--no-plugins`


session = Session()


def available(folders: Iterable[Path] = ()) -> tuple[PluginFile, ...]:
    """The files of these folders, of the session, and of the installed packages; () under `--no-plugins`.

    Raises `ComponentError` for a folder that is no folder of plugins, and for two files that give one component.
    """
    if not session.allowed:
        return ()
    found: dict[tuple[str, str], PluginFile] = {}
    files = [file for folder in folders for file in from_folder(folder)]
    for file in (*files, *session.files, *from_entry_points()[0]):
        other = found.setdefault((file.kind, file.name), file)
        if other.sha256 != file.sha256:
            raise ComponentError(
                f"{file.path}:1: the {file.kind[:-1]} {file.name!r} is also defined by {other.path}; "
                "rename one of the two files"
            )
    return tuple(found.values())


def from_folder(folder: Path) -> tuple[PluginFile, ...]:
    """The components of a folder, sorted by kind and name. Raises `ComponentError`."""
    if not folder.is_dir():
        raise ComponentError(f"{folder}: there is no such folder of plugins")
    wrong = sorted(path.name for path in folder.iterdir() if f"{path.name}s" in KINDS)
    if wrong or not any((folder / kind).is_dir() for kind in KINDS):
        hint = f"; rename {wrong[0]}/ to {wrong[0]}s/" if wrong else ""
        raise ComponentError(f"{folder}: a folder of plugins has the sub-folders {', '.join(KINDS)}{hint}")
    return tuple(
        read_file(path, kind)
        for kind in KINDS
        for path in sorted((folder / kind).glob("*.py"))
        if not path.name.startswith("_")
    )


def read_file(path: Path, kind: str, name: str | None = None, installed: bool = False) -> PluginFile:
    """A component's file. Raises `ComponentError` where its name cannot be one, or it cannot be read."""
    name = name or path.stem
    if not NAME.fullmatch(name):
        raise ComponentError(f"{path}: the name of a component has letters, digits and _ only, a letter first")
    try:
        with path.open("rb") as stream:
            source = stream.read(MAX_BYTES + 1)
    except OSError as error:
        raise ComponentError(f"{path}: cannot be read ({error.strerror or error})") from error
    if len(source) > MAX_BYTES:
        raise ComponentError(f"{path}: is larger than {MAX_BYTES // 1000} kB, too large for a plugin")
    return PluginFile(kind, name, str(path), source, hashlib.sha256(source).hexdigest(), installed)


@cache
def from_entry_points() -> tuple[tuple[PluginFile, ...], tuple[str, ...]]:
    """The components that installed packages offer, and a sentence for each one that cannot be found or read."""
    found, problems = [], []
    for kind in KINDS:
        for point in entry_points(group=f"bench.{kind}"):
            try:
                found.append(read_file(_file_of(point), kind, point.name, installed=True))
            except ComponentError as error:
                problems.append(f"entry point {point.name} = {point.value} of bench.{kind}: {error}")
    return tuple(found), tuple(problems)


def _file_of(point: EntryPoint) -> Path:
    """The file of a module, found without importing the module or its packages. Raises `ComponentError`."""
    places: list[str] | None = None
    spec, name = None, ""
    for part in point.value.partition(":")[0].split("."):
        name = f"{name}.{part}" if name else part
        spec = PathFinder.find_spec(name, places)
        if spec is None:
            raise ComponentError(f"there is no module {name}")
        places = list(spec.submodule_search_locations or ())
    if spec is None or spec.origin is None or not spec.origin.endswith(".py"):
        raise ComponentError(f"{point.value} is no Python file")
    return Path(spec.origin)


def check_sha256(file: PluginFile) -> None:
    """Raise `ComponentError` where a text that came with a task is not the one that the cell's id was made of."""
    if hashlib.sha256(file.source).hexdigest() != file.sha256:
        raise ComponentError(f"{file.path}: its text does not have the sha256 {file.sha256[:12]} that came with it")


def module_of(file: PluginFile) -> ModuleType:
    """Run a file, once a process, from its text. Raises `ComponentError` with the line where it breaks.

    The module is named after the sha256, so that two versions of a file can be in one process.
    """
    name = f"bench_plugin_{file.sha256[:16]}.{file.name}"  # its last part names datasets and metrics
    if name in sys.modules:
        return sys.modules[name]
    module = ModuleType(name)
    module.__file__, module.__package__ = file.path, ""
    lines = file.source.decode("utf-8", errors="replace").splitlines(keepends=True)
    linecache.cache[file.path] = (len(file.source), None, lines, file.path)  # tracebacks where the file is not
    sys.modules[name] = module
    try:
        exec(compile(file.source, file.path, "exec"), vars(module))  # noqa: S102  (the user asked for this code)
    except (Exception, SystemExit) as error:
        del sys.modules[name]
        where = f"{file.path}:{line_in(file.path, error)}"
        raise ComponentError(f"{where}: cannot be imported ({type(error).__name__}: {error})") from error
    except BaseException:
        del sys.modules[name]
        raise
    return module


def line_in(path: str, error: BaseException, otherwise: int = 1) -> int:
    """The line of a file at which an error was raised or passed through last; `otherwise`: it never was in the file."""
    found = error.lineno if isinstance(error, SyntaxError) and error.filename == path else None
    line, step = found or otherwise, error.__traceback__
    while step is not None:
        if step.tb_frame.f_code.co_filename == path:
            line = step.tb_lineno
        step = step.tb_next
    return line
