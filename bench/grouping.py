"""How many models are trained stacked: on a GPU measured in a second or two for each kind of model, elsewhere one.

The answers are kept in `groups.json` of the cache folder, an entry for each device, version of torch and kind of model;
what is damaged or missing there is measured again. Beside them is kept how fast several groups train on one GPU, which
`side_by_side` measures. Telling what is known imports no torch.
"""

import json
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import registry
from .cache import cache_folder
from .store import write_bytes
from .suite import Cell
from .suite_grid import extent

if TYPE_CHECKING:
    import torch

    from .datasets import Data, Split

SIZES = (1, 4, 16)  #: models of a group that are tried
WORTH = 1.1  #: how many times faster more groups must be: each has a process, which takes memory and a core
STEPS, EPOCHS = 170, 3  #: of a measurement, together long enough to be captured; the first epoch is not counted


@dataclass(frozen=True)
class Kind:
    """What an answer holds for, besides device and version: models and batches alike enough to be as fast.

    images: channels × height × width. latent_size: rounded up to a power of two.
    """

    net: str
    images: str
    latent_size: int
    batch_size: int
    precision: str

    def __str__(self) -> str:
        return f"{self.net} D≤{self.latent_size} on {self.images}, batch {self.batch_size}, {self.precision}"


@dataclass(frozen=True)
class Answer:
    """The best size for a kind on a device, with model-images/s of each that was tried.

    beside: models of a group → number of such groups side by side → model-images/s of all of them, 0 where that failed.
    """

    device: str
    torch: str
    kind: Kind
    size: int
    rates: dict[str, float]
    beside: dict[str, dict[str, float]] = field(default_factory=dict)

    def rates_beside(self, stacked: int) -> dict[int, float]:
        """Number of groups of `stacked` models → model-images/s of all of them; {} where it was not measured."""
        return {int(count): float(rate) for count, rate in self.beside.get(str(stacked), {}).items()}


def kind(cell: Cell) -> Kind | None:
    """The kind of a cell; None where nothing is stacked: closed forms, and methods that cannot be."""
    declared = registry.describe("variants", cell.variant.name).constants
    if cell.net is None or declared.get("closed_form") or not declared.get("stackable", True):
        return None
    channels, size = (extent(cell.dataset, key) for key in ("channels", "size"))
    bucket = 1 << (cell.latent_size - 1).bit_length()
    shape, train = f"{channels}×{size}×{size}", cell.train
    return Kind(cell.net_label or "", shape, bucket, train.batch_size, train.precision)


def known() -> list[Answer]:
    """Everything the cache says; [] where it says nothing that can be read."""
    with suppress(OSError, ValueError, TypeError, KeyError, AttributeError):
        entries = json.loads(_path().read_text(encoding="utf-8"))
        return [_answer(entry) for entry in entries]
    return []


def _answer(entry: dict[str, Any]) -> Answer:
    """Raises one of the errors that `known` knows where an entry is damaged."""
    answer = Answer(**{**entry, "kind": Kind(**entry["kind"])})
    if type(answer.size) is not int or answer.size not in SIZES:
        raise ValueError(f"no size of a group: {answer.size}")
    _counts(answer)
    return answer


def find(device: str, torch: str, asked: Kind) -> Answer | None:
    """What is known of a kind on a device."""
    place = (device, torch, asked)
    return next((answer for answer in known() if (answer.device, answer.torch, answer.kind) == place), None)


def told(cells: Iterable[Cell]) -> list[dict[str, Any]]:
    """For each kind among cells: what is known of it, an entry for each device, or one with `size` None."""
    answers, entries = known(), list[dict[str, Any]]()
    for asked in dict.fromkeys(k for k in map(kind, cells) if k is not None):
        found = [answer for answer in answers if answer.kind == asked]
        entries += [
            {
                **asdict(asked), "size": a.size, "device": a.device, "torch": a.torch, "rates": a.rates,
                "side_by_side": _counts(a), "rates_side_by_side": a.beside,
            }
            for a in found
        ] or [{**asdict(asked), "size": None}]
    return entries


def words(entries: Sequence[dict[str, Any]]) -> str:
    """What `told` says, in a line; "" where nothing can be stacked."""
    if not entries:
        return ""
    parts: dict[str, list[str]] = {}
    for entry in entries:
        parts.setdefault(_words(entry), []).append(f"{entry['net']} D≤{entry['latent_size']}")
    if len(parts) == 1:
        return f"models stacked on a GPU: {next(iter(parts))}"
    stated = "; ".join(f"{answer}: {', '.join(dict.fromkeys(names))}" for answer, names in parts.items())
    return f"models stacked on a GPU: {stated}"


