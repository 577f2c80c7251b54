"""Peak signal-to-noise ratio of test reconstructions, averaged over images.

    psnr = mean_n 10 log₁₀(1 / max(mse_n, 1e-10))

mse_n is the mean squared error of image n, pixels in [0, 1], so the peak is 1. Decibels.

The floor gives a perfect image 100 dB where the formula gives infinity, which would swallow the mean. No
8-bit image comes near: rounding to 256 levels alone costs 1/(12·255²), 58.9 dB. The mean of logarithms is not
the logarithm of the mean: this is larger than 10 log₁₀(1/mse) of the whole test set.
"""

from torch import Tensor

from . import metric
from .mse import per_image_mse

FLOOR = 1e-10  #: of an image's mean squared error; caps it at 100 dB


@metric(
    title="Peak signal-to-noise ratio",
    symbol="PSNR",
    unit="dB",
    better="higher",
    counts="images",
    reference="Huynh-Thu & Ghanbari, Scope of validity of PSNR in image/video quality assessment, 2008, "
    "https://doi.org/10.1049/el:20080522",
    cite="huynhthu2008scope",
)
def psnr(images: Tensor, reconstructions: Tensor) -> float:
    floored = per_image_mse(images, reconstructions).clamp(min=FLOOR)
    return (-10 * floored.log10()).mean().item()
