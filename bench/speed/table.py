"""A measurement as text, Markdown, CSV and JSON."""

import csv
import io
import json
from pathlib import Path
from typing import Any

from ..store import write_bytes

#: column → (heading, format)
COLUMNS: dict[str, tuple[str, str]] = {
    "variant": ("variants", ""),
    "net": ("net", ""),
    "device": ("device", ""),
    "precision": ("precision", ""),
    "workers": ("workers", ""),
    "images_per_s": ("images/s", ",.0f"),
    "seed_images_per_s": ("seed-images/s", ",.0f"),
    "flop_per_image": ("FLOP an image", ",.0f"),
    "limit_images_per_s": ("limit, images/s", ",.0f"),
    "share_of_limit": ("share", ".0%"),
    "against": ("against", ""),
    "against_images_per_s": ("its images/s", ",.0f"),
    "ratio": ("ratio", ".2f"),
}


def write(found: dict[str, Any], out: Path) -> list[Path]:
    """Write speed.md, speed.csv and speed.json into `out`; returns their paths."""
    numbers = json.dumps(found, indent=1, ensure_ascii=False) + "\n"
    texts = {"md": markdown(found), "csv": as_csv(found), "json": numbers}
    for suffix, text in texts.items():
        write_bytes(out / f"speed.{suffix}", text.encode())
    return [out / f"speed.{suffix}" for suffix in texts]


def markdown(found: dict[str, Any]) -> str:
    """The rows as a table, with machine, versions and date below it."""
    rows = [_shown(row) for row in found["rows"]]
    lines = [_line([heading for heading, _ in COLUMNS.values()]), _line(["---"] * len(COLUMNS))] if rows else []
    lines += [_line(row) for row in rows]
    return "\n".join([*lines, *_overhead(found), "", *_notes(found)]) + "\n"


def as_csv(found: dict[str, Any]) -> str:
    """A row for each net and precision, plain numbers."""
    out = io.StringIO()
    writer = csv.DictWriter(out, list(COLUMNS), extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    writer.writerows(found["rows"])
    return out.getvalue()


def _shown(row: dict[str, Any]) -> list[str]:
    return ["" if row.get(name) is None else format(row[name], style) for name, (_, style) in COLUMNS.items()]


def _line(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _overhead(found: dict[str, Any]) -> list[str]:
    if "overhead" not in found:
        return []
    cell, store = found["overhead"]["cell"], found["overhead"]["store"]
    return [
        "",
        f"- a cell, from ready to recorded, less training and metrics: {1e3 * cell['overhead']:.0f} ms "
        f"(pictures and arrays {1e3 * cell['pictures']:.0f} ms, all else {1e3 * cell['other']:.0f} ms)",
        f"- `bench plan`, from start to end: {found['overhead']['plan_start']:.2f} s",
        f"- a store of {store['records']:,} records, opened: {store['seconds']:.2f} s",
    ]


def _notes(found: dict[str, Any]) -> list[str]:
    machine = found["machine"]
    versions = ", ".join(f"{name} {number}" for name, number in found["versions"].items())
    commit = f"commit {found['git']}{' with changes' if found['dirty'] else ''}" if found["git"] else "no commit"
    return [
        f"{machine['device']}; 1-minute load before {machine['load_before']}; images: {found['data']}; medians of "
        "rounds. The limit is what the best matrix products and convolutions measured beside it would allow.",
        f"{found['created']}, bench {found['bench']}, {commit}; {versions}.",
    ]
