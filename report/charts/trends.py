"""A metric over the latent size: a line a configuration, its 95 % t-interval at every size, every seed a dot."""

from collections.abc import Sequence
from typing import Any

from bench.report.data import Suite, words
from bench.report.tables.model import Table
from bench.report.tables.names import ARROWS, configuration_text, coordinate_text, metric_name
from bench.report.tables.values import QUIET, Key, Value

from .model import Axis, Trend, TrendChart, Who
from .svg import trend_chart

Line = tuple[Any, ...]  #: coordinates of a configuration but its latent size


def views(suite: Suite, families: Sequence[Table], hues: dict[str, int]) -> list[dict[str, Any]]:
    """By dataset: a panel a metric that was measured at two or more latent sizes.

    A panel has its `chart` (SVG), the `drawing` it renders, and the `values` it is made of.
    """
    found = []
    for dataset in dict.fromkeys(str(group.at["dataset"]) for group in suite.groups):
        panels = [panel for table in families for panel in _panels(table, dataset, hues)]
        here = [group.at for group in suite.groups if group.at["dataset"] == dataset]
        legend = dict.fromkeys((at["label"], at["net"]) for at in here)
        if panels:
            found.append({"dataset": dataset, "panels": panels,
                          "legend": [{"label": label, "net": net} for label, net in legend]})  # fmt: skip
    return found


def _panels(table: Table, dataset: str, hues: dict[str, int]) -> list[dict[str, Any]]:
    """A panel a member and key, because values under different keys may not be compared."""
    groups: dict[tuple[Any, Key], list[Value]] = {}
    for value in table.cells.values():
        if value.seeds and value.at.get("dataset") == dataset and isinstance(value.at.get("latent_size"), int):
            groups.setdefault((value.at.get("member"), value.key), []).append(value)
    keys = {key for _, key in groups}
    panels = [_panel(table, dataset, member, key if len(keys) > 1 else (), values, hues)
              for (member, key), values in groups.items()]  # fmt: skip
    return [panel for panel in panels if panel is not None]


def _panel(table: Table, dataset: str, member: Any, key: Key, values: list[Value], hues: dict[str, int]) -> Any:
    lines: dict[Line, list[Value]] = {}
    for value in values:
        at = value.at
        lines.setdefault((at["label"], at["net"], at.get("likelihood"), at.get("setting")), []).append(value)
    several = len({likelihood for _, _, likelihood, _ in lines}) > 1
    trends = [_trend(line, sorted(found, key=_size), hues, several) for line, found in lines.items()]
    sizes = tuple(sorted({float(_size(value)) for value in values}))
    if len(sizes) < 2 or all(len(trend.x) < 2 for trend in trends):
        return None
    called = metric_name(table.metric, str(member) if member else None)
    key_text = "".join(f", {k} {coordinate_text(k, v)}" for k, v in key if k not in QUIET)
    alt = words(
        f"{called} over the latent size on {coordinate_text('dataset', dataset)}{key_text}: "
        f"{'; '.join(_numbers_text(trend) for trend in trends)}",
        900,
    )
    log = sizes[0] > 0 and sizes[-1] / sizes[0] >= 4
    drawing = TrendChart(tuple(trends), Axis("latent size d", log, _few(sizes)), Axis(table.unit), alt)
    return {
        "title": f"{called}{key_text} {ARROWS.get(table.better, '')}".strip(), "metric": called,
        "chart": trend_chart(drawing), "drawing": drawing, "values": values,
    }  # fmt: skip


def _few(sizes: tuple[float, ...]) -> tuple[float, ...]:
    return sizes if len(sizes) <= 8 else sizes[:: -(-len(sizes) // 8)]


def _size(value: Value) -> int:
    size = value.at["latent_size"]
    assert isinstance(size, int)
    return size


def _trend(line: Line, values: list[Value], hues: dict[str, int], several: bool) -> Trend:
    """One line of a panel. several: the panel has several likelihoods, which the name then states."""
    names = ("label", "net", *(["likelihood"] if several else []), "setting")
    summaries = [(_size(value), value.summary) for value in values]
    drawn = [(size, summary) for size, summary in summaries if summary is not None]
    return Trend(
        name=configuration_text(values[0].at, names),
        colour=hues.get(str(line[0]), 0),
        x=tuple(float(size) for size, _ in drawn),
        y=tuple(summary.mean for _, summary in drawn),
        half=tuple(summary.half_width for _, summary in drawn),
        seeds=tuple((float(_size(value)), number) for value in values for number in value.seeds.values()),
        style="" if line[1] in (None, "mlp") else "dashed",
        who=Who.at(values[0].at),
    )


def _numbers_text(trend: Trend) -> str:
    numbers = ", ".join(f"{y:.4g} at {x:.0f}" for x, y in zip(trend.x, trend.y, strict=True))
    return f"{trend.name} {numbers}".replace("-", "−")
