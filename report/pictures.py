"""The cells' pictures: checked, copied, and reconstructions cut into originals and what became of them."""

import io
import re
import warnings
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

NAME = re.compile(r"[a-z0-9][a-z0-9_]{0,60}\.png")
LARGEST = 20_000_000  #: bytes
MOST_PIXELS = 40_000_000


@dataclass(frozen=True)
class Picture:
    """A PNG of a cell: its name without suffix, its bytes, its size in pixels."""

    name: str
    data: bytes
    width: int
    height: int

    @property
    def sampler(self) -> str:
        """The sampler of a `samples_<sampler>` picture, "" for any other."""
        return self.name.removeprefix("samples_") if self.name.startswith("samples_") else ""


def read(path: Path) -> Picture | None:
    """A picture; None for what is no PNG of reasonable size under a plain name. Links are not followed."""
    if path.is_symlink() or not NAME.fullmatch(path.name) or path.stat().st_size > LARGEST:
        return None
    data = path.read_bytes()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(io.BytesIO(data), formats=["PNG"]) as image:
                width, height = image.size
                image.verify()
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return None
    return Picture(path.stem, data, width, height) if width * height <= MOST_PIXELS else None


def halves(picture: Picture) -> tuple[Picture, Picture] | None:
    """Upper and lower half of a picture: test images, and their reconstructions. None if unreadable."""
    middle = picture.height // 2
    try:
        with Image.open(io.BytesIO(picture.data), formats=["PNG"]) as image:
            boxes = [(0, 0, picture.width, middle), (0, middle, picture.width, picture.height)]
            parts = [image.crop(box) for box in boxes]
    except (OSError, ValueError, SyntaxError):
        return None
    names = ("originals", "restored")
    one, two = (_encoded(name, part) for name, part in zip(names, parts, strict=True))
    return one, two


def _encoded(name: str, image: Image.Image) -> Picture:
    buffer = io.BytesIO()
    image.save(buffer, "PNG", optimize=False)
    return Picture(name, buffer.getvalue(), image.width, image.height)
