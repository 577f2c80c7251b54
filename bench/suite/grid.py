"""The grid of a suite: blocks of axes, their product, their union, what they exclude, what makes no sense."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from math import prod
from typing import Any

from bench import registry

from .cells import Cell, Choice, explain_miss
from .document import At, Document, show_value
from .names import resolve
from .schema import Block, Evaluate, Train, check

MAX_CELLS = 100_000
VARIANT_KEYS = (
    "net",
    "likelihood",
    "label",
)  #: keys of a variant's entry that are not options of the variant


@dataclass(frozen=True)
class Named:
    """An entry of an axis: a component, its label, where it stands, and what a variant pins for itself."""

    choice: Choice
    label: str
    at: At
    net: Choice | None = None
    likelihood: Choice | None = None


@dataclass(frozen=True)
class Axes:
    """A block whose names are resolved."""

    datasets: list[Named]
    variants: list[Named]
    nets: list[Choice]
    likelihood: Choice | None
    block: Block
    at: At


def expand(suite: str, train: Train | None, evaluate: Evaluate | None, document: Document) -> list[Cell]:
    """All cells in the order of the file, seeds innermost; [] with faults noted where the grid is wrong."""
    grid = document.data.get("grid")
    if isinstance(grid, list) and not grid:
        document.fault(("grid",), "must not be empty")
    places: list[At] = [("grid", i) for i in range(len(grid))] if isinstance(grid, list) else [("grid",)]
    raw = grid if isinstance(grid, list) else [grid]
    axes = [_axes(block, at, document) for block, at in zip(raw, places, strict=True) if grid is not None]
    if document.faults or train is None or evaluate is None:
        return []
    found = _Union(document)
    for block in axes:
        assert block is not None  # or a fault would have been noted
        for cell, dataset, variant in _kept(block, suite, train, evaluate, document):
            found.add(cell, dataset, variant)
    return list(found.cells.values())


def _axes(raw: Any, at: At, document: Document) -> Axes | None:
    """Check a block and resolve its names; what is sound of a faulty block is checked all the same."""
    block = check(Block, raw, at, document)
    if not isinstance(raw, dict):
        return None
    datasets = [_dataset(entry, where, document) for entry, where in _entries(raw, "datasets", at)]
    variants = [_variant(entry, where, document) for entry, where in _entries(raw, "variants", at)]
    nets = [resolve("nets", e, where, document) for e, where in _entries(raw, "nets", at, ("mlp",))]
    shared = raw.get("likelihood")
    likelihood = None if shared is None else resolve("likelihoods", shared, (*at, "likelihood"), document)
    _refuse_repeats(raw, at, document)
    if block is None or document.faults:
        return None
    axes = Axes([d for d in datasets if d], [v for v in variants if v], [n for n in nets if n], likelihood, block, at)
    _refuse_idle_axes(axes, raw, document)
    return axes


def _refuse_repeats(raw: dict[str, Any], at: At, document: Document) -> None:
    """The same entry twice on one axis has no effect, and is more likely a slip."""
    for key in ("datasets", "variants", "nets", "latent_sizes", "seeds"):
        entries: Any = raw.get(key)
        if not isinstance(entries, list):
            continue
        for i, entry in enumerate(entries):
            if entry in entries[:i]:
                document.fault((*at, key, i), "the same entry stands in this list already")


def _entries(raw: dict[str, Any], key: str, at: At, default: tuple[str, ...] = ()) -> Iterator[tuple[Any, At]]:
    entries = raw.get(key, default)
    for i, entry in enumerate(entries if isinstance(entries, list | tuple) else ()):
        yield entry, (*at, key, i)


def _dataset(entry: Any, at: At, document: Document) -> Named | None:
    choice = resolve("datasets", entry, at, document, also=("label",))
    label = _label(entry, at, document)
    return None if choice is None else Named(choice, label or choice.title("datasets"), at)


def _variant(entry: Any, at: At, document: Document) -> Named | None:
    choice = resolve("variants", entry, at, document, also=VARIANT_KEYS)
    label = _label(entry, at, document)
    own = entry if isinstance(entry, dict) else {}
    net = resolve("nets", own["net"], (*at, "net"), document) if "net" in own else None
    likelihood = (
        resolve("likelihoods", own["likelihood"], (*at, "likelihood"), document) if "likelihood" in own else None
    )
    if choice is None:
        return None
    if "net" in own and not _constant("variants", choice, "uses_net", True):
        document.fault((*at, "net"), f"{choice.name} uses no net, so this has no effect", key=True)
    return Named(choice, label or choice.title("variants"), at, net, likelihood)


def _label(entry: Any, at: At, document: Document) -> str | None:
    if not isinstance(entry, dict) or "label" not in entry:
        return None
    label = entry["label"]
    if isinstance(label, str) and label.strip():
        return label
    document.fault((*at, "label"), f"expected a text to call this row by, got {show_value(label)}")
    return None


def _refuse_idle_axes(axes: Axes, raw: dict[str, Any], document: Document) -> None:
    """An option without effect is a fault."""
    if "nets" in raw and not any(_takes_nets(variant) for variant in axes.variants):
        document.fault((*axes.at, "nets"), "no variant of this block takes a net from here", key=True)
    if raw.get("likelihood") is not None and all(variant.likelihood for variant in axes.variants):
        document.fault((*axes.at, "likelihood"), "every variant of this block has its own likelihood", key=True)


def _takes_nets(variant: Named) -> bool:
    return variant.net is None and _constant("variants", variant.choice, "uses_net", True)


def _kept(
    axes: Axes, suite: str, train: Train, evaluate: Evaluate, document: Document
) -> list[tuple[Cell, Named, Named]]:
    """The cells of a block that are not excluded, each with the two entries it comes from."""
    sizes = (axes.datasets, axes.variants, axes.nets, axes.block.latent_sizes, axes.block.seeds)
    if prod(len(axis) for axis in sizes) > MAX_CELLS:
        document.fault(axes.at, f"has more than {MAX_CELLS} cells")
        return []
    rows = [(_cell(point, axes, suite, train, evaluate), *point[:2]) for point in _points(axes)]
    cells = [cell for cell, *_ in rows]
    for i, where in enumerate(axes.block.exclude):
        miss = explain_miss(where, cells)
        if miss or not any(cell.matches(where) for cell in cells):
            document.fault((*axes.at, "exclude", i), miss or "no cell of this block has all of these")
            return []
    kept = [row for row in rows if not any(row[0].matches(where) for where in axes.block.exclude)]
    if not kept:
        document.fault((*axes.at, "exclude"), "excludes every cell of this block", key=True)
    return kept


Point = tuple[Named, Named, Choice | None, int, int]


def _points(axes: Axes) -> Iterator[Point]:
    """The product of the axes, seeds innermost, so that cells trained together stand together."""
    for dataset, variant in product(axes.datasets, axes.variants):
        nets = axes.nets if _takes_nets(variant) else [variant.net]
        for net, latent_size, seed in product(nets, axes.block.latent_sizes, axes.block.seeds):
            yield dataset, variant, net, latent_size, seed


def _cell(point: Point, axes: Axes, suite: str, train: Train, evaluate: Evaluate) -> Cell:
    dataset, variant, net, latent_size, seed = point
    own = _constant("variants", variant.choice, "default_likelihood", "bernoulli")
    likelihood = variant.likelihood or axes.likelihood or _default("likelihoods", own)
    return Cell(
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
        skip=skip_reason(dataset.choice, variant.choice, net, latent_size),
    )


def skip_reason(dataset: Choice, variant: Choice, net: Choice | None, latent_size: int) -> str | None:
    """Why a combination makes no sense, as far as the components' constants tell; None where it does."""
    channels, size = (extent(dataset, key) for key in ("channels", "size"))
    if _constant("variants", variant, "needs_labels", False) and not _constant("datasets", dataset, "labelled", True):
        return f"{variant.name} needs labels, and {dataset.name} has none"
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


