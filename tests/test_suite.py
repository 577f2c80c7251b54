"""Suites: what a file means, which cells it makes, what their ids depend on, how every mistake is told.

Most tests use a small registry of their own, so that they do not depend on which components there are.
"""
# ruff: noqa: E501  (suites and messages are quoted as they are)

import json
import subprocess
import sys
from pathlib import Path
from textwrap import dedent

import jsonschema
import pytest
from ruamel.yaml import YAML

from bench import registry
from bench.errors import SuiteError, UsageError, printable
from bench.suite import Cell, Choice, Evaluate, Train, document, load
from bench.suite import cells as suite_cells
from bench.suite.files import locate
from bench.suite.issues import Issues
from bench.suite.json_schema import FILE, json_schema
from bench.suite.listing import listing

ROOT = Path(__file__).parents[1]
SUITE_FILES = {p.stem: p for p in sorted((ROOT / "suites").rglob("*.yaml"))}
SUITES = sorted(SUITE_FILES)

VARIANT_BASE = """
class Variant:
    version: int = 1
    uses_net: bool = True
    needs_labels: bool = False
    latent_at_most_pixels: bool = False
    default_likelihood: str = "bernoulli"
"""
DATASET_BASE = """
class Dataset:
    version: int = 1
    channels: "int | None" = None
    size: "int | None" = None
    labelled: bool = True
"""
COMPONENTS = {
    "models/variants/__init__": VARIANT_BASE,
    "models/variants/ae": "class AE(Variant):\n    'Autoencoder.'",
    "models/variants/vae": "class VAE(Variant):\n    'Variational.'",
    "models/variants/beta_vae": '''
        from .vae import VAE
        class BetaVAE(VAE):
            "Weighted."
            scalars = ("beta",)
            def __init__(self, net, likelihood, *, beta: float = 4.0, mode: Literal["sum", "mean"] = "sum") -> None: ...
    ''',
    "models/variants/pca": "class PCA(Variant):\n    'Linear.'\n    uses_net = False\n    latent_at_most_pixels = True",
    "models/variants/cvae": "class CVAE(Variant):\n    'Labelled.'\n    needs_labels = True\n    default_likelihood = 'gaussian'",
    "models/nets/__init__": "class Net:\n    version: int = 1\n    min_size: int = 1\n    max_size: int = 512",
    "models/nets/mlp": '''
        class MLP(Net):
            "Dense."
            def __init__(self, shape, *, hidden: tuple[int, ...] = (512,), dropout: float | None = None) -> None: ...
    ''',
    "models/nets/conv": '''
        class Conv(Net):
            "Convolutional."
            min_size = 8
            max_size = 96
            def __init__(self, shape, *, channels: int = 32) -> None: ...
    ''',
    "models/nets/timm": '''
        class Timm(Net):
            "A timm encoder."
            def __init__(self, shape, *, model: str, channels: int = 32) -> None: ...
    ''',
    "datasets/__init__": DATASET_BASE,
    "datasets/tiny": "class Tiny(Dataset):\n    'Tiny.'\n    size = 4\n    channels = 1",
    "datasets/digits": "class Digits(Dataset):\n    'Digits.'\n    size = 8\n    channels = 1",
    "datasets/faces": "class Faces(Dataset):\n    'Faces.'\n    size = 64\n    channels = 3\n    labelled = False",
    "datasets/folder": '''
        class Folder(Dataset):
            "Yours."
            def __init__(self, *, path: str, size: int = 28, channels: int = 1) -> None: ...
    ''',
    "models/samplers/__init__": "class Sampler:\n    version: int = 1",
    "models/samplers/prior": "class Prior(Sampler):\n    'Prior.'",
    "models/samplers/gmm": "class GMM(Sampler):\n    'Mixture.'",
    "evaluation/metrics/mse": "@metric(unit='1', better='lower', counts='images')\ndef mse(): 'MSE.'",
    "evaluation/metrics/elbo": "@metric(unit='nats', better='higher', counts='nll')\ndef elbo(): 'ELBO.'",
    "evaluation/metrics/fcd": "@metric(unit='1', better='lower', counts='samples', per='sampler')\ndef fcd(): 'FCD.'",
    "evaluation/metrics/silhouette": "@metric(unit='1', better='higher', counts='points', per='space')\ndef silhouette(): 'S.'",
    "models/likelihoods": '''
        class Likelihood:
            is_density = True
        class Bernoulli(Likelihood):
            "Binary."
        class Gaussian(Likelihood):
            "Normal."
            def __init__(self, *, sigma: float = 1.0) -> None: ...
    ''',
}  # fmt: skip

GOOD = """\
title: A test
grid:
  datasets: [tiny]
  variants: [ae, vae]
  latent_sizes: [2]
  seeds: 2
"""


def forget():
    for value in vars(registry).values():
        if hasattr(value, "cache_clear"):
            value.cache_clear()


@pytest.fixture
def components(tmp_path):
    """A registry of tiny component files, in a folder that is also the working directory."""
    for name, source in COMPONENTS.items():
        file = tmp_path / "bench" / f"{name}.py"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(dedent(source))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(registry, "ROOT", tmp_path / "bench")
        patch.chdir(tmp_path)
        forget()
        yield tmp_path / "bench"
    forget()


@pytest.fixture
def read(components):
    """Write a suite file and load it."""

    def read(text=GOOD, *args, name="x.yaml", **keywords):
        Path(name).write_text(text)
        return load(name, *args, **keywords)

    return read


def grid(**axes):
    """A suite of one block in flow style: `GOOD` with some axes put in the place of its own."""
    own = {"datasets": "[tiny]", "variants": "[ae]", "latent_sizes": "[2]", "seeds": "1"}
    return "title: A test\ngrid:\n" + "".join(f"  {key}: {value}\n" for key, value in (own | axes).items())


def faults(read, text, *args):
    """The first line of every fault of a suite."""
    with pytest.raises(SuiteError) as error:
        read(text, *args)
    return [fault.split("\n")[0] for fault in error.value.faults]


# What a file means


