"""Which image files a folder or a zip holds. Every file is an image, skipped and counted, or a problem."""

import threading
import unicodedata
import zipfile
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path, PurePosixPath
from typing import IO

from PIL import Image

from bench.errors import DataError

from ._problems import Problems, printable
from ._recipe import FORMATS

Image.init()
#: Suffixes of the formats that are read
SUFFIXES = frozenset(suffix for suffix, name in Image.registered_extensions().items() if name in (*FORMATS, "MPO"))
#: Suffixes of images that are not read: a folder with one of them is refused rather than read in part
OTHER_IMAGES = frozenset({
    ".heic", ".heif", ".svg", ".eps", ".ps", ".psd", ".xcf", ".exr", ".hdr", ".dng", ".cr2", ".cr3", ".nef", ".arw",
    ".orf", ".rw2", ".raf", ".raw", ".jxl", ".jxr", ".fits", ".fit", ".ico", ".icns", ".cur", ".emf", ".wmf", ".im",
    ".fli", ".flc", ".xpm", ".xbm", ".msp", ".spi", ".gbr", ".blp", ".ftc", ".ftu", ".pxr", ".dds",
})  # fmt: skip
#: First bytes of images whose suffix does not say what they are
SIGNATURES = (b"\x89PNG\r\n", b"\xff\xd8\xff", b"GIF87a", b"GIF89a", b"II*\x00", b"MM\x00*")
SYSTEM_FILES = frozenset({"thumbs.db", "ehthumbs.db", "desktop.ini", "__macosx", "icon\r"})
HIDDEN = "hidden files and files of operating systems"
MOST_BYTES = 2**28  #: of one file; more is no image of a data set, but a mistake or an attack


class FolderFiles:
    """The images below a folder, links followed; `names` are sorted, relative, with `/`, in composed Unicode (NFC).

    `total` counts them and the images with problems; `skipped` counts other files, by kind.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.problems = Problems()
        self.skipped: Counter[str] = Counter()
        self._paths: dict[str, Path] = {}
        for file in _files_below(path, self.problems, self.skipped):
            name = file.relative_to(path).as_posix()
            if _is_image(name, partial(_binary, file), self.problems, self.skipped):
                self._add(name, file)
        self.names = sorted(self._paths)
        self.total = len(self.names) + self.problems.count

    def _add(self, name: str, file: Path) -> None:
        composed = unicodedata.normalize("NFC", name)
        if composed in self._paths:
            self.problems.add("with a name that differs from another in the encoding of accents only", name)
        elif _size(file) > MOST_BYTES:
            self.problems.add(f"of more than {MOST_BYTES >> 20} MiB", name)
        else:
            self._paths[composed] = file

    def read(self, name: str) -> bytes:
        return self._paths[name].read_bytes()

    def stamp(self) -> list[tuple[str, int, int]]:
        """Name, size and time of every image; the time is the later one of its contents and its entry."""
        stats = [(name, self._paths[name].stat()) for name in self.names]
        return [(name, s.st_size, max(s.st_mtime_ns, s.st_ctime_ns)) for name, s in stats]

    def close(self) -> None:
        """Nothing is held open."""


class ZipFiles:
    """The images inside a zip, by names as in `FolderFiles`. They are only read: a member's name never becomes a path.

    Raises `DataError` for a file that is not a zip.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.problems = Problems()
        self.skipped: Counter[str] = Counter()
        try:
            self._archive = zipfile.ZipFile(path)
        except Exception as error:  # zipfile has half a dozen kinds for a damaged file
            raise DataError(f"{path}: cannot be read as a zip ({printable(str(error))})") from error
        self._lock = threading.Lock()  # ZipFile's own state is not safe between threads
        self._members: dict[str, zipfile.ZipInfo] = {}
        for info in self._archive.infolist():
            self._add(info)
        self.names = sorted(self._members)
        self.total = len(self.names) + self.problems.count

    def _add(self, info: zipfile.ZipInfo) -> None:
        name = unicodedata.normalize("NFC", info.filename.replace("\\", "/"))  # some Windows tools write backslashes
        if name.endswith("/"):
            return
        opened = lambda: self._archive.open(info)  # noqa: E731
        if not _is_image(name, opened, self.problems, self.skipped):
            return
        if info.flag_bits & 1:
            self.problems.add("encrypted", name)
        elif info.file_size > MOST_BYTES:
            self.problems.add(f"of more than {MOST_BYTES >> 20} MiB", name)
        elif name in self._members:
            self.problems.add("with the name of another one in the zip", name)
        else:
            self._members[name] = info

    def read(self, name: str) -> bytes:
        with self._lock:
            return self._archive.read(self._members[name])

    def stamp(self) -> list[tuple[str, int, int]]:
        """Name, size and time of the zip; the time is the later one of its contents and its entry."""
        stat = self.path.stat()
        return [(self.path.name, stat.st_size, max(stat.st_mtime_ns, stat.st_ctime_ns))]

    def close(self) -> None:
        self._archive.close()


