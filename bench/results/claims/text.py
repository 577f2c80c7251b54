"""A claim in words: what a check tests, and its numbers."""

from collections.abc import Mapping, Sequence
from typing import Any

from bench.suite.cells import as_list
from bench.suite.expectations import FRACTIONS, TRENDS, Expect, Side

from .verdicts import WORDS, Outcome, number


def sentence(expect: Expect, metric: str, where: Mapping[str, Any]) -> str:
    """What a check tests, in words.

    >>> expect = Expect("less_than", Side({"variant": "vae"}), Side({"variant": "ae"}))
    >>> sentence(expect, "code_offset", {})
    'code_offset of vae below that of ae'
    """
    first, second = expect.first, expect.second
    name = side_name(first, where)
    subject = f"{first.metric or metric} of {name}" if name else first.metric or metric
    return f"{subject} {_predicate(expect, _other(second, metric, first, where) if second else '')}"


def _predicate(expect: Expect, other: str) -> str:
    target = "" if expect.target is None else number(expect.target)
    if expect.form in TRENDS:
        strictly = "" if expect.share is None else f", strictly so in {100 * expect.share:.0f} % of seeds"
        return f"{expect.form.removesuffix('_in')} in latent size{strictly}"
    if expect.form in ("near", "same_as"):
        amount = number(expect.absolute) if expect.absolute is not None else f"{100 * (expect.relative or 0):g} %"
        return f"within {amount} of {other or target}"
    if expect.form == "different_from":
        return f"different from {other}"
    if expect.form in FRACTIONS and expect.share is not None:
        return f"{WORDS[expect.form]} {target} in {100 * expect.share:.0f} % of seeds"
    return f"{WORDS[expect.form]} {target} times {other}" if expect.ratio else f"{WORDS[expect.form]} {other or target}"


def _other(side: Side, metric: str, first: Side, where: Mapping[str, Any]) -> str:
    own = side.metric or metric
    name = side_name(side, where)
    same = own == (first.metric or metric)
    return f"{'that' if same else own} of {name}" if name else own


def side_name(side: Side, where: Mapping[str, Any]) -> str:
    """A side's own selector as words, or the claim's where it has none."""
    chosen = side.where or {key: value for key, value in where.items() if key in ("variant", "label", "net")}
    return ", ".join(_value(key, value) for key, value in chosen.items())


def _value(key: str, value: Any) -> str:
    words = " or ".join(str(part) for part in as_list(value))
    return f"latent size {words}" if key == "latent_size" else words


def evidence(found: Outcome, unit: str) -> str:
    """Effect, interval, p and k of n on one line; "" where nothing was measured."""
    if found.effect is None:
        return ""
    p = [] if found.p is None else [p_words(found.p)]
    return " · ".join([effect_words(found, unit), *p, f"{found.in_direction}/{found.n} seeds"])


def effect_words(found: Outcome, unit: str) -> str:
    """Effect and interval with their unit, and the interval's level where it is not 95 %.

    >>> effect_words(Outcome("supported", "", -0.81, (-0.9, -0.72)), "pixels")
    '−0.81 [−0.9, −0.72] pixels'
    """
    if found.effect is None:
        return ""
    words = number(found.effect)
    if found.interval is not None:
        words += f" [{number(found.interval[0])}, {number(found.interval[1])}]"
        words += "" if found.level == 0.95 else f" at {100 * found.level:.4g} %"
    unit = {"ratio": "times", "fraction": "of the seeds"}.get(found.scale, unit)
    return f"{words} {unit}".strip()


def p_words(p: float) -> str:
    """
    >>> p_words(0.00002), p_words(0.0312)
    ('p < 0.0001', 'p = 0.031')
    """
    return "p < 0.0001" if p < 1e-4 else f"p = {p:.2g}"


def data_words(datasets: Sequence[str]) -> str:
    """The data that a verdict was found on, "" where nothing could be tested.

    >>> data_words(["CIFAR-10 as JPEG"]), data_words(["mnist", "digits"]), data_words([])
    ('tested on CIFAR-10 as JPEG', 'tested on mnist and digits', '')
    """
    return f"tested on {' and '.join(datasets)}" if datasets else ""
