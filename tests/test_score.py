"""Models that were trained elsewhere: measured as every cell is, recorded, marked, and refused with one message."""

import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from bench.report import build, table
from click.testing import CliRunner
from PIL import Image
from torch import nn

import bench
from bench import plugins, registry
from bench.__main__ import cli
from bench.datasets._splits import to_float
from bench.errors import BenchError, UsageError
from bench.evaluation import feature_extractors
from bench.models.seeding import generator
from bench.results.store import Store
from bench.results.verify import verify
from bench.runs.score import ScoreRequest, read_output, score
from bench.runs.task import Settings

SMALL = ("evaluate.n_samples=40", "evaluate.iw_samples=3", "evaluate.iw_images=10", "evaluate.embed.methods=[]")
SOURCE = """
import torch
from torch import nn

class VAE(nn.Module):
    def __init__(self):
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(SEED)
            self.encoder, self.decoder = nn.Linear(64, 6), nn.Linear(3, 64)
        self.drop = nn.Dropout(0.5)  # off in evaluation mode

    def posterior(self, x):
        return self.encoder(self.drop(x.flatten(1))).chunk(2, 1)

    def decode(self, z):
        return self.decoder(z).sigmoid().view(-1, 1, 8, 8)

def load():
    return VAE()
"""


def write(folder, source=SOURCE, seed=0, name="model.py"):
    path = folder / name
    path.write_text(source.replace("SEED", str(seed)), encoding="utf-8")
    return f"{path}:load"


def measure(folder, **changes):
    parts = {"dataset": "digits", "label": "mine", "metrics": ("mse", "elbo"), "likelihood": "bernoulli",
             "overrides": SMALL}  # fmt: skip
    return score(ScoreRequest(**(parts | changes)), Settings(folder / "results", folder / "data", "cpu"))


@pytest.fixture
def here(tmp_path, monkeypatch):
    """An empty folder. The classifier of digits, where a test needs it, is trained for 4 epochs only."""
    monkeypatch.setattr(feature_extractors, "STEPS", 1)
    yield tmp_path
    plugins.session.files = ()
    registry.reset()
    for name in [name for name in sys.modules if name.startswith("bench_plugin_")]:
        del sys.modules[name]


@pytest.fixture(scope="module")
def scored(tmp_path_factory):
    """One model with two seeds and all metrics but those that need a classifier."""
    folder = tmp_path_factory.mktemp("scored")
    names = (
        "mse",
        "elbo",
        "iw_bound",
        "knn_accuracy",
        "jacobian_norm",
        "silhouette",
        "corruption_mse",
        "identity_error",
    )
    records = [measure(folder, model=write(folder, seed=seed), seed=seed, metrics=names) for seed in (0, 1)]
    return folder, records


def test_numbers_of_a_plain_module_are_those_of_its_own_arithmetic(scored, digits):
    _, (record, _) = scored
    torch.manual_seed(0)
    encoder, decoder = nn.Linear(64, 6), nn.Linear(3, 64)
    x = to_float(digits.test.images).flatten(1)
    with torch.no_grad():
        mean, log_var = encoder(x).chunk(2, 1)
        mse = F.mse_loss(decoder(mean).sigmoid(), x).item()
        z = mean + (log_var / 2).exp() * torch.randn(mean.shape, generator=generator(0, "elbo"))
        cross_entropy = F.binary_cross_entropy(decoder(z).sigmoid(), x, reduction="none").sum(1)
        kl = -0.5 * (1 + log_var - mean**2 - log_var.exp()).sum(1)
    assert record.value("mse") == pytest.approx(mse, rel=1e-5)
    assert record.value("elbo") == pytest.approx(-(cross_entropy + kl).mean().item(), rel=1e-5)
    assert record.value("iw_bound") >= record.metrics["iw_bound"]["elbo_same_images"]
    assert record.metrics["identity_error"]["reason"] == "the model is not linear"
    assert 0 < record.value("knn_accuracy") < 1
    assert record.value("jacobian_norm") == pytest.approx(encoder.weight[:3].square().sum().item(), rel=1e-4)


def test_the_record_is_external_and_its_id_is_checked(scored):
    folder, (first, second) = scored
    content = json.loads((folder / "results/external" / first.id / "record.json").read_text())
    assert content["external"] is True
    assert content["cell"]["external"].keys() == {"source", "function", "outputs"}
    assert all(len(content["cell"]["external"][name]) == 64 for name in ("source", "outputs"))
    assert str(folder) not in json.dumps(content)
    assert first.id != second.id
    assert first.cell["latent_size"] == 3
    assert not verify(folder / "results", "external").faults
    assert {"reconstructions", "interpolations"} <= {path.stem for path in Store(folder / "results").record(
        "external", first.id).pictures()}  # fmt: skip


