"""The pictures of cells: read with checks, named by what they show, reconstructions divided into two strips.

The names are those of bench/evaluation/cell_figures.py.
"""

import io
import re
import warnings
from dataclasses import dataclass
from pathlib import Path

from bench.report.tables.names import member_text
from PIL import Image

from bench.results.store import Record

FORMATS = {".png": "PNG", ".webp": "WEBP", ".gif": "GIF"}
NAME = re.compile(r"[a-z0-9][a-z0-9_]{0,60}\.(png|webp|gif)")
LARGEST = 20_000_000  #: bytes
MOST_PIXELS = 40_000_000


@dataclass(frozen=True)
class Kind:
    """A kind of picture. section: of a gallery, "" for none; order: its place on a cell's page."""

    section: str
    title: str  #: distinguishes it within its section
    says: str  #: the caption
    order: int
    moving: bool = False


def kind(name: str) -> Kind:
    """The kind of a picture of this name; an unknown name is its own title.

    >>> kind("samples_gmm").says
    'Samples, codes from the GMM'
    >>> kind("restored_square_40").title
    'a square removed'
    """
    if found := _KINDS.get(name):
        return found
    if match := re.fullmatch(r"(restored|samples|by_label)_(\w+)", name):
        return _member_kind(match[1], match[2])
    return Kind("", name.replace("_", " "), name.replace("_", " "), 99)


def _member_kind(what: str, which: str) -> Kind:
    if what == "restored":
        words = member_text(which)
        return Kind("restored", words, f"Test images above, {words} in the middle, reconstructions below", 1)
    if what == "samples":
        return Kind(
            "samples", f"Codes from the {member_text(which)}", f"Samples, codes from the {member_text(which)}", 2
        )
    codes = f"codes from the {member_text(which)}"
    return Kind("by-label", codes, f"Samples by label, a row a class, {codes}", 3)


_KINDS = {
    "reconstructions": Kind(
        "reconstructions", "reconstructions", "Test images above, their reconstructions below", 0
    ),
    "manifold": Kind(
        "manifolds", "manifold", "Images decoded from a grid over the plane of the codes", 4
    ),
    "interpolations": Kind(
        "interpolations", "strips", "Test images at both ends, decoded images between their codes", 5
    ),
    "interpolations_moving": Kind(
        "interpolations", "moving", "The decoded images of the interpolations, forwards and backwards", 6, True
    ),
    "identity": Kind(
        "identity", "all entries", "The matrix of the model: red positive, blue negative, white 0", 7
    ),
    "identity_clipped": Kind(
        "identity", "positive entries", "The matrix of the model, negative entries as 0, bright is large", 8
    ),
}  # fmt: skip


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
        """The name of its file."""
        return f"{self.name}{self.suffix}"

    @property
    def kind(self) -> Kind:
        """Its kind."""
        return kind(self.name)


def files(record: Record) -> list[Path]:
    """A cell's files with a suffix of pictures, in the order of its page."""
    found = [p for suffix in FORMATS for p in record.folder.glob(f"*{suffix}") if not p.name.startswith(".")]
    return sorted(found, key=lambda path: (kind(path.stem).order, path.name))


def read_all(record: Record) -> list[Picture]:
    """A cell's pictures in the order of its page; of one name in two formats, the first."""
    found = [picture for path in files(record) if (picture := read(path))]
    return list({picture.name: picture for picture in reversed(found)}.values())[::-1]


def read(path: Path) -> Picture | None:
    """A picture; None for a link, an unusual name, a file that is too large, and anything that is no image."""
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
    """The upper and lower half of a picture: test images and their reconstructions. None if unreadable."""
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
    """A part in the format of the whole: photographs, which are WebP, would be large as PNG."""
    buffer = io.BytesIO()
    if suffix == ".webp":
        image.save(buffer, "WEBP", quality=90, method=4)
        return Picture(name, buffer.getvalue(), image.width, image.height, suffix)
    image.save(buffer, "PNG", optimize=False)
    return Picture(name, buffer.getvalue(), image.width, image.height)
