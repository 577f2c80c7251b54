"""The forms in which a claim can say what it expects, read from the plain values of a YAML or JSON file.

    {of: {variant: vae}, less_than: {variant: ae}}              or greater_than; `of` may be left out
    {of: SIDE, less_than: 1.1}                                  against a number
    {of: SIDE, to: SIDE, greater_than: 1.5}                     the ratio of two sides against a number
    {of: SIDE, near: 0.0028, tolerance: 0.25}                   relative to the number, or abs_tolerance
    {of: SIDE, same_as: SIDE, margin: 0.05}                     relative to the second side's mean, or abs_margin
    {of: SIDE, different_from: SIDE}                            two-sided; the direction is reported
    {of: SIDE, decreasing_in: latent_size}                      or increasing_in; with or without `in`, as below
    {of: SIDE, at_least: 0.9, in: 0.667}                        or at_most; in that fraction of seeds, else the mean

A SIDE is a selector of cells, applied on top of the claim's `where`, with a `metric` of its own if it needs one.
`bench/results/claims/verdicts.py` decides the forms; `claims` checks that each selector has cells.
"""

import math
from dataclasses import dataclass, field
from typing import Any

from .issues import Issues, quote, show_value

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


def read(expect: Any, issues: Issues) -> Expect | None:
    """An `expect` as an `Expect`; None, with issues noted below `issues.place`, where it is wrong.

    >>> read({"variant": "vae", "less_than": {"variant": "ae"}}, Issues()).second.where
    {'variant': 'ae'}
    >>> issues = Issues()
    >>> read({"of": {}, "less_than": 1, "margin": 0.1}, issues) is None
    True
    >>> print(*issues.found)
    margin: 'margin' has no effect beside 'less_than'; it belongs to same_as
    """
    before = len(issues)
    found = _read(expect, issues)
    return None if len(issues) > before else found


def _read(expect: Any, issues: Issues) -> Expect | None:
    if not isinstance(expect, dict):
        issues.add(f"expected a mapping such as {{variant: vae, less_than: {{variant: ae}}}}, got {show_value(expect)}")
        return None
    known = ("of", "metric", *COORDINATES, *FORMS, *BESIDE)
    unknown = [key for key in expect if key not in known]
    for key in unknown:
        issues.at(key).add(f"unknown key '{quote(key)}'", key, known, key=True)
    form = None if unknown else _form(expect, issues)
    first = _first(expect, issues)
    if form is None or first is None:
        return None
    _check_beside(form, expect, issues)
    ratio = form in ("less_than", "greater_than") and "to" in expect
    second, target = _second(form, ratio, expect, issues)
    absolute = _amount(expect, ("abs_tolerance", "abs_margin"), issues)
    relative = _amount(expect, ("tolerance", "margin", "within"), issues)
    if relative is not None and target == 0:
        issues.at("tolerance").add("a tolerance relative to 0 is 0; give abs_tolerance")
    return Expect(form, first, second, target, ratio, relative, absolute, _share(expect, issues))


def _form(expect: dict[str, Any], issues: Issues) -> str | None:
    found = [key for key in expect if key in FORMS]
    if len(found) == 1:
        return found[0]
    if found:
        message = f"'{found[0]}' and '{found[1]}' are two forms; a check has one, further checks stand under also"
        issues.at(found[1]).add(message)
    else:
        issues.add(f"has no form to be tested: one of {', '.join(FORMS)}")
    return None


def _first(expect: dict[str, Any], issues: Issues) -> Side | None:
    beside = {key: value for key, value in expect.items() if key in (*COORDINATES, "metric")}
    if "of" not in expect:
        return side(beside, issues)
    for key in beside:
        issues.at(key).add(f"'{key}' stands beside 'of'; put it inside")
    return side(expect["of"], issues.at("of"))


def _second(form: str, ratio: bool, expect: dict[str, Any], issues: Issues) -> tuple[Side | None, float | None]:
    """What the first side is compared with: a second side, a number, or both for a ratio."""
    value, here = expect[form], issues.at(form)
    if form in TRENDS:
        if value != "latent_size":
            here.add(f"a trend is in latent_size, got {show_value(value)}")
        return None, None
    if ratio:
        return side(expect["to"], issues.at("to")), _number(value, "the number of a ratio", here)
    if form in SIDED and isinstance(value, dict):
        return side(value, here), None
    if form in ("same_as", "different_from"):
        here.add(f"expected {EXAMPLE}, got {show_value(value)}")
        return None, None
    what = f"a number, or {EXAMPLE}" if form in SIDED else "a number"
    return None, _number(value, what, here)


def side(value: Any, issues: Issues) -> Side | None:
    """A selector with its metric; None, with issues noted, where it is wrong."""
    if not isinstance(value, dict):
        issues.add(f"expected {EXAMPLE}, got {show_value(value)}")
        return None
    known = (*COORDINATES, "metric")
    for key in value:
        if key == "seed":
            issues.at(key).add("both sides have the same seeds; choose seeds in where")
        elif key not in known:
            issues.at(key).add(f"unknown key '{quote(key)}'", key, known, key=True)
    metric = value.get("metric")
    if metric is not None and not isinstance(metric, str):
        issues.at("metric").add(f"expected the name of a metric, got {show_value(metric)}")
        return None
    return Side({key: found for key, found in value.items() if key != "metric"}, metric)


def _check_beside(form: str, expect: dict[str, Any], issues: Issues) -> None:
    rules = FORMS[form]
    allowed = [key for keys in rules.values() for key in keys]
    for key in BESIDE:
        if key in expect and key not in allowed:
            owners = [name for name, other in FORMS.items() if any(key in keys for keys in other.values())]
            issues.at(key).add(f"'{key}' has no effect beside '{form}'; it belongs to {' or '.join(owners)}")
    given = [key for key in rules.get("one", ()) if key in expect]
    if "one" in rules and not given:
        names = " or ".join(key for key in rules["one"] if key != "within")
        issues.at(form).add(f"'{form}' needs one of {names}")
    elif len(given) > 1:
        issues.at(form).add(f"{' and '.join(given)}: give one of them")


def _amount(expect: dict[str, Any], keys: tuple[str, ...], issues: Issues) -> float | None:
    for key in keys:
        if key in expect:
            value = _number(expect[key], "a number above 0", issues.at(key))
            if value is not None and value <= 0:
                issues.at(key).add(f"must be above 0, got {value:g}")
            return value
    return None


def _share(expect: dict[str, Any], issues: Issues) -> float | None:
    if "in" not in expect:
        return None
    here = issues.at("in")
    value = _number(expect["in"], "a fraction of the seeds, above 0 and at most 1", here)
    if value is not None and not 0 < value <= 1:
        here.add(f"must be a fraction of the seeds, above 0 and at most 1, got {value:g}")
    return value


def _number(value: Any, what: str, issues: Issues) -> float | None:
    try:
        if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
            return float(value)
    except OverflowError:  # a whole number beyond the largest float
        pass
    issues.add(f"expected {what}, got {show_value(value)}")
    return None
