"""How far from zero the test codes lie on average, counted in their own spread.

    offset = ‖ mean_n z_n ‖₂ / √(tr Cov(z))

`codes` (N, D): μ where there is a posterior; the covariance divides by N. The root of the trace is the codes'
root mean square distance from their mean: at 1 the cloud is as far from zero as it is wide. Multiplying all
codes by one number changes nothing. A posterior that has collapsed has hardly any spread to count in and may
score anything.
"""

from torch import Tensor

from bench.errors import NotApplicable
from bench.evaluation.neighbors import as_float64

from . import metric
from .code_offset import code_offset


@metric(
    title="Distance of the mean code from zero, scaled by the codes",
    symbol="Scaled code offset",
    unit="root mean square radii",
    better="none",
    counts="codes",
    reference="textbook definition",
)
def code_offset_scaled(codes: Tensor) -> float:
    if bool((codes == codes[0]).all()):
        raise NotApplicable("all codes are the same point")
    return code_offset(codes) / as_float64(codes).var(0, correction=0).sum().sqrt().item()
