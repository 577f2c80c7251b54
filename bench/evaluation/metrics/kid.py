"""Kernel Inception distance of generated images from the test images.

    kid = mean over 100 subsets of
          1/(m(m−1)) Σ_{i≠j} [k(x_i, x_j) + k(y_i, y_j)] − 2/m² Σ_ij k(x_i, y_j),   k(a, b) = (a·b / F + 1)³

x are the Inception features of m test images, y of m generated ones (`inception_test`, `inception_samples`,
(N, F) and (S, F), F = 2048), m = min(1000, N, S) drawn without replacement from a fixed seed. An unbiased
estimate of the squared maximum mean discrepancy, computed by torch-fidelity; not multiplied by 1000, as some
papers do.

Unlike FID it is unbiased, so values at different n may be compared; a value slightly below 0 is noise around
0.
"""

from torch import Tensor
from torch_fidelity.metric_kid import KEY_METRIC_KID_MEAN, kid_features_to_metric

from bench.evaluation.neighbors import need

from . import metric

#: everything torch-fidelity's defaults could change under us
PINNED = {
    "kid_kernel": "poly",
    "kid_kernel_poly_degree": 3,
    "kid_kernel_poly_gamma": None,  # 1 / F
    "kid_kernel_poly_coef0": 1,
    "kid_subsets": 100,
    "rng_seed": 2020,
    "verbose": False,
}


@metric(
    title="Kernel Inception distance",
    symbol="KID",
    unit="squared MMD",
    better="lower",
    counts="inception_samples",
    per="sampler",
    key=("inception",),
    reference="Bińkowski et al., Demystifying MMD GANs, 2018, https://arxiv.org/abs/1801.01401",
    cite="binkowski2018demystifying",
)
def kid(inception_test: Tensor, inception_samples: Tensor) -> float:
    need(2, inception_test, "test images")
    need(2, inception_samples, "generated images")
    size = min(1000, len(inception_test), len(inception_samples))
    real, generated = inception_test.cpu().double(), inception_samples.cpu().double()
    result = kid_features_to_metric(generated, real, kid_subset_size=size, **PINNED)
    return float(result[KEY_METRIC_KID_MEAN])
