"""A cell: one point of a suite's grid, seed included, under a hash of everything that can change its numbers.

What can be added to a suite without invalidating earlier results (a seed, metric, sampler, dataset, label) is not in
the hash. What changes a number (an option, a budget, a component's `version`, the protocol) is. Values at their
defaults are left out, so that a new option with a default keeps all earlier ids.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, reduce
from operator import or_
from pathlib import PurePath, PurePosixPath
from typing import Any

from bench import registry
from bench.errors import UsageError

from .issues import Problem, quote
from .schema import Evaluate, Train

#: Raised when a change of the trainer changes the weights of a cell; every cell then gets a new id.
TRAINING_PROTOCOL = 1
#: Raised when the evaluation changes what all metrics are computed from (a metric has its own version).
EVALUATION_PROTOCOL = 1

#: The keys by which `--only`, `exclude` and `where` select cells
KEYS = ("dataset", "variant", "net", "label", "latent_size", "seed")


@dataclass(frozen=True)
class Choice:
    """A component with a value for each of its options: the given one, or the component's default."""

    name: str
    options: dict[str, Any]
    sha256: str | None = None  #: of the file of a plugin
    #: what was derived already; thousands of cells share one choice
    _known: dict[str, Any] = field(default_factory=dict, init=False, repr=False, compare=False)

    def __hash__(self) -> int:
        return hash((self.name, canonical(self.options), self.sha256))

    def title(self, kind: str) -> str:
        """The name with the options that differ from their defaults, `beta_vae (beta=4)`.

        >>> Choice("mlp", {"hidden": (400,), "activation": "relu"}).title("nets")
        'mlp (hidden=[400])'
        >>> Choice("timm", {"model": "resnet18", "channels": 32}).title("nets")
        'timm/resnet18'
        """
        if "title" not in self._known:
            self._known["title"] = self._title(kind)
        return self._known["title"]

    def _title(self, kind: str) -> str:
        shown = without_folders(self.name, self.options) if kind == "datasets" else self.options
        options = _changed_options(registry.describe(kind, self.name), shown) if self.is_here(kind) else dict(shown)
        name = f"timm/{options.pop('model')}" if (kind, self.name) == ("nets", "timm") else self.name
        listed = ", ".join(f"{key}={format_value(value)}" for key, value in options.items())
        return f"{name} ({listed})" if listed else name

    def content(self, kind: str) -> dict[str, Any]:
        """The component in the hash: name, version, and the options that are not at their defaults.

        Because defaults are left out, a component can gain an option and earlier ids stay. A default may therefore
        change only together with the version, which `tests/test_pinned.py` checks.

        The sha256 of a plugin covers its version and its defaults, so all of its options are in the hash: the id can
        be computed from a record without the file.
        """
        if self.sha256:
            return {"name": self.name, "options": self.options, "sha256": self.sha256}
        if "content" not in self._known:
            component = registry.describe(kind, self.name)
            version = component.constants.get("version", 1)
            changed = _changed_options(component, self.options)
            self._known["content"] = {"name": self.name, "options": changed, "version": version}
        return self._known["content"]

    def is_here(self, kind: str) -> bool:
        """True where the component is built in, or a plugin of this very sha256 is active."""
        return self.name in registry.names(kind) and registry.describe(kind, self.name).sha256 == self.sha256

    def load(self, kind: str) -> Any:
        """The component's class. Raises `UsageError` for a plugin that is not active or has changed since."""
        if self.sha256 and not self.is_here(kind):
            other = "there is no such plugin here"
            if self.name in registry.names(kind):
                other = f"the one here is {(registry.describe(kind, self.name).sha256 or 'built in')[:12]}"
            raise UsageError(
                f"the {kind[:-1]} {self.name!r} is a plugin of sha256 {self.sha256[:12]}; {other} (--plugins DIR)"
            )
        return registry.load(kind, self.name)


