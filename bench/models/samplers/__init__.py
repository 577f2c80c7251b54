"""The contract of a sampler: where generated codes come from. An axis of the evaluation, not a habit.

A deterministic autoencoder has no prior; sampled from N(0, I) its decoder sees codes it never met. Ghosh et al. 2020
(https://arxiv.org/abs/1903.12436, table 1) show how much of the gap goes when a density is fitted to the train codes.

A sampler is legitimate for continuous codes, for discrete codes or for both (`of_continuous`, `of_discrete`); N(0, I)
is not legitimate for a model that was trained with another prior (`of_own_prior`). The evaluation records the reason.
It is fitted on train codes only.
"""

from typing import Any, ClassVar

import numpy as np

from bench.errors import NotApplicable


class Sampler:
    """Fitted on train codes, then drawn from. Options are keyword-only parameters of `__init__`.

    Both are deterministic given the seed and the generator, on one thread.
    """

    title: ClassVar[str] = ""  #: the full name, for readers
    symbol: ClassVar[str] = ""  #: the short name in tables, figures and legends
    reference: ClassVar[str] = ""
    version: ClassVar[int] = 1
    needs_codes: ClassVar[bool] = True  #: False: `fit` needs only the latent size, read off the codes' shape
    needs_model: ClassVar[bool] = False  #: True: `fit_model` is called before `fit`
    of_continuous: ClassVar[bool] = True  #: legitimate for continuous codes
    of_discrete: ClassVar[bool] = False  #: legitimate for discrete codes
    of_own_prior: ClassVar[bool] = True  #: legitimate for a model whose prior is its own, and not N(0, I)

    def fit_model(self, model: Any) -> None:
        """Take what is needed of the trained model. Raises `NotApplicable` for a model without it."""
        raise NotImplementedError

    def fit(self, codes: np.ndarray, seed: int) -> None:
        """Fit on train codes (N, D), float64."""
        raise NotImplementedError

    def sample(self, n: int, rng: np.random.Generator) -> np.ndarray:
        """Draw codes (n, D), float64."""
        raise NotImplementedError

    def log_prob(self, codes: np.ndarray) -> np.ndarray:
        """log p of codes (N, D) → (N,), float64, nats: of a density, or for discrete codes of a probability.

        Raises `NotApplicable` for a sampler without one.
        """
        raise NotApplicable(f"{self.title}: no density in closed form")
