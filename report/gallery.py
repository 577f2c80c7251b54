"""Pictures side by side: the same test images over all variants, samples by sampler, maps of the codes."""

import re
from itertools import groupby
from typing import Any

import numpy as np

from bench.store import Record

from .data import Cell, Group, Suite, coordinates, embeddings, mapping, words
from .pictures import read

NAME = re.compile(r"[a-z][a-z0-9_]{0,30}")


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
                "originals": next((e for e in entries if e["restored"]), None),
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
    found = [picture for path in cell.record.pictures() if (picture := read(path))]
    strips = next((p for p in found if p.name == "reconstructions"), None)
    return {
        "at": group.at, "cell": cell, "caption": caption(cell),
        "restored": {"width": strips.width, "height": strips.height // 2} if strips else None,
        "samples": [{"sampler": p.sampler, "width": p.width, "height": p.height} for p in found if p.sampler],
        "maps": [{"space": space, "title": space_title(space, group.at["latent_size"])}
                 for space in spaces(embeddings(cell.record))],
        "classes": class_names(cell.record),
    }  # fmt: skip


def spaces(arrays: dict[str, np.ndarray] | None) -> list[str]:
    """The maps that a cell has: "latent", "tsne", "umap", those with an array of shape (P, 2)."""
    found = arrays or {}
    shape = (len(found.get("labels", ())), 2)
    return [n for n, a in found.items() if n != "labels" and NAME.fullmatch(n) and a.shape == shape]


def space_title(space: str, latent_size: object) -> str:
    """What a map shows; codes of more than two dimensions are drawn on their first two principal components."""
    plane = "First two principal components of the codes"
    latent = plane if isinstance(latent_size, int) and latent_size > 2 else "Codes"
    return {"latent": latent, "tsne": "t-SNE of the codes", "umap": "UMAP of the codes"}.get(space, space)


def class_names(record: Record) -> list[str]:
    found = mapping(record.about.get("dataset")).get("classes")
    return [words(name, 40) for name in found] if isinstance(found, list) else []


def caption(cell: Cell) -> str:
    """What a picture always says: variant, net, dataset, latent size, seed."""
    at = coordinates(cell.cell)
    parts = [at["label"], at["net"], at["dataset"], f"latent size {at['latent_size']}", f"seed {cell.seed}"]
    return ", ".join(str(part) for part in parts if part)