@dataclass(frozen=True)
class Cell:
    """One training and its evaluation."""

    suite: str
    dataset: Choice
    dataset_label: str
    variant: Choice
    label: str
    net: Choice | None
    likelihood: Choice
    latent_size: int
    seed: int
    train: Train
    evaluate: Evaluate
    skip: str | None  #: why this combination makes no sense, or None

    @cached_property
    def id(self) -> str:
        """12 hex digits; two cells with one id have the same numbers."""
        return self._id_of(self._training)

    @property
    def former_id(self) -> str | None:
        """The id of this cell in versions before 0.3, which hashed the path of its data; None where it is the same."""
        if not location("datasets", self.dataset):
            return None
        return self._id_of({**self._training, "dataset": self.dataset.content("datasets")})

    def _id_of(self, training: Mapping[str, Any]) -> str:
        evaluation = {"protocol": EVALUATION_PROTOCOL, **self.evaluate.content}
        return digest({"training": {**training, "seed": self.seed}, "evaluation": evaluation})

    @cached_property
    def train_id(self) -> str:
        """The id without the evaluation: cells with one `train_id` share a checkpoint."""
        return digest({**self._training, "seed": self.seed})

    @cached_property
    def group_key(self) -> str:
        """The id without the evaluation, the seed and the variant's `scalars`: such cells can be trained stacked."""
        variant = self._training["variant"]
        scalars = registry.describe("variants", self.variant.name).constants.get("scalars", ())
        options = {name: value for name, value in variant["options"].items() if name not in scalars}
        return digest({**self._training, "variant": {**variant, "options": options}})

    @cached_property
    def _training(self) -> dict[str, Any]:
        return {
            "protocol": TRAINING_PROTOCOL,
            "dataset": dataset_content(self.dataset, self.dataset_label),
            "variant": self.variant.content("variants"),
            "net": None if self.net is None else self.net.content("nets"),
            "likelihood": self.likelihood.content("likelihoods"),
            "latent_size": self.latent_size,
            "train": self.train.content,
        }

    @property
    def net_label(self) -> str | None:
        """`mlp`, `mlp (hidden=[400])`, `timm/resnet18`; None where there is no net."""
        return None if self.net is None else self.net.title("nets")

    @property
    def title(self) -> str:
        """One line that names the cell for a person."""
        where = f"{self.dataset_label} · D={self.latent_size} · seed {self.seed}"
        return f"{self.id}  {self.label} · {self.net_label or 'no net'} · {where}"

    def as_record(self) -> dict[str, Any]:
        """The cell as JSON values, for `record.json` and every table."""
        record = {
            "dataset": self.dataset.name,
            "dataset_options": self.dataset.options,
            "dataset_label": self.dataset_label,
            "variant": self.variant.name,
            "options": self.variant.options,
            "label": self.label,
            "net": None if self.net is None else self.net.name,
            "net_options": {} if self.net is None else self.net.options,
            "net_label": self.net_label,
            "likelihood": self.likelihood.name,
            "likelihood_options": self.likelihood.options,
            "latent_size": self.latent_size,
            "seed": self.seed,
            "train": self.train.model_dump(mode="json"),
            "evaluate": self.evaluate.model_dump(mode="json"),
        }
        choices = {"datasets": self.dataset, "variants": self.variant, "nets": self.net}
        plugins = {f"{kind}/{choice.name}": choice.sha256 for kind, choice in choices.items()
                   if choice and choice.sha256}  # fmt: skip
        record |= {"plugins": plugins} if plugins else {}
        return json.loads(canonical(record))

    @classmethod
    def from_record(cls, record: Mapping[str, Any], suite: str = "") -> "Cell":
        """The cell that `as_record` wrote down; its id is computed anew.

        Raises `KeyError`, `TypeError`, `ValueError` or `UsageError` for a wrong shape or an unknown component.
        """
        return cls(
            suite=suite,
            dataset=recorded_choice(record, "dataset", "dataset_options"),
            dataset_label=record["dataset_label"],
            variant=recorded_choice(record, "variant", "options"),
            label=record["label"],
            net=None if record["net"] is None else recorded_choice(record, "net", "net_options"),
            likelihood=Choice(record["likelihood"], record["likelihood_options"]),
            latent_size=record["latent_size"],
            seed=record["seed"],
            train=Train.model_validate(record["train"]),
            evaluate=Evaluate.model_validate(record["evaluate"]),
            skip=None,
        )

    def values(self, key: str) -> tuple[Any, ...]:
        """The values by which a selection can name this cell: of a component, its name or its label."""
        if key == "dataset":
            return (self.dataset.name, self.dataset_label)
        if key == "net":
            return (None,) if self.net is None else (self.net.name, self.net_label)
        return (self.variant.name,) if key == "variant" else (getattr(self, key),)


