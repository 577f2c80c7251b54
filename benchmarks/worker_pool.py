"""Processes that stand ready and, when told to, do the same at the same moment.

A process says when it is ready. Then it waits without using the machine until it is asked for something, together with
the others; on the way it may wait for them to have come as far. One that dies, breaks or takes too long is an error of
the one who asked.
"""

import multiprocessing
import os
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection
from typing import Any

from bench.errors import BenchError, RunFailed

CONTEXT = multiprocessing.get_context("spawn")  # a fork of a process that has used torch may hang
THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS")
PATIENCE = 10.0  #: seconds that all of them together have to end by themselves
MEETING = "meeting"  #: in place of an answer: I wait for the others; in place of a question: all of them are there


class Crew:
    """Processes of `threads` threads each (None: as many as torch takes by itself); none before `start`.

    make: called in each with its number, `meet` and `given`; what can be asked for are methods of what it returns.
        `meet()` returns when all who were asked have called it, which they must do equally often.
    limit: seconds to get ready in, or to answer, or to come to a meeting; None: as long as it takes.
    """

    def __init__(
        self, make: Callable[..., Any], given: tuple[Any, ...], threads: int | None, limit: float | None = None
    ) -> None:
        self.make, self.given, self.threads, self.limit = make, given, threads, limit
        self.pipes: list[Connection] = []
        self.processes: list[Any] = []

    def start(self, count: int) -> None:
        """Start what is missing of so many processes, and wait until they are ready. Raises as `ask` does."""
        there = len(self.pipes)
        for number in range(there, count):
            ours, theirs = CONTEXT.Pipe()
            process = CONTEXT.Process(target=_serve, args=(theirs, self.make, number, self.given), daemon=True)
            with thread_variables(self.threads):
                process.start()
            theirs.close()
            self.pipes.append(ours)
            self.processes.append(process)
        self._answers(self.pipes[there:])

    def ask(self, what: str, *given: Any, count: int | None = None) -> list[Any]:
        """What the first `count` of them answer (None: all), who begin at once.

        Raises what one of them met: `BenchError` as it is, anything else, its death or silence as `RunFailed`. Those
        that are left are of no use then.
        """
        pipes, told = self.pipes[:count], (what, given)
        answers = self._answers(pipes, told)
        while MEETING in answers:
            answers = self._answers(pipes, MEETING)
        return answers

    def close(self) -> None:
        """End the processes, by force where they do not end by themselves; `start` begins anew."""
        for pipe in self.pipes:
            pipe.close()
        end = time.monotonic() + PATIENCE
        for process in self.processes:
            process.join(max(0.0, end - time.monotonic()))
            if process.is_alive():
                process.kill()
                process.join(1)
        self.pipes, self.processes = [], []

    def _answers(self, pipes: Sequence[Connection], told: Any = None) -> list[Any]:
        """told: what is said to each of them first; None: nothing."""
        end = None if self.limit is None else time.monotonic() + self.limit
        with _if_gone():
            for pipe in pipes if told is not None else ():
                pipe.send(told)
            answers = [self._answer(pipe, end) for pipe in pipes]
        for error, _ in answers:
            if error is not None:
                raise error
        return [answer for _, answer in answers]

    def _answer(self, pipe: Connection, end: float | None) -> tuple[BenchError | None, Any]:
        if not pipe.poll(None if end is None else max(0.0, end - time.monotonic())):
            raise RunFailed(f"a worker process was silent for {self.limit:g} s")
        return pipe.recv()


@contextmanager
def _if_gone() -> Iterator[None]:
    """A broken pipe means a process that is no more."""
    try:
        yield
    except (EOFError, ConnectionError) as gone:
        raise RunFailed("a worker process died; out of memory is the usual cause") from gone


@contextmanager
def thread_variables(threads: int | None) -> Iterator[None]:
    """The environment a process is started in: some libraries read their number of threads only there."""
    before = {name: os.environ.get(name) for name in THREADS}
    if threads is not None:
        os.environ.update({name: str(threads) for name in THREADS})
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def _serve(pipe: Connection, make: Callable[..., Any], number: int, given: tuple[Any, ...]) -> None:
    """A process's life: get ready, then answer until nobody asks any more."""

    def meet() -> None:
        pipe.send((None, MEETING))
        pipe.recv()

    try:
        side = make(number, meet, *given)
        pipe.send((None, None))
        while True:
            what, asked = pipe.recv()
            pipe.send((None, getattr(side, what)(*asked)))
    except (EOFError, ConnectionError, KeyboardInterrupt):  # nobody asks any more
        return
    except Exception as error:  # whatever it is, the one who asked must hear of it, if there still is one
        known = error if isinstance(error, BenchError) else RunFailed(f"a worker failed:\n{traceback.format_exc()}")
        with suppress(OSError):
            pipe.send((known, None))
