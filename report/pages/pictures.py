"""The cells' pictures: checked, copied, and reconstructions cut into originals and what became of them."""

import io
import re
import warnings
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from bench.results.store import Record

from .kinds import Kind, kind

FORMATS = {".png": "PNG", ".webp": "WEBP", ".gif": "GIF"}
NAME = re.compile(r"[a-z0-9][a-z0-9_]{0,60}\.(png|webp|gif)")
LARGEST = 20_000_000  #: bytes
MOST_PIXELS = 40_000_000


@dataclass(frozen=True)
class Picture:
    """A picture of a cell: its name without suffix, its bytes, its size in pixels, and its suffix."""

    name: str
    data: bytes
    width: int
    height: int
    suffix: str = ".png"

    @property
    def file(self) -> str:
        """Its name as a file."""
        return f"{self.name}{self.suffix}"

    @property
    def kind(self) -> Kind:
        """What it shows."""
        return kind(self.name)

    @property
    def sampler(self) -> str:
        """The sampler of a `samples_<sampler>` picture, "" for any other."""
        return self.name.removeprefix("samples_") if self.name.startswith("samples_") else ""


def files(record: Record) -> list[Path]:
    """A cell's files that should be pictures, in the order they are shown in."""
    found = [p for suffix in FORMATS for p in record.folder.glob(f"*{suffix}") if not p.name.startswith(".")]
    return sorted(found, key=lambda path: (kind(path.stem).order, path.name))


def read_all(record: Record) -> list[Picture]:
    """A cell's pictures, in the order they are shown in; of two that have one name in two formats, the first."""
    found = [picture for path in files(record) if (picture := read(path))]
    return list({picture.name: picture for picture in reversed(found)}.values())[::-1]


def read(path: Path) -> Picture | None:
    """A picture; None for what is no image of reasonable size under a plain name. Links are not followed."""
    if path.is_symlink() or not path.is_file() or not NAME.fullmatch(path.name) or path.stat().st_size > LARGEST:
        return None
    data = path.read_bytes()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(io.BytesIO(data), formats=[FORMATS[path.suffix]]) as image:
                width, height = image.size
                image.verify()
    except Exception:  # Pillow's decoders raise a dozen kinds for a file that is damaged on purpose
        return None
    return Picture(path.stem, data, width, height, path.suffix) if width * height <= MOST_PIXELS else None


def halves(picture: Picture) -> tuple[Picture, Picture] | None:
    """Upper and lower half of a picture: test images, and their reconstructions. None if unreadable."""
    middle = picture.height // 2
    try:
        with Image.open(io.BytesIO(picture.data), formats=[FORMATS[picture.suffix]]) as image:
            boxes = [(0, 0, picture.width, middle), (0, middle, picture.width, picture.height)]
            parts = [image.crop(box) for box in boxes]
    except Exception:  # as above: `verify` does not decode all of a file
        return None
    names = ("originals", "restored")
    one, two = (_encoded(name, part, picture.suffix) for name, part in zip(names, parts, strict=True))
    return one, two


def _encoded(name: str, image: Image.Image, suffix: str) -> Picture:
    """In the format the whole came in: photographs, which come as WebP, would be large as PNG."""
    buffer = io.BytesIO()
    if suffix == ".webp":
        image.save(buffer, "WEBP", quality=90, method=4)
        return Picture(name, buffer.getvalue(), image.width, image.height, suffix)
    image.save(buffer, "PNG", optimize=False)
    return Picture(name, buffer.getvalue(), image.width, image.height)
