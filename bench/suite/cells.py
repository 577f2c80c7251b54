"""A cell: one point of a suite's grid, seed included, under a hash of everything that can change its numbers.

What may be added to a suite without invalidating what is there (a seed, metric, sampler, dataset, label) is
not in the hash; what changes a number (an option, a budget, a component's `version`, the protocol) is. Values at
their defaults are left out, so that an option can be added without making every earlier cell a new one.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from bench import registry
from bench.errors import did_you_mean

from .schema import Evaluate, Train

#: Raised when the trainer changes what a cell's weights come out as; all cells are then new ones.
TRAINING_PROTOCOL = 1
#: Raised when the evaluation changes what all metrics are computed from (a metric has its own version).
EVALUATION_PROTOCOL = 1

#: What cells can be chosen by: `--only`, `exclude`, `where`
KEYS = ("dataset", "variant", "net", "label", "latent_size", "seed")


@dataclass(frozen=True)
class Choice:
    """A component with all its options resolved to values; what was not given is the component's default."""

    name: str
    options: dict[str, Any]

    def __hash__(self) -> int:
        return hash((self.name, canonical(self.options)))

    def title(self, kind: str) -> str:
        """The name with the options that differ from their defaults, `beta_vae (beta=4)`.

        >>> Choice("mlp", {"hidden": (400,), "activation": "relu"}).title("nets")
        'mlp (hidden=[400])'
        >>> Choice("timm", {"model": "resnet18", "channels": 32}).title("nets")
        'timm/resnet18'
        """
        known = registry.describe(kind, self.name).options
        options = {k: v for k, v in self.options.items() if k not in known or v != known[k].default}
        name = f"timm/{options.pop('model')}" if (kind, self.name) == ("nets", "timm") else self.name
        told = ", ".join(f"{key}={_told(value)}" for key, value in options.items())
        return f"{name} ({told})" if told else name


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
        # Which samplers and maps are asked for adds numbers, but changes none
        protocol = self.evaluate.model_dump(mode="json", exclude={"samplers", "embed"}, exclude_defaults=True)
        maps = self.evaluate.embed.model_dump(mode="json", exclude={"methods"}, exclude_defaults=True)
        evaluation = {"protocol": EVALUATION_PROTOCOL, **protocol, "embed": maps}
        return digest({"training": {**self._training, "seed": self.seed}, "evaluation": evaluation})

    @cached_property
    def train_id(self) -> str:
        """The same without anything of the evaluation: cells with one `train_id` share a checkpoint."""
        return digest({**self._training, "seed": self.seed})

    @cached_property
    def group_key(self) -> str:
        """The same without the seed and the variant's `scalars`: cells with one `group_key` can be trained stacked."""
        variant = self._training["variant"]
        scalars = registry.describe("variants", self.variant.name).constants.get("scalars", ())
        options = {name: value for name, value in variant["options"].items() if name not in scalars}
        return digest({**self._training, "variant": {**variant, "options": options}})

    @cached_property
    def _training(self) -> dict[str, Any]:
        return {
            "protocol": TRAINING_PROTOCOL,
            "dataset": _content("datasets", self.dataset),
            "variant": _content("variants", self.variant),
            "net": None if self.net is None else _content("nets", self.net),
            "likelihood": _content("likelihoods", self.likelihood),
            "latent_size": self.latent_size,
            "train": self.train.model_dump(mode="json", exclude_defaults=True),
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
        return json.loads(canonical(record))

    def values(self, key: str) -> tuple[Any, ...]:
        """What a selection may call this cell by: a component by its name or its label."""
        if key == "dataset":
            return (self.dataset.name, self.dataset_label)
        if key == "net":
            return (None,) if self.net is None else (self.net.name, self.net_label)
        return (self.variant.name,) if key == "variant" else (getattr(self, key),)

    def matches(self, where: Mapping[str, Any]) -> bool:
        """True if every key of `where` has this cell's value, or a list that holds it.

        `where` has passed `explain_miss`, so that its keys are known.
        """
        return all(
            any(_same(wanted, value) for wanted in as_list(asked) for value in self.values(key))
            for key, asked in where.items()
        )


def explain_miss(where: Mapping[str, Any], cells: Iterable[Cell]) -> str | None:
    """Why a selection names something that no cell has; None if each of its keys and values is known."""
    cells = list(cells)
    for key, asked in where.items():
        if key not in KEYS:
            return f"unknown key '{key}'{did_you_mean(key, KEYS)}"
        known = dict.fromkeys(value for cell in cells for value in cell.values(key))
        for wanted in as_list(asked):
            if not any(_same(wanted, value) for value in known):
                return f"no cell has {key} {_told(wanted)}{did_you_mean(wanted, [_told(v) for v in known])}"
    return None


def as_list(value: Any) -> Sequence[Any]:
    """A scalar as a list of one."""
    return value if isinstance(value, list | tuple) else [value]


def canonical(content: Any) -> str:
    """JSON that is the same for equal content: sorted keys, no spaces, tuples as lists."""
    return json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=False)


def digest(content: Any) -> str:
    """The first 12 hex digits of the sha256 of canonical JSON."""
    return hashlib.sha256(canonical(content).encode()).hexdigest()[:12]


def _content(kind: str, choice: Choice) -> dict[str, Any]:
    """A component in the hash: name, version, and the options that are not at their defaults.

    Leaving defaults out lets a component gain an option without invalidating what was computed before; in turn a
    default may only change together with the version, which `tests/test_pinned.py` holds.
    """
    component = registry.describe(kind, choice.name)
    known = {name: option.default for name, option in component.options.items()}
    changed = {k: v for k, v in choice.options.items() if k not in known or canonical(v) != canonical_default(known[k])}
    return {"name": choice.name, "options": changed, "version": component.constants.get("version", 1)}


def canonical_default(value: Any) -> str:
    """Canonical JSON of an option's default; one that is required equals nothing."""
    return "" if value is registry.REQUIRED else canonical(value)


def _same(wanted: Any, value: Any) -> bool:
    return type(wanted) is type(value) and wanted == value  # True is no seed 1


def _told(value: Any) -> str:
    """A value as labels show it: 4.0 as 4, a tuple as a list.

    >>> _told(4.0), _told((400, 200)), _told(False), _told(None)
    ('4', '[400, 200]', 'false', 'null')
    """
    if isinstance(value, list | tuple):
        return f"[{', '.join(_told(part) for part in value)}]"
    if isinstance(value, bool) or value is None:
        return {True: "true", False: "false", None: "null"}[value]
    return f"{value:g}" if isinstance(value, float) else str(value)
