"""umap-learn's compiled code: compiled once per installation, kept on disk by numba, never by two processes at once.

Importing umap-learn and its first map compile for about 30 s of CPU time where nothing is on disk; afterwards they read
the compiled code in 1 s. `compile_in_background` compiles beside the first trainings; `umap` waits for it.
Nothing here imports torch.
"""

import fcntl
import logging
import os
import subprocess
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

log = logging.getLogger(__name__)

LAST_COMPILED = "*._optimize_layout_euclidean_single_epoch-*.nbi"  #: numba's index file of what a map runs last
_children: list[subprocess.Popen[bytes]] = []


def layout(umap: ModuleType, codes: np.ndarray, knn: tuple[np.ndarray, np.ndarray], **settings: Any) -> np.ndarray:
    """UMAP's map (P, 2) of codes (P, D) over given neighbours, (P, K) indices and distances. The one call of UMAP."""
    mapper = umap.UMAP(n_neighbors=knn[0].shape[1], n_jobs=1, precomputed_knn=knn, **settings)
    return mapper.fit_transform(codes)


@cache
def umap() -> ModuleType:
    """The module `umap` with all that a map needs compiled. The first call of a process waits for another process that
    is compiling, then reads what that one left on disk."""
    if not is_compiled():
        log.info("compiling UMAP, once per installation, about 30 s")
    with _one_process_at_a_time():
        return _compiled()


def compile_in_background() -> None:
    """Let another process compile UMAP, if nothing is on disk yet. It does nothing while one is at it already."""
    if _children or is_compiled():
        return
    code = "from bench.evaluation.umap_code import compile_unless_busy; compile_unless_busy()"
    nowhere = subprocess.DEVNULL
    _children.append(subprocess.Popen([sys.executable, "-c", code], stdin=nowhere, stdout=nowhere, stderr=nowhere))  # noqa: S603


def compile_unless_busy() -> None:
    """Compile UMAP, or return at once if another process does so."""
    with suppress(BlockingIOError), _one_process_at_a_time(fcntl.LOCK_NB):
        _compiled()


def is_compiled() -> bool:
    """Whether compiled code is on disk, in one of the folders numba uses."""
    package = _package()
    folders = [package.parent / "__pycache__", Path("~/.cache/numba").expanduser()] if package else []
    if own := os.environ.get("NUMBA_CACHE_DIR"):
        folders = [Path(own)]
    return any(True for folder in folders for _ in folder.rglob(LAST_COMPILED))


def _compiled() -> ModuleType:
    import umap

    _keep_compiled(umap)
    codes = np.random.default_rng(0).normal(size=(30, 2)).astype(np.float32)
    distances = np.sqrt(((codes[:, None] - codes[None]) ** 2).sum(2))
    index = np.argsort(distances, axis=1)[:, :5].astype(np.int32)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        layout(umap, codes, (index, np.take_along_axis(distances, index, 1)), random_state=0)
    return umap


def _keep_compiled(umap: ModuleType) -> None:
    """Let numba keep on disk what it compiles of UMAP. Functions it cannot keep are compiled in every process."""
    from numba.core.dispatcher import Dispatcher

    modules = [getattr(umap, name) for name in ("layouts", "umap_", "utils")]
    for function in (value for module in modules for value in vars(module).values()):
        if isinstance(function, Dispatcher):
            with suppress(RuntimeError):  # no folder for it
                function.enable_caching()


@contextmanager
def _one_process_at_a_time(flags: int = 0) -> Iterator[None]:
    """Hold a lock on the installed package: two processes that write one index of numba can mix up its entries.

    Where the file system has no locks, processes compile side by side, as they would without this module.
    """
    package = _package()
    if package is None:
        yield
        return
    with package.open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | flags)
        except BlockingIOError:
            raise
        except OSError:
            pass
        yield


def _package() -> Path | None:
    spec = find_spec("umap")
    return Path(spec.origin) if spec and spec.origin else None
