"""Galleries: pictures of all methods side by side, by dataset and latent size."""

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
from bench.report.data import Cell, Group, Suite, coordinates, embeddings, mapping, varied_axes, words
from bench.report.tables.model import Table, format_value
from bench.report.tables.names import configuration_text, metric_name, reader_text
from bench.report.tables.values import is_yardstick

from bench.results.store import Record

from .pictures import Picture, kind, read_all

NAME = re.compile(r"[a-z][a-z0-9_]{0,30}")
WIDE = 22 * 16  #: pixels: the width of a column of panels
TILE = 15 * 16  #: pixels: the width of a tile; larger pictures are panels


def galleries(suite: Suite, families: Sequence[Table] = ()) -> list[dict[str, Any]]:
    """The pictures of each dataset: methods in the order of the tables, latent sizes ascending.

    Shown is the first seed of each configuration that is done; `seeds` names the files of the others for the page's
    switch. families: tables of the suite, whose values stand below reconstructions and samples.
    """
    numbers = numbers_below(families)
    views = []
    for dataset in dict.fromkeys(group.at["dataset"] for group in suite.groups):
        groups = [group for group in suite.groups if group.at["dataset"] == dataset and group.done]
        axes = varied_axes(groups, ("label", "net", "latent_size", "setting"))
        entries = [_gallery_entry(group, numbers, axes) for group in ordered(groups)]
        if entries:
            views.append({
                "dataset": dataset, "originals": next((e for e in entries if e["restored"]), None),
                "entries": entries, "sections": _sections(entries, samplers(groups)),
                "seeds": sorted({cell.seed for group in groups for cell in group.done}),
                "maps": any(e["maps"] for e in entries),
                "classes": next((e["classes"] for e in entries if e["maps"]), []),
            })  # fmt: skip
    return views


def ordered(groups: list[Group]) -> list[Group]:
    """Yardsticks last; methods in the order of the grid, each by latent size."""
    methods = list(dict.fromkeys(_method(group) for group in groups))

    def place(group: Group) -> tuple[bool, int, int]:
        size = group.at["latent_size"]
        return is_yardstick(group.at["variant"]), methods.index(_method(group)), size if isinstance(size, int) else 0

    return sorted(groups, key=place)


def _method(group: Group) -> tuple[Any, ...]:
    return tuple(group.at.get(axis) for axis in ("label", "net", "likelihood", "setting"))


def samplers(groups: list[Group]) -> list[str]:
    """The samplers in the order of the protocol, the prior first."""
    protocols = [mapping(group.cells[0].cell.get("evaluate")).get("samplers") for group in groups]
    named = [words(name) for names in protocols if isinstance(names, list) for name in names]
    return list(dict.fromkeys(sorted(named, key=lambda name: name != "prior")))


def numbers_below(families: Sequence[Table]) -> dict[tuple[int, str], str]:
    """(group, kind of picture) -> the value below it: the MSE, or the FID or FCD of the sampler."""
    found: dict[tuple[int, str], str] = {}
    for table in families:
        for (_, column), value in table.cells.items():
            member = value.at.get("member")
            kinds = {"mse": "reconstructions", "fid": f"samples_{member}", "fcd": f"samples_{member}"}
            if table.metric in kinds and value.seeds:
                text = f"{metric_name(table.metric)} {format_value(value, table.decimals[column])}"
                found.setdefault((id(value.group), kinds[table.metric]), text)
    return found


def _gallery_entry(group: Group, numbers: dict[tuple[int, str], str], axes: list[str]) -> dict[str, Any]:
    """axes: those in which the methods of the gallery differ."""
    cell = group.done[0]
    assert cell.record is not None
    found = read_all(cell.record)
    strips = next((p for p in found if p.name == "reconstructions"), None)
    by_seed = [(other, {p.name: p for p in read_all(other.record)}) for other in group.done if other.record]
    return {
        "at": group.at, "method": configuration_text(group.at, [a for a in axes if a != "latent_size"]), "cell": cell,
        "caption": caption(cell), "kind": _method(group), "size": group.at["latent_size"],
        "sized": "latent_size" in axes,
        "value": numbers.get((id(group), "reconstructions"), ""),
        "restored": {"width": strips.width, "height": strips.height // 2, "suffix": strips.suffix,
                     "seeds": _files(by_seed, "reconstructions", "restored")} if strips else None,
        "figures": [figure | {"value": numbers.get((id(group), figure["name"]), ""),
                              "seeds": _files(by_seed, figure["name"])} for figure in figures(found)],
        "maps": [{"space": space, "title": space_title(space, group.at["latent_size"]),
                  "seeds": " ".join(f"{c.seed}:{c.id}/map_{space}.svg" for c in group.done)}
                 for space in spaces(embeddings(cell.record))],
        "classes": class_names(cell.record),
    }  # fmt: skip


