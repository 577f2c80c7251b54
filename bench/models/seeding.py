"""Randomness is an argument: a generator for each (seed, stream), so that no draw depends on what ran beside it.

Streams in use: `init:<part>` (parameters), `labelled` (images whose labels are known), `order` (permutations of the
train set), `noise` (what a variant draws in training), `test` (noise of test losses), `elbo`, `iw` (evaluation draws),
`sampler:<name>` (generated codes).
"""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import numpy as np
import torch


def derive(seed: int, stream: str) -> int:
    """A 63-bit seed for one stream of one training seed.

    >>> derive(0, "init") != derive(0, "order") != derive(1, "order")
    True
    """
    digest = hashlib.sha256(f"{stream}/{seed}".encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def generator(seed: int, stream: str, device: torch.device | str = "cpu") -> torch.Generator:
    """A torch generator on `device`. CPU and CUDA generators of one seed draw different numbers."""
    return torch.Generator(device).manual_seed(derive(seed, stream))


def numpy_rng(seed: int, stream: str) -> np.random.Generator:
    """A numpy generator."""
    return np.random.default_rng(derive(seed, stream))


@contextmanager
def initialising(seed: int) -> Iterator[None]:
    """Within it, modules built on the CPU draw their parameters from streams of `seed`; the global state is restored.

    torch's layers take no generator, hence the detour over a forked global one.
    """
    token = _initialising.set(seed)
    try:
        with torch.random.fork_rng(devices=[]):
            _seed(derive(seed, "init"))
            yield
    finally:
        _initialising.reset(token)


@contextmanager
def part(name: str) -> Iterator[None]:
    """Parameters made within it do not depend on what was made before: a stream for each part of a model.

    So two variants of one seed share the initial decoder although their encoders have different heads, and differences
    between them are paired. Outside of `initialising` it does nothing.
    """
    seed = _initialising.get()
    if seed is not None:
        _seed(derive(seed, f"init:{name}"))
    yield


def _seed(seed: int) -> None:
    """The CPU's global generator alone: `torch.manual_seed` also formats a stack trace for a CUDA not yet in use."""
    torch.default_generator.manual_seed(seed)


_initialising: ContextVar[int | None] = ContextVar("initialising", default=None)
