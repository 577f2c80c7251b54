"""What a worker is doing at the moment: log messages of the package, sent to whoever watches the run.

The trainer, the feature extractors and the evaluation log what they begin (`logging.getLogger("bench...").info`). While
a task runs, a handler forwards each message: to a function in this process, or through Dask's events to the driver.
"""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager

Send = Callable[[str], None]


class Stages(logging.Handler):
    """Sends each message after `title`, the cell that is being worked on."""

    def __init__(self, send: Send) -> None:
        super().__init__(logging.INFO)
        self.send, self.title = send, ""

    def emit(self, record: logging.LogRecord) -> None:
        self.send(f"{self.title}: {record.getMessage()}" if self.title else record.getMessage())


@contextmanager
def forwarding(send: Send) -> Iterator[Stages]:
    """Send every message of the loggers under `bench` while the block lasts, and "" at its end."""
    logger, handler = logging.getLogger("bench"), Stages(send)
    before = logger.level, logger.propagate
    logger.setLevel(logging.INFO)
    logger.propagate = False
    logger.addHandler(handler)
    try:
        yield handler
    finally:
        logger.removeHandler(handler)
        logger.setLevel(before[0])
        logger.propagate = before[1]
        send("")
