"""`bench sample`: any figure of a cell, drawn anew from its checkpoint.

A figure needs no data where the model alone can draw it: samples from the prior, the manifold of a VAE, the matrix of a
linear model. A sampler fitted to codes, and everything made of test images, needs the dataset of the cell's record.
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
from bench.suite import Cell, Choice, Evaluate, Train
from bench.suite.names import CORRUPTIONS
from bench.training.saved import load_model

from . import image_files, image_grids
from .context import Artefacts, Rulers
from .feature_extractors import Ruler

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
SHOWN = 64  #: samples, where nothing else is asked for
WIDEST = 100  #: images a side of a manifold


@dataclass(frozen=True)
class Wish:
    """What is asked for. None: as the evaluation draws it.

    n: images; rows of pairs of interpolations; images a side of a manifold. label: a class, by name or number.
    """

    figure: str = "samples"
    n: int | None = None
    sampler: str | None = None
    label: str | None = None
    seed: int | None = None
    moving: bool = False  #: interpolations as frames

    def __post_init__(self) -> None:
        """Raise `UsageError` for a name that is none, and for an option that would have no effect."""
        if self.figure not in FIGURES:
            raise UsageError(f"unknown figure {self.figure!r}{did_you_mean(self.figure, FIGURES)}")
        for option in ("n", "sampler", "label", "seed"):
            if getattr(self, option) is not None and option not in FIGURES[self.figure]:
                raise UsageError(f"--{option} changes nothing about {self.figure}")
        if self.figure == "manifold" and (self.n or 0) > WIDEST:
            raise UsageError(f"--n {self.n}: a manifold has at most {WIDEST} images a side")
        if self.moving and self.figure != "interpolations":
            raise UsageError(f"only interpolations move: {self.figure} cannot be a .gif, write it as .png or .webp")
        if self.sampler is not None:
            registry.check("samplers", self.sampler)


def find(cell: str, results: Path) -> Record:
    """The record of a cell: the beginning of its id (`3f2a9c`, `suite/3f2a9c`), or a path to its folder.

    Raises `UsageError` for what is neither, or not one cell alone, and `ResultError` for a record that is damaged.
    """
    folder = Path(cell)
    if not (folder / "record.json").is_file():
        if cell and folder.is_dir():
            raise UsageError(f"{cell}: a folder without a record.json is no cell")
        return Store(results).find(cell)
    folder = folder.resolve()
    if not CELL_ID.fullmatch(folder.name):
        raise UsageError(f"{cell}: the folder of a cell has its id as its name")
    record = Store(folder.parent.parent).record(folder.parent.name, folder.name)
    assert record is not None, folder  # its record.json is there
    return record


def check_trained(record: Record, remake: str) -> None:
    """Raise `UsageError` for a cell without a trained model; `remake` is the command that makes one."""
    if (record.folder / "checkpoint.safetensors").is_file():
        return
    if record.status in ("skipped", "diverged"):
        raise UsageError(f"cell {record.id} was {record.status} ({record.reason}), so there is no model to draw from")
    raise UsageError(f"cell {record.id} has no checkpoint (published results come without); this makes it:\n  {remake}")


def draw(record: Record, wish: Wish, data_root: Path) -> np.ndarray:
    """The figure of a cell, uint8 (H, W, C), or frames (T, H, W, C).

    Raises `UsageError` where the model has no such figure, `DataError` where the images it needs are missing or not
    those of the record, `ResultError` for a checkpoint or record that does not hold.
    """
    cell, model = _cell(record, wish), _model(record)
    label = None if wish.label is None else _label(record, model, wish)
    data = _data(record, cell, data_root) if _needs_data(model, cell, wish) else _nothing(record, model)
    made = Artefacts(model, data, cell, Rulers(_no_ruler, _no_ruler), torch.device("cpu"))
    try:
        with torch.no_grad(), matmul_precision(cell.train.precision):
            return _figure(made, wish, label)
    except NotApplicable as reason:
        raise UsageError(f"cell {record.id} ({cell.label}) has no {wish.figure}: {reason}") from reason


def write(picture: np.ndarray, out: Path) -> None:
    """Write a figure, exactly but for a GIF's colours. Raises `UsageError` for a name that cannot hold it."""
    check_name(out, picture.ndim == 4)
    write_bytes(out, image_files.exact(picture, out.suffix.lower()))


def check_name(out: Path, moving: bool) -> None:
    """Raise `UsageError` where a figure cannot be written under this name."""
    wanted = (".gif",) if moving else (".png", ".webp")
    if out.suffix.lower() not in wanted:
        raise UsageError(f"--out {out}: the name must end in {' or '.join(wanted)}")
    if out.is_dir():
        raise UsageError(f"--out {out}: is a folder; name a file in it")


def default_name(record: Record, wish: Wish) -> str:
    """A file name that says what is in it, `3f2a9c0b12de_samples_label_7.png`: letters, digits and _ only."""
    asked = {name: getattr(wish, name) for name in ("sampler", "label", "n", "seed")}
    told = [f"{name}_{value}" for name, value in asked.items() if value is not None]
    stem = "_".join([record.id, wish.figure, *told])
    plain = "".join(c if c.isascii() and c.isalnum() else "_" for c in stem)
    return plain[:120] + (".gif" if wish.moving else ".png")


