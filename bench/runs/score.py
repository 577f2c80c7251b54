"""Measuring a model that was trained elsewhere, or its outputs, and recording it beside the cells of a suite."""

import hashlib
import importlib.util
import re
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from bench import plugins, registry
from bench.datasets import Data, _loading
from bench.datasets._recipe import FORMATS
from bench.errors import DataError, UsageError, did_you_mean
from bench.evaluation import evaluate as evaluation
from bench.evaluation.external import LIKELIHOODS, OUTPUTS, Measured, prepare
from bench.evaluation.feature_extractors import FeatureExtractors, extractors_of
from bench.models.likelihoods import Likelihood
from bench.results.external import VARIANT as EXTERNAL
from bench.results.external import external_id
from bench.results.store import Record, Store
from bench.suite import Cell, Choice, Evaluate, Train
from bench.suite.document import Document
from bench.suite.issues import Issues
from bench.suite.names import metric_families, resolve
from bench.suite.overrides import override, parse_assignments
from bench.suite.schema import check

from .devices import limited_threads, pick_device
from .provenance import provenance
from .task import Settings
from .worker import metric_lines

SUITE = "external"  #: the suite of measurements that were given no other
TITLE = "Models trained elsewhere"
FOLDER_SUFFIXES = (".png", ".webp", ".bmp", ".tif", ".tiff", ".jpg", ".jpeg", ".gif", ".ppm", ".pgm")


@dataclass(frozen=True)
class ScoreRequest:
    """What is measured, and as what.

    dataset, likelihood: a name, or YAML such as "{name: folder, path: faces, size: 32}".
    model: "FILE.py:FUNCTION". outputs: name (of `OUTPUTS`) → an npz, npy, or folder of images.
    overrides: of the protocol, such as "evaluate.n_samples=1000".
    force: replace another measurement of the same label, data and seed.
    """

    dataset: str
    label: str
    model: str | None = None
    outputs: Mapping[str, Path] | None = None
    suite: str = SUITE
    metrics: tuple[str, ...] = ()
    likelihood: str | None = None
    seed: int = 0
    overrides: tuple[str, ...] = ()
    force: bool = False


def score(request: ScoreRequest, settings: Settings, say: Any = lambda text: None) -> Record:
    """Measure what the request names and write its record. A record of the same id keeps its other metrics.

    say: receives a line on each thing that is loaded. Raises `UsageError` or `DataError` with one message for what does
    not fit.
    """
    outputs = {name: path for name, path in (request.outputs or {}).items() if path is not None}
    if request.model is None and not outputs:
        flags = ", ".join(f"--{name.replace('_', '-')}" for name in OUTPUTS)
        raise UsageError(f"nothing to measure: name a model (--model FILE.py:FUNCTION) or outputs ({flags})")
    if not request.label.strip():
        raise UsageError("--label is empty; it names the row of the tables")
    store = Store(settings.results)
    device = pick_device(settings.device)
    store.suite_folder(request.suite)  # which refuses a name that no suite can have
    suites = store.suites()
    known = store.suite(request.suite) if request.suite in suites else {}
    if request.suite not in (*suites, SUITE):
        near = did_you_mean(request.suite, suites) if suites else ""
        say(f"no suite {request.suite!r} has results here{near}; it is made anew, with the default protocol")
    registry.activate(plugins.available([]))
    dataset, label = _dataset(request.dataset)
    protocol = _protocol(known, label, request.overrides)
    metrics = _metrics(request.metrics, known, protocol)
    choice, terms = parse_likelihood(request.likelihood and _yaml("--likelihood", request.likelihood))
    _loading.check([(label, _loading.build(dataset.name, dataset.options))], settings.data_root, settings.offline)
    data = _loading.load(dataset, settings.data_root)
    cell = Cell(request.suite, dataset, label, Choice(EXTERNAL, {}), request.label, None, choice, 0, request.seed,
                Train(), protocol, None)  # fmt: skip
    with limited_threads(settings.threads):
        arrays = {name: read_output(path, name, say) for name, path in outputs.items()}
        model, source = _load(request.model, say) if request.model else (None, {})
        on_device = replace(data, train=data.train.to(device), test=data.test.to(device), probabilities=None)
        measured = prepare(model, arrays, request.model or "", on_device, cell, terms)
        described = _described(measured, source)
        cell_id = external_id(described)
        replaced = _same_row(store, request, described, cell_id)
        with store.claim(request.suite, cell_id) as held:
            if not held:
                raise UsageError(f"another process is measuring the same thing ({cell_id})")
            record = _measure(measured, described, cell_id, on_device, metrics, store, settings, model)
            _write(record, store, known, metrics)
    for other in replaced:
        shutil.rmtree(store.folder(request.suite, other))
    store.write_csv(request.suite)
    return record


def extractors(data: Data, results: Path, data_root: Path) -> FeatureExtractors:
    """The feature extractors of a dataset, on the device of its images."""
    host = replace(data, train=data.train.to("cpu"), test=data.test.to("cpu"))
    return extractors_of(host, results, data_root, data.test.images.device)


