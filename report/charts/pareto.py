"""Trade-offs: rate against distortion, and quality against training seconds and parameters.

A point is a configuration: its mean over seeds. Training seconds are those of the fastest seed: other work of the
machine makes single seeds up to a hundred times as slow, and none faster. The front holds the points that no other
point of the same drawing equals or beats in both coordinates. A drawing holds only comparable values: of one dataset
and one key of the metric (likelihood, classifier), and seconds of one device with one number of threads.

Rate and distortion (Alemi et al., Fixing a Broken ELBO, 2018, https://arxiv.org/abs/1711.00464): R = KL(q(z|x) ‖ p(z)),
D = −E log p(x|z), both in nats per test image, from the last epoch's test curve; −ELBO = R + D.
"""

import statistics
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from bench.report.data import Group, Suite, history, mapping, number, varied_axes, whole, words
from bench.report.tables.model import Table
from bench.report.tables.names import configuration_text, coordinate_text, metric_name
from bench.report.tables.values import QUIET, Key, Value

from bench.results.store import Record

from .colours import LIGHT
from .model import Axis, Mark, Pair, PointChart, Who
from .svg import SHAPES, point_chart, shape_path, shapes

QUALITIES = ("mse", "fid", "fcd", "knn_accuracy")  #: metric families put against the costs
WIDE_SPAN = 20.0  #: an axis is logarithmic where largest / smallest exceeds this
SLACK = 0.02  #: largest relative difference of rate + distortion and −ELBO, which are two noisy estimates

Points = list[tuple[Value, list[Pair]]]  #: a configuration's value, and (x, y) of each seed
Panel = dict[str, Any]
Shapes = dict[tuple[Any, Any], str]  #: (label, net) -> a shape


@dataclass(frozen=True)
class Cost:
    """A cost: its name and unit, its value in a record, and `where` it was measured, which comparable costs share."""

    name: str
    unit: str
    of: Callable[[Record], float | None]
    where: Callable[[Record], str] = lambda record: ""
    least: bool = False  #: the least of the seeds stands for all of them


def _device(record: Record) -> str:
    """Where seconds were measured: "cpu: AMD EPYC, 2 cores, 1 thread"."""
    threads = whole(record.provenance.get("threads"))
    count = f"{threads} thread{'s' * (threads != 1)}" if threads else ""
    return ", ".join(filter(None, [words(record.provenance.get("device")), count]))


COSTS = (
    Cost(
        "Training seconds",
        "training seconds of the fastest seed",
        lambda record: number(record.timings.get("train")),
        _device,
        least=True,
    ),
    Cost("Parameters", "trained parameters", lambda record: number(record.training.get("parameters")) or None),
)


def views(suite: Suite, families: Sequence[Table], hues: dict[str, int]) -> list[dict[str, Any]]:
    """By dataset: its drawings with captions and fronts, and the legend of colours and shapes.

    A panel has its `chart` (SVG), the `drawing` it renders, and the `values` it is made of.
    """
    nets = _shapes(suite, hues)
    found: dict[str, list[Panel]] = {}
    for dataset in dict.fromkeys(str(group.at["dataset"]) for group in suite.groups):
        draw = _Drawer(suite, dataset, hues, nets)
        panels = [*_rate_distortion(families, draw), *_quality_cost(families, draw)]
        if panels:
            found[dataset] = panels
    return [{"dataset": dataset, "panels": panels, "legend": _legend(suite, dataset, nets)}
            for dataset, panels in found.items()]  # fmt: skip


def _shapes(suite: Suite, hues: dict[str, int]) -> Shapes:
    """(label, net) -> a shape: of its net; where one net has more labels than there are hues, another one for each
    label of a hue."""
    ats = [group.at for group in suite.groups]
    nets = dict.fromkeys(at["net"] for at in ats if at["net"])
    labels = list(dict.fromkeys(at["label"] for at in ats))
    if len(nets) > 1 or len(labels) <= len(LIGHT):
        by_net = shapes([at["net"] for at in ats])
        return {(at["label"], at["net"]): by_net[at["net"]] for at in ats}
    of, places = {}, Counter[int]()
    for label in labels:
        hue = hues.get(str(label), 0) % len(LIGHT)
        of[label] = SHAPES[places[hue] % len(SHAPES)]
        places[hue] += 1
    return {(at["label"], at["net"]): of[at["label"]] for at in ats}