def test_the_grid_is_the_product_of_its_axes_with_seeds_innermost(read):
    cells = read(grid(variants="[ae, vae]", nets="[mlp, conv]", latent_sizes="[2, 4]", seeds="[0, 7]")).cells
    assert len(cells) == 16
    assert [(c.label, c.net.name, c.latent_size, c.seed) for c in cells[:5]] == [
        ("ae", "mlp", 2, 0),
        ("ae", "mlp", 2, 7),
        ("ae", "mlp", 4, 0),
        ("ae", "mlp", 4, 7),
        ("ae", "conv", 2, 0),
    ]


def test_options_are_filled_in_with_the_component_s_defaults(read):
    (cell,) = read(grid(variants="[beta_vae]", nets="[conv]", datasets="[digits]")).cells
    assert cell.variant == Choice("beta_vae", {"beta": 4.0, "mode": "sum"})
    assert cell.net == Choice("conv", {"channels": 32})
    assert cell.likelihood == Choice("bernoulli", {})


def test_a_variant_s_entry_may_pin_net_likelihood_and_label(read):
    entry = "{name: beta_vae, beta: 2, net: {name: conv, channels: 8}, likelihood: {name: gaussian, sigma: 0.5}, label: Ours}"
    ours, plain = read(grid(datasets="[digits]", variants=f"[{entry}, ae]", nets="[mlp]")).cells
    assert (ours.label, ours.net_label, ours.likelihood) == (
        "Ours",
        "conv (channels=8)",
        Choice("gaussian", {"sigma": 0.5}),
    )
    assert (plain.label, plain.net_label, plain.likelihood.name) == ("ae", "mlp", "bernoulli")


def test_the_likelihood_is_the_entry_s_then_the_block_s_then_the_variant_s(read):
    names = lambda text: [c.likelihood.name for c in read(text).cells]  # noqa: E731
    assert names(grid(variants="[ae, cvae]")) == ["bernoulli", "gaussian"]
    both = grid(variants="[{name: ae, likelihood: gaussian}, cvae]", likelihood="bernoulli")
    assert names(both) == ["gaussian", "bernoulli"]


def test_the_label_names_the_options_that_differ_from_their_defaults(read):
    variants = "[beta_vae, {name: beta_vae, beta: 2}, {name: beta_vae, beta: 0.5, mode: mean}]"
    labels = [cell.label for cell in read(grid(variants=variants)).cells]
    assert labels == ["beta_vae", "beta_vae (beta=2)", "beta_vae (beta=0.5, mode=mean)"]


def test_a_timm_model_is_written_as_a_name(read):
    plain, wide = read(grid(nets="[timm/resnet18, {name: timm/resnet18, channels: 64}]")).cells
    assert plain.net == Choice("timm", {"model": "resnet18", "channels": 32})
    assert (plain.net_label, wide.net_label) == ("timm/resnet18", "timm/resnet18 (channels=64)")
    assert plain.id == read(grid(nets="[{name: timm, model: resnet18}]")).cells[0].id


def test_a_variant_without_a_net_is_not_multiplied_by_the_nets(read):
    cells = read(grid(variants="[ae, pca]", nets="[mlp, conv]", datasets="[digits]")).cells
    assert [(c.label, c.net_label) for c in cells] == [("ae", "mlp"), ("ae", "conv"), ("pca", None)]


def test_blocks_are_united_and_the_same_cell_stands_once(read):
    block = "{datasets: [tiny], variants: [%s], latent_sizes: [2], seeds: 2}"
    cells = read(f"title: A\ngrid:\n  - {block % 'ae, vae'}\n  - {block % 'vae, cvae'}\n").cells
    assert [(c.label, c.seed) for c in cells] == [
        ("ae", 0),
        ("ae", 1),
        ("vae", 0),
        ("vae", 1),
        ("cvae", 0),
        ("cvae", 1),
    ]


def test_exclude_drops_the_cells_that_have_all_its_values(read):
    exclude = "[{variant: vae, latent_size: [4, 8]}, {net: conv, seed: 1}]"
    axes = {"variants": "[ae, vae]", "nets": "[mlp, conv]", "latent_sizes": "[2, 4, 8]", "seeds": "2"}
    cells = read(grid(datasets="[digits]", **axes, exclude=exclude)).cells
    assert len(cells) == 24 - 8 - 3 - 1
    assert not [c for c in cells if c.label == "vae" and c.latent_size > 2]
    assert not [c for c in cells if c.net_label == "conv" and c.seed == 1]


@pytest.mark.parametrize(
    ("axes", "reason"),
    [
        ({"datasets": "[faces]", "variants": "[cvae]"}, "cvae needs labels, and faces has none"),
        (
            {"variants": "[pca]", "latent_sizes": "[17]"},
            "pca has at most as many latent dimensions as pixels: 17 > 16",
        ),
        ({"nets": "[conv]"}, "conv takes images of 8 to 96 pixels, tiny has 4"),
        (
            {"datasets": "[{name: folder, path: a, size: 128}]", "nets": "[conv]"},
            "conv takes images of 8 to 96 pixels, folder has 128",
        ),
        ({"variants": "[pca]", "latent_sizes": "[16]"}, None),
        ({"datasets": "[faces]", "nets": "[conv]"}, None),
    ],
)
def test_what_makes_no_sense_is_skipped_with_a_reason(read, axes, reason):
    (cell,) = read(grid(**axes)).cells
    assert cell.skip == reason


def test_a_suite_without_metrics_asks_for_all_and_names_every_value(read):
    suite = read(GOOD + "evaluate: {samplers: [prior, gmm], embed: {methods: [tsne]}}\n")
    assert suite.metrics == ("elbo", "fcd", "mse", "silhouette")
    assert suite.columns == ("elbo", "fcd_prior", "fcd_gmm", "mse", "silhouette_latent", "silhouette_tsne")


def test_a_member_of_a_metric_stands_for_its_family(read):
    suite = read(GOOD + "metrics: [silhouette_tsne, fcd_prior, mse, silhouette]\n")
    assert suite.metrics == ("silhouette", "fcd", "mse")


