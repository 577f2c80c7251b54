"""The evaluation of a cell, by part: as `bench run` does it, and beside it as one writes it by hand (`naive`).

Ours: workers of one thread side by side, as `bench run` has them, each with its first cell (cold) and the next ones
(warm), with the full metric set of suites/mnist_all.yaml; once more with maps of all test codes, which is what the
other side draws. Naive: a process of its own with all threads. Both have one and the same model, trained for a moment;
how good it is costs no seconds. FID and KID are timed apart, on fewer images and under random weights made here: the
arithmetic is that of the published ones, the values mean nothing.
"""

import io
import os
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import BrokenBarrierError
from typing import Any

import torch
from torch import nn

from bench.datasets import Data, Split
from bench.datasets import _loading as data_room
from bench.errors import RunFailed
from bench.evaluation import evaluate as evaluation
from bench.evaluation import feature_extractors, inception
from bench.evaluation.context import Rulers
from bench.suite import Cell, load
from bench.training import checkpoint
from bench.training.allocator import keep_freed_memory
from bench.training.trainer import fit

from .naive import Naive
from .worker_pool import CONTEXT, thread_variables

NEED = 3 * 2**30  #: bytes of a worker, with maps of all codes and with Inception (measured: 2.9 GB)
SAMPLERS = ("prior", "gaussian", "gmm")
INCEPTION = ("fid", "kid")
METRICS = ("mse", "psnr", "ssim", "elbo", "iw_bound", "active_units", "fcd", "precision", "recall", "knn_accuracy",
           "linear_probe", "kmeans_nmi", "kmeans_ari", "silhouette", "trustworthiness")  # fmt: skip

SUITE = """title: Evaluation
grid: {{datasets: [{dataset}], variants: [vae], nets: [mlp], likelihood: bernoulli, latent_sizes: [16], seeds: 1}}
train: {{epochs: 1}}
evaluate:
  {{samplers: [prior, gaussian, gmm], n_samples: {samples}, iw_images: {iw_images}, embed: {{points: {points}}}}}
"""

#: how the names of metrics begin that are taken on maps; and those of which both sides have one protocol
ON_MAPS = ("silhouette", "trustworthiness")
SAME = ("mse", "psnr", "knn_accuracy", "kmeans", "silhouette_latent", *INCEPTION)
#: part → how the names of its artefacts and metrics begin; what is in none is "reconstructions and the rest"
PARTS: dict[str, tuple[str, ...]] = {
    "tsne": ("points_tsne",),
    "umap": ("points_umap",),
    "knn": ("knn",),
    "bounds": ("posterior", "nll", "kl", "log_weights", "elbo", "iw_bound"),
    "codes": ("codes", "train_codes"),
    "classifier": ("classifier", "coverage", "samples_covered", "test_covered", "fcd", "precision", "recall"),
    "samples": ("drawn_", "samples_", "sampler_codes"),
    "inception": ("inception", *INCEPTION),
    "probe": ("linear_probe",),
    "kmeans": ("kmeans",),
    "silhouettes": ("silhouette",),
    "trustworthiness": ("trustworthiness",),
}
REST = "reconstructions and the rest"


@dataclass(frozen=True)
class Asked:
    """What is measured. points: on our maps under the protocol; samples: generated images for each sampler;
    inception_images: of every set that goes through Inception, 0 for none; warm: cells after the first, of each of our
    workers."""

    data_root: Path
    rulers: Path
    dataset: str = "mnist"
    points: int = 2000
    samples: int = 10_000
    iw_images: int = 1000
    inception_images: int = 200
    warm: int = 2
    workers: int = 1


@dataclass(frozen=True)
class Job:
    """What a process is given."""

    asked: Asked
    folder: Path  #: with the model, the suites and the weights


def measure(asked: Asked, say: Callable[[str], None] = lambda line: None) -> dict[str, Any]:
    """Both sides, their ratios, and how far their numbers are apart; ready for JSON.

    Raises `DataError` where the dataset is missing, `RunFailed` where a process dies.
    """
    dataset = data_room.build(asked.dataset, {})
    data_room.check([(asked.dataset, dataset)], asked.data_root, offline=True)
    with TemporaryDirectory() as folder:
        job = Job(asked, Path(folder))
        prepare(job)
        say(f"evaluation: ours, one thread a worker, {asked.workers} side by side")
        mine = slowest(_apart(ours, job, threads=1, count=asked.workers))
        say(f"evaluation: {mine['warm']['wall']:.1f} s a cell of each worker; naive, all threads")
        [theirs] = _apart(naive, job, threads=None)
    compared = compare(mine, theirs, asked.workers)
    return {"ours": mine, "naive": theirs, "threads": os.cpu_count(), "asked": _words(asked)} | compared


