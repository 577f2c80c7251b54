"""Mean squared error per pixel of test reconstructions.

    mse = mean over images, channels and pixels of (x − x̂)²

x are the test images, x̂ what the decoder makes of their codes (μ where there is a posterior), both in [0,
1].

A blurred image wins against a sharp one that is a pixel off: MSE rewards the conditional mean. It compares
with published values only where the pixel range does; some report the sum over pixels, or half of it.
"""

from torch import Tensor

from . import metric


def per_image_mse(images: Tensor, reconstructions: Tensor) -> Tensor:
    """Mean squared error of each image, (N, C, H, W) twice → float64 (N,) on the host."""
    return (images - reconstructions).square().flatten(1).mean(1).cpu().double()


@metric(
    title="Mean squared error",
    symbol="MSE",
    unit="squared error per pixel",
    better="lower",
    counts="images",
    reference="textbook definition",
)
def mse(images: Tensor, reconstructions: Tensor) -> float:
    return per_image_mse(images, reconstructions).mean().item()
