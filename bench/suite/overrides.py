"""`--set a.b[2].c=value`, applied to the plain values of a suite before they are validated."""

import re
from collections.abc import Iterable
from typing import Any

from bench.errors import SuiteError, UsageError

from .document import Document, parse
from .issues import Issues, Place, quote, show_place

_PATH = re.compile(r"\w+(\.\w+|\[\d+\])*", re.ASCII)


def override(document: Document, assignment: str) -> None:
    """Apply one assignment; its value is YAML. Raises `UsageError` if it cannot be read or has no place.

    Mappings that are missing on the way are made, and a plain name on the way becomes `{name: ...}`. `grid.x` is set
    in every block of a grid that is a list. `train.x` is set in the budgets of single blocks too, where they have an
    `x` of their own. The validation decides later whether the key exists.
    """
    path, sign, text = assignment.partition("=")
    if not sign or not _PATH.fullmatch(path.strip()):
        form = "key=value, such as train.epochs=1 or grid.variants[0].beta=4"
        raise UsageError(f"--set {quote(assignment)}: write it as {form}")
    steps, origin = re.findall(r"\w+", path), quote(assignment)
    for place in [steps, *_budgets_of_blocks(document.data, steps)]:
        value = _value(f"--set {origin}", text)  # read anew, so that no two places share a mapping
        document.data = _Writer(document, origin).put(document.data, (), place, value)


def _budgets_of_blocks(data: Any, steps: list[str]) -> list[list[str]]:
    """The places in blocks of the grid that would hide an override of the suite's own budget."""
    if steps[0] != "train" or not isinstance(data, dict):
        return []
    grid = data.get("grid")
    blocks = {("grid", str(i)): block for i, block in enumerate(grid)} if isinstance(grid, list) else {("grid",): grid}
    own = {place: block["train"] for place, block in blocks.items() if isinstance(block, dict) and "train" in block}
    hides = {place: len(steps) == 1 or (isinstance(train, dict) and steps[1] in train) for place, train in own.items()}
    return [[*place, *steps] for place, hidden in hides.items() if hidden]


class _Writer:
    """Writes one value and marks in the document what it changed."""

    def __init__(self, document: Document, origin: str) -> None:
        self.overridden, self.origin = document.overridden, origin

    def put(self, holder: Any, place: Place, steps: list[str], value: Any) -> Any:
        """`holder`, which is at `place`, with the value put in at `steps` further in."""
        if not steps:
            self.overridden[place] = self.origin
            return value
        if isinstance(holder, list):
            return self._put_in_list(holder, place, steps, value)
        if not isinstance(holder, dict):
            holder = {"name": holder} if isinstance(holder, str) else {}
            self.overridden[place] = self.origin
        holder[steps[0]] = self.put(holder.get(steps[0]), (*place, steps[0]), steps[1:], value)
        return holder

    def _put_in_list(self, holder: list[Any], place: Place, steps: list[str], value: Any) -> list[Any]:
        if place == ("grid",) and not steps[0].isdecimal():
            return [self.put(block, (*place, i), steps, value) for i, block in enumerate(holder)]
        i = int(steps[0]) if steps[0].isdecimal() and len(steps[0]) < 9 else None
        if i is None or i >= len(holder):
            count = f"{show_place(place)} is a list of {len(holder)}, counted from 0"
            raise UsageError(f"--set {self.origin}: there is no {show_place(place)}[{quote(steps[0])}]; {count}")
        holder[i] = self.put(holder[i], (*place, i), steps[1:], value)
        return holder


def parse_assignments(assignments: Iterable[str], flag: str = "--option") -> dict[str, Any]:
    """`["path=faces", "size=32"]` as a mapping, the values read as YAML. Raises `UsageError`.

    >>> parse_assignments(["path=faces", "size=32"])
    {'path': 'faces', 'size': 32}
    """
    found = {}
    for assignment in assignments:
        key, sign, text = assignment.partition("=")
        if not sign or not key.strip():
            raise UsageError(f"{flag} {quote(assignment)}: write it as key=value")
        found[key.strip()] = _value(f"{flag} {quote(assignment)}", text)
    return found


def _value(name: str, text: str) -> Any:
    issues = Issues()
    try:
        document = parse(name, text, issues)
    except SuiteError as error:
        raise UsageError(error.faults[0]) from None
    if issues:
        raise UsageError(document.messages(issues)[0])
    return document.data
