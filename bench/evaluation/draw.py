"""`bench sample`: draws any figure of a cell from its checkpoint.

Samples from the prior, the manifold of a VAE and the matrix of a linear model need no data. Samplers that are fitted to
codes and figures of test images need the dataset of the cell's record.
"""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from pydantic import ValidationError

from bench import registry
from bench.datasets import Data, Split
from bench.datasets import _loading as data_room
from bench.datasets._splits import subset
from bench.errors import DataError, NotApplicable, ResultError, UsageError, did_you_mean
from bench.models.precision import matmul_precision
from bench.results.store import CELL_ID, Record, Store, write_bytes
from bench.suite import Cell
from bench.suite.names import CORRUPTIONS
from bench.training.saved import load_model

from . import cell_figures, code_grids, heatmaps, image_files, image_grids
from .context import EvaluationContext
from .feature_extractors import FeatureExtractors

#: figure → the options that change it
FIGURES: dict[str, tuple[str, ...]] = {
    "samples": ("n", "sampler", "label", "seed"),
    "by_label": ("n", "sampler", "seed"),
    "reconstructions": ("n",),
    "restored_training": ("n",),
    **{f"restored_{corruption}": ("n",) for corruption in CORRUPTIONS},
    "manifold": ("n", "label"),
    "interpolations": ("n", "label", "seed"),
    "identity": (),
    "identity_clipped": (),
}
SHOWN = 64  #: samples, by default
WIDEST = 100  #: images a side of a manifold


@dataclass(frozen=True)
class FigureRequest:
    """A figure and its options; None: as the evaluation draws it.

    n: images; rows of pairs of interpolations; images a side of a manifold. label: a class, by name or number.
    """

    figure: str = "samples"
    n: int | None = None
    sampler: str | None = None
    label: str | None = None
    seed: int | None = None
    moving: bool = False  #: interpolations as frames

    def __post_init__(self) -> None:
        """Raise `UsageError` for an unknown name and for an option that would have no effect."""
        if self.figure not in FIGURES:
            raise UsageError(f"unknown figure {self.figure!r}{did_you_mean(self.figure, FIGURES)}")
        for option in ("n", "sampler", "label", "seed"):
            if getattr(self, option) is not None and option not in FIGURES[self.figure]:
                raise UsageError(f"--{option} has no effect on {self.figure}")
        if self.figure == "manifold" and (self.n or 0) > WIDEST:
            raise UsageError(f"--n {self.n}: a manifold has at most {WIDEST} images a side")
        if self.moving and self.figure != "interpolations":
            raise UsageError(f"only interpolations can be a .gif; write {self.figure} as .png or .webp")
        if self.sampler is not None:
            registry.check("samplers", self.sampler)


def find(cell: str, results: Path) -> Record:
    """The record of a cell: the beginning of its id (`3f2a9c`, `suite/3f2a9c`), or a path to its folder.

    Raises `UsageError` for a name of no cell or of several, and `ResultError` for a damaged record.
    """
    folder = Path(cell)
    if not (folder / "record.json").is_file():
        if cell and folder.is_dir():
            raise UsageError(f"{cell}: not a cell: the folder has no record.json")
        return Store(results).find(cell)
    folder = folder.resolve()
    if not CELL_ID.fullmatch(folder.name):
        raise UsageError(f"{cell}: the folder of a cell must be named after its id")
    record = Store(folder.parent.parent).record(folder.parent.name, folder.name)
    assert record is not None, folder  # its record.json is there
    return record


def check_trained(record: Record, remake: str) -> None:
    """Raise `UsageError` for a cell without a trained model; `remake` is the command that trains it."""
    if (record.folder / "checkpoint.safetensors").is_file():
        return
    if record.status in ("skipped", "diverged"):
        raise UsageError(f"cell {record.id} was {record.status} ({record.reason}), so it has no model")
    raise UsageError(
        f"cell {record.id} has no checkpoint (published results come without); this command trains it:\n  {remake}"
    )


def draw(record: Record, request: FigureRequest, data_root: Path) -> np.ndarray:
    """The figure of a cell, uint8 (H, W, C), or frames (T, H, W, C).

    Raises `UsageError` where the model has no such figure, `DataError` where the images it needs are missing or not
    those of the record, `ResultError` for a damaged checkpoint or record.
    """
    cell, model = _cell(record, request), _model(record)
    label = None if request.label is None else _label(record, model, request)
    data = _data(record, cell, data_root) if _needs_data(model, cell, request) else _no_data(record, model)
    context = EvaluationContext(model, data, cell, FeatureExtractors(), torch.device("cpu"))
    try:
        with torch.no_grad(), matmul_precision(cell.train.precision):
            return _figure(context, request, label)
    except NotApplicable as reason:
        raise UsageError(f"cell {record.id} ({cell.label}) has no {request.figure}: {reason}") from reason


def write(picture: np.ndarray, out: Path) -> None:
    """Write a figure without loss, apart from a GIF's colours. Raises `UsageError` for an unfit file name."""
    check_name(out, picture.ndim == 4)
    write_bytes(out, image_files.exact(picture, out.suffix.lower()))


def check_name(out: Path, moving: bool) -> None:
    """Raise `UsageError` where a figure cannot be written under this name."""
    wanted = (".gif",) if moving else (".png", ".webp")
    if out.suffix.lower() not in wanted:
        raise UsageError(f"--out {out}: the name must end in {' or '.join(wanted)}")
    if out.is_dir():
        raise UsageError(f"--out {out}: is a folder; name a file in it")


