"""The process that checks one plugin: `python -m bench.contracts.worker` with a JSON request as its only argument.

It writes a line of JSON when a check begins and one when it ends. A check that takes too long ends the process, after
the stack was written beside the lines: so an endless loop is named by its line.
"""

import ast
import faulthandler
import json
import os
import sys
from importlib import import_module
from pathlib import Path
from typing import Any, TextIO

import torch

from bench import plugins, registry
from bench.errors import BenchError, NotApplicable

from . import guard
from .common import Broken, Check, Subject


def main(request: dict[str, Any]) -> None:
    """Check the file of the request; `report` and `stack` are the files to write."""
    torch.set_num_threads(1)
    path, kind = Path(request["file"]), request["kind"]
    checks: tuple[Check, ...] = import_module(f"bench.contracts.{kind}").CHECKS
    file = plugins.read_file(path, kind)
    registry.activate([file])
    subject = Subject(registry.describe(kind, file.name), Path(request["data"]), request["options"])
    with Path(request["report"]).open("a", encoding="utf-8") as report, Path(request["stack"]).open("w") as stack:
        guard.watch(file.path, Path(request["data"]))
        for check in (is_imported, *checks):
            asks = (check.__doc__ or "").strip().splitlines()[0]
            _write(report, {"asks": asks})
            faulthandler.dump_traceback_later(request["seconds"], exit=True, file=stack)
            outcome = outcome_of(check, subject, file)
            faulthandler.cancel_dump_traceback_later()
            _write(report, {"asks": asks, **outcome})
            if guard.seen or (check is is_imported and not outcome["ok"]):
                return  # what follows would say the same again


def is_imported(subject: Subject) -> None:
    """The file can be imported."""
    assert subject.kind


def outcome_of(check: Check, subject: Subject, file: plugins.PluginFile) -> dict[str, Any]:
    """`ok` (None where the check does not apply), `message` and `line`, as in `check.Result`."""
    guard.seen.clear()
    try:
        check(subject)
        found: dict[str, Any] = {"ok": True, "message": "", "line": None}
    except NotApplicable as error:
        found = {"ok": None, "message": str(error), "line": None}
    except Broken as error:
        found = {"ok": False, "message": str(error), "line": _definition(file, error.where)}
    except Exception as error:
        text = str(error) if isinstance(error, BenchError) else f"{type(error).__name__}: {error}"
        found = {"ok": False, "message": " ".join(text.split()), "line": plugins.line_in(file.path, error)}
    if guard.seen:
        line, tried = guard.seen[0]
        found = {"ok": False, "message": f"the plugin {tried}", "line": line}
    return found


def _definition(file: plugins.PluginFile, name: str) -> int:
    """The line of a function or method of the file, else of its first class or function."""
    nodes = [n for n in ast.walk(ast.parse(file.source)) if isinstance(n, ast.ClassDef | ast.FunctionDef)]
    lines = {node.name: node.lineno for node in reversed(nodes)}
    return lines.get(name) or min(lines.values(), default=1)


def _write(report: TextIO, line: dict[str, Any]) -> None:
    report.write(json.dumps(line) + "\n")
    report.flush()
    os.fsync(report.fileno())


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