def test_an_edited_record_is_found(scored, tmp_path):
    folder, (first, _) = scored
    path = tmp_path / "external" / first.id / "record.json"
    path.parent.mkdir(parents=True)
    content = json.loads((folder / "results/external" / first.id / "record.json").read_text())
    content["cell"]["external"]["outputs"] = "0" * 64
    path.write_text(json.dumps(content))
    (tmp_path / "external/suite.json").write_text((folder / "results/external/suite.json").read_text())
    assert [fault.check for fault in verify(tmp_path, "external").faults if fault.check == "ids"]


def test_tables_mark_the_rows_and_can_leave_them_out(scored, tmp_path):
    folder, _ = scored
    text = table(folder / "results", "external", metrics="mse")
    assert "mine †" in text
    assert "† trained elsewhere" in " ".join(text.split())
    assert "Training: " not in text  # of these models nobody knows the epochs
    assert "training epochs" not in table(folder / "results", "external", metrics="mse,knn_accuracy", columns="metric")
    assert "(n = 1)" not in text  # two seeds of one method make one row
    assert r"mine \dag{}" in table(folder / "results", "external", "latex", metrics="mse")
    assert "mine †" in table(folder / "results", "external", metrics="mse", only=["label=mine"])
    with pytest.raises(UsageError, match="trained elsewhere"):
        table(folder / "results", "external", metrics="mse", external=False)
    pages = build(folder / "results", tmp_path / "site").parent
    assert "mine †" in (pages / "suites/external/index.html").read_text()
    assert "† trained elsewhere" in (pages / "index.html").read_text()
    [cell, *_] = sorted((pages / "suites/external").glob("*/index.html"))
    assert "Trained elsewhere" in cell.read_text()
    assert "bench run" not in cell.read_text()


def test_it_stands_in_a_suite_that_was_run_and_stays_there(here):
    """By the protocol of the suite; a later run of the suite keeps the row."""
    from bench.runs.runner import run
    from bench.suite import load

    (here / "tiny.yaml").write_text(
        "title: Tiny\ngrid: {datasets: [digits], variants: [pca], latent_sizes: [2], seeds: 1}\n"
        "evaluate: {n_samples: 50, embed: {methods: []}}\nmetrics: [mse, silhouette]\n"
    )
    suite, settings = load(here / "tiny.yaml"), Settings(here / "results", here / "data", "cpu")
    run(suite, settings, workers=1)
    record = measure(here, model=write(here), suite="tiny", metrics=(), overrides=())
    assert record.metrics.keys() == {"mse", "silhouette_latent"}
    assert record.cell["evaluate"]["n_samples"] == 50
    run(suite, settings, workers=1)
    assert "mine †" in table(here / "results", "tiny", metrics="mse")
    assert "mine" not in table(here / "results", "tiny", metrics="mse", external=False)
    assert record.id in (here / "results/tiny/results.csv").read_text()


def test_the_same_again_keeps_other_metrics_and_another_model_must_be_told_apart(here):
    first = measure(here, model=write(here), metrics=("mse",))
    again = measure(here, model=write(here), metrics=("elbo",))
    assert again.id == first.id
    assert again.metrics.keys() == {"mse", "elbo"}
    with pytest.raises(UsageError, match="--label"):
        measure(here, model=write(here, seed=1))
    other = measure(here, model=write(here, seed=1), force=True)
    assert [record.id for record in Store(here / "results").records("external")] == [other.id]