class CellIndex:
    """The cells of a grid by the values of their keys, so that many selections stay quick."""

    def __init__(self, cells: Iterable[Cell]) -> None:
        self.cells = tuple(cells)
        places: dict[str, dict[tuple[type, Any], list[int]]] = {key: {} for key in KEYS}
        for i, cell in enumerate(self.cells):
            for key, known in places.items():
                for value in cell.values(key):
                    known.setdefault((type(value), value), []).append(i)
        #: key -> value -> its cells as a set of bits: the union of many large sets takes microseconds
        self._masks = {key: {value: _mask(at) for value, at in known.items()} for key, known in places.items()}
        self._all = (1 << len(self.cells)) - 1

    def select(self, where: Mapping[str, Any]) -> list[Cell]:
        """The cells that match a selection, in their order; [] for an unknown key or value."""
        return [cell for cell, bit in zip(self.cells, _bits(self._found(where)), strict=False) if bit == "1"]

    def positions(self, where: Mapping[str, Any]) -> set[int]:
        """The positions in `cells` of those that match a selection; all of them for an empty selection."""
        return {i for i, bit in enumerate(_bits(self._found(where))) if bit == "1"}

    def has(self, where: Mapping[str, Any]) -> bool:
        """True if some cell matches a selection."""
        return self._found(where) != 0

    def _found(self, where: Mapping[str, Any]) -> int:
        found = self._all
        for key, asked in where.items():
            known = self._masks.get(key, {})
            found &= reduce(or_, (known.get(_typed(wanted), 0) for wanted in as_list(asked)), 0)
        return found

    def explain_miss(self, where: Mapping[str, Any]) -> Problem | None:
        """The reason why a selection names something that no cell has; None if each key and value is known."""
        for key, asked in where.items():
            if key not in KEYS:
                return Problem(f"unknown key '{quote(key)}'", key, KEYS)
            known = self._masks[key]
            for wanted in as_list(asked):
                if _typed(wanted) not in known:
                    names = tuple(format_value(value) for _, value in known)
                    shown = format_value(wanted)
                    return Problem(f"no cell has {key} {quote(shown)}", shown, names)
        return None


def _mask(positions: Iterable[int]) -> int:
    """A number with these bits set.

    >>> _mask([0, 3]) == 0b1001
    True
    """
    digits = bytearray(b"0") * (max(positions, default=0) + 1)
    for i in positions:
        digits[i] = ord("1")
    return int(digits[::-1], 2)


def _bits(mask: int) -> str:
    """The bits of a number, the lowest first.

    >>> _bits(0b1010)
    '0101'
    """
    return f"{mask:b}"[::-1]


def _typed(value: Any) -> tuple[type, Any]:
    """A key that tells True from 1, and a list or mapping from every value that a cell has."""
    return (type(value), value if value is None or isinstance(value, str | int | float) else repr(value))


def recorded_choice(record: Mapping[str, Any], key: str, options: str) -> Choice:
    """A component of a recorded cell, with the sha256 of a plugin. Raises `KeyError` where the record lacks it."""
    name = record[key]
    return Choice(name, record[options], record.get("plugins", {}).get(f"{key}s/{name}"))


