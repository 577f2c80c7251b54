"""Log-likelihood of test codes under a sampler that was fitted to train codes.

    mean_n log p(z_n),   p the density, or for discrete codes the probability, that the sampler draws from

`code_log_prob` (n,) is log p(z_n) of at most 1,000 test codes, a fixed random subset: μ where there is a posterior.
Nats per code. It says how well a sampler describes codes that it was not fitted to.

Compare samplers of one model only: a density depends on the scale of the codes, and one model's codes may be easier
than another's. A sampler without a density (two_stage) has none. Good codes do not make good images: read it beside the
sampler's fcd.
"""

from torch import Tensor

from . import metric


@metric(
    title="Held-out log-likelihood of codes",
    symbol="log p(z)",
    unit="nats per code",
    better="none",
    counts="code_log_prob",
    per="sampler",
    reference="textbook definition",
)
def code_log_likelihood(code_log_prob: Tensor) -> float:
    return code_log_prob.mean().item()
