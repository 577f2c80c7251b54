"""Perplexity of the symbols of a discrete code over the test images.

    perplexity = mean over codebooks of exp(−Σ_k p_k log p_k),   p_k = count_k / Σ count

`code_counts` (G, K) says how often each of K symbols is used in each of G codebooks, over the whole test set: one
codebook where all positions of a code share it (vector quantisation), one for each position otherwise (finite scalar
quantisation). From 1, the same symbol always, to K, all equally often.

Each position by itself: dependence between the positions of a code is not seen.
"""

import torch
from torch import Tensor

from . import metric


@metric(
    title="Perplexity of code symbols",
    symbol="Code perplexity",
    unit="symbols, from 1 to K",
    better="higher",
    counts="codes",
    reference="van den Oord et al., Neural Discrete Representation Learning, NeurIPS 2017, "
    "https://arxiv.org/abs/1711.00937",
    cite="oord2017neural",
)
def code_perplexity(code_counts: Tensor, codes: Tensor) -> float:
    shares = code_counts.double() / code_counts.sum(1, keepdim=True)
    return (-torch.xlogy(shares, shares).sum(1)).exp().mean().item()
