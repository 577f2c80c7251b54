"""What is measured: a grid of cells, the images they see, and one process's way of training a few of them."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import torch

from bench import registry
from bench.datasets import Data, Split
from bench.datasets import _loading as data_room
from bench.errors import UsageError
from bench.models.seeding import generator
from bench.suite import Choice, Train
from bench.training import checkpoint
from bench.training.trainer import fit

Job = tuple[str, tuple[int, ...]]  #: a variant and the seeds that are trained together

SHAPE, CLASSES = (1, 28, 28), 10
LATENT_SIZE = 16
GENERATED = 60_000  #: images, where there is no MNIST


@dataclass(frozen=True)
class Grid:
    """Variants × seeds on one net in one precision. images: how many each cell sees, in whole epochs or a part of one.

    group: seeds trained stacked, as one job. data_root: where MNIST is looked for.
    """

    variants: tuple[str, ...]
    net: str
    precision: str
    device: str
    seeds: int
    group: int
    batch_size: int
    images: int
    data_root: Path

    @property
    def jobs(self) -> tuple[Job, ...]:
        """The jobs in the order of a suite."""
        starts = range(0, self.seeds, self.group)
        groups = [tuple(range(start, min(start + self.group, self.seeds))) for start in starts]
        return tuple((variant, group) for variant in self.variants for group in groups)

    @property
    def budget(self) -> Train:
        """The training budget of a cell."""
        available = len(load(self.data_root).train)
        epochs = max(1, round(self.images / available))
        subset = min(self.images, available) if epochs == 1 else None
        return Train.model_validate(
            {"epochs": epochs, "batch_size": self.batch_size, "precision": self.precision, "train_images": subset}
        )

    @property
    def images_of_cell(self) -> int:
        """Images one cell really sees, after rounding to epochs."""
        available = len(load(self.data_root).train)
        return self.budget.epochs * (self.budget.train_images or available)


def builder(variant: str, net: str) -> Callable[[], Any]:
    """A function that makes the untrained model of a cell: the variant on the net's defaults."""
    likelihood = registry.describe("variants", variant).constants["default_likelihood"]
    options = {name: option.default for name, option in registry.describe("nets", net).options.items()}
    choices = Choice(variant, {}), Choice(net, options), Choice(likelihood, {})
    return lambda: checkpoint.build(SHAPE, *choices, LATENT_SIZE, CLASSES)


def check(variants: tuple[str, ...], nets: tuple[str, ...]) -> None:
    """Raise `UsageError` for a name that does not exist, or a variant that is not trained by gradient."""
    for net in nets:
        registry.check("nets", net)
    for variant in variants:
        constants = registry.describe("variants", variant).constants
        if constants["closed_form"]:
            raise UsageError(f"{variant} is computed in closed form: there is no training to time")


def train(grid: Grid, job: Job) -> float:
    """Train one job of a grid in this process; returns its seconds."""
    variant, seeds = job
    build, data, start = builder(variant, grid.net), load(grid.data_root), time.perf_counter()
    fit(build, data, grid.budget, seeds, device=grid.device, group_size=len(seeds))
    return time.perf_counter() - start


@cache
def load(root: Path) -> Data:
    """MNIST if `root` has it, else generated images of its shape; a test split of a few images, so that test losses
    take no time."""
    mnist = data_room.build("mnist", {"binarise": "none"})
    found = _generated() if mnist.missing(root) else mnist.load(root)
    few = Split(found.test.images[:100], None if found.test.labels is None else found.test.labels[:100])
    return Data(found.name, found.train, few, found.classes, found.source)


def _generated() -> Data:
    """Uniform noise: dense layers take the same time whatever the pixels are."""
    stream = generator(0, "speed")
    images = torch.randint(0, 256, (GENERATED, *SHAPE), generator=stream, dtype=torch.uint8)
    labels = torch.randint(0, CLASSES, (GENERATED,), generator=stream)
    split = Split(images, labels)
    return Data("generated", split, split, tuple(map(str, range(CLASSES))), "generated: uniform noise")
