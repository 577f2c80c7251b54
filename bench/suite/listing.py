"""What there is to choose from: every component and every suite, each with its first line."""

from pathlib import Path

from bench import registry
from bench.errors import SuiteError, UsageError, did_you_mean


def listing(kind: str | None = None, suites: Path = Path("suites")) -> dict[str, list[dict[str, str]]]:
    """Kind → its items as {name, summary, reference}; of one kind (singular or plural) or of all.

    Raises `UsageError` for an unknown kind.
    """
    kinds = (*registry.KINDS, "suites")
    if kind is not None:
        wanted = kind if kind in kinds else f"{kind}s"
        if wanted not in kinds:
            raise UsageError(f"unknown kind {kind!r}{did_you_mean(kind, kinds)}")
        kinds = (wanted,)
    return {name: _suites(suites) if name == "suites" else _components(name) for name in kinds}


def _components(kind: str) -> list[dict[str, str]]:
    found = [registry.describe(kind, name) for name in registry.names(kind)]
    return [{"name": c.name, "summary": c.summary, "reference": c.constants.get("reference", "")} for c in found]


def _suites(folder: Path) -> list[dict[str, str]]:
    from .document import read

    found = []
    for path in sorted(folder.glob("*.yaml")):
        try:
            title = str(read(path).data.get("title", ""))
        except SuiteError as error:
            title = f"not readable: {error.faults[0].splitlines()[0]}"
        found.append({"name": str(path), "summary": title, "reference": ""})
    return found
