"""Components outside of the package: how they are found, what their sha256 decides, and that they hurt no other run."""

import json
import re
import shutil
import sys
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from textwrap import dedent

import pytest
from click.testing import CliRunner

from bench import plugins, registry
from bench.__main__ import cli
from bench.contracts.check import Result, check, files_of
from bench.contracts.common import Subject
from bench.contracts.stubs import write_stub
from bench.contracts.worker import is_imported, outcome_of
from bench.errors import ComponentError, SuiteError, UsageError
from bench.results.frame import load_results
from bench.results.store import Store
from bench.results.verify import verify
from bench.runs.plan import plan
from bench.runs.runner import run
from bench.runs.task import Request, Settings, Task
from bench.runs.worker import run_task
from bench.suite import Cell, load
from bench.suite.json_schema import json_schema

FILES = {
    "variants/half_kl": '''
        """Half KL: a VAE whose KL has half its weight."""
        from bench.models.likelihoods import gaussian_kl, reparametrise
        from bench.models.variants.vae import VAE

        class HalfKL(VAE):
            title = "Half-KL autoencoder"
            symbol = "½-VAE"

            def __init__(self, net, likelihood, *, weight: float = 0.5) -> None:
                super().__init__(net, likelihood)
                self.weight = weight

            def forward(self, x, y, noise):
                q = self.posterior(x)
                rec = self.likelihood.nll(self.decode(reparametrise(q.mean, q.log_var, noise)), x).mean()
                kl = self.weight * gaussian_kl(q.mean, q.log_var).mean()
                return {"loss": rec + kl, "rec": rec, "kl": kl}
    ''',
    "datasets/stripes": '''
        """Stripes: 8×8 images with one white row, the class being the row."""
        import torch
        from bench.datasets import Data, Dataset, to_split

        class Stripes(Dataset):
            title = "Stripes"
            channels = 1
            size = 8
            embedded = True
            source = "made in this file"

            def where(self, root):
                return root

            def missing(self, root):
                return None

            def fetch(self, root):
                pass

            def read(self, root):
                labels = torch.arange(160) % 8
                images = torch.zeros(160, 1, 8, 8, dtype=torch.uint8)
                images[torch.arange(160), 0, labels] = 200 + torch.arange(160, dtype=torch.uint8)[:, None] % 50
                names = tuple(map(str, range(8)))
                splits = (to_split(images[a], labels[a], self.name) for a in (slice(0, 120), slice(120, 160)))
                return Data(self.name, *splits, names, self.source)
    ''',
    "metrics/worst_pixel": '''
        """Largest absolute error of any pixel, averaged over test images."""
        from bench.evaluation.metrics import metric

        @metric(title="Worst pixel", symbol="worst", unit="1", better="lower", counts="images")
        def worst_pixel(images, reconstructions):
            return (images - reconstructions).abs().flatten(1).amax(1).mean().item()
    ''',
    "samplers/ring": '''
        """Codes on a circle of radius 2."""
        import numpy as np
        from bench.models.samplers import Sampler

        class Ring(Sampler):
            title = "Ring"
            needs_codes = False

            def fit(self, codes, seed):
                self.size = codes.shape[1]

            def sample(self, n, rng):
                codes = rng.standard_normal((n, self.size))
                return 2 * codes / np.linalg.norm(codes, axis=1, keepdims=True)
    ''',
    "nets/tiny_net": '''
        """One linear layer each way."""
        from torch import nn
        from bench.models.nets import Net, Size
        from bench.models.seeding import part

        class TinyNet(Net):
            title = "Linear"

            def __init__(self, size: Size) -> None:
                super().__init__(size)
                with part("encoder"):
                    width = size.pixels + size.encoder_given * size.shape[1] * size.shape[2]
                    self.encoder = nn.Sequential(nn.Flatten(), nn.Linear(width, size.heads * size.latent_size))
                with part("decoder"):
                    self.decoder = nn.Sequential(nn.Linear(size.code_size, size.pixels), nn.Unflatten(1, size.shape))
    ''',
}  # fmt: skip
SUITE = """\
title: My own
plugins: [./mine]
grid: {datasets: [stripes], variants: [half_kl, vae], nets: [tiny_net], latent_sizes: [2], seeds: 2}
train: {epochs: 1, batch_size: 32}
evaluate: {samplers: [prior, ring], n_samples: 40, iw_samples: 2, iw_images: 5, embed: {methods: []}}
metrics: [mse, worst_pixel]
"""


