"""What metrics may ask for, each thing made once, when it is first asked for.

One method an artefact: `make_codes` makes `codes`. `metrics/__init__.py` says what each is. One that does not
exist for a model (the ELBO of a deterministic code, the codes of a mean image) raises `NotApplicable`, whose words then
stand in the record instead of a number.
"""

import time
from collections.abc import Iterator
from functools import partial
from itertools import repeat
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from bench import registry
from bench.datasets import Data, Split
from bench.datasets._splits import subset, to_float
from bench.errors import NotApplicable
from bench.models.corruptions import lost_pixels
from bench.models.likelihoods import gaussian_kl, gaussian_log_prob, reparametrise
from bench.models.seeding import derive, generator, numpy_rng
from bench.suite import Cell

from .embeddings import embed, library_of, require_spread
from .feature_extractors import FeatureExtractor, FeatureExtractors
from .jacobian import squared_norms
from .neighbors import covered_by_each_other, nearest_label, need, neighbour_radii

BATCH = 500  #: images, or codes, of a forward pass
SAMPLER_POINTS = 10_000  #: train codes a sampler is fitted on, the first of a fixed permutation
TRAIN_IMAGES = 10_000  #: train images that are reconstructed
JACOBIAN_IMAGES = 1_000  #: test images at which the encoder is differentiated
BALL_K = 3  #: neighbours that set a ball's radius, the choice of Kynkäänniemi et al. 2019


