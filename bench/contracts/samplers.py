"""The contract of a sampler, checked on random codes."""

import numpy as np

from .common import Check, Subject, require


def codes_are_drawn(subject: Subject) -> None:
    """`sample(n, rng)` gives n finite codes (n, D), float64, after `fit` on codes (N, D)."""
    for size in (1, 5):
        sampler = subject.kind(**subject.options)
        sampler.fit(_codes(size), 0)
        for n in (1, 7):
            found = sampler.sample(n, np.random.default_rng(0))
            require(isinstance(found, np.ndarray) and found.shape == (n, size),
                    f"n = {n}, D = {size} gives {getattr(found, 'shape', type(found).__name__)}", "sample")  # fmt: skip
            require(found.dtype == np.float64, f"they are {found.dtype}", "sample")
            require(np.isfinite(found).all(), "some are not finite", "sample")


def a_seed_gives_its_codes(subject: Subject) -> None:
    """The same codes, seed and generator give the same samples to the last bit."""
    found = []
    for state in (1, 2):
        np.random.seed(state)  # what a sampler that ignores its generator would use
        sampler = subject.kind(**subject.options)
        sampler.fit(_codes(3), 0)
        found.append(sampler.sample(20, np.random.default_rng(0)))
    require(np.array_equal(*found), "two draws differ", "sample")


def train_codes_are_kept(subject: Subject) -> None:
    """`fit` does not change the codes it is given."""
    codes = _codes(3)
    before = codes.copy()
    subject.kind(**subject.options).fit(codes, 0)
    require(np.array_equal(codes, before), "it changes them", "fit")


def _codes(size: int) -> np.ndarray:
    return np.random.default_rng(0).standard_normal((300, size)) * 2 + 1


CHECKS: tuple[Check, ...] = (codes_are_drawn, a_seed_gives_its_codes, train_codes_are_kept)
