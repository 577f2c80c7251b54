"""The JSON Schema of a suite file, for editors: keys, types, and the names and options of all components.

It is shipped as `bench/suite/schema.json`; `python -m bench.suite.json_schema` writes it again. A component that the
shipped file lacks can be run; only the editor does not know it.
"""

import json
from pathlib import Path
from typing import Any

from pydantic.json_schema import GenerateJsonSchema

from bench import registry

from .expectations import COORDINATES, FRACTIONS, TRENDS
from .includes import KEY
from .names import metric_names, options_model
from .schedules import Schedule
from .schema import Block, File

INCLUDE = r"^[^#/~:\\][^#:\\]*\.ya?ml(#\w+(\.\w+|\[\d+\])*)?$"
FILE = Path(__file__).with_name("schema.json")


def json_schema() -> dict[str, Any]:
    """The schema as Python values (draft 2020-12); component names and options come from the registry.

    Plugins are in it while they are active.
    """
    schema = _resolve(File.model_json_schema())
    block = _resolve(Block.model_json_schema())
    block.pop("$defs")  # those of File, which refers to the same sections
    definitions = {name: _component(kind) for kind, name in _KINDS.items()}
    schema["$defs"] |= {
        **definitions,
        "Block": block,
        "side": _side(),
        "expect": _expect(),
        "schedule": _resolve(Schedule.model_json_schema()),
        "grid": {"anyOf": [_ref("Block"), {"type": "array", "minItems": 1, "items": _ref("Block")}]},
    }
    for section in (schema, *(schema["$defs"][name] for name in ("Train", "Evaluate", "Embed", "Block"))):
        _allow_include(section)
    return {"$schema": GenerateJsonSchema.schema_dialect, **schema}


def _allow_include(section: dict[str, Any]) -> None:
    """The key `include`, which may bring the keys that are required."""
    one = {"type": "string", "pattern": INCLUDE}
    both = {"anyOf": [one, {"type": "array", "minItems": 1, "items": one}]}
    section["properties"][KEY] = {**both, "description": "FILE.yaml or FILE.yaml#section, relative to this file"}
    if required := section.pop("required", None):
        section["anyOf"] = [{"required": required}, {"required": [KEY]}]


def write() -> None:
    """Write the shipped file again, of the built-in components."""
    registry.activate(())
    FILE.write_text(json.dumps(json_schema(), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


_KINDS = {kind: kind[:-1] for kind in registry.KINDS}
#: the keys of an axis's entry that are not options of the component
_ALSO: dict[str, dict[str, Any]] = {
    "datasets": {"label": {"type": "string", "minLength": 1}},
    "variants": {
        "label": {"type": "string", "minLength": 1},
        "net": {"$ref": "#/$defs/net"},
        "likelihood": {"$ref": "#/$defs/likelihood"},
    },
}


def _side() -> dict[str, Any]:
    """A selector of cells with a metric of its own."""
    keys: dict[str, Any] = {"metric": _ref("metric"), **{key: {} for key in COORDINATES}}
    return {"type": "object", "properties": keys, "additionalProperties": False}


def _expect() -> dict[str, Any]:
    """What a claim expects, as in `expectations`; `oneOf` requires exactly one form."""
    number, positive = {"type": "number"}, {"type": "number", "exclusiveMinimum": 0}
    either = {"anyOf": [number, _ref("side")]}
    forms: dict[str, Any] = {
        "less_than": either,
        "greater_than": either,
        "near": number,
        "same_as": _ref("side"),
        "different_from": _ref("side"),
        **{name: {"const": "latent_size"} for name in TRENDS},
        **dict.fromkeys(FRACTIONS, number),
    }
    amounts = dict.fromkeys(("tolerance", "abs_tolerance", "margin", "within", "abs_margin"), positive)
    share = {"type": "number", "exclusiveMinimum": 0, "maximum": 1}
    sides: dict[str, Any] = {"of": _ref("side"), "to": _ref("side"), **_side()["properties"]}
    return {
        "type": "object",
        "properties": {**sides, **forms, **amounts, "in": share},
        "oneOf": [{"required": [name]} for name in forms],
        "additionalProperties": False,
    }


def _ref(name: str) -> dict[str, str]:
    return {"$ref": f"#/$defs/{name}"}


def _resolve(node: Any) -> Any:
    """Replace `{"component": kind}` by a reference, keep the keys beside it, drop generated titles."""
    if isinstance(node, list):
        return [_resolve(part) for part in node]
    if not isinstance(node, dict):
        return node
    found = {key: _resolve(value) for key, value in node.items() if not (key == "title" and isinstance(value, str))}
    kind = found.pop("component", None)
    return found if not isinstance(kind, str) else {**found, **_ref(_KINDS.get(kind, kind))}


def _component(kind: str) -> dict[str, Any]:
    """A name, or a mapping of a name and its options; samplers and metrics are names only."""
    names = [component.name for component in registry.readable(kind)]
    if kind == "metrics":
        return {"enum": list(metric_names())}
    if kind == "samplers":
        return {"enum": names}
    plain: list[dict[str, Any]] = [{"enum": names}]
    if kind == "nets":
        plain.append({"type": "string", "pattern": "^timm/."})
    return {"anyOf": [*plain, *(_entry(kind, name) for name in names)]}


def _entry(kind: str, name: str) -> dict[str, Any]:
    component = registry.describe(kind, name)
    options = _resolve(options_model(tuple(component.options.values())).model_json_schema())
    for scalar in component.constants.get("scalars", ()):
        options["properties"][scalar] = {"anyOf": [options["properties"][scalar], _ref("schedule")]}
    named: dict[str, Any] = {"const": name}
    if (kind, name) == ("nets", "timm"):  # the model may stand in the name
        named = {"type": "string", "pattern": "^timm(/.+)?$"}
        options.pop("required", None)
    also: dict[str, Any] = _ALSO.get(kind, {})
    return {
        "type": "object",
        "description": component.summary,
        "properties": {"name": named, **also, **options.get("properties", {})},
        "required": ["name", *options.get("required", [])],
        "additionalProperties": False,
    }


if __name__ == "__main__":
    write()
