"""One task: the cells of a group, trained together, then evaluated and recorded one by one.

The order of writing is what makes a kill harmless: checkpoint, arrays, pictures, and last the record. A cell that was
trained but not recorded is evaluated from its checkpoint the next time.
"""

import logging
import threading
import time
import traceback
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch

from bench.datasets import Data
from bench.datasets import _loading as data_room
from bench.errors import BenchError, ComponentError, DataError, ResultError, StorageError
from bench.evaluation import evaluate, umap_code
from bench.evaluation.feature_extractors import FeatureExtractors, extractors_of, waited_for_weights
from bench.plugins import line_in
from bench.registry import activate, describe
from bench.results.record import pictures_of
from bench.results.store import Record, Store, copy_file, write_bytes, write_history
from bench.suite import Cell, Choice
from bench.suite.columns import expected_metrics
from bench.training import checkpoint
from bench.training.allocator import keep_freed_memory
from bench.training.epoch_log import log_epochs
from bench.training.resume import ResumeFile
from bench.training.trainer import Fitted, fit

from .devices import limited_threads, pick_device
from .plan import lacking
from .provenance import forget_peak_memory, peak_memory_mb, provenance
from .stages import Send, Stages, forwarding
from .task import Outcome, Settings, Task

log = logging.getLogger(__name__)


@dataclass
class _Trained:
    """A trained model and what is known of its training; `model` is None for a diverged one."""

    model: Any
    training: dict[str, Any]
    diverged: str | None = None
    own: bool = False  #: read from the cell's own checkpoint, so that what it was measured before still holds


@dataclass(frozen=True)
class _Job:
    """A task being run: what all of its cells share."""

    task: Task
    settings: Settings
    store: Store
    device: torch.device
    data: Data
    stages: Stages

    def folder(self, cell: Cell) -> Path:
        return self.store.folder(self.task.suite, cell.id)

    def record(self, cell: Cell) -> Record | None:
        return self.store.record(self.task.suite, cell.id)


_one_task_at_a_time = threading.Lock()  #: precision and numbers of threads are settings of the process


def run_task(task: Task, settings: Settings, worker: int = 0, send: Send = lambda text: None) -> list[Outcome]:
    """Train and evaluate the cells of a task that no other process holds or has finished.

    worker: its number, which chooses its GPU. send: receives what the worker is doing, and "" at the end.
    Raises `DataError` (the run cannot go on); other errors are recorded.
    """
    with _one_task_at_a_time, forwarding(send) as stages:
        activate(task.plugins)
        return _run_task(task, settings, worker, stages)


def _run_task(task: Task, settings: Settings, worker: int, stages: Stages) -> list[Outcome]:
    keep_freed_memory()
    log.info("importing scikit-learn and SciPy")  # seconds, in the first task of a process
    store, device = Store(settings.results), pick_device(settings.device, worker)
    with ExitStack() as claims, limited_threads(settings.threads):
        held = [c for c in task.cells if claims.enter_context(store.claim(task.suite, c.id))]
        cells = [c for c in held if not _finished(store, task, c, settings)]
        if not cells:
            return []
        if any("umap" in cell.evaluate.embed.methods for cell in cells):
            umap_code.compile_in_background()
        stages.title = cells[0].title + (f" and {len(cells) - 1} more" if len(cells) > 1 else "")
        log.info("loading %s", cells[0].dataset_label)
        job = _Job(task, settings, store, device, _load(cells[0], settings, task.fingerprint), stages)
        forget_peak_memory(device)
        try:
            trained = _train(cells, job)
        except Exception as error:  # whatever breaks a cell is recorded as its result
            return [_fail(cell, error, job) for cell in cells]
        return [_settle(cell, trained[cell.id], job) for cell in cells if cell.id in trained]


def components(cell: Cell) -> dict[str, Choice]:
    """Registry kind → the component a cell uses."""
    parts = {"variants": cell.variant, "likelihoods": cell.likelihood, "datasets": cell.dataset}
    return parts | ({"nets": cell.net} if cell.net else {})


