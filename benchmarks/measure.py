"""Rounds of training, bench and a peer in turns → images per second and their ratio."""

import json
import os
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from statistics import median
from typing import Any

from bench.results.store import csv_text, write_bytes
from bench.runs.executor import default_workers
from bench.runs.provenance import provenance
from bench.runs.worker import Settings, limited_threads, pick_device

from . import peers
from .grid import Grid, check, load
from .worker_pool import Side, side

WARM_UP = 20  #: steps of each cell before anything is timed
#: column of the table → format
COLUMNS = {
    "net": "", "device": "", "precision": "", "workers": "", "images_per_s": ",.0f",
    "against": "", "against_images_per_s": ",.0f", "ratio": ".2f",
}  # fmt: skip


@dataclass(frozen=True)
class Plan:
    """What is measured. images: of each cell in a round; None: as many as take about `seconds`."""

    variants: tuple[str, ...] = ("ae", "vae")
    nets: tuple[str, ...] = ("mlp",)
    precisions: tuple[str, ...] = ("fp32",)
    device: str = "auto"
    workers: int | None = None
    threads: int = 1
    seeds: int = 4
    batch_size: int = 128
    images: int | None = None
    seconds: float = 5.0
    rounds: int = 3
    against: str | None = None
    profile: bool = False
    data_root: Path = Path("data")


def measure(plan: Plan, say: Callable[[str], None] = lambda line: None) -> dict[str, Any]:
    """{"rows": a dictionary for each net and precision, "machine", "versions", ...}, ready for JSON.

    say: called with a line after each row. Raises `UsageError` for an unknown name or a peer that is not installed.
    """
    check(plan.variants, plan.nets)
    if plan.against is not None:
        peers.check(plan.against, plan.variants)
    about = describe(plan)  # first: the machine's load is that of before
    grids = [_grid(plan, net, precision) for net in plan.nets for precision in plan.precisions]
    count = plan.workers or default_workers(Settings(Path(), plan.data_root, plan.device, plan.threads))
    with ExitStack() as processes:
        sides = [processes.enter_context(side(min(count, len(grids[0].jobs)), plan.threads))]
        if plan.against is not None:
            sides.append(processes.enter_context(side(1, None, plan.against)))
        rows = []
        for grid in grids:
            rows.append(_row(plan, grid, sides))
            say(_line(rows[-1]))
    return {"rows": rows} | ({"profiles": _profiles(plan, grids)} if plan.profile else {}) | about


def describe(plan: Plan) -> dict[str, Any]:
    """Machine, versions, date and data of a measurement. load_before: the system's 1-minute average."""
    data = load(plan.data_root)
    known = provenance(pick_device(plan.device), plan.threads, "", data)
    peer = {plan.against: _version(plan.against)} if plan.against else {}
    machine = {"device": known["device"], "cores": os.cpu_count(), "load_before": round(os.getloadavg()[0], 2)}
    about = {name: known[name] for name in ("bench", "git", "dirty", "created")}
    return {"machine": machine, "versions": known["versions"] | peer, "data": data.source} | about


def _grid(plan: Plan, net: str, precision: str) -> Grid:
    device = pick_device(plan.device).type
    images = plan.images or WARM_UP * plan.batch_size  # until it is known how many take `plan.seconds`
    group = plan.seeds if device == "cuda" else 1
    return Grid(plan.variants, net, precision, device, plan.seeds, group, plan.batch_size, images, plan.data_root)