def test_numbers_are_read_as_yaml_1_2(read):
    suite = read(GOOD + "train: {lr: 1e-3, weight_decay: 1}\ndescription: no\n")
    assert (suite.train.lr, suite.train.weight_decay, suite.description) == (0.001, 1.0, "no")


def test_references_and_claims_are_kept_with_the_suite(read):
    suite = read(
        GOOD
        + "references: [{variant: vae, dataset: tiny, metric: elbo, value: -105, source: s, protocol: p, comparable: true}]\n"
        + "claims: [{id: a.1, says: s, source: t, where: {latent_size: 2}, metric: mse, expect: {variant: ae, less_than: 1}}]\n"
    )
    assert suite.references[0].value == -105.0
    assert suite.references[0].where == {"dataset": "tiny", "variant": "vae"}
    named = suite_cells.CellIndex(suite.cells).select(suite.references[0].where)
    assert [cell.label for cell in named] == ["vae", "vae"]
    assert suite.claims[0].expect == {"variant": "ae", "less_than": 1}


def test_a_record_is_plain_json_and_says_everything(read):
    cell = read(grid(variants="[beta_vae]")).cells[0]
    record = cell.as_record()
    assert json.loads(json.dumps(record)) == record
    assert record["options"] == {"beta": 4.0, "mode": "sum"}
    assert (record["net"], record["net_options"]) == ("mlp", {"hidden": [512], "dropout": None})
    assert (record["dataset"], record["dataset_label"], record["variant"]) == ("tiny", "tiny", "beta_vae")
    assert record["train"] == Train().model_dump()
    assert record["evaluate"]["samplers"] == ["prior"]


# What an id depends on


def ids(suite):
    return {(c.dataset_label, c.label, c.seed): c.id for c in suite.cells}


@pytest.mark.parametrize(
    "text",
    [
        GOOD.replace("seeds: 2", "seeds: 5"),
        GOOD.replace("[tiny]", "[digits, tiny]"),
        GOOD.replace("A test", "Another title") + "description: more words\n",
        GOOD + "metrics: [mse]\n",
        GOOD + "evaluate: {samplers: [gmm, prior], embed: {methods: []}}\n",
        GOOD + "train: {epochs: 20, lr: 0.001, grad_clip: null}\n",
        GOOD + "evaluate: {n_samples: 10000, embed: {perplexity: 30}}\n",
        GOOD.replace("latent", "nets: [{name: mlp, hidden: [512]}]\n  likelihood: bernoulli\n  latent"),
    ],
    ids=[
        "seeds",
        "dataset",
        "words",
        "metrics",
        "samplers",
        "train default",
        "evaluate default",
        "option default",
    ],
)
def test_adding_to_a_suite_or_writing_a_default_out_keeps_the_ids(read, text):
    before, after = ids(read()), ids(read(text))
    assert before == {key: after[key] for key in before}


def test_the_suite_s_name_and_labels_are_not_in_the_id(read):
    labelled = GOOD.replace("[ae, vae]", "[{name: ae, label: A}, vae]").replace("[tiny]", "[{name: tiny, label: T}]")
    assert list(ids(read()).values()) == list(ids(read(labelled, name="other.yaml")).values())


def test_an_integer_given_for_a_float_is_that_float(read):
    one = read(grid(likelihood="{name: gaussian, sigma: 1}", variants="[{name: beta_vae, beta: 2}]"))
    other = read(grid(likelihood="{name: gaussian, sigma: 1.0}", variants="[{name: beta_vae, beta: 2.0}]"))
    assert one.cells == other.cells
    assert one.cells[0].id == other.cells[0].id
    assert len({one.cells[0], other.cells[0]}) == 1


@pytest.mark.parametrize(
    "text",
    [
        grid(latent_sizes="[3]"),
        grid(seeds="[1]"),
        grid(datasets="[digits]"),
        grid(variants="[vae]"),
        grid(nets="[{name: mlp, hidden: [64]}]"),
        grid(likelihood="gaussian"),
        grid() + "train: {epochs: 21}\n",
        grid() + "train: {train_images: 100}\n",
    ],
    ids=["latent size", "seed", "dataset", "variant", "net option", "likelihood", "epochs", "train images"],
)
def test_whatever_changes_the_training_changes_both_ids(read, text):
    before, after = read(grid()).cells[0], read(text).cells[0]
    assert before.id != after.id
    assert before.train_id != after.train_id


@pytest.mark.parametrize("change", ["n_samples: 500", "knn_k: 3", "iw_samples: 5", "embed: {seed: 1}"])
def test_the_protocol_changes_the_id_but_not_the_checkpoint(read, change):
    before, after = read(grid()).cells[0], read(grid() + f"evaluate: {{{change}}}\n").cells[0]
    assert before.id != after.id
    assert (before.train_id, before.group_key) == (after.train_id, after.group_key)


def test_cells_that_differ_by_seed_only_are_one_group(read):
    cells = read(grid(variants="[ae, vae]", seeds="3")).cells
    assert len({c.id for c in cells}) == len({c.train_id for c in cells}) == 6
    assert [len({c.group_key for c in cells if c.label == label}) for label in ("ae", "vae")] == [1, 1]
    assert len({c.group_key for c in cells}) == 2


def test_cells_that_differ_by_a_scalar_of_their_variant_are_one_group_under_ids_of_their_own(read):
    cells = read(
        grid(variants="[{name: beta_vae, beta: 1}, beta_vae, {name: beta_vae, beta: 9, label: Nine}]", seeds="3")
    ).cells
    assert len({c.id for c in cells}) == len({c.train_id for c in cells}) == 9
    assert len({c.group_key for c in cells}) == 1


def test_what_is_no_scalar_of_the_variant_separates_groups(read):
    others = read(grid(variants="[beta_vae, {name: beta_vae, mode: mean}, vae, ae]")).cells
    assert len({c.group_key for c in others}) == 4


@pytest.mark.parametrize("kind", ["models/variants/__init__", "datasets/__init__", "models/nets/__init__"])
def test_raising_a_component_s_version_changes_the_id(read, components, kind):
    before = read(grid()).cells[0].id
    file = components / f"{kind}.py"
    file.write_text(file.read_text().replace("version: int = 1", "version: int = 2"))
    forget()
    assert read(grid()).cells[0].id != before


