"""Discrete codes whose positions are independent: the symbol frequencies of each position among the train codes.

    p(s) = Π_i p_i(s_i),   p_i(k) = (count_i(k) + 1) / (n + K)

One of each K symbols is added to the counts, so that no symbol has probability 0. What is lost against `code_prior` is
the dependence between positions.
Only for variants with `indices` and `values`. The log-likelihood is that of the symbols, a probability.
"""

from typing import Any

import numpy as np
import torch

from bench.errors import NotApplicable

from . import Sampler


class CodeMarginals(Sampler):
    title = "Independent symbols"
    symbol = "code marginals"
    reference = (
        "van den Oord et al., Neural Discrete Representation Learning, NeurIPS 2017, https://arxiv.org/abs/1711.00937"
    )
    needs_model = True
    of_continuous = False
    of_discrete = True

    def fit_model(self, model: Any) -> None:
        if not hasattr(model, "indices"):
            raise NotApplicable("the code has no symbols")
        self.model = model
        self.count = len(model.codebook) if hasattr(model, "codebook") else model.levels

    def fit(self, codes: np.ndarray, seed: int) -> None:
        symbols = self.symbols(codes)
        counts = np.stack([np.bincount(column, minlength=self.count) for column in symbols.T])
        self.probabilities = (counts + 1) / (len(symbols) + self.count)  # (positions, K)

    def sample(self, n: int, rng: np.random.Generator) -> np.ndarray:
        return self.codes(np.stack([rng.choice(self.count, n, p=row) for row in self.probabilities], axis=1))

    def log_prob(self, codes: np.ndarray) -> np.ndarray:
        symbols = self.symbols(codes)
        return np.log(self.probabilities)[np.arange(symbols.shape[1]), symbols].sum(1)

    def symbols(self, codes: np.ndarray) -> np.ndarray:
        """Codes (N, D) → int64 (N, positions)."""
        with torch.no_grad():
            return self.model.indices(self._tensor(codes)).cpu().numpy()

    def codes(self, symbols: np.ndarray) -> np.ndarray:
        """int64 (N, positions) → codes (N, D), float64."""
        with torch.no_grad():
            return self.model.values(torch.from_numpy(symbols).to(self._device())).cpu().double().numpy()

    def _tensor(self, codes: np.ndarray) -> torch.Tensor:
        return torch.from_numpy(codes).float().to(self._device())

    def _device(self) -> torch.device:
        return next(self.model.parameters()).device
