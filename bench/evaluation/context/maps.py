"""Two-dimensional maps of the test codes."""

import numpy as np
import torch
from torch import Tensor

from bench.evaluation.embeddings import embed, library_of, require_spread, used_n_neighbors, used_perplexity
from bench.evaluation.subsets import fixed_subset
from bench.models.seeding import numpy_rng

from .base import EvaluationContext, provides

MAP_REDRAWS = 2  #: further draws of each map, for the spread of what is measured on it
MAPS_REDRAWN_FOR = 0  #: the training seed whose maps are drawn again; maps take longer than all else


@provides()
def point_index(context: EvaluationContext) -> np.ndarray:
    """Indices of the test images on a map, a fixed random subset."""
    return fixed_subset(len(context.data.test), context.cell.evaluate.embed.points)


@provides()
def points_source(context: EvaluationContext) -> Tensor:
    index = torch.as_tensor(context.get("point_index"), device=context.device)
    return context.get("codes")[index]


@provides(per="space")
def points(context: EvaluationContext, space: str) -> Tensor:
    codes = context.get("points_source")
    require_spread(codes.cpu().numpy())
    return codes if space == "latent" else _map(context, space)


@provides(per="space")
def redrawn_points(context: EvaluationContext, space: str) -> list[Tensor]:
    if space == "latent" or context.cell.seed != MAPS_REDRAWN_FOR:
        return []
    return [_map(context, space, redraw) for redraw in range(1, MAP_REDRAWS + 1)]


def _map(context: EvaluationContext, space: str, redraw: int = 0) -> Tensor:
    """The map of the test codes (P, 2).

    redraw: 0 for the map itself. For another draw of it: added to the map's seed, and the seed of changes to the codes
    within the rounding of float32, because t-SNE starts from the principal plane whatever its seed.
    """
    protocol, codes = context.cell.evaluate.embed, context.get("points_source").cpu().numpy()
    if redraw:
        protocol = protocol.model_copy(update={"seed": (protocol.seed + redraw) % 2**32})
        noise = numpy_rng(redraw, "map").standard_normal(codes.shape).astype(np.float32)
        codes = codes * (1 + np.finfo(np.float32).eps * noise)
    return torch.from_numpy(embed(space, codes, protocol))


@provides()
def point_labels(context: EvaluationContext) -> Tensor:
    return context.get("labels")[torch.as_tensor(context.get("point_index"), device=context.device)]


@provides(per="space")
def map(context: EvaluationContext, space: str) -> str | None:  # noqa: A001  (the name in records)
    return library_of(space)


@provides(per="space")
def perplexity(context: EvaluationContext, space: str) -> float | None:
    """The perplexity of a t-SNE map where it is not the protocol's, because there are too few points."""
    protocol = context.cell.evaluate.embed
    used = used_perplexity(protocol, len(context.get("point_index")))
    return used if space == "tsne" and used != protocol.perplexity else None


@provides(per="space")
def n_neighbors(context: EvaluationContext, space: str) -> int | None:
    """The neighbours of a UMAP map where they are not the protocol's, because there are too few points."""
    protocol = context.cell.evaluate.embed
    used = used_n_neighbors(protocol, len(context.get("point_index")))
    return used if space == "umap" and used != protocol.n_neighbors else None
