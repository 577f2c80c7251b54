"""One cell's record: what it holds, and the one place where a file is checked before anything else sees it.

A file that cannot be used becomes a record with the status "damaged", the reason, and no numbers.
"""

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Required

from pydantic import ConfigDict, TypeAdapter, ValidationError
from typing_extensions import TypedDict

from bench.errors import ResultError

from .files import read_arrays, read_history, read_json

if TYPE_CHECKING:
    import numpy as np

SCHEMA = 1
STATUSES = ("done", "failed", "diverged", "skipped")
DAMAGED = "damaged"  #: the status of a record whose file cannot be used; never written
PICTURES = (".png", ".webp", ".gif")
REMEDY = "`bench run SUITE --retry-failed` computes the cell again, unless a copy of the file is put back"


@dataclass(frozen=True)
class Record:
    """What one cell produced.

    metrics: name → {value, unit, better, n, key, version}, with {value: None, reason} where there is no number.
    aliases: ids that the cell had in earlier versions.
    external: the model was trained elsewhere and only measured here; `cell["external"]` has the hashes of it.
    """

    id: str
    suite: str
    status: str
    cell: dict[str, Any]
    reason: str | None = None
    metrics: dict[str, dict[str, Any]] = field(default_factory=dict)
    timings: dict[str, Any] = field(default_factory=dict)
    training: dict[str, Any] = field(default_factory=dict)
    about: dict[str, Any] = field(default_factory=dict)
    provenance: dict[str, Any] = field(default_factory=dict)
    folder: Path = Path()
    aliases: tuple[str, ...] = ()
    external: bool = False

    def value(self, metric: str) -> float | None:
        """The number of a metric, or None where it has none."""
        return self.metrics.get(metric, {}).get("value")

    def history(self) -> list[dict[str, float]]:
        """Rows of history.csv: epoch, seconds, and train_/test_ terms in nats per image; [] for closed forms.

        Raises `ResultError` for a damaged file.
        """
        return read_history(self.folder / "history.csv")

    def embeddings(self) -> "dict[str, np.ndarray] | None":
        """`labels` (P,), `latent` (P, 2) and one (P, 2) array for each embedding method; None where there are none.

        Raises `ResultError` for a damaged file.
        """
        path = self.folder / "embeddings.npz"
        arrays = read_arrays(path)
        if arrays is not None:
            _check_embeddings(arrays, path)
        return arrays

    def pictures(self) -> list[Path]:
        """The files of the cell's figures, sorted by name."""
        return pictures_of(self.folder)

    def as_json(self) -> dict[str, Any]:
        """The content of record.json."""
        fields = {name: getattr(self, name) for name in ("id", "suite", "status", "reason", "cell", "metrics")}
        content = {
            "schema": SCHEMA,
            **fields,
            "timings": self.timings,
            "training": self.training,
            "about": self.about,
            "provenance": self.provenance,
        }
        content |= {"aliases": list(self.aliases)} if self.aliases else {}
        return content | ({"external": True} if self.external else {})


def pictures_of(folder: Path) -> list[Path]:
    """The pictures in a cell's folder, sorted by name."""
    return sorted(path for path in folder.glob("*") if path.suffix in PICTURES and path.is_file())


def read_record(folder: Path, suite: str, cell_id: str, texts: dict[str, Any]) -> Record:
    """The record in a cell's folder. texts: the `about` of the suite, the long descriptions that records leave out.

    The folder decides which suite a record is of, so that a folder can be renamed; the name inside is not compared.
    Raises `ResultError` for a file that cannot be used, `FileNotFoundError` where there is none.
    """
    path = f"{folder}{os.sep}record.json"  # a string: thousands of paths would take as long as reading the files
    content = read_json(path)
    check_schema(content, path)
    _check(_RECORD, content, path)
    if content["status"] not in STATUSES:
        raise ResultError(f"{path}: unknown status {content['status']!r}")
    if content["id"] != cell_id:
        raise ResultError(f"{path}: says it is cell {content['id']!r}, but lies in the folder of {cell_id!r}")
    return Record(
        cell_id,
        suite,
        content["status"],
        content["cell"],
        printable(content.get("reason")),
        content["metrics"],
        content["timings"],
        content.get("training") or {},
        _with_texts(content.get("about") or {}, content["metrics"], texts),
        content.get("provenance") or {},
        folder,
        tuple(content.get("aliases") or ()),
        content.get("external") is True,
    )


def damaged(suite: str, cell_id: str, folder: Path, problem: str, cell: dict[str, Any]) -> Record:
    """What stands for a cell whose record cannot be used. problem: names the file."""
    return Record(cell_id, suite, DAMAGED, cell, f"{printable(problem)}; {REMEDY}", folder=folder)


def check_suite(content: Any, path: Path) -> dict[str, Any]:
    """The content of suite.json, checked. Raises `ResultError`."""
    check_schema(content, path)
    return _check(_SUITE, content, path)


def check_schema(content: Any, path: Path | str) -> None:
    """Raise `ResultError` for what is not an object of this version's schema."""
    found = content.get("schema") if isinstance(content, dict) else type(content).__name__
    if type(found) is not int or found != SCHEMA:
        newer = "; a later version of bench wrote it" if type(found) is int and found > SCHEMA else ""
        raise ResultError(f"{path}: schema {found!r}, this version reads schema {SCHEMA}{newer}")


def printable(text: str | None) -> str | None:
    """Text without control characters but line ends: it may come from anywhere and is printed on terminals.

    >>> printable("red \\x1b[31m\\nnext")
    'red [31m\\nnext'
    """
    if text is None or text.isprintable():
        return text
    return "".join(c for c in text if c.isprintable() or c == "\n")


