"""What metrics may ask for, each thing made once, when it is first asked for.

One method an artefact: `make_codes` makes `codes`. `bench/metrics/__init__.py` says what each is. One that does not
exist for a model (the ELBO of a deterministic code, the codes of a mean image) raises `NotApplicable`, whose words then
stand in the record instead of a number.
"""

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from . import registry
from .datasets import Data
from .embeddings import embed, require_spread
from .errors import NotApplicable
from .likelihoods import gaussian_kl, gaussian_log_prob, reparametrise
from .rulers import Ruler
from .streams import derive, generator, numpy_rng
from .suite import Cell
from .train import to_float

BATCH = 500  #: images, or codes, of a forward pass
SAMPLER_POINTS = 10_000  #: train codes a sampler is fitted on, the first of a fixed permutation


@dataclass
class Rulers:
    """Where a dataset's feature nets come from, each made when first asked for."""

    classifier: Callable[[], Ruler]
    inception: Callable[[], Ruler]
    used: dict[str, Ruler] = field(default_factory=dict)
    cache: dict[str, Tensor] = field(default_factory=dict)  #: features of the test images, by ruler name

    def get(self, name: str) -> Ruler:
        """`classifier` or `inception`; raises `NotApplicable` where it cannot be had."""
        if name not in self.used:
            self.used[name] = self.classifier() if name == "classifier" else self.inception()
        return self.used[name]

    def prepare(self, metrics: tuple[str, ...]) -> None:
        """Make (or train, once a dataset) the nets these metrics need, so that no cell's seconds pay for it."""
        for kind in ("classifier", "inception"):
            if any(f"{kind}_test" in registry.load("metrics", name).needs for name in metrics):
                with suppress(NotApplicable):
                    self.get(kind)

    def describe(self) -> dict[str, dict[str, Any]]:
        """Name (with hash) and accuracy of the nets that have been used, for the record."""
        return {kind: {"name": r.name, "accuracy": r.accuracy} for kind, r in self.used.items()}


