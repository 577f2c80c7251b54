"""The grid of a suite: blocks of axes, the product of each, their union without what is excluded."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from math import prod
from typing import Any

from bench import registry

from .cells import Cell, CellIndex, Choice
from .files import fold
from .issues import Issues, Place, show_value
from .names import resolve
from .schema import Block, Evaluate, Train, check

MAX_CELLS = 20_000
VARIANT_KEYS = ("net", "likelihood", "label")  #: keys of a variant's entry that are not options of the variant
AXES = ("datasets", "variants", "nets", "latent_sizes", "seeds")


@dataclass(frozen=True)
class Entry:
    """An entry of an axis: a component, its label, its place, and the net and likelihood that a variant fixes."""

    choice: Choice
    label: str
    place: Place
    net: Choice | None = None
    likelihood: Choice | None = None


@dataclass(frozen=True)
class Axes:
    """A block whose names are resolved."""

    datasets: list[Entry]
    variants: list[Entry]
    nets: list[Choice]
    likelihood: Choice | None
    block: Block

    @property
    def size(self) -> int:
        """The number of cells before exclusion, for variants that take their nets from the block."""
        axes = (self.datasets, self.variants, self.nets, self.block.latent_sizes, self.block.seeds)
        return prod(len(axis) for axis in axes)


@dataclass(frozen=True)
class GridCell:
    """A cell with the two entries that it comes from."""

    cell: Cell
    dataset: Entry
    variant: Entry


def expand(suite: str, grid: Any, train: Train | None, evaluate: Evaluate | None, issues: Issues) -> list[Cell]:
    """All cells in the order of the file, seeds innermost; [] with issues noted where the grid is wrong."""
    if grid is None:
        return []
    here = issues.at("grid")
    if grid == []:
        here.add("must not be empty")
    blocks = [(block, here.at(i)) for i, block in enumerate(grid)] if isinstance(grid, list) else [(grid, here)]
    found = [(_axes(block, place), place) for block, place in blocks]
    if issues or train is None or evaluate is None:
        return []
    union, total = _Union(issues), 0
    for axes, place in found:
        assert axes is not None  # or an issue would have been noted
        total += axes.size
        if total > MAX_CELLS:
            place.add(f"has more than {MAX_CELLS} cells")
            return []
        for made in _kept(axes, suite, axes.block.budget(train), evaluate, place):
            union.add(made)
    return list(union.cells.values())


def _axes(raw: Any, issues: Issues) -> Axes | None:
    """Check a block and resolve its names; the sound entries of a wrong block are checked as well."""
    block = check(Block, raw, issues)
    if not isinstance(raw, dict):
        return None
    datasets = [_dataset(entry, place) for entry, place in _entries(raw, "datasets", issues)]
    variants = [_variant(entry, place) for entry, place in _entries(raw, "variants", issues)]
    nets = [resolve("nets", entry, place) for entry, place in _entries(raw, "nets", issues, ("mlp",))]
    shared = raw.get("likelihood")
    likelihood = None if shared is None else resolve("likelihoods", shared, issues.at("likelihood"))
    _refuse_repeats(raw, issues)
    if block is None or issues:
        return None
    axes = Axes([d for d in datasets if d], [v for v in variants if v], [n for n in nets if n], likelihood, block)
    _refuse_idle_axes(axes, raw, issues)
    return axes


def _refuse_repeats(raw: dict[str, Any], issues: Issues) -> None:
    """An entry that stands twice on one axis has no effect, and is probably a slip."""
    for key in (*AXES, "exclude"):
        seen: set[str] = set()
        entries = raw.get(key)
        for i, entry in enumerate(entries if isinstance(entries, list) else ()):
            text = repr(entry)
            if text in seen:
                issues.at(key, i).add("the same entry stands in this list already")
            seen.add(text)


def _entries(
    raw: dict[str, Any], key: str, issues: Issues, default: tuple[str, ...] = ()
) -> Iterator[tuple[Any, Issues]]:
    entries = raw.get(key, default)
    for i, entry in enumerate(entries if isinstance(entries, list | tuple) else ()):
        yield entry, issues.at(key, i)


def _dataset(entry: Any, issues: Issues) -> Entry | None:
    choice = resolve("datasets", entry, issues, also=("label",))
    label = _label(entry, issues)
    return None if choice is None else Entry(choice, label or choice.title("datasets"), issues.place)


def _variant(entry: Any, issues: Issues) -> Entry | None:
    choice = resolve("variants", entry, issues, also=VARIANT_KEYS)
    label = _label(entry, issues)
    own = entry if isinstance(entry, dict) else {}
    net = resolve("nets", own["net"], issues.at("net")) if "net" in own else None
    likelihood = resolve("likelihoods", own["likelihood"], issues.at("likelihood")) if "likelihood" in own else None
    if choice is None:
        return None
    if "net" in own and not _constant("variants", choice, "uses_net", True):
        issues.at("net").add(f"{choice.name} uses no net, so this has no effect", key=True)
    return Entry(choice, label or choice.title("variants"), issues.place, net, likelihood)


def _label(entry: Any, issues: Issues) -> str | None:
    if not isinstance(entry, dict) or "label" not in entry:
        return None
    label = entry["label"]
    if isinstance(label, str) and label.strip():
        return label
    issues.at("label").add(f"expected a text as the name of this row, got {show_value(label)}")
    return None


def _refuse_idle_axes(axes: Axes, raw: dict[str, Any], issues: Issues) -> None:
    """Refuse an axis and a likelihood that no variant of the block uses."""
    if "nets" in raw and not any(_takes_nets(variant) for variant in axes.variants):
        issues.at("nets").add("no variant of this block takes a net from here", key=True)
    if raw.get("likelihood") is not None and all(variant.likelihood for variant in axes.variants):
        issues.at("likelihood").add("every variant of this block has its own likelihood", key=True)


def _takes_nets(variant: Entry) -> bool:
    return variant.net is None and _constant("variants", variant.choice, "uses_net", True)


def _kept(axes: Axes, suite: str, train: Train, evaluate: Evaluate, issues: Issues) -> list[GridCell]:
    """The cells of a block that are not excluded."""
    made = list(_cells(axes, suite, train, evaluate))
    if not axes.block.exclude:
        return made
    index = CellIndex(grid_cell.cell for grid_cell in made)
    excluded: set[int] = set()
    for i, where in enumerate(axes.block.exclude):
        found, miss = index.positions(where), index.explain_miss(where)
        if miss or not found:
            issues.at("exclude", i).add(miss or "no cell of this block has all of these")
            return []
        excluded |= found
    kept = [grid_cell for i, grid_cell in enumerate(made) if i not in excluded]
    if not kept:
        issues.at("exclude").add("excludes every cell of this block", key=True)
    return kept


def _cells(axes: Axes, suite: str, train: Train, evaluate: Evaluate) -> Iterator[GridCell]:
    """The product of the axes, seeds innermost, so that cells trained together stand together."""
    for dataset, variant in product(axes.datasets, axes.variants):
        own = _constant("variants", variant.choice, "default_likelihood", "bernoulli")
        likelihood = variant.likelihood or axes.likelihood or _default("likelihoods", own)
        nets = axes.nets if _takes_nets(variant) else [variant.net]
        for net, latent_size in product(nets, axes.block.latent_sizes):
            skip = skip_reason(dataset.choice, variant.choice, net, latent_size)
            for seed in axes.block.seeds:
                cell = Cell(
                    suite=suite,
                    dataset=dataset.choice,
                    dataset_label=dataset.label,
                    variant=variant.choice,
                    label=variant.label,
                    net=net,
                    likelihood=likelihood,
                    latent_size=latent_size,
                    seed=seed,
                    train=train,
                    evaluate=evaluate,
                    skip=skip,
                )
                yield GridCell(cell, dataset, variant)


def skip_reason(dataset: Choice, variant: Choice, net: Choice | None, latent_size: int) -> str | None:
    """The reason why a combination is skipped, read from the components' constants; None if it can be trained."""
    channels, size = (extent(dataset, key) for key in ("channels", "size"))
    if _constant("variants", variant, "needs_labels", False) and not _has_labels(dataset):
        return f"{variant.name} needs labels, and {dataset.title('datasets')} has none"
    if _constant("variants", variant, "latent_at_most_pixels", False) and channels and size:
        pixels = channels * size * size
        if latent_size > pixels:
            return f"{variant.name} has at most as many latent dimensions as pixels: {latent_size} > {pixels}"
    if net is None or size is None:
        return None
    smallest, largest = _constant("nets", net, "min_size", 1), _constant("nets", net, "max_size", size)
    if not smallest <= size <= largest:
        return f"{net.name} takes images of {smallest} to {largest} pixels, {dataset.name} has {size}"
    return None