def without_folders(dataset: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """A dataset's options with paths cut to their last part, for print; an unknown dataset's stay as they are.

    >>> without_folders("folder", {"path": "/home/me/faces.zip", "size": 32})
    {'path': 'faces.zip', 'size': 32}
    """
    if dataset not in registry.names("datasets"):
        return dict(options)
    paths = registry.describe("datasets", dataset).constants.get("location_options", ())
    return {name: PurePath(value).name if name in paths else value for name, value in options.items()}


def as_list(value: Any) -> Sequence[Any]:
    """A scalar as a list of one."""
    return value if isinstance(value, list | tuple) else [value]


_CANONICAL = json.JSONEncoder(sort_keys=True, separators=(",", ":"), allow_nan=False)


def canonical(content: Any) -> str:
    """JSON that is the same for equal content: sorted keys, no spaces, tuples as lists."""
    return _CANONICAL.encode(content)


def digest(content: Any) -> str:
    """The first 12 hex digits of the sha256 of canonical JSON."""
    return hashlib.sha256(canonical(content).encode()).hexdigest()[:12]


def location(kind: str, choice: Choice) -> dict[str, Any]:
    """The options of a component that say where on one machine its data lie, and not what they are.

    A relative path is none: it is a name below the data root, which is the same on every machine.
    """
    try:
        if choice.sha256:  # the same without the plugin's file
            names = tuple(choice.options)
        else:
            names = registry.describe(kind, choice.name).constants.get("location_options", ())
    except UsageError:  # a record of a component that is not installed here
        return {}
    return {name: value for name in names if _is_place(value := choice.options.get(name))}


def _is_place(value: Any) -> bool:
    """
    >>> _is_place("/home/ada/images"), _is_place("~/images"), _is_place("../images"), _is_place("images.zip")
    (True, True, True, False)
    """
    if not isinstance(value, str):
        return False
    return value.startswith(("/", "~")) or ".." in PurePosixPath(value).parts


def dataset_content(choice: Choice, label: str) -> dict[str, Any]:
    """A dataset in the hash of a cell. One at a place of this machine is known by its label, not by the place.

    Its images are known by their fingerprint, which every run compares with the records'.
    """
    content, place = choice.content("datasets"), location("datasets", choice)
    if not place:
        return content
    options = {name: value for name, value in content["options"].items() if name not in place}
    return {**content, "options": options, "label": label}


def _changed_options(component: registry.Component, options: Mapping[str, Any]) -> dict[str, Any]:
    """The options that are not at their defaults, in the component's order, whether read from YAML or JSON."""
    known = component.options
    ordered = [*(name for name in known if name in options), *(name for name in options if name not in known)]
    return {
        name: options[name]
        for name in ordered
        if name not in known or canonical(options[name]) != canonical_default(known[name].default)
    }


def canonical_default(value: Any) -> str:
    """Canonical JSON of an option's default; "", which equals no JSON, for a required option."""
    return "" if value is registry.REQUIRED else canonical(value)


def format_value(value: Any) -> str:
    """A value as labels show it: 4.0 as 4, a tuple as a list, a schedule as its way.

    >>> format_value(4.0), format_value((400, 200)), format_value(False), format_value({"split": "letters"})
    ('4', '[400, 200]', 'false', '{split: letters}')
    >>> format_value({"from": 0.0, "to": 1.0, "over": 0.5})
    '0 → 1 over 0.5'
    """
    if isinstance(value, Mapping) and {"from", "to"} <= value.keys():
        over = f" over {format_value(value['over'])}" if "over" in value else ""
        curve = f" {value['curve']}" if "curve" in value else ""
        return f"{format_value(value['from'])} → {format_value(value['to'])}{over}{curve}"
    if isinstance(value, dict):
        return f"{{{', '.join(f'{key}: {format_value(part)}' for key, part in value.items())}}}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(format_value(part) for part in value)}]"
    if isinstance(value, bool) or value is None:
        return {True: "true", False: "false", None: "null"}[value]
    return f"{value:g}" if isinstance(value, float) else str(value)
