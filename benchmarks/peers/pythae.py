"""pythae 0.1.2 (Chadebec, Vincent, Allassonnière 2022, https://arxiv.org/abs/2206.08309), as its user would run it.

One process with all threads, one model after another, `BaseTrainer` with its DataLoader in the same process, its
defaults wherever bench has no say. The nets are bench's, wrapped as `BaseEncoder` and `BaseDecoder`.

What differs: its autoencoder knows the squared error only (bench's default is the cross-entropy, the dearer of the
two); its decoders put out pixels, so that a sigmoid stands behind the net; it has no bfloat16 on CPUs, and is float32
always. Timed are its epochs with what its trainer does around each, such as keeping a copy of the best model; not timed
is its writing the model to disk at the end.
"""

import os
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

if TYPE_CHECKING:
    from benchmarks.grid import Grid, Job

REQUIRES = "pythae"
VARIANTS = ("ae", "vae")


def train(grid: "Grid", job: "Job") -> float:
    """Train each seed of a job; returns the seconds from the beginning of its first epoch to the end of its last."""
    variant, seeds = job
    seconds = 0.0
    for seed in seeds:
        marks: list[float] = []
        with tempfile.TemporaryDirectory() as folder, _silence():
            _trainer(grid, variant, seed, folder, marks).train()
        seconds += marks[-1] - marks[0]
    return seconds


def _trainer(grid: "Grid", variant: str, seed: int, folder: str, marks: list[float]) -> Any:
    from pythae.trainers import BaseTrainer, BaseTrainerConfig
    from pythae.trainers.training_callbacks import TrainingCallback

    class Clock(TrainingCallback):
        """Notes when each epoch begins and ends."""

        def on_epoch_begin(self, training_config: Any, **kwargs: Any) -> None:
            marks.append(time.perf_counter())

        on_epoch_end = on_epoch_begin

    budget = grid.budget
    config = BaseTrainerConfig(
        output_dir=folder,
        num_epochs=budget.epochs,
        per_device_train_batch_size=budget.batch_size,
        learning_rate=budget.lr,
        optimizer_cls="Adam",
        seed=seed,
        no_cuda=not grid.device.startswith("cuda"),
    )
    images = _dataset(grid.data_root, budget.train_images)
    return BaseTrainer(model(variant, grid.net), images, None, config, [Clock()])


def model(variant: str, net: str) -> Any:
    """pythae's model of a variant, on bench's net."""
    from pythae.models import AE, VAE, AEConfig, VAEConfig

    from benchmarks.grid import LATENT_SIZE, SHAPE, builder

    pair = builder(variant, net)().net
    encoder, decoder = _wrapped(pair)
    if variant == "ae":
        return AE(AEConfig(input_dim=SHAPE, latent_dim=LATENT_SIZE), encoder, decoder)
    config = VAEConfig(input_dim=SHAPE, latent_dim=LATENT_SIZE, reconstruction_loss="bce")
    return VAE(config, encoder, decoder)


def _wrapped(pair: Any) -> tuple[Any, Any]:
    from pythae.models.base.base_utils import ModelOutput
    from pythae.models.nn import BaseDecoder, BaseEncoder

    class Encoder(BaseEncoder):
        def __init__(self) -> None:
            super().__init__()
            self.encoder = pair.encoder

        def forward(self, x: Tensor) -> Any:
            code = self.encoder(x)
            if pair.size.heads == 1:
                return ModelOutput(embedding=code)
            mean, log_var = code.chunk(2, dim=1)
            return ModelOutput(embedding=mean, log_covariance=log_var)

    class Decoder(BaseDecoder):
        def __init__(self) -> None:
            super().__init__()
            self.decoder = pair.decoder

        def forward(self, z: Tensor) -> Any:
            return ModelOutput(reconstruction=self.decoder(z).sigmoid())

    return Encoder(), Decoder()


@cache
def _dataset(root: Path, n: int | None) -> Any:
    """The images as pythae keeps them: float32 in memory."""
    from pythae.data.datasets import BaseDataset

    from bench.datasets._splits import subset, to_float
    from benchmarks.grid import load

    split = subset(load(root).train, n)
    labels = split.labels if split.labels is not None else torch.zeros(len(split))
    return BaseDataset(to_float(split.images), labels)


@contextmanager
def _silence() -> Iterator[None]:
    """Its progress bars and logs go nowhere; they are written through handles taken at import, hence by descriptor."""
    sys.stdout.flush()
    sys.stderr.flush()
    kept = [os.dup(1), os.dup(2)]
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 1)
        os.dup2(nowhere, 2)
        yield
    finally:
        for number, handle in enumerate(kept, start=1):
            os.dup2(handle, number)
            os.close(handle)
        os.close(nowhere)
