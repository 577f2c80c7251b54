"""Grids of images as PNG: what a model makes of the same test images, and what it generates."""

import io
from pathlib import Path

import numpy as np
from PIL import Image
from torch import Tensor

from .store import write_bytes

GAP = 1  #: pixels between images
GREY = 128


def rows(*images: Tensor) -> np.ndarray:
    """Each argument (N, C, H, W) uint8 becomes one row: (rows · H, N · W, C) with a grey gap."""
    return np.concatenate([_padded(np.concatenate([_tile(i) for i in row], axis=1), 0) for row in images])


def grid(images: Tensor, columns: int) -> np.ndarray:
    """(N, C, H, W) uint8 as a grid of `columns`; an incomplete last row is dropped."""
    full = len(images) // columns * columns
    return rows(*images[:full].split(columns)) if full else rows(images)


def save_png(picture: np.ndarray, path: Path) -> None:
    """Write (H, W, C) uint8 atomically, as grey when C is 1."""
    buffer = io.BytesIO()
    Image.fromarray(picture[..., 0] if picture.shape[2] == 1 else picture).save(buffer, "PNG", optimize=True)
    write_bytes(path, buffer.getvalue())


def _tile(image: Tensor) -> np.ndarray:
    return _padded(image.permute(1, 2, 0).cpu().numpy(), 1)


def _padded(picture: np.ndarray, axis: int) -> np.ndarray:
    width = [(0, 0)] * 3
    width[axis] = (0, GAP)
    return np.pad(picture, width, constant_values=GREY)
