"""The corruptions that restoring is measured under: which pixels of the test images are set to 0.

| name | what is lost |
|---|---|
| `dropout_25`, `dropout_50` | every pixel, in all its channels, with a probability of 25 or 50 per cent |
| `square_40` | one square anywhere within the image, its side 40 per cent of the image's |

Each is drawn once from a fixed stream of its own and depends on nothing but the number and size of the images: every
cell of a dataset, whatever its variant and seed, is shown the same damaged images. The names stand in
`bench/suite/names.py`, which needs no torch; the numbers in them are the definition.
"""

import torch
from torch import Tensor

from .seeding import generator


def lost_pixels(name: str, n: int, height: int, width: int) -> Tensor:
    """True where an image has lost its pixel: bool (N, 1, H, W), on the CPU.

    >>> lost_pixels("square_40", 3, 10, 5).sum((1, 2, 3)).tolist()  # 4 rows of 2 pixels
    [8, 8, 8]
    """
    kind, per_cent = name.rsplit("_", 1)
    noise, share = generator(0, f"corruption:{name}"), int(per_cent) / 100
    if kind == "square":
        return square(torch.rand(n, 2, generator=noise), share, height, width) > 0
    assert kind == "dropout", name
    return torch.rand(n, 1, height, width, generator=noise) < share


def square(place: Tensor, side: float, height: int, width: int) -> Tensor:
    """1 inside of a square and 0 outside, (B, 1, H, W); `place` (B, 2) in [0, 1) says where it lies."""
    inside = []
    for axis, extent in enumerate((height, width)):
        length = round(side * extent)
        start = (place[:, axis] * (extent - length + 1)).floor().unsqueeze(1)  # (B, 1)
        pixel = torch.arange(extent, device=place.device)
        inside.append((pixel >= start) & (pixel < start + length))  # (B, extent)
    return (inside[0].unsqueeze(2) & inside[1].unsqueeze(1)).unsqueeze(1).to(place.dtype)
