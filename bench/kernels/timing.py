"""How many times faster one function is than another, on one thread, whatever else the machine is doing."""

import time
from collections.abc import Callable

import torch

from ..memory import keep_freed_memory

WARM_UP = 2  #: rounds that are not counted


def ratio(plain: Callable[[], object], fast: Callable[[], object], rounds: int) -> float:
    """Best time of `plain` over that of `fast`. They alternate, so that other work disturbs both alike."""
    keep_freed_memory()  # as every task does: else what is measured is the zeroing of pages
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        seconds = [(_seconds(plain), _seconds(fast)) for _ in range(WARM_UP + rounds)][WARM_UP:]
        return min(a for a, _ in seconds) / min(b for _, b in seconds)
    finally:
        torch.set_num_threads(threads)


def _seconds(function: Callable[[], object]) -> float:
    """CPU seconds of this thread, which waiting for a busy core does not add to."""
    start = time.thread_time()
    function()
    return time.thread_time() - start