def write(folder: Path, files=FILES) -> Path:
    for name, text in files.items():
        file = folder / f"{name}.py"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(dedent(text).lstrip(), encoding="utf-8")
    return folder


@pytest.fixture(autouse=True)
def no_traces():
    yield
    plugins.session.files, plugins.session.allowed = (), True
    registry.reset()


@pytest.fixture
def here(tmp_path, monkeypatch):
    """An empty folder with a suite and its plugins, which is also the working directory."""
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "mine")
    (tmp_path / "own.yaml").write_text(SUITE)
    return tmp_path


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    """A folder in which the suite was run by two workers that had only the text of its plugins."""
    folder = tmp_path_factory.mktemp("own")
    write(folder / "mine")
    (folder / "own.yaml").write_text(SUITE)
    suite = load(folder / "own.yaml")
    shutil.rmtree(folder / "mine")
    summary = run(suite, Settings(folder / "results", folder / "data", "cpu"), workers=2)
    assert summary.states == {"done": 4}
    registry.reset()
    return folder, suite


def bench(*arguments):
    """Exit code, stdout and stderr of a verb, as `main` gives them."""
    done = CliRunner().invoke(cli, list(map(str, arguments)), standalone_mode=False)
    error = done.exception
    if isinstance(error, SystemExit) or error is None:
        return done.exit_code, done.stdout, done.stderr
    return getattr(error, "exit_code", None), done.stdout, done.stderr + str(error)


def fault(path="own.yaml", **keywords):
    with pytest.raises(SuiteError) as caught:
        load(path, **keywords)
    return str(caught.value)


# -- finding and naming


def test_a_folder_beside_the_suite_is_read_without_being_run(here):
    before = set(sys.modules)
    suite = load("own.yaml")
    assert [f"{file.kind}/{file.name}" for file in suite.plugins] == [
        "variants/half_kl", "nets/tiny_net", "samplers/ring", "datasets/stripes", "metrics/worst_pixel"]  # fmt: skip
    assert suite.columns == ("mse", "worst_pixel")
    assert registry.describe("variants", "half_kl").constants["heads"] == 2  # of the built-in parent
    assert not [name for name in set(sys.modules) - before if name.startswith("bench_plugin_")]


def test_the_command_line_names_a_folder_for_verbs_that_look_up_components(here):
    (here / "own.yaml").write_text(SUITE.replace("plugins: [./mine]\n", ""))
    assert "unknown dataset 'stripes'" in bench("plan", "own.yaml")[2]
    code, shown, said = bench("plan", "own.yaml", "--plugins", "mine", "--json")
    assert (code, json.loads(shown)["counts"]) == (0, {"missing": 4})
    assert (
        f"own uses the variant half_kl of mine/variants/half_kl.py (sha256 {sha256('variants/half_kl')[:12]})" in said
    )
    shown = bench("list", "variants", "--plugins", "mine")[1]
    assert f"half_kl              [plugin, sha256 {sha256('variants/half_kl')[:12]}] Half KL: a VAE" in shown
    assert "half_kl" not in bench("list", "variants")[1]


def sha256(name, folder=Path("mine")):
    return plugins.read_file(folder / f"{name}.py", name.partition("/")[0]).sha256


def test_no_plugins_refuses_before_anything_is_read(here):
    code, _, said = bench("plan", "own.yaml", "--no-plugins")
    assert code == 2
    assert said.startswith("own.yaml:2:10: plugins: --no-plugins refuses the code that this suite asks for: mine\n")
    assert said.count("own.yaml:") == 1
    assert bench("list", "--plugins", "mine", "--no-plugins")[0] == 2


def test_names_of_plugins_are_suggested_and_completed(here):
    (here / "own.yaml").write_text(SUITE.replace("[half_kl, vae]", "[half_k]"))
    assert "did you mean 'half_kl'?" in fault()
    (here / "own.yaml").write_text(SUITE)
    load("own.yaml")
    assert "half_kl" in json_schema()["$defs"]["variant"]["anyOf"][0]["enum"]


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("variants/vae", "class VAE:\n    pass\n", "variants/vae.py:1: 'vae' is a built-in variant; rename the file"),
        ("variants/half-kl", "", "the name of a component has letters, digits and _ only, a letter first"),
    ],
)
def test_a_file_that_cannot_be_a_plugin_is_one_error_of_the_suite(here, name, text, message):
    write(here / "mine", {name: text})
    assert f"plugins: mine/{message}" in fault() or message in fault()


