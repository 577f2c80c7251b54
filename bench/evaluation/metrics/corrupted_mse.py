"""Mean squared error on the pixels that were lost, after the model restored the damaged image.

    mse = mean over lost pixels and channels of (x − x̂)²,   x̂ = what the model makes of the corrupted image x̃

`images` (N, C, H, W) are the clean test images, `corrupted_reconstructions` the model's output for the
corrupted ones, `corrupted_pixels` (N, 1, H, W) where something was lost; pixels that were kept do not count.
The corruptions are those of bench/models/corruptions.py, the same for every model, whatever it trained with.

On dark images black is a good guess, so read it beside `corruption_mse`, the error of doing nothing.
"""

from torch import Tensor

from . import metric


@metric(
    title="Mean squared error from corrupted images",
    symbol="Corrupted MSE",
    unit="squared error per lost pixel",
    better="lower",
    counts="images",
    per="corruption",
    reference="Vincent et al., Extracting and Composing Robust Features with Denoising Autoencoders, 2008, "
    "https://doi.org/10.1145/1390156.1390294",
    cite="vincent2008extracting",
)
def corrupted_mse(images: Tensor, corrupted_reconstructions: Tensor, corrupted_pixels: Tensor) -> float:
    return masked_mse(images, corrupted_reconstructions, corrupted_pixels)


def masked_mse(x: Tensor, y: Tensor, pixels: Tensor) -> float:
    """Mean of (x − y)² where `pixels` is true: (N, C, H, W) twice, (N, 1, H, W). Sums of images are in float64."""
    squares = ((x - y).square() * pixels).flatten(1).sum(1).cpu().double().sum()
    return (squares / (pixels.sum().cpu().double() * x.shape[1])).item()