def _words(entry: dict[str, Any]) -> str:
    if entry["size"] is None:
        return "not measured yet"
    counts = [f"{count} group{'s' * (count > 1)} of {size}" for size, count in entry["side_by_side"].items()]
    beside = f", {' or '.join(counts)} at once" if counts else ""
    return f"{entry['size']}{beside} (measured, {entry['device']})"


def _counts(answer: Answer) -> dict[str, int]:
    """Models of a group → how many such groups side by side are worth it."""
    return {stacked: enough(answer.rates_beside(int(stacked))) for stacked in answer.beside}


def group_size(cell: Cell, build: Callable[[], Any], data: "Data", device: "torch.device", models: int) -> int:
    """How many of so many models like a cell's to stack; measured now where that pays and is not known yet.

    build: an untrained model of the cell. On CPUs it is one: stacking was measured to be slower there.
    """
    asked = kind(cell)
    if device.type != "cuda" or asked is None or models == 1:
        return 1
    where = device_name(device)
    answer = find(*where, asked) or answered(*where, asked, measure(build, data, cell.train, device))
    return answer.size


def answered(device: str, torch: str, asked: Kind, rates: dict[int, float]) -> Answer:
    """Keep what `measure` found, and return it."""
    answer = Answer(device, torch, asked, best(rates), {str(n): round(rate, 1) for n, rate in rates.items()})
    keep(answer)
    return answer


def best(rates: dict[int, float]) -> int:
    """The size with the highest rate; 1 where nothing could be measured.

    >>> best({1: 100.0, 4: 350.0, 16: 340.0})
    4
    """
    return max(rates, key=lambda size: rates[size], default=1)


def enough(rates: dict[int, float]) -> int:
    """How many groups side by side are worth it, of those with a rate; 1 where nothing could be measured.

    >>> enough({1: 100.0, 2: 150.0, 4: 160.0}), enough({1: 100.0, 2: 105.0, 4: 120.0})
    (2, 4)
    """
    chosen = 1
    for count in sorted(rates):
        if rates.get(1) and rates[count] > WORTH * rates[chosen]:
            chosen = count
    return chosen


def rounded(models: int) -> int:
    """The smallest of `SIZES` that holds so many models; the largest where none does.

    >>> rounded(1), rounded(3), rounded(40)
    (1, 4, 16)
    """
    return next((size for size in SIZES if size >= models), max(SIZES))


def measure(
    build: Callable[[], Any], data: "Data", budget: Any, device: "torch.device", sizes: Sequence[int] = SIZES
) -> dict[int, float]:
    """Size → model-images/s of training, for those that fit into the device's memory.

    An image counts once for each model that sees it.
    """
    small, short = problem(data, budget, EPOCHS)
    rates: dict[int, float] = {}
    for size in sizes:
        seconds = _epoch_seconds(build, small, short, device, size)
        if seconds is not None:
            rates[size] = size * len(small.train) / seconds
    return rates


def problem(data: "Data", budget: Any, epochs: int) -> tuple["Data", Any]:
    """What a measurement trains: the first images of `data` over and over, and a budget for `epochs` of `STEPS`."""
    from .datasets import Data

    train = _first(data.train, STEPS * budget.batch_size)
    small = Data(data.name, train, _first(data.test, 1), data.classes, data.source)
    return small, budget.model_copy(update={"epochs": epochs, "train_images": None})


def _epoch_seconds(
    build: Callable[[], Any], data: "Data", budget: Any, device: "torch.device", size: int
) -> float | None:
    """Of the fastest epoch but the first; None where so many do not fit, or every model diverged at once."""
    from .train import fit

    ends: list[float] = []
    stacked: list[int] = []

    def ended(epoch: int, rows: list[dict[str, float]]) -> None:
        ends.append(time.perf_counter())
        stacked.append(len(rows))

    fit(build, data, budget, range(size), device=device, group_size=size, on_epoch=ended)
    if any(n != size for n in stacked):  # it was tried again with fewer, for want of memory
        return None
    return min((after - before for before, after in pairwise(ends)), default=None)


def _first(split: "Split", n: int) -> "Split":
    import torch

    from .datasets import Split

    index = torch.arange(n, device=split.images.device) % len(split)
    return Split(split.images[index], None if split.labels is None else split.labels[index])


def keep(answer: Answer) -> None:
    """Add an answer to the cache, in place of an older one for the same; a cache that may not be written is left."""
    place = (answer.device, answer.torch, answer.kind)
    others = [a for a in known() if (a.device, a.torch, a.kind) != place]
    content = json.dumps([asdict(a) for a in [*others, answer]], indent=1, ensure_ascii=False)
    with suppress(OSError):
        write_bytes(_path(), content.encode())


def _path() -> Path:
    return cache_folder() / "groups.json"


def device_name(device: "torch.device") -> tuple[str, str]:
    import torch

    return torch.cuda.get_device_name(device), torch.__version__
