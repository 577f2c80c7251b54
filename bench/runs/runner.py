"""Cells → tasks → executor → store. What is done is left alone; what fails is recorded, and the run goes on.

This is the side that plans, checks inputs and collects; `bench/runs/worker.py` is the side that trains and evaluates.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from bench import registry
from bench.datasets import _loading
from bench.errors import BenchError, ComponentError, DataError, UsageError, did_you_mean
from bench.evaluation import dinov2, inception
from bench.evaluation.context import PROVIDERS
from bench.results.fingerprints import with_sets
from bench.results.identity import check_same_suite
from bench.results.store import DAMAGED, Record, Store
from bench.suite import Cell, Choice, Suite
from bench.suite.cells import location, recorded_choice
from bench.suite.grid import extent
from bench.training import checkpoint

from . import data_check, memory_estimate
from .devices import pick_device
from .executor import default_workers, execute
from .plan import Planned, counts, plan
from .task import Event, Request, Settings, Task
from .worker import components, waiting_for_weights

OnEvent = Callable[[Event], None]


@dataclass
class Summary:
    """What a run did: status → cells it settled, and state → cells it was asked for, at its end."""

    settled: dict[str, int] = field(default_factory=dict)
    states: dict[str, int] = field(default_factory=dict)


def run(
    suite: Suite,
    settings: Settings,
    request: Request | None = None,
    *,
    workers: int | None = None,
    scheduler: str | None = None,
    on_event: OnEvent = lambda event: None,
) -> Summary:
    """Compute what is missing of a suite, or what `request` asks for.

    workers, scheduler: as in `executor.execute`; by default as many workers as the machine has cores, GPUs and memory
    for. on_event: may be called from another thread.
    Raises `DataError` before anything trains if a dataset is missing, and as soon as it is loaded if it is not the one
    that earlier records of this suite were computed on.
    """
    registry.activate(suite.plugins)
    request, store = request or Request(), Store(settings.results)
    if note := check_same_suite(suite, store, request.force):
        on_event(Event("note", note))
    store.sweep(suite.name)
    asked = [p for p in plan(suite, store) if request.only is None or p.cell.id in request.only]
    if not request.force:
        _refuse_changed_data([p.cell for p in asked], suite, store, settings)
    todo = _todo(asked, suite, store, settings, request)
    todo, left = todo[: request.limit], {p.cell.id for p in (todo[request.limit :] if request.limit else [])}
    if todo:
        _check_inputs([p.cell for p in todo], suite, settings, on_event)
    _write_suite(suite, store, on_event)
    _record_skips(suite, store)
    most = _most_in_a_task(len(todo), workers, settings)
    tasks = _tasks(todo, most, suite, store, request)
    on_event(Event("plan", f"{suite.name}: {len(todo)} of {len(suite.cells)} cells to do", total=len(todo)))
    if workers is None and scheduler is None and len(tasks) > 1:
        workers = _workers([task.cells for task in tasks], store, settings, on_event)
    summary = Summary()
    try:
        for outcomes in execute(tasks, settings, workers, scheduler, on_event):
            for outcome in outcomes:
                summary.settled[outcome.status] = summary.settled.get(outcome.status, 0) + 1
                words = f"{outcome.status:<8} {outcome.cell.title}  {outcome.words}"
                on_event(Event("cell", words, outcome.status, sum(summary.settled.values()), len(todo)))
    except BaseException:
        store.sweep(suite.name)  # locks of workers that were killed
        raise
    finally:
        store.write_csv(suite.name)
    ids = {p.cell.id for p in asked} - left
    summary.states = counts([p for p in plan(suite, store) if p.cell.id in ids])
    return summary


def _workers(groups: Sequence[Sequence[Cell]], store: Store, settings: Settings, on_event: OnEvent) -> int:
    """As many as the machine has cores or GPUs for, or fewer where so many would not fit into its memory.

    groups: the cells of each task.
    """
    cells = [cell for group in groups for cell in group]
    need = memory_estimate.memory(cells, [record for name in store.suites() for record in store.records(name)]).worker
    most, fit = (min(len(groups), default_workers(settings, limit)) for limit in (None, need))
    if need is not None and fit < most:
        each = f"one is expected to take {memory_estimate.size_words(need)} of memory"
        on_event(Event("note", f"workers: {fit} of {most}, since {each}; --workers {most} starts them all the same"))
    return fit


def _write_suite(suite: Suite, store: Store, on_event: OnEvent) -> None:
    """Say which grid these results are of; a trial with `--set` never takes the place of the suite itself."""
    if suite.overrides and suite.name in store.suites() and not store.suite(suite.name).get("overrides"):
        words = "the report and `bench table` go on showing the suite without --set; --results DIR keeps a trial apart"
        on_event(Event("note", f"{suite.name}: {words}"))
        return
    store.write_suite(suite.name, describe_suite(suite))


def describe_suite(suite: Suite) -> dict[str, Any]:
    """The content of suite.json: everything the report says about a suite besides its records."""
    return {
        "name": suite.name,
        "title": suite.title,
        "description": suite.description,
        "digest": suite.digest,
        "text": suite.text,
        "overrides": list(suite.overrides),
        "metrics": list(suite.metrics),
        "references": [reference.model_dump(mode="json") for reference in suite.references],
        "claims": [claim.model_dump(mode="json") for claim in suite.claims],
        "cells": [{"id": c.id, "skip": c.skip, "cell": c.as_record()} for c in suite.cells],
        "about": _documents(suite),
    }


def _documents(suite: Suite) -> dict[str, dict[str, dict[str, str]]]:
    """The long texts of every component in use, once per suite; records carry their first lines."""
    used: dict[str, set[str]] = {"metrics": set(suite.metrics)}
    for cell in suite.cells:
        for kind, choice in components(cell).items():
            used.setdefault(kind, set()).add(choice.name)
    return {
        kind: {name: {"doc": registry.describe(kind, name).doc} for name in sorted(names)}
        for kind, names in used.items()
    }


def _todo(asked: list[Planned], suite: Suite, store: Store, settings: Settings, request: Request) -> list[Planned]:
    wanted = {"partial", "missing"}
    wanted |= {"done"} if request.redraw else set()
    wanted |= {"failed", DAMAGED} if request.retry_failed else set()
    wanted |= {"done", "failed", "diverged", DAMAGED} if request.force else set()
    root = settings.data_root
    found = [p for p in asked if p.state in wanted or (p.record and waiting_for_weights(p.record, root))]
    if request.train:
        return found
    trained = _trained(suite, store)
    return [p for p in found if _has_checkpoint(p.cell, trained, suite, store)]


def _has_checkpoint(cell: Cell, trained: dict[str, str], suite: Suite, store: Store) -> bool:
    """The cell's own, or that of a cell that was trained alike."""
    return store.has_checkpoint(suite.name, cell.id) or _donor(cell, trained, suite, store) is not None


