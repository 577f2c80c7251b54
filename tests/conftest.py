"""What tests share: small real data, one-line cells, and the command line as a process."""

import io
import os
import signal
import subprocess
import sys
import warnings
from pathlib import Path

# Small tensors are slower on two threads than on one, and processes of pytest-xdist, one a core, would wait for each
# other's threads. Before PyTorch is imported, so that scikit-learn, SciPy and processes of tests have one as well.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import pytest
import torch
from browsing import browser, page, plain_page  # noqa: F401  (fixtures of the tests that drive a browser)

from bench.datasets import Data, Split
from bench.datasets import _loading as data_room
from bench.suite import Cell, Choice, Evaluate, Train

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def digits() -> Data:
    """scikit-learn's digits: 8×8, embedded."""
    return data_room.load(Choice("digits", {"binarise": "none"}), Path("unused"))


@pytest.fixture(scope="session")
def few_digits(digits) -> Data:
    """200 train and 100 test digits."""
    return Data("digits", cut(digits.train, 200), cut(digits.test, 100), digits.classes, digits.source)


@pytest.fixture
def one_thread():
    """As in every task: some layers take their faster form on one thread only."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def mnist() -> Data:
    """The real MNIST from the data root in BENCH_DATA; skips with the reason where there is none."""
    root = os.environ.get("BENCH_DATA")
    if not root:
        pytest.skip("BENCH_DATA names no data root, so there is no real MNIST to test on")
    dataset = data_room.build("mnist", {"binarise": "none"})
    if problem := dataset.missing(Path(root)):
        pytest.skip(problem)
    return data_room.load(Choice("mnist", {"binarise": "none"}), Path(root))


def cut(split: Split, n: int) -> Split:
    """The first n images."""
    return Split(split.images[:n], None if split.labels is None else split.labels[:n])


def colour(n: int = 32, size: int = 16, channels: int = 3) -> Data:
    """Random images of any shape, two classes: for what only depends on shapes."""
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (n, channels, size, size), generator=generator, dtype=torch.uint8)
    split = Split(images, torch.arange(n) % 2)
    return Data("random", split, split, ("a", "b"), "random")


def cell(variant: str = "vae", net: str | None = "mlp", seed: int = 0, **changes) -> Cell:
    """A cell of digits with defaults filled in."""
    options = {"mlp": {"hidden": (32,), "activation": "relu"}, "conv": {"channels": 4}}
    parts = {
        "suite": "test",
        "dataset": Choice("digits", {"binarise": "none"}),
        "dataset_label": "digits",
        "variant": Choice(variant, {}),
        "label": variant,
        "net": Choice(net, options.get(net, {})) if net else None,
        "likelihood": Choice("bernoulli", {}),
        "latent_size": 2,
        "seed": seed,
        "train": Train(epochs=2, batch_size=32),
        "evaluate": Evaluate(
            samplers=["prior", "gmm"], n_samples=200, iw_samples=5, iw_images=20, embed={"points": 60}
        ),
        "skip": None,
    }
    return Cell(**(parts | changes))


def run_bench(
    *arguments: str, cwd: Path = ROOT, check: bool = False, process: bool = False, **env: str
) -> subprocess.CompletedProcess[str]:
    """`python -m bench ...` in this process, where PyTorch is imported already, or in one of its own.

    env: variables besides those of this process.
    """
    if process:
        variables = {**os.environ, "PYTHONPATH": str(ROOT), **env}
        command = [sys.executable, "-m", "bench", *arguments]
        return subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=check, env=variables, timeout=600)
    done = _in_this_process(arguments, cwd, env)
    if check:
        done.check_returncode()
    return done


def _in_this_process(arguments: tuple[str, ...], cwd: Path, env: dict[str, str]) -> subprocess.CompletedProcess[str]:
    from bench.__main__ import main

    out, err, code = Terminal(), Terminal(), 0
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
        warnings.simplefilter("default")
        patch.setattr(sys, "argv", ["bench", *arguments])
        patch.setattr(sys, "stdout", out)
        patch.setattr(sys, "stderr", err)
        patch.chdir(cwd)
        for name, value in env.items():
            patch.setenv(name, value)
        handler = signal.getsignal(signal.SIGTERM)
        try:
            main()
        except SystemExit as ended:
            code = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
        finally:
            signal.signal(signal.SIGTERM, handler)
    return subprocess.CompletedProcess(["bench", *arguments], code, out.text(), err.text())


class Terminal(io.TextIOWrapper):
    """A text stream that is no terminal, with the bytes that were written to it."""

    def __init__(self) -> None:
        super().__init__(io.BytesIO(), encoding="utf-8", write_through=True)

    def text(self) -> str:
        return self.buffer.getvalue().decode()