def default_name(record: Record, request: FigureRequest) -> str:
    """A file name made of the request, `3f2a9c0b12de_samples_label_7.png`, with letters, digits and _ only."""
    options = {name: getattr(request, name) for name in ("sampler", "label", "n", "seed")}
    named = [f"{name}_{value}" for name, value in options.items() if value is not None]
    stem = "_".join([record.id, request.figure, *named])
    plain = "".join(c if c.isascii() and c.isalnum() else "_" for c in stem)
    return plain[:120] + (".gif" if request.moving else ".png")


def _figure(context: EvaluationContext, request: FigureRequest, label: int | None) -> np.ndarray:
    name, n = request.figure, request.n
    if name == "samples":
        return _samples(context, request, label)
    if name == "by_label":
        return image_grids.by_label(context, _sampler(context.model, context.cell, request), n)
    if name == "manifold":
        return code_grids.manifold(context, n, label or 0)
    if name == "interpolations":
        kind = code_grids.interpolations_moving if request.moving else code_grids.interpolations
        return kind(context, n, label, request.seed)
    if name in ("identity", "identity_clipped"):
        return heatmaps.identity(context, clipped=name == "identity_clipped")
    if name == "reconstructions":
        return image_grids.reconstructions(context, n)
    if name == "restored_training":
        return image_grids.restored_training(context, n)
    return image_grids.restored(context, name.removeprefix("restored_"), n)


def _samples(context: EvaluationContext, request: FigureRequest, label: int | None) -> np.ndarray:
    """A conditional model decodes with `label`, or with all labels in turn; other models filter by their classifier."""
    sampler, n = _sampler(context.model, context.cell, request), request.n or SHOWN
    codes = context.get("drawn_codes", sampler)
    if context.model.conditional:
        labels = torch.arange(n) % context.model.net.size.classes if label is None else torch.full((n,), label)
        return image_grids.squarish(image_grids.decoded(context, codes[:n], labels))
    if label is not None:
        drawn, codes = len(codes), codes[context.get("sample_labels", sampler) == label]
        if not len(codes):
            raise NotApplicable(f"its classifier assigns none of {drawn} codes from {sampler} to {request.label}")
    return image_grids.squarish(image_grids.decoded(context, codes[:n], None))


def _sampler(model: Any, cell: Cell, request: FigureRequest) -> str:
    default = cell_figures.label_sampler(model, cell.evaluate.samplers) if request.figure == "by_label" else "prior"
    return request.sampler or default


# -- the cell and model of a record


def _cell(record: Record, request: FigureRequest) -> Cell:
    """The cell of a record, with the number of samples and the seed of the request."""
    try:
        cell = Cell.from_record(record.cell, record.suite)
    except (KeyError, TypeError, ValidationError) as error:
        raise _unreadable(record, "cell", error) from error
    wanted = max(cell.evaluate.n_samples, request.n or 0, 0 if request.label is None else 50 * (request.n or SHOWN))
    seed = cell.seed if request.seed is None else request.seed
    return replace(cell, seed=seed, evaluate=cell.evaluate.model_copy(update={"n_samples": wanted}))


def _unreadable(record: Record, what: str, error: Exception) -> ResultError:
    reason = f"{type(error).__name__}: {error}".splitlines()[0]
    return ResultError(f"{record.folder / 'record.json'}: does not describe a {what} ({reason})")


def _model(record: Record) -> Any:
    try:
        return load_model(f"{record.suite}/{record.id}", record.folder.parent.parent)
    except (KeyError, TypeError) as error:
        raise _unreadable(record, "model", error) from error


def _label(record: Record, model: Any, request: FigureRequest) -> int:
    """The number of the requested class."""
    text, variant = str(request.label), record.cell["variant"]
    classifies = hasattr(model, "classify") and request.figure == "samples"
    if not (model.conditional or classifies or request.figure == "interpolations"):
        with_labels = [v.name for v in registry.readable("variants") if v.constants["needs_labels"]]
        raise UsageError(
            f"--label: {variant} has no {request.figure} by label; variants with labels: {', '.join(with_labels)}"
        )
    classes = [str(name) for name in record.about["dataset"]["classes"]]
    if text in classes:
        return classes.index(text)
    if text.isdecimal() and int(text) < len(classes):
        return int(text)
    raise UsageError(f"--label {text}: no class of {record.cell['dataset_label']}{did_you_mean(text, classes)}")


# -- data


def _needs_data(model: Any, cell: Cell, request: FigureRequest) -> bool:
    if request.figure in ("samples", "by_label"):
        return registry.load("samplers", _sampler(model, cell, request)).needs_codes
    if request.figure == "manifold":
        return model.has_code and not model.has_posterior and cell.latent_size == 2
    return not request.figure.startswith("identity")


def _data(record: Record, cell: Cell, root: Path) -> Data:
    data = data_room.load(cell.dataset, root)
    expected = record.provenance.get("fingerprint")
    if expected is not None and not data.is_same_as(str(expected)):
        raise DataError(
            f"{cell.dataset_label}: the images under {root} (fingerprint {data.fingerprint()}) are not those that cell "
            f"{record.id} was computed on ({expected})"
        )
    return replace(data, train=subset(data.train, cell.train.train_images))


def _no_data(record: Record, model: Any) -> Data:
    """A dataset without images, for figures that need none."""
    none = Split(torch.zeros((0, *model.net.size.shape), dtype=torch.uint8), None)
    return Data(str(record.cell["dataset"]), none, none, (), "")
