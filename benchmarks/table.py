"""A measurement as text, Markdown, CSV and JSON."""

import csv
import io
import json
from pathlib import Path
from typing import Any

from bench.results.store import write_bytes

LONGEST = 12  #: operations of a profile that have a line
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
    return "\n".join([*lines, *_profiles(found), *_overhead(found), *_evaluation(found), "", *_notes(found)]) + "\n"


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


def _profiles(found: dict[str, Any]) -> list[str]:
    """A table for each: the longest operations, all others together, and what is in none."""
    lines: list[str] = []
    for one in found.get("profiles", []):
        seeds = f", {one['stacked']} seeds stacked" if one["stacked"] > 1 else ""
        title = f"a step of {one['variant']} {one['net']} {one['precision']}{seeds} ({one['device']}, {one['how']})"
        most, others = one["operations"][:LONGEST], one["operations"][LONGEST:]
        rows = [(operation["name"], operation["calls"], operation["ms"]) for operation in most]
        if others:
            rows.append((f"{len(others)} others", *(sum(o[key] for o in others) for key in ("calls", "ms"))))
        rows += [("in none of them", "", one["rest_ms"]), ("all", "", one["step_ms"])]
        lines += ["", _line([title, "calls", "ms", "share"]), _line(["---"] * 4)]
        lines += [
            _line([name, calls and f"{calls:.3g}", f"{ms:.3f}", f"{ms / one['step_ms']:.0%}"])
            for name, calls, ms in rows
        ]
    return lines


def _overhead(found: dict[str, Any]) -> list[str]:
    if "overhead" not in found:
        return []
    store, cells = found["overhead"]["store"], (found["overhead"].get(name) for name in ("cell", "larger_cell"))
    return [
        "",
        *(
            f"- a cell of {cell['dataset']}, from ready to recorded, less its work: {1e3 * cell['overhead']:.0f} ms "
            f"(encoding and writing pictures and arrays {1e3 * cell['pictures']:.0f} ms, all else "
            f"{1e3 * cell['other']:.0f} ms); its work: training {1e3 * cell['training']:.0f} ms, metrics "
            f"{1e3 * cell['metrics']:.0f} ms, and {1e3 * cell['figures']:.0f} ms that the model computes for figures"
            for cell in cells
            if cell
        ),
        f"- `bench plan`, from start to end: {found['overhead']['plan_start']:.2f} s",
        f"- a store of {store['records']:,} records, opened: {store['seconds']:.2f} s",
    ]


def _evaluation(found: dict[str, Any]) -> list[str]:
    if "evaluation" not in found:
        return []
    measured = found["evaluation"]
    sides = {f"ours, {name.replace('_', ' ')}": side for name, side in measured["ours"].items()}
    sides |= {f"naive, {name}": side for name, side in measured["naive"].items()}
    rows = [[name, f"{s['wall']:.1f}", f"{s['cpu']:.1f}", _longest(s["parts"])] for name, s in sides.items()]
    ratios = (f"{name} ×{r['wall']:.1f} ({r['cpu']:.1f})" for name, r in measured["ratios"].items())
    agreeing = {name: d for name, d in measured["differences"].items() if d["same_protocol"]}
    apart = (f"{name} {d['ours']:.5g} and {d['naive']:.5g}" for name, d in agreeing.items())
    asked = measured["asked"]
    return [
        "",
        _line(["evaluation of a cell", "wall s", "CPU s", "of it"]),
        _line(["---"] * 4),
        *map(_line, rows),
        "",
        f"- naive over ours, seconds of the machine a cell (CPU seconds): {'; '.join(ratios)}. Ours: {asked['workers']}"
        f" side by side, of one thread, with a cell each in those wall seconds; naive: {measured['threads']} threads.",
        f"- {asked['dataset']}, {asked['samples']:,} samples a sampler; our maps of {asked['points']:,} points, the "
        f"naive ones of all test codes; Inception: {asked['inception_images']:,} images a set, random weights.",
        f"- ours and naive, where protocols agree: {'; '.join(apart)}.",
        *(f"- left out on both sides: {words}" for words in measured["left_out"]),
    ]


def _longest(parts: dict[str, float], n: int = 6) -> str:
    most = sorted(parts.items(), key=lambda part: -part[1])[:n]
    return ", ".join(f"{name} {seconds:.1f}" for name, seconds in most)


def _notes(found: dict[str, Any]) -> list[str]:
    machine = found["machine"]
    versions = ", ".join(f"{name} {number}" for name, number in found["versions"].items())
    commit = f"commit {found['git']}{' with changes' if found['dirty'] else ''}" if found["git"] else "no commit"
    return [
        f"{machine['device']}; 1-minute load before {machine['load_before']}; images: {found['data']}; medians of "
        "rounds. The limit is what the best matrix products and convolutions measured beside it would allow, "
        "with all products, also those with pixels that are 0, which may be left out.",
        f"{found['created']}, bench {found['bench']}, {commit}; {versions}.",
    ]
