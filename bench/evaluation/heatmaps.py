"""The matrix of a linear autoencoder as a heatmap, uint8 (H, W, 3)."""

import numpy as np

from .context import EvaluationContext

WIDEST = 400  #: pixels of a heatmap
LEVELS = 33  #: colours of a heatmap; odd, so that 0 has its own

#: colours from the most negative entry over 0 to the most positive, and from 0 to the largest
DIVERGING = ((8, 48, 107), (66, 146, 198), (247, 247, 247), (239, 101, 72), (103, 0, 13))
SEQUENTIAL = ((0, 0, 4), (81, 18, 124), (183, 55, 121), (252, 137, 97), (252, 253, 191))


def identity(context: EvaluationContext, clipped: bool = False) -> np.ndarray:
    """W₂ W₁ (P, P) in colours, scaled to its largest magnitude; above 400 pixels a pixel shows the mean of a block.

    A block on the diagonal holds one diagonal entry a row: the mean of an f × f block of the identity is 1/f, and as
    colours follow the largest mean, its diagonal stays the brightest.
    """
    matrix = context.get("linear_map").cpu().double().numpy()
    means = block_means(np.clip(matrix, 0, None) if clipped else matrix, WIDEST)
    largest = max(float(np.abs(means).max()), 1e-12)
    share = means / largest if clipped else (means / largest + 1) / 2
    return coloured(share, SEQUENTIAL if clipped else DIVERGING)


def block_means(matrix: np.ndarray, widest: int) -> np.ndarray:
    """A square matrix at most `widest` wide: means over blocks, the last of them smaller where it does not divide.

    >>> block_means(np.eye(4), 2)
    array([[0.5, 0. ],
           [0. , 0.5]])
    """
    size = len(matrix)
    starts = np.arange(0, size, -(-size // widest))
    lengths = np.diff(starts, append=size)
    sums = np.add.reduceat(np.add.reduceat(matrix, starts, axis=0), starts, axis=1)
    return sums / np.outer(lengths, lengths)


def coloured(share: np.ndarray, anchors: tuple[tuple[int, int, int], ...]) -> np.ndarray:
    """Values (H, W) in [0, 1] as colours (H, W, 3) uint8 on straight lines between anchors, in LEVELS steps."""
    levels = np.round(np.clip(share, 0, 1) * (LEVELS - 1)).astype(int)
    at = np.linspace(0, 1, len(anchors))
    table = np.stack([np.interp(np.linspace(0, 1, LEVELS), at, channel) for channel in zip(*anchors, strict=True)], 1)
    return table.round().astype(np.uint8)[levels]
