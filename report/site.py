"""The site: a static folder that opens from a file and needs no network.

    index.html  metrics.html  published.html  variants/<variant>.html  static/
    suites/<suite>/index.html  results.csv  suite.yaml  tables/<metric>.{tex,md,csv,json,txt,bib,js}
    suites/<suite>/<cell>/index.html  *.png  map_<space>.svg

The same records give the same bytes: no build date, no order of the file system. `.built.json` holds digests of the
inputs of the site and of each cell's folder, so that a build renders only what changed. It also lists the written
files, so that those of removed cells are deleted and no others.
"""

import hashlib
import json
import os
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from bench import registry
from bench.errors import UsageError, did_you_mean
from bench.results.store import CELL_ID, Store

from .charts.colours import colours, palette
from .data import Cell, Suite, coordinates, load
from .pages import cell as cell_page
from .pages import index as index_page
from .pages import methods as methods_page
from .pages import published as published_page
from .pages import suite as suite_page
from .pages import variant as variant_page
from .pages.html import coded, figure, linked, paragraphs, prose
from .tables.build import build as build_tables
from .tables.model import Table
from .tables.names import metric_text, reader_text
from .tables.values import without_code_marks

PACKAGE = Path(__file__).parent
MANIFEST = ".built.json"
LARGE = {"checkpoint.safetensors", "codes.npz"}  #: files of a cell that no page shows
#: Styles and scripts, in loading order
STATIC = ("report.css", "report.js", "single.js", "tables.js")

Files = dict[str, bytes]  #: path below the site -> content


@registry.built_in_only()
def build(results: Path, out: Path, suites: list[str] | None = None) -> Path:
    """Build the site of all suites under `results`, or of those named, into `out`; returns its index.html.

    Raises `UsageError` for a suite without results or a folder that has none at all, and `ResultError` for records
    that cannot be read; then `out` is not changed.
    """
    results, out = Path(results), Path(out)
    names = _names(Store(results), suites)
    before, read = _manifest(out), _Inputs(results)
    everything = read.everything(names)
    if _complete(out, before, everything):
        return out / "index.html"
    loaded = [load(results, name) for name in names]
    measured = [(suite, build_tables(suite)) for suite in loaded]
    after: dict[str, dict[str, Any]] = {}
    env = environment()
    files = _shared(env, measured)
    for suite, families in measured:
        hues = colours(suite.groups)
        files |= suite_page.files(env, suite, families, hues)
        for cell, neighbours in _with_neighbours(suite):
            folder = f"suites/{suite.name}/{cell.id}"
            digest = _digest(suite, cell, neighbours, hues, read)
            if _unchanged(out, before.get(folder), digest):
                after[folder] = before[folder]
                continue
            made = cell_page.files(env, suite, cell, neighbours, hues)
            after[folder] = {"digest": digest, "files": sorted(made)}
            _write(out, made)
    _write(out, files)
    after[""] = {"digest": everything, "files": sorted(files)}
    _remove(out, before, after)
    _write(out, {MANIFEST: (json.dumps(after, indent=0, sort_keys=True) + "\n").encode()})
    return out / "index.html"


