"""Rounds of training, ours and a peer's in turns → images per second, ratio, and share of the arithmetic limit."""

import os
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from statistics import median
from typing import Any

from bench.GONE import LONG, chosen

from bench.runs.executor import default_workers
from bench.runs.provenance import provenance
from bench.runs.worker import Settings, limited_threads, pick_device

from . import peers
from .flops import training_flops
from .grid import CLASSES, SHAPE, Grid, builder, check, load
from .workers import Workers, standing_ready

WARM_UP = LONG + 8  #: steps of each cell before anything is timed: with what a process imports to capture a step


@dataclass(frozen=True)
class Plan:
    """What `bench speed` was asked for. images: of each cell in a round; None: as many as take about `seconds`."""

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
    """{"rows": a dictionary for each net and precision, "machine", ...}, ready for JSON.

    say: is told in a line what has been measured. Raises `UsageError` for a name that does not exist, or a peer that is
    not installed.
    """
    check(plan.variants, plan.nets)
    if plan.against is not None:
        peers.check(plan.against, plan.variants)
    device, about = pick_device(plan.device), describe(plan)  # the load is that of before
    if device.type == "cpu":
        chosen()  # measured here, before workers share the machine
    count = worker_count(plan)
    grids = [_grid(plan, net, precision, device.type) for net in plan.nets for precision in plan.precisions]
    with ExitStack() as processes:
        ours = processes.enter_context(standing_ready(grids[0], min(count, len(grids[0].jobs)), plan.threads))
        theirs = None
        if plan.against is not None:
            theirs = processes.enter_context(standing_ready(grids[0], 1, None, plan.against))
        rows = []
        for grid in grids:
            rows.append(_row(plan, grid, ours, theirs))
            say(words(rows[-1]))
    return {"rows": rows} | ({"profiles": _profiles(plan, grids)} if plan.profile else {}) | about


def worker_count(plan: Plan, need: int | None = None) -> int:
    """Processes side by side: as many as `bench run` takes on CPUs, one for each GPU, whatever nets it has to train.

    need: bytes of memory of each, if it is known.
    """
    return plan.workers or default_workers(Settings(Path(), plan.data_root, plan.device, plan.threads), need)


def words(row: dict[str, Any]) -> str:
    """A row as one line for the person watching."""
    speed, share = f"{row['images_per_s']:,.0f} images/s", f"{row['share_of_limit']:.0%} of the limit"
    text = f"{row['net']} {row['precision']}: {speed}, {share}"
    if row["ratio"] is None:
        return text
    return f"{text}; {row['against']} {row['against_images_per_s']:,.0f}: ×{row['ratio']:.2f}"


def describe(plan: Plan) -> dict[str, Any]:
    """Machine, versions, date and data of a measurement. load_before: other work, the system's 1-minute average."""
    device = pick_device(plan.device)
    known = provenance(device, plan.threads, "", "")
    versions = known["versions"] | ({plan.against: _version(plan.against)} if plan.against else {})
    machine = {"device": known["device"], "cores": os.cpu_count(), "load_before": round(os.getloadavg()[0], 2)}
    if device.type == "cpu":
        machine["kernels"] = chosen()
    about = {name: known[name] for name in ("bench", "git", "dirty", "created")}
    return {"machine": machine, "versions": versions, "data": load(plan.data_root).source} | about


def _grid(plan: Plan, net: str, precision: str, device: str) -> Grid:
    stacked = plan.seeds if device == "cuda" else 1
    images = plan.images or WARM_UP * plan.batch_size  # until it is known how many take `plan.seconds`
    return Grid(plan.variants, net, precision, device, plan.seeds, stacked, plan.batch_size, images, plan.data_root)


def _row(plan: Plan, grid: Grid, ours: Workers, theirs: Workers | None) -> dict[str, Any]:
    warm = replace(grid, images=min(grid.images, WARM_UP * grid.batch_size))
    sides = [side for side in (ours, theirs) if side is not None]
    for side in sides:
        side.train(warm)
    if plan.images is None:
        grid = replace(grid, images=_images_for(plan.seconds, warm, ours))
    seconds: dict[Workers, list[float]] = {side: [] for side in sides}
    rates: list[dict[str, float]] = []
    for number in range(plan.rounds):
        for side in sides if number % 2 == 0 else reversed(sides):
            seconds[side].append(side.train(grid))
        rates.append(ours.rates(grid))
    total = grid.images_of_cell * len(plan.variants) * plan.seeds
    speeds = {side: [total / s for s in taken] for side, taken in seconds.items()}
    best = {kind: max(r[kind] for r in rates) for kind in rates[0]}
    compared = _against(plan, speeds[ours], speeds[theirs] if theirs else None)
    return _asked(plan, grid, len(ours.processes)) | _shares(grid, median(speeds[ours]), best) | compared


def _profiles(plan: Plan, grids: list[Grid]) -> list[dict[str, Any]]:
    """Of the last variant, which of the usual two is the VAE, in this process while no other works."""
    from .profile import measure as profiled

    with limited_threads(plan.threads):
        return [profiled(replace(grid, device=str(pick_device(grid.device))), plan.variants[-1]) for grid in grids]


def _asked(plan: Plan, grid: Grid, workers: int) -> dict[str, Any]:
    return {
        "variant": ", ".join(plan.variants),
        "net": grid.net,
        "device": grid.device,
        "precision": grid.precision,
        "seeds": plan.seeds,
        "stacked": grid.group,
        "batch_size": plan.batch_size,
        "workers": workers,
        "threads": plan.threads,
        "images_per_cell": grid.images_of_cell,
        "rounds": plan.rounds,
    }


def _images_for(seconds: float, grid: Grid, side: Workers) -> int:
    """Images a cell sees in a round of about `seconds`, a whole number of batches."""
    steps = WARM_UP * seconds / side.train(grid)
    return max(WARM_UP, round(steps)) * grid.batch_size


def _shares(grid: Grid, speed: float, best: dict[str, float]) -> dict[str, Any]:
    """What the speed is of what the machine's best rates would allow, were there nothing but arithmetic."""
    flops = [training_flops(builder(variant, grid.net)(), SHAPE, CLASSES) for variant in grid.variants]
    mean = {kind: sum(f[kind] for f in flops) / len(flops) for kind in best}
    limit = 1 / sum(mean[kind] / best[kind] for kind in best)
    return {
        "images_per_s": round(speed / grid.group, 1),
        "seed_images_per_s": round(speed, 1),
        "flop_per_image": round(sum(mean.values())),
        "best_gflop_per_s": {kind: round(rate / 1e9, 1) for kind, rate in best.items()},
        "limit_images_per_s": round(limit, 1),
        "share_of_limit": round(speed / limit, 4),
    }


def _against(plan: Plan, ours: list[float], theirs: list[float] | None) -> dict[str, Any]:
    """The peer's median and the median of the rounds' ratios, of images times seeds per second."""
    if theirs is None:
        return {"against": None, "against_images_per_s": None, "ratio": None, "by_round": _rounded(ours)}
    ratios = [a / b for a, b in zip(ours, theirs, strict=True)]
    return {
        "against": plan.against,
        "against_images_per_s": round(median(theirs), 1),
        "ratio": round(median(ratios), 3),
        "by_round": _rounded(ours),
        "against_by_round": _rounded(theirs),
    }


def _rounded(values: list[float]) -> list[float]:
    return [round(value, 1) for value in values]


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
