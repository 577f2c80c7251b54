"""Where the data lie, whether they are all there before anything trains, and loading each of them once."""

import hashlib
import json
import os
import threading
from collections.abc import Iterable, Mapping
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import Any, Protocol

from pydantic import ConfigDict, TypeAdapter, ValidationError

from bench import registry
from bench.errors import DataError, UsageError, did_you_mean
from bench.suite.names import option_type

from . import Data, Dataset, Split
from ._fingerprints import Fingerprints

_loading = threading.Lock()


class Choice(Protocol):
    """A dataset as a suite names it."""

    @property
    def name(self) -> str: ...
    @property
    def options(self) -> Mapping[str, Any]: ...


def find_root(flag: str | None) -> Path:
    """The data root: what `--data` said, else the environment's BENCH_DATA, else `data` right here."""
    return Path(flag or os.environ.get("BENCH_DATA") or "data").expanduser()


def build(name: str, options: Mapping[str, Any]) -> Dataset:
    """An instance of a dataset. Raises `UsageError` for a name, an option or a value that does not exist."""
    known = registry.describe("datasets", name).options
    if unknown := [option for option in options if option not in known]:
        raise UsageError(f"dataset {name} has no option {unknown[0]!r}{did_you_mean(unknown[0], known)}")
    needed = [o.name for o in known.values() if o.default is registry.REQUIRED and o.name not in options]
    if needed:
        example = ", ".join(f"{option}: ..." for option in needed)
        raise UsageError(f"dataset {name} needs {' and '.join(needed)}, as in {{name: {name}, {example}}}")
    for option, value in options.items():
        wanted = known[option].annotation
        if not wanted.startswith("Literal") and not _fits(value, wanted):  # a Literal is the class's to check
            raise UsageError(f"dataset {name}: {option} is {value!r}, must be of type {wanted}")
    return registry.load("datasets", name)(**options)


def _fits(value: Any, annotation: str) -> bool:
    """
    >>> _fits(3, "int"), _fits(True, "int | None"), _fits(None, "int | None"), _fits({"a": 1}, "dict[str, int] | None")
    (True, False, True, True)
    """
    try:
        TypeAdapter(option_type(annotation), config=ConfigDict(strict=True)).validate_python(value)
    except ValidationError:
        return False
    return True


def check(entries: Iterable[tuple[str, Dataset]], root: Path, offline: bool) -> None:
    """Return if all datasets, given with their labels, are in place; unless `offline`, download first.

    Raises one `DataError` for all that are missing: which, where each was looked for, what to put where.
    """
    problems: dict[str, None] = {}  # keyed by text: two entries may share their files
    for label, dataset in entries:
        if problem := _obtain(dataset, root, offline):
            problems[f"  {label}: {problem}"] = None
    if not problems:
        return
    count = "a dataset is" if len(problems) == 1 else f"{len(problems)} datasets are"
    advice = f"the data root is {root.absolute()}; --data DIR or BENCH_DATA=DIR name another"
    raise DataError("\n".join([f"{count} missing", *problems, f"  ({advice})"]))


def _obtain(dataset: Dataset, root: Path, offline: bool) -> str | None:
    """What is still missing of a dataset after trying to download it; None: nothing."""
    problem = dataset.missing(root)
    if problem is None or offline:
        return problem
    try:
        dataset.fetch(root)
    except DataError as error:
        return str(error).removeprefix(f"{dataset.name}: ")
    return dataset.missing(root)


def load(choice: Choice, root: Path) -> Data:
    """The data of a choice, loaded once a process: the same object for the same name, options and root."""
    with _loading:  # two threads asking for the same dataset wait for one reading of it
        return _load(
            choice.name, _sha256(choice.name), json.dumps(dict(choice.options), sort_keys=True), root.absolute()
        )


@lru_cache(maxsize=4)  # a few: CelebA alone is 2 GB
def _load(name: str, sha256: str | None, options: str, root: Path) -> Data:
    return build(name, json.loads(options)).load(root)


def _sha256(name: str) -> str | None:
    """Of the file of a plugin; None for a built-in dataset."""
    return registry.describe("datasets", name).sha256


def inspect(entries: Iterable[tuple[str, Dataset]], root: Path) -> None:
    """Raise one `DataError` for all datasets, given with their labels, that cannot be trained on."""
    problems: dict[str, None] = {}
    for label, dataset in entries:
        try:
            dataset.inspect(root)
        except DataError as error:
            problems[f"{label}: {error}"] = None
    if problems:
        raise DataError("\n".join(problems))


def prints(choice: Choice, root: Path) -> Fingerprints:
    """The fingerprints of the images under `root`, which are read unless files have the sizes and times they had then.

    They are kept under `<root>/.cache` by a hash of the dataset, its options, and the files' names, sizes and times.
    Raises `DataError` for missing or damaged data.
    """
    dataset = build(choice.name, choice.options)
    known = (
        choice.name,
        _sha256(choice.name) or dataset.version,
        sorted(choice.options.items()),
        dataset.where(root),
        dataset.stamp(root),
    )
    kept = root / ".cache" / f"fingerprint-{hashlib.sha256(repr(known).encode()).hexdigest()[:24]}.json"
    try:
        content = json.loads(kept.read_bytes())
        return Fingerprints(str(content["fingerprint"]), str(content["order"]))
    except (OSError, ValueError, TypeError, KeyError):
        _load.cache_clear()  # images of this process may be the ones that were replaced
    data = load(choice, root)
    with suppress(OSError):
        kept.parent.mkdir(parents=True, exist_ok=True)
        text = json.dumps({"fingerprint": data.fingerprint(), "order": data.order()})
        temporary = kept.with_suffix(f".{os.getpid()}.tmp")
        temporary.write_text(text, encoding="utf-8")
        temporary.replace(kept)
    return Fingerprints(data.fingerprint(), data.order())


def fetch_or_check(verb: str, name: str, flag: str | None, options: Mapping[str, Any]) -> dict[str, Any]:
    """`bench data fetch|check NAME`: `status`, for "fetch" after downloading what is missing.

    `flag` is what `--data` said. Raises `DataError` where something is missing or damaged.
    """
    root = find_root(flag)
    check([(name, build(name, options))], root, offline=verb != "fetch")
    return status(name, root, options)


def status(name: str, root: Path, options: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """What `bench data check NAME` tells of a dataset, ready for JSON. Raises `DataError` if it is missing.

    `original` is "yes" where every file has the published checksum, "no: FILES" where some have another one,
    and else "unknown: WHY". A copy with other bytes may still be good; its fingerprint tells it apart.
    """
    dataset = build(name, options or {})
    data = dataset.load(root)
    return {
        "name": name,
        "where": str(dataset.where(root).absolute()),
        **data.describe(),
        "train": _counts(data.train, data.classes),
        "test": _counts(data.test, data.classes),
        "original": dataset.original(root),
    }


def _counts(split: Split, classes: tuple[str, ...]) -> dict[str, Any]:
    per_class = [] if split.labels is None else split.labels.bincount(minlength=len(classes)).tolist()
    return {"images": len(split), "per_class": per_class}
