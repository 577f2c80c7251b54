"""Mean squared error per pixel of reconstructions of images the model was trained on.

    mse = mean over images, channels and pixels of (x − x̂)²

x are `train_images`, a fixed subset of at most 10,000 of the images trained on, x̂ `train_reconstructions`,
both in [0, 1]; codes are μ where there is a posterior. The training loss is another number: it was taken
while the weights still moved, on noisy codes and perhaps noisy images.
"""

from torch import Tensor

from . import metric
from .mse import per_image_mse


@metric(
    title="Mean squared error on training images",
    symbol="Train MSE",
    unit="squared error per pixel",
    better="lower",
    counts="train_images",
    reference="textbook definition",
)
def train_mse(train_images: Tensor, train_reconstructions: Tensor) -> float:
    return per_image_mse(train_images, train_reconstructions).mean().item()
