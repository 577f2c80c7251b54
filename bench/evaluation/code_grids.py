"""Images decoded along paths and over planes of the code space: interpolations and manifolds.

Arrays are uint8 (H, W, C), frames (T, H, W, C). A figure that does not exist for a model raises `NotApplicable`.
"""

import numpy as np
import torch
from torch import Tensor

from bench.datasets._splits import to_float
from bench.errors import NotApplicable
from bench.models.seeding import numpy_rng

from . import image_files
from .context import EvaluationContext
from .context.codes import require_code
from .image_grids import by_rank, decoded, images_that_fit, timed

STEPS = 9  #: decoded images from one end of an interpolation to the other
MIDDLE = (0.025, 0.975)  #: quantiles of the test codes between which the manifold of a deterministic code lies


def manifold(context: EvaluationContext, side: int | None = None, label: int = 0) -> np.ndarray:
    """side² codes of a 2-d space, decoded: the first coordinate grows to the right, the second upwards.

    With a prior, the coordinates are its quantiles at the middles of `side` equal parts of probability (Kingma &
    Welling 2014, fig. 4). Without, they are equal steps over the middle 95 % of the test codes. A conditional model
    decodes with one `label`.
    """
    require_code(context)
    if context.cell.latent_size != 2:
        raise NotApplicable(f"a code of {context.cell.latent_size} numbers has no plane to show")
    side = images_that_fit(context.model.net.size.shape, 12, 8, 6) if side is None else side
    right, up = _axes(context, side)
    codes = torch.stack(torch.meshgrid(right, up.flip(0), indexing="xy"), -1).flatten(0, 1)  # (side², 2)
    labels = torch.full((len(codes),), label) if context.model.conditional else None
    return image_files.grid(decoded(context, codes, labels), side)


def _axes(context: EvaluationContext, side: int) -> tuple[Tensor, Tensor]:
    """`side` ascending values of each of the two coordinates."""
    if context.model.has_posterior:
        middles = (torch.arange(side, dtype=torch.float64) + 0.5) / side
        quantiles = torch.special.ndtri(middles).float().to(context.device)
        return quantiles, quantiles
    codes = context.get("codes")
    low, high = torch.quantile(codes, torch.tensor(MIDDLE, device=codes.device), dim=0)
    steps = torch.linspace(0, 1, side, device=codes.device).unsqueeze(1)
    right, up = (low + steps * (high - low)).unbind(1)
    return right, up


def interpolations(
    context: EvaluationContext, n: int | None = None, label: int | None = None, seed: int | None = None
) -> np.ndarray:
    """A row a pair of test images: the first, STEPS images decoded between both codes, the second.

    The codes lie at equal steps on the straight line, both ends included. See `pairs` for n, label and seed.
    """
    first, second = pairs(context, n, label, seed)
    paths = _paths(context, first, second)  # (n, STEPS, C, H, W)
    real = context.data.test.images.cpu()
    between, ends = image_files.rows(*paths), [image_files.rows(*real[i].unsqueeze(1)) for i in (first, second)]
    gap = np.full((len(between), 2 * image_files.GAP, between.shape[2]), image_files.GREY, np.uint8)
    return np.concatenate([ends[0], gap, between, gap, ends[1]], axis=1)


def interpolations_moving(
    context: EvaluationContext, n: int | None = None, label: int | None = None, seed: int | None = None
) -> np.ndarray:
    """The decoded images of `interpolations` as 2 · (STEPS − 1) frames, forwards and backwards, pairs side by side."""
    paths = _paths(context, *pairs(context, n, label, seed))
    forwards = [image_files.rows(paths[:, step]) for step in range(STEPS)]
    return np.stack([*forwards, *forwards[-2:0:-1]])


def pairs(
    context: EvaluationContext, n: int | None = None, label: int | None = None, seed: int | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Indices of the test images that n interpolations begin and end with.

    The two images are of different classes where there are labels. They are of one class for a conditional model, whose
    decoder takes one label, and where a `label` is given. seed: draws other images than the first of each class.
    """
    require_code(context)
    n = images_that_fit(context.data.shape, 5, 4, 3) if n is None else n
    count = len(context.data.test)
    order = np.arange(count) if seed is None else numpy_rng(seed, "pairs").permutation(count)
    ranked, classes = by_rank(context.data, order)
    if label is not None:
        ranked = ranked[classes == label]
    elif context.model.conditional:
        ranked = np.concatenate([ranked[:0], *_in_turn([ranked[classes == k] for k in np.unique(classes)])])
    found = ranked[: min(2 * n, len(ranked) // 2 * 2)].reshape(-1, 2)
    if not len(found):
        raise NotApplicable("there are no two test images to interpolate between")
    return found[:, 0], found[:, 1]


def _in_turn(groups: list[np.ndarray]) -> list[np.ndarray]:
    """Pairs of one group each: the first two of every group, then the next two of every group, ..."""
    longest = max((len(group) for group in groups), default=0)
    return [group[i : i + 2] for i in range(0, longest, 2) for group in groups if len(group) >= i + 2]


def _paths(context: EvaluationContext, first: np.ndarray, second: np.ndarray) -> Tensor:
    """uint8 (n, STEPS, C, H, W): decoded at equal steps between the codes of test images."""
    test, model = context.data.test, context.model
    ends = []
    for index in (first, second):
        y = None if test.labels is None else test.labels[index]
        with timed(context):
            ends.append(model.encode(to_float(test.images[index]), y))
    t = torch.linspace(0, 1, STEPS, device=context.device).view(1, -1, 1)
    codes = (1 - t) * ends[0].unsqueeze(1) + t * ends[1].unsqueeze(1)  # (n, STEPS, D)
    labels = None if test.labels is None else test.labels[first].repeat_interleave(STEPS)
    return decoded(context, codes.flatten(0, 1), labels).unflatten(0, (len(first), STEPS))
