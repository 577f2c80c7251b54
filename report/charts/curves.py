"""Training curves of a suite: the reconstruction term of all variants, and their total losses.

The reconstruction term under one likelihood is one quantity in all methods. Total losses are sums of different terms
(rec; rec + kl; rec + a penalty), so only totals of the same terms share an axis.
"""

from typing import Any

from bench.report.data import Group, Suite, fingerprint, history, number, words
from bench.report.tables.names import configuration_text, reader_text

from bench.results.stats import summarise
from bench.results.store import Record

from .model import Line, LineChart, Who
from .svg import line_chart

Panel = tuple[Any, Any]  #: latent size, likelihood
Run = tuple[Group, list[Record]]  #: seeds of one configuration, on the same images
NOT_TERMS = ("epoch", "seconds", "loss")


def curves(suite: Suite, hues: dict[str, int]) -> list[dict[str, Any]]:
    """Panels by dataset, latent size and likelihood: losses of different likelihoods share no axis.

    A panel has its `chart` (SVG), the `drawing` it renders, and the `runs` it is made of.
    """
    found: dict[str, dict[Panel, list[Run]]] = {}
    for group in suite.groups:
        for records in _alike(group):
            panel = (group.at["latent_size"], group.at["likelihood"])
            found.setdefault(str(group.at["dataset"]), {}).setdefault(panel, []).append((group, records))
    return [view for dataset, panels in found.items() if (view := _view(dataset, panels, hues))["rows"]]


def _alike(group: Group) -> list[list[Record]]:
    """The records of a group that have curves, in lists of those trained on the same images."""
    found: dict[str, list[Record]] = {}
    for cell in group.cells:
        if cell.record and cell.status in ("done", "diverged") and history(cell.record):
            found.setdefault(fingerprint(cell.record), []).append(cell.record)
    return list(found.values())


def _view(dataset: str, panels: dict[Panel, list[Run]], hues: dict[str, int]) -> dict[str, Any]:
    ordered = sorted(panels.items(), key=lambda item: (item[0][0] or 0, str(item[0][1])))
    several = len({likelihood for _, likelihood in panels}) > 1
    rec, total = [], []
    for (size, likelihood), runs in ordered:
        where = reader_text("latent_size", size) + (f", {reader_text('likelihood', likelihood)}" if several else "")
        rec.append(_panel(dataset, where, "rec", "reconstruction, nats per image", runs, hues))
        for terms, alike in _by_terms(runs).items():
            label = f"loss = {' + '.join(terms)}" if terms else "loss"
            total.append(_panel(dataset, f"{where}, {label}", "loss", f"{label}, nats per image", alike, hues))
    rows = [{"title": "Reconstruction term", "panels": [panel for panel in rec if panel["chart"]]},
            {"title": "Total loss", "panels": [panel for panel in total if panel["chart"]]}]  # fmt: skip
    drawn = [group for runs in panels.values() for group, _ in runs]
    return {"dataset": dataset, "rows": [row for row in rows if row["panels"]], "legend": _legend(drawn)}


def _by_terms(runs: list[Run]) -> dict[tuple[str, ...], list[Run]]:
    """Runs by the terms of their loss, without those whose loss is only the reconstruction term."""
    found: dict[tuple[str, ...], list[Run]] = {}
    for group, records in runs:
        found.setdefault(terms(records), []).append((group, records))
    return {names: alike for names, alike in found.items() if names != ("rec",)}


def terms(records: list[Record]) -> tuple[str, ...]:
    """The terms of a configuration's loss in the recorded order, the reconstruction first."""
    columns = [name for record in records for name in (history(record) or [{}])[0]]
    names = dict.fromkeys(name.removeprefix("test_") for name in columns if name.startswith("test_"))
    return tuple(sorted((words(name, 40) for name in names if name not in NOT_TERMS), key=lambda name: name != "rec"))


def _panel(dataset: str, where: str, term: str, y_label: str, runs: list[Run], hues: dict[str, int]) -> dict[str, Any]:
    lines = [line for group, records in runs for line in _lines(group, records, term, hues)]
    drawn = ", ".join(line.name for line in lines if len(line.x))
    alt = f"{y_label} per epoch on {reader_text('dataset', dataset)}, {where}: {drawn}"
    drawing = LineChart(tuple(lines), "epoch", words(y_label), words(alt, 600))
    return {
        "caption": f"{reader_text('dataset', dataset)}, {where}",
        "term": term,
        "chart": line_chart(drawing),
        "drawing": drawing,
        "runs": runs,
    }


def _legend(groups: list[Group]) -> list[dict[str, Any]]:
    return [{"label": label, "net": net} for label, net in dict.fromkeys((g.at["label"], g.at["net"]) for g in groups)]


def _dashed(net: object) -> bool:
    return net not in (None, "mlp")


def _lines(group: Group, records: list[Record], term: str, hues: dict[str, int]) -> list[Line]:
    """The training line, dotted, and the test line with its interval."""
    name = configuration_text(group.at, ("label", "net"))
    colour, who = hues.get(str(group.at["label"]), 0), Who.at(group.at)
    histories = [rows for record in records if (rows := history(record))]
    lines = []
    for split, style in (("train", "train"), ("test", "dashed" if _dashed(group.at["net"]) else "")):
        epochs, mean, half = _mean_curve(histories, f"{split}_{term}")
        low = [m - h for m, h in zip(mean, half, strict=True)] if split == "test" and any(half) else []
        high = [m + h for m, h in zip(mean, half, strict=True)] if low else []
        lines.append(Line(f"{name}, {split}, {len(histories)} seeds", colour, epochs, mean, low, high, style, who))
    return lines


def _mean_curve(histories: list[list[dict[str, float]]], column: str) -> tuple[list[float], list[float], list[float]]:
    """Epochs, means and half-widths of 95 % t-intervals over the seeds that reached each epoch."""
    values: dict[float, list[float]] = {}
    for rows in histories:
        for entry in rows:
            value = number(entry.get(column))
            if value is not None:
                values.setdefault(entry["epoch"], []).append(value)
    summaries = [(epoch, summarise(values[epoch])) for epoch in sorted(values)]
    return (
        [e for e, _ in summaries],
        [s.mean for _, s in summaries],
        [s.half_width or 0.0 for _, s in summaries],
    )