def test_outputs_are_measured_and_what_is_missing_is_named(here, digits):
    test, train = digits.test.images, digits.train.images
    np.savez(here / "out.npz", reconstructions=test[:, 0].numpy(), other=np.zeros(3))  # N H W, uint8: the images
    np.save(here / "codes.npy", test.flatten(1).numpy().astype(np.float64))
    np.save(here / "train.npy", train.flatten(1).numpy().astype(np.float64))
    np.save(here / "samples.npy", train[:60].permute(0, 2, 3, 1).numpy())  # N H W C
    outputs = {"reconstructions": here / "out.npz", "codes": here / "codes.npy", "train_codes": here / "train.npy",
               "samples": here / "samples.npy"}  # fmt: skip
    names = ("mse", "knn_accuracy", "fcd", "elbo", "train_mse", "jacobian_norm", "label_agreement", "corrupted_mse")
    record = measure(here, outputs=outputs, metrics=names)
    assert record.value("mse") == 0
    assert record.value("knn_accuracy") > 0.95
    assert record.metrics["fcd_prior"]["n"] == 40
    assert record.cell["latent_size"] == 64
    reasons = {name: entry["reason"] for name, entry in record.metrics.items() if entry["value"] is None}
    assert reasons["elbo"] == "no posterior was given"
    assert reasons["train_mse"] == "no reconstructions of train images were given"
    assert reasons["jacobian_norm"] == "no encoder was given"
    assert reasons["corrupted_mse_square_40"] == "no model was given that could reconstruct corrupted images"
    pictures = {path.stem for path in Store(here / "results").record("external", record.id).pictures()}
    assert {"reconstructions", "samples_prior"} <= pictures
    alone = measure(here, label="samples only", outputs={"samples": here / "samples.npy"}, metrics=("mse", "fcd"))
    assert alone.metrics["mse"]["reason"] == "no reconstructions were given"
    assert alone.value("fcd_prior") == record.value("fcd_prior")
    assert "label_agreement" not in alone.metrics


def test_a_folder_of_images_is_read_in_the_order_of_its_numbers(tmp_path):
    for number in (0, 2, 10):
        Image.fromarray(np.full((4, 6), number, np.uint8)).save(tmp_path / f"image_{number}.png")
    found = read_output(tmp_path, "samples")
    assert found.shape == (3, 4, 6)
    assert found[:, 0, 0].tolist() == [0, 2, 10]
    Image.fromarray(np.zeros((4, 5), np.uint8)).save(tmp_path / "image_3.png")
    with pytest.raises(BenchError, match="differ in size"):
        read_output(tmp_path, "samples")


def test_own_samples_stand_in_place_of_those_of_the_prior(here, digits):
    source = SOURCE + (
        "\nVAE.sample = lambda self, n: torch.rand(n, 64).view(n, 8, 8, 1).numpy()\n"  # an array, N H W C
    )
    model = write(here, source)
    first, again = (measure(here, model=model, metrics=("fcd",), force=True) for _ in range(2))
    assert first.value("fcd_prior") == again.value("fcd_prior")
    assert first.value("fcd_prior") != measure(here, model=write(here), metrics=("fcd",), label="b").value("fcd_prior")


def test_a_deterministic_model_with_codes_of_several_axes(here, digits):
    source = """
class Halves:
    def encode(self, x):
        return x.numpy().reshape(len(x), 2, 32)
    def generate(self, z):
        assert z.shape[1:] == (2, 32)
        return z.reshape(len(z), 1, 8, 8)
def load():
    return Halves()
"""
    record = measure(here, model=write(here, source), metrics=("mse", "elbo", "jacobian_norm"), likelihood=None)
    assert record.value("mse") == 0
    assert record.cell["latent_size"] == 64
    assert record.metrics["elbo"]["reason"] == "a deterministic code has no posterior"
    assert "cannot be differentiated" in record.metrics["jacobian_norm"]["reason"]


def test_without_a_likelihood_bounds_have_no_value(here):
    record = measure(here, model=write(here), likelihood=None)
    assert record.value("mse") > 0
    assert "--likelihood" in record.metrics["elbo"]["reason"]
    sharp = measure(here, model=write(here), likelihood="{name: gaussian, sigma: 0.5}", label="b")
    assert sharp.metrics["elbo"]["key"]["likelihood"] == "gaussian sigma=0.5"


def replaced(old, new):
    assert old in SOURCE
    return SOURCE.replace(old, new)


WRONG = {
    "class Nothing:\n    pass\ndef load():\n    return Nothing()": "a Nothing without encode(x) or posterior(x)",
    replaced("def decode", "def other"): "without decode(z) or generate(z)",
    replaced(".sigmoid()", ".mul(200)"): "must be from 0 to 1",
    replaced("view(-1, 1, 8, 8)", "view(-1, 1, 4, 16)"): "must be (359, 1, 8, 8)",
    replaced(".chunk(2, 1)", ""): "must be (mean, log_var)",
    replaced("self.encoder(self", "self.encoder(torch.randn(()) + self"): "gives other codes for the same images",
    replaced("self.encoder(self", "self.encoder(float('nan') * self"): "not finite",
    replaced("nn.Linear(64, 6)", "nn.Linear(60, 6)"): "raised RuntimeError",
    "import torch\n\ndef load():\n    return 1 / 0": "model.py:5: ZeroDivisionError",
    "def load(:\n": "model.py:2: SyntaxError",
    "import no_such_package\n": "ModuleNotFoundError",
    "x = 1\n": "has no function load",
}


