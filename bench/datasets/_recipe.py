"""One image file to pixels: formats, depth, transparency, crop and resizing.

Letters:  C channels · S height and width, pixels
"""

import io
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

#: Formats that Pillow reads at 8 bits and that need no other program (EPS, for example, needs Ghostscript)
FORMATS = ("PNG", "JPEG", "BMP", "DIB", "GIF", "WEBP", "TIFF", "PPM", "TGA", "JPEG2000", "AVIF", "PCX", "SGI", "QOI",
           "SUN")  # fmt: skip
GREY = ("1", "L", "LA", "La")  #: Pillow's modes without colour
RECIPE_VERSION = 2  #: raised when `Recipe` gives other pixels or refuses more: cached images are then made anew


DEEP = "with more than 8 bits a channel"


class UnusableImageError(ValueError):
    """An image that no recipe takes. The text continues "3 images cannot be used: 2 ..."."""

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(reason)
        self.detail = detail


@dataclass(frozen=True)
class Recipe:
    """How an image file becomes pixels; the order is part of the definition.

    1. It is turned as its EXIF orientation says; transparent parts are laid on white.
    2. `channels` 1: grey, luma L = 0.299 R + 0.587 G + 0.114 B (ITU-R 601-2, Pillow's "L"); 3: RGB; None: grey stays
       grey, and all else is RGB.
    3. It is cut to the centred square of side `crop`, or of the shorter side where that is None; an odd pixel is
       lost at the right or bottom.
    4. It is resized to `size` × `size`, unless it has that size, with Pillow's bicubic filter (antialiased).

    With `size` None steps 3 and 4 are left out: the image keeps its height and width.

    The filter is named because it matters: Parmar et al. 2022, https://arxiv.org/abs/2104.11222, find that the
    implementation of resizing changes FID, and choose Pillow's bicubic filter.
    """

    size: int | None
    channels: int | None
    crop: int | None = None

    def __call__(self, file: bytes | Image.Image) -> np.ndarray:
        """The contents of a file, or an opened image, as uint8 (C, H, W).

        Raises `UnusableImageError` for other formats, more than 8 bits a channel, several frames, or a too small image,
        and whatever Pillow raises for a damaged file.
        """
        if isinstance(file, Image.Image):
            _check_depth(file)
            return self._pixels(file)
        try:
            image = Image.open(io.BytesIO(file), formats=FORMATS)
        except UnidentifiedImageError:  # its text names a Python object
            raise UnusableImageError("not an image inside") from None
        with image:
            _check(image, file)
            return self._pixels(image)

    def _pixels(self, image: Image.Image) -> np.ndarray:
        channels = self.channels or (1 if image.mode in GREY else 3)
        plain = _plain(image, "L" if channels == 1 else "RGB")
        if self.size is not None:
            plain = self._square(plain)
            if plain.size != (self.size, self.size):
                plain = plain.resize((self.size, self.size), Image.Resampling.BICUBIC)
        return np.asarray(plain).reshape(plain.height, plain.width, channels).transpose(2, 0, 1)

    def _square(self, image: Image.Image) -> Image.Image:
        width, height = image.size
        side = self.crop or min(width, height)
        if side > min(width, height):
            raise UnusableImageError(f"too small for a centre crop of {side}", f"{width}×{height} pixels")
        left, top = (width - side) // 2, (height - side) // 2
        return image if width == height == side else image.crop((left, top, left + side, top + side))


def _check(image: Image.Image, file: bytes) -> None:
    pixels = image.width * image.height
    if Image.MAX_IMAGE_PIXELS and pixels > Image.MAX_IMAGE_PIXELS:
        raise UnusableImageError(f"of more than {Image.MAX_IMAGE_PIXELS} pixels", f"{image.width}×{image.height}")
    _check_depth(image)
    if (bits := _bits(image, file)) > 8:  # Pillow would cut them without a word
        raise UnusableImageError(DEEP, f"mode {image.mode}, {bits} bits")
    if image.format not in ("MPO", "JPEG") and (frames := getattr(image, "n_frames", 1)) > 1:
        raise UnusableImageError("with more than one frame", f"{frames} frames")


def _check_depth(image: Image.Image) -> None:
    if image.mode.startswith(("I", "F")):
        raise UnusableImageError(DEEP, f"mode {image.mode}, {32 if image.mode in ('I', 'F') else 16} bits")


def _bits(image: Image.Image, file: bytes) -> int:
    """Bits a channel of the file, which `image.mode` does not tell: Pillow opens RGB of 16 bits as RGB of 8."""
    if image.format == "PNG":
        return file[24]  # IHDR: length 4, type 4, width 4, height 4, depth; after a signature of 8 bytes
    if image.format == "TIFF":
        return max(image.tag_v2.get(258, (1,)))  # type: ignore[attr-defined]
    if image.format == "PPM":
        arguments = image.tile[0].args  # type: ignore[attr-defined]  # (mode, largest value) where that is not 255
        return 16 if isinstance(arguments, tuple) and int(arguments[-1]) > 255 else 8
    if image.format == "SGI":
        return 8 * file[3]
    if image.format == "JPEG2000":
        start = file.find(b"\xff\x4f\xff\x51")  # start of the code stream, then the size segment
        return (file[start + 42] & 0x7F) + 1
    if image.format == "AVIF":
        start = file.find(b"av1C")
        return 10 if file[start + 6] & 0x40 else 8
    return 8


def _plain(image: Image.Image, mode: str) -> Image.Image:
    ImageOps.exif_transpose(image, in_place=True)
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return image.convert(mode)