class Artefacts:
    """Everything a metric may ask for, made on demand. One method an artefact; see `bench/metrics/__init__.py`."""

    def __init__(self, model: Any, data: Data, cell: Cell, rulers: Rulers, device: torch.device) -> None:
        self.model, self.data, self.cell, self.rulers, self.device = model, data, cell, rulers, device
        self.seconds: dict[str, float] = {}
        self._made: dict[tuple[str, str | None], Any] = {}
        self._inner = 0.0  # seconds spent in artefacts that the current one asked for

    def get(self, name: str, member: str | None = None) -> Any:
        """The artefact, made now or before. Raises `NotApplicable`, each time it is asked for, where there is none."""
        key = (name, member if name in self.PER_MEMBER else None)
        if key not in self._made:
            self._made[key] = self._make(name, member)
        if isinstance(self._made[key], NotApplicable):
            raise self._made[key]
        return self._made[key]

    PER_MEMBER = ("samples", "points", "classifier_samples", "inception_samples")

    def _make(self, name: str, member: str | None) -> Any:
        outer, self._inner = self._inner, 0.0
        start = time.perf_counter()
        make = getattr(self, f"make_{name}")
        try:
            with torch.no_grad():
                value = make(member) if name in self.PER_MEMBER else make()
        except NotApplicable as reason:
            value = reason
        total = time.perf_counter() - start
        label = f"{name}_{member}" if name in self.PER_MEMBER else name
        self.seconds[label] = total - self._inner
        self._inner = outer + total
        return value

    # -- images and labels

    def make_test_uint8(self) -> Tensor:
        return self.data.test.images

    def make_images(self) -> Tensor:
        return to_float(self.data.test.images)

    def make_labels(self) -> Tensor:
        return _labels(self.data.test.labels)

    def make_train_labels(self) -> Tensor:
        return _labels(self.data.train.labels)

    # -- codes

    def make_codes(self) -> Tensor:
        return self._codes(self.data.test.images)

    def make_train_codes(self) -> Tensor:
        return self._codes(self.data.train.images)

    def _codes(self, images: Tensor) -> Tensor:
        if not self.model.has_code:
            raise NotApplicable(f"{self.cell.variant.name} has no code")
        return torch.cat([self.model.encode(to_float(b)) for b in images.split(BATCH)])

    def make_reconstructions(self) -> Tensor:
        codes = self.get("codes") if self.model.has_code else torch.zeros(len(self.data.test), 1, device=self.device)
        return torch.cat([self.model.generate(z) for z in codes.split(BATCH)])

    # -- the bound

    def make_posterior(self) -> tuple[Tensor, Tensor]:
        if not self.model.has_posterior:
            raise NotApplicable("a deterministic code has no posterior")
        parts = [self.model.posterior(to_float(b)) for b in self.data.test.images.split(BATCH)]
        return torch.cat([p.mean for p in parts]), torch.cat([p.log_var for p in parts])

    def make_posterior_mean(self) -> Tensor:
        return self.get("posterior")[0]

    def make_posterior_log_var(self) -> Tensor:
        return self.get("posterior")[1]

    def make_kl(self) -> Tensor:
        return gaussian_kl(*self.get("posterior"))

    def make_nll(self) -> Tensor:
        mean, log_var = self.get("posterior")
        eps = torch.randn(mean.shape, generator=generator(self.cell.seed, "elbo", self.device), device=self.device)
        z = reparametrise(mean, log_var, eps)
        batches = zip(z.split(BATCH), self.get("images").split(BATCH), strict=True)
        return torch.cat([self.model.likelihood.nll(self.model.decode(b), x) for b, x in batches])

    def make_log_weights(self) -> Tensor:
        k, noise = self.cell.evaluate.iw_samples, generator(self.cell.seed, "iw", self.device)
        chosen = _fixed_subset(len(self.data.test), self.cell.evaluate.iw_images)
        mean, log_var = self.get("posterior")
        parts = torch.as_tensor(chosen, device=self.device).split(max(1, BATCH // k))
        return torch.cat([self._log_weights(index, mean, log_var, k, noise) for index in parts])

    def _log_weights(
        self, index: Tensor, mean: Tensor, log_var: Tensor, k: int, noise: torch.Generator
    ) -> Tensor:
        """log p(x|z) + log p(z) − log q(z|x) for k draws of the images at `index`: (B, k)."""
        mean, log_var = mean[index].unsqueeze(1), log_var[index].unsqueeze(1)  # (B, 1, D)
        eps = torch.randn(len(index), k, mean.shape[2], generator=noise, device=self.device)
        z = reparametrise(mean, log_var, eps)  # (B, k, D)
        x = self.get("images")[index].repeat_interleave(k, 0)  # (B·k, C, H, W)
        nll = self.model.likelihood.nll(self.model.decode(z.flatten(0, 1)), x).view(len(index), k)
        prior = gaussian_log_prob(z, torch.zeros_like(z), torch.zeros_like(z))
        return prior - gaussian_log_prob(z, mean, log_var) - nll

    # -- generated images

    def make_samples(self, sampler: str | None) -> Tensor:
        """uint8 (S, C, H, W): real and generated images are quantised through one path."""
        assert sampler is not None
        codes = torch.as_tensor(self._sampled_codes(sampler), dtype=torch.float32, device=self.device)
        return torch.cat([quantise(self.model.generate(z)) for z in codes.split(BATCH)])

    def _sampled_codes(self, name: str) -> np.ndarray:
        n, seed = self.cell.evaluate.n_samples, self.cell.seed
        kind = registry.load("samplers", name)
        sampler = kind()
        codes = self.get("sampler_codes") if kind.needs_codes else np.zeros((1, self.cell.latent_size))
        sampler.fit(codes, derive(seed, f"sampler:{name}") % 2**32)
        return sampler.sample(n, numpy_rng(seed, f"sampler:{name}"))

    def make_sampler_codes(self) -> np.ndarray:
        codes = self.get("train_codes").cpu().double().numpy()
        require_spread(codes)
        return codes[_fixed_subset(len(codes), SAMPLER_POINTS)]

    # -- features under a ruler

    def make_classifier_test(self) -> Tensor:
        return self._test_features(self.rulers.get("classifier"))

    def make_classifier_samples(self, sampler: str | None) -> Tensor:
        return self.rulers.get("classifier").features(self.get("samples", sampler))

    def make_inception_test(self) -> Tensor:
        return self._test_features(self.rulers.get("inception"))

    def make_inception_samples(self, sampler: str | None) -> Tensor:
        return self.rulers.get("inception").features(self.get("samples", sampler))

    def _test_features(self, ruler: Ruler) -> Tensor:
        if ruler.name not in self.rulers.cache:
            self.rulers.cache[ruler.name] = ruler.features(self.data.test.images)
        return self.rulers.cache[ruler.name]

    # -- maps

    def make_point_index(self) -> np.ndarray:
        return _fixed_subset(len(self.data.test), self.cell.evaluate.embed.points)

    def make_points_source(self) -> Tensor:
        index = torch.as_tensor(self.get("point_index"), device=self.device)
        return self.get("codes")[index]

    def make_points(self, space: str | None) -> Tensor:
        codes = self.get("points_source")
        require_spread(codes.cpu().numpy())
        if space == "latent":
            return codes
        assert space is not None
        return torch.from_numpy(embed(space, codes.cpu().numpy(), self.cell.evaluate.embed))

    def make_point_labels(self) -> Tensor:
        return self.get("labels")[torch.as_tensor(self.get("point_index"), device=self.device)]

    # -- what stands beside a value

    def make_knn_k(self) -> int:
        return self.cell.evaluate.knn_k

    def make_iw_k(self) -> int:
        return self.cell.evaluate.iw_samples

    def make_likelihood(self) -> str:
        options = "".join(f" {k}={v:g}" for k, v in sorted(self.cell.likelihood.options.items()))
        return f"{self.cell.likelihood.name}{options}"

    def make_binarisation(self) -> str:
        return str(self.cell.dataset.options.get("binarise", "none"))

    def make_classifier(self) -> str:
        return self.rulers.get("classifier").name

    def make_inception(self) -> str:
        return self.rulers.get("inception").name


def quantise(images: Tensor) -> Tensor:
    """Images in [0, 1] to uint8, rounded to nearest."""
    return (images.clamp(0, 1) * 255).round().to(torch.uint8)


def _fixed_subset(n: int, size: int) -> np.ndarray:
    """`size` of `n` indices, sorted, the same for every cell."""
    if n <= size:
        return np.arange(n)
    return np.sort(np.random.default_rng(derive(0, "subset")).permutation(n)[:size])


def _labels(labels: Tensor | None) -> Tensor:
    if labels is None:
        raise NotApplicable("the dataset has no labels")
    return labels