@pytest.mark.parametrize("protocol", ["TRAINING_PROTOCOL", "EVALUATION_PROTOCOL"])
def test_raising_a_protocol_changes_the_id(read, monkeypatch, protocol):
    before = read(grid()).cells[0].id
    monkeypatch.setattr(suite_cells, protocol, 2)
    assert read(grid()).cells[0].id != before


def test_an_id_is_pinned_so_that_it_cannot_change_unnoticed(components):
    choices = (Choice("tiny", {}), "tiny", Choice("ae", {}), "ae", None, Choice("bernoulli", {}))
    cell = Cell("x", *choices, 2, 0, Train(), Evaluate(), None)
    assert (cell.id, cell.train_id, cell.group_key) == ("eacc094596da", "ad943bb3af1c", "b628f3181d3c")


def test_the_digest_is_of_what_the_suite_resolves_to(read):
    plain, reworded = read(), read(GOOD.replace("seeds: 2", "seeds: [0, 1]  # the same"))
    assert plain.digest == reworded.digest
    assert plain.digest != read(GOOD + "metrics: [mse]\n").digest
    assert plain.digest == read(only=["variant=ae"]).digest


# --set, --only


def test_set_changes_values_wherever_they_stand(read):
    overrides = [
        "train.epochs=1",
        "grid.seeds=3",
        "grid.variants[1].label=Ours",
        "grid.variants.0=cvae",
        "train.lr=1e-2",
    ]
    suite = read(GOOD, overrides)
    assert (suite.train.epochs, suite.train.lr) == (1, 0.01)
    assert [(c.label, c.seed) for c in suite.cells[2:4]] == [("cvae", 2), ("Ours", 0)]
    assert suite.text == GOOD


def test_set_reaches_every_block_of_a_grid(read):
    block = "{datasets: [tiny], variants: [%s], latent_sizes: [2], seeds: 2}"
    text = f"title: A\ngrid:\n  - {block % 'ae'}\n  - {block % 'vae'}\n"
    assert len(read(text, ["grid.seeds=3"]).cells) == 6
    assert len(read(text, ["grid[1].seeds=3"]).cells) == 5


@pytest.mark.parametrize(
    ("override", "told"),
    [
        (
            "train.epoch=1",
            "--set train.epoch=1: train.epoch: unknown key 'epoch'; did you mean 'epochs'? known: ",
        ),
        ("train.epochs=0", "--set train.epochs=0: train.epochs: must be at least 1, got 0"),
        (
            "grid.seeds=-1",
            "--set grid.seeds=-1: grid.seeds: expected a number of seeds, 1 or more, or a list",
        ),
        (
            "grid.variants[1].beta=2",
            "--set grid.variants[1].beta=2: grid.variants[1].beta: 'beta' is an option of beta_vae",
        ),
        ("title=", "--set title=: title: expected text, got nothing"),
    ],
)
def test_a_fault_of_a_set_is_told_as_one(read, override, told):
    (fault,) = faults(read, GOOD, [override])
    assert fault.startswith(told)


@pytest.mark.parametrize(
    ("override", "told"),
    [
        ("epochs", "--set epochs: write it as key=value, such as train.epochs=1 or grid.variants[0].beta=4"),
        (
            "grid.variants[2]=ae",
            "--set grid.variants[2]=ae: there is no grid.variants[2]; grid.variants is a list of 2",
        ),
        ("train.epochs=[1", "--set train.epochs=[1:1:3: not YAML"),
    ],
)
def test_a_set_that_cannot_be_read_is_refused(read, override, told):
    with pytest.raises(UsageError) as error:
        read(GOOD, [override])
    assert str(error.value).startswith(told)


def test_only_keeps_what_matches_all_keys_and_any_of_their_values(read):
    text = grid(variants="[ae, {name: vae, label: 'A, B'}, pca]", nets="[mlp, conv]", seeds="3", datasets="[digits]")
    assert {c.seed for c in read(text, only=["seed=0,2"]).cells} == {0, 2}
    assert {(c.label, c.net_label) for c in read(text, only=["variant=ae", "net=conv"]).cells} == {("ae", "conv")}
    assert {c.label for c in read(text, only=["variant=ae", "variant=pca"]).cells} == {"ae", "pca"}
    assert {c.label for c in read(text, only=["label=A, B"]).cells} == {"A, B"}
    assert {c.latent_size for c in read(text, only=["latent_size=2", "dataset=digits"]).cells} == {2}


@pytest.mark.parametrize(
    ("only", "told"),
    [
        (
            ["varaint=ae"],
            "--only varaint=ae: unknown key 'varaint'; did you mean 'variant'? known: dataset, label, ",
        ),
        (
            ["variant=vaee"],
            "--only variant=vaee: no cell has variant vaee; did you mean 'vae'? known: ae, vae",
        ),
        (["seed=0,9"], "--only seed=0,9: no cell has seed 9; known: 0, 1"),
        (["seed=x"], "--only seed=x: no cell has seed x; known: 0, 1"),
        (["variant"], "--only variant: write it as key=value, such as variant=vae or seed=0,1"),
        (["label=ae", "variant=vae"], "--only label=ae variant=vae: no cell of x has all of these"),
    ],
)
def test_an_only_that_matches_nothing_is_refused(read, only, told):
    with pytest.raises(UsageError) as error:
        read(only=only)
    assert str(error.value).startswith(told)


# Mistakes

