"""What a trained model shows: each figure of a cell as an array, made from the model and what is known of its codes.

| file | what it shows |
|---|---|
| `reconstructions` | test images, and what the model makes of them |
| `restored_<corruption>` | test images, the same damaged, and what the model makes of the damaged ones |
| `restored_training` | the same under the corruption that the model itself was trained to undo |
| `samples_<sampler>` | images decoded from codes that a sampler drew |
| `by_label_<sampler>` | a row a class: images of the label given, or those that the model's own classifier calls so |
| `manifold` | a grid of 2-d codes, decoded |
| `interpolations` | on the way from one test image to another, both real at the ends |
| `interpolations_moving` | the same way there and back, as frames |
| `identity`, `identity_clipped` | W₂ W₁ of a linear model as a heatmap; clipped: negative entries as 0 |

Arrays are uint8 (H, W, C), frames (T, H, W, C). One that does not exist for a model raises `NotApplicable`.
"""

import math
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from bench import registry
from bench.datasets import Data
from bench.datasets._splits import to_float
from bench.errors import NotApplicable
from bench.models.seeding import generator, numpy_rng
from bench.suite.names import CORRUPTIONS

from . import image_files
from .context import BATCH, Artefacts, quantise

STEPS = 9  #: decoded images from one end of an interpolation to the other
CLASSES = 10  #: rows of samples by label
MIDDLE = (0.025, 0.975)  #: quantiles of the test codes between which the manifold of a deterministic code lies
WIDEST = 400  #: pixels of a heatmap
LEVELS = 33  #: colours of a heatmap; odd, so that 0 has its own

#: colours from the most negative entry over 0 to the most positive, and from 0 to the largest
DIVERGING = ((8, 48, 107), (66, 146, 198), (247, 247, 247), (239, 101, 72), (103, 0, 13))
SEQUENTIAL = ((0, 0, 4), (81, 18, 124), (183, 55, 121), (252, 137, 97), (252, 253, 191))

#: bytes of each file, so that with its record, curves and maps a cell stays below 200 kB
BYTES = {
    "reconstructions": 9_000, "restored": 7_000, "samples": 12_000, "by_label": 12_000, "manifold": 20_000,
    "interpolations": 10_000, "interpolations_moving": 15_000, "identity": 10_000, "identity_clipped": 8_000,
}  # fmt: skip

Figure = Callable[[], np.ndarray]


def of_cell(made: Artefacts, metrics: Collection[str]) -> dict[str, Figure]:
    """File name → what draws it, for all figures of a cell; one that does not exist raises when it is called.

    Each corruption of the protocol is shown where one of `metrics` is taken under it.
    """
    samplers = made.cell.evaluate.samplers
    corrupted = any(registry.describe("metrics", m).constants.get("per") == "corruption" for m in metrics)
    found: dict[str, Figure] = {"reconstructions": partial(reconstructions, made)}
    found |= {f"restored_{c}": partial(restored, made, c) for c in CORRUPTIONS if corrupted}
    found["restored_training"] = partial(restored_training, made)
    found |= {f"samples_{s}": partial(samples, made, s) for s in samplers}
    chosen = label_sampler(made.model, samplers)
    found[f"by_label_{chosen}"] = partial(by_label, made, chosen)
    found["manifold"] = partial(manifold, made)
    found["interpolations"] = partial(interpolations, made)
    found["interpolations_moving"] = partial(interpolations_moving, made)
    found["identity"] = partial(identity, made)
    found["identity_clipped"] = partial(identity, made, clipped=True)
    return found


def budget(name: str) -> int:
    """Bytes that the file of a figure may take."""
    return BYTES[name] if name in BYTES else next(n for kind, n in BYTES.items() if name.startswith(f"{kind}_"))


def label_sampler(model: Any, samplers: Sequence[str]) -> str:
    """Whose codes are shown by label: the prior's where the model was trained for it, else the last in the suite."""
    return "prior" if model.has_posterior and "prior" in samplers else samplers[-1]


# -- of test images


