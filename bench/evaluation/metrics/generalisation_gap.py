"""How much worse images are reconstructed that the model was not trained on.

    gap = mse of test images / mse of train images

Both as `mse` and `train_mse` have them. 1 where a model treats them alike, above 1 where it has memorised.
Train and test images that differ in kind move it too, and a model that learned nothing, such as the mean
image, scores about 1.
"""

from torch import Tensor

from bench.errors import NotApplicable

from . import metric
from .mse import mse
from .train_mse import train_mse


@metric(
    title="Generalisation gap",
    symbol="Generalisation gap",
    unit="ratio",
    better="none",
    counts="images",
    reference="textbook definition",
)
def generalisation_gap(
    images: Tensor, reconstructions: Tensor, train_images: Tensor, train_reconstructions: Tensor
) -> float:
    trained = train_mse(train_images, train_reconstructions)
    if trained == 0:
        raise NotApplicable("the train images are reconstructed without any error")
    return mse(images, reconstructions) / trained