HEAD = "title: A test\ngrid:\n  datasets: [tiny]\n"
TAIL = "  latent_sizes: [2]\n  seeds: 2\n"
BAD = {
    "a misspelt key": (
        GOOD + "train:\n  epoch: 3\n",
        """\
        x.yaml:8:3: train.epoch: unknown key 'epoch'; did you mean 'epochs'? known: batch_size, epochs, grad_clip, include, lr, optimizer, precision, schedule, train_images, weight_decay
            8 |   epoch: 3
              |   ^""",
    ),
    "a misspelt variant": (
        HEAD + "  variants:\n    - ae\n    - bvae\n" + TAIL,
        """\
        x.yaml:6:7: grid.variants[1]: unknown variant 'bvae'; did you mean 'beta_vae'? known: ae, beta_vae, cvae, pca, vae
            6 |     - bvae
              |       ^""",
    ),
    "a misspelt dataset": (
        GOOD.replace("[tiny]", "[tiny, digit]"),
        """\
        x.yaml:3:20: grid.datasets[1]: unknown dataset 'digit'; did you mean 'digits'? known: digits, faces, folder, tiny
            3 |   datasets: [tiny, digit]
              |                    ^""",
    ),
    "a misspelt metric": (
        GOOD + "metrics: [mse, silhouete]\n",
        """\
        x.yaml:7:16: metrics[1]: unknown metric 'silhouete'; did you mean 'silhouette'? known: elbo, fcd, mse, silhouette
            7 | metrics: [mse, silhouete]
              |                ^""",
    ),
    "latent size 0": (
        GOOD.replace("[2]", "[2, 0]"),
        """\
        x.yaml:5:21: grid.latent_sizes[1]: must be at least 1, got 0
            5 |   latent_sizes: [2, 0]
              |                     ^""",
    ),
    "negative seeds": (
        GOOD.replace("seeds: 2", "seeds: -2"),
        """\
        x.yaml:6:10: grid.seeds: expected a number of seeds, 1 or more, or a list such as [0, 1], got -2
            6 |   seeds: -2
              |          ^""",
    ),
    "a negative seed in a list": (
        GOOD.replace("seeds: 2", "seeds: [0, -1]"),
        """\
        x.yaml:6:14: grid.seeds[1]: must be at least 0, got -1
            6 |   seeds: [0, -1]
              |              ^""",
    ),
    "a key given twice": (
        GOOD + "train: {epochs: 1}\ntrain: {epochs: 2}\n",
        """\
        x.yaml:8:1: train: the key 'train' is given twice, first in line 7
            8 | train: {epochs: 2}
              | ^""",
    ),
    "a wrong type": (
        GOOD + "train: {batch_size: true}\n",
        """\
        x.yaml:7:21: train.batch_size: expected a whole number, got true
            7 | train: {batch_size: true}
              |                     ^""",
    ),
    "an option of another variant": (
        HEAD + "  variants: [{name: ae, beta: 4}]\n" + TAIL,
        """\
        x.yaml:4:25: grid.variants[0].beta: 'beta' is an option of beta_vae, not of ae
            4 |   variants: [{name: ae, beta: 4}]
              |                         ^""",
    ),
    "an empty grid": (
        "title: A test\ngrid: []\n",
        """\
        x.yaml:2:7: grid: must not be empty
            2 | grid: []
              |       ^""",
    ),
    "an empty axis": (
        GOOD.replace("[ae, vae]", "[]"),
        """\
        x.yaml:4:13: grid.variants: must not be empty
            4 |   variants: []
              |             ^""",
    ),
    "no YAML": (
        "title: A test\ngrid: [1\n",
        """\
        x.yaml:3:1: not YAML: while parsing a flow sequence, expected ',' or ']', but got '<stream end>'""",
    ),
}  # fmt: skip


@pytest.mark.parametrize("mistake", BAD)
def test_a_mistake_is_told_with_its_line_and_what_was_meant(read, mistake):
    text, told = BAD[mistake]
    with pytest.raises(SuiteError) as error:
        read(text)
    assert str(error.value) == dedent(told)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (None, "x.yaml: there is no such file; suites: digits, "),
        (b"\xff\xfe\x00binary", "x.yaml: is not a text file in UTF-8 (see byte 0)"),
        (b"title: a\x00b", "x.yaml: line 1 holds the character 0x00, which is not text"),
        (b"", "x.yaml: a suite is a mapping (title: ..., grid: ...); this file holds nothing"),
        (b"- ae\n- vae\n", "x.yaml: a suite is a mapping (title: ..., grid: ...); this file holds a list"),
        (
            b"just words",
            "x.yaml: a suite is a mapping (title: ..., grid: ...); this file holds a single value",
        ),
        (b"[" * 5000, "x.yaml: is nested too deeply"),
        (b"a: 1\n" * 250_000, "x.yaml: is larger than 250 kB, too large for a suite file"),
        (
            b"a: &a [1,1,1,1,1,1,1,1,1,1]\n"
            + b"".join(b"%c: &%c [%s]\n" % (c, c, b",".join([b"*%c" % (c - 1)] * 10)) for c in b"bcdefg"),
            "x.yaml: has more than 10000 values, aliases followed",
        ),
    ],
    ids=["missing", "binary", "control character", "empty", "list", "scalar", "deep", "large", "aliases"],
)
def test_a_file_that_cannot_be_used_is_refused_in_one_line(components, content, told):
    if content is not None:
        Path("x.yaml").write_bytes(content)
    with pytest.raises(SuiteError) as error:
        load("x.yaml")
    assert str(error.value).startswith(told)
    assert "\n" not in str(error.value)


def test_a_folder_is_no_suite_file(components):
    with pytest.raises(SuiteError, match=r"^bench: is a folder, not a suite file$"):
        load("bench")


def test_all_faults_of_a_file_are_told_in_the_order_of_its_lines(read):
    text = """\
titel: x
grid:
  datasets: [tinny]
  variants: [ae]
  variants: [vae]
  latent_sizes: [yes]
train: {lr: 0, precision: fp16, epochs: three}
evaluate: {samplers: [prior, prior], embed: {point: 9}}
metrics: [msee]
"""
    assert [fault.split("; known")[0].split("? known")[0] for fault in faults(read, text)] == [
        "x.yaml:1:1: the key 'title' is missing",
        "x.yaml:1:1: titel: unknown key 'titel'; did you mean 'title'",
        "x.yaml:3:3: grid: the key 'seeds' is missing",
        "x.yaml:3:14: grid.datasets[0]: unknown dataset 'tinny'; did you mean 'tiny'",
        "x.yaml:5:3: grid.variants: the key 'variants' is given twice, first in line 4",
        "x.yaml:6:18: grid.latent_sizes[0]: expected a whole number, got 'yes'",
        "x.yaml:7:13: train.lr: must be above 0, got 0",
        "x.yaml:7:27: train.precision: unknown value 'fp16'; did you mean 'bf16'",
        "x.yaml:7:41: train.epochs: expected a whole number, got 'three'",
        "x.yaml:8:30: evaluate.samplers[1]: 'prior' is given twice",
        "x.yaml:8:46: evaluate.embed.point: unknown key 'point'; did you mean 'points'",
        "x.yaml:9:11: metrics[0]: unknown metric 'msee'; did you mean 'mse'",
    ]


