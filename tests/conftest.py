"""What tests share: small real data, one-line cells, and the command line as a process."""

import os
import subprocess
import sys
from pathlib import Path

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


def run_bench(*arguments: str, cwd: Path = ROOT, check: bool = False, **env: str) -> subprocess.CompletedProcess[str]:
    """`python -m bench ...` as a process."""
    variables = {**os.environ, "PYTHONPATH": str(ROOT), **env}
    command = [sys.executable, "-m", "bench", *arguments]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=check, env=variables, timeout=600)
