"""`bench check`: the contract of a plugin's file, in a process of its own with a time limit. Imports no torch."""

import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import bench
from bench import plugins, registry
from bench.errors import ComponentError

SECONDS = 120  #: of one check


@dataclass(frozen=True)
class Result:
    """What became of one check: ok is None where it does not apply; the message then says why."""

    file: str
    asks: str  #: what the contract asks for
    ok: bool | None
    message: str = ""
    line: int | None = None

    def __str__(self) -> str:
        if self.ok is not False:
            return f"{'ok     ' if self.ok else 'skipped'} {self.asks}{f' ({self.message})' if self.message else ''}"
        return f"BROKEN  {self.file}:{self.line or 1}: {self.asks.rstrip('.')}; but {self.message}"


def files_of(path: Path) -> list[plugins.PluginFile]:
    """The plugins of a file or folder. Raises `ComponentError` where the path is neither."""
    if not path.exists():
        raise ComponentError(f"{path}: there is no such file or folder")
    if path.is_dir():
        return list(plugins.from_folder(path))
    kind = path.absolute().parent.name
    if kind not in plugins.KINDS:
        raise ComponentError(f"{path}: a plugin lies in a folder {', '.join(f'{kind}/' for kind in plugins.KINDS)}")
    return [plugins.read_file(path, kind)]


def check(file: plugins.PluginFile, data: Path, options: Mapping[str, Any], seconds: float = SECONDS) -> list[Result]:
    """All checks of a plugin. data: the data root. options: those of the component that have no default."""
    try:
        registry.activate([file])
        registry.describe(file.kind, file.name)
    except ComponentError as error:
        line, message = _split(str(error), file.path)
        return [Result(file.path, "The file can be read and declares its component", False, message, line)]
    with tempfile.TemporaryDirectory(prefix="bench-check-") as folder:
        return list(_run(file, Path(folder), data.absolute(), dict(options), seconds))


def _run(
    file: plugins.PluginFile, folder: Path, data: Path, options: dict[str, Any], seconds: float
) -> Iterator[Result]:
    report, stack, work = folder / "report", folder / "stack", folder / "work"
    work.mkdir()
    path = str(Path(file.path).absolute())
    request = {"file": path, "kind": file.kind, "data": str(data), "options": options, "seconds": seconds,
               "report": str(report), "stack": str(stack)}  # fmt: skip
    roots = os.pathsep.join(filter(None, [str(Path(bench.__file__).parents[1]), os.environ.get("PYTHONPATH")]))
    done = subprocess.run(  # noqa: S603
        [sys.executable, "-m", "bench.contracts.worker", json.dumps(request)],
        cwd=work,
        env={**os.environ, "PYTHONPATH": roots, "PYTHONDONTWRITEBYTECODE": "1"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
    )
    lines = [json.loads(line) for line in report.read_text(encoding="utf-8").splitlines()] if report.exists() else []
    finished = [line for line in lines if "ok" in line]
    for line in finished:
        yield Result(file.path, line["asks"], line["ok"], line["message"], line["line"])
    if len(lines) > 2 * len(finished):
        asks = lines[-1]["asks"]
        found = re.search(rf'File "{re.escape(path)}", line (\d+) in (\w+)', stack.read_text(encoding="utf-8"))
        reason = f"it did not end within {seconds:g} s" if found else f"its process ended with {done.returncode}"
        where = f" (in {found[2]})" if found else ""
        yield Result(file.path, asks, False, f"{reason}{where}", int(found[1]) if found else None)
    elif not lines:
        last = done.stderr.decode("utf-8", errors="replace").strip().splitlines()[-1:]
        yield Result(file.path, "The file can be checked", False, "".join(last) or "its process ended at once")


def as_json(found: Mapping[str, list[Result]]) -> dict[str, Any]:
    """File → its results."""
    return {file: [asdict(result) for result in results] for file, results in found.items()}


def _split(text: str, path: str) -> tuple[int | None, str]:
    """Line and message of an error that begins with `path:line:column: `."""
    found = re.match(rf"{re.escape(path)}(?::(\d+))?(?::\d+)?: ", text)
    return (int(found[1]) if found and found[1] else None, text[found.end() :] if found else text)
