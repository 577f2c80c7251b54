"""Pictures of cells as figures for papers: reconstructions, samples and maps of codes, with their names as text.

Pictures are enlarged by an integer factor to at least 300 dpi, so that their pixels stay square in every viewer.
"""

import textwrap
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from io import BytesIO
from typing import Any

import matplotlib as mpl
import numpy as np
from bench.report.charts.colours import LIGHT
from bench.report.data import Group, Suite, embeddings, varied_axes
from bench.report.pages.gallery import numbers_below, ordered, samplers, space_title, spaces
from bench.report.pages.pictures import Picture, halves, read_all
from bench.report.tables.model import Table
from bench.report.tables.names import SPACES, configuration_text, member_text, reader_text
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image

from .style import PICTURE_DPI, RC, SMALL, WIDTH, printable

LABELS = 1.05  #: inches: the names beside reconstructions and maps
COLUMNS = 3  #: sheets of samples side by side
MOST_ROWS = 8  #: rows of maps in one figure
MOST_STRIPS = 24  #: rows of reconstructions in one figure
MOST_PAIRS = 12  #: methods whose interpolations stand in one figure
PAIRS = 2  #: strips of each of them
TILES = 11  #: images in a strip: two test images and the decoded ones between them
SAME = 8.0  #: mean difference, in grey levels, below which two pictures show the same images
INTERPOLATED = (
    "The same two pairs of test images in every row, one at each end. Between them: images decoded at equal steps on "
    "the straight line between their codes."
)
LINE = 0.11  #: inches: a line of small text

Array = np.ndarray
Row = tuple[str, list[tuple[str, Array | None]]]  #: a name, and pictures or points with their names


@dataclass(frozen=True)
class PictureFigure:
    """A figure of pictures: its name, title and sentences, the configurations on it, and what draws it."""

    name: str
    title: str
    sentences: tuple[str, ...]
    groups: tuple[Group, ...]
    draw: Callable[[], Figure]


def figures(suite: Suite, families: Sequence[Table]) -> Iterator[PictureFigure]:
    """By dataset: reconstructions and interpolations of all methods, samples a sampler and latent size, and maps."""
    numbers = numbers_below(families)
    for dataset in dict.fromkeys(group.at["dataset"] for group in suite.groups):
        groups = ordered([group for group in suite.groups if group.at["dataset"] == dataset and group.done])
        found = {id(group): {p.name: p for p in read_all(group.done[0].record)} for group in groups}  # type: ignore[arg-type]
        if strips := [group for group in groups if "reconstructions" in found[id(group)]]:
            yield from _reconstructions(str(dataset), strips, found, numbers)
        yield from _interpolations(str(dataset), groups, found)
        for size in dict.fromkeys(group.at["latent_size"] for group in groups):
            here = [group for group in groups if group.at["latent_size"] == size]
            for sampler in samplers(here):
                if drawn := [group for group in here if f"samples_{sampler}" in found[id(group)]]:
                    yield _samples(str(dataset), size, sampler, drawn, found, numbers)
            yield from _maps(str(dataset), size, here)


def _seeds(groups: Sequence[Group]) -> str:
    seeds = sorted({group.done[0].seed for group in groups})
    return f"Training seed {', '.join(map(str, seeds))}."


def _named(groups: Sequence[Group], axes: Sequence[str]) -> list[str]:
    """The names of configurations, by the coordinates in which they differ."""
    return [configuration_text(group.at, varied_axes(groups, axes)) for group in groups]


def _reconstructions(
    dataset: str, groups: list[Group], found: dict[int, dict[str, Picture]], numbers: dict[tuple[int, str], str]
) -> Iterator[PictureFigure]:
    cut = [halves(found[id(group)]["reconstructions"]) for group in groups]
    pairs = [(group, parts) for group, parts in zip(groups, cut, strict=True) if parts]
    names = _named([group for group, _ in pairs], ("label", "net", "latent_size", "setting"))
    for start in range(0, len(pairs), MOST_STRIPS):
        part = slice(start, start + MOST_STRIPS)
        yield _strips_of(dataset, pairs[part], names[part], numbers)


def _strips_of(
    dataset: str, pairs: list[tuple[Group, tuple[Picture, Picture]]], names: list[str],
    numbers: dict[tuple[int, str], str],
) -> PictureFigure:  # fmt: skip
    shown = [group for group, _ in pairs]
    rows: list[Row] = [("Test images", [("", _pixels(pairs[0][1][0]))])]
    rows += [(name, [("", _pixels(parts[1]))]) for name, (_, parts) in zip(names, pairs, strict=True)]
    title = f"Reconstructions of test images of {reader_text('dataset', dataset)}"
    values = [f"{name}: {numbers[id(g), 'reconstructions']}" for name, g in zip(names, shown, strict=True)
              if (id(g), "reconstructions") in numbers]  # fmt: skip
    sentences = ("The same test images in every row, the originals above.", _seeds(shown),
                 f"Over all seeds: {'; '.join(values)}." if values else "")  # fmt: skip
    return PictureFigure(f"reconstructions-{dataset}", title, sentences, tuple(shown), partial(_grid, rows, LABELS))


