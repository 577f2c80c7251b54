"""The device a worker computes on, and the number of threads of its libraries."""

import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from importlib import import_module

import torch
from threadpoolctl import ThreadpoolController

from bench.errors import UsageError


def pick_device(name: str, worker: int = 0) -> torch.device:
    """`auto` is this worker's GPU if there is one, else the CPU. Apple's GPUs are used only when asked for.

    Raises `UsageError` for a name that is none, or a device this machine does not have.
    """
    if not re.fullmatch(r"auto|cpu|mps|cuda(:\d{1,4})?", name):
        raise UsageError(f"--device {name}: expected auto, cpu, mps, cuda or cuda:0")
    gpus = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if name == "auto":
        name = "cuda" if gpus else "cpu"
    if name.startswith("cuda") and int(name[5:] or 0) >= gpus:
        raise UsageError(f"--device {name}: torch sees {gpus or 'no'} CUDA device{'s' * (gpus > 1)} on this machine")
    if name == "mps" and not torch.backends.mps.is_available():
        raise UsageError("--device mps: torch sees no Apple GPU on this machine")
    return torch.device(f"cuda:{worker % gpus}" if name == "cuda" else name)


def gpus(name: str) -> list[torch.device]:
    """The GPUs that workers are spread over; [] where `name` is another device."""
    if pick_device(name).type != "cuda":
        return []
    return list(dict.fromkeys(pick_device(name, i) for i in range(torch.cuda.device_count())))


@contextmanager
def limited_threads(n: int) -> Iterator[None]:
    """Limit torch and every library with a thread pool of its own to n threads while the block lasts."""
    # Only libraries that are loaded can be limited, and the first cell of a process must not be an exception.
    for module in ("scipy.linalg", "sklearn.cluster"):
        import_module(module)
    before = torch.get_num_threads()
    torch.set_num_threads(n)
    try:
        with _libraries(len(sys.modules)).limit(limits=n):
            yield
    finally:
        torch.set_num_threads(before)


@lru_cache(maxsize=1)
def _libraries(modules: int) -> ThreadpoolController:
    """The thread pools that are loaded. They are looked up again after an import, which alone can load another."""
    return ThreadpoolController()
