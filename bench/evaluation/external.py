"""Models that were trained elsewhere, and their outputs, in the form that the evaluation context takes.

The evaluation is the same as of a cell. Here the object of the user is wrapped and what it gives back is checked; what
was not given becomes the reason why a metric has no value.

Letters:  B batch · N test images · C H W image · D latent size
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bench.datasets import Data
from bench.errors import NotApplicable, UsageError
from bench.models.likelihoods import Bernoulli, Gaussian, Likelihood, per_image
from bench.models.precision import matmul_precision
from bench.models.seeding import derive
from bench.models.variants import Posterior, Variant
from bench.suite import Cell
from bench.suite.names import CORRUPTIONS

from . import image_files
from .context import BATCH, EvaluationContext, quantise
from .evaluate import Evaluation, evaluate, measure
from .feature_extractors import FeatureExtractors
from .image_grids import images_that_fit, shown, squarish

OVERSHOOT = 0.5  #: how far pixels may lie outside of [0, 1], as those of a linear method do
OUTPUTS = ("reconstructions", "codes", "train_codes", "samples")
LIKELIHOODS = ("bernoulli", "gaussian")  #: those that are functions of the mean image
NO_LIKELIHOOD = "no likelihood was named (--likelihood), so there is no density of an image"

Given = dict[tuple[str, str | None], Any]  #: inputs of an evaluation context


class OfMeans(Likelihood):
    """A likelihood as a function of the mean image (B, C, H, W) in [0, 1], which is what models elsewhere decode to.

    The Bernoulli cross-entropy of a mean of exactly 0 or 1 is limited to 100 nats a pixel, as in PyTorch.
    """

    def __init__(self, of: Likelihood | None) -> None:
        super().__init__()
        self.of = of
        self.is_density = of is None or of.is_density  # type: ignore[misc]

    def nll(self, raw: Tensor, x: Tensor) -> Tensor:
        if isinstance(self.of, Bernoulli):
            return per_image(F.binary_cross_entropy(raw.clamp(0, 1), x, reduction="none"))
        if isinstance(self.of, Gaussian):
            normal = torch.distributions.Normal(raw, self.of.sigma, validate_args=False)
            return per_image(-normal.log_prob(x))
        raise NotApplicable(NO_LIKELIHOOD)

    def mean(self, raw: Tensor) -> Tensor:
        return raw


def _net(shape: tuple[int, int, int], latent_size: int = 0) -> Any:
    """What figures and samplers ask of a net."""
    return SimpleNamespace(size=SimpleNamespace(shape=shape, classes=0, latent_size=latent_size))


class ExternalModel(Variant):
    """An object with `encode` or `posterior`, and `decode` or `generate`, as a trained model of this package.

    It is asked for images float32 (B, C, H, W) in [0, 1] and gives back, as tensors or arrays:

    - `encode(x)`: codes, (B, D) or of any shape, which is flattened.
    - `decode(z)` or `generate(z)`: the mean image for codes, in [0, 1]. `generate` is used where both exist.
    - `posterior(x)`, optional: mean and log-variance of q(z|x), each (B, D). The mean is then the code.
    - `sample(n)`, optional: n images of its own, in place of those decoded from codes of the prior.

    An object that is a `torch.nn.Module`, or holds some, is moved to `device` and set to evaluation mode.
    Every method raises `UsageError` where the object fails or gives back something else.
    """

    def __init__(
        self, given: Any, name: str, shape: tuple[int, int, int], likelihood: Likelihood | None, device: torch.device
    ) -> None:
        super().__init__(_net(shape), OfMeans(likelihood))
        self.wrapped, self.name, self.shape, self.device = given, name, shape, device
        for module in [given, *vars(given).values()] if hasattr(given, "__dict__") else []:
            if isinstance(module, nn.Module):
                module.to(device).eval()
        self.has_posterior = callable(getattr(given, "posterior", None))  # type: ignore[misc]
        self.has_samples = callable(getattr(given, "sample", None))
        self._decoder = "generate" if callable(getattr(given, "generate", None)) else "decode"
        self._code_shape: tuple[int, ...] = ()
        wanted = {"encode(x) or posterior(x)": ("encode", "posterior"), "decode(z) or generate(z)": (self._decoder,)}
        for words, names in wanted.items():
            if not any(callable(getattr(given, method, None)) for method in names):
                raise UsageError(f"{name}: a {type(given).__name__} without {words}")

    def encode(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        """Codes (B, D). Raises `NotApplicable` where a gradient is asked for and there is none."""
        if self.has_posterior:
            return self.posterior(x).mean
        try:
            codes = self._call("encode", x)
        except UsageError as error:
            if x.requires_grad:
                raise NotApplicable(f"the codes cannot be differentiated: {error}") from error
            raise
        if codes.ndim < 2 or len(codes) != len(x):
            raise UsageError(f"{self.name}: encode gives {_shape(codes)} for {len(x)} images; must be (B, D)")
        if x.requires_grad and not codes.requires_grad:
            raise NotApplicable("the codes cannot be differentiated: encode gives no gradient")
        self._code_shape = tuple(codes.shape[1:])
        return codes.flatten(1)

    def posterior(self, x: Tensor, y: Tensor | None = None) -> Posterior:
        """Mean and log-variance, each (B, D)."""
        found = self._run("posterior", x)
        pair = (found.mean, found.log_var) if hasattr(found, "log_var") else found
        if not isinstance(pair, list | tuple) or len(pair) != 2:
            raise UsageError(f"{self.name}: posterior gives a {type(found).__name__}; must be (mean, log_var)")
        mean, log_var = (self._tensor("posterior", part) for part in pair)
        if mean.shape != log_var.shape or mean.ndim < 2 or len(mean) != len(x):
            shapes = f"{_shape(mean)} and {_shape(log_var)}"
            raise UsageError(f"{self.name}: posterior gives {shapes} for {len(x)} images; must be two of (B, D)")
        if x.requires_grad and not mean.requires_grad:
            raise NotApplicable("the codes cannot be differentiated: posterior gives no gradient")
        self._code_shape = tuple(mean.shape[1:])
        return Posterior(mean.flatten(1), log_var.flatten(1))

    def generate(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        """Images (B, C, H, W) for codes (B, D)."""
        codes = z.unflatten(1, self._code_shape) if len(self._code_shape) > 1 else z.clone()
        return to_images(self._call(self._decoder, codes), self.shape, self._place, len(z))

    def decode(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        """The same: the likelihood is a function of the mean image."""
        return self.generate(z)

    @property
    def _place(self) -> str:
        return f"{self.name}: {self._decoder}(z)"

    def sample(self, n: int, seed: int) -> Tensor:
        """uint8 (n, C, H, W): images of the object's own `sample`, in batches, torch's generator seeded."""
        sizes = [BATCH] * (n // BATCH) + [n % BATCH] * bool(n % BATCH)
        devices = [self.device] if self.device.type == "cuda" else []
        with torch.random.fork_rng(devices=devices), torch.no_grad():
            torch.manual_seed(derive(seed, "external samples") % 2**63)
            where = f"{self.name}: sample(n)"
            drawn = (to_images(self._call("sample", size), self.shape, where, size) for size in sizes)
            made = [quantise(require_pixels(images, where)) for images in drawn]
        if len(made) > 1 and torch.equal(made[0][: len(made[1])], made[1]):
            raise UsageError(f"{self.name}: sample(n) gives the same images again; each call must draw new ones")
        return torch.cat(made)

    def try_out(self, images: Tensor) -> None:
        """Call each method on a few images (B, C, H, W) in [0, 1], and `encode` twice, so that faults show early."""
        with torch.no_grad():
            codes = self.encode(images)
            if not torch.equal(codes, self.encode(images)):
                raise UsageError(f"{self.name}: encode gives other codes for the same images; the mean is wanted")
            self.net = _net(self.shape, codes.shape[1])
            require_pixels(self.generate(codes), self._place)

    def _call(self, method: str, argument: Any) -> Tensor:
        return self._tensor(method, self._run(method, argument))

    def _run(self, method: str, argument: Any) -> Any:
        try:
            return getattr(self.wrapped, method)(argument)
        except Exception as error:  # whatever the user's code raises
            of = f"float32 {_shape(argument)}" if isinstance(argument, Tensor) else str(argument)
            raise UsageError(f"{self.name}: {method}({of}) raised {type(error).__name__}: {error}") from error

    def _tensor(self, method: str, found: Any) -> Tensor:
        if not isinstance(found, Tensor):
            try:
                found = torch.from_numpy(np.ascontiguousarray(found))
            except (TypeError, ValueError) as error:
                raise UsageError(f"{self.name}: {method} gives a {type(found).__name__}, no tensor or array") from error
        found = found.to(self.device)
        found = found if found.dtype == torch.uint8 else found.float()
        if not torch.isfinite(found).all():
            raise UsageError(f"{self.name}: {method} gives numbers that are not finite")
        return found


class NoModel(Variant):
    """Stands where only outputs were given. Nothing can be encoded or decoded."""

    def __init__(self, shape: tuple[int, int, int]) -> None:
        super().__init__(_net(shape), OfMeans(None))

    def encode(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        raise NotApplicable("no model was given that could encode images")

    def generate(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        raise NotApplicable("no model was given that could decode codes")


def to_images(found: Tensor, shape: tuple[int, int, int], where: str, n: int) -> Tensor:
    """n images as float32 (n, C, H, W): uint8 divided by 255, floats unchanged.

    They may stand as (n, C, H, W), (n, H, W, C), (n, H, W) for one channel, or flat. Raises `UsageError` naming `where`
    for another shape or number.
    """
    c, h, w = shape
    rest = tuple(found.shape[1:])
    if len(found) != n or not (rest in (shape, (h, w, c), (c * h * w,)) or (rest, c) == ((h, w), 1)):
        raise UsageError(f"{where}: the shape is {_shape(found)}; must be ({n}, {c}, {h}, {w})")
    found = found.permute(0, 3, 1, 2) if rest == (h, w, c) and rest != shape else found.reshape(n, c, h, w)
    return found.float() / 255 if found.dtype == torch.uint8 else found.float().contiguous()


def require_pixels(images: Tensor, where: str) -> Tensor:
    """The same images. Raises `UsageError` naming `where` for pixels that are clearly not meant to be in [0, 1]."""
    low, high = images.min().item(), images.max().item()
    if not (low >= -OVERSHOOT and high <= 1 + OVERSHOOT):
        raise UsageError(f"{where}: pixels from {low:.4g} to {high:.4g}; must be from 0 to 1 (or uint8, 0 to 255)")
    return images


def check_outputs(outputs: Mapping[str, np.ndarray], data: Data, n_samples: int) -> dict[str, Tensor]:
    """The given outputs as tensors: images float32 (N, C, H, W), samples uint8, codes float32 (N, D).

    outputs: arrays under names of `OUTPUTS`. Samples after the first `n_samples` are left out.
    Raises `UsageError` for another number or shape than the data's.
    """
    found: dict[str, Tensor] = {}
    for name, array in outputs.items():
        if array.dtype.kind not in "fiu" or not array.ndim or not np.isfinite(array).all():
            raise UsageError(f"{name}: must be finite numbers, not {array.dtype} {array.shape}")
        values = torch.from_numpy(np.ascontiguousarray(array))
        values = values if values.dtype == torch.uint8 else values.float()
        split = data.train if name == "train_codes" else data.test
        if name == "samples":
            if len(values) < n_samples:
                raise UsageError(
                    f"samples: {len(values)} were given, the protocol measures {n_samples}; give more, or ask for "
                    f"fewer with --set evaluate.n_samples={len(values)}"
                )
            found[name] = quantise(require_pixels(to_images(values[:n_samples], data.shape, name, n_samples), name))
        elif name == "reconstructions":
            found[name] = require_pixels(to_images(values, data.shape, name, len(split)), name)
        elif len(values) != len(split) or values.ndim < 2:
            part = "train" if name == "train_codes" else "test"
            wanted = f"({len(split)}, D), a code for each {part} image"
            raise UsageError(f"{name}: the shape is {_shape(values)}; must be {wanted}")
        else:
            found[name] = values.float().flatten(1)
    sizes = {found[name].shape[1] for name in ("codes", "train_codes") if name in found}
    if len(sizes) > 1:
        raise UsageError(f"codes and train_codes have different lengths: {' and '.join(map(str, sorted(sizes)))}")
    return found


def given_inputs(outputs: Mapping[str, Tensor], samplers: tuple[str, ...], has_model: bool) -> Given:
    """Inputs of the context: what was given, and for what was not, the reason.

    Samples stand in the place of those decoded from codes of the prior.
    """
    given: Given = {}
    if not has_model:
        lacks = {"reconstructions": "no reconstructions were given", "codes": "no codes were given",
                 "train_codes": "no codes of train images were given",
                 "train_reconstructions": "no reconstructions of train images were given",
                 "posterior": "no posterior was given", "jacobian_norms": "no encoder was given",
                 "linear_map": "no model was given"}  # fmt: skip
        given |= {(name, None): NotApplicable(why) for name, why in lacks.items()}
        for sampler in samplers:
            why = "no samples were given" if sampler == "prior" else "given samples are those of the prior"
            given |= {(name, sampler): NotApplicable(why) for name in ("samples", "drawn_codes", "sample_labels")}
        why = "no model was given that could reconstruct corrupted images"
        given |= {("corrupted_reconstructions", corruption): NotApplicable(why) for corruption in CORRUPTIONS}
    given |= {(name, None): value for name, value in outputs.items() if name != "samples"}
    if "samples" in outputs:
        given["samples", "prior"] = outputs["samples"]
        given["sample_labels", "prior"] = NotApplicable("the given samples have no labels")
    return given


@dataclass(frozen=True)
class Measured:
    """A model or outputs, ready to be measured. `hashes`: of what was given, sha256 by name."""

    model: Any
    cell: Cell
    given: Given
    hashes: dict[str, str]

    def evaluate(self, data: Data, metrics: tuple[str, ...], extractors: FeatureExtractors) -> Evaluation:
        """The metrics, arrays and pictures, by the protocol of every cell. data: on the device of the model."""
        device = data.test.images.device
        result = evaluate(self.model, data, self.cell, metrics, extractors, device, given=self.given)
        result.pictures |= _pictures(self.given, data)
        return result

    def metrics(self, data: Data, metrics: tuple[str, ...], extractors: FeatureExtractors) -> dict[str, dict[str, Any]]:
        """The metrics alone."""
        with matmul_precision(self.cell.train.precision):
            device = data.test.images.device
            return measure(EvaluationContext(self.model, data, self.cell, extractors, device, self.given), metrics)


def prepare(
    model: Any, outputs: Mapping[str, np.ndarray], name: str, data: Data, cell: Cell, likelihood: Likelihood | None
) -> Measured:
    """Check a model (None for none) and outputs, and compute its codes and reconstructions of the test images.

    name: of the model, for messages. data: on the device to compute on. cell: its `latent_size` is replaced.
    Raises `UsageError` for everything about them that does not fit.
    """
    device = data.test.images.device
    checked = check_outputs(outputs, data, cell.evaluate.n_samples)
    hashes = {part: sha256(np.ascontiguousarray(array)) for part, array in outputs.items()}
    checked = {part: tensor.to(device) for part, tensor in checked.items()}
    given = given_inputs(checked, cell.evaluate.samplers, model is not None)
    if model is None:
        codes = checked.get("codes", checked.get("train_codes"))
        size = 0 if codes is None else codes.shape[1]
        return Measured(NoModel(data.shape), replace(cell, latent_size=size), given, hashes)
    wrapped = ExternalModel(model, name, data.shape, likelihood, device)
    wrapped.try_out(data.test.images[:BATCH].float() / 255)
    if wrapped.has_samples and ("samples", "prior") not in given and "prior" in cell.evaluate.samplers:
        given["samples", "prior"] = wrapped.sample(cell.evaluate.n_samples, cell.seed)
        given["sample_labels", "prior"] = NotApplicable("the model's own samples have no labels")
    with matmul_precision(cell.train.precision):
        context = EvaluationContext(wrapped, data, cell, FeatureExtractors(), device, given)
        computed: list[Tensor] = [context.get(part) for part in ("codes", "reconstructions")]
    given |= {("codes", None): computed[0], ("reconstructions", None): computed[1]}
    hashes["outputs"] = sha256(*(tensor.cpu().numpy() for tensor in computed))
    return Measured(wrapped, replace(cell, latent_size=computed[0].shape[1]), given, hashes)


def sha256(*arrays: np.ndarray) -> str:
    """64 hex digits of dtypes, shapes and values of arrays."""
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(f"{array.dtype.str} {array.shape}".encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


def _pictures(given: Given, data: Data) -> dict[str, np.ndarray]:
    """Figures of what was given in place of what the model would decode."""
    index, pictures = shown(data), dict[str, np.ndarray]()
    reconstructions, samples = given.get(("reconstructions", None)), given.get(("samples", "prior"))
    if isinstance(reconstructions, Tensor):
        pictures["reconstructions"] = image_files.rows(data.test.images[index], quantise(reconstructions[index]))
    if isinstance(samples, Tensor):
        pictures["samples_prior"] = squarish(samples[: images_that_fit(data.shape, 8, 6, 4) ** 2].cpu())
    return pictures


def _shape(values: Any) -> str:
    return str(tuple(values.shape))
