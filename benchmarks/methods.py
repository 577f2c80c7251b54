"""The table of methods: how each is proved, and what it reached on the digits.

    python -m benchmarks.methods            # reads what the tests declare and results/methods_digits
    python -m benchmarks.methods --run      # also runs those tests: minutes; exit code 1 where one fails

A *proof* is a test of `PROOFS` that names the method or uses its mathematics: a closed form, a limit at which it is
another method, a reference computation. *Stacked*: three seeds trained in a stack are those trained alone. *pythae*:
values of pythae 0.1.2 at equal weights and noise, `tests/test_pythae.py`. The numbers are means over the seeds of the
suite `methods_digits` with 95 % t-intervals. ELBOs under another likelihood or given the label say so, and do not
compare with the others; an FCD is that of the sampler `prior` unless it names another. Tests are read, not imported.
"""

import ast
import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import click

from bench import registry
from bench.results.frame import load_results
from bench.results.stats import summarise
from bench.suite.listing import FAMILIES, family_of

ROOT = Path(__file__).resolve().parent.parent
PROOFS = ("test_methods", "test_similarity", "test_after_step", "test_schedules", "test_variants")
STACKED = ("test_train", "test_a_seed_trained_in_a_stack_is_the_seed_trained_alone")
PEER = ("test_pythae", "test_values_are_those_of_pythae")
SUITE = "methods_digits"
FCD = ("fcd_prior", "fcd_own_prior", "fcd_code_prior")  #: the first that a method has
DECIMALS = {"mse": 4, "elbo": 2}
METRICS = {"MSE": ("mse",), "ELBO": ("elbo",), "FCD": FCD}


@dataclass
class Counted:
    """Tests of a method: how many there are, and with `--run` how many of their cases passed and failed."""

    tests: set[str] = field(default_factory=set)
    passed: int = 0
    failed: int = 0

    def words(self) -> str:
        if self.failed:
            return f"{self.failed} of {self.passed + self.failed} failed"
        return f"{len(self.tests)} ✓" if self.passed else str(len(self.tests) or "")


def names() -> tuple[str, ...]:
    """The built-in methods by family."""
    found = [registry.describe("variants", name) for name in registry.names("variants")]
    return tuple(one.name for one in sorted(found, key=lambda one: (FAMILIES.index(family_of(one)), one.name)))


@cache
def _tree(file: str) -> ast.Module:
    return ast.parse((ROOT / "tests" / f"{file}.py").read_text(encoding="utf-8"))


def proofs() -> dict[str, Counted]:
    """Method → the proofs that name it, as `file::test`."""
    found = {name: Counted() for name in names()}
    for file in PROOFS:
        for test, known in named(_tree(file), set(found)).items():
            for name in known:
                found[name].tests.add(f"{file}::{test}")
    return found


def named(tree: ast.Module, known: set[str]) -> dict[str, set[str]]:
    """Test → the methods that it, its parameters, or what it uses of the same file name or import."""
    definitions: dict[str, ast.AST] = {}
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            definitions[node.name] = node
        elif isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            definitions[node.targets[0].id] = node.value
        elif isinstance(node, ast.ImportFrom) and str(node.module).startswith("bench.models.variants"):
            for alias in node.names:  # a method's module, or a function of it
                method = alias.name if alias.name in known else str(node.module).rpartition(".")[2]
                definitions[alias.asname or alias.name] = ast.Constant(method)

    def within(name: str, seen: frozenset[str]) -> set[str]:
        nodes = list(ast.walk(definitions[name]))
        found = {node.value for node in nodes if isinstance(node, ast.Constant) and node.value in known}
        used = {node.id for node in nodes if isinstance(node, ast.Name)} & definitions.keys() - seen - {name}
        return found.union(*(within(other, seen | {name}) for other in used))

    return {name: within(name, frozenset()) for name in definitions if name.startswith("test_")}


def peers() -> tuple[dict[str, str], dict[str, str]]:
    """Method → pythae's class, and method → what is compared in part or not at all, and why."""
    tables = {
        node.targets[0].id: node.value
        for node in _tree(PEER[0]).body
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and isinstance(node.value, ast.Dict)
    }
    compared = tables["COMPARED"]
    keys = [ast.literal_eval(key) for key in compared.keys if key]
    classes = [ast.literal_eval(value.elts[0]) for value in compared.values if isinstance(value, ast.Tuple)]
    return dict(zip(keys, classes, strict=True)), ast.literal_eval(tables["DIFFERENT"])


