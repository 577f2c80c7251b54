"""The command line: thin, one call per verb. Nothing that needs torch is imported before a verb needs it.

Exit codes: 0 all is done; 1 some cells failed; 2 bad input; 3 incomplete; 130 interrupted.
"""

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from .errors import BenchError, UsageError
from .version import __version__

RESULTS = click.option(
    "--results", type=click.Path(path_type=Path), default=Path("results"), show_default=True, help="Results folder."
)
DATA = click.option("--data", help="Data root [default: BENCH_DATA, else data].")
JSON = click.option("--json", "as_json", is_flag=True, help="Machine-readable output.")
SET = click.option("--set", "overrides", multiple=True, metavar="PATH=VALUE", help="Change the suite: train.epochs=1.")
ONLY = click.option("--only", multiple=True, metavar="KEY=VALUE", help="Only these cells: variant=vae, seed=0,1.")
LIMIT = click.option("--limit", type=click.IntRange(min=1), help="Only the first N cells that are left.")
SUITE = click.argument("suite", type=click.Path(path_type=Path))


def selecting(command: Callable[..., Any]) -> Callable[..., Any]:
    """The arguments that every verb working on a suite file shares."""
    for decorate in (LIMIT, ONLY, SET, RESULTS, SUITE):
        command = decorate(command)
    return command


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(__version__, prog_name="bench")
def cli() -> None:
    """Benchmark autoencoders and VAEs: one YAML in, trained cells, honest metrics, one HTML site out."""


@cli.command()
@selecting
@DATA
@click.option("--device", default="auto", show_default=True, help="auto, cpu, mps, cuda or cuda:I.")
@click.option("--workers", type=click.IntRange(min=1), help="Processes side by side [default: one per GPU or core].")
@click.option("--threads", type=click.IntRange(min=1), default=1, show_default=True, help="CPU threads of a worker.")
@click.option("--scheduler", metavar="ADDRESS", help="Send cells to a running Dask scheduler instead.")
@click.option("--offline", is_flag=True, help="Never download anything.")
@click.option("--retry-failed", is_flag=True, help="Try failed cells again.")
@click.option("--force", is_flag=True, help="Compute everything anew, whatever is there.")
def run(suite: Path, results: Path, overrides: tuple[str, ...], only: tuple[str, ...], limit: int | None,
        data: str | None, device: str, workers: int | None, threads: int, scheduler: str | None, offline: bool,
        retry_failed: bool, force: bool) -> None:  # fmt: skip
    """Train and evaluate what is missing of SUITE."""
    _run(suite, results, overrides, only, limit, data, device, threads, offline,
         workers=workers, scheduler=scheduler, retry_failed=retry_failed, force=force)  # fmt: skip


@cli.command()
@selecting
@DATA
@click.option("--device", default="auto", show_default=True, help="auto, cpu, mps, cuda or cuda:I.")
@click.option("--workers", type=click.IntRange(min=1), help="Processes side by side [default: one per GPU or core].")
@click.option("--threads", type=click.IntRange(min=1), default=1, show_default=True, help="CPU threads of a worker.")
@click.option("--offline", is_flag=True, help="Never download anything.")
def evaluate(suite: Path, results: Path, overrides: tuple[str, ...], only: tuple[str, ...], limit: int | None,
             data: str | None, device: str, workers: int | None, threads: int, offline: bool) -> None:  # fmt: skip
    """Compute metrics that SUITE now asks for from checkpoints, without training again."""
    _run(suite, results, overrides, only, limit, data, device, threads, offline, workers=workers, train=False)


