"""Names and options of a suite checked against the registry, without importing a component.

An option's type is its annotation in the component's file, such as `tuple[int, ...]` or `float | None`.
"""

import ast
from collections.abc import Sequence
from functools import cache
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, Field, ValidationError, create_model

from bench import registry
from bench.errors import ComponentError
from bench.registry import REQUIRED, Component, Option

from .cells import Choice
from .issues import Issues, quote, show_value
from .schedules import Schedule
from .schema import MOST_ITEMS, Evaluate, Section, as_tuple, check, describe_error

SPACES = ("latent", "tsne", "umap")  #: members of a `per="space"` metric: the codes, and their maps
CORRUPTIONS = ("dropout_25", "dropout_50", "square_40")  #: members of `per="corruption"`: models/corruptions.py
_SCALARS: dict[str, Any] = {"int": int, "float": float, "str": str, "bool": bool, "None": None}


def resolve(kind: str, entry: Any, issues: Issues, also: Sequence[str] = ()) -> Choice | None:
    """A name, or a mapping of a name and options, as a `Choice`; None, with issues noted, where it is wrong.

    `also` are the keys of the mapping that are not options of the component.
    """
    name, options = _split(kind, entry, issues)
    if name is None:
        return None
    if kind == "nets" and name.startswith("timm/") and "timm" in registry.names("nets"):
        if "model" in options:
            issues.at("model").add(f"the model is given twice: here and in '{quote(name)}'", key=True)
        if name == "timm/":
            issues.add("the name of a model is missing after the slash, such as timm/resnet18")
        name, options = "timm", {**options, "model": name.removeprefix("timm/")}
    place = issues.at("name") if isinstance(entry, dict) else issues
    if name not in registry.names(kind):
        place.add(f"unknown {kind[:-1]} '{quote(name)}'", name, registry.names(kind))
        return None
    try:
        component = registry.describe(kind, name)
    except ComponentError as error:
        place.add(str(error))
        return None
    own = {key: value for key, value in options.items() if key not in also or key in component.options}
    return _fill(component, own, issues, also)


def _split(kind: str, entry: Any, issues: Issues) -> tuple[str | None, dict[str, Any]]:
    what = kind[:-1]
    if isinstance(entry, str):
        return entry, {}
    if not isinstance(entry, dict):
        form = f"the name of a {what}, or a mapping such as {{name: ...}}"
        issues.add(f"expected {form}, got {show_value(entry)}")
    elif "name" not in entry:
        issues.add(f"the key 'name' is missing: which {what}?")
    elif not isinstance(entry["name"], str):
        issues.at("name").add(f"expected the name of a {what}, got {show_value(entry['name'])}")
    else:
        return entry["name"], {key: value for key, value in entry.items() if key != "name"}
    return None, {}


def _fill(component: Component, own: dict[str, Any], issues: Issues, also: Sequence[str]) -> Choice | None:
    """Check the given options and fill in the defaults of the others."""
    unknown = [key for key in own if key not in component.options]
    for key in unknown:
        _note_unknown_option(component, key, issues.at(key), also)
    model = options_model(tuple(component.options.values()))
    schedules = _schedules(component, own, issues)
    steady = {key: value for key, value in own.items() if key not in unknown and key not in schedules}
    try:
        filled = model.model_validate(steady | {key: found.to for key, found in schedules.items() if found})
    except ValidationError as error:
        for detail in error.errors(include_url=False):
            option, *inside = detail["loc"]
            arms = component.options[str(option)].annotation.replace("None", "").strip(" |")
            if detail["type"] == "missing":
                issues.add(f"{component.name} needs the option '{option}'")
            elif "|" in arms:  # pydantic has one error for each arm of a union
                issues.at(option).add(f"expected {arms}, got {show_value(own[str(option)])}")
            else:
                issues.at(option, *inside).add(describe_error(detail, model))
        return None
    if unknown or not all(schedules.values()):
        return None
    changing = {key: found.as_option() for key, found in schedules.items() if found}
    return Choice(component.name, filled.model_dump(by_alias=True) | changing, component.sha256)


