"""Any labelled image dataset of torchvision, by the name of its class: SVHN, EMNIST, USPS, Omniglot, GTSRB, ..."""

import inspect
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, ClassVar, Literal, NamedTuple

import torch
from PIL import Image
from torch import Tensor

from bench.errors import DataError, UsageError, did_you_mean

from . import Data, Dataset, Split, to_split
from ._decoding import cached, decode, first_shape
from ._pairs import check_pixels, drawn, paired
from ._problems import Problems
from ._recipe import Recipe
from ._torchvision import impatient

OURS = ("root", "transform", "target_transform", "transforms", "download", "loader", "kwargs", "self")


class Layout(NamedTuple):
    """How a class of torchvision tells train from test, and the files below the data root that it reads."""

    train: Mapping[str, Any]
    test: Mapping[str, Any] | None  #: None: it has no test images of the same classes, so they are drawn
    paths: tuple[str, ...]  #: patterns of files and folders, as torchvision lays them out


def _flag(*paths: str) -> Layout:
    return Layout({"train": True}, {"train": False}, paths)


def _split(*paths: str, train: str = "train", test: str = "test") -> Layout:
    return Layout({"split": train}, {"split": test}, paths)


def _whole(*paths: str) -> Layout:
    return Layout({}, None, paths)


LAYOUTS: Mapping[str, Layout] = MappingProxyType({
    "CIFAR10": _flag("cifar-10-batches-py"),
    "CIFAR100": _flag("cifar-100-python"),
    "CLEVRClassification": _split("clevr", test="val"),
    "Caltech101": _whole("caltech101"),
    "Caltech256": _whole("caltech256"),
    "Country211": _split("country211"),
    "DTD": _split("dtd"),
    "EMNIST": _flag("EMNIST/raw"),
    "EuroSAT": _whole("eurosat"),
    "FGVCAircraft": _split("fgvc-aircraft-2013b", train="trainval"),
    "FashionMNIST": _flag("FashionMNIST/raw"),
    "Flowers102": _split("flowers-102"),
    "Food101": _split("food-101"),
    "GTSRB": _split("gtsrb"),
    "Imagenette": _split("imagenette2*", test="val"),
    "KMNIST": _flag("KMNIST/raw"),
    "MNIST": _flag("MNIST/raw"),
    "Omniglot": _whole("omniglot-py"),
    "OxfordIIITPet": _split("oxford-iiit-pet", train="trainval"),
    "PCAM": _split("pcam"),
    "QMNIST": Layout({"what": "train"}, {"what": "test"}, ("QMNIST/raw",)),
    "RenderedSST2": _split("rendered-sst2"),
    "SEMEION": _whole("semeion.data"),
    "STL10": _split("stl10_binary"),
    "SUN397": _whole("SUN397"),
    "SVHN": _split("train_32x32.mat", "test_32x32.mat"),
    "StanfordCars": _split("stanford_cars"),
    "USPS": _flag("usps.bz2", "usps.t.bz2"),
})  # fmt: skip