def _finished(store: Store, task: Task, cell: Cell, settings: Settings) -> bool:
    """True if another process settled the cell between planning and now."""
    record = store.record(task.suite, cell.id)
    if record is None or task.request.force or task.request.redraw:
        return False
    if record.status == "failed":
        return not task.request.retry_failed
    waited = bool(waiting_for_weights(record, settings.data_root))
    return record.status == "diverged" or not (waited or lacking(task.metrics, cell, record))


def waiting_for_weights(record: Record, data_root: Path) -> list[str]:
    """Columns without a value for want of weights of a feature net that are there now."""
    values = record.metrics.items()
    return [name for name, entry in values if waited_for_weights(entry.get("reason"), data_root)]


def _load(cell: Cell, settings: Settings, expected: str | None) -> Data:
    loaded = data_room.load(cell.dataset, settings.data_root)
    if expected is not None and not loaded.is_same_as(expected):
        raise DataError(
            f"{cell.dataset_label}: the images under {settings.data_root} (fingerprint {loaded.fingerprint()}) are not "
            f"those that earlier cells of this suite were computed on ({expected}); "
            "use another --results folder, or --force to compute them anew"
        )
    return loaded


# -- training


def _train(cells: list[Cell], job: _Job) -> dict[str, _Trained]:
    """Cell id → trained model, from a checkpoint where there is one."""
    ready: dict[str, _Trained] = {}
    if not job.task.request.force:
        for cell in cells:
            found = _from_checkpoint(cell, job)
            if found is not None:
                ready[cell.id] = found
    fresh = [c for c in cells if c.id not in ready]
    if fresh and job.task.request.train:
        builds, seeds = [partial(checkpoint.build_cell, c, job.data) for c in fresh], [c.seed for c in fresh]
        files = [_resume_file(cell, job) for cell in fresh]
        log.info("training")
        on_epoch = log_epochs("training", fresh[0].train.epochs)
        results = fit(builds, job.data, fresh[0].train, seeds, device=job.device, on_epoch=on_epoch, resume=files)
        for cell, fitted in zip(fresh, results, strict=True):
            ready[cell.id] = _keep(cell, fitted, job)
        for file in files:
            file.path.unlink(missing_ok=True)
    return ready


def _resume_file(cell: Cell, job: _Job) -> ResumeFile:
    """Where the state of a long training is kept until the cell is trained; `--force` begins anew."""
    path = job.folder(cell) / "training.safetensors"
    if job.task.request.force:
        path.unlink(missing_ok=True)
    return ResumeFile(path, [cell.train_id, job.data.order(), job.settings.threads])


def _keep(cell: Cell, fitted: Fitted, job: _Job) -> _Trained:
    """Write curves and checkpoint, before anything is evaluated."""
    training = {
        "train_id": cell.train_id,
        "parameters": sum(p.numel() for p in fitted.model.parameters()),
        "epochs": len(fitted.history),
        "steps": fitted.steps,
        "seconds": round(fitted.seconds, 4),
        "test_seconds": round(fitted.test_seconds, 4),
        "step": fitted.how,
        "images_per_s": round(fitted.images_per_s, 1) if fitted.images else None,
        "device": job.device.type,
        "threads": job.settings.threads,
        "fingerprint": job.data.fingerprint(),
    }
    write_history(job.folder(cell), fitted.history)
    if fitted.diverged_at is not None:
        words = f"the loss was not finite at step {fitted.diverged_at} (epoch {len(fitted.history)})"
        return _Trained(None, training, words)
    checkpoint.save(fitted.model, job.folder(cell) / "checkpoint.safetensors", training)
    return _Trained(fitted.model, training)


def _from_checkpoint(cell: Cell, job: _Job) -> _Trained | None:
    """The cell's own checkpoint, or that of a cell that was trained alike under another protocol."""
    _adopt(cell, job)
    path = job.folder(cell) / "checkpoint.safetensors"
    if not path.exists():
        return None
    try:
        training = checkpoint.read_header(path)
        if training.get("train_id") != cell.train_id or not job.data.is_same_as(str(training.get("fingerprint"))):
            return None
        model = checkpoint.restore(checkpoint.build_cell(cell, job.data), path).to(job.device)
    except ResultError:  # a damaged file is as good as none: the cell is trained again
        return None
    return _Trained(model, training, own=cell.id not in job.task.donors)


