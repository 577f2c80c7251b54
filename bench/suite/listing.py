"""All components and suites, each with its first line."""

from bench import registry
from bench.errors import ComponentError, SuiteError, UsageError, did_you_mean

from .document import read
from .files import suite_files
from .issues import Issues, quote


def listing(kind: str | None = None) -> dict[str, list[dict[str, str]]]:
    """Kind → its items as {name, summary, reference}; of one kind (singular or plural) or of all.

    A plugin has the sha256 of its file as `plugin`; metrics have a unit and `better`, the direction; variants have a
    `family` and stand by it. A file that cannot be read is listed with its error as the summary. Raises `UsageError`
    for an unknown kind.
    """
    kinds = (*registry.KINDS, "suites")
    if kind is not None:
        wanted = kind if kind in kinds else f"{kind}s"
        if wanted not in kinds:
            raise UsageError(f"unknown kind '{quote(kind)}'{did_you_mean(kind, kinds)}")
        kinds = (wanted,)
    return {name: _suites() if name == "suites" else _components(name) for name in kinds}


def _components(kind: str) -> list[dict[str, str]]:
    found = [_component(kind, name) for name in registry.names(kind)]
    return sorted(found, key=lambda item: _place(item.get("family"))) if kind == "variants" else found


def _place(family: str | None) -> int:
    return FAMILIES.index(family) if family in FAMILIES else len(FAMILIES)


FAMILIES = ("deterministic code", "discrete code", "variational", "given the label", "yardstick")


def family_of(variant: registry.Component) -> str:
    """One of `FAMILIES`, from what a method's file declares."""
    c = variant.constants
    if c.get("closed_form") or not c.get("has_code", True):
        return "yardstick"
    if c.get("conditional"):
        return "given the label"
    if c.get("discrete"):
        return "discrete code"
    return "variational" if c.get("has_posterior") else "deterministic code"


def _component(kind: str, name: str) -> dict[str, str]:
    try:
        found = registry.describe(kind, name)
    except ComponentError as error:
        return {"name": name, "summary": f"not readable: {error}", "reference": ""}
    item = {"name": name, "summary": found.summary, "reference": str(found.constants.get("reference", ""))}
    fields = ("unit", "better") if kind == "metrics" else ()
    item |= {field: str(found.constants.get(field, "")) for field in fields}
    item |= {"family": family_of(found)} if kind == "variants" else {}
    return item | ({"plugin": found.sha256} if found.sha256 else {})


def _suites() -> list[dict[str, str]]:
    found = []
    for path in suite_files():
        try:
            title = quote(str(read(path, Issues()).data.get("title", "")))
        except SuiteError as error:
            title = f"not readable: {error.faults[0].splitlines()[0]}"
        name = path.stem if path.is_absolute() else str(path)  # a shipped suite is called by its name
        found.append({"name": name, "summary": title, "reference": ""})
    return found
