"""What a plugin may not do while it is checked: write to disk, start programs, use the network.

An audit hook sees these events of the interpreter and refuses those that come from the plugin's file. It protects
against mistakes. Code that wants to do harm can get around it: whoever runs a plugin trusts its author.
"""

import os
import sys
from pathlib import Path
from types import FrameType
from typing import Any

_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
_CHANGES = ("os.remove", "os.rename", "os.mkdir", "os.rmdir", "os.symlink", "os.link", "os.truncate", "os.chmod",
            "shutil.rmtree", "shutil.move")  # fmt: skip
_PROGRAMS = ("subprocess.Popen", "os.system", "os.exec", "os.fork", "os.forkpty", "os.posix_spawn", "os.startfile")

seen: list[tuple[int, str]] = []  #: line of the plugin, and what it tried; kept if the plugin swallows the error


class RefusedError(PermissionError):
    """The plugin tried what it may not."""


def watch(path: str, allowed: Path) -> None:
    """From now on, refuse what code of the file `path` may not do; it may write below `allowed`."""
    root = str(allowed.absolute()) + os.sep

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        tried = _tried(event, arguments, root)
        line = _line_of(path, sys._getframe(1)) if tried else None
        if tried and line is not None:
            seen.append((line, tried))
            raise RefusedError(tried)

    sys.addaudithook(hook)


def _tried(event: str, arguments: tuple[Any, ...], root: str) -> str:
    """What an event means, "" for what is allowed."""
    if event == "open":
        name, mode, flags = arguments
        writes = any(letter in (mode or "") for letter in "wax+") or (isinstance(flags, int) and flags & _WRITING)
        inside = isinstance(name, str | os.PathLike) and os.path.abspath(os.fspath(name)).startswith(root)  # noqa: PTH100
        return f"writes to disk ({name})" if writes and not inside else ""
    if event in _CHANGES:
        return f"changes files ({event} {arguments[0]})"
    if event in _PROGRAMS:
        return f"starts a program ({event})"
    return "uses the network" if event in ("socket.connect", "socket.getaddrinfo") else ""


def _line_of(path: str, frame: FrameType | None) -> int | None:
    """The line of the file that the event comes from; None where it comes from elsewhere, such as an import's cache."""
    while frame is not None:
        name = frame.f_code.co_filename
        if name.startswith("<frozen importlib"):
            return None
        if name == path:
            return frame.f_lineno
        frame = frame.f_back
    return None