def _trained(suite: Suite, store: Store) -> dict[str, str]:
    """train_id → id of a finished cell of this suite trained so."""
    return {r.training["train_id"]: r.id for r in store.records(suite.name) if "train_id" in r.training}


def _donor(cell: Cell, trained: dict[str, str], suite: Suite, store: Store) -> tuple[str, str] | None:
    """Suite and id of another cell whose checkpoint this one can use.

    One of this suite that was trained alike under another protocol, or the very same cell in another suite.
    """
    if trained.get(cell.train_id, cell.id) != cell.id:
        return suite.name, trained[cell.train_id]
    if store.has_checkpoint(suite.name, cell.id):
        return None
    others = (name for name in store.suites() if name != suite.name and store.has_checkpoint(name, cell.id))
    return next(((name, cell.id) for name in others), None)


def _check_inputs(cells: list[Cell], suite: Suite, settings: Settings, on_event: OnEvent) -> None:
    """One error for everything that is missing, before a single step is trained."""
    by_dataset = {dataset_key(c.dataset, c.dataset_label): c for c in cells}.values()
    entries = [(c.dataset_label, _loading.build(c.dataset.name, c.dataset.options)) for c in by_dataset]
    _loading.check(entries, settings.data_root, offline=settings.offline)
    _loading.inspect(entries, settings.data_root)
    for cell in {(c.variant, c.net, c.latent_size): c for c in cells}.values():
        _try_to_build(cell)
    _check_plugins(suite)
    if {"fid", "kid"} & set(suite.metrics):
        try:
            inception.fetch_weights(settings.data_root, settings.offline)
        except DataError as error:
            on_event(Event("note", f"fid and kid stay empty: {error}"))
    if "fd_dinov2" in suite.metrics and dinov2.locate_weights(settings.data_root) is None:
        on_event(Event("note", f"fd_dinov2 stays empty: {dinov2.missing_message(settings.data_root)}"))