def reconstructions(made: Artefacts, n: int | None = None) -> np.ndarray:
    """Two rows: n test images, and what the model makes of them."""
    x, y = _test_images(made, n)
    return image_files.rows(x, quantise(_through(made, to_float(x), y)))


def restored(made: Artefacts, corruption: str, n: int | None = None) -> np.ndarray:
    """Three rows: n test images, the same under a corruption of the protocol, and what the model makes of those."""
    index = shown(made.data, n)
    x, y = _test_images(made, n)
    damaged = x * ~made.get("corrupted_pixels", corruption)[index]
    return image_files.rows(x, damaged, quantise(_through(made, to_float(damaged), y)))


def restored_training(made: Artefacts, n: int | None = None) -> np.ndarray:
    """The same with the images as the model's encoder is shown them in training, if those are damaged."""
    x, y = _test_images(made, n)
    damaged = _seen_in_training(made, to_float(x), y)
    return image_files.rows(x, quantise(damaged), quantise(_through(made, damaged, y)))


def shown(data: Data, n: int | None = None) -> list[int]:
    """The test images of every figure: the first of each class, then the second of each, ...; or simply the first."""
    n = _fitting(data.shape, 10, 8, 6) if n is None else n
    return _by_rank(data, np.arange(len(data.test)))[0][:n].tolist()


def _test_images(made: Artefacts, n: int | None) -> tuple[Tensor, Tensor | None]:
    """uint8 (n, C, H, W) and labels (n,), or None where there are none."""
    index, test = shown(made.data, n), made.data.test
    return test.images[index], None if test.labels is None else test.labels[index]


def _through(made: Artefacts, x: Tensor, y: Tensor | None) -> Tensor:
    pairs = zip(x.split(BATCH), [None] * len(x) if y is None else y.split(BATCH), strict=False)
    with _computing(made):
        return torch.cat([made.model.generate(made.model.encode(part, label), label) for part, label in pairs])


@contextmanager
def _computing(made: Artefacts) -> Iterator[None]:
    """What a model computes for its figures is told apart from drawing them: `figures` of the record's seconds."""
    start = time.perf_counter()
    try:
        yield
    finally:
        made.seconds["figures"] = made.seconds.get("figures", 0.0) + time.perf_counter() - start


def _seen_in_training(made: Artefacts, x: Tensor, y: Tensor | None) -> Tensor:
    """What a training step encodes for images x (B, C, H, W), where the method damages them first."""
    model, seen = made.model, list[Tensor]()
    encode = model.net.encode

    def look(image: Tensor, given: Tensor | None = None) -> Tensor:
        if not torch.equal(image, x):
            seen.append(image.detach().clone())
        return encode(image, given)

    model.net.encode = look
    try:
        labels = torch.full((len(x),), -1, device=x.device) if y is None else y
        if not model.closed_form:
            with _computing(made):
                model(x, labels, model.draw(x, generator(0, "restored", made.device)))
    finally:
        del model.net.encode
    if not seen:
        raise NotApplicable(f"{made.cell.variant.name} is trained on undamaged images")
    return seen[0]


# -- generated images


def samples(made: Artefacts, sampler: str, n: int | None = None) -> np.ndarray:
    """A grid of n images decoded from codes that a sampler drew; a conditional model's labels are drawn as well."""
    n = _columns(made) ** 2 if n is None else n
    codes, labels = made.get("drawn_codes", sampler)[:n], made.get("drawn_labels", sampler)
    return squarish(decoded(made, codes, None if labels is None else labels[:n]))