def _legend(suite: Suite, dataset: str, nets: Shapes) -> dict[str, Any]:
    """The labels with their colours, and the nets with their shapes; labels with their shapes where there is one net.

    A label without a net has a shape of its own.
    """
    here = [group.at for group in suite.groups if group.at["dataset"] == dataset]
    shaped = {at["label"]: at["net"] for at in reversed(here)}
    named = {net: shape for (_, net), shape in nets.items() if net}
    several = len({shape for (_, net), shape in nets.items() if net}) > len(named)
    labels = [{"label": at["label"], "outline": "" if net and not several else shape_path(nets[at["label"], net], 0, 0)}
              for at in {at["label"]: at for at in here}.values() for net in [shaped[at["label"]]]]  # fmt: skip
    drawn = [net for net in dict.fromkeys(at["net"] for at in here) if net and not several]
    return {"labels": labels, "nets": [{"net": n, "outline": shape_path(named[n], 0, 0)} for n in drawn]}


@dataclass(frozen=True)
class _Drawer:
    """Makes the panels of one dataset."""

    suite: Suite
    dataset: str
    hues: dict[str, int]
    nets: Shapes

    def panel(self, title: str, points: Points, x: str, y: str, lower: tuple[bool, bool],
              sums: bool = False) -> Panel | None:  # fmt: skip
        """One panel; None unless at least two configurations have both numbers."""
        able = [(value, _mean(pairs), pairs) for value, pairs in points if pairs]
        logs = [not sums and _spread([mean[axis] for _, mean, _ in able]) for axis in (0, 1)]
        drawn = [one for one in able if all(not log or one[1][axis] > 0 for axis, log in enumerate(logs))]
        if len(drawn) < 2:
            return None
        best = front([mean for _, mean, _ in drawn], lower)
        marks = tuple(self._mark(value.group, mean, _on(pairs, logs)) for value, mean, pairs in drawn)
        left = [self.name(one[0].group) for one in able if one not in drawn]
        alt = words(f"{title} on {coordinate_text('dataset', self.dataset)}: {len(marks)} configurations; front: "
                    + "; ".join(f"{marks[i].name}" for i in best), 600)  # fmt: skip
        drawing = PointChart(marks, tuple(best), Axis(x, logs[0]), Axis(y, logs[1]), alt, sums)
        return {
            "title": title, "where": "", "front": [self.name(drawn[i][0].group) for i in best],
            "left": f"Zero, so not on the logarithmic axis: {'; '.join(left)}." if left else "",
            "chart": point_chart(drawing), "drawing": drawing, "values": [value for value, _, _ in drawn],
        }  # fmt: skip

    def name(self, group: Group) -> str:
        """A configuration by the coordinates in which those of the suite differ."""
        axes = varied_axes(self.suite.groups, ("label", "net", "latent_size", "setting"))
        return configuration_text(group.at, axes)

    def _mark(self, group: Group, mean: Pair, seeds: list[Pair]) -> Mark:
        at = group.at
        several = len({other.at["latent_size"] for other in self.suite.groups}) > 1
        numbers = f"{mean[0]:.4g}, {mean[1]:.4g}".replace("-", "−")
        name = f"{self.name(group)}: {numbers}"
        text = str(at["latent_size"]) if several and at["latent_size"] is not None else ""
        hue = self.hues.get(str(at["label"]), 0)
        return Mark(name, hue, *mean, self.nets[at["label"], at["net"]], text, tuple(seeds), Who.at(at))


def front(points: Sequence[Pair], lower: tuple[bool, bool]) -> list[int]:
    """Indices, by x, of the points that no other equals or beats in both coordinates; equal points stay together.

    lower: for x and y, whether lower is better.

    >>> front([(1, 5), (2, 3), (3, 4), (4, 1)], (True, True))
    [0, 1, 3]
    """
    sign = [1 if flag else -1 for flag in lower]
    turned = [(sign[0] * x, sign[1] * y) for x, y in points]
    kept: list[int] = []
    for index in sorted(range(len(points)), key=lambda i: (turned[i], i)):
        if not kept or turned[index][1] < turned[kept[-1]][1] or turned[index] == turned[kept[-1]]:
            kept.append(index)
    return sorted(kept, key=lambda i: (points[i], i))


def _mean(pairs: Sequence[Pair]) -> Pair:
    return statistics.fmean(x for x, _ in pairs), statistics.fmean(y for _, y in pairs)