def _run(suite: Path, results: Path, overrides: tuple[str, ...], only: tuple[str, ...], limit: int | None,
         data: str | None, device: str, threads: int, offline: bool, **how: Any) -> None:  # fmt: skip
    from .suite import load

    whole = load(suite, overrides)
    chosen = {cell.id for cell in load(suite, overrides, only).cells} if only else None
    from . import progress
    from .data import find_root
    from .plan import exit_code
    from .runner import run as run_suite
    from .task import Settings, pick_device

    settings = Settings(results.absolute(), find_root(data).absolute(), device, threads, offline)
    pick_device(device)
    with progress.show() as on_event:
        summary = run_suite(whole, settings, only=chosen, limit=limit, on_event=on_event, **how)
    click.echo(f"{whole.name}: {_counted(summary.states)} · results in {results / whole.name}")
    sys.exit(exit_code(summary.states))


@cli.command()
@selecting
@JSON
def plan(suite: Path, results: Path, overrides: tuple[str, ...], only: tuple[str, ...], limit: int | None,
         as_json: bool) -> None:  # fmt: skip
    """What would run, what is done, what is skipped and why."""
    from . import plan as planning
    from .store import Store
    from .suite import load

    loaded, store = load(suite, overrides, only), Store(results)
    planned = planning.limited(planning.plan(loaded, store), limit)
    guess = planning.estimate(planned, store)
    if as_json:
        cells = [{"id": p.cell.id, "state": p.state, "reason": p.reason, "cell": p.cell.as_record()} for p in planned]
        click.echo(json.dumps({"cells": cells, "counts": planning.counts(planned), "estimate": guess}, indent=1))
        return
    for p in planned:
        click.echo(f"{p.state:<9} {p.cell.title}{f'  ({p.reason})' if p.reason else ''}")
    click.echo(f"{loaded.name}: {_counted(planning.counts(planned))}")
    click.echo(_told(guess))


@cli.command()
@selecting
@JSON
def status(suite: Path, results: Path, overrides: tuple[str, ...], only: tuple[str, ...], limit: int | None,
           as_json: bool) -> None:  # fmt: skip
    """Done, running, failed, missing. Exit code 0 if all is done, 1 if cells failed, 3 if some are open."""
    from . import plan as planning
    from .store import Store
    from .suite import load

    loaded = load(suite, overrides, only)
    planned = planning.limited(planning.plan(loaded, Store(results)), limit)
    states = planning.counts(planned)
    if as_json:
        cells = [{"id": p.cell.id, "state": p.state, "reason": p.reason} for p in planned]
        click.echo(json.dumps({"suite": loaded.name, "counts": states, "cells": cells}, indent=1))
    else:
        click.echo(f"{loaded.name}: {_counted(states)}")
        for p in planned:
            if p.state not in ("done", "missing"):
                click.echo(f"{p.state:<9} {p.cell.title}  {p.reason or ''}")
    sys.exit(planning.exit_code(states))


@cli.command()
@click.argument("suites", nargs=-1)
@RESULTS
@click.option("--out", type=click.Path(path_type=Path), default=Path("site"), show_default=True, help="Where to.")
def report(suites: tuple[str, ...], results: Path, out: Path) -> None:
    """Build the site from everything under the results folder, or from SUITES only."""
    from report import build

    index = build(results, out, [_suite_name(s) for s in suites] or None)
    click.echo(f"{index}")


@cli.command()
@click.argument("suite")
@RESULTS
@click.option("--format", "style", type=click.Choice(["text", "markdown", "latex", "csv", "json"]), default="text",
              show_default=True)  # fmt: skip
@click.option("--metric", multiple=True, help="Only these metrics or families [default: all].")
@click.option("--rows", help="What makes a row, such as label,net.")
@click.option("--columns", help="What makes a column, such as dataset,latent_size.")
@click.option("--json", "as_json", is_flag=True, help="The same as --format json.")
def table(suite: str, results: Path, style: str, metric: tuple[str, ...], rows: str | None,
          columns: str | None, as_json: bool) -> None:  # fmt: skip
    """Print SUITE's comparison table: mean ± 95 % t-interval over seeds, n, best marked."""
    from report.tables import table as make

    click.echo(make(results, _suite_name(suite), "json" if as_json else style, list(metric), rows, columns), nl=False)


