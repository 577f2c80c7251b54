"""Neural spline flow fitted to the train codes: each number goes through a monotone spline given those before it.

    z = T_3 ∘ T_2 ∘ T_1 (u),  u ~ N(0, I)        log p(z) = log N(u; 0, I) − Σ_t log |det ∂T_t|

Three autoregressive transforms of rational-quadratic splines with 8 bins on [−5, 5] and the identity outside, masked
nets of two hidden layers of 64 (zuko's NSF), on standardised codes. Trained as the sampler `maf` is. The log-likelihood
is exact.
"""

from typing import Any

from .maf import MAF


class NSF(MAF):
    title = "Neural spline flow fitted to the codes"
    symbol = "NSF"
    reference = "Durkan et al., Neural Spline Flows, NeurIPS 2019, https://arxiv.org/abs/1906.04032"

    def build(self, size: int) -> Any:
        from zuko.flows import NSF as Flow  # noqa: N811

        return Flow(size, transforms=3, bins=8, hidden_features=(64, 64))