def extent(dataset: Choice, key: str) -> int | None:
    """The dataset's size or channels: what an option says, else what the class says."""
    return dataset.options.get(key) or _constant("datasets", dataset, key, None)


def _constant(kind: str, choice: Choice, name: str, default: Any) -> Any:
    return registry.describe(kind, choice.name).constants.get(name, default)


def _default(kind: str, name: str) -> Choice:
    choice = resolve(kind, name, (), Document("", ""))
    assert choice is not None, f"{name} cannot be a default: it is unknown or has an option that must be given"
    return choice


class _Union:
    """Cells by id; refuses two rows that could not be told apart, and one row under two labels."""

    def __init__(self, document: Document) -> None:
        self.document = document
        self.cells: dict[str, Cell] = {}
        self.rows: dict[tuple[Any, ...], Cell] = {}

    def add(self, cell: Cell, dataset: Named, variant: Named) -> None:
        """Add a cell unless it is there already."""
        same = self.cells.setdefault(cell.id, cell)
        if (same.label, same.dataset_label) != (cell.label, cell.dataset_label):
            old, new = ((c.dataset_label, c.label) for c in (same, cell))
            told = f"the same cells are already there as '{' · '.join(old)}', here as '{' · '.join(new)}'"
            self.document.fault(variant.at, told)
            return
        row = (cell.dataset_label, cell.label, cell.net_label, cell.latent_size, cell.seed)
        other = self.rows.setdefault(row, cell)
        if other.dataset != cell.dataset:
            self._ask_for_label(dataset.at, f"dataset '{dataset.label}'")
        elif other.id != cell.id:
            self._ask_for_label(variant.at, f"row '{variant.label}'")

    def _ask_for_label(self, at: At, what: str) -> None:
        self.document.fault(at, f"another {what} differs from this one; tell them apart with label: ...")
