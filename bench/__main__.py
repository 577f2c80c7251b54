"""The command line: thin, one call per verb. Nothing that needs torch is imported before a verb needs it.

Exit codes: 0 all is done; 1 some cells failed; 2 bad input; 3 incomplete; 130 interrupted; 143 terminated (SIGTERM).
"""

import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import click

from bench import __version__, plugins, registry
from bench.errors import BenchError, UsageError, did_you_mean
from bench.results import problems

if TYPE_CHECKING:
    from bench.results.store import Record
    from bench.suite import Cell, Suite


class NonEmptyPath(click.Path):
    """A path; the empty string, often an unset shell variable, would mean the current folder."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if value == "":
            self.fail("is empty; a path is needed", param, ctx)
        if "\0" in str(value):
            self.fail("holds a NUL character, which no path has", param, ctx)
        return super().convert(value, param, ctx)


PATH = NonEmptyPath(path_type=Path)
RESULTS = click.option("--results", type=PATH, default=Path("results"), show_default=True, help="Results folder.")
DATA = click.option("--data", type=NonEmptyPath(), help="Data root [default: BENCH_DATA, else data].")
JSON = click.option("--json", "as_json", is_flag=True, help="Machine-readable output.")
SET = click.option("--set", "overrides", multiple=True, metavar="PATH=VALUE", help="Change the suite: train.epochs=1.")
ONLY = click.option("--only", multiple=True, metavar="KEY=VALUE", help="Only these cells: variant=vae, seed=0,1.")
LIMIT = click.option("--limit", type=click.IntRange(min=1), help="Only the first N cells that are left.")
SUITE = click.argument("suite", type=PATH)
BETTER = {"lower": "lower is better", "higher": "higher is better"}
VERDICT_COLOURS = {"supported": "green", "supported in part": "green", "not supported": "yellow",
                   "contradicted": "red", "under-specified": "cyan", "not run": "cyan"}  # fmt: skip


def _use_plugins(context: click.Context, parameter: click.Parameter, folders: tuple[Path, ...]) -> None:
    plugins.session.files = tuple(file for folder in folders for file in plugins.from_folder(folder))
    _check_plugins()


def _refuse_plugins(context: click.Context, parameter: click.Parameter, refuse: bool) -> None:
    plugins.session.allowed = not refuse
    _check_plugins()


def _check_plugins() -> None:
    if plugins.session.files and not plugins.session.allowed:
        raise UsageError("--plugins and --no-plugins contradict each other")


def with_plugins(command: Callable[..., Any]) -> Callable[..., Any]:
    """The flags of every verb that looks up components: they hold for the whole process, and are no arguments."""
    for decorate in (
        click.option("--no-plugins", is_flag=True, expose_value=False, callback=_refuse_plugins,
                     help="Refuse code that is not part of bench."),
        click.option("--plugins", type=PATH, multiple=True, metavar="DIR", expose_value=False, callback=_use_plugins,
                     help="A folder of your own variants/ nets/ samplers/ datasets/ metrics/."),
    ):  # fmt: skip
        command = decorate(command)
    return command


def selecting(command: Callable[..., Any]) -> Callable[..., Any]:
    """The arguments that every verb working on a suite file shares."""
    for decorate in (with_plugins, LIMIT, ONLY, SET, RESULTS, SUITE):
        command = decorate(command)
    return command


def _columns() -> int:
    """The width of the terminal, at least 60 and at most 120 columns."""
    return min(max(shutil.get_terminal_size().columns, 60), 120)


def _metrics(context: click.Context, parameter: click.Parameter, given: tuple[str, ...]) -> tuple[str, ...]:
    """`--metric mse,fcd` is `--metric mse --metric fcd`."""
    return tuple(name for part in given for name in map(str.strip, part.split(",")) if name)


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(__version__, prog_name="bench")
def cli() -> None:
    """Benchmark autoencoders and VAEs: a YAML suite in, trained models, measurements and a static HTML site out.

    A first run of minutes: bench run digits, then bench open. SUITE is a YAML file, or the name of one in suites/. A
    suite is a grid of cells; a cell is one method, net, dataset, latent size and seed.

    Exit codes: 0 all is done, 1 something failed, 2 wrong input, 3 cells are open, 130 interrupted, 143 terminated.
    """
    problems.forget()
    plugins.session.files, plugins.session.allowed = (), True
    registry.reset()


def _load(suite: Path, overrides: Sequence[str], only: Sequence[str] = ()) -> "Suite":
    """The suite, after a line on stderr for each file of code that it brings: nothing of it has run yet."""
    from bench.suite import load

    loaded = load(suite, overrides, only)
    for file in loaded.plugins:
        click.echo(f"{loaded.name} uses the {file.kind[:-1]} {file.name} of {file.line}", err=True)
    return loaded


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
         workers, scheduler, retry_failed=retry_failed, force=force)  # fmt: skip


@cli.command()
@selecting
@DATA
@click.option("--device", default="auto", show_default=True, help="auto, cpu, mps, cuda or cuda:I.")
@click.option("--workers", type=click.IntRange(min=1), help="Processes side by side [default: one per GPU or core].")
@click.option("--threads", type=click.IntRange(min=1), default=1, show_default=True, help="CPU threads of a worker.")
@click.option("--offline", is_flag=True, help="Never download anything.")
@click.option("--figures", is_flag=True, help="Draw the figures of finished cells anew as well.")
def evaluate(suite: Path, results: Path, overrides: tuple[str, ...], only: tuple[str, ...], limit: int | None,
             data: str | None, device: str, workers: int | None, threads: int, offline: bool,
             figures: bool) -> None:  # fmt: skip
    """Compute metrics that are new in SUITE, without training.

    It needs the checkpoints of this machine; committed results have none.
    """
    _run(suite, results, overrides, only, limit, data, device, threads, offline,
         workers, None, train=False, redraw=figures)  # fmt: skip


def _run(suite: Path, results: Path, overrides: tuple[str, ...], only: tuple[str, ...], limit: int | None,
         data: str | None, device: str, threads: int, offline: bool, workers: int | None, scheduler: str | None,
         **how: Any) -> None:  # fmt: skip
    from bench.runs import progress
    from bench.runs.plan import exit_code
    from bench.runs.task import Event, Request, Settings
    from bench.suite import load

    whole = _load(suite, overrides)
    chosen = frozenset(cell.id for cell in load(suite, overrides, only).cells) if only else None
    with progress.show() as on_event:
        on_event(Event("note", "importing PyTorch, about 5 s"))
        from bench.datasets._loading import find_root
        from bench.runs.devices import pick_device
        from bench.runs.runner import run as run_suite

        pick_device(device)
        settings = Settings(results.absolute(), find_root(data).absolute(), device, threads, offline)
        request = Request(chosen, limit, **how)
        summary = run_suite(whole, settings, request, workers=workers, scheduler=scheduler, on_event=on_event)
    click.echo(f"{whole.name}: {_counted(summary.states)} · results in {results / whole.name}")
    sys.exit(exit_code(summary.states))


@cli.command()
@selecting
@DATA
@JSON
def plan(suite: Path, results: Path, overrides: tuple[str, ...], only: tuple[str, ...], limit: int | None,
         data: str | None, as_json: bool) -> None:  # fmt: skip
    """Show what would run, what is done or skipped, and the cost.

    The cost is an estimate of time and memory from records of like cells.
    """
    from bench.results.identity import warn_of_other_suite
    from bench.results.store import Store
    from bench.runs import memory_estimate
    from bench.runs import plan as planning

    loaded, store = _load(suite, overrides, only), Store(results)
    if not only:  # which leaves out cells that the folder may hold
        warn_of_other_suite(loaded, store)
    planned = planning.limited(planning.plan(loaded, store), limit)
    records = [record for name in store.suites() for record in store.records(name)]
    guess = planning.estimate(planned, records)
    memory = memory_estimate.memory(loaded.cells, records)
    notes = _data_notes(loaded.cells, store.records(loaded.name), data)
    if as_json:
        cells = [{"id": p.cell.id, "state": p.state, "reason": p.reason, "cell": p.cell.as_record()} for p in planned]
        told = {"counts": planning.counts(planned), "estimate": guess, "memory": memory.as_json(), "data": notes}
        click.echo(json.dumps({"cells": cells, **told}, indent=1))
        return
    for p in planned:
        click.echo(f"{p.state:<9} {p.cell.title}{f'  ({p.reason})' if p.reason else ''}")
    click.echo(f"{loaded.name}: {_counted(planning.counts(planned))}")
    for line in (_told(guess), memory.words(), *notes):
        if line:
            click.echo(line)


def _data_notes(cells: Sequence["Cell"], records: list["Record"], data: str | None) -> list[str]:
    """What is to say about datasets of the user's own: files that are not read, images that were replaced."""
    from bench.runs.plan import has_own_data

    own = [cell for cell in cells if has_own_data(cell)]
    if not own:  # the rest imports torch
        return []
    from bench.datasets._loading import find_root
    from bench.runs import data_check

    root = find_root(data).absolute()
    return [*data_check.skipped_lines(own, root), *data_check.compare(own, records, root).changed]