# -- what the command line names


def _dataset(text: str) -> tuple[Choice, str]:
    """A dataset and its label."""
    entry, issues = _yaml("--dataset", text), Issues()
    choice = resolve("datasets", entry, issues, also=("label",))
    label = entry.get("label") if isinstance(entry, dict) else None
    if choice is None or issues:
        raise UsageError(f"--dataset {text}: {'; '.join(map(str, issues.found))}")
    return choice, str(label or choice.title("datasets"))


def parse_likelihood(entry: Any) -> tuple[Choice, Likelihood | None]:
    """The likelihood under which a posterior is scored, as in a suite; without one the bounds have no value."""
    if not entry:
        return Choice("", {}), None
    issues = Issues()
    choice = resolve("likelihoods", entry, issues)
    if choice is None or issues:
        raise UsageError(f"likelihood {entry}: {'; '.join(map(str, issues.found))}")
    if choice.name not in LIKELIHOODS:
        words = f"a model from elsewhere gives the mean image, which {choice.name} is no function of"
        raise UsageError(f"likelihood {choice.name}: {words}; known: {', '.join(LIKELIHOODS)}")
    return choice, registry.load("likelihoods", choice.name)(**choice.options)


def _yaml(flag: str, text: str) -> Any:
    return parse_assignments([f"value={text}"], flag)["value"]


def _protocol(known: Mapping[str, Any], label: str, overrides: Sequence[str]) -> Evaluate:
    """The evaluation protocol of the suite's cells on this dataset, else of any of its cells, else the default one."""
    cells = [entry["cell"] for entry in known.get("cells", []) if "cell" in entry]
    cells.sort(key=lambda cell: cell.get("dataset_label") != label)
    found = next((cell["evaluate"] for cell in cells if "evaluate" in cell), Evaluate().model_dump(mode="json"))
    document, issues = Document("--set", "", {"evaluate": found}), Issues()
    for assignment in overrides:
        if not assignment.startswith("evaluate."):
            raise UsageError(f"--set {assignment}: only the protocol can be set here, such as evaluate.n_samples=1000")
        override(document, assignment)
    protocol = check(Evaluate, document.data["evaluate"], issues.at("evaluate"))
    if protocol is None or issues:
        raise UsageError("\n".join(document.messages(issues)))
    return protocol


def _metrics(asked: Sequence[str], known: Mapping[str, Any], protocol: Evaluate) -> tuple[str, ...]:
    """The metrics that are asked for, else those of the suite, else all."""
    names = list(asked) or [name for name in known.get("metrics", []) if name in registry.names("metrics")] or None
    issues = Issues()
    found = metric_families(names, protocol, issues)
    if issues:
        raise UsageError(f"--metrics: {'; '.join(map(str, issues.found))}")
    return found


def _load(named: str, say: Any) -> tuple[Any, dict[str, str]]:
    """The object that FILE.py:FUNCTION returns, and the hash of the file, which can import from its own folder."""
    file, colon, function = named.rpartition(":")
    path = Path(file)
    if not colon or not function.isidentifier() or path.suffix != ".py":
        raise UsageError(f"--model {named}: write it as FILE.py:FUNCTION, such as my_model.py:load")
    if not path.is_file():
        raise UsageError(f"--model {named}: there is no file {path}")
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    say(f"running {function}() of {path.absolute()} (sha256 {digest[:12]})")
    spec = importlib.util.spec_from_file_location(f"external_{path.stem}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.path.insert(0, str(path.absolute().parent))
    sys.modules[spec.name] = module  # dataclasses and pickles of the file look there
    try:
        spec.loader.exec_module(module)
        if not callable(make := getattr(module, function, None)):
            raise UsageError(f"{path}: has no function {function}")
        return make(), {"source": digest, "function": function}
    except UsageError:
        raise
    except (Exception, SystemExit) as error:  # whatever the user's code raises
        line = plugins.line_in(str(path), error, 0)
        raise UsageError(f"{path}{f':{line}' if line else ''}: {type(error).__name__}: {error}") from error
    finally:
        sys.path.remove(str(path.absolute().parent))


def read_output(path: Path, name: str, say: Any = lambda text: None) -> np.ndarray:
    """An array from an npy, an npz of one array (or of one called `name`), or a folder of images.

    The images of a folder are sorted by name, numbers in names by value. Raises `DataError`.
    """
    if path.is_dir():
        return _read_folder(path, name, say)
    try:
        found = np.load(path, allow_pickle=False)
        if isinstance(found, np.ndarray):
            return found
        with found:
            names = list(found)
            key = name if name in names else names[0] if len(names) == 1 else None
            if key is None:
                raise DataError(f"{path}: holds the arrays {', '.join(names)}; one of them must be called {name}")
            return found[key]
    except DataError:
        raise
    except Exception as error:  # numpy and zipfile have half a dozen kinds for a damaged file
        raise DataError(f"{path}: cannot be read as an npy, an npz or a folder of images ({error})") from error


def _read_folder(path: Path, name: str, say: Any) -> np.ndarray:
    files = sorted((p for p in path.iterdir() if p.suffix.lower() in FOLDER_SUFFIXES), key=_by_number)
    if not files:
        raise DataError(f"{path}: has no images ({', '.join(FOLDER_SUFFIXES)})")
    images = []
    for file in files:
        try:
            with Image.open(file, formats=FORMATS) as image:
                if image.mode.startswith(("I", "F")):
                    raise DataError(f"{file}: has more than 8 bits a channel (mode {image.mode})")
                images.append(np.asarray(image if image.mode in ("L", "RGB") else image.convert("RGB")))
        except (OSError, SyntaxError) as error:
            raise DataError(f"{file}: cannot be read as an image ({error})") from error
    shapes = {image.shape for image in images}
    if len(shapes) > 1:
        raise DataError(f"{path}: the images differ in size or channels: {', '.join(map(str, sorted(shapes)))}")
    say(f"{name}: {len(files)} images, from {files[0].name} to {files[-1].name}")
    return np.stack(images)


def _by_number(path: Path) -> list[tuple[int, str]]:
    """`2.png` before `10.png`."""
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in re.split(r"(\d+)", path.name)]


