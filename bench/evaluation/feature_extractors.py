"""The fixed nets in whose features generated images are compared with test images.

- `Classifier`: a small convolutional classifier of the dataset, behind `fcd` (Fréchet *Classifier* Distance). It is
  trained once per dataset and kept under `results/rulers/` with its accuracy. Its hash is recorded beside every value;
  only values of the same hash are comparable, so the file is part of the results.
- `Inception`: torch-fidelity's TF-2015 Inception-v3, behind `fid` and `kid`. The user provides its weights.
- `DINOv2`: timm's vision transformer, behind `fd_dinov2`. The user provides its weights.

One never replaces the other: the author of FID advises against ImageNet features for MNIST-like images
(https://github.com/bioinf-jku/TTUR/issues/24), and a distance in the features of another net is another quantity.
"""

import fcntl
import hashlib
import json
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from bench import registry
from bench.datasets import Data
from bench.datasets._splits import to_float
from bench.errors import NotApplicable
from bench.models.precision import double, matmul_precision
from bench.suite import Train
from bench.training.epoch_log import log_epochs
from bench.training.trainer import fit

from . import dinov2, inception

FEATURES = 64
FEATURES_VERSION = 1  #: raised when features are computed differently; kept features are then computed again
CLASSIFIER_VERSION = 1
STEPS = 2500  #: about this many updates of 128 images, whatever the size of the dataset
MOST_EPOCHS = 200  #: the limit for very small datasets
SMALLEST = 8  #: pixels a side; three convolutions of stride 2 need them
BATCH = 500
#: reason why a value has to wait for weights → the function that finds them
WAITING = {inception.MISSING: inception.locate_weights, dinov2.MISSING: dinov2.locate_weights}


