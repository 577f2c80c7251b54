"""The forms in which a claim can say what it expects, read from the plain values of a YAML or JSON file.

    {of: {variant: vae}, less_than: {variant: ae}}              or greater_than; `of` may be left out
    {of: SIDE, less_than: 1.1}                                  against a number
    {of: SIDE, to: SIDE, greater_than: 1.5}                     the ratio of two sides against a number
    {of: SIDE, near: 0.0028, tolerance: 0.25}                   relative to the number, or abs_tolerance
    {of: SIDE, same_as: SIDE, margin: 0.05}                     relative to the second side's mean, or abs_margin
    {of: SIDE, different_from: SIDE}                            two-sided; the direction is reported
    {of: SIDE, decreasing_in: latent_size, in: 1}               or increasing_in; `in` as below, not required
    {of: SIDE, at_least: 0.9, in: 0.667}                        or at_most; in at least that fraction of the seeds

A SIDE is a selector of cells, applied on top of the claim's `where`, with a `metric` of its own if it needs one.
What a form means is in `claim_verdicts`; whether a selector meets any cell is asked by `suite_claims`.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from bench.errors import did_you_mean

At = tuple[str | int, ...]
Fault = Callable[[At, str], None]  #: notes what is wrong at a place inside `expect`, "unknown key ..." of its key

EXAMPLE = "a selector such as {variant: ae}"

#: What a side may be selected by; `where` may also choose seeds, which the sides of a claim share.
COORDINATES = ("dataset", "variant", "net", "label", "latent_size")
#: Form -> the keys that may stand beside it; of those in one tuple, exactly one has to.
FORMS: dict[str, dict[str, tuple[str, ...]]] = {
    "less_than": {"may": ("to",)},
    "greater_than": {"may": ("to",)},
    "near": {"one": ("tolerance", "abs_tolerance")},
    "same_as": {"one": ("margin", "within", "abs_margin")},
    "different_from": {},
    "decreasing_in": {"may": ("in",)},
    "increasing_in": {"may": ("in",)},
    "at_least": {"may": ("in",)},
    "at_most": {"may": ("in",)},
}
BESIDE = tuple(dict.fromkeys(key for rules in FORMS.values() for keys in rules.values() for key in keys))
SIDED = ("less_than", "greater_than", "same_as", "different_from")  #: forms that may hold a second side
TRENDS = ("decreasing_in", "increasing_in")
FRACTIONS = ("at_least", "at_most")


@dataclass(frozen=True)
class Side:
    """One side of a comparison."""

    where: dict[str, Any] = field(default_factory=dict)
    metric: str | None = None


@dataclass(frozen=True)
class Expect:
    """What a check expects. `form` is a key of FORMS, `ratio` says that it is the ratio of two sides."""

    form: str
    first: Side
    second: Side | None = None
    target: float | None = None  #: the number that stands in the place of a second side
    ratio: bool = False
    relative: float | None = None  #: a tolerance or margin as a fraction of what it is held against
    absolute: float | None = None  #: the same in the metric's unit
    share: float | None = None  #: `in`: the fraction of seeds

    @property
    def sides(self) -> tuple[Side, ...]:
        return (self.first,) if self.second is None else (self.first, self.second)


def read(expect: Any, fault: Fault) -> Expect | None:
    """An `expect` as an `Expect`; None, with its faults noted, where it is wrong.

    >>> read({"variant": "vae", "less_than": {"variant": "ae"}}, print).second.where
    {'variant': 'ae'}
    >>> read({"of": {}, "less_than": 1, "margin": 0.1}, print) is None
    ('margin',) 'margin' has no effect beside 'less_than'; it belongs to same_as
    True
    """
    faults: list[tuple[At, str]] = []
    found = _read(expect, lambda at, message: faults.append((at, message)))
    for at, message in faults:
        fault(at, message)
    return None if faults else found


def _read(expect: Any, fault: Fault) -> Expect | None:
    if not isinstance(expect, dict):
        fault((), f"expected a mapping such as {{variant: vae, less_than: {{variant: ae}}}}, got {shown(expect)}")
        return None
    known = ("of", "metric", *COORDINATES, *FORMS, *BESIDE)
    strange = [key for key in expect if key not in known]
    for key in strange:
        fault((key,), f"unknown key '{key}'{did_you_mean(key, known)}")
    form = None if strange else _form(expect, fault)
    first = _first(expect, fault)
    if form is None or first is None:
        return None
    _check_beside(form, expect, fault)
    ratio = form in ("less_than", "greater_than") and "to" in expect
    second, target = _second(form, ratio, expect, fault)
    absolute = _amount(expect, ("abs_tolerance", "abs_margin"), fault)
    relative = _amount(expect, ("tolerance", "margin", "within"), fault)
    if relative is not None and target == 0:
        fault(("tolerance",), "a tolerance relative to 0 is 0; give abs_tolerance")
    return Expect(form, first, second, target, ratio, relative, absolute, _share(form, expect, fault))


def _form(expect: dict[str, Any], fault: Fault) -> str | None:
    found = [key for key in expect if key in FORMS]
    if len(found) == 1:
        return found[0]
    if found:
        message = f"'{found[0]}' and '{found[1]}' are two forms; a check has one, further checks stand under also"
        fault((found[1],), message)
    else:
        fault((), f"says nothing to be tested: one of {', '.join(FORMS)}")
    return None


def _first(expect: dict[str, Any], fault: Fault) -> Side | None:
    beside = {key: value for key, value in expect.items() if key in (*COORDINATES, "metric")}
    if "of" not in expect:
        return side(beside, (), fault)
    for key in beside:
        fault((key,), f"'{key}' stands beside 'of'; put it inside")
    return side(expect["of"], ("of",), fault)


def _second(form: str, ratio: bool, expect: dict[str, Any], fault: Fault) -> tuple[Side | None, float | None]:
    """What the first side is held against: a second side, a number, or both for a ratio."""
    value = expect[form]
    if form in TRENDS:
        if value != "latent_size":
            fault((form,), f"a trend is in latent_size, got {shown(value)}")
        return None, None
    if ratio:
        return side(expect["to"], ("to",), fault), _number(value, (form,), "the number of a ratio", fault)
    if form in SIDED and isinstance(value, dict):
        return side(value, (form,), fault), None
    if form in ("same_as", "different_from"):
        fault((form,), f"expected {EXAMPLE}, got {shown(value)}")
        return None, None
    what = f"a number, or {EXAMPLE}" if form in SIDED else "a number"
    return None, _number(value, (form,), what, fault)


def side(value: Any, at: At, fault: Fault) -> Side | None:
    """A selector with its metric; None, with faults noted, where it is wrong."""
    if not isinstance(value, dict):
        fault(at, f"expected {EXAMPLE}, got {shown(value)}")
        return None
    for key in value:
        if key == "seed":
            fault((*at, key), "both sides have the same seeds; choose seeds in where")
        elif key not in (*COORDINATES, "metric"):
            fault((*at, key), f"unknown key '{key}'{did_you_mean(key, (*COORDINATES, 'metric'))}")
    metric = value.get("metric")
    if metric is not None and not isinstance(metric, str):
        fault((*at, "metric"), f"expected the name of a metric, got {shown(metric)}")
        return None
    return Side({key: found for key, found in value.items() if key != "metric"}, metric)


def _check_beside(form: str, expect: dict[str, Any], fault: Fault) -> None:
    rules = FORMS[form]
    allowed = [key for keys in rules.values() for key in keys]
    for key in BESIDE:
        if key in expect and key not in allowed:
            owners = [name for name, other in FORMS.items() if any(key in keys for keys in other.values())]
            fault((key,), f"'{key}' has no effect beside '{form}'; it belongs to {' or '.join(owners)}")
    given = [key for key in rules.get("one", ()) if key in expect]
    if "one" in rules and len(given) != 1:
        names = " or ".join(dict.fromkeys(key for key in rules["one"] if key != "within"))
        fault((form,), f"'{form}' needs one of {names}" if not given else f"{' and '.join(given)}: give one of them")


def _amount(expect: dict[str, Any], keys: tuple[str, ...], fault: Fault) -> float | None:
    for key in keys:
        if key in expect:
            value = _number(expect[key], (key,), "a number above 0", fault)
            if value is not None and value <= 0:
                fault((key,), f"must be above 0, got {value:g}")
            return value
    return None


def _share(form: str, expect: dict[str, Any], fault: Fault) -> float | None:
    if "in" not in expect:
        return 1.0 if form in FRACTIONS else None
    value = _number(expect["in"], ("in",), "a fraction of the seeds, above 0 and at most 1", fault)
    if value is not None and not 0 < value <= 1:
        fault(("in",), f"must be a fraction of the seeds, above 0 and at most 1, got {value:g}")
    return value


def _number(value: Any, at: At, what: str, fault: Fault) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        fault(at, f"expected {what}, got {shown(value)}")
        return None
    return float(value)


def shown(value: Any) -> str:
    """A value as a message quotes it."""
    if value is None or isinstance(value, bool | list | tuple | dict):
        return {type(None): "nothing", bool: str(value).lower(), dict: "a mapping"}.get(type(value), "a list")
    return f"{value!r:.40}"
