"""What a suite found, in one or two sentences that rules make from its tables.

A sentence names the configuration with the best mean of a metric, its value, and either those that are not surely worse
or the next one with its distance. It says which difference is not tested and why: too few seeds, or seeds without a
number. Further sentences say where the configurations were trained for unequal numbers of epochs, and which of those
named are told the label where others are not.

A suite with comparable published values says first how many agree. One that compares nothing, since it has one
configuration, says what it obtained beside each.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from bench.report.data import Suite
from bench.report.tables.footnotes import format_condition, settings
from bench.report.tables.model import Table
from bench.report.tables.names import coordinate_text, format_number, metric_name, reader_text
from bench.report.tables.published import published
from bench.report.tables.values import Value, decimals_of, is_yardstick

from bench import registry
from bench.results.stats import FEWEST_SEEDS

from .leaderboard import is_told

#: Families that a finding may be about, in the order of preference within reconstruction and within generation
TOPICS = (("mse",), ("fid", "fcd"))
MOST_NAMED = 3  #: configurations named as not surely worse than the best


@dataclass(frozen=True)
class Finding:
    """A sentence, what makes its configurations unlike, and the best value that it is about."""

    sentence: str
    unlike: tuple[str, ...]
    value: Value

    @property
    def text(self) -> str:
        return " ".join([self.sentence, *self.unlike])


def findings(suite: Suite, families: Sequence[Table]) -> list[Finding]:
    """A finding on reconstruction and one on generation from the prior, as far as two configurations are compared.

    What makes configurations unlike is said once.
    """
    found: list[Finding] = []
    for topic in TOPICS:
        tables = [table for name in topic for table in families if table.metric == name]
        one = next((finding for table in tables if (finding := _finding(table))), None)
        if one is not None:
            said = {part for earlier in found for part in earlier.unlike}
            found.append(replace(one, unlike=tuple(part for part in one.unlike if part not in said)))
    return found


def sentences(suite: Suite, found: Sequence[Finding]) -> list[str]:
    """What a suite's page and card say first: how many published values agree, then the findings.

    Without findings it is each value beside the published ones.
    """
    if not found:
        return beside_published(suite)
    decided = [view["verdict"] == "agrees" for view in published(suite) if view["verdict"]]
    agreeing = f"{sum(decided)} of {len(decided)} comparable published values agree within the suite's tolerance."
    return [*([agreeing] if decided else []), *(finding.text for finding in found)]


def beside_published(suite: Suite) -> list[str]:
    """A sentence for each obtained value that has comparable published ones: the finding of a suite of one row."""
    found: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for view in published(suite):
        if view["comparable"]:
            found.setdefault((view["row"], view["metric"]), []).append(view)
    return [_beside(views) for views in found.values()]


def _beside(views: Sequence[dict[str, Any]]) -> str:
    """The obtained value of one configuration and metric, and each published value with its verdict."""
    one = views[0]
    values = [v["published"] + (f" ({v['verdict']}, {v['tolerance']})" if v["verdict"] else "") for v in views]
    unit = f" {one['unit']}" if one["unit"] else ""
    return f"The {one['metric']} of {one['subject']} is {one['obtained']}{unit}; published: {_listed(values)}."


def _finding(table: Table) -> Finding | None:
    compared = _largest_comparison(table)
    if len(compared) < 2 or table.better not in ("lower", "higher"):
        return None
    sign = -1 if table.better == "higher" else 1
    ordered = sorted(compared, key=lambda value: sign * _mean(value))
    first, rest = ordered[0], ordered[1:]
    decimals = decimals_of(ordered)
    at, member = first.at, first.at.get("member")
    where = f"On {reader_text('dataset', at['dataset'])}"
    where += f" with d = {at['latent_size']}" if at.get("latent_size") is not None else ""
    sampler = f" of samples from the {registry.short_title('samplers', str(member))}" if member else ""
    degree = {"lower": "lowest", "higher": "highest"}[table.better]
    best = f"the {degree} {metric_name(table.metric)}{sampler}, {_number(first, decimals)}"
    distance, named = _distance(first, rest, compared, decimals)
    sentence = f"{where}, {_name(first, compared)} has {best}{distance}."
    return Finding(sentence, tuple(_unlike(compared, [first, *named])), first)


def _largest_comparison(table: Table) -> list[Value]:
    """The values of the column with the most measured configurations; of several, the first sampler, the largest d."""
    competing = {column: [value for value in table.column(column) if value.seeds] for column in table.columns}
    columns = [[v for v in values if not is_yardstick(str(v.at.get("variant")))] for values in competing.values()]
    priors = [values for values in columns if any(value.at.get("member") in (None, "prior") for value in values)]
    return max(priors or columns, key=lambda values: (len(values), _size(values)), default=[])


def _distance(
    first: Value, rest: list[Value], compared: list[Value], decimals: int
) -> tuple[str, list[Value]]:  # fmt: skip
    """The rest of the sentence, and whom it names: those not surely worse than the first, or the second."""
    second, name, number = rest[0], _name(rest[0], compared), _number(rest[0], decimals)
    if not first.best:
        return f", ahead of {name} with {number}; {_untested([first, *rest], compared)}", [second]
    equal = [value for value in rest if value.best]
    if equal:
        names = [_name(value, compared) for value in equal[:MOST_NAMED]]
        more = len(equal) - MOST_NAMED
        names += [f"{more} other{'s' * (more > 1)}"] if more > 0 else []
        return f"; {_listed(names)} {'is' if len(equal) == 1 else 'are'} not surely worse", equal[:MOST_NAMED]
    if not _is_tested(second):
        of = "" if second.complete else f" of {second.planned}"
        return f"; {name} follows with {number} ({len(second.seeds)}{of} seeds, not tested)", [second]
    return f"; {name} follows with {number}{_ratio(first, second)}", [second]


def _ratio(first: Value, second: Value) -> str:
    """How much more the second has than the first, "" below a half percent and where a ratio means nothing."""
    ratio = _mean(second) / _mean(first) if _mean(first) > 0 and _mean(second) > 0 else 0.0
    if ratio >= 2:
        return f", {ratio:.1f} times as much"
    percent = round(100 * (ratio - 1))
    return f", {percent} % more" if percent > 0 else ""


def _is_tested(value: Value) -> bool:
    """True for what takes part in the choice of the best (`arrange.mark_best`)."""
    return value.complete and len(value.seeds) >= FEWEST_SEEDS


def _untested(values: list[Value], compared: Sequence[Value]) -> str:
    """Why nothing is said of a difference: of the first of these values that is not tested."""
    value = next((value for value in values if not _is_tested(value)), None)
    if value is None:  # rows of unequal numbers of seeds: the mean of all and the paired test need not agree
        return "on the seeds that both have, another is ahead of it"
    if value.complete:
        return "the seeds are too few to test the difference"
    seeds = f"{len(value.seeds)} of {value.planned} seeds"
    return f"the difference is not tested, since {_name(value, compared)} has {seeds}"


def _unlike(compared: Sequence[Value], named: Sequence[Value]) -> list[str]:
    """What makes the compared configurations unlike beside method and net: epochs, and the label told to some."""
    epochs = format_condition([(value.at, settings(value).get("epochs", "")) for value in compared])
    found = [] if not epochs or epochs.isdecimal() else [f"Training epochs: {epochs}."]
    told = [value for value in named if is_told(str(value.at["variant"]))]
    if told and not all(is_told(str(value.at["variant"])) for value in compared):
        found.append(f"Told the label: {_listed([_name(value, compared) for value in told])}.")
    return found


def _mean(value: Value) -> float:
    assert value.summary is not None
    return value.summary.mean


def _size(values: list[Value]) -> int:
    return max((size for value in values if isinstance(size := value.at.get("latent_size"), int)), default=0)


def _name(value: Value, compared: Sequence[Value]) -> str:
    """The method, with its net, likelihood and setting where these differ among the configurations of its label."""
    alike = [other.at for other in compared if other.at["label"] == value.at["label"]]
    varied = [axis for axis in ("net", "likelihood", "setting") if len({at.get(axis) for at in alike}) > 1]
    parts = [coordinate_text(axis, value.at[axis]) for axis in varied if value.at.get(axis)]
    label = reader_text("label", value.at["label"])
    return f"{label} ({', '.join(parts)})" if parts else label


def _number(value: Value, decimals: int) -> str:
    half = "" if value.half_width is None else f" ± {format_number(value.half_width, decimals)}"
    return f"{format_number(_mean(value), decimals)}{half}"


def _listed(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