@pytest.mark.parametrize("source", WRONG, ids=list(WRONG.values()))
def test_a_model_that_does_not_fit_costs_one_message(here, source):
    if not source.startswith("\n"):
        source = "\n" + source
    with pytest.raises(UsageError) as caught:
        measure(here, model=write(here, source))
    assert WRONG[source if source in WRONG else source[1:]] in str(caught.value)
    assert not list((here / "results").glob("external/*/record.json"))


@pytest.mark.parametrize(("arguments", "message"), [
    ([], "nothing to measure"),
    (["--model", "model.py"], "write it as FILE.py:FUNCTION"),
    (["--model", "none.py:load"], "there is no file none.py"),
    (["--codes", "small.npy"], "must be (359, D)"),
    (["--reconstructions", "small.npy"], "must be (359, 1, 8, 8)"),
    (["--samples", "small.npy"], "--set evaluate.n_samples=5"),
    (["--codes", "text.npy"], "cannot be read"),
    (["--codes", "small.npy", "--dataset", "digit"], "did you mean 'digits'"),
    (["--codes", "small.npy", "--metrics", "mze"], "did you mean 'mse'"),
    (["--codes", "small.npy", "--likelihood", "learned_gaussian"], "known: bernoulli, gaussian"),
    (["--codes", "small.npy", "--set", "train.epochs=2"], "only the protocol can be set"),
    (["--codes", "small.npy", "--set", "evaluate.knn=2"], "knn_k"),
    (["--codes", "small.npy", "--suite", "../up"], "cannot be the name of a suite"),
])  # fmt: skip
def test_a_wrong_command_is_one_message_with_exit_code_2(here, monkeypatch, arguments, message):
    monkeypatch.chdir(here)
    np.save("small.npy", np.zeros((5, 3)))
    Path("text.npy").write_text("no array")
    given = ["score", "--label", "mine", *([] if "--dataset" in arguments else ["--dataset", "digits"]), *arguments]
    with pytest.raises(BenchError) as caught:
        CliRunner().invoke(cli, given, catch_exceptions=False, standalone_mode=False)
    assert caught.value.exit_code == 2
    assert message in str(caught.value)


def test_the_verb_says_what_it_runs(here):
    options = ["--dataset", "digits", "--label", "mine", "--metrics", "mse", "--results", str(here / "results")]
    found = CliRunner().invoke(cli, ["score", "--model", write(here), *options, "--set", "evaluate.embed.methods=[]"])
    assert found.exit_code == 0, found.output
    assert f"running load() of {here / 'model.py'}" in found.output
    assert "mse " in found.output


def test_a_trained_model_of_this_package_has_its_own_numbers_when_it_is_scored(here):
    """Every metric to the last bit, but the bounds: their likelihood is of means here and of logits there."""
    suite = {
        "title": "Own",
        "grid": {"datasets": ["digits"], "variants": ["vae"], "latent_sizes": [2], "seeds": [3]},
        "train": {"epochs": 1},
        "evaluate": {"samplers": ["prior", "gmm"], "n_samples": 100, "iw_samples": 3, "iw_images": 10,
                     "embed": {"methods": []}},
    }  # fmt: skip
    settings = {"results": here / "results", "data": here / "data", "device": "cpu", "progress": False}
    [row] = bench.run(suite, name="own", **settings).to_dict("records")
    source = f"""
import bench

class Wrapped:
    def __init__(self, model):
        self.model = model
    def posterior(self, x):
        return self.model.posterior(x)
    def generate(self, z):
        return self.model.generate(z)

def load():
    return Wrapped(bench.load_model({row["id"]!r}, {str(here / "results")!r}))
"""
    record = measure(here, model=write(here, source), suite="own", seed=3, metrics=(), overrides=())
    own = Store(here / "results").record("own", row["id"]).metrics
    assert record.metrics.keys() == own.keys()
    bounds = ("elbo", "iw_bound")
    for name, entry in own.items():
        if name in bounds:
            assert record.value(name) == pytest.approx(entry["value"], rel=1e-5)
        else:
            assert record.value(name) == entry["value"], name
    assert sum(entry["value"] is not None for entry in own.values()) > 25