# -- the record


def _described(measured: Measured, source: Mapping[str, str]) -> dict[str, Any]:
    """The `cell` of the record: without a net and a training budget, with the hashes of what was given."""
    found = measured.cell.as_record()
    named = {"likelihood": found["likelihood"], "likelihood_options": found["likelihood_options"]}
    without = {key: value for key, value in found.items() if key not in named}
    return without | (named if measured.cell.likelihood.name else {}) | {
        "train": {}, "external": {**source, **measured.hashes},
    }  # fmt: skip


def _same_row(store: Store, request: ScoreRequest, described: Mapping[str, Any], cell_id: str) -> list[str]:
    """Ids of other measurements that would stand in the same place of a table.

    Raises `UsageError` for such a one, unless it is to be replaced.
    """
    keys = ("label", "dataset_label", "latent_size", "seed", "evaluate", "likelihood")
    others = [r for r in store.records(request.suite) if r.external and r.id != cell_id]
    alike = [r.id for r in others if all(r.cell.get(key) == described.get(key) for key in keys)]
    if alike and not request.force:
        raise UsageError(
            f"{request.suite} has another measurement of {request.label!r} with seed {request.seed} "
            f"({', '.join(alike)}): give another --label, or another --seed for another training of the same method, "
            "or --force to replace it"
        )
    return alike


def _measure(
    measured: Measured,
    described: dict[str, Any],
    cell_id: str,
    data: Data,
    metrics: tuple[str, ...],
    store: Store,
    settings: Settings,
    model: Any,
) -> Record:
    """Evaluate, and write arrays and pictures; the record is the caller's to write."""
    suite, device = measured.cell.suite, data.test.images.device
    nets = extractors(data, settings.results, settings.data_root)
    nets.prepare(metrics)
    result = measured.evaluate(data, metrics, nets)
    folder = store.folder(suite, cell_id)
    evaluation.write(result, folder)
    before = store.record(suite, cell_id)
    values = {**(before.metrics if before and before.status == "done" else {}), **result.metrics}
    host = replace(data, train=data.train.to("cpu"), test=data.test.to("cpu"))
    known_by = ", ".join(name for name in described["external"] if name != "function")
    summary = f"Trained elsewhere and measured here. Known by the sha256 of: {known_by}."
    about = {
        "variant": {"name": EXTERNAL, "summary": summary},
        "dataset": {**host.describe(), "train": len(host.train), "test": len(host.test)},
        "metrics": metric_lines(values),
    }
    origin = provenance(device, settings.threads, measured.cell.train.precision, host)
    training = {"parameters": sum(p.numel() for p in model.parameters())} if isinstance(model, torch.nn.Module) else {}
    seconds = {"evaluate": round(sum(result.seconds.values()), 4), "parts": result.seconds}
    return Record(cell_id, suite, "done", described, metrics=values, timings=seconds, training=training, about=about,
                  provenance=origin | {"rulers": nets.describe()}, external=True)  # fmt: skip


def _write(record: Record, store: Store, known: Mapping[str, Any], metrics: Sequence[str]) -> None:
    """The record, after the suite's description where no run has written one."""
    if not known.get("cells"):
        families = list(dict.fromkeys([*known.get("metrics", []), *metrics]))
        docs = {name: {"doc": registry.describe("metrics", name).doc} for name in families
                if name in registry.names("metrics")}  # fmt: skip
        store.write_suite(record.suite, {
            "name": record.suite, "title": known.get("title", TITLE), "description": known.get("description", ""),
            "digest": "", "text": "", "overrides": [], "metrics": families, "references": [], "claims": [],
            "cells": [], "about": {"metrics": docs},
        })  # fmt: skip
    store.write(record)