def squarish(images: Tensor) -> np.ndarray:
    """About as many rows as columns of images (N, C, H, W), the last row ending grey."""
    columns = math.ceil(math.sqrt(len(images)))
    return image_files.grid(_filled(images, -(-len(images) // columns) * columns), columns)


def by_label(made: Artefacts, sampler: str, n: int | None = None) -> np.ndarray:
    """A row of n images for each of the first classes.

    A conditional model shows the same codes in every row, another label in each. A model that reads labels off its
    codes shows the first it calls so; where there are fewer than n of them, the row ends grey.
    """
    n = _columns(made) if n is None else n
    classes = min(made.model.net.size.classes, CLASSES)
    if made.model.conditional:
        codes = made.get("drawn_codes", sampler)[:n]
        return image_files.rows(*(decoded(made, codes, torch.full((len(codes),), k)) for k in range(classes)))
    read = made.get("sample_labels", sampler)
    codes = made.get("drawn_codes", sampler)
    return image_files.rows(*(_filled(decoded(made, codes[read == k][:n], None), n) for k in range(classes)))


def decoded(made: Artefacts, codes: Tensor, labels: Tensor | None) -> Tensor:
    """uint8 (N, C, H, W) of codes (N, D) and, for a conditional model, labels (N,)."""
    if not len(codes):
        return torch.zeros((0, *made.model.net.size.shape), dtype=torch.uint8)
    given = [None] * len(codes) if labels is None else labels.to(codes.device).split(BATCH)
    pairs = zip(codes.split(BATCH), given, strict=False)
    with _computing(made):
        return torch.cat([quantise(made.model.generate(z, y)).cpu() for z, y in pairs])


def _filled(images: Tensor, n: int) -> Tensor:
    """Up to n images with grey ones behind them."""
    blank = torch.full((n - len(images), *images.shape[1:]), image_files.GREY, dtype=torch.uint8)
    return torch.cat([images, blank])


# -- the space of codes


def manifold(made: Artefacts, side: int | None = None, label: int = 0) -> np.ndarray:
    """side² codes of a 2-d space, decoded: the first coordinate grows to the right, the second upwards.

    Where there is a prior, its quantiles at the middles of `side` equal parts (the unit square through the inverse
    normal distribution function, Kingma & Welling 2014, fig. 4); else equal steps over the middle 95 % of the test
    codes. A conditional model is given one `label`.
    """
    need_code(made)
    if made.cell.latent_size != 2:
        raise NotApplicable(f"a code of {made.cell.latent_size} numbers has no plane to show")
    side = _fitting(made.model.net.size.shape, 12, 8, 6) if side is None else side
    right, up = _axes(made, side)
    codes = torch.stack(torch.meshgrid(right, up.flip(0), indexing="xy"), -1).flatten(0, 1)  # (side², 2)
    labels = torch.full((len(codes),), label) if made.model.conditional else None
    return image_files.grid(decoded(made, codes, labels), side)


def _axes(made: Artefacts, side: int) -> tuple[Tensor, Tensor]:
    """`side` ascending values of each of the two coordinates."""
    if made.model.has_posterior:
        middles = (torch.arange(side, dtype=torch.float64) + 0.5) / side
        quantiles = torch.special.ndtri(middles).float().to(made.device)
        return quantiles, quantiles
    codes = made.get("codes")
    low, high = torch.quantile(codes, torch.tensor(MIDDLE, device=codes.device), dim=0)
    steps = torch.linspace(0, 1, side, device=codes.device).unsqueeze(1)
    right, up = (low + steps * (high - low)).unbind(1)
    return right, up


def need_code(made: Artefacts) -> None:
    """Raise `NotApplicable` for a model without a code."""
    if not made.model.has_code:
        raise NotApplicable(f"{made.cell.variant.name} has no code")


def interpolations(
    made: Artefacts, n: int | None = None, label: int | None = None, seed: int | None = None
) -> np.ndarray:
    """A row a pair of test images: one, STEPS images decoded from the straight line between both codes, the other.

    The decoded ends are the two reconstructions. See `pairs` for n, label and seed.
    """
    first, second = pairs(made, n, label, seed)
    ways = _ways(made, first, second)  # (n, STEPS, C, H, W)
    real = made.data.test.images.cpu()
    between, ends = image_files.rows(*ways), [image_files.rows(*real[i].unsqueeze(1)) for i in (first, second)]
    gap = np.full((len(between), 2 * image_files.GAP, between.shape[2]), image_files.GREY, np.uint8)
    return np.concatenate([ends[0], gap, between, gap, ends[1]], axis=1)


def interpolations_moving(
    made: Artefacts, n: int | None = None, label: int | None = None, seed: int | None = None
) -> np.ndarray:
    """The decoded images of `interpolations` as frames, pairs side by side, there and back: 2 · (STEPS − 1) of them."""
    ways = _ways(made, *pairs(made, n, label, seed))
    there = [image_files.rows(ways[:, step]) for step in range(STEPS)]
    return np.stack([*there, *there[-2:0:-1]])


def pairs(
    made: Artefacts, n: int | None = None, label: int | None = None, seed: int | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Indices of the test images that n interpolations begin and end with.

    Two classes each, as far as there are labels; for a conditional model, whose decoder is given one label, or where a
    `label` is asked for, two images of one class. seed: other images than the first of each class.
    """
    need_code(made)
    n = _fitting(made.data.shape, 5, 4, 3) if n is None else n
    count = len(made.data.test)
    order = np.arange(count) if seed is None else numpy_rng(seed, "pairs").permutation(count)
    ranked, classes = _by_rank(made.data, order)
    if label is not None:
        ranked = ranked[classes == label]
    elif made.model.conditional:
        ranked = np.concatenate([ranked[:0], *_in_turn([ranked[classes == k] for k in np.unique(classes)])])
    found = ranked[: min(2 * n, len(ranked) // 2 * 2)].reshape(-1, 2)
    if not len(found):
        raise NotApplicable("there are no two test images to go between")
    return found[:, 0], found[:, 1]


def _in_turn(groups: list[np.ndarray]) -> list[np.ndarray]:
    """Pairs of one group each: the first two of every group, then the next two of every group, ..."""
    longest = max((len(group) for group in groups), default=0)
    return [group[i : i + 2] for i in range(0, longest, 2) for group in groups if len(group) >= i + 2]


def _by_rank(data: Data, order: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Test images, in their `order`, with the first of each class first, then the second of each; and their classes."""
    if data.test.labels is None:
        return order, np.zeros(len(order), int)
    labels = data.test.labels.cpu().numpy()[order]
    rank = np.zeros(len(labels), int)
    for k in np.unique(labels):
        rank[labels == k] = np.arange((labels == k).sum())
    turn = np.lexsort((labels, rank))
    return order[turn], labels[turn]


def _ways(made: Artefacts, first: np.ndarray, second: np.ndarray) -> Tensor:
    """uint8 (n, STEPS, C, H, W): decoded on the lines between the codes of test images."""
    test, model = made.data.test, made.model
    ends = []
    for index in (first, second):
        y = None if test.labels is None else test.labels[index]
        with _computing(made):
            ends.append(model.encode(to_float(test.images[index]), y))
    t = torch.linspace(0, 1, STEPS, device=made.device).view(1, -1, 1)
    codes = (1 - t) * ends[0].unsqueeze(1) + t * ends[1].unsqueeze(1)  # (n, STEPS, D)
    labels = None if test.labels is None else test.labels[first].repeat_interleave(STEPS)
    return decoded(made, codes.flatten(0, 1), labels).unflatten(0, (len(first), STEPS))


# -- a linear model as a matrix


def identity(made: Artefacts, clipped: bool = False) -> np.ndarray:
    """W₂ W₁ (P, P) in colours, scaled to its largest magnitude; above 400 pixels each shows the mean of a block.

    A block on the diagonal holds one diagonal entry a row: the mean of an f × f block of the identity is 1/f, and as
    colours follow the largest mean, its diagonal stays the brightest.
    """
    matrix = made.get("linear_map").cpu().double().numpy()
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


# -- how many images fit


def _columns(made: Artefacts) -> int:
    return _fitting(made.model.net.size.shape, 8, 6, 4)


def _fitting(shape: tuple[int, int, int], small: int, middle: int, large: int) -> int:
    """How many images: `small` ones have up to 40 pixels a side, `middle` ones up to 72."""
    side = max(shape[1:])
    return small if side <= 40 else middle if side <= 72 else large
