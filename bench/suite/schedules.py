"""A scalar option that changes while a model is trained: `beta: {from: 0, to: 1, over: 0.5}` instead of `beta: 1`.

Training reads its value before each update; tests after an epoch and the evaluation use the last one, `to`.
"""

from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Literal

from pydantic import Field

from .schema import Section, refuse


class Schedule(Section):
    """A number that moves from one value to another over a first part of the updates, and then stays."""

    start: Annotated[float, Field(alias="from")]
    to: Annotated[float, Field(description="the last value, which evaluation uses")]
    over: Annotated[float, Field(gt=0, le=1, description="the fraction of all updates until it is reached")] = 1.0
    curve: Annotated[Literal["linear", "geometric"], Field(description="equal steps, or equal ratios")] = "linear"

    def model_post_init(self, context: Any) -> None:
        """Refuse a schedule without effect, and ratios of numbers that have none."""
        if self.start == self.to:
            refuse(f"from and to are both {self.to:g}; write the number instead")
        if self.curve == "geometric" and min(self.start, self.to) <= 0:
            refuse(f"a geometric curve needs from and to above 0, got {self.start:g} and {self.to:g}")

    def value(self, progress: float) -> float:
        """The value when that fraction of the updates, in [0, 1], is done.

        >>> [Schedule.model_validate({"from": 0, "to": 2, "over": 0.5}).value(p) for p in (0.0, 0.25, 0.5, 1.0)]
        [0.0, 1.0, 2.0, 2.0]
        """
        part = progress / self.over
        if part >= 1:
            return self.to
        if self.curve == "geometric":
            return self.start * (self.to / self.start) ** part
        return self.start + (self.to - self.start) * part

    def as_option(self) -> dict[str, Any]:
        """As it stands in a cell and its id: what is at its default is left out."""
        return self.model_dump(by_alias=True, exclude_defaults=True)


def scheduled(options: Mapping[str, Any], scalars: Iterable[str]) -> dict[str, Schedule]:
    """Option → its schedule, of those scalars that have one."""
    return {name: Schedule.model_validate(options[name]) for name in scalars if isinstance(options.get(name), Mapping)}


def final(options: Mapping[str, Any], scalars: Iterable[str]) -> dict[str, Any]:
    """The options with the last value in the place of each schedule."""
    return {**options, **{name: schedule.to for name, schedule in scheduled(options, scalars).items()}}
