"""Fraction of the images' variance that the reconstructions leave unexplained.

    FVU = mse of the reconstructions / mse of the mean image

The mean image is the training images'; both errors are over `images` (N, C, H, W), the test images. 1 for a model
that learned nothing but the mean, 0 for perfect reconstructions; above 0.9 training has failed by any standard.
"""

from torch import Tensor

from bench.errors import NotApplicable

from . import metric
from .mse import mse


@metric(
    title="Share of unexplained variance",
    symbol="Unexplained variance",
    unit="fraction",
    better="lower",
    counts="images",
    reference="1 - R² of the regression textbooks",
)
def unexplained_variance(images: Tensor, reconstructions: Tensor, train_mean: Tensor) -> float:
    spread = mse(images, train_mean.expand_as(images))
    if spread == 0:
        raise NotApplicable("all test images are the mean image")
    return mse(images, reconstructions) / spread
