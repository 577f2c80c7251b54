"""Everything that is wrong with a set of image files, collected into one message."""

from collections import defaultdict
from pathlib import Path
from threading import Lock

from bench.errors import DataError

NAMED = 3  #: files named for each reason


class Problems:
    """Reasons why images cannot be used, each with the names of its files; safe between threads."""

    def __init__(self) -> None:
        self._found: dict[str, list[str]] = defaultdict(list)
        self._lock = Lock()

    def add(self, reason: str, name: str, detail: str = "") -> None:
        """reason: continues "3 images cannot be used: 2 ..."; detail: of this file."""
        with self._lock:
            self._found[reason].append(printable(f"{name}: {detail}" if detail else name))

    @property
    def count(self) -> int:
        return sum(len(names) for names in self._found.values())

    def refuse(self, path: Path, total: int) -> None:
        """Raise one `DataError` if there is any problem with the `total` images of `path`."""
        if not self._found:
            return
        reasons = "; ".join(_reason(reason, sorted(names)) for reason, names in sorted(self._found.items()))
        images = f"{self.count} of {total} images" if total > 1 else "the only image"
        raise DataError(f"{printable(str(path))}: {images} cannot be used: {reasons}")


def _reason(reason: str, names: list[str]) -> str:
    more = ", ..." if len(names) > NAMED else ""
    return f"{len(names)} {reason} ({', '.join(names[:NAMED])}{more})"


def printable(text: str) -> str:
    r"""A text with control characters, and bytes that are not UTF-8, as escapes.

    >>> printable("caf\udce9\n")
    'caf\\udce9\\n'
    """
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)