REFERENCE = "references: [{%s, metric: elbo, value: 1, source: s, protocol: p, comparable: true}]\n"
CLAIM = "{id: a, says: s, source: t, metric: mse, expect: {variant: ae, less_than: 1}}"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (grid(variants="[{name: beta_vae, bta: 1}]"), "grid.variants[0].bta: unknown option 'bta' of beta_vae; did you mean 'beta'?"),
        (grid(variants="[{name: beta_vae, beta: high}]"), "grid.variants[0].beta: expected a number, got 'high'"),
        (grid(variants="[{name: beta_vae, mode: max}]"), "grid.variants[0].mode: unknown value 'max'"),
        (grid(variants="[{beta: 1}]"), "grid.variants[0]: the key 'name' is missing: which variant?"),
        (grid(variants="[7]"), "grid.variants[0]: expected the name of a variant, or a mapping such as {name: ...}, got 7"),
        (grid(nets="[{name: mlp, hidden: 400}]"), "grid.nets[0].hidden: expected a list such as [a, b], got 400"),
        (grid(nets="[{name: mlp, hidden: [400, x]}]"), "grid.nets[0].hidden[1]: expected a whole number, got 'x'"),
        (grid(nets="[timm]"), "grid.nets[0]: timm needs the option 'model'"),
        (grid(nets="[timm/]"), "grid.nets[0]: the name of a model is missing after the slash"),
        (grid(datasets="[folder]"), "grid.datasets[0]: folder needs the option 'path'"),
        (grid(variants="[{name: pca, net: mlp}]"), "grid.variants[0].net: pca uses no net, so this has no effect"),
        (grid(variants="[pca]", nets="[mlp]"), "grid.nets: no variant of this block takes a net from here"),
        (
            grid(variants="[{name: ae, likelihood: gaussian}]", likelihood="bernoulli"),
            "grid.likelihood: every variant of this block has its own likelihood",
        ),
        (grid(exclude="[{variant: vae}]"), "grid.exclude[0]: no cell has variant vae"),
        (grid(exclude="[{vriant: ae}]"), "grid.exclude[0]: unknown key 'vriant'; did you mean 'variant'?"),
        (grid(exclude="[{variant: ae}]"), "grid.exclude: excludes every cell of this block"),
        (
            grid(variants="[ae, pca]", exclude="[{variant: pca, net: mlp}]"),
            "grid.exclude[0]: no cell of this block has all of these",
        ),
        (
            grid(variants="[vae, {name: vae, likelihood: gaussian}]"),
            "grid.variants[1]: another row 'vae' differs from this one; tell them apart with label: ...",
        ),
        (
            grid(datasets="[{name: folder, path: a, label: x}, {name: folder, path: b, label: x}]"),
            "grid.datasets[1]: another dataset 'x' differs from this one; tell them apart with label: ...",
        ),
        (
            grid(variants="[ae, {name: ae, label: mine}]"),
            "grid.variants[1]: the same cells are already there as 'tiny · ae', here as 'tiny · mine'",
        ),
        (grid(seeds="100", latent_sizes=str(list(range(1, 203)))), "grid: has more than 20000 cells"),
        (GOOD + "metrics: [fcd_gmm]\n", "metrics[0]: 'fcd_gmm' needs gmm in evaluate.samplers"),
        (GOOD + "evaluate: {embed: {perplexity: 3000}}\n", "evaluate.embed: perplexity must be below points (2000), got 3000"),
        (GOOD + "train:\n", "train: expected a mapping such as {key: value}, got nothing"),
        (GOOD + REFERENCE % "variant: vae, dataset: mnist", "references[0]: no cell has dataset mnist"),
        (GOOD + REFERENCE % "dataset: tiny", "references[0]: say which row it belongs to with variant or label"),
        (
            GOOD + (REFERENCE % "variant: ae, dataset: tiny").replace("true", "false"),
            "references[0]: comparable is false, so say why in because",
        ),
        (
            GOOD + (REFERENCE % "variant: ae, dataset: tiny").replace("elbo", "fcd"),
            "references[0].metric: 'fcd' is several values; choose one of them: fcd_prior",
        ),
        (GOOD + "metrics: [mse]\n" + REFERENCE % "variant: ae, dataset: tiny", "references[0].metric: this suite has no value 'elbo'"),
        (GOOD + f"claims: [{CLAIM}, {CLAIM}]\n", "claims[1].id: another claim has the id 'a'"),
        (GOOD + f"claims: [{CLAIM.replace('says', 'sais')}]\n", "claims[0]: the key 'says' is missing"),
        (GOOD + f"claims: [{CLAIM.replace('id: a', 'id: a b')}]\n", "claims[0].id: may hold letters, digits and _ . - only"),
        (GOOD.replace("A test", "!!python/object:os.system x"), "title: the tag tag:yaml.org,2002:python/object:os.system has no meaning in a suite"),
    ],
)  # fmt: skip
def test_what_would_have_no_effect_or_no_meaning_is_refused(read, text, told):
    first = faults(read, text)[0]
    place, message = first.split(": ", 1)
    assert place.startswith("x.yaml:")
    assert message.startswith(told)


def test_a_file_s_name_must_do_as_a_folder_s_name(read):
    with pytest.raises(SuiteError, match="the file's name may hold letters, digits and"):
        read(name="my suite.yaml")