def _check_plugins(suite: Suite) -> None:
    """Raise `ComponentError` for a file that would fail each cell after its training."""
    for file in suite.plugins:
        found = registry.load(file.kind, file.name)
        for name in found.needs if file.kind == "metrics" else ():
            if name not in PROVIDERS:
                near = did_you_mean(name, PROVIDERS)
                raise ComponentError(f"{file.path}: a metric has no input {name!r}{near}")


def _refuse_changed_data(cells: list[Cell], suite: Suite, store: Store, settings: Settings) -> None:
    """Raise `DataError` if images were replaced since cells were computed on them."""
    if changed := data_check.compare(cells, store.records(suite.name), settings.data_root).changed:
        remedy = "use another --results folder, or --force to compute these cells anew"
        raise DataError(f"{'; '.join(changed)}; {remedy}")


def _try_to_build(cell: Cell) -> None:
    """What only the component itself can refuse (a timm model, a width of 0) is told before anything trains."""
    if cell.net is None:
        return
    channels, size = extent(cell.dataset, "channels") or 3, extent(cell.dataset, "size") or 32
    try:
        checkpoint.build((channels, size, size), cell.variant, cell.net, cell.likelihood, cell.latent_size, 10)
    except BenchError as error:
        raise UsageError(f"{cell.title}: {error}") from error
    except Exception as error:
        raise UsageError(f"{cell.title} cannot be built: {type(error).__name__}: {error}") from error


def _record_skips(suite: Suite, store: Store) -> None:
    for cell in suite.cells:
        if cell.skip is not None:
            store.write(Record(cell.id, suite.name, "skipped", cell.as_record(), cell.skip))


def _most_in_a_task(cells: int, workers: int | None, settings: Settings) -> int:
    """On a GPU as many cells as leave every worker its share; elsewhere one, since stacking gains nothing there."""
    if pick_device(settings.device).type != "cuda":
        return 1
    return max(1, math.ceil(cells / (workers or default_workers(settings))))


def _tasks(todo: list[Planned], most: int, suite: Suite, store: Store, request: Request) -> list[Task]:
    """Groups of at most so many cells that can be trained stacked, in the suite's order."""
    groups: dict[str, list[Planned]] = {}
    for item in todo:
        groups.setdefault(item.cell.group_key if most > 1 else item.cell.id, []).append(item)
    trained = _trained(suite, store)
    fingerprints = {} if request.force else _fingerprints(suite, store)
    return [
        Task(
            suite.name,
            tuple(p.cell for p in part),
            suite.metrics,
            fingerprints.get(dataset_key(part[0].cell.dataset, part[0].cell.dataset_label)),
            {p.cell.id: d for p in part if (d := _donor(p.cell, trained, suite, store))},
            request,
            suite.plugins,
        )
        for group in groups.values()
        for part in (group[i : i + most] for i in range(0, len(group), most))
    ]


def _fingerprints(suite: Suite, store: Store) -> dict[str, str]:
    """Dataset → fingerprint of the images that this suite's cells were computed on.

    Raises `DataError` where they were not all computed on the same: their numbers must not stand in one row.
    """
    ids, found = {cell.id for cell in suite.cells}, dict[str, str]()
    for record in with_sets(store.records(suite.name)):
        print_ = record.provenance.get("fingerprint")
        if record.id not in ids or record.status != "done" or print_ is None:
            continue
        choice = recorded_choice({"dataset_options": {}, **record.cell}, "dataset", "dataset_options")
        key = dataset_key(choice, str(record.cell.get("dataset_label")))
        if found.setdefault(key, print_) != print_:
            raise DataError(
                f"{suite.name}: cells on {record.cell.get('dataset_label')} were computed on different images "
                f"({found[key]} and {print_}); `bench run --force` computes all of them anew"
            )
    return found


def dataset_key(choice: Choice, label: str) -> str:
    """A dataset with its options as one string: with its label in place of where it lies."""
    place = location("datasets", choice)
    options = sorted((name, value) for name, value in choice.options.items() if name not in place)
    return f"{choice.name} {options} {label if place else ''}"
