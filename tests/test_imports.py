"""Imports go one way: a variant never imports the trainer, a metric no variant, the report no torch."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

#: room -> what its files may import of bench; a room's own files are always allowed
ALLOWED = {
    "errors": set(),
    "version": set(),
    "registry": {"errors"},
    "likelihoods": set(),
    "streams": set(),
    "precision": set(),
    "store": {"errors"},
    "stats": {"errors"},
    "distances": {"errors", "precision"},
    "corruptions": {"streams"},
    "jacobian": {"distances"},
    "nets": {"errors", "streams"},
    "samplers": {"errors"},
    "datasets": {"errors"},
    "metrics": {"errors", "distances"},
    "variants": {"errors", "likelihoods", "nets", "precision", "corruptions"},
    "kernels": {"store", "memory", "cache", "likelihoods"},
    "train": {"errors", "streams", "precision", "suite", "datasets", "kernels", "capture", "nested", "stepper"},
    "stepper": {"suite", "datasets", "kernels", "capture", "replay"},
    "capture": {"precision", "nested", "oplist", "replay"},
    "oplist": {"kernels"},
    "replay": {"nested"},
    "nested": set(),
    "plan": {"errors", "registry", "store", "suite"},
    "cache": set(),
    "needs": {"registry", "store", "suite", "version"},
    "crew": {"errors"},
    "side_by_side": {"checkpoint", "crew", "datasets", "errors", "grouping", "streams", "suite", "train"},
    "grouping": {"registry", "store", "suite", "cache", "train", "datasets"},
    "claim_forms": {"errors"},
    "claim_verdicts": {"claim_forms", "stats"},
    "claim_words": {"claim_forms", "claim_verdicts"},
    "claim_sides": {"claim_forms", "claim_words", "store"},
    "verify": {"errors", "store", "suite"},
    "claims": {"claim_forms", "claim_sides", "claim_verdicts", "claim_words", "stats", "store"},
    "report": {"errors", "stats", "store", "claims", "claim_verdicts", "claim_words", "registry", "version"},
}


def files(room):
    place = ROOT / room if room == "report" else ROOT / "bench" / room
    return sorted(place.rglob("*.py")) if place.is_dir() else [place.with_suffix(".py")]


def imported_rooms(path):
    """First parts of what a file imports from the bench package."""
    package = path.relative_to(ROOT).parts[:-1]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (a.name.split(".")[1] for a in node.names if a.name.startswith("bench."))
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else ()
            full = [*base, *(node.module.split(".") if node.module else [])]
            if full[:1] == ["bench"]:
                yield from [full[1]] if len(full) > 1 else (a.name for a in node.names)


@pytest.mark.parametrize("room", ALLOWED)
def test_a_room_imports_only_from_below(room):
    for path in files(room):
        rooms = {r for r in imported_rooms(path) if not r.startswith(("suite_", "__"))} - {room}
        assert rooms <= ALLOWED[room], f"{path.relative_to(ROOT)} imports {sorted(rooms - ALLOWED[room])}"


TORCHLESS_ROOMS = ("suite", "store", "stats", "claims", "plan", "needs", "grouping", "crew", "verify", "__main__")
TORCHLESS = ("report", *(f"bench.{room}" for room in TORCHLESS_ROOMS))


@pytest.mark.parametrize("module", TORCHLESS)
def test_this_much_works_without_torch(module):
    code = f"import sys, {module}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT).returncode == 0