@cli.command()
@click.argument("suite")
@RESULTS
@JSON
def claims(suite: str, results: Path, as_json: bool) -> None:
    """What SUITE's records say to each of its claims: verdict, effect, 95 % interval, p, k of n seeds.

    The claims are those of the suite as it was last run; `bench run` again takes up what was added since.
    """
    from . import claims as judging

    found = judging.verdicts(results, _suite_name(suite))
    click.echo(json.dumps(judging.as_json(found), indent=1) if as_json else judging.as_text(found).rstrip("\n"))


@cli.command(name="list")
@click.argument("kind", required=False)
@JSON
def list_(kind: str | None, as_json: bool) -> None:
    """Variants, nets, likelihoods, samplers, datasets, metrics and suites, each with its first line."""
    from .listing import listing

    found = listing(kind)
    if as_json:
        click.echo(json.dumps(found, indent=1))
        return
    for name, items in found.items():
        click.echo(f"{name}:")
        for item in items:
            click.echo(f"  {item['name']:<20} {item['summary']}")


@cli.command()
@click.argument("words", nargs=-1, metavar="[fetch|check] NAME")
@DATA
@click.option("--option", "options", multiple=True, metavar="KEY=VALUE", help="Of the dataset: path=DIR, size=32.")
@JSON
def data(words: tuple[str, ...], data: str | None, options: tuple[str, ...], as_json: bool) -> None:
    """Download a dataset through torchvision (fetch), verify it (check), say where files must be put by hand."""
    from .data import fetch_or_check
    from .suite_yaml import parse_assignments

    if not 1 <= len(words) <= 2 or (len(words) == 2 and words[0] not in ("fetch", "check")):
        raise UsageError("usage: bench data [fetch|check] NAME, such as `bench data check mnist`")
    found = fetch_or_check(words[0] if len(words) == 2 else "check", words[-1], data, parse_assignments(options))
    if as_json:
        click.echo(json.dumps(found, indent=1))
        return
    for key, value in found.items():
        click.echo(f"{key:<12} {value}")


def _suite_name(suite: str) -> str:
    """`suites/digits.yaml`, `digits.yaml` and `digits` all name the suite digits."""
    return Path(suite).stem if suite.endswith((".yaml", ".yml")) else Path(suite).name


def _counted(states: dict[str, int]) -> str:
    total = sum(states.values())
    return ", ".join(f"{n} {state}" for state, n in states.items()) + f" of {total}" if states else "no cells"


def _told(guess: dict[str, Any]) -> str:
    if not guess["open"]:
        return "nothing to do"
    if guess["cell_seconds"] is None:
        return "no estimate yet: nothing like these cells has run here; `bench run SUITE --limit 1` gives one"
    text = f"about {guess['cell_seconds'] / 60:.1f} min of one worker and {guess['bytes'] / 1e6:.1f} MB"
    unknown = guess["without_estimate"]
    return text + (f"; {unknown} cells unlike any that has run are not counted" if unknown else "")


def main() -> None:
    """Run the command line; a mistake is one message and exit code 2, never a traceback."""
    # `report` is a common name for a folder: the package beside this one comes first, whatever lies in this directory
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
    try:
        cli(standalone_mode=False)
    except BenchError as error:
        click.echo(str(error), err=True)
        sys.exit(error.exit_code)
    except click.ClickException as error:
        error.show()
        sys.exit(2)
    except (click.Abort, KeyboardInterrupt):
        click.echo("interrupted; what is done is kept, run the same command to go on", err=True)
        sys.exit(130)
    except BrokenPipeError:  # the reader of our output has gone, as in `bench list | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except OSError as error:  # a file where a folder should be, a disk that is full or may not be written
        click.echo(f"{error.filename or 'the file system'}: {error.strerror or error}", err=True)
        sys.exit(2)


if __name__ == "__main__":
    main()