def _adopt(cell: Cell, job: _Job) -> None:
    folder, donor = job.folder(cell), job.task.donors.get(cell.id)
    if donor is None:
        return
    for name in ("history.csv", "checkpoint.safetensors"):
        source = job.store.folder(*donor) / name
        if source.exists() and not (folder / name).exists():
            copy_file(source, folder / name)


# -- evaluating and recording


def _settle(cell: Cell, trained: _Trained, job: _Job) -> Outcome:
    common: dict[str, Any] = {
        "id": cell.id,
        "suite": job.task.suite,
        "cell": cell.as_record(),
        "training": trained.training,
        "about": _about(cell, job.data),
        "provenance": provenance(job.device, job.settings.threads, cell.train.precision, job.data),
    }
    if trained.diverged is not None:
        timings = {"train": trained.training["seconds"]}
        job.store.write(Record(status="diverged", reason=trained.diverged, timings=timings, **common))
        return Outcome(cell, "diverged", trained.diverged)
    try:
        return _evaluate(cell, trained, job, common)
    except Exception as error:  # whatever breaks a cell is recorded as its result
        return _fail(cell, error, job)


_seconds_of_evaluations: dict[tuple[str, tuple[str, ...]], float] = {}  #: the last one of a dataset, to be shown


def _evaluate(cell: Cell, trained: _Trained, job: _Job, common: dict[str, Any]) -> Outcome:
    folder, feature_nets = job.folder(cell), _feature_nets(job)
    before = _before(cell, trained, job)
    metrics, present = job.task.metrics, frozenset[str]()
    if before is not None:
        metrics = _lacking_families(before, cell, job.task, job.settings.data_root)
        present = _present(before, cell, job.task)
    job.stages.title = cell.title
    log.info("preparing the feature extractors")
    feature_nets.prepare(metrics)
    start, kind = time.perf_counter(), (cell.dataset_label, metrics)
    last = _seconds_of_evaluations.get(kind)
    job.stages.title += f": evaluation of about {last:.0f} s" if last else ""
    shown = job.task.metrics
    result = evaluate.evaluate(trained.model, job.data, cell, metrics, feature_nets, job.device, present, shown)
    if before is None:  # earlier pictures are of other weights, or of samplers that are not applicable any more
        for picture in pictures_of(folder):
            picture.unlink(missing_ok=True)
    evaluate.write(result, folder)
    seconds, parts = time.perf_counter() - start, result.seconds
    _seconds_of_evaluations[kind] = seconds
    if before is not None and not metrics:  # the numbers, and where they come from, stay as they are
        return Outcome(cell, "done", f"figures {seconds:.1f} s")
    timings = {"train": trained.training["seconds"], "evaluate": round(seconds, 4), "parts": parts}
    common["provenance"] |= {"rulers": feature_nets.describe(), "peak_memory_mb": peak_memory_mb(job.device)}
    if before is not None:  # what the suite no longer asks for is still a result
        result.metrics = {**before.metrics, **result.metrics}
        timings["evaluate"] = round(before.timings.get("evaluate", 0.0) + seconds, 4)
        timings["parts"] = {**before.timings.get("parts", {}), **parts}
        earlier = before.provenance.get("rulers", {})
        common["provenance"]["rulers"] = {**earlier, **common["provenance"]["rulers"]}
    common["about"]["metrics"] = metric_lines(result.metrics)
    job.store.write(Record(status="done", metrics=result.metrics, timings=timings, **common))
    (folder / "error.txt").unlink(missing_ok=True)
    words = f"train {timings['train']:.1f} s, evaluate {seconds:.1f} s"
    return Outcome(cell, "done", words)


def _before(cell: Cell, trained: _Trained, job: _Job) -> Record | None:
    """The cell's earlier record, where its numbers are those of these very weights."""
    record = job.record(cell)
    holds = record is not None and record.status == "done" and trained.own and not job.task.request.force
    return record if holds else None