def _check(adapter: TypeAdapter[Any], content: Any, path: Path | str) -> Any:
    """`content` itself, unchanged, once it has the types that the rest of the program relies on."""
    try:
        adapter.validate_python(content)
    except ValidationError as error:
        first, *rest = error.errors(include_url=False, include_input=False, include_context=False)
        where = ".".join(dict.fromkeys(str(part) for part in first["loc"] if part not in ("int", "float", "nullable")))
        more = f", and {len(rest)} more" if rest else ""
        raise ResultError(f"{path}: '{where}': {first['msg']}{more}") from error
    return content


def _check_embeddings(arrays: "dict[str, np.ndarray]", path: Path) -> None:
    import numpy as np

    sizes = {len(array) for array in arrays.values() if array.ndim}
    labels = arrays.get("labels")
    sound = len(sizes) == 1 and (labels is None or (labels.ndim == 1 and labels.dtype.kind in "iu"))
    for name, array in arrays.items():
        if name != "labels":
            sound = sound and array.ndim == 2 and array.shape[1] == 2 and array.dtype.kind == "f"
            sound = sound and bool(np.isfinite(array).all())
    if not sound:
        raise ResultError(f"{path}: not the maps of a cell: labels (P,) of integers and finite arrays (P, 2)")


def _with_texts(about: dict[str, Any], metrics: dict[str, dict[str, Any]], texts: dict[str, Any]) -> dict[str, Any]:
    """A record's one-line descriptions (kept by family) for each of its columns, with the suite's long texts."""
    lines, long = _mapping(about.get("metrics")), _mapping(texts.get("metrics"))
    families = {name: entry.get("family") or name for name, entry in metrics.items()}
    known = {family: {**_mapping(long.get(family)), **_mapping(lines.get(family))} for family in {*families.values()}}
    merged = dict(about)
    merged["metrics"] = {name: known[family] for name, family in families.items()}
    for kind in ("variant", "net", "likelihood"):
        entry = about.get(kind)
        if isinstance(entry, dict):
            merged[kind] = {**_mapping(_mapping(texts.get(f"{kind}s")).get(str(entry.get("name")))), **entry}
    return merged


def _mapping(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


# -- the types of what is read. Fields that an earlier version did not write are optional; further ones are allowed.

_STRICT = ConfigDict(strict=True, extra="allow", allow_inf_nan=False)
_Number = int | float


class _Metric(TypedDict, total=False):
    __pydantic_config__ = _STRICT  # type: ignore[misc]
    value: _Number | None
    unit: str | None
    better: str | None
    reason: str | None
    family: str | None
    member: str | None
    key: dict[str, Any] | None
    n: int | None
    version: int
    seconds: _Number | None


class _Cell(TypedDict, total=False):
    __pydantic_config__ = _STRICT  # type: ignore[misc]
    dataset: Required[str]
    dataset_options: dict[str, Any]
    dataset_label: str
    variant: Required[str]
    options: dict[str, Any]
    label: str
    net: str | None
    net_options: dict[str, Any]
    net_label: str | None
    likelihood: str
    likelihood_options: dict[str, Any]
    latent_size: Required[int]
    seed: Required[int]
    train: dict[str, Any]
    evaluate: dict[str, Any]
    external: dict[str, str]
    plugins: dict[str, str]


class _Dataset(TypedDict, total=False):
    __pydantic_config__ = _STRICT  # type: ignore[misc]
    source: str
    fingerprint: str
    classes: list[str]
    shape: list[int]
    train: int
    test: int


class _About(TypedDict, total=False):
    __pydantic_config__ = _STRICT  # type: ignore[misc]
    variant: dict[str, str]
    net: dict[str, str]
    likelihood: dict[str, str]
    dataset: _Dataset
    metrics: dict[str, dict[str, str]]


class _Training(TypedDict, total=False):
    __pydantic_config__ = _STRICT  # type: ignore[misc]
    train_id: str
    parameters: int
    epochs: int
    steps: int
    seconds: _Number
    images_per_s: _Number | None
    fingerprint: str | None


class _Provenance(TypedDict, total=False):
    __pydantic_config__ = _STRICT  # type: ignore[misc]
    git: str | None
    fingerprint: str | None
    created: str
    versions: dict[str, str | None]
    rulers: dict[str, dict[str, Any]]


class _Timings(TypedDict, total=False):
    __pydantic_config__ = _STRICT  # type: ignore[misc]
    train: _Number
    evaluate: _Number
    parts: dict[str, _Number]


class _Record(TypedDict, total=False):
    __pydantic_config__ = _STRICT  # type: ignore[misc]
    id: Required[str]
    suite: Required[str]
    status: Required[str]
    reason: str | None
    cell: Required[_Cell]
    metrics: Required[dict[str, _Metric]]
    timings: Required[_Timings]
    training: _Training | None
    about: _About | None
    provenance: _Provenance | None
    aliases: list[str]
    external: bool


class _Entry(TypedDict, total=False):
    __pydantic_config__ = _STRICT  # type: ignore[misc]
    id: Required[str]
    skip: str | None
    cell: _Cell


class _Suite(TypedDict, total=False):
    __pydantic_config__ = _STRICT  # type: ignore[misc]
    name: str
    title: str
    description: str
    digest: str
    text: str
    overrides: list[str]
    metrics: list[Any]
    references: list[Any]
    claims: list[Any]
    cells: list[_Entry]
    about: dict[str, dict[str, dict[str, str]]]


_RECORD: TypeAdapter[Any] = TypeAdapter(_Record)
_SUITE: TypeAdapter[Any] = TypeAdapter(_Suite)
