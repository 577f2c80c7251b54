"""What the checks of all kinds share."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from bench import registry
from bench.errors import NotApplicable
from bench.registry import Component


class Broken(Exception):  # noqa: N818  (the component is broken, not this program)
    """What a component does instead of what its contract asks; `where` is the method or function at fault."""

    def __init__(self, message: str, where: str = "") -> None:
        super().__init__(message)
        self.where = where


@dataclass(frozen=True)
class Subject:
    """The component under test. options: those given; the others have their defaults."""

    component: Component
    data_root: Path
    given: dict[str, Any] = field(default_factory=dict)

    @property
    def kind(self) -> Any:
        """Its class, or its `Metric`."""
        return registry.load(self.component.kind, self.component.name)

    @property
    def options(self) -> dict[str, Any]:
        """All options. Raises `Broken` where a required one is not given."""
        known = {name: option.default for name, option in self.component.options.items()} | self.given
        needed = [name for name, value in known.items() if value is registry.REQUIRED]
        if needed:
            raise NotApplicable(f"needs the option {needed[0]}: --option {needed[0]}=VALUE")
        return known


Check = Callable[[Subject], None]


def require(condition: object, message: str, where: str = "") -> None:
    """Raise `Broken` unless the condition holds."""
    if not condition:
        raise Broken(message, where)


def images(shape: tuple[int, int, int], n: int = 6) -> tuple[Tensor, Tensor]:
    """Random images (n, C, H, W) in [0, 1] and labels (n,) of two classes."""
    return torch.rand(n, *shape, generator=torch.Generator().manual_seed(1)), torch.arange(n) % 2
