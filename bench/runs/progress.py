"""What a terminal shows of a run: a bar with a line per worker, or plain lines where stderr is no terminal.

Plain output stays silent for at most `QUIET` seconds: then what the workers are doing is printed again.
"""

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console, Group
from rich.live import Live
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.text import Text

from .task import Event

STYLES = {"done": "green", "failed": "bold red", "diverged": "yellow"}
QUIET = 6.0  #: seconds without a line after which the current stages are printed


@contextmanager
def show() -> Iterator[Callable[[Event], None]]:
    """Yield the function that displays events. It may be called from any thread."""
    with _Bar() if sys.stderr.isatty() else _Lines() as display:
        yield display.show


class _Stages:
    """What each worker is doing, and since when."""

    def __init__(self) -> None:
        self.current: dict[str, tuple[str, float]] = {}

    def update(self, event: Event) -> None:
        """Take up a stage; a worker that says an empty text has nothing to do."""
        if event.text:
            self.current[event.worker] = event.text, time.monotonic()
        else:
            self.current.pop(event.worker, None)

    def lines(self) -> list[str]:
        now = time.monotonic()
        many = len(self.current) > 1
        return [
            f"{f'worker {worker}: ' if many else ''}{text} ({now - since:.0f} s)"
            for worker, (text, since) in sorted(self.current.copy().items())
        ]


class _Lines:
    """A line per event; a thread prints the stages when nothing else was printed for a while."""

    def __init__(self) -> None:
        self.start = self.last = time.monotonic()
        self.note = "working"
        self.stages, self.lock, self.ended = _Stages(), threading.Lock(), threading.Event()
        self.thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> "_Lines":
        self.thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.ended.set()
        self.thread.join()

    def show(self, event: Event) -> None:
        if event.kind == "stage":
            self.stages.update(event)
        else:
            self.note = event.text if event.kind == "note" else "working"
            self._print(f"[{event.done}/{event.total}] {event.text}" if event.kind == "cell" else event.text)

    def _print(self, text: str) -> None:
        with self.lock:
            self.last = time.monotonic()
            print(f"{self.last - self.start:7.1f} s  {text}", file=sys.stderr, flush=True)

    def _watch(self) -> None:
        while not self.ended.wait(0.5):
            if time.monotonic() - self.last >= QUIET:
                self._print("  |  ".join(self.stages.lines()) or f"still {self.note}")


class _Bar:
    """A bar with cells per minute and the time left; below it what each worker is doing."""

    def __init__(self) -> None:
        columns = (
            SpinnerColumn(),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rate]}"),
            TimeElapsedColumn(),
            TextColumn("{task.fields[left]}"),
        )
        self.stages, self.start = _Stages(), time.monotonic()
        self.progress = Progress(*columns)
        self.bar = self.progress.add_task("cells", total=None, rate="", left="")
        self.live = Live(get_renderable=self._picture, console=Console(stderr=True), refresh_per_second=5)

    def __enter__(self) -> "_Bar":
        self.live.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        self.stages.current.clear()
        self.live.__exit__(None, None, None)

    def show(self, event: Event) -> None:
        if event.kind == "stage":
            self.stages.update(event)
            return
        if event.kind == "cell":
            rate = event.done / (time.monotonic() - self.start)
            left = f"{(event.total - event.done) / rate / 60:.1f} min left"
            self.progress.update(self.bar, completed=event.done, rate=f"{60 * rate:.1f} cells/min", left=left)
        elif event.total:
            self.progress.update(self.bar, total=event.total)
        style, text = STYLES.get(event.status or "", ""), escape(event.text)
        self.live.console.print(f"[{style}]{text}[/{style}]" if style else text, highlight=False)

    def _picture(self) -> Group:
        return Group(self.progress, *(Text(line, no_wrap=True, overflow="ellipsis") for line in self.stages.lines()))