def _on(pairs: Sequence[Pair], logs: Sequence[bool]) -> list[Pair]:
    """The seeds that lie on the axes."""
    return [pair for pair in pairs if all(not log or pair[axis] > 0 for axis, log in enumerate(logs))]


def _spread(values: Sequence[float]) -> bool:
    positive = [value for value in values if value > 0]
    return len(positive) > 1 and all(v >= 0 for v in values) and max(positive) / min(positive) > WIDE_SPAN


def _measured(table: Table, dataset: str) -> dict[Key, list[Value]]:
    """Values of a dataset by their key: only values of one key are comparable."""
    found: dict[Key, list[Value]] = {}
    for value in table.cells.values():
        if value.seeds and value.at.get("dataset") == dataset:
            found.setdefault(value.key, []).append(value)
    return found


def _key_text(key: Key, among: Sequence[Key]) -> str:
    """A key as text, "" where there is only one."""
    parts = [f"{k} {coordinate_text(k, v)}" for k, v in key if k not in QUIET] if len(among) > 1 else []
    return f" ({', '.join(parts)})" if parts else ""


# -- rate and distortion


def _rate_distortion(families: Sequence[Table], draw: _Drawer) -> list[Panel]:
    """A panel a likelihood, of the configurations with an ELBO whose curves hold both terms."""
    table = next((table for table in families if table.metric == "elbo"), None)
    by_key = _measured(table, draw.dataset) if table else {}
    panels = []
    for key, values in by_key.items():
        points = [(value, [p for record in value.records if (p := rate_distortion(record))]) for value in values]
        likelihood = dict(key).get("likelihood", "")
        title = "Rate and distortion" + (
            f", {coordinate_text('likelihood', likelihood)}" if len(by_key) > 1 and likelihood else ""
        )
        axes = "distortion −log p(x|z), nats", "rate KL(q ‖ p), nats"
        panel = draw.panel(title, points, *axes, (True, True), sums=True)
        if panel:
            panels.append(panel)
    return panels


def rate_distortion(record: Record) -> Pair | None:
    """(distortion, rate) of a record in nats per test image; None where they do not add up to −ELBO."""
    last = (history(record) or [{}])[-1]
    distortion, rate = number(last.get("test_rec")), number(last.get("test_kl"))
    elbo = number(mapping(record.metrics.get("elbo")).get("value"))
    if distortion is None or rate is None or elbo is None:
        return None
    return (distortion, rate) if abs(distortion + rate + elbo) <= SLACK * abs(elbo) else None


# -- quality and cost


def _quality_cost(families: Sequence[Table], draw: _Drawer) -> list[Panel]:
    """A panel for each quality and cost."""
    panels = []
    for cost in COSTS:
        for name in QUALITIES:
            table = next((table for table in families if table.metric == name), None)
            panels += _against(table, cost, draw) if table else []
    return panels


def _against(table: Table, cost: Cost, draw: _Drawer) -> list[Panel]:
    by_key = _measured(table, draw.dataset)
    panels = []
    for key, every in by_key.items():
        values = _one_member(every)
        member = values[0].at.get("member")
        called = metric_name(table.metric, str(member) if member else None)
        places = list(dict.fromkeys(cost.where(record) for value in values for record in value.records))
        for place in places:
            points = [(value, _pairs(value, cost, place)) for value in values]
            title = f"{called} and {cost.name.lower()}{_key_text(key, list(by_key))}"
            panel = draw.panel(title, points, cost.unit, f"{called}, {table.unit}", (True, table.better != "higher"))
            if panel:
                panels.append(panel | {"where": f"Measured on {place}." if place else ""})
    return panels


def _one_member(values: list[Value]) -> list[Value]:
    """Values of the sampler with the most values; of several, the last, which is fitted to codes.

    The prior suits some methods only, and so do the samplers of discrete codes.
    """
    counts = Counter(value.at.get("member") for value in values)
    chosen = [member for member, count in counts.items() if count == max(counts.values())]
    return [value for value in values if value.at.get("member") == chosen[-1]]


def _pairs(value: Value, cost: Cost, place: str) -> list[Pair]:
    """(cost, quality) of every seed measured at `place`; of a cost with `least`, the least cost for each."""
    found = []
    for cell in value.group.cells:
        record = cell.record
        if record is None or cell.seed not in value.seeds or cost.where(record) != place:
            continue
        paid = cost.of(record)
        if paid is not None:
            found.append((paid, value.seeds[cell.seed]))
    return [(min(paid for paid, _ in found), quality) for _, quality in found] if cost.least else found
