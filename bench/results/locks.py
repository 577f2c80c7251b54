"""Who computes a cell: one process at a time, also where several hosts share the results folder.

On one host `flock` on `.lock` decides, which the kernel releases when a process dies. It may not reach other hosts, so
the holder also keeps `.heartbeat`, a file with its host, process and start, and renews its time every `BEAT` seconds.
A heartbeat of another host counts until it is `STALE` seconds old. Ages are measured in the clock of the file system.
"""

import errno
import fcntl
import json
import os
import secrets
import socket
import stat
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from bench.errors import ResultError

from .files import remove_leftovers, storage_errors

FILES = LOCK, HEARTBEAT = ".lock", ".heartbeat"
BEAT = 30.0  #: seconds between two signs of life
STALE = 600.0  #: seconds without one after which a cell of another host is free
UNSUPPORTED = {errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL}  #: a file system without `flock`


@dataclass(frozen=True)
class Holder:
    """The process that a heartbeat names."""

    host: str
    pid: int
    since: str
    token: str  #: tells two heartbeats of one process apart
    age: float  #: seconds since its last sign of life

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host} since {self.since}"


@contextmanager
def hold(folder: Path) -> Iterator[bool]:
    """Hold a cell's folder while the block runs; yields False if another process holds it.

    What killed processes left in the folder is removed first. Raises `ResultError` for a lock that is a link.
    """
    with storage_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        descriptor = _open(folder / LOCK, os.O_RDWR | os.O_CREAT)
    try:
        with storage_errors(folder):
            token = _acquire(folder, descriptor)
        try:
            yield token is not None
        finally:
            if token is not None:
                _release(folder, token)
    finally:
        os.close(descriptor)


def holder(folder: Path) -> Holder | None:
    """The process that holds a cell's folder now; None where none does. Writes nothing."""
    try:
        descriptor = _open(folder / LOCK, os.O_RDONLY)
    except FileNotFoundError:
        return None
    try:
        locked = _lock(descriptor, fcntl.LOCK_SH)
        found = _read(folder / HEARTBEAT, time.time())
        if locked is False:
            return found or Holder(socket.gethostname(), 0, "", "", 0.0)
        return found if found is not None and _alive(found, locked) else None
    finally:
        os.close(descriptor)


def _acquire(folder: Path, descriptor: int) -> str | None:
    """The token of our heartbeat, or None where another process holds the folder."""
    locked = _lock(descriptor, fcntl.LOCK_EX)
    if locked is False:
        return None
    try:
        if not os.path.samestat(os.fstat(descriptor), os.lstat(folder / LOCK)):
            return None  # the last holder removed the file in between
    except FileNotFoundError:
        return None
    os.utime(descriptor)  # the file system's own time, which the heartbeat's is compared with
    before = _read(folder / HEARTBEAT, os.fstat(descriptor).st_mtime)
    if before is not None and _alive(before, locked):
        return None
    if not _remove(folder, before):
        return None
    token = secrets.token_hex(8)
    if not _create(folder, token):
        return None
    remove_leftovers(folder)
    _heart.add(folder / HEARTBEAT)
    return token


def _release(folder: Path, token: str) -> None:
    """Remove our heartbeat and lock; those of a process that took over are left alone."""
    _heart.remove(folder / HEARTBEAT)
    found = _read(folder / HEARTBEAT, time.time())
    if found is not None and found.token != token:
        return
    for name in (HEARTBEAT, LOCK):
        (folder / name).unlink(missing_ok=True)
    with suppress(OSError):
        folder.rmdir()  # only an empty one: nothing was computed


def _open(path: Path, flags: int) -> int:
    """Open a lock, never through a link and without truncating it."""
    try:
        descriptor = os.open(path, flags | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK, 0o644)
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.EISDIR, errno.ENXIO):
            raise ResultError(f"{path}: must be a plain file of bench's own; remove it") from error
        raise
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise ResultError(f"{path}: must be a plain file of bench's own; remove it")
    return descriptor


def _lock(descriptor: int, kind: int) -> bool | None:
    """True: ours now; False: another process of this host has it; None: this file system has no such locks."""
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        if error.errno in UNSUPPORTED:
            return None
        raise
    return True


def _alive(found: Holder, locked: bool | None) -> bool:
    """True if the process of a heartbeat may still be at work. locked: what `_lock` said."""
    if found.host != socket.gethostname():
        return found.age < STALE
    if locked:
        return False  # it would have kept the lock
    with suppress(ProcessLookupError, OverflowError):
        with suppress(PermissionError):
            os.kill(found.pid, 0)
        return found.age < STALE
    return False


def _read(path: Path, now: float) -> Holder | None:
    """A heartbeat; one that says nothing readable is of an unknown host. now: seconds."""
    try:
        descriptor = _open(path, os.O_RDONLY)
    except FileNotFoundError:
        return None
    with os.fdopen(descriptor, "rb") as file:
        age = now - os.fstat(descriptor).st_mtime
        try:
            content = json.loads(file.read(4096))
            host, pid, since, token = (content[key] for key in ("host", "pid", "since", "token"))
            return Holder(str(host)[:100], max(1, int(pid)), str(since)[:40], str(token), age)
        except (ValueError, TypeError, KeyError, RecursionError, OverflowError):
            return Holder("an unknown host", 1, "an unknown time", "", age)


def _create(folder: Path, token: str) -> bool:
    """Write our heartbeat, unless another host was faster: creating a file is atomic on shared file systems too."""
    about = {"host": socket.gethostname(), "pid": os.getpid(), "token": token,
             "since": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())}  # fmt: skip
    path = folder / HEARTBEAT
    try:
        with path.open("x", encoding="utf-8") as file:
            json.dump(about, file)
    except FileExistsError:
        return False
    except OSError:  # a full disk
        path.unlink(missing_ok=True)
        raise
    return True


def _remove(folder: Path, stale: Holder | None) -> bool:
    """Take a dead heartbeat away; False if another host did so first."""
    if stale is None:
        return True
    path, aside = folder / HEARTBEAT, folder / f"{HEARTBEAT}.{secrets.token_hex(8)}.tmp"
    try:
        path.rename(aside)
    except FileNotFoundError:
        return False
    taken = _read(aside, time.time())
    ours = taken is not None and taken.token == stale.token
    if not ours:  # another host took over in between, and this is its heartbeat
        with suppress(FileExistsError, FileNotFoundError):
            os.link(aside, path)
    aside.unlink(missing_ok=True)
    return ours


class Heart:
    """Renews the time of the heartbeats that this process holds, in a thread that lives as long as there are any."""

    def __init__(self) -> None:
        self._paths: set[Path] = set()
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None

    def add(self, path: Path) -> None:
        """Begin to renew a heartbeat."""
        with self._changed:
            self._paths.add(path)
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._run, name="heartbeats", daemon=True)
                self._thread.start()

    def remove(self, path: Path) -> None:
        """Stop renewing it."""
        with self._changed:
            self._paths.discard(path)
            self._changed.notify()

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: not self._paths, timeout=BEAT)
                if not self._paths:
                    self._thread = None
                    return
                paths = list(self._paths)
            for path in paths:
                with suppress(OSError):
                    os.utime(path)


_heart = Heart()