@cli.command()
@selecting
@JSON
def status(suite: Path, results: Path, overrides: tuple[str, ...], only: tuple[str, ...], limit: int | None,
           as_json: bool) -> None:  # fmt: skip
    """Count the cells that are done, running, failed, missing.

    A cell is partial if a metric is missing that the suite asks for by now. Exit code 0 if all is done, 1 if cells
    failed, 3 if some are open.
    """
    from bench.results.identity import warn_of_other_suite
    from bench.results.store import Store
    from bench.runs import plan as planning

    loaded, store = _load(suite, overrides, only), Store(results)
    if not only:  # which leaves out cells that the folder may hold
        warn_of_other_suite(loaded, store)
    planned = planning.limited(planning.plan(loaded, store), limit)
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
@click.option("--out", type=PATH, help="Where to. [default: site]")
@click.option("--single-file", is_flag=True, help="All of it in one HTML file, OUT.html.")
@click.option("--figures", type=PATH, metavar="DIR",
              help="No site, but charts, pictures and maps for a paper: SVG, PDF, LaTeX captions.")  # fmt: skip
def report(suites: tuple[str, ...], results: Path, out: Path | None, single_file: bool, figures: Path | None) -> None:
    """Build the site of all results, or of SUITES only."""
    from bench.results.identity import suite_name

    names = [suite_name(s, results) for s in suites] or None
    if figures is not None:
        if single_file or out is not None:
            raise UsageError("--figures makes no site, so it goes without --out and --single-file")
        from bench.report.figures import write_figures

        for file, count in write_figures(results, figures, names):
            click.echo(f"{file}: {count} figures" if count else f"{file.parent.name}: nothing to draw yet")
        return
    from bench.report import build, build_single

    out = out or Path("site")
    if single_file:
        file = out if out.suffix in (".html", ".htm") else out.with_name(f"{out.name}.html")
        click.echo(f"{build_single(results, file, names)}")
    else:
        click.echo(f"{build(results, out, names)}")