def environment() -> Environment:
    """The templates: everything is escaped unless it was made by `markupsafe`."""
    env = Environment(
        loader=FileSystemLoader(PACKAGE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    env.filters |= {"figure": figure, "linked": linked, "coded": coded, "paragraphs": paragraphs, "metric": metric_text}
    env.filters["named"] = lambda coordinate, axis: reader_text(axis, coordinate)
    env.filters["prose"] = prose
    env.filters["uncoded"] = without_code_marks
    env.filters["capitalised"] = lambda text: text[:1].upper() + text[1:]
    return env


def _names(store: Store, wanted: list[str] | None) -> list[str]:
    known = store.suites()
    if not known:
        lacks = "holds no results of any suite" if store.root.is_dir() else "does not exist"
        hint = "`bench run SUITE` computes some, --results names another folder"
        raise UsageError(f"the results folder {store.root} {lacks}; {hint}")
    for name in wanted or []:
        if name not in known:
            raise UsageError(f"no results of suite {name!r} under {store.root}{did_you_mean(name, known, 'suites')}")
    return known if not wanted else list(dict.fromkeys(wanted))


def _shared(env: Environment, measured: list[tuple[Suite, list[Table]]]) -> Files:
    suites = [suite for suite, _ in measured]
    pages = index_page.files(env, measured) | methods_page.files(env, suites)
    pages |= variant_page.files(env, measured) | published_page.files(env, suites)
    return pages | {f"static/{name}": _static(name) for name in STATIC}


@cache
def _static(name: str) -> bytes:
    source = (PACKAGE / "static" / name).read_bytes()
    return source.replace(b"/* palette */", palette().encode()) if name.endswith(".css") else source


def _with_neighbours(suite: Suite) -> Iterable[tuple[Cell, list[Cell]]]:
    """Every cell with a record, and the cells with a record of the same configuration."""
    for group in suite.groups:
        settled = [cell for cell in group.cells if cell.record is not None]
        for cell in settled:
            yield cell, settled


class _Inputs:
    """Digests of the files that a site is made of, each read once."""

    def __init__(self, results: Path) -> None:
        self.results = results
        self.seen: dict[Path, bytes] = {}

    def of(self, path: Path) -> bytes:
        if path not in self.seen:
            self.seen[path] = hashlib.sha256(path.read_bytes()).digest()
        return self.seen[path]

    def everything(self, suites: list[str]) -> str:
        """Changes when anything changes that any page of these suites is made of, the code included."""
        state = hashlib.sha256(_sources() + _components())
        for name in suites:
            folder = self.results / name
            for path in (folder / "suite.json", *(p for cell in _cell_folders(folder) for p in _files(cell))):
                state.update(f"{path.relative_to(self.results).as_posix()}\n".encode() + self.of(path))
        return state.hexdigest()


def _cell_folders(folder: Path) -> list[Path]:
    """A suite's cells that have a record; links are not followed."""
    found = sorted(entry.name for entry in os.scandir(folder) if CELL_ID.fullmatch(entry.name) and entry.is_dir())
    return [folder / name for name in found if (folder / name / "record.json").is_file()]


def _files(folder: Path) -> list[Path]:
    """A cell's files without links, weights and codes, which no page shows."""
    named = sorted(e.name for e in os.scandir(folder) if e.is_file(follow_symlinks=False))
    return [folder / name for name in named if name not in LARGE and not name.startswith(".")]


def _digest(suite: Suite, cell: Cell, neighbours: list[Cell], hues: dict[str, int], read: _Inputs) -> str:
    """A digest of everything that a cell's page depends on, code and templates included."""
    assert cell.record is not None
    assert CELL_ID.fullmatch(cell.id), cell.id
    state = hashlib.sha256(_sources())
    label = str(coordinates(cell.cell)["label"])
    around = [(c.id, c.seed, c.status) for c in neighbours]
    state.update(json.dumps([suite.title, suite.overrides, around, hues.get(label)]).encode())
    state.update(json.dumps(cell.record.about, sort_keys=True, default=str).encode())
    for path in _files(cell.record.folder):
        state.update(f"{path.name}\n".encode() + read.of(path))
    return state.hexdigest()


@cache
def _sources() -> bytes:
    return _code(PACKAGE, (".py", ".html", ".js", ".css"))


@cache
def _components() -> bytes:
    """The code of `bench`, whose docstrings and verdicts the pages contain."""
    return _code(registry.ROOT, (".py",))


def _code(folder: Path, suffixes: tuple[str, ...]) -> bytes:
    files = sorted(p for p in folder.rglob("*") if p.suffix in suffixes and p.is_file())
    return hashlib.sha256(b"\0".join(p.read_bytes() for p in files)).digest()


def _complete(out: Path, before: dict[str, dict[str, Any]], everything: str) -> bool:
    """True where the last build had the same inputs and all its files still exist."""
    if before.get("", {}).get("digest") != everything:
        return False
    return all((out / name).is_file() for entry in before.values() for name in entry["files"])


def _unchanged(out: Path, entry: dict[str, Any] | None, digest: str) -> bool:
    return entry is not None and entry["digest"] == digest and all((out / name).is_file() for name in entry["files"])


def _manifest(out: Path) -> dict[str, dict[str, Any]]:
    """The files of the last build; {} where they are unknown. Names that lead out of the site are dropped."""
    try:
        content = json.loads((out / MANIFEST).read_bytes())
        entries = [(str(folder), str(entry["digest"]), list(entry["files"])) for folder, entry in content.items()]
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return {}
    inside = _inside(out, {Path(f).parent for _, _, files in entries for f in files if isinstance(f, str)})
    return {folder: {"digest": digest, "files": [f for f in files if isinstance(f, str) and Path(f).parent in inside]}
            for folder, digest, files in entries}  # fmt: skip


def _inside(out: Path, folders: set[Path]) -> set[Path]:
    """The folders that lie below the site after resolving links."""
    root = out.resolve()
    return {folder for folder in folders if (out / folder).resolve().is_relative_to(root)}


def _write(out: Path, files: Files) -> None:
    """Write files that differ; an unchanged file keeps its modification time."""
    for name, content in files.items():
        path = out / name
        if path.is_file() and path.stat().st_size == len(content) and path.read_bytes() == content:
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def _remove(out: Path, before: dict[str, dict[str, Any]], after: dict[str, dict[str, Any]]) -> None:
    """Remove files that only an earlier build wrote, and folders that this leaves empty."""
    kept = {name for entry in after.values() for name in entry["files"]}
    for name in sorted({name for entry in before.values() for name in entry["files"]} - kept):
        path = out / name
        path.unlink(missing_ok=True)
        for parent in path.parents:
            if parent == out or not parent.is_dir() or any(parent.iterdir()):
                break
            parent.rmdir()