def prepare(job: Job) -> None:
    """Put a trained model and weights for Inception where both processes find them."""
    data, cell = _data(job), _cell(job, job.asked.points)
    [fitted] = fit(lambda: _model(data, cell), data, cell.train, [0])
    checkpoint.save(fitted.model, job.folder / "model.safetensors", {})
    if _has_inception(job):
        _make_weights(job.folder / "inception" / inception.FILE)


# -- our side


def ours(job: Job) -> dict[str, Any]:
    """In this process: the first cell, the following ones (the quickest counts), maps of all test codes, Inception."""
    keep_freed_memory()
    data, cell = _data(job), _cell(job, job.asked.points)
    model = checkpoint.restore(_model(data, cell), job.folder / "model.safetensors")
    device = torch.device("cpu")
    nets = Rulers(
        lambda: feature_extractors.classifier(data, job.asked.rulers, device),
        lambda: feature_extractors.inception_ruler(job.folder, device),
    )
    nets.prepare(METRICS)  # trained once a dataset
    sides = [_side(model, data, cell, METRICS, nets) for _ in range(1 + job.asked.warm)]
    found = {"cold": sides[0], "warm": min(sides[1:], key=lambda side: side["cpu"])}
    found["warm_all_points"] = _side(model, data, _cell(job, len(data.test)), METRICS, nets)
    if _has_inception(job):
        few, cell = _few(data, job), _cell(job, job.asked.points, job.asked.inception_images)
        nets.prepare(INCEPTION)  # a net is built once a process
        for name in ("inception_cold", "inception_warm"):  # the test set's features are made by the first
            found[name] = _side(model, few, cell, INCEPTION, nets)
    return found


def _side(model: Any, data: Data, cell: Cell, metrics: tuple[str, ...], nets: Rulers) -> dict[str, Any]:
    _wait_for_others()
    wall, cpu = time.perf_counter(), time.process_time()
    done = evaluation.evaluate(model, data, cell, metrics, nets, present=("codes", "embeddings"))
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    seconds = [*done.seconds.items(), *((k, e.get("seconds", 0.0)) for k, e in done.metrics.items())]
    values = {name: entry["value"] for name, entry in done.metrics.items() if entry["value"] is not None}
    return {"wall": round(wall, 3), "cpu": round(cpu, 3), "parts": by_part(seconds, wall), "values": values}


def slowest(found: list[dict[str, Any]]) -> dict[str, Any]:
    """Of workers that did the same side by side, what each part took the slowest."""
    return {name: max((worker[name] for worker in found), key=lambda side: side["wall"]) for name in found[0]}


def by_part(seconds: list[tuple[str, float]], total: float) -> dict[str, float]:
    """Seconds of artefacts and metrics, summed by `PARTS`; what of `total` is in none of them is the rest."""
    found = dict.fromkeys(PARTS, 0.0)
    for name, s in seconds:
        for part, beginnings in PARTS.items():
            if name.startswith(beginnings):
                found[part] += s
                break
    found[REST] = total - sum(found.values())
    return {part: round(s, 3) for part, s in found.items() if s}


# -- the other side


def naive(job: Job) -> dict[str, Any]:
    """In this process: everything once by hand, Inception on as many images as ours."""
    data, cell = _data(job), _cell(job, job.asked.points)
    model = checkpoint.restore(_model(data, cell), job.folder / "model.safetensors")
    side = Naive(model, data, cell)
    side.run(("tsne", "umap") if find_spec("umap") else ("tsne",))
    found = {"all": _summed(side)}
    if _has_inception(job):
        side = Naive(model, _few(data, job), _cell(job, job.asked.points, job.asked.inception_images))
        with torch.no_grad():
            side.inception(job.folder / "inception" / inception.FILE)
        found["inception"] = _summed(side)
    return found


def _summed(side: Naive) -> dict[str, Any]:
    parts = {name: round(s, 3) for name, s in side.seconds.items()}
    total = {"wall": sum(side.seconds.values()), "cpu": sum(side.cpu.values())}
    return {name: round(s, 3) for name, s in total.items()} | {"parts": parts, "values": side.values}


# -- both


