"""Training one definition with several seeds, or with several values of its `scalars`, such as β.

The models of a group are stacked (`stack`) and updated together (`step`); whoever calls `fit` gets them back one by one
and never sees the axis. Images stay on the device as uint8; an epoch is a permutation, a batch an index; nothing in a
step waits for the device.

Letters:  S models of a group · B batch · N images
"""

import gc
import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from bench.datasets import Data, Split
from bench.datasets._splits import hide_labels, images_at, labels_at, subset, to_float
from bench.models.precision import double, matmul_precision
from bench.models.seeding import generator, initialising
from bench.suite import Train

from .noise import draw_noise, steps_ahead
from .resume import ResumeFile, ResumePoint, TrainingState
from .stack import Redrawn, Stack, may_be_stacked, stack_of
from .step import Stepper

RESUMED = ("history", "diverged_at", "seconds", "test_seconds", "steps", "images")  #: of a `Fitted`
TEST_BATCH = 1000  #: images of a test-loss batch

Build = Callable[[], Any]  #: makes an untrained model
OnEpoch = Callable[[int, list[dict[str, float]]], None]


@dataclass
class Fitted:
    """One trained model: `history` has a row per epoch, `diverged_at` is the first step with a non-finite loss."""

    seed: int
    model: Any
    history: list[dict[str, float]] = field(default_factory=list)
    diverged_at: int | None = None
    seconds: float = 0.0  #: training alone, without test losses; a group's time divided by its size
    test_seconds: float = 0.0  #: test losses, likewise
    how: str = "closed form"  #: steps were computed: `Stepper.how`
    steps: int = 0
    images: int = 0  #: images seen by this model

    @property
    def images_per_s(self) -> float:
        """Training images per second of this model; NaN for closed forms."""
        return self.images / self.seconds if self.images and self.seconds else math.nan


def fit(
    build: Build | Sequence[Build],
    data: Data,
    budget: Train,
    seeds: Sequence[int],
    *,
    device: torch.device | str = "cpu",
    group_size: int | None = None,
    on_epoch: OnEpoch | None = None,
    resume: Sequence[ResumeFile] | None = None,
) -> list[Fitted]:
    """Train `build()` once for each seed and return the results in the order of `seeds`.

    build: makes an untrained model on the CPU, a `bench.models.variants.Variant` or whatever has its `closed_form`,
        `stackable`, `draw` and `forward`; its parameters are drawn under the seed's `init` streams. Or one for each
        seed, whose models differ by their `scalars` alone.
    data: images on any device; they are moved to `device` once.
    group_size: how many models are stacked; None takes all of them on CUDA and one on other devices, where stacking was
        measured to be slower. The result does not depend on it beyond rounding. A group that does not fit into the
        device's memory is trained again as two halves.
    on_epoch: called after each epoch with its number (from 1) and the last history row of each model of the group.
    resume: a file for each seed, where the state of a long training is kept; one that is there is gone on with. The
        file of a group is that of its first seed. Whoever calls `fit` removes it.
    """
    device = torch.device(device)
    train, test = subset(data.probabilities or data.train, budget.train_images).to(device), data.test.to(device)
    members = list(zip([build] * len(seeds) if callable(build) else build, seeds, strict=True))
    sample = _built(*members[0])
    fraction = getattr(sample, "labelled_fraction", 1.0)
    if sample.closed_form:
        drawn = subset(data.train, budget.train_images).to(device)
        return [_fit_closed_form(_built(make, seed).to(device), drawn, budget, seed) for make, seed in members]
    if not may_be_stacked(sample):
        group_size = 1
    size = group_size or (len(seeds) if device.type == "cuda" else 1)
    fitted: list[Fitted] = []
    whole: _Group | None
    with matmul_precision(budget.precision), torch.enable_grad():
        while len(fitted) < len(members):
            group = members[len(fitted) : len(fitted) + size]
            files = resume and resume[len(fitted) : len(fitted) + size]
            try:
                models = [_built(*member).to(device) for member in group]
                redrawn = data.probabilities is not None
                group_seeds = [seed for _, seed in group]
                known = hide_labels(train, fraction, group_seeds)
                whole = _Group(models, known, test, budget, group_seeds, redrawn)
                fitted += whole.fit(on_epoch, ResumePoint(files, device) if files else None)
                continue
            except torch.OutOfMemoryError:
                if len(group) == 1:
                    raise
            size = len(group) // 2  # out here the exception, and with it what it held on the device, is gone
            models, whole = [], None
            gc.collect()  # a stack and its recorded step hold each other
            torch.cuda.empty_cache()
    return fitted


