"""The command line of the speed benchmark, which `bench speed` calls."""

import json
import sys
from pathlib import Path
from typing import Any

import click

from bench.datasets._loading import find_root
from bench.errors import BenchError, UsageError

from . import measure


@click.command(name="bench speed")
@click.option("--variant", "variants", multiple=True, default=("ae", "vae"), show_default=True, help="May be repeated.")
@click.option("--net", "nets", multiple=True, default=("mlp",), show_default=True, help="May be repeated.")
@click.option("--precision", "precisions", multiple=True, type=click.Choice(["fp32", "tf32", "bf16"]),
              default=("fp32",), show_default=True, help="May be repeated.")  # fmt: skip
@click.option("--device", default="auto", show_default=True, help="auto, cpu, mps, cuda or cuda:I.")
@click.option("--workers", type=click.IntRange(min=1), help="Processes side by side [default: one per GPU or core].")
@click.option("--threads", type=click.IntRange(min=1), default=1, show_default=True, help="CPU threads of a worker.")
@click.option("--seeds", type=click.IntRange(min=1), default=4, show_default=True, help="Cells of each variant.")
@click.option("--batch-size", type=click.IntRange(min=1), default=128, show_default=True)
@click.option("--images", type=click.IntRange(min=1), help="Of each cell in a round.")
@click.option("--seconds", type=click.FloatRange(min=0.1), help="Of a round, in place of --images [default: 5].")
@click.option("--rounds", type=click.IntRange(min=1), default=3, show_default=True, help="Medians are over these.")
@click.option("--against", metavar="PEER", help="Take turns with another library's trainer: pythae.")
@click.option("--profile", is_flag=True, help="Also profile a step of the last variant.")
@click.option("--out", type=click.Path(path_type=Path), default=Path("results/speed"), show_default=True)
@click.option("--data", metavar="DIR", help="Where MNIST lies; generated images without it.")
@click.option("--json", "as_json", is_flag=True, help="JSON on stdout.")
def speed(images: int | None, seconds: float | None, out: Path, data: str | None, as_json: bool, **asked: Any) -> None:
    """How fast a grid trains on this machine, alone or in turns with another library."""
    if images is not None and seconds is not None:
        raise UsageError("--images and --seconds both say how long a round is; give one of them")
    plan = measure.Plan(images=images, seconds=seconds or 5.0, data_root=find_root(data).absolute(), **asked)
    found = measure.measure(plan, lambda line: click.echo(line, err=True))
    written = measure.write(found, out)
    click.echo(json.dumps(found, indent=1, ensure_ascii=False) if as_json else measure.markdown(found), nl=as_json)
    click.echo(f"written: {', '.join(map(str, written))}", err=True)


def main() -> None:
    """Run the command line; a mistake is one message and exit code 2."""
    try:
        speed()
    except BenchError as error:
        click.echo(str(error), err=True)
        sys.exit(error.exit_code)


if __name__ == "__main__":
    main()
