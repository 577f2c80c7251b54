"""Fréchet Inception distance of generated images from the test images.

    fid = ‖μ₁ − μ₂‖² + tr(Σ₁ + Σ₂ − 2 (Σ₁Σ₂)^½)

μ, Σ are mean and covariance of the 2048 pool features of Inception-v3 (the TensorFlow port of 2015-12-05)
over the test images, `inception_test` (N, 2048), and over the generated ones, `inception_samples` (S, 2048);
both sets are uint8 and take the same path. Computed by torch-fidelity. Squared feature units.

Biased upwards by an amount that depends on N, S and the model (https://arxiv.org/abs/1911.07023), so compare
at equal n only; singular covariances below 2048 images are no error but raise it further. The features were
learned on photos: on digits the order of two models is at best suggestive.
"""

from torch import Tensor
from torch_fidelity.metric_fid import KEY_METRIC_FID, fid_features_to_statistics, fid_statistics_to_metric

from bench.evaluation.neighbors import need

from . import metric


@metric(
    title="Fréchet Inception distance",
    symbol="FID",
    unit="squared feature distance",
    better="lower",
    counts="inception_samples",
    per="sampler",
    key=("inception",),
    reference="Heusel et al., GANs Trained by a Two Time-Scale Update Rule Converge to a Local Nash "
    "Equilibrium, 2017, https://arxiv.org/abs/1706.08500",
    cite="heusel2017gans",
)
def fid(inception_test: Tensor, inception_samples: Tensor) -> float:
    need(2, inception_test, "test images")
    need(2, inception_samples, "generated images")
    real = fid_features_to_statistics(inception_test.cpu().double())
    generated = fid_features_to_statistics(inception_samples.cpu().double())
    return float(fid_statistics_to_metric(real, generated, verbose=False)[KEY_METRIC_FID])