def _interpolations(dataset: str, groups: list[Group], found: dict[int, dict[str, Picture]]) -> Iterator[PictureFigure]:
    """The first pairs of test images of each method; methods that interpolate between other images stand apart."""
    drawn = [(group, _pixels(found[id(group)]["interpolations"])) for group in groups
             if "interpolations" in found[id(group)]]  # fmt: skip
    cut = [(group, strips, ends) for group, picture in drawn for strips, ends in _pairs_of(picture)]
    apart: list[tuple[Array, list[tuple[Group, Array]]]] = []  # the images at the ends, and who shares them
    for group, strips, ends in cut:
        alike = next((members for other, members in apart if _alike(other, ends)), None)
        if alike is None:
            apart.append((ends, alike := []))
        alike.append((group, strips))
    for _, members in apart:
        names = _named([group for group, _ in members], ("label", "net", "latent_size", "setting"))
        for start in range(0, len(members), MOST_PAIRS):
            part = members[start : start + MOST_PAIRS]
            rows: list[Row] = [(name, [("", strips)]) for name, (_, strips) in
                               zip(names[start : start + MOST_PAIRS], part, strict=True)]  # fmt: skip
            shown = tuple(group for group, _ in part)
            yield PictureFigure(f"interpolations-{dataset}", f"Interpolations on {reader_text('dataset', dataset)}",
                                (INTERPOLATED, _seeds(shown)), shown, partial(_grid, rows, LABELS))  # fmt: skip


def _pairs_of(picture: Array) -> Iterator[tuple[Array, Array]]:
    """The strips of the first pairs, and the test images at their ends; nothing of a picture of another shape.

    A row of the picture has `TILES` square images with a line behind each, and two lines more beside each end.
    """
    side, rest = divmod(picture.shape[1] - 4, TILES)
    if rest or side < 2 or picture.shape[0] % side:
        return
    strips = picture[: min(PAIRS * side, picture.shape[0])]
    yield strips, np.concatenate([strips[:, : side - 1], strips[:, -side:-1]], axis=1)


def _alike(one: Array, other: Array) -> bool:
    """True for the same images; those of lossy files differ by little."""
    return one.shape == other.shape and float(np.abs(one.astype(float) - other.astype(float)).mean()) < SAME


def _samples(
    dataset: str, size: Any, sampler: str, groups: list[Group], found: dict[int, dict[str, Picture]],
    numbers: dict[tuple[int, str], str],
) -> PictureFigure:  # fmt: skip
    name = f"samples_{sampler}"
    sheets = [_pixels(found[id(group)][name]) for group in groups]
    names = _named(groups, ("label", "net", "setting"))
    below = [f"{text}\n{numbers[id(g), name]}" if (id(g), name) in numbers else text
             for text, g in zip(names, groups, strict=True)]  # fmt: skip
    real = _real_images(found[id(groups[0])].get("reconstructions"), sheets[0].shape)
    tiles: list[tuple[str, Array | None]] = [("Test images", real)] if real is not None else []
    tiles += zip(below, sheets, strict=True)
    tiles = [(_lines(text, 22, 2), tile) for text, tile in tiles]
    rows: list[Row] = [("", tiles[i : i + COLUMNS]) for i in range(0, len(tiles), COLUMNS)]
    where = ", ".join([reader_text("dataset", dataset), *([] if size is None else [reader_text("latent_size", size)])])
    title = f"Samples on {where}, codes from the {member_text(sampler)}"
    beside = "Below each sheet: the distance of the samples to the test images, over all seeds."
    return PictureFigure(f"samples-{dataset}-{size}-{sampler}", title, (beside, _seeds(groups)), tuple(groups),
                         partial(_grid, rows, 0.0))  # fmt: skip


