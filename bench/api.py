"""The Python API behind `import bench`: what the command line does, on objects, for notebooks and scripts.

Everything heavy is imported where it is needed, so that `import bench` takes milliseconds.
"""

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from bench import registry
from bench.datasets import Data as Loaded
from bench.datasets import array
from bench.datasets._loading import find_root
from bench.datasets._loading import load as load_data
from bench.errors import UsageError
from bench.results.files import replace_with
from bench.suite import Cell, Choice, Evaluate, Suite, Train, load
from bench.suite.document import read
from bench.suite.files import locate, name_of
from bench.suite.issues import Issues
from bench.suite.names import metric_families

if TYPE_CHECKING:
    import pandas as pd
    from torch import Tensor

ARRAYS = ".arrays"  #: folder of a results folder with the images that were given in memory


class Data(Loaded):
    """Train and test images in memory, as a dataset of a suite."""

    @classmethod
    def from_arrays(
        cls,
        train_images: "np.ndarray | Tensor",
        train_labels: "np.ndarray | Tensor | None",
        test_images: "np.ndarray | Tensor",
        test_labels: "np.ndarray | Tensor | None",
        *,
        name: str = "array",
        classes: Sequence[str] | None = None,
        train_factors: "np.ndarray | Tensor | None" = None,
        test_factors: "np.ndarray | Tensor | None" = None,
        factor_names: Sequence[str] | None = None,
        factor_categorical: Sequence[bool] | None = None,
    ) -> "Data":
        """The dataset of these arrays or tensors, which are those of the dataset `array`.

        Images: uint8, or floats in [0, 1], which become round(255 x); (N, H, W), (N, H, W, C) or (N, C, H, W) with C 1
        or 3. Labels: integers from 0, (N,) or (N, 1); None for both splits of unlabelled data. classes: names of the
        labels in their order, for figures. Factors of variation: integers from 0, (N, K), with K names, and K booleans
        that are True where the order of a factor's values means nothing. Raises `DataError` for anything else.

        >>> import numpy as np
        >>> rng = np.random.default_rng(0)
        >>> data = Data.from_arrays(rng.random((20, 8, 6)), None, rng.random((10, 8, 6)), None)
        >>> data.shape, len(data.train), len(data.test)
        ((1, 8, 6), 20, 10)
        """
        values = (train_images, train_labels, test_images, test_labels)
        about = (train_factors, test_factors, factor_names, factor_categorical)
        keys = (*array.KEYS, *array.FACTORS, *array.ABOUT_FACTORS)
        given = dict(zip(keys, (*values, *about), strict=True))
        arrays = {key: np.asarray(value) for key, value in given.items() if value is not None}
        found = array.from_arrays(arrays, name)
        if classes is not None and len(classes) < len(found.classes):
            raise UsageError(f"{name}: {len(classes)} names of classes for {len(found.classes)} labels")
        names = tuple(classes or found.classes)
        return cls(name, found.train, found.test, names, found.source, factors=found.factors)


Datasets = Mapping[str, Loaded]  #: name in a suite → images


def load_suite(
    suite: str | Path | Mapping[str, Any] | Suite,
    *,
    datasets: Datasets | None = None,
    name: str = "notebook",
    overrides: Sequence[str] = (),
    results: str | Path = "results",
) -> Suite:
    """A validated suite: a file, the name of a file under suites/, or its content as a mapping.

    datasets: names that the grid may use for images in memory. They are kept in `results`, as the dataset `array` reads
    them; a cell is known by the name, and its images by their fingerprint. name: of a suite that is given as a mapping.
    overrides: as `--set`, such as "train.epochs=1".
    Raises `SuiteError` with every error of the suite.

    >>> suite = load_suite({"title": "Codes", "grid": {"datasets": ["digits"], "variants": ["ae", "vae"],
    ...                                               "latent_sizes": [2], "seeds": 3}})
    >>> len(suite.cells), suite.cells[0].label
    (6, 'ae')
    """
    if isinstance(suite, Suite):
        return suite
    if not datasets:
        return load(suite, overrides, name=name)
    if not isinstance(suite, Mapping):
        file, issues = locate(Path(suite)), Issues()
        suite, name = cast("Mapping[str, Any]", read(file, issues).data), file.stem
    entries = {known: _kept(data, known, Path(results)) for known, data in datasets.items()}
    return load({**suite, "grid": _with_arrays(suite.get("grid"), entries)}, overrides, name=name)


