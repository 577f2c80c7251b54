"""The contract of a sampler: where generated codes come from. An axis of the evaluation, not a habit.

A deterministic autoencoder has no prior; sampled from N(0, I) its decoder sees codes it never met. Ghosh et al. 2020
(https://arxiv.org/abs/1903.12436, table 1) show how much of the gap goes when a density is fitted to the train codes.
"""

from typing import ClassVar

import numpy as np


class Sampler:
    """Fitted on train codes, then drawn from. Options are keyword-only parameters of `__init__`."""

    title: ClassVar[str] = ""  #: the full name, for readers
    symbol: ClassVar[str] = ""  #: the short name in tables, figures and legends
    reference: ClassVar[str] = ""
    version: ClassVar[int] = 1
    needs_codes: ClassVar[bool] = True  #: False: `fit` needs only the latent size, read off the codes' shape

    def fit(self, codes: np.ndarray, seed: int) -> None:
        """Fit on train codes (N, D), float64."""
        raise NotImplementedError

    def sample(self, n: int, rng: np.random.Generator) -> np.ndarray:
        """Draw codes (n, D), float64."""
        raise NotImplementedError