def test_a_long_line_is_shown_around_its_fault(read):
    with pytest.raises(SuiteError) as error:
        read(GOOD + f"description: {'x' * 5000}\ntrain: {{{' ' * 300}epoch: 1}}\n")
    _, shown, caret = str(error.value).split("\n")
    assert len(shown) < 140
    assert shown[caret.index("^") :].startswith("epoch: 1")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (GOOD.replace("A test", "!!int abc"), "title: the tag !!int does not fit 'abc'"),
        (GOOD.replace("A test", "!!bool maybe"), "title: the tag !!bool does not fit 'maybe'"),
        (GOOD.replace("A test", "!!null x"), "title: the tag !!null does not fit 'x'"),
        (GOOD.replace("A test", "!!binary aGk="), "title: the tag tag:yaml.org,2002:binary has no meaning in a suite"),
        (GOOD.replace("[tiny]", "!!set {tiny}"), "grid.datasets: the tag tag:yaml.org,2002:set has no meaning in a suite"),
        (GOOD.replace("seeds: 2", f"seeds: [{'9' * 5000}]"), "grid.seeds[0]: expected a whole number, got '999"),
        (GOOD.replace("A test", r'"a\e[31mb"'), r"title: control characters are not allowed, got 'a\x1b[31mb'"),
        (GOOD.replace("ae,", r'{name: ae, label: "a\0b"},'), r"grid.variants[0].label: control characters are not allowed, got 'a\x00b'"),
        (GOOD + r'"tr\e[31main": 1', r"tr\x1b[31main: unknown key 'tr\x1b[31main'"),
        (GOOD + "description: 'right\u202eleft'", r"description: control characters are not allowed, got 'right\u202eleft'"),
    ],
)  # fmt: skip
def test_odd_tags_numbers_and_characters_cost_one_message_without_control_characters(read, text, told):
    with pytest.raises(SuiteError) as error:
        read(text)
    assert error.value.faults[0].split(": ", 1)[1].startswith(told)
    assert printable(str(error.value)) == str(error.value)


@pytest.mark.parametrize("only", ["seed=" + "9" * 5000, "label=\x1b[31m", "seed=\0", "\x1b=1"])
def test_odd_values_of_only_cost_one_short_message(read, only):
    with pytest.raises(UsageError) as error:
        read(only=[only])
    assert printable(str(error.value)) == str(error.value)
    assert len(str(error.value)) < 400


def test_a_long_list_is_refused_before_it_is_read(read):
    assert faults(read, grid(latent_sizes=str(list(range(1, 20000))))) == [
        "x.yaml: has more than 10000 values, aliases followed"
    ]


CLAIM = {"id": "c", "says": "s", "source": "s", "metric": "mse", "expect": {"of": {"variant": "ae"}, "less_than": 1}}


@pytest.mark.parametrize(
    ("text", "entry", "place"),
    [
        ("nets: [{name: mlp, hidden: %s}], seeds: 1}", 1, "hidden"),
        ("seeds: 1}\nclaims: %s", CLAIM, "claims"),
    ],
)
def test_lists_that_are_read_for_every_cell_have_a_limit(tmp_path, text, entry, place):
    path = tmp_path / "long.yaml"
    head = "title: long\nmetrics: [mse]\ngrid: {datasets: [digits], variants: [ae], latent_sizes: [2], "
    path.write_text(head + text % json.dumps([entry] * 101))
    with pytest.raises(SuiteError, match=f"{place}: has more than 100 entries"):
        load(path)


def test_of_many_faults_the_first_are_shown_and_the_others_counted(read):
    found = faults(read, GOOD + "".join(f"key{i}: 1\n" for i in range(70)))
    assert len(found) == 51
    assert found[-1] == "x.yaml: and 20 more"


# A budget for each block


BLOCKS = """\
title: A
grid:
  - {datasets: [digits], variants: [ae], nets: [mlp], latent_sizes: [2], seeds: 1, train: {epochs: 40, lr: 0.01}}
  - {datasets: [digits], variants: [ae], nets: [conv], latent_sizes: [2], seeds: 1, train: {epochs: 5}}
  - {datasets: [digits], variants: [vae], nets: [conv], latent_sizes: [2], seeds: 1}
train: {epochs: 10, batch_size: 32}
"""


def test_a_block_s_own_budget_replaces_single_values_of_the_suite_s(read):
    suite = read(BLOCKS)
    budgets = [(c.train.epochs, c.train.batch_size, c.train.lr) for c in suite.cells]
    assert budgets == [(40, 32, 0.01), (5, 32, 0.001), (10, 32, 0.001)]
    assert suite.train.epochs == 10


def test_a_block_s_budget_makes_the_ids_that_the_same_budget_of_a_suite_makes(read):
    common = grid(datasets="[digits]", nets="[mlp]") + "train: {epochs: 40, batch_size: 32, lr: 0.01}\n"
    assert read(BLOCKS).cells[0].id == read(common).cells[0].id


def test_set_of_the_budget_has_the_last_word_in_every_block(read):
    assert [c.train.epochs for c in read(BLOCKS, ["train.epochs=1"]).cells] == [1, 1, 1]
    assert [c.train.epochs for c in read(BLOCKS, ["train={epochs: 2}"]).cells] == [2, 2, 2]
    assert [c.train.epochs for c in read(BLOCKS, ["grid[1].train.epochs=7"]).cells] == [40, 7, 10]


def test_a_fault_of_a_block_s_budget_has_its_place(read):
    (fault,) = faults(read, BLOCKS.replace("{epochs: 5}", "{epoch: 5}"))
    assert fault.startswith("x.yaml:4:93: grid[1].train.epoch: unknown key 'epoch'; did you mean 'epochs'?")


def test_one_row_under_two_budgets_needs_two_labels(read):
    text = BLOCKS.replace("nets: [conv]", "nets: [mlp]")
    assert "another row 'ae' differs from this one" in faults(read, text)[0]


# Names


