"""Fréchet distance of generated images from the test images, in the features of DINOv2.

    fd = ‖μ₁ − μ₂‖² + tr(Σ₁ + Σ₂ − 2 (Σ₁Σ₂)^½)

μ, Σ are mean and covariance of the class token of DINOv2 over the test images, `dinov2_test` (N, F), and over the
generated ones, `dinov2_samples` (S, F); both sets are uint8 and take the same path (see `bench/evaluation/dinov2.py`).
Squared feature units. ViT-L/14 (F = 1024) is what Stein et al. recommend and published values are of; the net is
recorded, and values of two nets are never compared.

Stein et al. find that it follows people's judgement of photographs better than FID does. It is another quantity than
FID and has its own column. Biased upwards as FID is: compare at equal n only.
"""

from torch import Tensor

from bench.evaluation.frechet import frechet_distance

from . import metric


@metric(
    title="Fréchet DINOv2 distance",
    symbol="FD-DINOv2",
    unit="squared feature distance",
    better="lower",
    counts="dinov2_samples",
    per="sampler",
    key=("dinov2",),
    reference="Stein et al., Exposing flaws of generative model evaluation metrics and their unfair treatment of "
    "diffusion models, NeurIPS 2023, https://arxiv.org/abs/2306.04675",
    cite="stein2023exposing",
)
def fd_dinov2(dinov2_test: Tensor, dinov2_samples: Tensor) -> float:
    return frechet_distance(dinov2_test, dinov2_samples)