def _lacking_families(before: Record, cell: Cell, task: Task, data_root: Path) -> tuple[str, ...]:
    """Metrics of which some column is not there yet, or waited for weights."""
    columns = {*lacking(task.metrics, cell, before), *waiting_for_weights(before, data_root)}
    return tuple(m for m in task.metrics if columns & expected_metrics((m,), cell).keys())


def _present(before: Record, cell: Cell, task: Task) -> frozenset[str]:
    """Arrays and pictures that are there, complete, and not to be made anew."""
    found = set() if task.request.redraw else {path.stem for path in before.pictures()}
    if (before.folder / "codes.npz").exists():
        found.add("codes")
    with suppress(ResultError):  # a damaged file is made anew
        if set(cell.evaluate.embed.methods) <= (before.embeddings() or {}).keys():
            found.add("embeddings")
    return frozenset(found)


def _fail(cell: Cell, error: Exception, job: _Job) -> Outcome:
    """Record a failure, the whole traceback beside it. Raises a `StorageError` again: it is no result of the cell."""
    if isinstance(error, StorageError):
        raise error
    reason = str(error) if isinstance(error, BenchError) else f"{type(error).__name__}: {error}"
    reason = f"{_place(error, job.task)}{reason}"
    text = "".join(traceback.format_exception(error))
    write_bytes(job.folder(cell) / "error.txt", text.encode())
    record_failure(cell, reason, job.task, job.store)
    return Outcome(cell, "failed", reason)


def _place(error: Exception, task: Task) -> str:
    """The file and line of a plugin in which an error was raised, without its folder; "" where it was in none."""
    if isinstance(error, ComponentError):
        return ""  # it says so itself
    cause = error.__cause__ or error  # of a broken metric
    lines = {f"{file.kind}/{file.name}.py": line_in(file.path, cause, 0) for file in task.plugins}
    return next((f"{name}:{line}: " for name, line in lines.items() if line), "")


def record_failure(cell: Cell, reason: str, task: Task, store: Store) -> None:
    """Write a failed record, unless the cell has results already: those are never replaced by a failure."""
    before = store.record(task.suite, cell.id)
    if before is None or before.status != "done":
        store.write(Record(cell.id, task.suite, "failed", cell.as_record(), reason))


def _about(cell: Cell, loaded: Data) -> dict[str, Any]:
    """One line on everything a record names, so that a report needs no code to explain it."""
    singular = {"variants": "variant", "likelihoods": "likelihood", "nets": "net"}
    about: dict[str, Any] = {
        word: _line(kind, components(cell)[kind].name) for kind, word in singular.items() if kind in components(cell)
    }
    about["dataset"] = {
        **loaded.describe(),
        "train": min(cell.train.train_images or len(loaded.train), len(loaded.train)),
        "test": len(loaded.test),
    }
    return about


def metric_lines(metrics: dict[str, dict[str, Any]]) -> dict[str, dict[str, str]]:
    """Metric family → one line on it, for the record."""
    families = dict.fromkeys(entry.get("family", name) for name, entry in metrics.items())
    return {name: _line("metrics", name) for name in families}


def _line(kind: str, name: str) -> dict[str, str]:
    component = describe(kind, name)
    reference = component.constants.get("reference", "")
    line = {"name": name, "summary": component.summary, "reference": reference}
    if component.sha256:  # a report may be made where the file is not
        line |= {"title": component.title, "symbol": component.short_title, "sha256": component.sha256}
    return line


_kept_feature_nets: dict[tuple[str, Settings, str], FeatureExtractors] = {}


def _feature_nets(job: _Job) -> FeatureExtractors:
    """The feature nets of a dataset; a worker keeps them from cell to cell."""
    data, settings, device = job.data, job.settings, job.device
    key = (data.order(), settings, str(device))
    if key not in _kept_feature_nets:
        _kept_feature_nets[key] = extractors_of(data, settings.results, settings.data_root, device)
    return _kept_feature_nets[key]
