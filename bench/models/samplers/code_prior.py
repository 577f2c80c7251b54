"""Autoregressive prior of discrete codes: each symbol given those before it, fitted to the train codes.

    p(s) = Π_i p(s_i | s_1, …, s_{i−1})

A masked net with one hidden layer of 256 reads the symbols as one-hot vectors and puts out the logits of each position
(zuko's MaskedMLP). The logarithms of the symbol frequencies of each position are added to them, so that training starts
from `code_marginals`. 1,000 steps of Adam on 256 codes; the parameters of the lowest loss on a held-out tenth of the
train codes are kept. A code of one position is drawn as by `code_marginals`. Only for variants with `indices` and
`values`. The log-likelihood is exact, a probability of symbols. The paper's prior is a PixelCNN over a map of symbols;
here positions are those of a vector.
"""

from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ._neural import one_thread, train
from .code_marginals import CodeMarginals


class CodePrior(CodeMarginals):
    title = "Autoregressive prior of symbols"
    symbol = "code prior"
    steps: int = 1_000  #: of training

    def fit(self, codes: np.ndarray, seed: int) -> None:
        super().fit(codes, seed)
        symbols = torch.from_numpy(self.symbols(codes))
        positions = symbols.shape[1]
        self.net: Callable[[Tensor], Tensor] = torch.zeros_like
        if positions > 1:  # zuko refuses a net whose outputs see nothing
            self.net = train(lambda: self._build(positions), self._loss, symbols, seed, self.steps)

    def sample(self, n: int, rng: np.random.Generator) -> np.ndarray:
        positions = len(self.probabilities)
        symbols = torch.zeros(n, positions, dtype=torch.int64)
        with one_thread(), torch.no_grad():
            for i in range(positions):
                cumulative = self._logits(self.net, symbols)[:, i].double().softmax(1).cumsum(1)
                drawn = torch.from_numpy(rng.random((n, 1))) * cumulative[:, -1:]
                symbols[:, i] = torch.searchsorted(cumulative, drawn, right=True)[:, 0].clamp(max=self.count - 1)
        return self.codes(symbols.numpy())

    def log_prob(self, codes: np.ndarray) -> np.ndarray:
        with one_thread(), torch.no_grad():
            return self._log_prob(self.net, torch.from_numpy(self.symbols(codes))).double().numpy()

    def _build(self, positions: int) -> nn.Module:
        from zuko.nn import MaskedMLP

        before = torch.ones(positions, positions, dtype=torch.bool).tril(-1)
        mask = before.repeat_interleave(self.count, 0).repeat_interleave(self.count, 1)
        net: nn.Module = MaskedMLP(mask, hidden_features=(256,), activation=nn.ReLU)
        return net

    def _loss(self, net: Callable[[Tensor], Tensor], symbols: Tensor, noise: torch.Generator) -> Tensor:
        return -self._log_prob(net, symbols).mean()

    def _log_prob(self, net: Callable[[Tensor], Tensor], symbols: Tensor) -> Tensor:
        """log p of symbols, int64 (N, positions) → (N,)."""
        each = self._logits(net, symbols).log_softmax(2)  # (N, positions, K)
        return each.gather(2, symbols[..., None])[..., 0].sum(1)

    def _logits(self, net: Callable[[Tensor], Tensor], symbols: Tensor) -> Tensor:
        one_hot = F.one_hot(symbols, self.count).float().flatten(1)
        return net(one_hot).unflatten(1, (-1, self.count)) + torch.from_numpy(self.probabilities).log().float()
