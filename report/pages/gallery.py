"""Galleries: pictures of all methods side by side, by dataset and latent size."""

import re
from itertools import groupby
from typing import Any

import numpy as np
from bench.report.data import Cell, Group, Suite, coordinates, embeddings, mapping, words

from bench.results.store import Record

from .pictures import Picture, read_all

NAME = re.compile(r"[a-z][a-z0-9_]{0,30}")
WIDE = 22 * 16  #: pixels: the width of a column of panels
TILE = 15 * 16  #: pixels: the width of a tile; larger pictures are panels


def galleries(suite: Suite) -> list[dict[str, Any]]:
    """Pictures by dataset and latent size, of the first seed of each configuration that is done."""
    shown_cells = [(group, group.done[0]) for group in suite.groups if group.done]
    ordered = sorted(enumerate(shown_cells), key=lambda item: _gallery_order(suite, *item))
    views = []
    for (dataset, size), members in groupby(
        (pair for _, pair in ordered), key=lambda pair: (pair[0].at["dataset"], pair[0].at["latent_size"])
    ):
        entries = [_gallery_entry(group, cell) for group, cell in members]
        view = {"dataset": dataset, "latent_size": size, "entries": entries,
                "samplers": list(dict.fromkeys(s["sampler"] for e in entries for s in e["samples"])),
                "spaces": list(dict.fromkeys(m["space"] for e in entries for m in e["maps"])),
                "originals": next((e for e in entries if e["restored"]), None), "sections": _sections(entries),
                "classes": next((e["classes"] for e in entries if e["maps"]), [])}  # fmt: skip
        views.append(view)
    return views


def _gallery_order(suite: Suite, index: int, pair: tuple[Group, Cell]) -> tuple[int, int, int]:
    datasets = list(dict.fromkeys(g.at["dataset"] for g in suite.groups))
    at = pair[0].at
    size = at["latent_size"]
    return datasets.index(at["dataset"]), size if isinstance(size, int) else 0, index


def _gallery_entry(group: Group, cell: Cell) -> dict[str, Any]:
    assert cell.record is not None
    found = read_all(cell.record)
    strips = next((p for p in found if p.name == "reconstructions"), None)
    return {
        "at": group.at, "cell": cell, "caption": caption(cell),
        "restored": {"width": strips.width, "height": strips.height // 2, "suffix": strips.suffix} if strips else None,
        "samples": [{"sampler": p.sampler, "file": p.file, "width": p.width, "height": p.height}
                    for p in found if p.sampler],
        "figures": figures(found),
        "maps": [{"space": space, "title": space_title(space, group.at["latent_size"])}
                 for space in spaces(embeddings(cell.record))],
        "classes": class_names(cell.record),
    }  # fmt: skip


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


def _sections(entries: list[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    """Section → its kinds of pictures, each with the pictures of all entries that have one."""
    found: dict[str, dict[str, dict[str, Any]]] = {}
    for entry in entries:
        for figure in entry["figures"]:
            kind = figure["kind"]
            kinds = found.setdefault(kind.section, {})
            shown = kinds.setdefault(figure["name"], {"kind": kind, "wide": False, "figures": []})
            shown["figures"].append({"entry": entry} | figure)
            shown["wide"] |= figure["wide"]
    return {section: [kinds[name] for name in sorted(kinds, key=lambda n: (kinds[n]["kind"].order, n))]
            for section, kinds in found.items() if section}  # fmt: skip


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
    at = coordinates(cell.cell)
    parts = [at["label"], at["net"], at["dataset"], f"latent size {at['latent_size']}", f"seed {cell.seed}"]
    return ", ".join(str(part) for part in parts if part)
