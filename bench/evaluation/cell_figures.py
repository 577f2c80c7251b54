"""The figures of a cell: which there are, how each is drawn, and how many bytes its file may take.

| file | what it shows |
|---|---|
| `reconstructions` | test images, and their reconstructions |
| `restored_<corruption>` | test images, the same images corrupted, and the reconstructions of the corrupted ones |
| `restored_training` | the same under the corruption that the model was trained to remove |
| `samples_<sampler>` | images decoded from codes that a sampler drew |
| `by_label_<sampler>` | a row a class: images of the given label, or those that its classifier assigns to it |
| `manifold` | a grid of 2-d codes, decoded |
| `interpolations` | images decoded between two test images, which stand at both ends |
| `interpolations_moving` | the same images as frames, forwards and backwards |
| `identity`, `identity_clipped` | W₂ W₁ of a linear model as a heatmap; clipped: negative entries as 0 |

Arrays are uint8 (H, W, C), frames (T, H, W, C). A figure that does not exist for a model raises `NotApplicable`.
"""

from collections.abc import Callable, Collection, Sequence
from functools import partial
from typing import Any

import numpy as np

from bench import registry
from bench.suite.names import CORRUPTIONS

from .code_grids import interpolations, interpolations_moving, manifold
from .context import EvaluationContext
from .heatmaps import identity
from .image_grids import by_label, reconstructions, restored, restored_training, samples

#: bytes of each file; together with its record, curves and maps a cell stays below 200 kB
BYTES = {
    "reconstructions": 9_000, "restored": 7_000, "samples": 12_000, "by_label": 12_000, "manifold": 20_000,
    "interpolations": 10_000, "interpolations_moving": 15_000, "identity": 10_000, "identity_clipped": 8_000,
}  # fmt: skip

Figure = Callable[[], np.ndarray]


def figures_of(context: EvaluationContext, metrics: Collection[str]) -> dict[str, Figure]:
    """File name → the function that draws it, for all figures of a cell.

    Each corruption of the protocol is shown where one of `metrics` is measured under it. A function raises
    `NotApplicable` where the model has no such figure.
    """
    samplers = context.cell.evaluate.samplers
    corrupted = any(registry.describe("metrics", m).constants.get("per") == "corruption" for m in metrics)
    found: dict[str, Figure] = {"reconstructions": partial(reconstructions, context)}
    found |= {f"restored_{c}": partial(restored, context, c) for c in CORRUPTIONS if corrupted}
    found["restored_training"] = partial(restored_training, context)
    found |= {f"samples_{s}": partial(samples, context, s) for s in samplers}
    chosen = label_sampler(context.model, samplers)
    found[f"by_label_{chosen}"] = partial(by_label, context, chosen)
    found["manifold"] = partial(manifold, context)
    found["interpolations"] = partial(interpolations, context)
    found["interpolations_moving"] = partial(interpolations_moving, context)
    found["identity"] = partial(identity, context)
    found["identity_clipped"] = partial(identity, context, clipped=True)
    return found


def byte_budget(name: str) -> int:
    """Bytes that the file of a figure may take."""
    return BYTES[name] if name in BYTES else next(n for kind, n in BYTES.items() if name.startswith(f"{kind}_"))


def label_sampler(model: Any, samplers: Sequence[str]) -> str:
    """The sampler of the figure by label: the prior where the model was trained for it, else the suite's last."""
    return "prior" if model.has_posterior and "prior" in samplers else samplers[-1]