def run(
    suite: str | Path | Mapping[str, Any] | Suite,
    *,
    datasets: Datasets | None = None,
    results: str | Path = "results",
    data: str | Path | None = None,
    name: str = "notebook",
    overrides: Sequence[str] = (),
    workers: int = 1,
    device: str = "auto",
    offline: bool = False,
    progress: bool = True,
) -> "pd.DataFrame":
    """Compute what is missing of a suite, and return its records: a row for each cell, a column for each metric.

    suite, datasets, name, overrides: as in `load_suite`. data: the folder of downloaded datasets. workers: processes;
    more than one in a script needs `if __name__ == "__main__"` around the call. progress: print to stderr.
    A cell that fails has its row, with the reason. Raises what `bench run` prints as one message.

    >>> import tempfile
    >>> suite = {"title": "Small", "grid": {"datasets": ["digits"], "variants": ["pca"], "latent_sizes": [2, 8],
    ...                                     "seeds": 1}, "metrics": ["mse"], "evaluate": {"embed": {"methods": []}}}
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     frame = run(suite, results=folder, progress=False)
    >>> frame[["latent_size", "status", "mse"]].round(3).values.tolist()
    [[2, 'done', 0.052], [8, 'done', 0.025]]
    """
    from contextlib import nullcontext

    from bench.results.frame import load_results
    from bench.runs import progress as display
    from bench.runs.runner import run as run_suite
    from bench.runs.task import Settings

    loaded = load_suite(suite, datasets=datasets, name=name, overrides=overrides, results=results)
    root = find_root(None if data is None else str(data)).absolute()
    settings = Settings(Path(results).absolute(), root, device, offline=offline)
    with display.show() if progress else nullcontext(lambda event: None) as on_event:
        run_suite(loaded, settings, workers=workers, on_event=on_event)
    return load_results(results, loaded.name)


def evaluate(
    model: Any,
    data: Loaded | str,
    metrics: str | Sequence[str] | None = None,
    *,
    likelihood: Any = None,
    protocol: Mapping[str, Any] | None = None,
    seed: int = 0,
    results: str | Path = "results",
    root: str | Path | None = None,
    device: str = "auto",
    threads: int = 1,
) -> dict[str, dict[str, Any]]:
    """Measure a model by the protocol of every suite: metric → value, unit, n, ..., or None and a reason.

    model: of `load_model`; or an object with `encode(x)` or `posterior(x)`, and `decode(z)` or `generate(z)`, as
    `bench score` takes it; or a mapping of outputs: reconstructions, codes, train_codes, samples.
    data: a dataset of this package by name, or `Data`. metrics: names; all of them by default.
    likelihood: for the bounds of a model from elsewhere, "bernoulli" or {"name": "gaussian", "sigma": 0.1}.
    protocol: the section `evaluate` of a suite. results: where the classifiers of distances are kept. root: the folder
    of downloaded datasets. Raises `UsageError` for a model or outputs that do not fit.

    >>> class Copy:
    ...     def encode(self, x): return x
    ...     def decode(self, z): return z
    >>> found = evaluate(Copy(), "digits", ["mse", "elbo"])
    >>> found["mse"]["value"], found["elbo"]["reason"]
    (0.0, 'a deterministic code has no posterior')
    """
    import torch

    from bench.evaluation.external import Measured, prepare
    from bench.models.variants import Variant
    from bench.runs.devices import limited_threads, pick_device
    from bench.runs.score import EXTERNAL, extractors, parse_likelihood

    place, on, issues = find_root(None if root is None else str(root)).absolute(), pick_device(device), Issues()
    loaded = load_data(_choice(data), place) if isinstance(data, str) else data
    asked = Evaluate.model_validate({**(protocol or {})})
    names = metric_families(
        [metrics] if isinstance(metrics, str) else list(metrics) if metrics else None, asked, issues
    )
    if issues:
        raise UsageError("; ".join(map(str, issues.found)))
    moved = Loaded(loaded.name, loaded.train.to(on), loaded.test.to(on), loaded.classes, loaded.source)
    with limited_threads(threads):
        nets = extractors(moved, Path(results), place)
        nets.prepare(names)
        if isinstance(model, Variant):
            measured = Measured(model.to(on).eval(), _cell(model, loaded.name, seed, asked), {}, {})
            return measured.metrics(moved, names, nets)
        choice, terms = parse_likelihood(likelihood)
        cell = Cell("", _choice(loaded.name), loaded.name, Choice(EXTERNAL, {}), "", None, choice, 0, seed, Train(),
                    asked, None)  # fmt: skip
        outputs = {key: np.asarray(value) for key, value in model.items()} if isinstance(model, Mapping) else {}
        given = None if isinstance(model, Mapping) else model
        with torch.no_grad():
            return prepare(given, outputs, type(model).__name__, moved, cell, terms).metrics(moved, names, nets)