@cli.command(name="open")
@click.argument("suite", required=False)
@RESULTS
@click.option("--out", type=PATH, default=Path("site"), show_default=True, help="Where the site is built.")
def open_site(suite: str | None, results: Path, out: Path) -> None:
    """Build the site and open it in the browser, at SUITE's page."""
    import webbrowser

    from bench.report import build
    from bench.results.identity import suite_name
    from bench.results.store import Store

    name = suite_name(suite, results) if suite else None
    known = Store(results).suites()
    if name and known and name not in known:
        raise UsageError(f"no results of suite {name!r} under {results}{did_you_mean(name, known, 'suites')}")
    page = build(results, out)
    page = page.parent / "suites" / name / "index.html" if name else page
    click.echo(f"{page}")
    if not webbrowser.open(page.resolve().as_uri()):
        click.echo("no browser could be started: open this file in one", err=True)
        sys.exit(1)


@cli.command()
@click.argument("suite")
@RESULTS
@click.option("--format", "style", type=click.Choice(["text", "markdown", "latex", "csv", "json"]), default="text",
              show_default=True)  # fmt: skip
@click.option("--metric", "--metrics", "metric", multiple=True, callback=_metrics,
              help="Only these metrics or families, such as mse,fcd [default: all; of one compact table the "
                   "main ones].")  # fmt: skip