def _built(build: Build, seed: int) -> Any:
    with initialising(seed):
        return build()


def _fit_closed_form(model: Any, train: Split, budget: Train, seed: int) -> Fitted:
    def batches() -> Iterator[Tensor]:
        return (to_float(chunk) for chunk in train.images.split(max(budget.batch_size, TEST_BATCH)))

    start = time.perf_counter()
    with torch.no_grad():
        model.fit(batches)
    _wait(train.images.device)
    return Fitted(seed, model.eval(), seconds=time.perf_counter() - start)


class _Group:
    """S models in training: what lasts from epoch to epoch."""

    def __init__(
        self, models: list[Any], train: Split, test: Split, budget: Train, seeds: Sequence[int], redrawn: bool
    ) -> None:
        """redrawn: the train images are probabilities, and each batch is drawn from them."""
        self.train, self.test, self.budget, self.seeds = train, test, budget, seeds
        self.device = train.images.device
        self.results = [Fitted(seed, model) for seed, model in zip(seeds, models, strict=True)]
        self.steps = math.ceil(len(train) / budget.batch_size)  #: of an epoch
        self.stack = stack_of(models, budget.precision == "bf16")
        self.training: Stack = Redrawn(self.stack) if redrawn else self.stack
        self.stepper = Stepper(self.training, budget, self.steps * budget.epochs)
        self.orders = [generator(s, "order") for s in seeds]  # on the CPU: every device sees the same batches
        self.noises = [generator(s, "noise", self.device) for s in seeds]
        self.bad = torch.full((len(seeds),), -1, device=self.device)  #: each model's first step with a bad loss, or -1

    def fit(self, on_epoch: OnEpoch | None, point: ResumePoint | None) -> list[Fitted]:
        """Train to the end, from the state at `point` if there is one."""
        for epoch in range(self._restored(point) + 1, self.budget.epochs + 1):
            rows = self._epoch(epoch)
            if on_epoch:
                on_epoch(epoch, rows)
            if all(r.diverged_at is not None for r in self.results):
                break
            if point and epoch < self.budget.epochs:
                point.save_if_due(self._state(epoch))
        self.stack.write_back()
        for result in self.results:
            result.how = self.stepper.how
            result.model.eval()
        return self.results

    def _epoch(self, epoch: int) -> list[dict[str, float]]:
        """Train for an epoch, test, and append a row to each model's history."""
        start = time.perf_counter()
        train_terms = self._train_epoch()
        _wait(self.device)
        seconds = time.perf_counter() - start
        test_terms = _test_terms(self.stack, self.test, self.seeds)
        _wait(self.device)
        tested = time.perf_counter() - start - seconds
        # The last update of an epoch is seen by the test loss alone.
        broken = ~test_terms["loss"].isfinite().to(self.device)
        self.bad.copy_(torch.where((self.bad < 0) & broken, self.stepper.count, self.bad))
        rows = _rows(epoch, seconds, train_terms, test_terms)
        for result, row, step in zip(self.results, rows, self.bad.tolist(), strict=True):
            result.test_seconds += tested / len(self.seeds)
            _record_epoch(result, row, seconds / len(self.seeds), self.steps, len(self.train), step)
        return rows

    def _train_epoch(self) -> dict[str, Tensor]:
        """One pass over the images; returns the epoch's mean of each term, (S,), and marks first bad steps."""
        images, size, before = self.train.images, self.budget.batch_size, self.stepper.count
        orders = torch.stack([torch.randperm(len(self.train), generator=g) for g in self.orders]).to(self.device)
        batches = orders.split(size, dim=1)  # each (S, B)
        ahead = steps_ahead(self.device, size * images[0].numel())
        noise = draw_noise(self.training.draw, images, batches, self.noises, ahead)
        seen = [self.stepper.step(self.train, index, drawn) for index, drawn in zip(batches, noise, strict=True)]
        _mark_bad(self.bad, torch.stack([terms["loss"] for terms in seen]), before)
        return _means(seen, [index.shape[1] for index in batches])

    def _state(self, epoch: int) -> TrainingState:
        tensors = {**self.stack.tensors(), "first bad step": self.bad}
        named = {"order": self.orders, "noise": self.noises}
        generators = {f"{name} {i}": g for name, group in named.items() for i, g in enumerate(group)}
        results = [{name: getattr(r, name) for name in RESUMED} for r in self.results]
        numbers = {"epoch": epoch, "count": self.stepper.count, "results": results}
        return TrainingState(tensors, self.stepper.optimizer, generators, numbers)

    def _restored(self, point: ResumePoint | None) -> int:
        """The epoch that `point` holds the state of, taken up; 0 if there is none."""
        state = self._state(0)
        if point is None or not point.load(state):
            return 0
        self.stepper.count = state.numbers["count"]
        for result, numbers in zip(self.results, state.numbers["results"], strict=True):
            for name in RESUMED:
                setattr(result, name, numbers[name])
        return state.numbers["epoch"]


