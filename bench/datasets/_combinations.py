"""Data with one image for every combination of some factors: which combinations are read, and which of them test."""

import numpy as np
import torch

from bench.errors import DataError, UsageError

from . import Data, Factor, Split, to_split

TEST_SHARE = 5  #: one combination in so many tests
MOST_TESTS = 10_000


def checked(combinations: int, all_of_them: int, dataset: str) -> int:
    """The option `combinations`, 0 meaning all. Raises `UsageError` for a number that cannot be read."""
    if combinations and not 2 * TEST_SHARE <= combinations <= all_of_them:
        least = 2 * TEST_SHARE
        raise UsageError(
            f"{dataset}: combinations is {combinations}, must be 0 for all, or from {least} to {all_of_them}"
        )
    return combinations or all_of_them


def chosen(combinations: int, all_of_them: int) -> np.ndarray:
    """A mask (N,) of the rows that are read: so many, drawn at random once, the same on every machine."""
    mask = np.zeros(all_of_them, dtype=bool)
    mask[np.random.RandomState(1).permutation(all_of_them)[:combinations]] = True
    return mask


def tests(n: int) -> np.ndarray:
    """A mask (n,) of the combinations that test: a fifth, at most 10,000, drawn at random once.

    NumPy froze the stream of `RandomState` (NEP 19), so the split is the same with every version.
    """
    mask = np.zeros(n, dtype=bool)
    mask[np.random.RandomState(0).permutation(n)[: min(n // TEST_SHARE, MOST_TESTS)]] = True
    return mask


def split_combinations(
    name: str, images: np.ndarray, values: np.ndarray, factors: tuple[Factor, ...], label: str,
    classes: tuple[str, ...], source: str,
) -> Data:  # fmt: skip
    """The dataset of images (N, C, H, W) and their factors' values (N, K); the factor called `label` is the label.

    Raises `DataError` for values that the factors do not have.
    """
    sizes = [factor.size for factor in factors]
    if values.shape[1:] != (len(sizes),) or (values < 0).any() or (values >= sizes).any():
        raise DataError(f"{name}: values of factors {values.shape} do not fit the sizes {sizes}")
    column = [factor.name for factor in factors].index(label)
    mask = tests(len(images))
    train, test = (_part(name, images[rows], values[rows], column) for rows in (~mask, mask))
    return Data(name, train, test, classes, source, factors=factors)


def _part(name: str, images: np.ndarray, values: np.ndarray, column: int) -> Split:
    numbers = torch.from_numpy(values.astype(np.int64))
    return to_split(torch.from_numpy(images), numbers[:, column], name, numbers)