@click.option("--rows", help="What makes a row, such as label,net.")
@click.option("--columns", help="What makes a column, such as dataset,latent_size; with 'metric' one table of several "
                                "metrics.")  # fmt: skip
@click.option("--dataset", help="Only this dataset's columns.")
@click.option("--only", multiple=True, metavar="AXIS=VALUE", help="Only these, such as latent_size=16 or label=ae,vae.")
@click.option("--transpose", is_flag=True, help="Swap rows and columns.")
@click.option("--notes", type=click.Choice(["short", "full"]),
              help="The note below [default: short with --columns metric, otherwise full].")  # fmt: skip
@click.option("--width", type=click.Choice(["column", "page"]),
              help="LaTeX that fits 3.4 in or 6.9 in [default: 6.9 in where it is wider than 3.4 in].")  # fmt: skip
@click.option("--sort", metavar="COLUMN", help="Best first by a column (its name or number), or by 'name'.")
@click.option("--precision", type=click.IntRange(0, 12), help="Decimals [default: two digits of the interval].")
@click.option("--external/--no-external", default=True, help="Models trained elsewhere (bench score) in the rows.")
@click.option("--published/--no-published", default=True, help="Published values beside obtained ones.")
@click.option("--ranks", "ranked", is_flag=True, help="Average rank and IQM of each row over the columns, below.")
@click.option("--json", "as_json", is_flag=True, help="The same as --format json.")
def table(suite: str, results: Path, style: str, metric: tuple[str, ...], rows: str | None,
          columns: str | None, as_json: bool, **how: Any) -> None:  # fmt: skip
    """Print SUITE's table: mean ± 95 % t-interval over seeds.

    Marked are the best of a column and all that are not surely worse.

    Axes for --rows, --columns and --only: label (the method as the suite calls it), variant, net, likelihood, dataset,
    latent_size, setting (other parameters that differ), member (sampler or space of a metric family), metric.

    One compact table of several metrics: bench table SUITE --columns metric --metrics mse,fcd_prior --width column
    """
    from bench.report import table as make
    from bench.results.identity import suite_name

    form = "json" if as_json else style
    click.echo(make(results, suite_name(suite, results), form, list(metric), rows, columns, **how), nl=False)


@cli.command()
@click.argument("suite")
@RESULTS
@JSON
def claims(suite: str, results: Path, as_json: bool) -> None:
    """Print the verdict on each claim of SUITE, and its evidence.

    The evidence is the effect with its 95 % interval, p, and the number of seeds that agree.

    The claims are those of the suite as it was last run; `bench run` again takes up what was added since.
    """
    from bench.results import claims as judging
    from bench.results.identity import suite_name

    found = judging.verdicts(results, suite_name(suite, results))
    if as_json:
        click.echo(json.dumps(judging.as_json(found), indent=1))
        return
    for line in judging.as_text(found, _columns()).rstrip("\n").splitlines():
        colour = VERDICT_COLOURS.get(line[:17].rstrip())  # a terminal shows it; `click.echo` removes it from a file
        click.echo(click.style(line[:17], fg=colour) + line[17:] if colour else line)


@cli.command()
@click.argument("suite", required=False)
@RESULTS
@click.option("--table", "pasted", type=click.File(encoding="utf-8"), metavar="FILE",
              help="A text with tables of `bench table` (LaTeX, Markdown, CSV, JSON; - is stdin).")  # fmt: skip
