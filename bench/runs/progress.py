"""What a person sees of a run: a bar on a terminal, a line per event elsewhere."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from .runner import Event

STYLES = {"done": "green", "failed": "bold red", "diverged": "yellow"}


@contextmanager
def show() -> Iterator[Callable[[Event], None]]:
    """Yields the function that events are told to."""
    if sys.stderr.isatty():
        with _bar() as on_event:
            yield on_event
    else:
        yield _lines()


def _lines() -> Callable[[Event], None]:
    start = time.monotonic()

    def on_event(event: Event) -> None:
        count = f"[{event.done}/{event.total}] " if event.kind == "cell" else ""
        print(f"{time.monotonic() - start:7.1f} s  {count}{event.text}", file=sys.stderr, flush=True)

    return on_event


@contextmanager
def _bar() -> Iterator[Callable[[Event], None]]:
    columns = (
        SpinnerColumn(),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeElapsedColumn(),
        TextColumn("{task.fields[left]}"),
    )
    with Progress(*columns, console=Console(stderr=True)) as progress:
        bar = progress.add_task("cells", total=None, rate="", left="")
        start = time.monotonic()

        def on_event(event: Event) -> None:
            if event.kind == "cell":
                rate = event.done / (time.monotonic() - start)
                left = f"{(event.total - event.done) / rate / 60:.1f} min left"
                progress.update(bar, completed=event.done, rate=f"{60 * rate:.1f} cells/min", left=left)
            else:
                progress.update(bar, total=event.total or None)
            style = STYLES.get(event.status or "", "")
            text = escape(event.text)
            progress.console.print(f"[{style}]{text}[/{style}]" if style else text, highlight=False)

        yield on_event