def _files(by_seed: list[tuple[Cell, dict[str, Picture]]], name: str, shown: str = "") -> str:
    """The files of a picture by seed: "0:<cell>/samples_prior.png 1:..."."""
    found = [(cell, pictures[name]) for cell, pictures in by_seed if name in pictures]
    return " ".join(f"{cell.seed}:{cell.id}/{shown or name}{picture.suffix}" for cell, picture in found)


def figures(found: list[Picture]) -> list[dict[str, Any]]:
    """Each picture for a template: its file, kind, and size in pixels.

    A moving picture belongs to the strip of the same images, which readers see who prefer reduced motion. It is left
    out where there is no strip.
    """
    moving = {p.kind.section: p for p in found if p.kind.moving}
    return [
        {"name": p.name, "file": p.file, "kind": p.kind, "width": p.width * _scale(p), "height": p.height * _scale(p),
         "wide": p.width > 1.5 * p.height or p.width > TILE, "moving": _moving(moving.get(p.kind.section))}
        for p in found if not p.kind.moving
    ]  # fmt: skip


def _moving(picture: Picture | None) -> dict[str, Any] | None:
    if picture is None:
        return None
    width, height = picture.width * _scale(picture), picture.height * _scale(picture)
    return {"file": picture.file, "kind": picture.kind, "width": width, "height": height}


def _scale(picture: Picture) -> int:
    """The integer factor by which a small picture is enlarged, so that its pixels stay square."""
    return max(1, WIDE // max(picture.width, picture.height, 1))


def _sections(entries: list[dict[str, Any]], drawn_by: list[str]) -> dict[str, list[dict[str, Any]]]:
    """Section -> its kinds of pictures, each as a grid of methods and latent sizes; wide pictures below each other."""
    found: dict[str, dict[str, list[tuple[dict[str, Any], dict[str, Any]]]]] = {}
    for entry in entries:
        for figure in entry["figures"]:
            if section := figure["kind"].section:
                found.setdefault(section, {}).setdefault(figure["name"], []).append((entry, figure))

    def order(name: str) -> tuple[int, int, str]:
        place = next((i for i, sampler in enumerate(drawn_by) if name.endswith(f"_{sampler}")), len(drawn_by))
        return kind(name).order, place, name

    return {section: [_grid(kinds[name]) for name in sorted(kinds, key=order)] for section, kinds in found.items()}


def _grid(shown: list[tuple[dict[str, Any], dict[str, Any]]]) -> dict[str, Any]:
    """A table of pictures: a column a method and a row a latent size; of wide pictures a row a method, by size."""
    methods = dict.fromkeys((entry["kind"], entry["method"]) for entry, _ in shown)
    sizes = sorted(dict.fromkeys(entry["size"] for entry, _ in shown), key=lambda size: size or 0)
    at = {(entry["kind"], entry["size"]): figure | {"entry": entry} for entry, figure in shown}
    hues = {entry["kind"]: entry["at"] for entry, _ in shown}
    wide = any(figure["wide"] for _, figure in shown)
    heads = [{"text": text, "at": hues[method]} for method, text in methods]
    rows: list[dict[str, Any]] = [
        {"head": {"text": reader_text("latent_size", size), "at": None},
         "cells": [at.get((method, size)) for method, _ in methods]} for size in sizes
    ]  # fmt: skip
    if wide:
        drawn = [[row["cells"][i] for row in rows if row["cells"][i]] for i in range(len(heads))]
        rows = [{"head": head, "cells": cells} for head, cells in zip(heads, drawn, strict=True)]
        heads = []
    return {"kind": shown[0][1]["kind"], "heads": heads, "rows": rows, "wide": wide,
            "moving": [{"entry": entry} | figure for entry, figure in shown if figure["moving"]]}  # fmt: skip


def spaces(arrays: dict[str, np.ndarray] | None) -> list[str]:
    """The maps of a cell ("latent", "tsne", "umap"): its arrays of shape (P, 2)."""
    found = arrays or {}
    shape = (len(found.get("labels", ())), 2)
    return [n for n, a in found.items() if n != "labels" and NAME.fullmatch(n) and a.shape == shape]


def space_title(space: str, latent_size: object) -> str:
    """The title of a map; codes of more than two dimensions are shown by their first two principal components."""
    plane = "First two principal components of the codes"
    latent = plane if isinstance(latent_size, int) and latent_size > 2 else "Codes"
    return {"latent": latent, "tsne": "t-SNE of the codes", "umap": "UMAP of the codes"}.get(space, space)


def class_names(record: Record) -> list[str]:
    found = mapping(record.about.get("dataset")).get("classes")
    return [words(name, 40) for name in found] if isinstance(found, list) else []


def caption(cell: Cell) -> str:
    """The caption of every picture of a cell: variant, net, dataset, latent size, seed."""
    where = configuration_text(coordinates(cell.cell), ("label", "net", "dataset", "latent_size"))
    return f"{where}, seed {cell.seed}"