ImageFiles = FolderFiles | ZipFiles


@contextmanager
def open_images(path: Path) -> Iterator[ImageFiles]:
    """The image files below a folder or in a zip. Raises `DataError` for a file that is not a zip."""
    files = FolderFiles(path) if path.is_dir() else ZipFiles(path)
    try:
        yield files
    finally:
        files.close()


def skipped_text(skipped: Mapping[str, int]) -> str:
    """The counts as words.

    >>> skipped_text({"*.txt": 2, "hidden": 1})
    '2 *.txt, 1 hidden'
    """
    return ", ".join(f"{count} {kind}" for kind, count in sorted(skipped.items()))


# -- what a file is


def _binary(path: Path) -> IO[bytes]:
    return path.open("rb")


def _is_image(name: str, opened: Callable[[], IO[bytes]], problems: Problems, skipped: Counter[str]) -> bool:
    """True for an image with a usable name; else the file is counted in `skipped` or added to `problems`."""
    parts, suffix = PurePosixPath(name).parts, PurePosixPath(name).suffix.lower()
    if ".." in parts or name.startswith("/"):
        problems.add("with a name that leads out of the folder", name)
    elif _is_hidden(parts):
        skipped[HIDDEN] += 1
    elif suffix in OTHER_IMAGES:
        problems.add(f"in the format {suffix}, which is not read", name)
    elif suffix not in SUFFIXES and not _has_signature(opened):
        skipped[printable(f"*{suffix}") if suffix else "files without a suffix"] += 1
    elif {"Cc", "Cs"} & (kinds := {unicodedata.category(character) for character in name}):
        what = "that is not UTF-8" if "Cs" in kinds else "with control characters"
        problems.add(f"with a name {what}", name)
    else:
        return True
    return False


def _is_hidden(parts: tuple[str, ...]) -> bool:
    return any(part.startswith(".") or part.lower() in SYSTEM_FILES for part in parts)


def _has_signature(opened: Callable[[], IO[bytes]]) -> bool:
    try:
        with opened() as file:
            head = file.read(12)
    except Exception:  # a file that cannot be opened is no image by its name either
        return False
    return head.startswith(SIGNATURES) or (head[:4] == b"RIFF" and head[8:] == b"WEBP")


# -- walking through a folder


def _files_below(root: Path, problems: Problems, skipped: Counter[str]) -> Iterator[Path]:
    """Every regular file once. Linked folders and files come after those that are not linked.

    A link to a folder or a file that is read already, such as a parent folder, is a problem.
    """
    folders, linked_folders, linked_files = deque([root]), deque[Path](), list[Path]()
    seen: set[tuple[int, int]] = set()
    while folders or linked_folders:
        folder = folders.popleft() if folders else linked_folders.popleft()
        if not _is_new(folder, root, seen, problems):
            continue
        for path in _entries(folder, root, problems):
            if path.is_symlink() and _is_hidden(path.relative_to(root).parts):
                skipped[HIDDEN] += 1
            elif path.is_symlink():
                (linked_folders if path.is_dir() else linked_files).append(path)
            elif path.is_dir():
                folders.append(path)
            elif path.is_file():
                seen.add(_identity(path))
                yield path
            else:
                skipped["files that are not regular"] += 1
    for path in linked_files:
        if not path.exists():
            problems.add("linked to nothing", path.relative_to(root).as_posix())
        elif not path.is_file():
            skipped["files that are not regular"] += 1
        elif _is_new(path, root, seen, problems):
            seen.discard(_identity(path))  # two links to one file outside are two images
            yield path


def _is_new(path: Path, root: Path, seen: set[tuple[int, int]], problems: Problems) -> bool:
    identity = _identity(path)
    if identity in seen:
        problems.add("linked to what is read already", path.relative_to(root).as_posix())
        return False
    seen.add(identity)
    return True


def _identity(path: Path) -> tuple[int, int]:
    stat = path.stat()
    return stat.st_dev, stat.st_ino


def _entries(folder: Path, root: Path, problems: Problems) -> list[Path]:
    try:
        return sorted(folder.iterdir())
    except OSError as error:
        problems.add("in a folder that cannot be listed", folder.relative_to(root).as_posix(), str(error.strerror))
        return []


def _size(file: Path) -> int:
    try:
        return file.stat().st_size
    except OSError:
        return 0