def _schedules(component: Component, own: dict[str, Any], issues: Issues) -> dict[str, Schedule | None]:
    """The schedules among the given options; None, with its issues noted, for one that is wrong or has no place."""
    scalars, found = component.constants.get("scalars", ()), dict[str, Schedule | None]()
    for name, value in own.items():
        if not isinstance(value, dict) or name not in component.options:
            continue
        if name in scalars:
            found[name] = check(Schedule, value, issues.at(name))
        elif component.kind == "variants" and {"from", "to"} <= value.keys():
            those = f"; of {component.name} only {', '.join(scalars)} can" if scalars else ""
            issues.at(name).add(f"'{name}' cannot change in training{those}", key=True)
            found[name] = None
    return found


def _note_unknown_option(component: Component, key: str, issues: Issues, also: Sequence[str]) -> None:
    owners = [other.name for other in registry.readable(component.kind) if key in other.options]
    if owners:
        issues.add(f"'{quote(key)}' is an option of {', '.join(owners)}, not of {component.name}", key=True)
        return
    known = (*component.options, *also)
    issues.add(f"unknown option '{quote(key)}' of {component.name}", key, known, key=True)


@cache
def options_model(options: tuple[Option, ...]) -> type[BaseModel]:
    """A pydantic model of options; their names are aliases, since `copy` and others are BaseModel's own."""
    fields: dict[str, Any] = {}
    for i, option in enumerate(options):
        default = ... if option.default is REQUIRED else option.default
        fields[f"option_{i}"] = (
            option_type(option.annotation),
            Field(default, alias=option.name, validate_default=True),
        )
    return create_model("Options", __base__=Section, **fields)


def option_type(annotation: str) -> Any:
    """The type an annotation's text means; `Any` where it is none that YAML could hold.

    >>> option_type("float | None")
    float | None
    """
    return _type(ast.parse(annotation, mode="eval").body)


def _type(node: ast.expr) -> Any:
    if isinstance(node, ast.Constant) and node.value is None:
        return None
    if isinstance(node, ast.Name):
        return _SCALARS.get(node.id, Any)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
        left, right = _type(node.left), _type(node.right)
        return left | right if left is not None else right | left
    if isinstance(node, ast.Subscript) and isinstance(node.value, ast.Name):
        parts = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
        return _generic(node.value.id, parts)
    return Any


def _generic(name: str, parts: list[ast.expr]) -> Any:
    if name == "Literal":
        return Literal[tuple(ast.literal_eval(part) for part in parts)]
    if name == "Optional":
        return _type(parts[0]) | None
    if name == "dict":
        return dict[_type(parts[0]), _type(parts[1])]  # type: ignore[misc]
    if name not in ("tuple", "list", "Sequence"):
        return Any
    fixed = name == "tuple" and not (isinstance(parts[-1], ast.Constant) and parts[-1].value is ...)
    kinds = tuple(_type(part) for part in parts) if fixed else (_type(parts[0]), ...)
    return Annotated[tuple[kinds], Field(max_length=MOST_ITEMS), BeforeValidator(as_tuple)]  # type: ignore[valid-type]


def metric_families(names: Any, evaluate: Evaluate | None, issues: Issues) -> tuple[str, ...]:
    """The metric files that a suite's `metrics` ask for: `silhouette_tsne` belongs to `silhouette`; None asks for all.

    "All" are the built-in ones and those of folders of plugins: an installed package changes no suite that does not
    name its metrics.

    Without `evaluate`, which a wrong file lacks, only the names are checked.
    """
    families = tuple(_asked_families(names, evaluate, issues))
    for name in families:
        _note_unreadable("metrics", name, issues)
    return () if issues else families


