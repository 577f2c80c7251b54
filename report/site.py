"""The site: a static folder that opens from a file and asks nothing of any network.

    index.html  metrics.html  static/report.css  static/report.js
    suites/<suite>/index.html  results.csv  suite.yaml  tables/<metric>.{tex,md,csv,js}
    suites/<suite>/<cell>/index.html  *.png  map_<space>.svg

The same records give the same bytes: no build date, no order that depends on the file system. `.built.json`
holds what each cell's folder was made of, so that only changed cells are drawn again, and what files are
ours, so that files of cells that are gone can be removed without touching anything else.
"""

import hashlib
import json
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from bench.errors import UsageError, did_you_mean
from bench.store import CELL_ID, Record, Store

from . import cell_page, index_page, suite_page
from .charts import DARK, LIGHT, WEIGHTS, colours
from .data import Cell, Suite, coordinates, load
from .words import figure, linked, paragraphs

PACKAGE = Path(__file__).parent
MANIFEST = ".built.json"
STATIC = ("report.css", "report.js")

Files = dict[str, bytes]  #: path below the site -> content


def build(results: Path, out: Path, suites: list[str] | None = None) -> Path:
    """Build the site of all suites under `results`, or of those named, into `out`; returns its index.html.

    Raises `UsageError` for a suite without results or a folder that has none at all, and `ResultError` for records
    that cannot be read; then nothing that is in `out` is touched.
    """
    results, out = Path(results), Path(out)
    loaded = [load(results, name) for name in _names(Store(results), suites)]
    hues = colours(str(group.at["label"]) for suite in loaded for group in suite.groups)
    before = _manifest(out)
    after: dict[str, dict[str, Any]] = {}
    env = environment()
    files = _shared(env, loaded)
    for suite in loaded:
        files |= suite_page.files(env, suite, hues)
        for cell, neighbours in _with_neighbours(suite):
            folder = f"suites/{suite.name}/{cell.id}"
            digest = _digest(suite, cell, neighbours, hues)
            if _unchanged(out, before.get(folder), digest):
                after[folder] = before[folder]
                continue
            made = cell_page.files(env, suite, cell, neighbours, hues)
            after[folder] = {"digest": digest, "files": sorted(made)}
            _write(out, made)
    _write(out, files)
    after[""] = {"digest": "", "files": sorted(files)}
    _remove(out, before, after)
    _write(out, {MANIFEST: (json.dumps(after, indent=0, sort_keys=True) + "\n").encode()})
    return out / "index.html"


def environment() -> Environment:
    """The templates: everything is escaped unless it was made by `markupsafe`."""
    env = Environment(
        loader=PackageLoader("report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    env.filters |= {"figure": figure, "linked": linked, "paragraphs": paragraphs}
    return env


def _names(store: Store, wanted: list[str] | None) -> list[str]:
    known = store.suites()
    if not known:
        lacks = "holds no results of any suite" if store.root.is_dir() else "does not exist"
        hint = "`bench run SUITE` makes some, --results names another folder"
        raise UsageError(f"the results folder {store.root} {lacks}; {hint}")
    for name in wanted or []:
        if name not in known:
            raise UsageError(f"no results of suite {name!r} under {store.root}{did_you_mean(name, known, 'suites')}")
    return known if not wanted else list(dict.fromkeys(wanted))


def _shared(env: Environment, suites: list[Suite]) -> Files:
    pages = index_page.files(env, suites)
    return pages | {f"static/{name}": _static(name) for name in STATIC}


@cache
def _static(name: str) -> bytes:
    source = (PACKAGE / "static" / name).read_bytes()
    return source.replace(b"/* palette */", palette().encode()) if name.endswith(".css") else source


def palette() -> str:
    """The hues of `charts` as custom properties, and a class for each hue and width of line."""
    light = "".join(f"--k{i}:{c};" for i, c in enumerate(LIGHT))
    dark = "".join(f"--k{i}:{c};" for i, c in enumerate(DARK))
    classes = "".join(
        f".k{i + len(LIGHT) * place}{{--hue:var(--k{i});--weight:{weight}px}}\n"
        for place, weight in enumerate(WEIGHTS)
        for i in range(len(LIGHT))
    )
    night = f"@media (prefers-color-scheme: dark) {{:root{{{dark}}}}}"
    return f":root{{{light}}}\n{night}\n@media print {{:root{{{light}}}}}\n{classes}"


def _with_neighbours(suite: Suite) -> Iterable[tuple[Cell, list[Cell]]]:
    """Every cell with a record, and the settled cells of its group: the same configuration's seeds."""
    for group in suite.groups:
        settled = [cell for cell in group.cells if cell.record is not None]
        for cell in settled:
            yield cell, settled


def _digest(suite: Suite, cell: Cell, neighbours: list[Cell], hues: dict[str, int]) -> str:
    """Changes when anything that the cell's page is made of changes, the templates included."""
    assert cell.record is not None
    assert CELL_ID.fullmatch(cell.id), cell.id
    state = hashlib.sha256(_sources())
    label = str(coordinates(cell.cell)["label"])
    around = [(c.id, c.seed, c.status) for c in neighbours]
    state.update(json.dumps([suite.title, around, hues.get(label)]).encode())
    state.update(json.dumps(cell.record.about, sort_keys=True, default=str).encode())
    for path in _inputs(cell.record):
        content = path.read_bytes()
        state.update(f"{path.name} {len(content)}\n".encode() + content)
    return state.hexdigest()


def _inputs(record: Record) -> list[Path]:
    named = [record.folder / name for name in ("record.json", "history.csv", "embeddings.npz")]
    return [path for path in (*named, *record.pictures()) if path.is_file() and not path.is_symlink()]


@cache
def _sources() -> bytes:
    files = sorted(p for p in PACKAGE.rglob("*") if p.suffix in (".py", ".html") and p.is_file())
    return hashlib.sha256(b"\0".join(p.read_bytes() for p in files)).digest()


def _unchanged(out: Path, entry: dict[str, Any] | None, digest: str) -> bool:
    return entry is not None and entry["digest"] == digest and all((out / name).is_file() for name in entry["files"])


def _manifest(out: Path) -> dict[str, dict[str, Any]]:
    """What the last build wrote; {} where that is unknown. Names that lead out of the site are dropped."""
    try:
        content = json.loads((out / MANIFEST).read_bytes())
        return {
            str(folder): {
                "digest": str(entry["digest"]),
                "files": [f for f in entry["files"] if _inside(out, f)],
            }
            for folder, entry in content.items()
        }
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return {}


def _inside(out: Path, name: object) -> bool:
    return isinstance(name, str) and (out / name).resolve().is_relative_to(out.resolve())


def _write(out: Path, files: Files) -> None:
    """Write what differs, so that an unchanged file keeps its time."""
    for name, content in files.items():
        path = out / name
        if path.is_file() and path.stat().st_size == len(content) and path.read_bytes() == content:
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def _remove(out: Path, before: dict[str, dict[str, Any]], after: dict[str, dict[str, Any]]) -> None:
    """Remove files that an earlier build wrote and this one did not, and folders left empty by that."""
    kept = {name for entry in after.values() for name in entry["files"]}
    for name in sorted({name for entry in before.values() for name in entry["files"]} - kept):
        path = out / name
        path.unlink(missing_ok=True)
        for parent in path.parents:
            if parent == out or not parent.is_dir() or any(parent.iterdir()):
                break
            parent.rmdir()
