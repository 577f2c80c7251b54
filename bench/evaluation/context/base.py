"""`EvaluationContext`, and the table of functions that provide its inputs."""

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import repeat
from typing import Any

import torch
from torch import Tensor

from bench.datasets import Data, Split
from bench.errors import NotApplicable
from bench.evaluation.feature_extractors import FeatureExtractors
from bench.suite import Cell

BATCH = 500  #: images, or codes, of a forward pass


@dataclass(frozen=True)
class Provider:
    """How one input is computed.

    function: takes the context, and the member of the family where `per` is set.
    per: "sampler", "space" or "corruption" where the input differs between the members of such a family.
    kept: False for an input as large as the test set for each member, which is used once or quick to compute again.
    """

    function: Callable[..., Any]
    per: str | None = None
    kept: bool = True


PROVIDERS: dict[str, Provider] = {}  #: name of an input → how it is computed


def provides(per: str | None = None, kept: bool = True) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Declare a function to provide the input of its name; see `Provider`."""

    def declare(function: Callable[..., Any]) -> Callable[..., Any]:
        PROVIDERS[function.__name__] = Provider(function, per, kept)
        return function

    return declare


class EvaluationContext:
    """A trained model, its data, the feature extractors of its dataset, and the inputs computed so far.

    model: trained, on `device`, in evaluation mode. data: its tensors are on `device`.
    given: inputs that are there already, by name and member of the family; a `NotApplicable` for one that is missing.
    """

    def __init__(
        self,
        model: Any,
        data: Data,
        cell: Cell,
        extractors: FeatureExtractors,
        device: torch.device,
        given: Mapping[tuple[str, str | None], Any] | None = None,
    ) -> None:
        self.model, self.data, self.cell, self.extractors, self.device = model, data, cell, extractors, device
        self.seconds: dict[str, float] = {}  #: by input, without the inputs that it is computed from
        self._inputs: dict[tuple[str, str | None], Any] = dict(given or {})
        self._inner = 0.0  # seconds spent in the inputs that the current one asked for

    def get(self, name: str, member: str | None = None) -> Any:
        """The input, computed now or before. Raises `NotApplicable`, on every call, where it does not exist."""
        provider = PROVIDERS[name]
        key = (name, member if provider.per else None)
        value = self._inputs[key] if key in self._inputs else self._compute(name, provider, member)
        if provider.kept:
            self._inputs[key] = value
        if isinstance(value, NotApplicable):
            raise value
        return value

    def _compute(self, name: str, provider: Provider, member: str | None) -> Any:
        outer, self._inner = self._inner, 0.0
        start = time.perf_counter()
        try:
            with torch.no_grad():
                value = provider.function(self, member) if provider.per else provider.function(self)
        except NotApplicable as reason:
            value = reason
        total = time.perf_counter() - start
        label = f"{name}_{member}" if provider.per else name
        self.seconds[label] = self.seconds.get(label, 0.0) + total - self._inner
        self._inner = outer + total
        return value


def batches(split: Split) -> Iterator[tuple[Tensor, Tensor | None]]:
    """Images (B, C, H, W) uint8 and their labels (B,), or None for data without labels."""
    labels = repeat(None) if split.labels is None else split.labels.split(BATCH)
    return zip(split.images.split(BATCH), labels, strict=False)


def quantise(images: Tensor) -> Tensor:
    """Images in [0, 1] to uint8, rounded to nearest."""
    return (images.clamp(0, 1) * 255).round().to(torch.uint8)
