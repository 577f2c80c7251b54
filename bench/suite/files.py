"""Where suite files are, and which names they may have."""

import re
import unicodedata
from pathlib import Path

import bench
from bench.errors import SuiteError, did_you_mean

#: Folders under results/ that hold something else, and device names of Windows
RESERVED_NAMES = frozenset(
    {"rulers", "speed", "con", "prn", "aux", "nul", *(f"{port}{n}" for port in ("com", "lpt") for n in range(1, 10))}
)
LONGEST_NAME = 100  #: a file name of 255 bytes leaves room for what is appended to it


def suite_folders() -> tuple[Path, ...]:
    """The folders that hold suites: `suites/` of the current folder, then the suites shipped with the package.

    An installed package has them in `bench/suites/`, a checkout in `suites/` beside `bench/`.
    """
    package = Path(bench.__file__).parent
    installed, checkout = package / "suites", package.parent / "suites"
    shipped = installed if installed.is_dir() else checkout
    is_ours = installed.is_dir() or (package.parent / "pyproject.toml").is_file()
    here = Path("suites")
    same = here.is_dir() and shipped.is_dir() and here.samefile(shipped)
    return (here,) if same or not is_ours else (here, shipped)


def suite_files() -> list[Path]:
    """All suites of `suite_folders` and of folders in them, sorted within a folder; of two with one name, the first."""
    found: dict[str, Path] = {}
    for folder in suite_folders():
        for path in (*sorted(folder.glob("*.yaml")), *sorted(folder.glob("*/*.yaml"))):
            found.setdefault(path.stem, path)
    return list(found.values())


def locate(path: Path) -> Path:
    """The file that `digits`, `digits.yaml` or `suites/digits.yaml` means; any other path unchanged.

    A suite of a folder in `suites/`, such as `suites/published/x.yaml`, is called `x` as well.

    Raises `SuiteError` with the nearest name where there is no such file.
    """
    if path.is_file() or (path.parts[:1] != ("suites",) and path.parent != Path()) or not path.name:
        return path
    stem = path.stem if path.suffix in (".yaml", ".yml") else path.name
    files = {file.stem: file for file in suite_files()}
    if stem in files:
        return files[stem]
    if path.exists():
        return path
    raise SuiteError([f"{path}: there is no such file{did_you_mean(stem, files, 'suites')}"])


def name_of(suite: str) -> str:
    """The name of a suite given by name or by file.

    >>> name_of("suites/digits.yaml"), name_of("digits.yaml"), name_of("digits")
    ('digits', 'digits', 'digits')
    """
    return Path(suite).stem if suite.endswith((".yaml", ".yml")) else Path(suite).name


def fold(name: str) -> str:
    """A name as file systems that ignore case, or encode accents otherwise, see it.

    >>> fold("MNIST") == fold("mnist")
    True
    """
    return unicodedata.normalize("NFKC", name).casefold()


def explain_bad_name(name: str) -> str | None:
    """The reason why a suite cannot have this name, which is also a folder's and part of a URL; None if it can.

    >>> explain_bad_name("digits"), explain_bad_name("speed")
    (None, "is reserved: 'speed' cannot be a folder of results")
    """
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]*", name) or name.endswith("."):
        return "may hold letters, digits and _ . - only, a letter or digit first and no dot last"
    if len(name) > LONGEST_NAME:
        return f"may have {LONGEST_NAME} characters at most"
    if fold(name).split(".")[0] in RESERVED_NAMES:
        return f"is reserved: '{name}' cannot be a folder of results"
    return None
