"""Imports go one way: a variant never imports the trainer, a metric no variant, the report no torch."""

import ast
import json
import os
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest
from test_plugins import SUITE, write

ROOT = Path(__file__).resolve().parent.parent

#: room -> the rooms it may import; each stands above it in the README's tree, and its own files are always allowed
ALLOWED = {
    "errors": set(),
    "plugins": {"errors"},
    "registry": {"errors", "plugins"},
    "suite": {"errors", "plugins", "registry"},
    "results": {"errors", "registry", "suite"},
    "models": {"errors", "registry", "suite"},
    "datasets": {"errors", "registry", "suite", "models"},
    "training": {"errors", "registry", "suite", "results", "models", "datasets"},
    "evaluation": {"errors", "registry", "suite", "results", "models", "datasets", "training"},
    "contracts": {"errors", "plugins", "registry", "suite", "models", "datasets", "training", "evaluation"},
    "runs": {"errors", "plugins", "registry", "suite", "results", "models", "datasets", "training", "evaluation"},
    "report": {"errors", "registry", "suite", "results"},
}
#: what a component may import of `bench`, narrower than its room
COMPONENTS = {
    "models/variants": ("bench.errors", "bench.models"),
    "models/nets": ("bench.errors", "bench.models.seeding"),
    "models/samplers": ("bench.errors",),
    "datasets": ("bench.errors",),
    "evaluation/metrics": (
        "bench.errors",
        "bench.evaluation.frechet",
        "bench.evaluation.neighbors",
        "bench.evaluation.subsets",
        "bench.models.similarity",
    ),
}


def sources():
    """Dotted name → file, for the package as it is installed."""
    found = {}
    for folder, prefix in ((ROOT / "bench", "bench"), (ROOT / "report", "bench.report")):
        for path in sorted(folder.rglob("*.py")):
            parts = path.relative_to(folder).with_suffix("").parts
            found[".".join([prefix, *(p for p in parts if p != "__init__")])] = path
    return found


SOURCES = sources()


def imports(name, lazy=True):
    """Modules of the package that a file imports; lazy: also within functions and for types only."""
    path = SOURCES[name]
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree) if lazy else tree.body:
        if isinstance(node, ast.Import):
            yield from (a.name for a in node.names if a.name.split(".")[0] == "bench")
        elif isinstance(node, ast.ImportFrom):
            base = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            module = ".".join([*base, *([node.module] if node.module else [])])
            if module.split(".")[0] == "bench":
                submodules = {f"{module}.{a.name}" for a in node.names} & SOURCES.keys()
                yield from submodules or [module]


def room(name):
    return name.split(".")[1] if "." in name else "bench"


@pytest.mark.parametrize("name", [n for n in SOURCES if room(n) in ALLOWED])
def test_a_room_imports_only_rooms_above_it(name):
    rooms = {room(m) for m in imports(name)} - {room(name), "bench"}
    assert rooms <= ALLOWED[room(name)], f"{name} imports {sorted(rooms - ALLOWED[room(name)])}"


@pytest.mark.parametrize("folder", COMPONENTS)
def test_a_component_imports_only_its_contract_and_shared_mathematics(folder):
    package = f"bench.{folder.replace('/', '.')}"
    for name in (n for n in SOURCES if n.startswith(f"{package}.") and not n.rpartition(".")[2].startswith("_")):
        other = [m for m in imports(name) if not m.startswith((package, *COMPONENTS[folder]))]
        assert not other, f"{name} imports {other}"


def test_no_file_imports_itself_through_others():
    """Also through imports within functions, which only hide a cycle."""
    graph = {name: {m for m in imports(name) if m in SOURCES and m != "bench"} - {name} for name in SOURCES}
    done, path = set(), []

    def visit(name):
        assert name not in path, f"import cycle: {' → '.join([*path[path.index(name) :], name])}"
        if name in done:
            return
        path.append(name)
        for other in sorted(graph[name]):
            visit(other)
        path.pop()
        done.add(name)

    for name in graph:
        visit(name)


TORCHLESS = (
    "bench.suite", "bench.results.store", "bench.results.stats", "bench.results.claims", "bench.results.verify",
    "bench.runs.plan", "bench.runs.memory_estimate", "bench.report", "bench.__main__",
)  # fmt: skip


def test_this_much_works_without_torch():
    code = f"import sys, {', '.join(TORCHLESS)}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT).returncode == 0


def test_the_wheel_holds_every_package():
    listed = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["setuptools"]["packages"]
    assert {name for name, path in SOURCES.items() if path.name == "__init__.py"} <= set(listed)


def test_the_wheel_alone_knows_its_suites_and_plans_one_with_plugins(tmp_path):
    """Unpacked into a folder; the suite lies in an empty one. Running it differs by the import of torch only."""
    source, installed, here = (tmp_path / name for name in ("source", "installed", "here"))
    for name in ("bench", "report", "suites"):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    code = "import sys; from setuptools import build_meta; build_meta.build_wheel(sys.argv[1])"
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], cwd=source, check=True, capture_output=True)
    [wheel] = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(installed)
    write(here / "mine")
    (here / "own.yaml").write_text(SUITE)
    env = {**os.environ, "PYTHONPATH": str(installed), "PYTHONDONTWRITEBYTECODE": "1"}

    def verb(*arguments):
        command = [sys.executable, "-m", "bench", *arguments, "--json"]
        return json.loads(subprocess.run(command, cwd=here, env=env, check=True, capture_output=True).stdout)

    assert verb("plan", "own.yaml")["counts"] == {"missing": 4}
    listed = verb("list", "suites", "--plugins", "mine")
    assert {path.stem for path in (ROOT / "suites").glob("*.yaml")} <= {suite["name"] for suite in listed["suites"]}