@pytest.mark.parametrize("name", ["speed", "Rulers", "nul", "CON.x", "a" * 101, "a b", ".x", "ümlaut"])
def test_a_name_that_cannot_be_a_folder_of_results_is_refused(read, name):
    with pytest.raises(SuiteError, match="the file's name"):
        read(name=f"{name}.yaml")


@pytest.mark.parametrize("pair", [("MNIST", "mnist"), ("caf\u00e9", "cafe\u0301")])
def test_labels_that_some_file_systems_take_for_one_are_refused(read, pair):
    rows = ", ".join(f"{{name: ae, label: {label}}}" for label in pair)
    with pytest.raises(SuiteError, match="differ in case or"):
        read(grid(variants=f"[{rows.replace('name: ae', 'name: vae', 1)}]"))


def test_a_bare_name_is_a_suite_of_this_folder_or_a_shipped_one(components):
    assert load_title("digits") == shipped_title("digits") == load_title("suites/digits.yaml")
    Path("suites").mkdir()
    Path("suites/digits.yaml").write_text(GOOD)
    Path("digits").mkdir()
    assert load_title("digits") == load_title("digits.yaml") == "A test"
    found = {item["name"]: item["summary"] for item in listing("suites")["suites"]}
    assert found["suites/digits.yaml"] == "A test"
    assert "digits" not in found
    assert found["mnist_all"] == shipped_title("mnist_all")
    assert load_title("two_stage") == load_title("suites/published/two_stage.yaml") == found["two_stage"]


def load_title(name):
    return document.read(locate(Path(name)), Issues()).data["title"]


def shipped_title(name):
    return YAML(typ="safe", pure=True).load(SUITE_FILES[name].read_text(encoding="utf-8"))["title"]


def test_an_unknown_suite_names_the_nearest(components):
    with pytest.raises(SuiteError, match=r"^digit: there is no such file; did you mean 'digits'"):
        load("digit")


# A component whose file is broken


@pytest.mark.parametrize(
    ("source", "told"),
    [
        ("class Bad(Variant:", "bad.py:1:"),
        ("x = 1", "has no class that derives from Variant"),
        (
            "class Bad(Variant):\n    version = 1 + one",
            "bad.py:2: constants and defaults of options must be literals, and 1 + one is none",
        ),
        ("from .bad import Bad\nclass Worse(Bad): pass", "derives from itself"),
        ("from .gone import Gone\nclass Bad(Gone): pass", "gone.py: cannot be read"),
        ("class Bad(Variant): '\0'", "bad.py"),
    ],
)
def test_a_broken_component_costs_one_message_and_only_where_it_is_used(read, components, source, told):
    (components / "models" / "variants" / "bad.py").write_text(source)
    forget()
    found = {item["name"]: item["summary"] for item in listing("variants")["variants"]}
    assert told in found["bad"]
    assert found["vae"] == "Variational."
    assert read(GOOD).cells
    assert "unknown option 'x'" in faults(read, grid(variants="[{name: ae, x: 1}]"))[0]
    (fault,) = faults(read, grid(variants="[bad]"))
    assert fault.startswith("x.yaml:4:14: grid.variants[0]: ")
    assert told in fault


# The shipped suites and the schema


@pytest.mark.parametrize("name", SUITES)
def test_a_shipped_suite_loads_and_fits_the_schema(name):
    path = SUITE_FILES[name]
    suite = load(path)
    assert suite.cells
    up = "../" * len(path.relative_to(ROOT).parts[:-1])
    assert suite.text.startswith(f"# yaml-language-server: $schema={up}bench/suite/schema.json\n")
    jsonschema.validate(json.loads(json.dumps(YAML(typ="safe", pure=True).load(suite.text))), json_schema())


def test_the_schema_is_a_schema_and_knows_names_and_options():
    schema = json_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    valid = jsonschema.Draft202012Validator(schema).is_valid
    block = {"datasets": ["mnist"], "variants": ["vae"], "latent_sizes": [2], "seeds": 3}
    assert valid({"title": "x", "grid": block})
    assert valid({"title": "x", "grid": [block | {"train": {"epochs": 3}}, block]})
    assert not valid({"title": "x", "grid": block | {"train": {"epoch": 3}}})
    assert valid({"title": "x", "grid": [block | {"nets": ["timm/resnet18", {"name": "mlp", "hidden": [4]}]}]})
    for wrong in ({"variants": ["vaee"]}, {"nets": [{"name": "mlp", "hiden": [4]}]}, {"seeds": -1}, {"x": 1}):
        assert not valid({"title": "x", "grid": block | wrong})


def test_the_shipped_schema_is_what_the_code_says():
    """A component that is new is missing from the file until it is written again, and that is allowed."""
    shipped, code = json.loads(FILE.read_text(encoding="utf-8")), json_schema()
    kinds = [kind[:-1] for kind in registry.KINDS]
    listed = {kind: (shipped["$defs"].pop(kind), code["$defs"].pop(kind)) for kind in kinds}
    assert shipped == code, "write it again with: python -m bench.suite.json_schema"
    for old, new in listed.values():
        assert set(old.get("enum", [])) <= set(new.get("enum", []))
        names, entries = new.get("anyOf", [{"enum": []}])[0]["enum"], new.get("anyOf", [])[1:]
        assert set(old.get("anyOf", [{"enum": []}])[0]["enum"]) <= set(names)
        assert all(entry in entries for entry in old.get("anyOf", [])[1:])


def test_loading_a_suite_imports_no_heavy_package():
    code = (
        "import sys; from bench.suite import load; load('suites/mnist_all.yaml');"
        "print(sorted({'torch', 'numpy', 'pandas'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.strip() == "[]"


def test_the_pytorch_example_is_the_published_configuration():
    suite = load(ROOT / "suites" / "pytorch_vae_example.yaml")
    cell = suite.cells[0]
    assert (cell.net.options["hidden"], cell.latent_size, cell.likelihood.name) == ((400,), 20, "bernoulli")
    assert (cell.train.epochs, cell.train.batch_size, cell.train.optimizer, cell.train.lr) == (
        10,
        128,
        "adam",
        1e-3,
    )
    assert [reference.value for reference in suite.references] == [-105.589, -105.614]
