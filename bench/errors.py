"""The exceptions of bench.

    BenchError                   anything bench raises on purpose; has .exit_code
    ├── SuiteError               a suite file is wrong: every fault at once, with line and column (exit 2)
    ├── UsageError               a wrong name or value on the command line (exit 2)
    │   └── ComponentError       the file of a variant, net, sampler, dataset or metric cannot be read (exit 2)
    ├── DataError                a dataset or a weights file is missing, or differs from the recorded one (exit 2)
    ├── ResultError              a results folder holds what bench cannot read (exit 2)
    ├── StorageError             the disk is full or cannot be written; ends a run, and what is done is kept (exit 2)
    ├── RunInterrupted           a run ended before all its cells were settled; what is done is kept (exit 3)
    └── RunFailed                a cell could not be computed; recorded, the run goes on (exit 1)

    NotApplicable                not a mistake: a metric has no value for this model; its text is the reason shown

Code that calls bench catches `BenchError`; the command line prints it without a traceback.
"""

import re
from collections.abc import Iterable
from difflib import get_close_matches


class BenchError(Exception):
    """Root of all errors raised on purpose. Its text is safe to print: see `printable`."""

    exit_code = 2

    def __init__(self, *parts: object) -> None:
        super().__init__(*(printable(str(part)) for part in parts))


class SuiteError(BenchError):
    """A suite file that cannot be used. `faults` holds one message for each thing that is wrong."""

    def __init__(self, faults: list[str]) -> None:
        self.faults = [printable(fault) for fault in faults]
        super().__init__("\n".join(faults))


class UsageError(BenchError):
    """A name, path or value given by the user that does not exist or does not fit."""


class ComponentError(UsageError):
    """The file of a component has a syntax error, lacks its class or function, or cannot be imported."""


class DataError(BenchError):
    """A dataset (or a weights file) is missing, damaged, or differs from the recorded one."""


class ResultError(BenchError):
    """A file under the results folder is not a record this version can read."""


class StorageError(BenchError):
    """A file could not be written for a reason that will meet the next file as well."""

    def __init__(self, path: object, error: OSError) -> None:
        reason = error.strerror or str(error)
        remedy = "free some space, or name another folder, and run the same command again: what is recorded is kept"
        super().__init__(f"{path}: cannot be written ({reason}); {remedy}")


class RunInterrupted(BenchError):  # noqa: N818  (nothing is wrong with what was computed)
    """A run ended early for a reason outside of it, such as a lost scheduler; the same command goes on."""

    exit_code = 3


class RunFailed(BenchError):  # noqa: N818  (a failed cell is a result)
    """A cell could not be trained or evaluated; the runner records the reason and goes on."""

    exit_code = 1


class NotApplicable(Exception):  # noqa: N818  (it is no error: "a deterministic code has no ELBO")
    """Raised by a metric or figure that does not exist for this model; the text is shown in its place."""


MOST_NAMES = 40  #: a longer list is shortened to the nearest names (timm has a thousand models)
LONGEST_NAME = 80  #: a longer name is not compared: the comparison is quadratic in its length
#: C0 and C1 controls, bidirectional formatting, line separators, surrogates
_UNPRINTABLE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


def printable(text: str) -> str:
    """The text with escapes in place of characters that a terminal obeys or cannot encode.

    Escaped are control characters except newline and tab, line separators, surrogates, and the characters that
    reverse the direction of writing.

    >>> printable("a\\x1b[31mb")
    'a\\\\x1b[31mb'
    """
    return _UNPRINTABLE.sub(lambda match: match[0].encode("unicode_escape").decode(), text)


def did_you_mean(name: object, known: Iterable[str], what: str = "known") -> str:
    """The tail of an error message: the nearest known name, or the list of all of them.

    >>> did_you_mean("bvae", ["ae", "beta_vae", "vae"])
    "; did you mean 'beta_vae'? known: ae, beta_vae, vae"
    >>> did_you_mean("vea", ["ae", "beta_vae", "vae", "vae_gan"])
    "; did you mean 'vae'? known: ae, beta_vae, vae, vae_gan"
    >>> did_you_mean("zzz", ["ae", "vae"])
    '; known: ae, vae'
    """
    names = sorted(known)
    if len(str(name)) > LONGEST_NAME:
        name = ""
    near = [known for known in names if known.lower() == str(name).lower()]
    near = near or [known for known in names if sorted(known) == sorted(str(name))]  # letters in another order
    near = near or _abbreviated(str(name), names) or get_close_matches(str(name), names, n=1, cutoff=0.5)
    hint = f" did you mean '{near[0]}'?" if near else ""
    shown = names if len(names) <= MOST_NAMES else get_close_matches(str(name), names, n=5, cutoff=0)
    listing = f" {what}: {', '.join(shown)}{', ...' if len(shown) < len(names) else ''}" if names else ""
    return f";{hint}{listing}" if hint or listing else ""


def _abbreviated(name: str, names: list[str]) -> list[str]:
    """The shortest name that begins alike and has the letters of `name` in their order, if there is one."""
    if len(name) < 3 or len(names) > MOST_NAMES:  # among a thousand names, one always fits
        return []
    longer = [n for n in names if n[:1] == name[:1] and _in_order(name, n)]
    return sorted(longer, key=len)[:1]


def _in_order(letters: str, word: str) -> bool:
    rest = iter(word)
    return all(letter in rest for letter in letters)