def _row(plan: Plan, grid: Grid, sides: list[Side]) -> dict[str, Any]:
    warm = replace(grid, images=min(grid.images, WARM_UP * grid.batch_size))
    for each in sides:
        each.train(warm)
    if plan.images is None:
        steps = WARM_UP * plan.seconds / sides[0].train(warm)
        grid = replace(grid, images=max(WARM_UP, round(steps)) * grid.batch_size)
    seconds: list[list[float]] = [[] for _ in sides]
    for number in range(plan.rounds):
        for index in range(len(sides)) if number % 2 == 0 else reversed(range(len(sides))):
            seconds[index].append(sides[index].train(grid))
    total = grid.images_of_cell * len(plan.variants) * plan.seeds
    speeds = [[round(total / s, 1) for s in taken] for taken in seconds]
    return {
        "variants": list(plan.variants), "net": grid.net, "device": grid.device, "precision": grid.precision,
        "seeds": plan.seeds, "stacked": grid.group, "batch_size": plan.batch_size, "workers": sides[0].workers,
        "threads": plan.threads, "images_per_cell": grid.images_of_cell, "rounds": plan.rounds,
        "images_per_s": median(speeds[0]), "by_round": speeds[0], **_compared(plan, speeds),
    }  # fmt: skip


def _compared(plan: Plan, speeds: list[list[float]]) -> dict[str, Any]:
    """The peer's median, and the median of the rounds' ratios."""
    if plan.against is None:
        return {"against": None, "against_images_per_s": None, "ratio": None}
    ratio = median(ours / theirs for ours, theirs in zip(*speeds, strict=True))
    found = {"against": plan.against, "against_images_per_s": median(speeds[1]), "against_by_round": speeds[1]}
    return found | {"ratio": round(ratio, 3)}


def _profiles(plan: Plan, grids: list[Grid]) -> list[dict[str, Any]]:
    """Of the last variant, in this process while no other works."""
    from .profile import measure as profiled

    with limited_threads(plan.threads):
        return [profiled(replace(grid, device=str(pick_device(grid.device))), plan.variants[-1]) for grid in grids]


def _line(row: dict[str, Any]) -> str:
    text = f"{row['net']} {row['precision']}: {row['images_per_s']:,.0f} images/s"
    if row["ratio"] is None:
        return text
    return f"{text}; {row['against']} {row['against_images_per_s']:,.0f}: ×{row['ratio']:.2f}"


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


# -- as text


def write(found: dict[str, Any], out: Path) -> list[Path]:
    """Write speed.md, speed.csv and speed.json into `out`; returns their paths."""
    numbers = json.dumps(found, indent=1, ensure_ascii=False) + "\n"
    rows = csv_text([{name: row[name] for name in COLUMNS} for row in found["rows"]])
    texts = {"md": markdown(found), "csv": rows, "json": numbers}
    for suffix, text in texts.items():
        write_bytes(out / f"speed.{suffix}", text.encode())
    return [out / f"speed.{suffix}" for suffix in texts]


def markdown(found: dict[str, Any]) -> str:
    """The rows as a table, each profile as another, machine, versions and date below."""
    table = [[format(row[name], style) if row[name] is not None else "" for name, style in COLUMNS.items()]
             for row in found["rows"]]  # fmt: skip
    lines = _table(list(COLUMNS), table)
    for one in found.get("profiles", []):
        title = f"{one['variant']} {one['net']} {one['precision']}, {one['step_ms']:.2f} ms a step ({one['how']})"
        operations = [[o["name"], f"{o['calls']:.3g}", f"{o['ms']:.3f}"] for o in one["operations"]]
        lines += ["", *_table([title, "calls", "ms"], [*operations, ["outside of these", "", f"{one['rest_ms']:.3f}"]])]
    machine, commit = found["machine"], f"commit {found['git']}{' with changes' if found['dirty'] else ''}"
    versions = ", ".join(f"{name} {number}" for name, number in found["versions"].items())
    load_before = f"1-minute load before {machine['load_before']}"
    notes = [f"{machine['device']}; {load_before}; images: {found['data']}; medians of the rounds.",
             f"{found['created']}, bench {found['bench']}, {commit}; {versions}."]  # fmt: skip
    return "\n".join([*lines, "", *notes]) + "\n"


def _table(head: list[str], rows: list[list[str]]) -> list[str]:
    return [f"| {' | '.join(map(str, cells))} |" for cells in (head, ["---"] * len(head), *rows)]