def _maps(dataset: str, size: Any, groups: list[Group]) -> Iterator[PictureFigure]:
    arrays = {id(group): embeddings(group.done[0].record) or {} for group in groups}  # type: ignore[arg-type]
    able = [group for group in groups if spaces(arrays[id(group)])]
    columns = list(dict.fromkeys(space for group in able for space in spaces(arrays[id(group)])))
    where = ", ".join([reader_text("dataset", dataset), *([] if size is None else [reader_text("latent_size", size)])])
    for start in range(0, len(able), MOST_ROWS):
        part = able[start : start + MOST_ROWS]
        titles = [SPACES.get(space, space) for space in columns]
        points = [[_points(arrays[id(group)], space) for space in columns] for group in part]
        last = [*[[""] * len(titles)] * (len(part) - 1), titles]  # below the last row
        names = _named(part, ("label", "net", "setting"))
        rows: list[Row] = [(name, [*zip(below, drawn, strict=True)])
                           for name, below, drawn in zip(names, last, points, strict=True)]  # fmt: skip
        plane = f"{space_title('latent', size)}, t-SNE and UMAP side by side."
        sentences = (plane, "A point is a test image, its colour the true class.", _seeds(part))
        yield PictureFigure(f"maps-{dataset}-{size}", f"Maps of the codes of test images of {where}", sentences,
                            tuple(part), partial(_grid, rows, LABELS))  # fmt: skip


def _points(arrays: dict[str, Array], space: str) -> Array | None:
    """(P, 3): x, y and class of the finite points of a map; None without the map."""
    if space not in spaces(arrays):
        return None
    points = np.column_stack([arrays[space], arrays["labels"]])
    return points[np.isfinite(points).all(1)]


def _pixels(picture: Picture) -> Array:
    """A picture as (H, W, 3) uint8."""
    with Image.open(BytesIO(picture.data)) as image:
        return np.asarray(image.convert("RGB"))


def _real_images(strips: Picture | None, shape: tuple[int, ...]) -> Array | None:
    """Test images as a sheet of the size of `shape`, in the upper rows; None without readable ones.

    A strip is one row of square tiles as high as itself, with a line between them.
    """
    parts = halves(strips) if strips else None
    if parts is None:
        return None
    strip = _pixels(parts[0])
    side = strip.shape[0]
    across = max(1, shape[1] // side)
    sheet = np.full((max(shape[0], side), max(shape[1], side), 3), 255, np.uint8)
    for index in range(strip.shape[1] // side):
        top, left = index // across * side, index % across * side
        if top + side <= sheet.shape[0]:
            sheet[top : top + side, left : left + side] = strip[:, index * side : (index + 1) * side]
    return sheet


def _grid(rows: list[Row], labels: float) -> Figure:
    """Rows of pictures (H, W, 3) or points (P, 3) below each other, with `labels` inches for the names at the left."""
    across = max(len(tiles) for _, tiles in rows)
    width = (WIDTH - labels) / across
    heights = [max((_height(tile, width) for _, tile in tiles), default=width) for _, tiles in rows]
    texts = [LINE * max((text.count("\n") + 1 if text else 0 for text, _ in tiles), default=0) for _, tiles in rows]
    total = sum(heights) + sum(texts) + 0.03 * len(rows)
    with mpl.rc_context(RC):
        fig = Figure(figsize=(WIDTH, total))
        top = total
        for (name, tiles), height, text in zip(rows, heights, texts, strict=True):
            top -= height
            for column, (below, tile) in enumerate(tiles):
                box = (labels + column * width + 0.01, top, width - 0.02, height - 0.02)
                ax = fig.add_axes((box[0] / WIDTH, box[1] / total, box[2] / WIDTH, box[3] / total))
                _tile(ax, tile)
                if below:
                    ax.annotate(below, (0.5, 0), (0, -1), xycoords="axes fraction",
                                textcoords="offset points", ha="center", va="top", fontsize=SMALL - 1)  # fmt: skip
            if name:
                fig.text(0.0, (top + height / 2) / total, _lines(name, 19, 3), fontsize=SMALL, va="center")
            top -= text + 0.03
        return fig


def _lines(text: str, width: int, most: int) -> str:
    """Every line of a text divided into at most `most` lines of `width` characters, but not around " = "."""
    shown = [printable(line).replace(" = ", "\xa0=\xa0") for line in text.split("\n")]
    parts = [textwrap.wrap(line, width, max_lines=most, placeholder=" …") for line in shown]
    return "\n".join(line for part in parts for line in part).replace("\xa0", " ")


def _height(tile: Array | None, width: float) -> float:
    if tile is None or tile.ndim == 2:
        return width
    return width * tile.shape[0] / tile.shape[1]


def _tile(ax: Axes, tile: Array | None) -> None:
    ax.set_axis_off()
    if tile is None:
        return
    if tile.ndim == 3:
        inches = ax.get_position().width * WIDTH
        factor = max(1, -(-int(PICTURE_DPI * inches) // tile.shape[1]))
        ax.imshow(tile.repeat(factor, 0).repeat(factor, 1), interpolation="none", aspect="equal")
        return
    colours = [LIGHT[int(label) % len(LIGHT)] if label >= 0 else "#999999" for label in tile[:, 2]]
    ax.scatter(tile[:, 0], tile[:, 1], s=0.5, c=colours, linewidths=0, rasterized=True)
    ax.set_aspect("equal", "datalim")
