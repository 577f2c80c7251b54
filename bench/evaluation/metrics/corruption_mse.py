"""Mean squared error on the pixels that were lost when nothing is restored: the yardstick of `corrupted_mse`.

    mse = mean over lost pixels and channels of (x − x̃)²

`images` (N, C, H, W) are the clean test images x, `corrupted_images` the damaged ones x̃, `corrupted_pixels`
(N, 1, H, W) where something was lost. A number of the dataset, the same in every row.
"""

from torch import Tensor

from . import metric
from .corrupted_mse import masked_mse


@metric(
    title="Mean squared error of the corruption",
    symbol="Corruption MSE",
    unit="squared error per lost pixel",
    better="none",
    counts="images",
    per="corruption",
    reference="Vincent et al., Extracting and Composing Robust Features with Denoising Autoencoders, 2008, "
    "https://doi.org/10.1145/1390156.1390294",
    cite="vincent2008extracting",
)
def corruption_mse(images: Tensor, corrupted_images: Tensor, corrupted_pixels: Tensor) -> float:
    return masked_mse(images, corrupted_images, corrupted_pixels)