def test_a_suite_that_is_not_there_is_said_before_the_measurement(here):
    told = []
    request = ScoreRequest("digits", "mine", write(here), metrics=("mse",), overrides=SMALL)
    settings = Settings(here / "results", here / "data", "cpu")
    for suite in ("own", "own", "external", "onw"):
        score(replace(request, suite=suite), settings, told.append)
    new = [text for text in told if "made anew" in text]
    assert [text.split("'")[1] for text in new] == ["own", "onw"]
    assert "did you mean 'own'?" in new[1]


def test_a_metric_and_a_dataset_of_plugins_can_be_used(here):
    """The sha256 of the dataset's file is in the id."""
    (here / "mine/metrics").mkdir(parents=True)
    (here / "mine/datasets").mkdir()
    (here / "mine/datasets/nines.py").write_text(
        '"""Digits again."""\nfrom bench.datasets.digits import Digits\n\n\nclass Nines(Digits):\n    title = "Nines"\n'
    )
    (here / "mine/metrics/mae.py").write_text(
        '"""Mean absolute error."""\nfrom bench.evaluation.metrics import metric\n\n\n'
        '@metric(title="Mean absolute error", symbol="MAE", unit="error per pixel", better="lower", '
        'counts="images", reference="nobody")\n'
        "def mae(reconstructions, images) -> float:\n    return (reconstructions - images).abs().mean().item()\n"
    )
    options = ["--plugins", str(here / "mine"), "--metrics", "mae", "--set", "evaluate.embed.methods=[]",
               "--label", "mine", "--results", str(here / "results"), "--json"]  # fmt: skip
    for dataset in ("digits", "nines"):
        command = ["score", "--model", write(here), "--dataset", dataset, *options]
        found = CliRunner().invoke(cli, command, catch_exceptions=False, standalone_mode=False)
        assert json.loads(found.stdout)["metrics"]["mae"]["value"] > 0
    assert not verify(here / "results", "external").faults


def test_a_vae_of_pythae_has_the_numbers_of_its_own_forward_pass(here, digits, monkeypatch):
    """Within a relative 1e-5: both sum the same float32 terms, in another order."""
    pythae = pytest.importorskip("pythae.models", reason="pythae is not installed: pip install pythae")
    from pythae.trainers import BaseTrainer, BaseTrainerConfig

    train, test = (to_float(split.images) for split in (digits.train, digits.test))
    for loss, likelihood in (("bce", "bernoulli"), ("mse", "gaussian")):
        torch.manual_seed(0)
        config = pythae.VAEConfig(input_dim=(1, 8, 8), latent_dim=4, reconstruction_loss=loss)
        budget = BaseTrainerConfig(output_dir=str(here / loss), num_epochs=1, per_device_train_batch_size=500,
                                   no_cuda=True)  # fmt: skip
        model = pythae.VAE(config)
        BaseTrainer(model, _pythae_dataset(train), None, budget).train()
        model.eval()
        monkeypatch.setitem(KEPT, "model", model)
        source = f"import sys\nsys.path.insert(0, {str(Path(__file__).parent)!r})\n" + PYTHAE
        record = measure(here, model=write(here, source, name=f"{loss}.py"), likelihood=likelihood, label=loss)
        noise = torch.randn((len(test), 4), generator=generator(0, "elbo"))
        with torch.no_grad():
            monkeypatch.setattr(model, "_sample_gauss", lambda mean, std, noise=noise: (mean + std * noise, noise))
            drawn = model({"data": test})
            monkeypatch.setattr(model, "_sample_gauss", lambda mean, std: (mean, torch.zeros_like(mean)))
            mse = F.mse_loss(model({"data": test}).recon_x, test).item()
        constant = 0.0 if loss == "bce" else 32 * np.log(2 * np.pi)  # pythae leaves out 64/2 log 2π
        assert record.value("mse") == pytest.approx(mse, rel=1e-5)
        assert record.value("elbo") == pytest.approx(-(drawn.recon_loss + drawn.reg_loss).item() - constant, rel=1e-5)


KEPT = {}  #: the model that the file of the next test's model gives back
PYTHAE = """
from test_score import KEPT

class Wrapped:
    def __init__(self, model):
        self.model = model
    def posterior(self, x):
        found = self.model.encoder(x)
        return found.embedding, found.log_covariance
    def decode(self, z):
        return self.model.decoder(z).reconstruction

def load():
    return Wrapped(KEPT["model"])
"""


def _pythae_dataset(images):
    from pythae.data.datasets import BaseDataset

    return BaseDataset(images, torch.zeros(len(images)))