def compare(mine: dict[str, Any], theirs: dict[str, Any], workers: int) -> dict[str, Any]:
    """`ratios`, naive over ours, in CPU seconds and in seconds of the machine, which our workers share; and
    `differences` of numbers that have to be the same."""
    pairs = {
        "protocol": (mine["warm"], theirs["all"]),
        "protocol, first cell": (mine["cold"], theirs["all"]),
        "maps of all codes on both sides": (mine["warm_all_points"], theirs["all"]),
    }
    if "inception" in theirs:
        pairs["FID and KID alone"] = mine["inception_warm"], theirs["inception"]
        pairs["FID and KID alone, first cell"] = mine["inception_cold"], theirs["inception"]
    ratios = {
        name: {"wall": round(b["wall"] * workers / a["wall"], 2), "cpu": round(b["cpu"] / a["cpu"], 2)}
        for name, (a, b) in pairs.items()
    }
    values = mine["warm"]["values"] | mine.get("inception_warm", {"values": {}})["values"]
    by_hand = theirs["all"]["values"] | theirs.get("inception", {"values": {}})["values"]
    values |= {name: value for name, value in mine["warm_all_points"]["values"].items() if name.startswith(ON_MAPS)}
    apart = {
        name: {"ours": values[name], "naive": by_hand[name], "same_protocol": name.startswith(SAME)}
        for name in values
        if name in by_hand
    }
    return {"ratios": ratios, "differences": apart, "left_out": _left_out(theirs)}


def _left_out(theirs: dict[str, Any]) -> list[str]:
    found = [] if "inception" in theirs else ["FID and KID: no torch-fidelity, or no images were asked for"]
    return found if "umap" in theirs["all"]["parts"] else [*found, "UMAP: umap-learn is not installed"]


def _apart(
    function: Callable[[Job], dict[str, Any]], job: Job, threads: int | None, count: int = 1
) -> list[dict[str, Any]]:
    """Call it in fresh processes at once, of so many threads (None: as many as libraries take by themselves)."""
    meeting = CONTEXT.Barrier(count)
    with (
        thread_variables(threads),
        ProcessPoolExecutor(count, mp_context=CONTEXT, initializer=_meet_at, initargs=(meeting,)) as pool,
    ):
        futures = [pool.submit(_or_nobody, function, job) for _ in range(count)]
        errors = [error for error in (future.exception() for future in futures) if error is not None]
    for error in sorted(errors, key=lambda error: isinstance(error, BrokenBarrierError)):  # waiting in vain is no cause
        if isinstance(error, BrokenProcessPool):
            raise RunFailed("a process of the evaluation died; out of memory is the usual cause") from error
        raise error
    return [future.result() for future in futures]


_meetings: list[Any] = []  #: where this process waits for those beside it; empty where there are none


def _meet_at(barrier: Any) -> None:
    _meetings[:] = [barrier]


def _wait_for_others() -> None:
    """So that all workers do the same at the same time."""
    for barrier in _meetings:
        barrier.wait()


def _or_nobody(function: Callable[[Job], dict[str, Any]], job: Job) -> dict[str, Any]:
    """Call it; if it breaks, nobody waits any longer."""
    try:
        return function(job)
    except BaseException:
        for barrier in _meetings:
            barrier.abort()
        raise


def _data(job: Job) -> Data:
    return data_room.build(job.asked.dataset, {}).load(job.asked.data_root)


def _cell(job: Job, points: int, samples: int | None = None) -> Cell:
    path = job.folder / f"evaluation_{points}_{samples}.yaml"
    asked, samples = job.asked, samples or job.asked.samples
    path.write_text(
        SUITE.format(dataset=asked.dataset, samples=samples, iw_images=asked.iw_images, points=points), encoding="utf-8"
    )
    [cell] = load(path).cells
    return cell


def _model(data: Data, cell: Cell) -> Any:
    return checkpoint.build(data.shape, cell.variant, cell.net, cell.likelihood, cell.latent_size, len(data.classes))


def _few(data: Data, job: Job) -> Data:
    """The data with only the first test images."""
    labels, n = data.test.labels, job.asked.inception_images
    return replace(data, test=Split(data.test.images[:n], None if labels is None else labels[:n]))


def _has_inception(job: Job) -> bool:
    return job.asked.inception_images > 0 and find_spec("torch_fidelity") is not None


def _make_weights(path: Path) -> None:
    """Random weights in the form of the published file, at a scale that keeps features alive."""
    from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

    class Unloaded(FeatureExtractorInceptionV3):
        def load_state_dict(self, *args: Any, **kwargs: Any) -> None:
            """There are none to load."""

    nothing = io.BytesIO()
    torch.save({}, nothing)
    nothing.seek(0)
    net, generator = Unloaded("inception", ["2048"], feature_extractor_weights_path=nothing), torch.Generator()
    for module in net.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, generator=generator.manual_seed(module.weight.numel()))
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save({k: v for k, v in net.state_dict().items() if "num_batches_tracked" not in k}, path)


def _words(asked: Asked) -> dict[str, Any]:
    return {
        name: getattr(asked, name)
        for name in ("dataset", "points", "samples", "iw_images", "inception_images", "warm", "workers")
    }
