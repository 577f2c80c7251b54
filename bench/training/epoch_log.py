"""Log how far a training is."""

import logging
import time
from collections.abc import Callable

log = logging.getLogger(__name__)


def log_epochs(what: str, epochs: int) -> Callable[[int, list[dict[str, float]]], None]:
    """An `on_epoch` of `fit` that logs the epoch and the expected seconds left, at most once a second."""
    first: list[tuple[int, float]] = []  # epoch and time of the first call, also of a resumed training
    last = -1.0

    def on_epoch(epoch: int, rows: list[dict[str, float]]) -> None:
        nonlocal last
        now = time.monotonic()
        if not first:
            first.append((epoch, now))
        if now - last < 1.0:
            return
        last = now
        done, since = epoch - first[0][0], now - first[0][1]
        each = since / done if done else rows[0]["seconds"]
        log.info("%s: epoch %d of %d, about %.0f s left", what, epoch, epochs, each * (epochs - epoch))

    return on_epoch