class Classifier(nn.Module):
    """Three strided convolutions, 64 features, a linear layer to the classes. Trained by cross-entropy."""

    closed_form = False
    stackable = True

    def __init__(self, shape: tuple[int, int, int], classes: int) -> None:
        super().__init__()
        c, h, w = shape
        side = min(4, max(h, w) // 8 or 1)
        self.features = nn.Sequential(
            nn.Conv2d(c, 16, 4, 2, 1), nn.ReLU(),
            nn.Conv2d(16, 32, 4, 2, 1), nn.ReLU(),
            nn.Conv2d(32, 64, 4, 2, 1), nn.ReLU(),
            nn.AdaptiveAvgPool2d(side), nn.Flatten(), nn.Linear(64 * side**2, FEATURES), nn.ReLU(),
        )  # fmt: skip
        self.head = nn.Linear(FEATURES, classes)

    def draw(self, x: Tensor, generator: torch.Generator) -> Any:
        return ()

    def forward(self, x: Tensor, y: Tensor, noise: Any) -> dict[str, Tensor]:
        logits = self.head(self.features(x))
        return {"loss": F.cross_entropy(logits, y), "accuracy": (logits.argmax(1) == y).float().mean()}


@dataclass(frozen=True)
class FeatureExtractor:
    """A feature net with its name, which is recorded in the key of every value measured with it.

    accuracy: of a classifier, on the test images. chance: the accuracy of always naming their most frequent class.
    kept: a folder for the features of whole test sets, for slow nets.
    """

    name: str
    net: Any
    accuracy: float | None = None
    chance: float = 0.0
    kept: Path | None = None

    def caution(self) -> str | None:
        """What to say beside a value where the accuracy is below the middle between chance and 1; else None."""
        least = (1 + self.chance) / 2
        if self.accuracy is None or self.accuracy >= least:
            return None
        return f"the classifier's test accuracy is {self.accuracy:.3g}, below {least:.3g}, too low to measure with"

    def features(self, images: Tensor) -> Tensor:
        """uint8 (N, C, H, W) → float64 (N, F)."""
        return self.net.features(images)

    def test_features(self, images: Tensor) -> Tensor:
        """`features` of a test set, read from `kept` where an earlier process computed them. They have the digits of
        float32, as the net computes them."""
        if self.kept is None:
            return self.features(images)
        name = f"{self.name}-{self.net.device.type}-{_images_digest(images)}-v{FEATURES_VERSION}"
        path = self.kept / f"{name}.safetensors"
        found = _kept_features(path, len(images))
        if found is None:
            with suppress(OSError), _locked(path):  # a data root that is full or cannot be written to
                found = _kept_features(path, len(images))  # another process may have written it meanwhile
                if found is None:
                    found = self.features(images).float()
                    _save({"features": found}, path)
        return (self.features(images).float() if found is None else found).double()

    def logits(self, features: Tensor) -> Tensor:
        """The logits of a classifier from its features: float64 (N, F) → (N, K); their softmax is p(class|image)."""
        return self.net.logits(features)


KINDS = ("classifier", "inception", "dinov2")


def _unavailable() -> FeatureExtractor:
    raise NotApplicable("no feature extractor is at hand")


@dataclass
class FeatureExtractors:
    """The feature extractors of one dataset, each made when a metric first asks for it.

    classifier, inception, dinov2: functions that make them; they raise `NotApplicable` where there is none.
    """

    classifier: Callable[[], FeatureExtractor] = _unavailable
    inception: Callable[[], FeatureExtractor] = _unavailable
    dinov2: Callable[[], FeatureExtractor] = _unavailable
    used: dict[str, FeatureExtractor] = field(default_factory=dict)
    cache: dict[str, Tensor] = field(default_factory=dict)  #: tensors that are the same for every cell of the dataset

    def get(self, kind: str) -> FeatureExtractor:
        """The extractor of a kind of `KINDS`. Raises `NotApplicable` where there is none."""
        if kind not in self.used:
            make: Callable[[], FeatureExtractor] = getattr(self, kind)
            self.used[kind] = make()
        return self.used[kind]

    def prepare(self, metrics: tuple[str, ...]) -> None:
        """Make the extractors that these metrics need, so that their training is in no cell's seconds."""
        for kind in KINDS:
            if any(kind in registry.load("metrics", name).key for name in metrics):
                with suppress(NotApplicable):
                    self.get(kind)

    def describe(self) -> dict[str, dict[str, Any]]:
        """Name (with hash) and accuracy of the extractors used so far, by kind, for the record."""
        return {kind: {"name": r.name, "accuracy": r.accuracy} for kind, r in self.used.items()}

    def cached(self, name: str, make: Callable[[], Tensor]) -> Tensor:
        """A tensor that is the same for every cell of the dataset: made for the first cell, then kept."""
        if name not in self.cache:
            self.cache[name] = make()
        return self.cache[name]


class ClassifierNet:
    """Features of a `Classifier` in batches, from uint8 images, and its logits from features."""

    def __init__(self, model: Classifier, device: torch.device) -> None:
        self.model, self.device = model.to(device).eval(), device

    @torch.no_grad()
    def features(self, images: Tensor) -> Tensor:
        """uint8 (N, C, H, W) → float64 (N, 64); in fp32 inside, whatever the cell was trained in."""
        with matmul_precision("fp32"):
            return torch.cat([double(self.model.features(to_float(b.to(self.device)))) for b in images.split(BATCH)])

    @torch.no_grad()
    def logits(self, features: Tensor) -> Tensor:
        """float64 (N, 64) → float64 (N, K)."""
        return self.model.head(features.float()).double()


def classifier(data: Data, folder: Path, device: torch.device) -> FeatureExtractor:
    """The dataset's classifier: read from `folder`, or trained now and kept there.

    Raises `NotApplicable` for a dataset without labels, of a single class, or of images below 8 pixels a side.
    """
    _require_classifiable(data)
    assert data.test.labels is not None
    path = folder / f"{data.name}-{data.order()}-v{CLASSIFIER_VERSION}.safetensors"
    with _locked(path):
        if not path.exists():
            _train_classifier(data, path, device)
    model = Classifier(data.shape, len(data.classes))
    model.load_state_dict(load_file(path))
    with safe_open(path, "pt") as file:
        accuracy = float(json.loads(file.metadata()["bench"])["accuracy"])
    digest = hashlib.sha256(path.read_bytes()).hexdigest()[:12]
    chance = data.test.labels.bincount().max().item() / len(data.test)
    return FeatureExtractor(f"{data.name}-{digest}", ClassifierNet(model, device), accuracy, chance)


def _require_classifiable(data: Data) -> None:
    if data.train.labels is None or data.test.labels is None:
        raise NotApplicable("the dataset has no labels to train a classifier on")
    if len(data.train.labels.unique()) < 2:
        raise NotApplicable("a classifier needs at least 2 classes, the train images are of 1 class")
    _, height, width = data.shape
    if min(height, width) < SMALLEST:
        raise NotApplicable(f"the classifier needs images of at least {SMALLEST} pixels a side, not {height}×{width}")


def inception_extractor(data_root: Path, device: torch.device) -> FeatureExtractor:
    """Inception-v3. Raises `NotApplicable` naming what is missing when its weights are not in place."""
    weights = inception.locate_weights(data_root)
    if weights is None:
        raise NotApplicable(inception.MISSING)
    net = inception.Inception(weights, device)
    return FeatureExtractor(f"inception-v3-tf2015-{net.digest}", net, kept=data_root / "inception" / "features")


def dinov2_extractor(data_root: Path, device: torch.device) -> FeatureExtractor:
    """DINOv2. Raises `NotApplicable` naming what is missing when its weights are not in place."""
    weights = dinov2.locate_weights(data_root)
    if weights is None:
        raise NotApplicable(dinov2.MISSING)
    net = dinov2.DINOv2(weights, device)
    return FeatureExtractor(net.name, net, kept=data_root / "dinov2" / "features")


def extractors_of(data: Data, results: Path, data_root: Path, device: torch.device) -> FeatureExtractors:
    """The feature extractors of a dataset, on `device`; its classifier is trained if it is not under `results`.

    data: on the host.
    """
    return FeatureExtractors(
        lambda: classifier(data, results / "rulers", device),
        lambda: inception_extractor(data_root, device),
        lambda: dinov2_extractor(data_root, device),
    )


def waited_for_weights(reason: str | None, data_root: Path) -> bool:
    """True for the reason of a value that waited for weights which are in place now."""
    return reason in WAITING and WAITING[reason](data_root) is not None


def _train_classifier(data: Data, path: Path, device: torch.device) -> None:
    epochs = min(MOST_EPOCHS, max(4, math.ceil(STEPS * 128 / len(data.train))))
    budget = Train(epochs=epochs, batch_size=128, optimizer="adam", lr=1e-3, schedule="cosine")
    on_epoch = log_epochs(f"training the classifier of {data.name}, once per results folder", epochs)
    make = partial(Classifier, data.shape, len(data.classes))
    [fitted] = fit(make, data, budget, [0], device=device, on_epoch=on_epoch)
    accuracy = fitted.history[-1]["test_accuracy"]
    about = {"dataset": data.name, "accuracy": round(accuracy, 4), "epochs": epochs, "version": CLASSIFIER_VERSION}
    weights = {name: value.detach().cpu().contiguous() for name, value in fitted.model.state_dict().items()}
    _save(weights, path, {"bench": json.dumps(about)})


def _save(tensors: dict[str, Tensor], path: Path, about: dict[str, str] | None = None) -> None:
    temporary = path.with_suffix(".tmp")
    save_file(tensors, temporary, metadata=about)
    temporary.replace(path)


def _kept_features(path: Path, n: int) -> Tensor | None:
    """The features of n images in a file; None where there is none, or not what should be in it."""
    try:
        found = load_file(path)["features"]
    except (OSError, SafetensorError, KeyError):
        return None
    return found if len(found) == n and found.ndim == 2 else None


def _images_digest(images: Tensor) -> str:
    digest = hashlib.sha256(str(tuple(images.shape)).encode())
    digest.update(images.cpu().numpy().tobytes())
    return digest.hexdigest()[:12]


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Hold the lock of `path`, so that one process computes it and the others wait."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.with_name(f".{path.name}.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