@click.option("--migrate", is_flag=True, help="First rename cells whose ids an earlier version made from paths.")
@DATA
@with_plugins
@JSON
def verify(suite: str | None, results: Path, pasted: TextIO | None, migrate: bool, data: str | None,
           as_json: bool) -> None:  # fmt: skip
    """Check SUITE's records and results.csv, or pasted tables.

    Ids, fingerprints and hashes must be those that the records give.

    Where the images are at hand, they are compared with those that the cells were computed on.
    With --table: does a pasted table still agree with the records? Exit code 0 if so, 1 if something differs.
    """
    from bench.suite.files import name_of, suite_files

    name = name_of(suite) if suite else None
    if pasted is not None:
        sys.exit(_verify_tables(results, pasted, name, as_json))
    if name is None:
        raise UsageError("name a suite (`bench verify digits`) or a file with tables (`bench verify --table FILE`)")
    from bench.results import verify as verification
    from bench.results.migrate import migrate as migrate_suite

    for old, new in migrate_suite(results, name).items() if migrate else ():
        click.echo(f"{old} is now {new}", err=True)
    files = Path(str(suite)), *(file for file in suite_files() if file.stem == name)
    file = next((file for file in files if file.is_file()), None)
    found = verification.verify(results, name, file)
    if file is not None:
        from bench.datasets._loading import find_root
        from bench.runs import data_check

        found = data_check.add_to(found, file, results, find_root(data).absolute())
    click.echo(json.dumps(found.as_json(), indent=1) if as_json else verification.as_text(found))
    sys.exit(1 if found.faults else 0)


def _verify_tables(results: Path, pasted: TextIO, suite: str | None, as_json: bool) -> int:
    from bench.report.tables import check

    try:
        found = check.verify(results, pasted.read(), suite)
    except UnicodeDecodeError as error:
        raise UsageError(f"{pasted.name}: is not a text file in UTF-8 (see byte {error.start})") from error
    except UsageError as error:
        raise UsageError(f"{pasted.name}: {error}") from error
    tables = {"tables": [agreement.as_json() for agreement in found]}
    click.echo(json.dumps(tables, indent=1, ensure_ascii=False) if as_json else check.as_text(found))
    return 1 if any(agreement.differences for agreement in found) else 0


@cli.command()
@click.argument("a", type=PATH)
@click.argument("b", type=PATH)
@RESULTS
@click.option("--metric", multiple=True, callback=_metrics,
              help="Only these metrics or families, such as mse,fcd [default: all].")  # fmt: skip
@click.option("--fail-on", multiple=True, type=click.Choice(["worse", "different", "not-comparable"]),
              help="Exit code 1 if there is any such row.")  # fmt: skip
@JSON
def compare(a: Path, b: Path, results: Path, metric: tuple[str, ...], fail_on: tuple[str, ...], as_json: bool) -> None:
    """Compare two result sets row by row: B against A.

    A row is better, worse, equal, or not comparable for a reason that is named.

    A and B are folders, results/SUITE or a results folder, or names of suites under --results.
    """
    from bench.report.tables import compare as comparing

    found = comparing.compare(a, b, metric, results)
    click.echo(json.dumps(comparing.as_json(found), indent=1, ensure_ascii=False) if as_json
               else comparing.as_text(found))  # fmt: skip
    sys.exit(1 if comparing.fails(found, fail_on) else 0)


@cli.command()
@click.option("--model", metavar="FILE.py:FUNCTION", help="A function without arguments that returns the model.")
@click.option("--reconstructions", type=PATH, help="Of the test images: npz, npy, or a folder of images.")
@click.option("--codes", type=PATH, help="Of the test images: npz or npy.")
@click.option("--train-codes", type=PATH, help="Of the train images: npz or npy.")
@click.option("--samples", type=PATH, help="Generated images: npz, npy, or a folder of images.")
@click.option("--dataset", required=True, metavar="YAML", help="A name, or as in a suite: {name: folder, path: DIR}.")
@click.option("--label", required=True, help="The name of the row in tables.")
@click.option(
    "--suite", default="external", show_default=True, help="The suite that gets the row and gives the protocol."
)
@click.option("--metrics", "--metric", "metric", multiple=True, callback=_metrics,
              help="Only these, such as mse,elbo [default: those of the suite, else all].")  # fmt: skip
