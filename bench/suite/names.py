"""Names and options of a suite held against the registry, without importing a component.

An option's type is its annotation in the component's file, such as `tuple[int, ...]` or `float | None`.
"""

import ast
from collections.abc import Sequence
from functools import cache
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, Field, ValidationError, create_model

from bench import registry
from bench.errors import UsageError, did_you_mean
from bench.registry import REQUIRED, Component, Option

from .cells import Choice
from .document import At, Document, show_value
from .schema import Evaluate, Section, as_tuple, sentence

SPACES = ("latent", "tsne", "umap")  #: where a `per="space"` metric is taken: the codes, and their maps
CORRUPTIONS = ("dropout_25", "dropout_50", "square_40")  #: of `per="corruption"`: models/corruptions.py
_SCALARS: dict[str, Any] = {"int": int, "float": float, "str": str, "bool": bool, "None": None}


def resolve(kind: str, entry: Any, at: At, document: Document, also: Sequence[str] = ()) -> Choice | None:
    """A name, or a mapping of a name and options, as a `Choice`; None, with faults noted, where it is wrong.

    `also` are the keys of the mapping that are not options of the component.
    """
    name, options = _split(kind, entry, at, document)
    if name is None:
        return None
    if kind == "nets" and name.startswith("timm/") and "timm" in registry.names("nets"):
        if "model" in options:
            document.fault((*at, "model"), f"the model is given twice: here and in '{name}'", key=True)
        if name == "timm/":
            document.fault(at, "which model? Write its name after the stroke, such as timm/resnet18")
        name, options = "timm", {**options, "model": name.removeprefix("timm/")}
    try:
        component = registry.describe(kind, name)
    except UsageError as error:
        document.fault((*at, "name") if isinstance(entry, dict) else at, str(error))
        return None
    own = {key: value for key, value in options.items() if key not in also or key in component.options}
    return _fill(component, own, at, document, also)


def _split(kind: str, entry: Any, at: At, document: Document) -> tuple[str | None, dict[str, Any]]:
    what = kind[:-1]
    if isinstance(entry, str):
        return entry, {}
    if not isinstance(entry, dict):
        form = f"the name of a {what}, or a mapping such as {{name: ...}}"
        document.fault(at, f"expected {form}, got {show_value(entry)}")
    elif "name" not in entry:
        document.fault(at, f"the key 'name' is missing: which {what}?")
    elif not isinstance(entry["name"], str):
        document.fault((*at, "name"), f"expected the name of a {what}, got {show_value(entry['name'])}")
    else:
        return entry["name"], {key: value for key, value in entry.items() if key != "name"}
    return None, {}


def _fill(component: Component, own: dict[str, Any], at: At, document: Document, also: Sequence[str]) -> Choice | None:
    """Check given options and fill in the others' defaults."""
    strange = [key for key in own if key not in component.options]
    for key in strange:
        document.fault((*at, key), _unknown_option(component, key, also), key=True)
    model = options_model(tuple(component.options.values()))
    try:
        filled = model.model_validate({key: value for key, value in own.items() if key not in strange})
    except ValidationError as error:
        for detail in error.errors(include_url=False):
            option, *inside = detail["loc"]
            arms = component.options[str(option)].annotation.replace("None", "").strip(" |")
            if detail["type"] == "missing":
                document.fault(at, f"{component.name} needs the option '{option}'")
            elif "|" in arms:  # pydantic has one error for each arm of a union
                document.fault((*at, option), f"expected {arms}, got {show_value(own[str(option)])}")
            else:
                document.fault((*at, option, *inside), sentence(detail, model))
        return None
    return None if strange else Choice(component.name, filled.model_dump(by_alias=True))


def _unknown_option(component: Component, key: str, also: Sequence[str]) -> str:
    owners = [n for n in registry.names(component.kind) if key in registry.describe(component.kind, n).options]
    if owners:
        return f"'{key}' is an option of {', '.join(owners)}, not of {component.name}"
    return f"unknown option '{key}' of {component.name}{did_you_mean(key, [*component.options, *also])}"


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
    if name not in ("tuple", "list", "Sequence"):
        return Any
    fixed = name == "tuple" and not (isinstance(parts[-1], ast.Constant) and parts[-1].value is ...)
    kinds = tuple(_type(part) for part in parts) if fixed else (_type(parts[0]), ...)
    return Annotated[tuple[kinds], BeforeValidator(as_tuple)]  # type: ignore[valid-type]


def metric_families(names: Any, evaluate: Evaluate | None, document: Document) -> tuple[str, ...]:
    """The metric files a suite asks for: `silhouette_tsne` is a member of `silhouette`; None asks for all.

    Without `evaluate`, that a faulty file has not, only the names are checked.
    """
    if names is None:
        return registry.names("metrics")
    found = []
    for i, name in _texts(names):
        family, member = _family(name)
        if family is None:
            known = registry.names("metrics")
            document.fault(("metrics", i), f"unknown metric '{name}'{did_you_mean(name, known)}")
        elif member and evaluate and member not in members(per(family), evaluate):
            told = "evaluate.samplers" if per(family) == "sampler" else "evaluate.embed.methods"
            document.fault(("metrics", i), f"'{name}' needs {member} in {told}")
        else:
            found.append(family)
    return tuple(dict.fromkeys(found))


def columns(families: Sequence[str], evaluate: Evaluate) -> tuple[str, ...]:
    """The values a record can hold: one for a plain metric, one for each member of a family."""
    return tuple(
        f"{family}_{member}" if member else family for family in families for member in members(per(family), evaluate)
    )


def _family(name: str) -> tuple[str | None, str]:
    known = registry.names("metrics")
    if name in known:
        return name, ""
    for family in known:
        member = name.removeprefix(f"{family}_")
        if member != name and member in possible_members(per(family)):
            return family, member
    return None, ""


def possible_members(by: str | None) -> tuple[str, ...]:
    """What the members of a family can be, whatever the protocol; `by` is its `per`, None for a plain metric: ()."""
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
    """What a metric is a family by: "sampler", "space" or "corruption"; None for a plain metric."""
    return registry.describe("metrics", family).constants.get("per")


def metric_names() -> tuple[str, ...]:
    """Every value that any suite could ask for: metrics and the members of their families."""
    names = registry.names("metrics")
    return (*names, *(f"{name}_{member}" for name in names for member in possible_members(per(name))))


def check_value(name: str, known: Sequence[str], at: At, document: Document) -> None:
    """Note a name that is no value of this suite's records; `known` are its columns."""
    possible = [f"{name}_{m}" for m in possible_members(per(name))] if name in registry.names("metrics") else []
    parts = [column for column in known if column in possible]
    if parts and name not in known:
        document.fault(at, f"'{name}' is several values; say which: {', '.join(parts)}")
    elif name not in known:
        document.fault(at, f"this suite has no value '{name}'{did_you_mean(name, known)}")


def check_samplers(names: Any, document: Document) -> None:
    """Note every sampler that does not exist or stands twice."""
    for i, name in _texts(names):
        at = ("evaluate", "samplers", i)
        if name not in registry.names("samplers"):
            document.fault(at, f"unknown sampler '{name}'{did_you_mean(name, registry.names('samplers'))}")
        elif name in names[:i]:
            document.fault(at, f"'{name}' is given twice")


def _texts(names: Any) -> list[tuple[int, str]]:
    """The texts of a list with their indices; what else it may hold has been told by its section."""
    return [(i, name) for i, name in enumerate(names) if isinstance(name, str)] if isinstance(names, list) else []
