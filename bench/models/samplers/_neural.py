"""What samplers share that are nets trained by gradient on the codes."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from bench.errors import NotApplicable

from . import Sampler

BATCH = 256
LEARNING_RATE = 2e-3
CHECKS = 10  #: how often the held-out loss is computed
LARGEST_GRADIENT = 5.0  #: norm to which gradients are clipped
FEWEST = 50  #: train codes
DEAD = 1e-6  #: deviation over the largest one, below which a dimension is constant

Loss = Callable[[Any, Tensor, torch.Generator], Tensor]


class NeuralSampler(Sampler):
    """A net trained on standardised codes by Adam, with a learning rate that falls to 0 along a cosine.

    A tenth of the train codes is held out; the parameters of the lowest held-out loss are kept.
    Dimensions that do not vary are not modelled and keep their value. Everything runs on the host, on one thread.
    """

    steps: int = 1_000  #: of training
    net: Any

    def build(self, size: int) -> nn.Module:
        """The untrained net for codes of `size` numbers."""
        raise NotImplementedError

    def loss(self, net: Any, z: Tensor, noise: torch.Generator) -> Tensor:
        """The objective of a net for standardised codes (B, D), a scalar."""
        raise NotImplementedError

    def generate(self, noise: Callable[[], Tensor]) -> Tensor:
        """Standardised codes (n, D); every call of `noise` draws standard normal numbers (n, D)."""
        raise NotImplementedError

    def log_density(self, z: Tensor) -> Tensor:
        """log p of standardised codes, (N, D) → (N,). Raises `NotApplicable` for a model without one."""
        raise NotApplicable(f"{self.title}: no density in closed form")

    def fit(self, codes: np.ndarray, seed: int) -> None:
        self.mean, self.scale = codes.mean(0), codes.std(0)
        self.live = self.scale > DEAD * self.scale.max()
        z = self._standardised(codes)
        self.net = train(lambda: self.build(z.shape[1]), self.loss, z, seed, self.steps)

    def sample(self, n: int, rng: np.random.Generator) -> np.ndarray:
        size = int(self.live.sum())
        with one_thread(), torch.no_grad():
            made = self.generate(lambda: torch.from_numpy(rng.standard_normal((n, size))).float())
        codes = np.tile(self.mean, (n, 1))
        codes[:, self.live] += made.double().numpy() * self.scale[self.live]
        return codes

    def log_prob(self, codes: np.ndarray) -> np.ndarray:
        if not self.live.all():
            raise NotApplicable("a dimension of the codes does not vary, so there is no density")
        with one_thread(), torch.no_grad():
            return self.log_density(self._standardised(codes)).double().numpy() - np.log(self.scale).sum()

    def _standardised(self, codes: np.ndarray) -> Tensor:
        z = (codes - self.mean)[:, self.live] / self.scale[self.live]
        return torch.from_numpy(z).float()


def train(build: Callable[[], nn.Module], loss: Loss, data: Tensor, seed: int, steps: int = 1_000) -> nn.Module:
    """The net of `build` with the parameters of the lowest held-out loss, of `CHECKS` in the course of the training.

    loss: of a net, a part of `data` and a generator of noise, a scalar. A tenth of `data`, at most 1,000, is held out.
    Raises `NotApplicable` for fewer than `FEWEST` codes.
    """
    if len(data) < FEWEST:
        raise NotApplicable(f"needs at least {FEWEST} train codes, there are {len(data)}")
    with one_thread(), torch.random.fork_rng(devices=[]), torch.enable_grad():
        torch.default_generator.manual_seed(seed)
        net, noise = build(), torch.Generator().manual_seed(seed)
        shuffled, held = data[torch.randperm(len(data), generator=noise)], min(1_000, len(data) // 10)
        known, held_out = shuffled[held:], shuffled[:held]
        optimizer = torch.optim.Adam(net.parameters(), lr=LEARNING_RATE)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
        best, kept = float("inf"), net.state_dict()
        for step in range(1, steps + 1):
            optimizer.zero_grad()
            loss(net, known[torch.randint(len(known), (BATCH,), generator=noise)], noise).backward()
            nn.utils.clip_grad_norm_(net.parameters(), LARGEST_GRADIENT)
            optimizer.step()
            schedule.step()
            if step % max(1, steps // CHECKS) == 0:
                found = loss(net, held_out, torch.Generator().manual_seed(seed)).item()  # the same noise at every check
                if found < best:
                    best, kept = found, {name: value.clone() for name, value in net.state_dict().items()}
        net.load_state_dict(kept)
        return net


@contextmanager
def one_thread() -> Iterator[None]:
    """Sums over many numbers depend on the number of threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def perceptron(*sizes: int) -> nn.Sequential:
    """Linear layers of these sizes with SiLU between them."""
    layers: list[nn.Module] = []
    for before, after in pairwise(sizes):
        layers += [nn.Linear(before, after), nn.SiLU()]
    return nn.Sequential(*layers[:-1])
