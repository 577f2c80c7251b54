"""How far from zero the test codes lie on average.

    offset = ‖ mean_n z_n ‖₂

`codes` (N, D): μ where there is a posterior. In the codes' own units: a code that is merely smaller scores
lower, so read `code_offset_scaled` beside it. Neither direction is better; N(0, I) as prior asks for 0.
"""

from torch import Tensor

from bench.evaluation.neighbors import as_float64

from . import metric


@metric(
    title="Distance of the mean code from zero",
    symbol="Code offset",
    unit="code units",
    better="none",
    counts="codes",
    reference="textbook definition",
)
def code_offset(codes: Tensor) -> float:
    return as_float64(codes).mean(0).norm().item()