def _record_epoch(
    result: Fitted, row: dict[str, float], seconds: float, steps: int, images: int, first_bad: int
) -> None:
    """Append an epoch to a model's result, unless that model ended in an earlier one."""
    result.seconds += seconds
    if result.diverged_at is not None:
        return
    result.history.append(row)
    result.steps += steps
    result.images += images
    if first_bad >= 0:
        result.diverged_at = first_bad


def _mark_bad(bad: Tensor, losses: Tensor, before: int) -> None:
    """Set `bad` (S,) to the number of each model's first step with a non-finite loss (T, S), where it has none yet."""
    broken = ~losses.isfinite()
    first = before + 1 + broken.int().argmax(0)
    bad.copy_(torch.where((bad < 0) & broken.any(0), first, bad))


def _means(seen: list[dict[str, Tensor]], sizes: list[int]) -> dict[str, Tensor]:
    """The mean over images of each term, (S,), from its batch means; summed in float64, batch after batch."""
    found = {}
    for name in seen[0]:
        values = double(torch.stack([terms[name] for terms in seen]))  # (T, S)
        weights = torch.tensor(sizes, dtype=values.dtype, device=values.device).unsqueeze(1)
        found[name] = (values * weights).cumsum(0)[-1] / sum(sizes)
    return found


@torch.no_grad()
def _test_terms(stack: Stack, test: Split, seeds: Sequence[int]) -> dict[str, Tensor]:
    """Mean test terms, (S,), with the same noise and the last values of scheduled scalars after every epoch.

    Batches do not depend on S, since some terms are those of a batch (total correlation, MMD).
    """
    device, size, seen, sizes = test.images.device, len(seeds), list[dict[str, Tensor]](), list[int]()
    stack.at(1.0)
    at_once = min(TEST_BATCH, steps_ahead(device, test.images[0].numel())) if device.type == "cuda" else TEST_BATCH
    noises = [generator(s, "test", device) for s in seeds]
    for piece in torch.arange(len(test), device=device).split(at_once):
        [noise] = draw_noise(stack.draw, test.images, [piece.expand(size, -1)], noises, 1)
        x, y = images_at(test, piece), labels_at(test, piece)
        seen.append(stack.terms(x.expand(size, *x.shape), y.expand(size, *y.shape), noise))
        sizes.append(len(x))
    return _means(seen, sizes)


def _rows(epoch: int, seconds: float, train: dict[str, Tensor], test: dict[str, Tensor]) -> list[dict[str, float]]:
    columns = {f"train_{k}": v.tolist() for k, v in train.items()} | {f"test_{k}": v.tolist() for k, v in test.items()}
    seeds = len(next(iter(columns.values())))
    return [
        {"epoch": epoch, "seconds": round(seconds, 4)} | {name: values[s] for name, values in columns.items()}
        for s in range(seeds)
    ]


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