def table(
    suite: str | Suite,
    metrics: str | Sequence[str] = (),
    format: str = "text",  # noqa: A002  (the flag of the verb)
    *,
    results: str | Path = "results",
    **options: Any,
) -> "str | pd.DataFrame":
    """A suite's comparison table: mean ± 95 % t-interval over seeds, n, the best marked.

    format: "text", "markdown", "latex", "csv", "json", or "frame", a DataFrame with a row for each value and the
    columns mean, half_width, n, best and all conditions. options: `rows`, `columns`, `dataset`, `only`, `sort`,
    `precision`, `width`, `transpose`, `external` and the others of `bench table`; `columns="metric"` puts several
    metrics into one table. Raises `UsageError` for unknown names and where nothing is recorded.
    """
    import pandas as pd

    from bench.report import table as make

    name = suite.name if isinstance(suite, Suite) else name_of(suite)
    if format != "frame":
        return make(Path(results), name, format, metrics, **options)
    return pd.read_csv(io.StringIO(make(Path(results), name, "csv", metrics, **options)))


def _kept(data: Loaded, name: str, results: Path) -> dict[str, Any]:
    """The entry of a grid for images in memory, once they are written where every worker can read them."""
    path = (results / ARRAYS / f"{data.fingerprint()}-{data.order()}.npz").absolute()
    if not path.exists():
        splits = {"train": data.train, "test": data.test}
        arrays = {f"{part}_images": split.images.cpu().numpy() for part, split in splits.items()}
        arrays |= {f"{part}_labels": s.labels.cpu().numpy() for part, s in splits.items() if s.labels is not None}
        arrays |= {f"{part}_factors": s.factors.cpu().numpy() for part, s in splits.items() if s.factors is not None}
        if data.factors:
            arrays["factor_names"] = np.array([factor.name for factor in data.factors])
            arrays["factor_categorical"] = np.array([factor.categorical for factor in data.factors])

        def fill(temporary: Path) -> None:
            with temporary.open("wb") as file:
                np.savez(file, **arrays)  # type: ignore[arg-type]

        replace_with(path, fill)
    return {"name": "array", "path": str(path), "label": name}


def _with_arrays(grid: Any, entries: Mapping[str, dict[str, Any]]) -> Any:
    """The grid with each name of images in memory replaced by where they are kept."""
    if isinstance(grid, list):
        return [_with_arrays(block, entries) for block in grid]
    if not isinstance(grid, Mapping) or not isinstance(grid.get("datasets"), list | tuple):
        return grid
    return {**grid, "datasets": [_replaced(entry, entries) for entry in grid["datasets"]]}


def _replaced(entry: Any, entries: Mapping[str, dict[str, Any]]) -> Any:
    if isinstance(entry, str):
        return entries.get(entry, entry)
    if isinstance(entry, Mapping) and entry.get("name") in entries:
        return {**entries[entry["name"]], **{key: value for key, value in entry.items() if key != "name"}}
    return entry


def _choice(name: str) -> Choice:
    """A dataset with the defaults of its options; one that is in memory has none."""
    if name not in registry.names("datasets"):
        return Choice(name, {})
    known = registry.describe("datasets", name).options.values()
    return Choice(name, {option.name: option.default for option in known if option.default is not registry.REQUIRED})


def _cell(model: Any, dataset: str, seed: int, protocol: Evaluate) -> Cell:
    """The cell of a model of this package, for what the evaluation asks of it."""
    kind = type(model.likelihood).__name__
    likelihood = next(n for n in registry.names("likelihoods") if registry.describe("likelihoods", n).symbol == kind)
    options = {name: getattr(model.likelihood, name) for name in registry.describe("likelihoods", likelihood).options}
    variant = Choice(type(model).__module__.rpartition(".")[2], {})
    return Cell("", _choice(dataset), dataset, variant, variant.name, None, Choice(likelihood, options),
                model.net.size.latent_size, seed, Train(), protocol, None)  # fmt: skip