class EvaluationContext:
    """Everything a metric may ask for, made on demand. One method an artefact; see `metrics/__init__.py`."""

    def __init__(self, model: Any, data: Data, cell: Cell, extractors: FeatureExtractors, device: torch.device) -> None:
        self.model, self.data, self.cell, self.extractors, self.device = model, data, cell, extractors, device
        self.seconds: dict[str, float] = {}
        self._made: dict[tuple[str, str | None], Any] = {}
        self._inner = 0.0  # seconds spent in artefacts that the current one asked for

    def get(self, name: str, member: str | None = None) -> Any:
        """The artefact, made now or before. Raises `NotApplicable`, each time it is asked for, where there is none."""
        key = (name, member if name in self.PER else None)
        value = self._made[key] if key in self._made else self._make(name, member)
        if name not in self.NOT_KEPT:
            self._made[key] = value
        if isinstance(value, NotApplicable):
            raise value
        return value

    #: artefacts that differ between the members of a family, and what that is a family by
    PER: ClassVar[dict[str, str]] = {
        "drawn_codes": "sampler",
        "drawn_labels": "sampler",
        "samples": "sampler",
        "sample_labels": "sampler",
        "sample_logits": "sampler",
        "classifier_samples": "sampler",
        "coverage": "sampler",
        "samples_covered": "sampler",
        "test_covered": "sampler",
        "inception_samples": "sampler",
        "points": "space",
        "map": "space",
        "corrupted_pixels": "corruption",
        "corrupted_split": "corruption",
        "corrupted_images": "corruption",
        "corrupted_reconstructions": "corruption",
    }
    #: as large as the test set, one for each corruption, and asked for once or quick to make again
    NOT_KEPT = ("corrupted_images", "corrupted_reconstructions")

    def _make(self, name: str, member: str | None) -> Any:
        outer, self._inner = self._inner, 0.0
        start = time.perf_counter()
        make = getattr(self, f"make_{name}")
        try:
            with torch.no_grad():
                value = make(member) if name in self.PER else make()
        except NotApplicable as reason:
            value = reason
        total = time.perf_counter() - start
        label = f"{name}_{member}" if name in self.PER else name
        self.seconds[label] = self.seconds.get(label, 0.0) + total - self._inner
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

    def make_trained_on(self) -> Split:
        """The train images that the model has seen: all of them, or those of the suite's `train_images`."""
        return subset(self.data.train, self.cell.train.train_images)

    def make_train_split(self) -> Split:
        seen = self.get("trained_on")
        index = torch.as_tensor(_fixed_subset(len(seen), TRAIN_IMAGES), device=self.device)
        return Split(seen.images[index], None if seen.labels is None else seen.labels[index])

    def make_train_images(self) -> Tensor:
        return to_float(self.get("train_split").images)

    def make_train_mean(self) -> Tensor:
        return self.get("trained_on").images.double().mean(0).div(255).float()

    def make_varying_pixels(self) -> Tensor:
        images = self.get("trained_on").images
        return (images.amax(0) != images.amin(0)).flatten()

    # -- codes

    def make_codes(self) -> Tensor:
        return self._codes(self.data.test)

    def make_train_codes(self) -> Tensor:
        return self._codes(self.data.train)

    def _codes(self, split: Split) -> Tensor:
        if not self.model.has_code:
            raise NotApplicable(f"{self.cell.variant.name} has no code")
        return torch.cat([self.model.encode(to_float(x), y) for x, y in batches(split)])

    def make_knn_predictions(self) -> Tensor:
        codes, labels, k = self.get("train_codes"), self.get("train_labels"), self.get("knn_k")
        need(k, codes, "train codes")
        return nearest_label(self.get("codes"), codes, labels, k)

    def make_jacobian_norms(self) -> Tensor:
        test, noise = self.data.test, generator(0, "jacobian")
        if not self.model.has_code:
            raise NotApplicable(f"{self.cell.variant.name} has no code")
        index = torch.as_tensor(_fixed_subset(len(test), JACOBIAN_IMAGES), device=self.device)
        chosen = Split(test.images[index], None if test.labels is None else test.labels[index])
        parts = [squared_norms(partial(self.model.encode, y=y), to_float(x), noise) for x, y in batches(chosen)]
        return torch.cat(parts)

    # -- reconstructions

    def make_reconstructions(self) -> Tensor:
        return self._reconstruct(self.data.test, self.get("codes") if self.model.has_code else None)

    def make_train_reconstructions(self) -> Tensor:
        return self._reconstruct(self.get("train_split"))

    def _reconstruct(self, split: Split, codes: Tensor | None = None) -> Tensor:
        """Images decoded from the codes of `split`, which are `codes` where they are known already."""
        if codes is None:
            codes = self._codes(split) if self.model.has_code else torch.zeros(len(split), 1, device=self.device)
        pairs = zip(codes.split(BATCH), batches(split), strict=True)
        return torch.cat([self.model.generate(z, y) for z, (_, y) in pairs])

    def make_corrupted_pixels(self, corruption: str | None) -> Tensor:
        assert corruption is not None
        _, height, width = self.data.shape
        return lost_pixels(corruption, len(self.data.test), height, width).to(self.device)

    def make_corrupted_split(self, corruption: str | None) -> Split:
        kept = ~self.get("corrupted_pixels", corruption)
        return Split(self.data.test.images * kept, self.data.test.labels)

    def make_corrupted_images(self, corruption: str | None) -> Tensor:
        return to_float(self.get("corrupted_split", corruption).images)

    def make_corrupted_reconstructions(self, corruption: str | None) -> Tensor:
        return self._reconstruct(self.get("corrupted_split", corruption))

    def make_linear_map(self) -> Tensor:
        if not hasattr(self.model, "linear_map"):
            raise NotApplicable("the model is not linear")
        return self.model.linear_map()

    # -- the bound

    def make_posterior(self) -> tuple[Tensor, Tensor]:
        if not self.model.has_posterior:
            raise NotApplicable("a deterministic code has no posterior")
        parts = [self.model.posterior(to_float(x), y) for x, y in batches(self.data.test)]
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
        pairs = zip(z.split(BATCH), batches(self.data.test), strict=True)
        return torch.cat([self.model.likelihood.nll(self.model.decode(b, y), to_float(x)) for b, (x, y) in pairs])

    def make_log_weights(self) -> Tensor:
        k, noise = self.cell.evaluate.iw_samples, generator(self.cell.seed, "iw", self.device)
        chosen = _fixed_subset(len(self.data.test), self.cell.evaluate.iw_images)
        mean, log_var = self.get("posterior")
        parts = torch.as_tensor(chosen, device=self.device).split(max(1, BATCH // k))
        return torch.cat([self._log_weights(index, mean, log_var, k, noise) for index in parts])

    def _log_weights(self, index: Tensor, mean: Tensor, log_var: Tensor, k: int, noise: torch.Generator) -> Tensor:
        """log p(x|z) + log p(z) − log q(z|x) for k draws of the images at `index`: (B, k)."""
        mean, log_var = mean[index].unsqueeze(1), log_var[index].unsqueeze(1)  # (B, 1, D)
        eps = torch.randn(len(index), k, mean.shape[2], generator=noise, device=self.device)
        z = reparametrise(mean, log_var, eps)  # (B, k, D)
        x = self.get("images")[index].repeat_interleave(k, 0)  # (B·k, C, H, W)
        y = None if self.data.test.labels is None else self.data.test.labels[index].repeat_interleave(k, 0)
        nll = self.model.likelihood.nll(self.model.decode(z.flatten(0, 1), y), x).view(len(index), k)
        prior = gaussian_log_prob(z, torch.zeros_like(z), torch.zeros_like(z))
        return prior - gaussian_log_prob(z, mean, log_var) - nll

    # -- generated images

    def make_samples(self, sampler: str | None) -> Tensor:
        return self._generate(self.get("drawn_codes", sampler), self.get("drawn_labels", sampler))

    def _generate(self, codes: Tensor, labels: Tensor | None) -> Tensor:
        """uint8 (S, C, H, W): real and generated images are quantised through one path."""
        pairs = zip(codes.split(BATCH), (labels.split(BATCH) if labels is not None else repeat(None)), strict=False)
        return torch.cat([quantise(self.model.generate(z, y)) for z, y in pairs])

    def make_drawn_labels(self, sampler: str | None) -> Tensor | None:
        """Labels for a conditional model's samples, as frequent as among the train images."""
        if not self.model.conditional:
            return None
        among = self.get("train_labels").cpu().numpy()
        drawn = numpy_rng(self.cell.seed, f"labels:{sampler}").choice(among, self.cell.evaluate.n_samples)
        return torch.as_tensor(drawn, device=self.device)

    def make_drawn_codes(self, sampler: str | None) -> Tensor:
        assert sampler is not None
        seed, kind = self.cell.seed, registry.load("samplers", sampler)
        density = kind()
        codes = self.get("sampler_codes") if kind.needs_codes else np.zeros((1, self.cell.latent_size))
        density.fit(codes, derive(seed, f"sampler:{sampler}") % 2**32)
        drawn = density.sample(self.cell.evaluate.n_samples, numpy_rng(seed, f"sampler:{sampler}"))
        return torch.as_tensor(drawn, dtype=torch.float32, device=self.device)

    def make_sample_labels(self, sampler: str | None) -> Tensor:
        given = self.get("drawn_labels", sampler)
        if given is not None:
            return given
        if not hasattr(self.model, "classify"):
            raise NotApplicable(f"{self.cell.variant.name} gives its samples no label")
        codes = self.get("drawn_codes", sampler)
        return torch.cat([self.model.classify(z).argmax(1) for z in codes.split(BATCH)])

    def make_interpolations(self) -> Tensor:
        """uint8 (N, C, H, W): what lies half-way between the codes of two test images."""
        codes = self.get("codes")
        need(2, codes, "test images")
        if self.model.conditional:
            raise NotApplicable("codes of two labels have no label half-way between them")
        first, second = (torch.as_tensor(i, device=self.device) for i in _fixed_pairs(len(codes)))
        return self._generate((codes[first] + codes[second]) / 2, None)

    def make_sampler_codes(self) -> np.ndarray:
        codes = self.get("train_codes").cpu().double().numpy()
        require_spread(codes)
        return codes[_fixed_subset(len(codes), SAMPLER_POINTS)]

    # -- features under a ruler

    def make_classifier_test(self) -> Tensor:
        return self._test_features(self.extractors.get("classifier"))

    def make_classifier_samples(self, sampler: str | None) -> Tensor:
        return self.extractors.get("classifier").features(self.get("samples", sampler))

    def make_classifier_interpolations(self) -> Tensor:
        return self.extractors.get("classifier").features(self.get("interpolations"))

    def make_sample_logits(self, sampler: str | None) -> Tensor:
        return self.extractors.get("classifier").logits(self.get("classifier_samples", sampler))

    def make_inception_test(self) -> Tensor:
        return self._test_features(self.extractors.get("inception"))

    def make_inception_samples(self, sampler: str | None) -> Tensor:
        return self.extractors.get("inception").features(self.get("samples", sampler))

    def _test_features(self, ruler: FeatureExtractor) -> Tensor:
        return self.extractors.cached(ruler.name, lambda: ruler.test_features(self.data.test.images))

    def make_samples_covered(self, sampler: str | None) -> Tensor:
        need(BALL_K + 1, self.get("classifier_test"), "test images")
        return self.get("coverage", sampler)[0]

    def make_test_covered(self, sampler: str | None) -> Tensor:
        need(BALL_K + 1, self.get("classifier_samples", sampler), "generated images")
        return self.get("coverage", sampler)[1]

    def make_coverage(self, sampler: str | None) -> tuple[Tensor, Tensor]:
        """`samples_covered` and `test_covered`: one matrix of distances serves both."""
        test, samples = self.get("classifier_test"), self.get("classifier_samples", sampler)
        name = f"{self.extractors.get('classifier').name} radii"
        return covered_by_each_other(samples, test, _radii(samples), self.extractors.cached(name, lambda: _radii(test)))

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

    def make_map(self, space: str | None) -> str | None:
        return library_of(space)

    def make_knn_k(self) -> int:
        return self.cell.evaluate.knn_k

    def make_iw_k(self) -> int:
        return self.cell.evaluate.iw_samples

    def make_likelihood(self) -> str:
        options = "".join(f" {k}={v:g}" for k, v in sorted(self.cell.likelihood.options.items()))
        given = " given the label" if self.model.conditional else ""
        return f"{self.cell.likelihood.name}{options}{given}"

    def make_binarisation(self) -> str:
        return str(self.cell.dataset.options.get("binarise", "none"))

    def make_classifier(self) -> str:
        return self.extractors.get("classifier").name

    def make_inception(self) -> str:
        return self.extractors.get("inception").name


def batches(split: Split) -> Iterator[tuple[Tensor, Tensor | None]]:
    """Images (B, C, H, W) uint8 and their labels (B,), or None where the data have none."""
    labels = repeat(None) if split.labels is None else split.labels.split(BATCH)
    return zip(split.images.split(BATCH), labels, strict=False)


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


def _fixed_pairs(n: int) -> tuple[np.ndarray, np.ndarray]:
    """n pairs of different indices, the same for every cell; each index is once the first and once the second."""
    order = np.random.default_rng(derive(0, "pairs")).permutation(n)
    return order, np.roll(order, 1)


def _radii(features: Tensor) -> Tensor:
    """The radius of each point's ball, (N, F) → (N,); NaN where there are too few points to have one."""
    if len(features) <= BALL_K:
        return features.new_full((len(features),), float("nan"))
    return neighbour_radii(features, BALL_K)