@click.option("--likelihood", metavar="YAML", help="bernoulli, gaussian or {name: gaussian, sigma: 0.1}, for bounds.")
@click.option("--seed", type=click.IntRange(0, 2**32 - 1), default=0, show_default=True, help="Of its training.")
@click.option("--set", "overrides", multiple=True, metavar="evaluate.KEY=VALUE", help="Change the protocol.")
@with_plugins
@RESULTS
@DATA
@click.option("--device", default="auto", show_default=True, help="auto, cpu, mps, cuda or cuda:I.")
@click.option("--threads", type=click.IntRange(min=1), default=1, show_default=True, help="CPU threads.")
@click.option("--offline", is_flag=True, help="Never download anything.")
@click.option("--force", is_flag=True, help="Replace another measurement of this label, data and seed.")
@JSON
def score(model: str | None, reconstructions: Path | None, codes: Path | None, train_codes: Path | None,
          samples: Path | None, metric: tuple[str, ...], results: Path, data: str | None, device: str, threads: int,
          offline: bool, as_json: bool, **what: Any) -> None:  # fmt: skip
    """Measure a model trained elsewhere, or its outputs.

    The protocol is that of the suite. The code of FILE.py is run. Its model has encode(x) or posterior(x), and
    decode(z) or generate(z), for images in [0, 1]; docs/score.md has the rest.
    """
    from bench.datasets._loading import find_root
    from bench.runs import score as scoring
    from bench.runs.task import Settings

    paths = {"reconstructions": reconstructions, "codes": codes, "train_codes": train_codes, "samples": samples}
    outputs = {name: path for name, path in paths.items() if path is not None}
    settings = Settings(results.absolute(), find_root(data).absolute(), device, threads, offline)
    request = scoring.ScoreRequest(model=model, outputs=outputs, metrics=metric, **what)
    record = scoring.score(request, settings, lambda text: click.echo(text, err=True))
    if as_json:
        click.echo(json.dumps({"id": record.id, "suite": record.suite, "metrics": record.metrics}, indent=1))
        return
    for name, entry in record.metrics.items():
        value, unit = entry.get("value"), entry.get("unit")
        click.echo(f"{name:<28} {entry.get('reason') if value is None else f'{value:.6g} {unit}'}")
    click.echo(f"{record.suite}: {record.id} {request.label} · results in {results / record.suite / record.id}")


@cli.command()
@click.argument("cell")
@RESULTS
@DATA
@with_plugins
@click.option("--figure", help="samples, by_label, reconstructions, restored_..., manifold, identity, ...")
@click.option("--n", type=click.IntRange(1, 10_000), help="Images; pairs of interpolations; a manifold's side.")
@click.option("--sampler", help="Where codes come from: prior, gaussian, gmm [default: prior].")
@click.option("--label", help="Only this class, by name or number: for models with labels.")
@click.option("--interpolate", is_flag=True, help="The same as --figure interpolations; moving with --out FILE.gif.")
@click.option("--seed", type=click.IntRange(min=0), help="Other codes or pairs [default: those of the evaluation].")
@click.option("--out", type=PATH, help="A .png, .webp or .gif [default: a named .png, here].")
@JSON
def sample(cell: str, results: Path, data: str | None, figure: str | None, n: int | None, sampler: str | None,
           label: str | None, interpolate: bool, seed: int | None, out: Path | None,
           as_json: bool) -> None:  # fmt: skip
    """Draw pictures from the trained model of CELL.

    CELL is the beginning of a cell's id, or its folder. The model must have been trained on this machine.
    """
    from bench.datasets._loading import find_root
    from bench.evaluation import draw as drawing

    if interpolate and figure not in (None, "interpolations"):
        raise UsageError(f"--interpolate and --figure {figure} ask for two different figures")
    moving = out is not None and out.suffix.lower() == ".gif"
    name = "interpolations" if interpolate else figure or "samples"
    request = drawing.FigureRequest(name, n, sampler, label, seed, moving)
    record = drawing.find(cell, results)
    path = out or Path(drawing.default_name(record, request))
    drawing.check_name(path, moving)
    drawing.check_trained(record, _remake(record, data))
    picture = drawing.draw(record, request, find_root(data))
    drawing.write(picture, path)
    told = {"cell": record.id, "suite": record.suite, "figure": name, "sampler": sampler, "label": label, "n": n,
            "seed": seed, "width": picture.shape[-2], "height": picture.shape[-3], "file": str(path)}  # fmt: skip
    click.echo(json.dumps(told, indent=1) if as_json else f"{path}")