def test_a_folder_that_is_none_says_what_it_should_hold(here):
    (here / "mine" / "variants").rename(here / "mine" / "variant")
    assert "sub-folders variants, nets, samplers, datasets, metrics; rename variant/ to variants/" in fault()
    assert "there is no such folder of plugins" in fault(overrides=["plugins=[./other]"])


def test_two_plugins_of_one_name_are_an_error_that_names_both(here):
    write(here / "other", {"variants/half_kl": "class HalfKL: ..."})
    said = fault(overrides=["plugins=[./mine, ./other]"])
    assert "other/variants/half_kl.py:1: the variant 'half_kl' is also defined by mine/variants/half_kl.py" in said


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("class Broken(:\n", "variants/broken.py:1:14: invalid syntax"),
        ("from .vae import VAE\nclass Broken(VAE): ...\n", "variants/broken.py:1: a plugin is one file and imports by"),
        ("class Broken: ...\n", "variants/broken.py: has no class that derives from Variant"),
    ],
)
def test_a_broken_file_costs_only_the_suites_that_ask_for_it(here, text, message):
    write(here / "mine", {"variants/broken": text})
    assert len(load("own.yaml").cells) == 4
    (here / "own.yaml").write_text(SUITE.replace("half_kl, vae", "broken"))
    assert f"own.yaml:3:40: grid.variants[0]: mine/{message}" in fault()
    assert "not readable" in bench("list", "variants", "--plugins", "mine")[1]


def test_an_import_that_fails_names_file_and_line(here):
    write(here / "mine", {"variants/half_kl": "import no_such_package\n" + dedent(FILES["variants/half_kl"])})
    suite = load("own.yaml")
    with pytest.raises(ComponentError, match=r"half_kl.py:1: cannot be imported \(ModuleNotFoundError: No module"):
        suite.cells[0].variant.load("variants")


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("def log_prior(self, z): ...", "with a log_prior of its own, the class needs closed_kl = False"),
        ("def draw_code(self, x, y, noise): ...", "with a draw_code of its own, the class needs closed_kl = False"),
        ("closed_kl = False; own_prior = True", "log_prior, draw_prior and own_prior = True together"),
        ("closed_kl, own_prior = False, True\n    def log_prior(self, z): ...", "log_prior, draw_prior and own_prior"),
        ("closed_kl = False\n    def log_prior(self, z): ...\n    def draw_prior(self, n, g): ...", "own_prior = True"),
    ],
)
def test_a_prior_that_bounds_and_samples_would_not_use_is_refused(here, body, message):
    text = f"from bench.models.variants.vae import VAE\n\n\nclass Mine(VAE):\n    {body}\n"
    write(here / "mine", {"variants/half_kl": text})
    with pytest.raises(ComponentError, match=rf"half_kl.py:4: cannot be imported \(TypeError: .*{message}"):
        load("own.yaml").cells[0].variant.load("variants")


def test_an_entry_point_is_found_without_importing_its_package(tmp_path, monkeypatch):
    package, info = tmp_path / "their_package", tmp_path / "their_package-1.0.dist-info"
    write(package, {"loss": FILES["variants/half_kl"], "__init__": "raise RuntimeError('imported')"})
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: their_package\nVersion: 1.0\n")
    lines = "[bench.variants]\ntheirs = their_package.loss\nvae = their_package.loss\ngone = their_package.nothing\n"
    (info / "entry_points.txt").write_text(lines)
    monkeypatch.syspath_prepend(tmp_path)
    plugins.from_entry_points.cache_clear()
    try:
        registry.reset()
        assert registry.describe("variants", "theirs").title == "Half-KL autoencoder"
        assert registry.describe("variants", "vae").sha256 is None  # a built-in one is not shadowed
        assert registry.load("variants", "theirs").__name__ == "HalfKL"
        assert "there is no module their_package.nothing" in plugins.from_entry_points()[1][0]
        assert "theirs" not in bench("list", "variants", "--no-plugins")[1]
    finally:
        plugins.from_entry_points.cache_clear()


# -- ids, runs and records


def test_the_file_is_in_the_id_and_its_place_is_not(here):
    before = load("own.yaml").cells
    shutil.move("mine", "moved")
    moved = load("own.yaml", overrides=["plugins=[moved]"]).cells
    assert [cell.id for cell in before] == [cell.id for cell in moved]
    text = dedent(FILES["variants/half_kl"])
    write(here / "moved", {"variants/half_kl": text + "# a comment\n"})
    changed = load("own.yaml", overrides=["plugins=[moved]"]).cells
    assert {a.variant.name for a, b in zip(before, changed, strict=True) if a.id != b.id} == {"half_kl"}


