"""Some of many images or codes, and pairs of them: chosen once, the same for every cell."""

import numpy as np

from bench.models.seeding import derive

PROBE_CODES = 10_000  #: train codes that a linear probe is fitted to, so that it takes seconds on every dataset


def fixed_subset(n: int, size: int) -> np.ndarray:
    """Up to `size` of `n` indices, drawn at random once, sorted, the same for every cell."""
    if n <= size:
        return np.arange(n)
    return np.sort(np.random.default_rng(derive(0, "subset")).permutation(n)[:size])


def fixed_pairs(n: int) -> tuple[np.ndarray, np.ndarray]:
    """n pairs of different indices, the same for every cell; each index is the first of one pair and the second of
    another."""
    order = np.random.default_rng(derive(0, "pairs")).permutation(n)
    return order, np.roll(order, 1)


def probe_subset(labels: np.ndarray, size: int) -> tuple[np.ndarray, bool]:
    """Up to `size` indices of the codes that a probe is fitted to, and whether they are drawn at random.

    labels: (M,) of all codes, or (M, K) of K factors. The indices are evenly spaced, but drawn at random
    (`fixed_subset`) where a class would have less than half of its share: every sixth of 60,000 labels that run from 0
    to 9 in turn is even.
    """
    m = len(labels)
    if m <= size:
        return np.arange(m), False
    spaced = np.arange(size) * m // size
    if all(_has_its_share(column, spaced) for column in labels.reshape(m, -1).T):
        return spaced, False
    return fixed_subset(m, size), True


def _has_its_share(labels: np.ndarray, chosen: np.ndarray) -> bool:
    """Whether each class has at least half of its share among the chosen."""
    _, classes = np.unique(labels, return_inverse=True)
    whole, found = np.bincount(classes), np.bincount(classes[chosen], minlength=classes.max() + 1)
    return bool((found >= whole * len(chosen) / len(labels) / 2).all())
