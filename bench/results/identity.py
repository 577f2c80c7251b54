"""Which suite a results folder holds: two files of one name must not take each other's place without a word."""

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bench.errors import BenchError, UsageError
from bench.suite import Suite, load
from bench.suite.files import name_of

from .problems import warn
from .migrate import former_ids
from .store import DAMAGED, Store


def check_same_suite(suite: Suite, store: Store, replace: bool = False) -> str | None:
    """What a person should know before `suite` is run into the folder of its name; None: nothing.

    replace: the suite may take the place of another one. Raises `UsageError` where the folder holds the results of
    another suite, which is one of another title that shares no cell with this one, or has cells to be migrated.
    """
    if suite.name not in store.suites():
        return None
    recorded = store.suite(suite.name)
    if not replace and (count := len(former_ids(recorded))):
        raise UsageError(
            f"{store.suite_folder(suite.name)}: {count} cells have ids of an earlier version, which hashed the path of "
            f"their data; `bench verify {suite.name} --migrate` renames them, so that nothing is computed again"
        )
    if suite.overrides:
        return None
    before, asked = _ids(recorded), {cell.id for cell in suite.cells}
    if DAMAGED in recorded or not before or before & asked:
        return None
    folder = store.suite_folder(suite.name)
    if recorded.get("title", suite.title) != suite.title and not replace:
        raise UsageError(
            f"{folder} holds the results of another suite, {recorded['title']!r}; {suite.path} is {suite.title!r} and "
            "shares no cell with it: rename the file, name another folder with --results, or replace it with --force"
        )
    note = f"{suite.name}: none of the {len(before)} cells recorded in {folder} is asked for any more"
    return note + _as_recorded(recorded)


def _as_recorded(recorded: Mapping[str, Any]) -> str:
    """The overrides that the recorded cells were run with, for the command line."""
    words = [word for override in recorded.get("overrides") or [] for word in ("--set", str(override))]
    return f"; they were run with {shlex.join(words)}" if words else ""


def warn_of_other_suite(suite: Suite, store: Store) -> None:
    """Warn where the folder of a suite's name holds another suite: what `run` refuses or says, for verbs that read."""
    try:
        note = check_same_suite(suite, store)
    except UsageError as error:
        note = str(error)
    warn([note] if note else [])


def suite_name(given: str, results: Path) -> str:
    """The name of a suite given by name or by file: `suites/digits.yaml`, `digits.yaml` and `digits` are all digits.

    Raises `UsageError` where the file of that name is not the suite that the results folder holds. Warns where the
    file asks for other cells than were run.
    """
    name, file, store = name_of(given), Path(given), Store(results)
    if file.suffix in (".yaml", ".yml") and file.is_file() and name in store.suites():
        _compare(file, store.suite(name), store)
    return name


def _compare(file: Path, recorded: Mapping[str, Any], store: Store) -> None:
    try:
        suite = load(file, recorded.get("overrides") or [])
    except BenchError as error:
        warn([f"{file} cannot be read, so it was not compared with what was run: {error}"])
        return
    before, asked = _ids(recorded), {cell.id for cell in suite.cells}
    if before == asked or not before:
        return
    title = recorded.get("title", suite.title)
    folder = store.suite_folder(file.stem)
    if title != suite.title or not before & asked:
        shared = f"{len(before & asked)} of {len(asked)} cells" if before & asked else "none of its cells"
        raise UsageError(
            f"{folder} holds the results of {title!r}; {file} ({suite.title!r}) has {shared} there. "
            f"`bench run {file}` computes it (--results names another folder); the name {file.stem} alone, without "
            "the file, means what is recorded"
        )
    more, fewer = len(asked - before), len(before - asked)
    said = f"{file} asks for other cells by now, {more} more and {fewer} no longer"
    warn([f"{said}; what is shown is the suite as it was run"])


def _ids(recorded: Mapping[str, Any]) -> set[str]:
    return {entry["id"] for entry in recorded.get("cells", [])}