def test_a_changed_metric_is_computed_again_and_no_cell_gets_another_id(here):
    before = load("own.yaml")
    write(here / "mine", {"metrics/worst_pixel": dedent(FILES["metrics/worst_pixel"]) + "# a comment\n"})
    after = load("own.yaml")
    assert [cell.id for cell in before.cells] == [cell.id for cell in after.cells]
    assert before.digest != after.digest


def test_two_suites_of_one_process_have_each_its_own_file(here):
    write(here / "other" / "mine", {**FILES, "variants/half_kl": dedent(FILES["variants/half_kl"]) + "# another\n"})
    shutil.copy("own.yaml", "other/own.yaml")
    suites = load("own.yaml"), load("other/own.yaml")
    for suite in suites:
        assert {planned.state for planned in plan(suite, Store(here / "results"))} == {"missing"}
        [file] = [file for file in suite.plugins if file.name == "half_kl"]
        assert suite.cells[0].variant.sha256 == file.sha256
        assert suite.cells[0].variant.load("variants").__module__.startswith(f"bench_plugin_{file.sha256[:16]}")
    assert suites[0].cells[0].id != suites[1].cells[0].id


def test_a_text_with_another_sha256_is_refused(here):
    file = load("own.yaml").plugins[0]
    with pytest.raises(ComponentError, match="does not have the sha256"):
        registry.activate([replace(file, source=file.source + b"#")])


def test_a_run_records_what_it_used_and_needs_the_files_no_more(done):
    folder, suite = done
    records = Store(folder / "results").records("own")
    by_variant = {record.cell["variant"]: record for record in records}
    used = {f"{file.kind}/{file.name}": file.sha256 for file in suite.plugins}
    in_id = ("datasets/stripes", "nets/tiny_net", "variants/half_kl")
    assert by_variant["half_kl"].cell["plugins"] == {name: used[name] for name in in_id}
    assert by_variant["vae"].cell["plugins"].keys() == {"datasets/stripes", "nets/tiny_net"}
    entry = by_variant["vae"].metrics["worst_pixel"]
    assert entry["sha256"] == used["metrics/worst_pixel"]
    assert (entry["unit"], entry["better"]) == ("1", "lower")
    assert 0 < entry["value"] <= 1
    assert by_variant["half_kl"].about["variant"]["title"] == "Half-KL autoencoder"
    assert {Cell.from_record(record.cell).id for record in records} == {record.id for record in records}
    assert not verify(folder / "results", "own").faults
    assert set(load_results(folder / "results")["plugins"].dropna()) == {
        ", ".join(f"{name} {used[name][:12]}" for name in record.cell["plugins"]) for record in records
    }


def test_an_error_of_a_plugin_is_recorded_with_its_file_and_line(here):
    wrong = "        assert len(x) == 0, 'no'"
    text = dedent(FILES["variants/half_kl"]).replace("        return {", f"{wrong}\n        return {{")
    write(here / "mine", {"variants/half_kl": text})
    suite = load("own.yaml", ["grid.seeds=1"])
    run(suite, Settings(here / "results", here / "data", "cpu"), workers=1)
    found = {record.cell["variant"]: record for record in Store(here / "results").records("own")}
    line = text.splitlines().index(wrong)  # `write` drops the first, empty line
    assert found["half_kl"].reason == f"variants/half_kl.py:{line}: AssertionError: no"
    assert found["vae"].status == "done"  # no harm to the others
    broken = dedent(FILES["metrics/worst_pixel"]).replace("    return ", "    return 1 / 0 + ")
    write(here / "mine", {"metrics/worst_pixel": broken})
    again = load("own.yaml", only=["variant=vae"]).cells[0]
    task = Task("own", (again,), ("worst_pixel",), plugins=load("own.yaml").plugins, request=Request(force=True))
    [outcome] = run_task(task, Settings(here / "results", here / "data", "cpu"))
    assert outcome.words == "metrics/worst_pixel.py:6: metric worst_pixel: ZeroDivisionError: division by zero"


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("from bench.ev", "import no_such\nfrom bench.ev", r"pixel.py:\d: cannot be imported \(ModuleNotFoundError"),
        ("reconstructions", "reconstructoins", r"pixel.py: a metric has no input 'reconstructoins'; did you mean 'rec"),
    ],
)
def test_a_metric_that_cannot_run_is_told_before_anything_trains(here, old, new, message):
    text = dedent(FILES["metrics/worst_pixel"])
    write(here / "mine", {"metrics/worst_pixel": text.replace(old, new)})
    with pytest.raises(ComponentError, match=message):
        run(load("own.yaml"), Settings(here / "results", here / "data", "cpu"), workers=1)
    assert not Store(here / "results").suites()