def _has_labels(dataset: Choice) -> bool:
    """What is known before the images are read."""
    without = _constant("datasets", dataset, "unlabelled", ())
    return _constant("datasets", dataset, "labelled", True) and dataset.options.get("binarise") not in without


def extent(dataset: Choice, key: str) -> int | None:
    """The dataset's size or channels: the value of an option, else the constant of the class."""
    return dataset.options.get(key) or _constant("datasets", dataset, key, None)


def _constant(kind: str, choice: Choice, name: str, default: Any) -> Any:
    return registry.describe(kind, choice.name).constants.get(name, default)


def _default(kind: str, name: str) -> Choice:
    issues = Issues()
    choice = resolve(kind, name, issues)
    assert choice is not None, f"{name} cannot be a default: {'; '.join(map(str, issues.found))}"
    return choice


class _Union:
    """Cells by id; refuses two rows with one name, and one row under two labels."""

    def __init__(self, issues: Issues) -> None:
        self.issues = issues
        self.cells: dict[str, Cell] = {}
        self.rows: dict[tuple[Any, ...], Cell] = {}
        self.spellings: dict[tuple[str, str], str] = {}  #: axis and label without case -> the label

    def add(self, made: GridCell) -> None:
        """Add a cell unless it is there already."""
        cell = made.cell
        same = self.cells.setdefault(cell.id, cell)
        if (same.label, same.dataset_label) != (cell.label, cell.dataset_label):
            old, new = (f"'{c.dataset_label} · {c.label}'" for c in (same, cell))
            self._note(made.variant, f"the same cells are already there as {old}, here as {new}")
            return
        for what, label, entry in (("dataset", cell.dataset_label, made.dataset), ("row", cell.label, made.variant)):
            other_label = self.spellings.setdefault((what, fold(label)), label)
            if other_label != label:
                self._note(entry, f"the labels '{other_label}' and '{label}' differ in case or accents' encoding only")
        row = (cell.dataset_label, cell.label, cell.net_label, cell.latent_size, cell.seed)
        other = self.rows.setdefault(row, cell)
        if other.dataset != cell.dataset:
            self._ask_for_label(made.dataset, "dataset")
        elif other.id != cell.id:
            self._ask_for_label(made.variant, "row")

    def _ask_for_label(self, entry: Entry, what: str) -> None:
        self._note(entry, f"another {what} '{entry.label}' differs from this one; tell them apart with label: ...")

    def _note(self, entry: Entry, message: str) -> None:
        self.issues.at(*entry.place[len(self.issues.place) :]).add(message)
