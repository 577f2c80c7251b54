"""A cell's page: all its results, settings and provenance, and the command that reproduces it."""

import re
from typing import Any

import numpy as np
from bench.report.charts.maps import code_map
from bench.report.charts.model import Line, LineChart
from bench.report.charts.svg import line_chart
from bench.report.data import Cell, Suite, coordinates, embeddings, flatten, history, mapping, number, words
from bench.report.tables.footnotes import KEYS
from bench.report.tables.names import ARROWS, coordinate_text, metric_text
from jinja2 import Environment
from markupsafe import Markup

from .gallery import caption, class_names, figures, space_title, spaces
from .html import command, figure
from .pictures import Picture, halves, read_all
from .pictures import files as picture_files
from .variant import file_name


def files(env: Environment, suite: Suite, cell: Cell, neighbours: list[Cell], hues: dict[str, int]) -> dict[str, bytes]:
    """The page with its pictures and maps, below suites/<suite>/<cell>/."""
    assert cell.record is not None
    folder = f"suites/{suite.name}/{cell.id}"
    pictures = read_all(cell.record)
    rows, arrays = history(cell.record), embeddings(cell.record)
    maps = _maps(cell, arrays)
    page = env.get_template("cell.html").render(
        root="../../../", suite=suite, cell=cell, record=cell.record, caption=caption(cell),
        siblings=neighbours, unreadable=_unreadable(cell, pictures, rows, arrays),
        metrics=_metrics(cell), curves=_curves(cell, rows or [], hues), pictures=figures(pictures),
        maps=[(space, _space(cell, space)) for space in maps], classes=class_names(cell.record),
        parameters=_parameters(cell), provenance=_provenance(cell),
        command="" if cell.record.external else command(suite.name, cell.cell, suite.overrides),
        about=[(kind, mapping(cell.record.about.get(kind))) for kind in ("variant", "net", "likelihood")],
        variant=words(cell.cell.get("variant")), variant_page=_variant_page(cell),
    )  # fmt: skip
    made = {f"{folder}/index.html": page.encode()}
    made |= {f"{folder}/map_{space}.svg": svg.encode() for space, svg in maps.items()}
    return made | {f"{folder}/{p.file}": p.data for picture in pictures for p in _with_halves(picture)}


def _variant_page(cell: Cell) -> str:
    """The path of the page of the cell's method, "" for a record without a method."""
    name = words(cell.cell.get("variant"))
    return f"variants/{file_name(name)}.html" if name else ""


def _unreadable(cell: Cell, pictures: list[Picture], rows: object, arrays: object) -> list[str]:
    """Names of files that exist and cannot be read."""
    assert cell.record is not None
    shown = {picture.name for picture in pictures}
    bad = [words(path.name) for path in picture_files(cell.record) if path.stem not in shown]
    bad += ["history.csv"] if rows is None else []
    return bad + (["embeddings.npz"] if arrays is None else [])


def _with_halves(picture: Picture) -> list[Picture]:
    parts = halves(picture) if picture.name == "reconstructions" else None
    return [picture, *(parts or ())]


def _space(cell: Cell, space: str) -> str:
    return space_title(space, coordinates(cell.cell)["latent_size"])


def _maps(cell: Cell, arrays: dict[str, np.ndarray] | None) -> dict[str, str]:
    assert cell.record is not None
    names, said = class_names(cell.record), caption(cell)
    return {
        space: code_map(arrays[space], arrays["labels"], names, f"{_space(cell, space)}: {said}", space == "latent")
        for space in spaces(arrays)
        if arrays
    }


def _metrics(cell: Cell) -> list[dict[str, Any]]:
    assert cell.record is not None
    rows = []
    for name, entry in sorted(cell.record.metrics.items()):
        entry = mapping(entry)
        value = number(entry.get("value"))
        rows.append({
            "name": metric_text(words(name)), "value": None if value is None else figure(value, 6),
            "reason": words(entry.get("reason"), 300), "unit": words(entry.get("unit")),
            "arrow": ARROWS.get(words(entry.get("better")), ""), "better": words(entry.get("better")),
            "n": figure(entry["n"]) if entry.get("n") is not None else "",
            "key": ", ".join(f"{KEYS.get(k, k)} {coordinate_text(k, v)}"
                             for k, v in flatten(mapping(entry.get("key"))).items() if k),
            "seconds": figure(entry["seconds"], 3) if number(entry.get("seconds")) is not None else "",
            "family": words(entry.get("family") or name),
        })  # fmt: skip
        beside = number(entry.get("elbo_same_images"))
        if beside is not None:
            rows.append(rows[-1] | {"name": f"ELBO of the images of the {rows[-1]['name']}",
                                    "value": figure(beside, 6), "seconds": ""})  # fmt: skip
    return rows


def _curves(cell: Cell, rows: list[dict[str, float]], hues: dict[str, int]) -> list[tuple[str, Markup]]:
    """A chart of the loss and of each of its terms, on training and test images."""
    names = dict.fromkeys(name for row in rows for name in row)
    terms = dict.fromkeys(m.group(1) for name in names if (m := re.fullmatch(r"(?:train|test)_(\w{1,40})", name)))
    hue = hues.get(str(coordinates(cell.cell)["label"]), 0)
    charts = [(term, _curve(rows, term, hue, caption(cell))) for term in terms]
    return [(term, chart) for term, chart in charts if chart]


def _curve(rows: list[dict[str, float]], term: str, hue: int, what: str) -> Markup:
    lines = []
    for split, style in (("train", "train"), ("test", "")):
        points = [(h["epoch"], h[f"{split}_{term}"]) for h in rows if number(h.get(f"{split}_{term}")) is not None]
        if points:
            lines.append(Line(split, hue, [x for x, _ in points], [y for _, y in points], style=style))
    if all(y == 0 for line in lines for y in line.y):
        return Markup("")
    return line_chart(LineChart(tuple(lines), "epoch", "nats per image", f"{term} per epoch, {what}"))


def _parameters(cell: Cell) -> dict[str, str]:
    flat = flatten(cell.cell)
    return {name: text for name, text in flat.items() if text not in ("{}", "null", "[]")}


def _provenance(cell: Cell) -> dict[str, str]:
    assert cell.record is not None
    record = cell.record
    parts = {"provenance": record.provenance, "training": record.training, "seconds": record.timings}
    data = {k: v for k, v in mapping(record.about.get("dataset")).items() if k != "classes"}
    flat: dict[str, str] = {}
    for name, part in (*parts.items(), ("data", data)):
        values = flatten(part) if part else {}
        flat |= {
            k if name == "provenance" else f"{name}.{k}": v for k, v in values.items() if k and v not in ("null", "0.0")
        }
    return flat