def test_a_model_needs_the_file_it_was_trained_with(done, tmp_path):
    from bench.training.saved import load_model

    folder, _ = done
    record = next(r for r in Store(folder / "results").records("own") if r.cell["variant"] == "half_kl")
    with pytest.raises(UsageError, match=r"'half_kl' is a plugin of sha256 .*; there is no such plugin here"):
        load_model(record.id, folder / "results")
    plugins.session.files = plugins.from_folder(write(tmp_path / "mine"))
    registry.reset()
    assert load_model(record.id, folder / "results").weight == 0.5
    write(tmp_path / "mine", {"variants/half_kl": dedent(FILES["variants/half_kl"]) + "# changed\n"})
    plugins.session.files = plugins.from_folder(tmp_path / "mine")
    registry.reset()
    with pytest.raises(UsageError, match=r"sha256 \w+; the one here is \w+"):
        load_model(record.id, folder / "results")


# -- tables and site, where the files are not


def test_tables_and_site_mark_what_is_not_part_of_bench(done, tmp_path):
    from bench import report

    folder, suite = done
    first = {file.name: file.sha256[:12] for file in suite.plugins}
    text = report.table(folder / "results", "own", "text", "mse")
    row = next(line for line in text.splitlines() if line.startswith("½-VAE"))
    assert row.endswith("[a,b]")
    assert f"b: half_kl is defined outside of bench, sha256 {first['half_kl']}" in text
    known = ", ".join(f"{name} (sha256 {first[name]})" for name in ("half_kl", "stripes", "tiny_net"))
    assert f"Defined outside of bench: {known}." in " ".join(text.split())
    plugins.session.files = plugins.from_folder(write(tmp_path / "mine", {"variants/half_kl": "class Other: ..."}))
    registry.reset()
    assert report.table(folder / "results", "own", "text", "mse") == text  # whatever is active
    short = report.table(folder / "results", "own", "text", ["mse", "worst_pixel"], columns="metric")
    assert f"worst_pixel (sha256 {first['worst_pixel']})" in " ".join(short.split())
    assert "worst ↓" in short  # the metric's symbol, from the record
    page = report.build(folder / "results", tmp_path / "site").parent
    html = "".join(file.read_text(encoding="utf-8") for file in page.rglob("*.html"))
    assert f"half_kl is defined outside of bench, sha256 {first['half_kl']}" in html
    assert f"Defined outside of bench, sha256 {first['worst_pixel']}." in html
    assert "Half KL: a VAE whose KL has half its weight." in html
    assert "Largest absolute error of any pixel, averaged over test images." in html


# -- stubs and contracts


def results_of(path, data=Path()):
    """What `check` finds, in this process."""
    [file] = files_of(path)
    registry.activate([file])
    subject = Subject(registry.describe(file.kind, file.name), data)
    for contract in (is_imported, *import_module(f"bench.contracts.{file.kind}").CHECKS):
        outcome = outcome_of(contract, subject, file)
        yield Result(path.name, contract.__doc__.strip().splitlines()[0], **outcome)


@pytest.mark.parametrize("kind", [kind[:-1] for kind in plugins.KINDS])
def test_a_new_file_fulfils_its_contract(tmp_path, one_thread, kind):
    results = list(results_of(write_stub(kind, "my_own", tmp_path)))
    assert len(results) > 3
    assert all(result.ok for result in results), "\n".join(map(str, results))


def test_a_new_file_takes_no_name_that_is_there(tmp_path):
    assert bench("new", "metric", "my_own", "--in", tmp_path)[0] == 0
    for name, message in (
        ("my_own", "is there already"),
        ("mse", "is a built-in metric"),
        ("../up", "cannot be a name"),
    ):
        code, _, said = bench("new", "metric", name, "--in", tmp_path)
        assert (code, message in said) == (2, True), said
    assert [path.name for path in tmp_path.rglob("*.*")] == ["my_own.py"]