def _figure(made: Artefacts, wish: Wish, label: int | None) -> np.ndarray:
    name, n = wish.figure, wish.n
    if name == "samples":
        return _samples(made, wish, label)
    if name == "by_label":
        return image_grids.by_label(made, _sampler(made.model, made.cell, wish), n)
    if name == "manifold":
        return image_grids.manifold(made, n, label or 0)
    if name == "interpolations":
        kind = image_grids.interpolations_moving if wish.moving else image_grids.interpolations
        return kind(made, n, label, wish.seed)
    if name in ("identity", "identity_clipped"):
        return image_grids.identity(made, clipped=name == "identity_clipped")
    if name == "reconstructions":
        return image_grids.reconstructions(made, n)
    if name == "restored_training":
        return image_grids.restored_training(made, n)
    return image_grids.restored(made, name.removeprefix("restored_"), n)


def _samples(made: Artefacts, wish: Wish, label: int | None) -> np.ndarray:
    """A conditional model is given `label`, or all in turn; another shows what its own classifier calls so."""
    sampler, n = _sampler(made.model, made.cell, wish), wish.n or SHOWN
    codes = made.get("drawn_codes", sampler)
    if made.model.conditional:
        turn = torch.arange(n) % made.model.net.size.classes if label is None else torch.full((n,), label)
        return image_grids.squarish(image_grids.decoded(made, codes[:n], turn))
    if label is not None:
        drawn, codes = len(codes), codes[made.get("sample_labels", sampler) == label]
        if not len(codes):
            raise NotApplicable(f"its classifier calls none of {drawn} codes from {sampler} {wish.label}")
    return image_grids.squarish(image_grids.decoded(made, codes[:n], None))


def _sampler(model: Any, cell: Cell, wish: Wish) -> str:
    default = image_grids.label_sampler(model, cell.evaluate.samplers) if wish.figure == "by_label" else "prior"
    return wish.sampler or default


# -- what is read of a record


def _cell(record: Record, wish: Wish) -> Cell:
    """The cell of a record, with as many samples as are asked for, and the seed."""
    c = record.cell
    try:
        evaluate = Evaluate.model_validate(c["evaluate"])
        wanted = max(evaluate.n_samples, wish.n or 0, 0 if wish.label is None else 50 * (wish.n or SHOWN))
        return Cell(
            suite=record.suite,
            dataset=Choice(c["dataset"], c["dataset_options"]),
            dataset_label=c["dataset_label"],
            variant=Choice(c["variant"], c["options"]),
            label=c["label"],
            net=Choice(c["net"], c["net_options"]) if c["net"] else None,
            likelihood=Choice(c["likelihood"], c["likelihood_options"]),
            latent_size=c["latent_size"],
            seed=c["seed"] if wish.seed is None else wish.seed,
            train=Train.model_validate(c["train"]),
            evaluate=evaluate.model_copy(update={"n_samples": wanted}),
            skip=None,
        )
    except (KeyError, TypeError, ValidationError) as error:
        raise ResultError(f"{record.folder / 'record.json'}: does not describe a cell ({_first(error)})") from error


def _first(error: Exception) -> str:
    return f"{type(error).__name__}: {error}".splitlines()[0]


def _model(record: Record) -> Any:
    try:
        return load_model(f"{record.suite}/{record.id}", record.folder.parent.parent)
    except (KeyError, TypeError) as error:
        raise ResultError(f"{record.folder / 'record.json'}: does not describe a model ({_first(error)})") from error


def _label(record: Record, model: Any, wish: Wish) -> int:
    """The number of the class that was asked for by name or number."""
    text, variant = str(wish.label), record.cell["variant"]
    reads = hasattr(model, "classify") and wish.figure == "samples"
    if not (model.conditional or reads or wish.figure == "interpolations"):
        able = [v for v in registry.names("variants") if registry.describe("variants", v).constants["needs_labels"]]
        raise UsageError(f"--label: {variant} has no {wish.figure} by label; variants with labels: {', '.join(able)}")
    classes = [str(name) for name in record.about["dataset"]["classes"]]
    if text in classes:
        return classes.index(text)
    if text.isdecimal() and int(text) < len(classes):
        return int(text)
    raise UsageError(f"--label {text}: no class of {record.cell['dataset_label']}{did_you_mean(text, classes)}")


# -- data


def _needs_data(model: Any, cell: Cell, wish: Wish) -> bool:
    if wish.figure in ("samples", "by_label"):
        return registry.load("samplers", _sampler(model, cell, wish)).needs_codes
    if wish.figure == "manifold":
        return model.has_code and not model.has_posterior and cell.latent_size == 2
    return not wish.figure.startswith("identity")


def _data(record: Record, cell: Cell, root: Path) -> Data:
    data = data_room.load(cell.dataset, root)
    expected = record.provenance.get("fingerprint")
    if expected is not None and not data.is_same_as(str(expected)):
        raise DataError(
            f"{cell.dataset_label}: the images under {root} (fingerprint {data.fingerprint()}) are not those that cell "
            f"{record.id} was computed on ({expected})"
        )
    return replace(data, train=subset(data.train, cell.train.train_images))


def _nothing(record: Record, model: Any) -> Data:
    """No images, in the shape of the cell's."""
    none = Split(torch.zeros((0, *model.net.size.shape), dtype=torch.uint8), None)
    return Data(str(record.cell["dataset"]), none, none, (), "")


def _no_ruler() -> Ruler:
    raise NotApplicable("a figure is measured by nothing")