def _asked_families(names: Any, evaluate: Evaluate | None, issues: Issues) -> Sequence[str]:
    if names is None:
        installed = {name for (kind, name), file in registry.active().items() if kind == "metrics" and file.installed}
        return [name for name in registry.names("metrics") if name not in installed]
    found: dict[str, None] = {}
    for i, name in _texts(names):
        family, member = _family(name)
        if family is None:
            issues.at(i).add(f"unknown metric '{quote(name)}'", name, registry.names("metrics"))
        elif member and evaluate and member not in members(per(family), evaluate):
            where = "evaluate.samplers" if per(family) == "sampler" else "evaluate.embed.methods"
            issues.at(i).add(f"'{name}' needs {member} in {where}")
        else:
            found[family] = None
    return list(found)


def _note_unreadable(kind: str, name: str, issues: Issues) -> None:
    """Note a component whose file cannot be read."""
    try:
        registry.describe(kind, name)
    except ComponentError as error:
        issues.add(str(error))


def column_names(families: Sequence[str], evaluate: Evaluate) -> tuple[str, ...]:
    """The values a record can hold: one for a plain metric, one for each member of a family."""
    return tuple(
        f"{family}_{member}" if member else family for family in families for member in members(per(family), evaluate)
    )


def _family(name: str) -> tuple[str | None, str]:
    if name in registry.names("metrics"):
        return name, ""
    for family in registry.readable("metrics"):
        member = name.removeprefix(f"{family.name}_")
        if member != name and member in possible_members(family.constants.get("per")):
            return family.name, member
    return None, ""


def possible_members(by: str | None) -> tuple[str, ...]:
    """All members that a family can have under any protocol; `by` is its `per`, None for a plain metric: ()."""
    known = {"sampler": registry.names("samplers"), "space": SPACES, "corruption": CORRUPTIONS}
    return known.get(by or "", ())


def members(by: str | None, evaluate: Evaluate) -> tuple[str | None, ...]:
    """The members of a family under a protocol: its samplers, its spaces, or all corruptions; plain metric: (None,).

    >>> members("space", Evaluate()), members(None, Evaluate())
    (('latent', 'tsne', 'umap'), (None,))
    """
    maps = ("latent", *evaluate.embed.methods)
    asked = {"sampler": evaluate.samplers, "space": maps, "corruption": CORRUPTIONS}
    return asked.get(by or "", (None,))


def per(family: str) -> str | None:
    """What the members of a metric differ by: "sampler", "space" or "corruption"; None for a plain metric."""
    return registry.describe("metrics", family).constants.get("per")


def metric_names() -> tuple[str, ...]:
    """Every value that any suite could ask for: metrics and the members of their families."""
    families = [component.name for component in registry.readable("metrics")]
    return (*families, *(f"{name}_{member}" for name in families for member in possible_members(per(name))))


def check_value(name: str, known: Sequence[str], issues: Issues) -> None:
    """Note a name that is no value of this suite's records; `known` are its columns."""
    if name in known:
        return
    possible = [f"{name}_{m}" for m in possible_members(per(name))] if name in registry.names("metrics") else []
    parts = [column for column in known if column in possible]
    if parts:
        issues.add(f"'{name}' is several values; choose one of them: {', '.join(parts)}")
    else:
        issues.add(f"this suite has no value '{quote(name)}'", name, known)


def check_samplers(names: Any, issues: Issues) -> None:
    """Note every sampler that does not exist or is given twice."""
    known = registry.names("samplers")
    seen: set[str] = set()
    for i, name in _texts(names):
        if name not in known:
            issues.at(i).add(f"unknown sampler '{quote(name)}'", name, known)
        elif name in seen:
            issues.at(i).add(f"'{name}' is given twice")
        else:
            _note_unreadable("samplers", name, issues.at(i))
        seen.add(name)


def _texts(names: Any) -> list[tuple[int, str]]:
    """The texts of a list with their indices; the check of the section refuses all else."""
    return [(i, name) for i, name in enumerate(names) if isinstance(name, str)] if isinstance(names, list) else []
