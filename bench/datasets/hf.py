"""A data set in the format of the library `datasets` of Hugging Face: on disk, or from huggingface.co."""

import re
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, ClassVar, Literal

from torch import Tensor

from bench.errors import DataError, UsageError

from . import Data, to_split
from ._arrow import files_below, image_bytes, image_column, import_datasets, label_columns, open_table, quiet
from ._decoding import cached, decode, first_shape
from ._own import OwnFiles
from ._pairs import check_pixels, drawn, paired
from ._problems import Problems
from ._recipe import Recipe
from ._torchvision import ask, impatient

COMMIT = re.compile(r"[0-9a-f]{40}")
HUB_NAME = re.compile(r"[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?", re.ASCII)


class HuggingFace(OwnFiles):
    """Options: `path`; `image` and `label`, the columns; `train` and `test`, the splits; `split`; `size` and
    `channels`; `config` and `revision`.

    - Path: without `revision` a parquet or arrow file, a folder of them, or a folder that `save_to_disk` wrote; a
      relative one is looked for in the working directory and then under the data root. In a folder of files those of
      a split have its name at the beginning of a file's or folder's name, as in `data/train-00000.parquet`.
    - Revision: with it `path` is the name of a data set on huggingface.co, such as `ylecun/mnist`, and the revision is
      the 40 digits of a commit, which never changes. `config` names its configuration. It is downloaded once, and kept
      under `<data root>/huggingface`. No code of the data set is run.
    - Labels: class labels, whole numbers from 0, or texts, which are sorted; `label: null` for data without labels.
    - Split: 0 where there are two splits; else the share of each class that is drawn for tests from the split `train`.
    - Pixels: with `size` and `channels` as of the dataset `folder`. Without them the images stay as they are, and all
      must have one size.

    The library is an extra: `pip install 'latent-bench[datasets]'`.
    """

    title: ClassVar[str] = "Hugging Face data set"
    symbol: ClassVar[str] = "Hugging Face"
    source: ClassVar[str] = "a data set of the user, or of https://huggingface.co/datasets"
    location_options: ClassVar[tuple[str, ...]] = ("path",)

    def __init__(
        self,
        *,
        path: str,
        image: str = "image",
        label: str | None = "label",
        train: str = "train",
        test: str = "test",
        split: float = 0.0,
        size: int | None = None,
        channels: int | None = None,
        config: str | None = None,
        revision: str | None = None,
        binarise: Literal["none", "threshold", "static", "dynamic"] = "none",
    ) -> None:
        """Raises `UsageError` for a revision that may change, and for values that no image can have."""
        super().__init__(binarise=binarise)
        check_pixels("hf", size, channels, split)
        if revision is not None and not COMMIT.fullmatch(revision):
            words = "must be the 40 hexadecimal digits of a commit: a branch or tag may change"
            raise UsageError(f"hf: revision is {revision!r}, {words}")
        if revision is not None and not HUB_NAME.fullmatch(path):
            raise UsageError(f"hf: path is {path!r}, must be the name of a data set such as ylecun/mnist")
        if config is not None and (revision is None or not HUB_NAME.fullmatch(config)):
            raise UsageError(f"hf: config is {config!r}, must be the name of a configuration, beside a revision")
        if not split and train == test:
            raise UsageError(f"hf: train and test are both {train!r}; `split: 0.2` draws test images from one split")
        self.path, self.image, self.label, self.split = path, image, label, split
        self.parts = (train,) if split else (train, test)
        self.config, self.revision = config, revision
        self.recipe = Recipe(size, channels)

    def where(self, root: Path) -> Path:
        if self.revision is not None:
            name = "--".join([*self.path.split("/"), *([self.config] if self.config else [])])
            return root / "huggingface" / name / self.revision
        return super().where(root)

    def missing(self, root: Path) -> str | None:
        where = self.where(root)
        if where.exists():
            return None
        if self.revision is not None:
            words = f"revision {self.revision[:12]} of {self.path} is not in {where.absolute()}"
            return f"{words}; put what `save_to_disk` writes there, from https://huggingface.co"
        advice = "put a parquet or arrow file or a folder of them there; a data set of huggingface.co needs a revision"
        return f"{self.not_there(root)}; {advice}"

    def stamp(self, root: Path) -> list[tuple[str, int, int]]:
        where = self.where(root)
        files = [path for path in files_below(where) if path.is_file()]
        stats = [(path.name, path.stat()) for path in files]
        return [(name, stat.st_size, max(stat.st_mtime_ns, stat.st_ctime_ns)) for name, stat in stats]

    def inspect(self, root: Path) -> None:
        """Decode every image once, which fills the cache."""
        self.read(root)

    def fetch(self, root: Path) -> None:
        """Download a revision from huggingface.co. Raises `DataError`, also for a data set of the user."""
        if self.revision is None:
            raise DataError(f"hf: cannot be downloaded; {self.missing(root)}")
        library, where = import_datasets(), self.where(root)
        try:
            where.parent.mkdir(parents=True, exist_ok=True)
            with TemporaryDirectory(dir=where.parent, prefix=".") as folder, impatient(), quiet(library):
                ask((library.config.HF_ENDPOINT,))
                found = library.load_dataset(
                    self.path, self.config, revision=self.revision, cache_dir=f"{folder}/cache"
                )
                library.DatasetDict(found).save_to_disk(f"{folder}/saved")
                Path(folder, "saved").rename(where)
        except Exception as error:  # the library raises a dozen kinds of its own
            reason = " ".join(str(error).split()) or type(error).__name__
            raise DataError(f"hf: the download failed ({reason}); {self.missing(root)}") from error

    def read(self, root: Path) -> Data:
        where, library = self.where(root), import_datasets()
        with quiet(library):
            tables = [open_table(library, where, name, bool(self.split)) for name in self.parts]
            columns = [image_column(library, where, table, self.image) for table in tables]
        labels: list[Tensor] | list[None] = [None] * len(tables)
        classes = None
        if self.label is not None:
            labels, classes = label_columns(library, where, tables, self.label)
        known = (type(self).__name__, where.absolute().as_posix(), self.stamp(root), self.image, self.parts)
        pixels = cached(known, self.recipe, root / ".cache", lambda: self._decode(where, columns))
        splits = [to_split(pixels[n], y, f"{where}, {n}") for n, y in zip(self.parts, labels, strict=True)]
        train, test = splits if len(splits) == 2 else drawn(where, splits[0], self.split)
        return paired(where, train, test, self.name, self._source(), classes)

    def _decode(self, where: Path, columns: list[Any]) -> dict[str, Tensor]:
        problems, found = Problems(), dict[str, Tensor]()
        shape = first_shape(partial(image_bytes, columns[0]), len(columns[0]), self.recipe)
        for name, column in zip(self.parts, columns, strict=True):
            rows = [f"{name}, row {row}" for row in range(len(column))]
            found[name] = decode(partial(image_bytes, column), rows, self.recipe, problems, shape)
        problems.refuse(where, sum(map(len, columns)))
        return found

    def _source(self) -> str:
        if self.revision is None:
            return f"data set in {Path(self.path).name}"
        return f"{self.path} of https://huggingface.co/datasets, revision {self.revision}"