def _remake(record: "Record", data: str | None) -> str:
    """The shell command that trains a cell anew where its record lies."""
    from bench.report.pages.html import command
    from bench.results.store import Store

    root = record.folder.parent.parent
    store = Store(root)
    asked = store.suite(record.suite) if record.suite in store.suites() else {}
    words = command(record.suite, record.cell, [str(o) for o in asked.get("overrides") or []])
    where = ["--results", str(root)] if root != Path("results") else []
    return shlex.join([*shlex.split(words), *where, *(["--data", data] if data else [])])


@cli.command(context_settings={"ignore_unknown_options": True, "help_option_names": []})
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def speed(arguments: tuple[str, ...]) -> None:
    """Measure the speed of training, in a clone of the repository."""
    root = Path(__file__).resolve().parent.parent
    if not (root / "benchmarks" / "__main__.py").is_file():
        raise UsageError(
            "bench speed needs a clone of the repository: benchmarks/ is not part of the installed package"
        )
    paths = os.pathsep.join(filter(None, [str(root), os.environ.get("PYTHONPATH")]))
    command = [sys.executable, "-m", "benchmarks", *arguments]
    sys.exit(subprocess.run(command, env={**os.environ, "PYTHONPATH": paths}, check=False).returncode)  # noqa: S603


@cli.command(name="list")
@click.argument("kind", required=False)
@with_plugins
@JSON
def list_(kind: str | None, as_json: bool) -> None:
    """List the names a suite can use, each with its first line.

    KIND is variants (the methods), nets, likelihoods, samplers, datasets, metrics or suites; all without it.
    """
    from bench.suite.listing import listing

    found = listing(kind)
    for problem in plugins.from_entry_points()[1] if plugins.session.allowed else ():
        click.echo(problem, err=True)
    if as_json:
        click.echo(json.dumps(found, indent=1))
        return
    for name, items in found.items():
        click.echo(f"{name}:")
        for item in items:
            mark = f"[plugin, sha256 {item['plugin'][:12]}] " if "plugin" in item else ""
            how = ", ".join(filter(None, [item.get("family"), item.get("unit"), BETTER.get(item.get("better", ""))]))
            text = f"{mark}{item['summary']} ({how})" if how else f"{mark}{item['summary']}"
            click.echo(textwrap.fill(text, _columns(), initial_indent=f"  {item['name']:<20} ",
                                     subsequent_indent=" " * 23, break_on_hyphens=False))  # fmt: skip


@cli.command()
@click.argument("kind", type=click.Choice(["variant", "net", "sampler", "dataset", "metric"]))
@click.argument("name")
@click.option("--in", "folder", type=PATH, default=Path("plugins"), show_default=True, help="Your folder of plugins.")
def new(kind: str, name: str, folder: Path) -> None:
    """Write a file for a component of your own, to be changed.

    The file fulfils the contract of its KIND; `bench check` says whether it still does.
    """
    from bench.contracts.stubs import write_stub

    path = write_stub(kind, name, folder)
    click.echo(f"{path}\ncheck it with: {shlex.join(['bench', 'check', str(path)])}")