class Torchvision(Dataset):
    """Options: `dataset`, the name of the class; `arguments` of its constructor; `split`; `size` and `channels`.

    - Files: where torchvision puts them with the data root as its `root`; `bench data fetch torchvision --option
      dataset=USPS` downloads them.
    - Arguments: what the class takes besides, such as `{split: balanced}` of EMNIST. What tells train from test is
      set here.
    - Split: 0 where the class has train and test images. Caltech101, Caltech256, EuroSAT, SEMEION and SUN397 have one
      part only, and the two parts of Omniglot have other classes: `split` is the share of each class that is drawn for
      tests.
    - Pixels: with `size` and `channels` as of the dataset `folder`. Without them the images stay as torchvision gives
      them, and all must have one size. EMNIST's are stored transposed, and stay so.

    The images are decoded once, and kept under `<data root>/.cache`.
    """

    title: ClassVar[str] = "Dataset of torchvision"
    symbol: ClassVar[str] = "torchvision"
    source: ClassVar[str] = "a dataset of torchvision, https://docs.pytorch.org/vision/stable/datasets.html"

    def __init__(
        self,
        *,
        dataset: Literal[
            "CIFAR10",
            "CIFAR100",
            "CLEVRClassification",
            "Caltech101",
            "Caltech256",
            "Country211",
            "DTD",
            "EMNIST",
            "EuroSAT",
            "FGVCAircraft",
            "FashionMNIST",
            "Flowers102",
            "Food101",
            "GTSRB",
            "Imagenette",
            "KMNIST",
            "MNIST",
            "Omniglot",
            "OxfordIIITPet",
            "PCAM",
            "QMNIST",
            "RenderedSST2",
            "SEMEION",
            "STL10",
            "SUN397",
            "SVHN",
            "StanfordCars",
            "USPS",
        ],
        arguments: dict[str, str | int | bool] | None = None,
        split: float = 0.0,
        size: int | None = None,
        channels: int | None = None,
        binarise: Literal["none", "threshold", "static", "dynamic"] = "none",
    ) -> None:
        """Raises `UsageError` for an unknown class or argument, and for a class without test images or `split`."""
        super().__init__(binarise=binarise)
        check_pixels("torchvision", size, channels, split)
        if dataset not in LAYOUTS:
            raise UsageError(f"torchvision: unknown dataset {dataset!r}{did_you_mean(dataset, LAYOUTS)}")
        self.dataset, self.layout, self.split = dataset, LAYOUTS[dataset], split
        self.recipe = Recipe(size, channels)
        self.parts = _parts(dataset, arguments or {}, split)

    def where(self, root: Path) -> Path:
        return root / self.layout.paths[0]

    def missing(self, root: Path) -> str | None:
        absent = [path for path in self.layout.paths if not any(root.glob(path))]
        if not absent:
            return None
        source = f"torchvision.datasets.{self.dataset}"
        return f"looked in {root.absolute()} and did not find {', '.join(absent)}; put there what {source} downloads"

    def stamp(self, root: Path) -> list[tuple[str, int, int]]:
        found = [path for pattern in self.layout.paths for path in sorted(root.glob(pattern))]
        files = [file for path in found for file in (sorted(path.rglob("*")) if path.is_dir() else [path])]
        stats = [(file.relative_to(root).as_posix(), file.stat()) for file in files if file.is_file()]
        return [(name, stat.st_size, max(stat.st_mtime_ns, stat.st_ctime_ns)) for name, stat in stats]

    def inspect(self, root: Path) -> None:
        """Decode every image once, which fills the cache."""
        self.read(root)

    def fetch(self, root: Path) -> None:
        kind = _class(self.dataset)
        try:
            if "download" not in _parameters(kind):
                raise OSError("torchvision does not download it")
            root.mkdir(parents=True, exist_ok=True)
            with impatient():
                for arguments in self.parts.values():
                    kind(str(root), **arguments, download=True)
        except Exception as error:  # urllib, torchvision, gdown, tarfile and zipfile each raise their own
            problem = self.missing(root) or f"what lies in {self.where(root)} is not the published data"
            raise DataError(f"torchvision: the download failed ({_reason(error)}); {problem}") from error

    def read(self, root: Path) -> Data:
        sources = {part: self._open(root, arguments) for part, arguments in self.parts.items()}
        identity = (_version(), self.dataset, root.absolute().as_posix(), sorted(self.parts.items()), self.stamp(root))
        tensors = cached(identity, self.recipe, root / ".cache", lambda: self._decode(root, sources))
        splits = [self._to_split(tensors, part) for part in self.parts]
        train, test = splits if len(splits) == 2 else drawn(self.where(root), splits[0], self.split)
        classes = [str(name) for name in getattr(sources["train"], "classes", ())]
        if train.labels is not None and int(train.labels.max()) >= len(classes):
            classes = []  # names of something else; the numbers then stand for them
        return paired(self.where(root), train, test, self.name, f"torchvision.datasets.{self.dataset}", classes)

    def _open(self, root: Path, arguments: Mapping[str, Any]) -> Any:
        kind = _class(self.dataset)
        download = {"download": False} if "download" in _parameters(kind) else {}  # of one class the default is True
        try:
            return kind(str(root), **arguments, **download)
        except Exception as error:  # each class has its own for files that are missing or damaged
            words = f"torchvision cannot read {self.dataset} ({_reason(error)})"
            raise DataError(f"{self.where(root)}: {words}; put there what torchvision downloads") from error

    def _decode(self, root: Path, sources: Mapping[str, Any]) -> dict[str, Tensor]:
        """Pixels and labels of every part."""
        problems, found = Problems(), dict[str, Tensor]()
        readers = {part: _Reader(source) for part, source in sources.items()}
        first = next(iter(readers.values()))
        shape = first_shape(first.image, len(first.labels), self.recipe)
        for part, reader in readers.items():
            names = [f"{part}[{row}]" for row in range(len(reader.labels))]
            found[part] = decode(reader.image, names, self.recipe, problems, shape)
            found[f"{part} labels"] = torch.tensor(reader.labels)
        problems.refuse(self.where(root), sum(len(reader.labels) for reader in readers.values()))
        return found

    def _to_split(self, tensors: Mapping[str, Tensor], part: str) -> Split:
        return to_split(tensors[part], tensors[f"{part} labels"], f"torchvision.datasets.{self.dataset}, {part}")


