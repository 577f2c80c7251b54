"""Share of the symbols of a discrete code that the test images use.

    usage = mean over codebooks of #{ k : count_k > 0 } / K

`code_counts` (G, K) says how often each of K symbols is used in each of G codebooks, over the whole test set: one
codebook where all positions of a code share it (vector quantisation), one for each position otherwise (finite scalar
quantisation). A fraction.

Over a batch it would be lower, which published tables do not always say. A symbol that is used once counts in full, so
read it beside the perplexity.
"""

from torch import Tensor

from . import metric


@metric(
    title="Codebook usage",
    symbol="Codebook usage",
    unit="fraction",
    better="higher",
    counts="codes",
    reference="van den Oord et al., Neural Discrete Representation Learning, NeurIPS 2017, "
    "https://arxiv.org/abs/1711.00937",
    cite="oord2017neural",
)
def codebook_usage(code_counts: Tensor, codes: Tensor) -> float:
    return (code_counts > 0).double().mean().item()