@cli.command()
@click.argument("path", type=PATH)
@DATA
@click.option("--option", "options", multiple=True, metavar="KEY=VALUE", help="Of the component: path=DIR, size=32.")
@click.option("--seconds", type=click.FloatRange(min=1), default=120, show_default=True, help="Limit of one check.")
@JSON
def check(path: Path, data: str | None, options: tuple[str, ...], seconds: float, as_json: bool) -> None:
    """Check a component of your own, or a folder of them.

    Each file is tested against the contract of its kind. Exit code 0 if it is fulfilled, 1 if not.
    """
    from bench.contracts import check as contracts
    from bench.suite.overrides import parse_assignments

    root, given = Path(data or os.environ.get("BENCH_DATA") or "data").expanduser(), parse_assignments(options)
    found = {}
    for file in contracts.files_of(path):
        found[file.path] = contracts.check(file, root, given, seconds)
        if not as_json:
            click.echo("\n".join([f"{file.kind[:-1]} {file.name}:", *(f"  {result}" for result in found[file.path])]))
    if as_json:
        click.echo(json.dumps(contracts.as_json(found), indent=1))
    sys.exit(1 if any(result.ok is False for results in found.values() for result in results) else 0)


@cli.command()
@click.argument("words", nargs=-1, metavar="[fetch|check] NAME")
@with_plugins
@DATA
@click.option("--option", "options", multiple=True, metavar="KEY=VALUE", help="Of the dataset: path=DIR, size=32.")
@JSON
def data(words: tuple[str, ...], data: str | None, options: tuple[str, ...], as_json: bool) -> None:
    """Download a dataset (fetch) or verify a copy (check).

    Where files are missing, the message says what to put where.
    """
    from bench.datasets._loading import fetch_or_check
    from bench.suite.overrides import parse_assignments

    if not 1 <= len(words) <= 2 or (len(words) == 2 and words[0] not in ("fetch", "check")):
        raise UsageError("usage: bench data [fetch|check] NAME, such as `bench data check mnist`")
    found = fetch_or_check(words[0] if len(words) == 2 else "check", words[-1], data, parse_assignments(options))
    if as_json:
        click.echo(json.dumps(found, indent=1))
        return
    for key, value in found.items():
        click.echo(f"{key:<12} {value}")


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


class Terminated(KeyboardInterrupt):
    """SIGTERM, which batch systems and containers send: it ends a run as Ctrl-C does."""


def _raise_terminated(number: int, frame: Any) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # a second one does not disturb the end
    raise Terminated


def _interrupted(cause: BaseException) -> int:
    """Print why a command ended early and return its exit code; click turns all three causes into one exception."""
    if isinstance(cause, EOFError):
        click.echo(f"a file ends too early: {cause}", err=True)
        return 2
    word, code = ("terminated", 143) if isinstance(cause, Terminated) else ("interrupted", 130)
    click.echo(f"{word}; finished cells are kept, run the same command to go on", err=True)
    return code


def main() -> None:
    """Run the command line; a mistake is one message and exit code 2, never a traceback."""
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, _raise_terminated)
    try:
        cli(standalone_mode=False)
    except BenchError as error:
        click.echo(str(error), err=True)
        sys.exit(error.exit_code)
    except click.ClickException as error:
        error.show()
        sys.exit(2)
    except (click.Abort, KeyboardInterrupt) as error:
        sys.exit(_interrupted(error.__cause__ or error))
    except BrokenPipeError:  # the reader of our output has gone, as in `bench list | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except MemoryError as error:
        click.echo(f"there is not enough memory: {error}", err=True)
        sys.exit(2)
    except OSError as error:  # a file where a folder should be, a disk that is full or may not be written
        click.echo(f"{error.filename or 'the file system'}: {error.strerror or error}", err=True)
        sys.exit(2)


if __name__ == "__main__":
    main()