VAE_LIKE = """
from pathlib import Path
import torch
from bench.models.likelihoods import gaussian_kl, reparametrise
from bench.models.variants.vae import VAE

class Mine(VAE):
    def forward(self, x, y, noise):
        q = self.posterior(x)
        rec = self.likelihood.nll(self.decode(reparametrise(q.mean, q.log_var, noise)), x).mean()
        kl = gaussian_kl(q.mean, q.log_var).mean()
        WRONG
        return {"loss": rec + kl, "rec": rec, "kl": kl}
"""
METRIC = """
from bench.evaluation.metrics import metric

@metric(unit="1", better="BETTER", counts="images")
def mine(images, reconstructions):
    return VALUE
"""


BROKEN_SAMPLER = """
import numpy as np
from bench.models.samplers import Sampler

class Mine(Sampler):
    def fit(self, codes, seed):
        self.size = codes.shape[1]

    def sample(self, n, rng):
        return np.random.standard_normal((n, self.size))
"""
ERROR = "(images - reconstructions).abs().mean().item()"


def loss(wrong):
    return "variants/mine", VAE_LIKE.replace("WRONG", wrong)


def value(better, text):
    return "metrics/mine", METRIC.replace("BETTER", better).replace("VALUE", text)


@pytest.mark.parametrize(
    ("file", "message"),
    [
        (loss("return {'rec': rec}"), "mine.py:7: `forward` returns a mapping .*; but it returns a mapping of 'rec'"),
        (loss("kl = kl + torch.rand(())"), "mine.py:7: The same noise gives the same loss .*; but two calls with the"),
        (loss("rec = rec.detach()"), "mine.py:7: Every parameter gets a .*; but net.decoder.0.weight gets none"),
        (loss("rec = 0 * rec"), "mine.py:7: Eight images are learned by heart: .*; but their MSE is"),
        (value("higher", ERROR), "mine.py:4: Perfect reconstructions are not worse .*; but better is 'higher'"),
        (value("lower", "images[0].sum().item()"), "mine.py:4: The order of the test images does not .*; but"),
        (("samplers/mine", BROKEN_SAMPLER), "mine.py:8: The same codes, seed and .*; but two draws differ"),
        (("datasets/mine", dedent(FILES["datasets/stripes"]).replace("size = 8", "size = 9")),
         "mine.py:21: Train and test images are uint8 .*; but they are 8×8, size = 9 is declared"),
    ],
)  # fmt: skip
def test_a_broken_contract_is_one_sentence_with_its_line(tmp_path, one_thread, file, message):
    name, text = file
    write(tmp_path, {name: text})
    said = next(str(result) for result in results_of(tmp_path / f"{name}.py") if result.ok is False)
    assert re.search(message, said), said
    assert "\n" not in said


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("variants/mine", "class Mine(:\n", "mine.py:1: The file can be read .*; but invalid syntax"),
        ("variants/vae", "class VAE: ...\n", "vae.py:1: The file can be read .*; but 'vae' is a built-in variant"),
        (
            "variants/mine",
            "import no_such_package\n" + VAE_LIKE,
            "mine.py:1: The file can be imported; but .*No module",
        ),
        (
            *loss("while True: pass"),
            r"mine.py:11: `forward` returns a .*; but it did not end within 4 s \(in forward\)",
        ),
        (
            *loss("Path('left_behind').write_text('x')"),
            r"mine.py:11: .*; but the plugin writes to disk \(left_behind\)",
        ),
    ],
)
def test_a_hostile_file_is_checked_in_a_process_of_its_own(tmp_path, name, text, message):
    write(tmp_path, {name: text})
    [file] = files_of(tmp_path / f"{name}.py")
    broken = [str(result) for result in check(file, tmp_path / "data", {}, seconds=4) if result.ok is False]
    assert len(broken) == 1, broken
    assert re.search(message, broken[0]), broken
    assert not any("\n" in said for said in broken)
    assert not list(tmp_path.rglob("left_behind"))


def test_the_verb_checks_a_folder_and_says_where_a_file_must_lie(here):
    (
        shutil.rmtree("mine/variants"),
        shutil.rmtree("mine/datasets"),
        shutil.rmtree("mine/nets"),
        shutil.rmtree("mine/metrics"),
    )
    code, shown, _ = bench("check", "mine")
    assert (code, shown.splitlines()[:2]) == (0, ["sampler ring:", "  ok      The file can be imported."])
    (here / "loose.py").write_text("")
    assert "a plugin lies in a folder variants/, nets/" in bench("check", "loose.py")[2]
    assert "gone.py: there is no such file or folder" in bench("check", "gone.py")[2]
