"""The documentation: its examples run, its pages name what exists, and it builds."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT, run_bench

from bench import registry
from bench.__main__ import cli
from bench.suite import load

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def blocks(path, language):
    return re.findall(rf"```{language}\n(.*?)```", path.read_text(encoding="utf-8"), flags=re.DOTALL)


@pytest.mark.parametrize("page", ["README.md", "docs/write-a-suite.md"])
def test_the_suite_of_a_page_loads(page, tmp_path):
    [example] = blocks(ROOT / page, "yaml")
    (tmp_path / "example.yaml").write_text(example, encoding="utf-8")
    found = load(tmp_path / "example.yaml")
    assert found.claims
    assert {cell.dataset.name for cell in found.cells} == {"mnist", "folder"}


def test_the_readme_s_tables_are_what_their_commands_print():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    section = text.split("## Three small tables")[1].split("\n## ")[0]
    found = re.findall(r": (`bench table [^:]*?`)\n\n((?:\|.*\n)+)", section)
    assert len(found) == 3
    for command, table in found:
        words = " ".join(re.findall(r"`([^`]+)`", command)).split()[1:]
        printed = run_bench(*words, "--results", str(ROOT / "results"), "--format", "markdown", cwd=ROOT).stdout
        rows = table.splitlines()[2:]
        assert rows
        assert all(row in printed.splitlines() for row in rows), (command, printed)


def test_the_components_of_a_page_run(tmp_path):
    """In an empty folder, as the page says; the same files can be put into the package."""
    page = ROOT / "docs/add-your-own.md"
    variant, metric = blocks(page, "python")
    [suite] = blocks(page, "yaml")
    for name, text in (("variants/capacity_vae", variant), ("metrics/mae", metric)):
        (tmp_path / "mine" / name).parent.mkdir(parents=True)
        (tmp_path / f"mine/{name}.py").write_text(text, encoding="utf-8")
    (tmp_path / "capacity.yaml").write_text(suite, encoding="utf-8")
    done = run_bench("run", "capacity.yaml", "--workers", "1", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "capacity uses the variant capacity_vae of mine/variants/capacity_vae.py (sha256 " in done.stderr
    shutil.rmtree(tmp_path / "mine")
    shown = run_bench("table", "capacity", "--metric", "mae", "--format", "csv", cwd=tmp_path).stdout
    assert "capacity_vae (capacity=2)" in shown


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)
def test_links_between_pages_exist(page):
    for target in re.findall(r"\]\(([^)#:]+?)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
        assert (page.parent / target).exists(), target


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)
def test_commands_and_options_of_a_page_exist(page):
    text = page.read_text(encoding="utf-8")
    for verb, rest in re.findall(r"^\s*(?:python -m )?bench ([a-z]+)([^\n#]*)", text, flags=re.MULTILINE):
        assert verb in cli.commands, verb
        if verb != "speed":  # its options are those of benchmarks/
            known = {option for parameter in cli.commands[verb].params for option in parameter.opts}
            assert set(re.findall(r"--[a-z-]+", rest)) <= known, rest


def test_the_readme_names_every_verb_and_every_room():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    for verb in cli.commands:
        assert re.search(rf"^\| `{verb}\b", text, flags=re.MULTILINE), verb
    entries = {p.name for p in (ROOT / "bench").iterdir() if not p.name.startswith(("_", ".")) and p.suffix != ".typed"}
    for entry in entries:
        assert re.search(rf"^      {re.escape(entry)}/?\s", text, flags=re.MULTILINE), entry


def test_the_documentation_builds_and_explains_every_metric(tmp_path):
    pytest.importorskip("mkdocstrings", reason="mkdocs is not installed: pip install '.[docs]'")
    command = [sys.executable, "-m", "mkdocs", "build", "--quiet", "--strict", "--site-dir", str(tmp_path / "site")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    text = (tmp_path / "site/metrics.html").read_text(encoding="utf-8")
    assert all(f'id="{name}"' in text for name in registry.names("metrics"))
    assert not list(Path(tmp_path / "site").rglob("*.py"))
