"""Fraction of the code's numbers that are nearly zero.

    sparsity = mean over images and dimensions of [ |z| < 0.01 ]

`codes` (N, D): μ where there is a posterior. The threshold is in the codes' own units, and a decoder can undo
any shrinking: codes a hundred times smaller are not sparser, yet score higher. Read `code_sparsity_scaled`
beside it.
"""

from torch import Tensor

from . import metric

THRESHOLD = 1e-2


@metric(
    title="Share of code entries near zero",
    symbol="Code sparsity",
    unit="fraction",
    better="none",
    counts="codes",
    reference="Ng, Sparse Autoencoder, 2011, https://web.stanford.edu/class/cs294a/sparseAutoencoder.pdf",
    cite="ng2011sparse",
)
def code_sparsity(codes: Tensor) -> float:
    return (codes.abs() < THRESHOLD).double().mean().item()