class _Reader:
    """The images of a dataset of torchvision one by one; `labels` are known where images were read."""

    def __init__(self, source: Any) -> None:
        self.source = source
        self.labels = [0] * len(source)

    def image(self, row: int) -> Image.Image:
        picture, label = self.source[row]
        self.labels[row] = int(label)
        return picture


def _parts(dataset: str, given: Mapping[str, Any], split: float) -> dict[str, dict[str, Any]]:
    """Part → the arguments with which the class gives it. Raises `UsageError`."""
    layout, known = LAYOUTS[dataset], _parameters(_class(dataset))
    if wrong := [name for name in given if name not in known or name in OURS]:
        takes = [name for name in known if name not in OURS]
        raise UsageError(f"torchvision: {dataset} has no argument {wrong[0]!r}{did_you_mean(wrong[0], takes)}")
    needed = [name for name, parameter in known.items() if parameter.default is parameter.empty]
    if lacks := [name for name in needed if name not in OURS and name not in {**given, **layout.train}]:
        raise UsageError(f"torchvision: {dataset} needs `arguments: {{{lacks[0]}: ...}}`")
    if split:
        return {"train": {**layout.train, **given}}
    if layout.test is None:
        raise UsageError(f"torchvision: {dataset} has no test images of the same classes; `split: 0.2` draws some")
    if twice := [name for name in given if name in layout.train]:
        words = f"{twice[0]} tells train from test; with `split: 0.2` it chooses the images that both are drawn from"
        raise UsageError(f"torchvision: {dataset}: {words}")
    return {"train": {**layout.train, **given}, "test": {**layout.test, **given}}


def _version() -> str:
    import torchvision

    return torchvision.__version__


def _class(name: str) -> Any:
    from torchvision import datasets

    return getattr(datasets, name)


def _parameters(kind: Any) -> dict[str, inspect.Parameter]:
    """The parameters of the constructor, with those that it hands on to its parents."""
    found: dict[str, inspect.Parameter] = {}
    for ancestor in kind.__mro__:
        own = inspect.signature(ancestor.__init__).parameters
        found = {**own, **found}
        if not any(parameter.kind is parameter.VAR_KEYWORD for parameter in own.values()):
            break
    return {name: p for name, p in found.items() if p.kind is not p.VAR_KEYWORD}


def _reason(error: Exception) -> str:
    return " ".join(str(error).split()).removesuffix(" You can use download=True to download it") or str(type(error))
