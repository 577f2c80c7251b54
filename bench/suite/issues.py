"""What is wrong with a suite, collected as issues: a path in the document and a message.

Validation knows paths only. `document.Document.messages` turns issues into text with file, line, column and caret.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from bench.errors import did_you_mean, printable

Place = tuple[str | int, ...]  #: a path in the document: ("grid", "variants", 2)

LONGEST = 60  #: characters of a value or name that a message quotes


@dataclass(frozen=True)
class Problem:
    """One sentence. `wrong` is a misspelt name, `known` the names that are right."""

    message: str
    wrong: str = ""
    known: tuple[str, ...] = ()

    def __str__(self) -> str:
        return self.message + (did_you_mean(self.wrong, self.known) if self.known else "")


@dataclass(frozen=True)
class Issue:
    """A problem at a place; with `key`, at the key of the place instead of its value."""

    place: Place
    problem: Problem
    key: bool = False

    def __str__(self) -> str:
        return f"{show_place(self.place)}: {self.problem}" if self.place else str(self.problem)


class Issues:
    """The issues of a document, as seen from one place in it: `issues.at("grid", 0).add("must not be empty")`."""

    def __init__(self, place: Place = (), found: dict[Issue, None] | None = None) -> None:
        self.place = place
        self._found = {} if found is None else found  # a dict keeps the order and drops repeats

    def at(self, *steps: str | int) -> "Issues":
        """The same issues, seen from a place further in."""
        return Issues((*self.place, *steps), self._found)

    def add(self, problem: str | Problem, wrong: str = "", known: Iterable[str] = (), *, key: bool = False) -> None:
        """Note a problem at this place. With `wrong` and `known` the message names the nearest known name."""
        if isinstance(problem, str):
            problem = Problem(problem, wrong, tuple(known))
        self._found[Issue(self.place, problem, key)] = None

    @property
    def found(self) -> Sequence[Issue]:
        """All issues of the document in the order in which they were found."""
        return tuple(self._found)

    def __len__(self) -> int:
        return len(self._found)


def show_place(place: Place) -> str:
    """
    >>> show_place(("grid", "variants", 2, "beta"))
    'grid.variants[2].beta'
    """
    return "".join(f"[{step}]" if isinstance(step, int) else f".{quote(step)}" for step in place).lstrip(".")


def show_value(value: Any) -> str:
    """A value as a message quotes it: short, and in YAML's words.

    >>> show_value(True), show_value(None), show_value("ab"), show_value([1])
    ('true', 'nothing', "'ab'", 'a list')
    """
    if isinstance(value, bool):
        return str(value).lower()
    if value is None or isinstance(value, list | tuple | dict):
        return {type(None): "nothing", dict: "a mapping"}.get(type(value), "a list")
    return f"'{quote(value)}'" if isinstance(value, str) else quote(repr(value))


def quote(text: str) -> str:
    """A text on one line, without control characters, shortened to `LONGEST` characters.

    >>> quote("a\\nb"), len(quote("a" * 99))
    ('a\\\\nb', 61)
    """
    shown = printable(text[: LONGEST + 1]).replace("\n", "\\n").replace("\t", "\\t")
    return shown if len(text) <= LONGEST else f"{shown[:LONGEST]}…"
