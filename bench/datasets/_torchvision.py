"""What the datasets that torchvision can download have in common: where files lie, what is missing, fetching.

torchvision is asked to download and to lay out; it is not asked to read, except where a file says so. Its
readers unpickle, demand parts that are not used here, or fail on a truncated file without naming it.
"""

import hashlib
import socket
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from queue import Empty, Queue
from typing import ClassVar

from bench.errors import DataError

from . import Dataset

PATIENCE = 20  #: seconds until a silent server counts as no answer


class TorchvisionDataset(Dataset):
    """Base of the datasets that torchvision downloads. A subclass adds `download` and `read`."""

    folder: ClassVar[str] = ""  #: below the data root, as torchvision lays it out
    files: ClassVar[tuple[tuple[str, ...], ...]] = ()  #: what is read; of each group one name must exist
    urls: ClassVar[tuple[str, ...]] = ()  #: where the files are published
    classes: ClassVar[tuple[str, ...]] = ()
    md5: ClassVar[dict[str, str]] = {}  #: file name → published checksum

    def where(self, root: Path) -> Path:
        return root / self.folder

    def find(self, root: Path, name: str) -> Path:
        """The file called `name`, or the first that exists of its group (the packed one, for example)."""
        group = next(names for names in self.files if name in names)
        return next(path for path in self._candidates(root, group) if path.exists())

    def missing(self, root: Path) -> str | None:
        groups = [g for g in self.files if not any(p.exists() for p in self._candidates(root, g))]
        if not groups:
            return None
        packed = {f" (or packed: {Path(name).suffix})" for group in groups for name in group[1:]}
        wanted = ", ".join(group[0] for group in groups) + "".join(packed)
        source = " or ".join(self.urls)
        looked = f"looked in {self.where(root).absolute()} and did not find {wanted}"
        return f"{looked}; put them there, from {source}"

    def original(self, root: Path) -> str:
        differ = self.differing(root)
        return f"no: {', '.join(path.name for path in differ)}" if differ else self.unknown(root) or "yes"

    def differing(self, root: Path) -> list[Path]:
        """The files whose checksum is not the published one."""
        known = [path for path in self._read_files(root) if path.name in self.md5]
        return [path for path in known if md5(path) != self.md5[path.name]]

    def unknown(self, root: Path) -> str | None:
        """ "unknown: WHY" if there is a file without a published checksum, else None."""
        files = [path.name for path in self._read_files(root) if path.name not in self.md5]
        return f"unknown: there is no published checksum of {', '.join(files)}" if files else None

    def stamp(self, root: Path) -> list[tuple[str, int, int]]:
        stats = [(path.name, path.stat()) for path in self._read_files(root)]
        return [(name, stat.st_size, stat.st_mtime_ns) for name, stat in stats]

    def fetch(self, root: Path) -> None:
        try:
            with impatient():
                ask(self.urls)
                self.download(root)
        except Exception as error:  # urllib, torchvision, gdown, tarfile and zipfile each raise their own
            reason = " ".join(str(error).split()) or type(error).__name__
            problem = self.missing(root) or f"what lies in {self.where(root)} is not the published data"
            raise DataError(f"{self.name}: the download failed ({reason}); {problem}") from error

    def download(self, root: Path) -> None:
        """Have torchvision download into `root`; raises whatever it raises."""
        raise NotImplementedError

    def _read_files(self, root: Path) -> list[Path]:
        return [self.find(root, group[0]) for group in self.files]

    def _candidates(self, root: Path, group: tuple[str, ...]) -> list[Path]:
        return [self.where(root) / name for name in group]


def md5(path: Path) -> str:
    """The checksum of a file, as hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


@contextmanager
def impatient() -> Iterator[None]:
    """Sockets opened inside give up after `PATIENCE` seconds of silence; without it urllib waits for ever."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(PATIENCE)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)


def ask(urls: tuple[str, ...], seconds: float = PATIENCE) -> None:
    """Return as soon as one of `urls` answers anything; raise `OSError` when none does within `seconds`.

    The bound is on the whole attempt. A socket's timeout is not: it holds for each address of a name and not
    for the look-up of the name, so that a firewall that swallows packets would cost minutes.
    """
    answers: Queue[str | None] = Queue()
    for url in urls:
        threading.Thread(target=_ask, args=(url, seconds, answers), daemon=True).start()
    deadline, reasons = time.monotonic() + seconds, []
    for _ in urls:
        try:
            reason = answers.get(timeout=max(0.0, deadline - time.monotonic()))
        except Empty:
            raise OSError(f"no answer within {seconds:g} s") from None
        if reason is None:
            return
        reasons.append(reason)
    raise OSError("; ".join(reasons))


def _ask(url: str, seconds: float, answers: Queue[str | None]) -> None:
    try:
        request = urllib.request.Request(url, method="HEAD")  # noqa: S310  (a class constant, never from YAML)
        with urllib.request.urlopen(request, timeout=seconds):  # noqa: S310
            answers.put(None)
    except urllib.error.HTTPError as error:  # a server that says 403 or 404 is there
        error.close()
        answers.put(None)
    except Exception as error:  # a thread has nobody to raise to
        answers.put(f"{url}: {error}")