def run(tests: Iterable[str]) -> list[tuple[str, str, bool]]:
    """Run tests, each `file::test` → of each case that was not skipped: its test, its parameters, whether it passed."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "junit.xml"
        chosen = [f"tests/{test.replace('::', '.py::')}" for test in tests]
        command = [sys.executable, "-m", "pytest", "-q", "-n", "0", f"--junitxml={report}", *chosen]
        subprocess.run(command, cwd=ROOT, stdout=sys.stderr, check=False)  # noqa: S603
        cases = ElementTree.parse(report).iter("testcase")  # noqa: S314  (pytest wrote it just now)
        return [_outcome(case) for case in cases if case.find("skipped") is None]


def _outcome(case: ElementTree.Element) -> tuple[str, str, bool]:
    test, _, parameters = str(case.get("name")).partition("[")
    file = str(case.get("classname")).rpartition(".")[2]
    passed = case.find("failure") is None and case.find("error") is None
    return f"{file}::{test}", parameters.removesuffix("]"), passed


def count(found: Mapping[str, Counted], outcomes: Iterable[tuple[str, str, bool]]) -> None:
    """Add cases to the methods they are of: those in the parameters, else all that the test names."""
    for test, parameters, passed in outcomes:
        of = {name for name, counted in found.items() if test in counted.tests}
        for name in of & set(re.split(r"[-\[\]]", parameters)) or of:
            found[name].passed += passed
            found[name].failed += not passed


def digits(results: Path) -> dict[str, dict[str, Any]]:
    """Method → column → mean ± half-width over seeds, and seconds of training; only methods of done cells."""
    if not (results / SUITE).is_dir():
        return {}
    frame = load_results(results, SUITE)
    found = {}
    for name, rows in frame[frame["status"] == "done"].groupby("variant"):
        cells = {column: _summary(str(name), rows, metrics) for column, metrics in METRICS.items()}
        found[str(name)] = {**cells, "seeds": len(rows)}
    return found


def _summary(name: str, rows: Any, metrics: tuple[str, ...]) -> str:
    """Mean ± half-width of the first metric that has values, and what it does not compare with others by."""
    for metric in metrics:
        values = rows[metric].dropna().tolist() if metric in rows else []
        if not values:
            continue
        of, decimals = summarise(values), DECIMALS.get(metric, 0)
        half = "" if of.half_width is None else f" ± {of.half_width:.{decimals}f}"
        told = _condition(name, metric, rows["likelihood"].iloc[0])
        return f"{of.mean:.{decimals}f}{half}{f' ({told})' if told else ''}".replace("-", "−")
    return ""


def _condition(name: str, metric: str, likelihood: str) -> str:
    if metric in FCD[1:]:
        return registry.readable_name(metric.removeprefix("fcd_"))
    if metric != "elbo":
        return ""
    given = "given the label" if registry.describe("variants", name).constants["conditional"] else ""
    return given or (registry.readable_name(likelihood) if likelihood != "bernoulli" else "")


def table(results: Path, outcomes: Iterable[tuple[str, str, bool]] | None = None) -> tuple[list[dict[str, str]], bool]:
    """A row for each method, and whether every case that was run passed."""
    proved, (classes, partly), measured = proofs(), peers(), digits(results)
    stacked = {name: Counted({"::".join(STACKED)} if _trained(name) else set()) for name in names()}
    compared = {name: Counted({"::".join(PEER)} if name in classes else set()) for name in names()}
    for found in (proved, stacked, compared):
        count(found, outcomes or ())
    rows = []
    for name in names():
        component, peer = registry.describe("variants", name), classes.get(name, "")
        mark = " (in part)" if name in partly and peer else ""
        rows.append({
            "method": name, "title": component.short_title, "family": family_of(component),
            "proofs": proved[name].words(),
            "stacked": _checked(stacked[name], "yes" if _trained(name) else "closed form"),
            "pythae": _checked(compared[name], f"{peer}{mark}" if peer else "differs" if name in partly else ""),
            **{column: measured.get(name, {}).get(column, "") for column in METRICS},
            "seeds": str(measured.get(name, {}).get("seeds", "")),
        })  # fmt: skip
    return rows, not any(one.failed for found in (proved, stacked, compared) for one in found.values())


def _trained(name: str) -> bool:
    return not registry.describe("variants", name).constants["closed_form"]


def _checked(counted: Counted, text: str) -> str:
    if counted.failed:
        return f"{text}: failed"
    return f"{text} ✓" if counted.passed else text


def markdown(rows: list[dict[str, str]]) -> str:
    """The rows as a Markdown table, and what differs from pythae."""
    head = list(rows[0])
    lines = [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"]
    lines += [f"| {' | '.join(row[name] for name in head)} |" for row in rows]
    partly = [f"- `{name}`: {why}." for name, why in peers()[1].items()]
    return "\n".join([*lines, "", "Compared with pythae in part or not at all:", "", *partly])


@click.command(name="python -m benchmarks.methods")
@click.option("--run", "asked", is_flag=True, help="Run the tests that the table names.")
@click.option("--results", type=click.Path(path_type=Path), default=ROOT / "results", help="Where the records lie.")
@click.option("--json", "as_json", is_flag=True, help="JSON on stdout.")
def methods(asked: bool, results: Path, as_json: bool) -> None:
    """The methods with their proofs, comparisons and numbers on the digits."""
    outcomes = None
    if asked:
        chosen = set().union(*(one.tests for one in proofs().values()), ["::".join(STACKED), "::".join(PEER)])
        outcomes = run(sorted(chosen))
    rows, passed = table(results, outcomes)
    click.echo(json.dumps(rows, indent=1, ensure_ascii=False) if as_json else markdown(rows))
    sys.exit(0 if passed else 1)


if __name__ == "__main__":
    methods()
