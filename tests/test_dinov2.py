"""DINOv2 for `fd_dinov2`: found, read safely, its input and positions; on a small net with random weights."""

import pickle
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from conftest import cell
from PIL import Image
from torch import Tensor

from bench import registry
from bench.errors import DataError, NotApplicable
from bench.evaluation import dinov2, feature_extractors
from bench.evaluation.context import EvaluationContext
from bench.evaluation.dinov2 import FILES, MISSING, DINOv2, locate_weights, missing_message, prepared
from bench.evaluation.evaluate import measure
from bench.evaluation.feature_extractors import FeatureExtractors, dinov2_extractor, waited_for_weights
from bench.results.store import Record
from bench.runs.worker import waiting_for_weights

SMALL = {"embed_dim": 24, "depth": 2, "num_heads": 2}
FILE = "dinov2_vits14_pretrain.pth"
IMAGES = torch.randint(0, 256, (5, 3, 12, 10), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)


@pytest.fixture(autouse=True)
def small_net(monkeypatch):
    """The transformer of the published nets, smaller; and no weights of this machine's user are found by accident."""
    monkeypatch.delenv("BENCH_DINOV2", raising=False)
    monkeypatch.setattr(dinov2.timm, "create_model", partial(timm.create_model, **SMALL))


@pytest.fixture(scope="module")
def state() -> dict[str, Tensor]:
    """Weights under the names and with the shapes of a published file: positions of 37×37 patches, a mask token."""
    torch.manual_seed(0)
    net = timm.create_model(FILES[FILE], pretrained=False, img_size=518, num_classes=0, **SMALL)
    found = {name: torch.randn_like(value) * 0.3 for name, value in net.state_dict().items()}
    return found | {"mask_token": torch.zeros(1, 24)}


@pytest.fixture(scope="module")
def root(tmp_path_factory, state) -> Path:
    root = tmp_path_factory.mktemp("data")
    (root / "dinov2").mkdir()
    torch.save(state, root / "dinov2" / FILE)
    return root


def test_the_weights_are_found_under_the_data_root_the_largest_net_first_and_by_the_variable(tmp_path, monkeypatch):
    assert locate_weights(tmp_path) is None
    (tmp_path / "dinov2").mkdir()
    for name in reversed(FILES):
        (tmp_path / "dinov2" / name).write_bytes(b"weights")
        assert locate_weights(tmp_path) == tmp_path / "dinov2" / name
    assert FILES[locate_weights(tmp_path).name] == "vit_large_patch14_dinov2"
    own = tmp_path / FILE
    own.write_bytes(b"weights")
    monkeypatch.setenv("BENCH_DINOV2", str(own))
    assert locate_weights(tmp_path) == own
    for wrong in ("typo.pth", str(tmp_path / "dinov2")):
        monkeypatch.setenv("BENCH_DINOV2", wrong)
        with pytest.raises(DataError, match="BENCH_DINOV2 names"):
            locate_weights(tmp_path)


def test_every_published_file_has_a_net_of_timm():
    for name in FILES.values():
        config = timm.get_pretrained_cfg(f"{name}.lvd142m")
        assert any(config.url.endswith(file) for file in FILES)
        assert config.url.startswith(dinov2.URL)
        assert (config.mean, config.std) == (dinov2.MEAN, dinov2.DEVIATION)


def test_without_weights_the_value_says_what_to_put_where(few_digits, tmp_path):
    context = EvaluationContext(
        None, few_digits, cell(), FeatureExtractors(dinov2=lambda: dinov2_extractor(tmp_path, "cpu")), "cpu",
        given={("samples", "prior"): IMAGES, ("samples", "gmm"): IMAGES},
    )  # fmt: skip
    values = measure(context, ("fd_dinov2",))
    assert {entry["reason"] for entry in values.values()} == {MISSING}
    assert str(tmp_path) not in MISSING
    assert str(tmp_path / "dinov2") in missing_message(tmp_path)


def test_a_value_that_waited_is_worth_another_look_once_the_weights_are_there(root, tmp_path):
    assert waited_for_weights(MISSING, root)
    assert not waited_for_weights(MISSING, tmp_path)
    assert not waited_for_weights("fewer than 2 images", root)
    assert not waited_for_weights(None, root)


def test_features_are_the_class_token_of_the_net_on_pillows_images(root, state):
    extractor = dinov2_extractor(root, torch.device("cpu"))
    net = timm.create_model(FILES[FILE], pretrained=False, img_size=224, num_classes=0, **SMALL)
    known = {name: value for name, value in state.items() if name != "mask_token"}
    net.load_state_dict(known | {"pos_embed": dinov2.resampled_positions(state["pos_embed"], 16)})
    pixels = []
    for image in IMAGES:
        resized = Image.fromarray(image.permute(1, 2, 0).numpy()).resize((224, 224), Image.Resampling.BICUBIC)
        pixels.append((np.asarray(resized) / 255.0 - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225])
    x = torch.from_numpy(np.stack(pixels)).permute(0, 3, 1, 2).float()
    with torch.no_grad():
        expected = net.eval().forward_features(x)[:, 0].double()
    found = extractor.features(IMAGES)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)
    assert found.std(0).mean() > 1e-3
    assert extractor.name == f"dinov2_vits14-{dinov2.weights_digest(root / 'dinov2' / FILE)}"
    torch.testing.assert_close(extractor.test_features(IMAGES), found, rtol=1e-5, atol=1e-6)
    assert len(list((root / "dinov2" / "features").glob("*.safetensors"))) == 1


def test_grey_images_are_repeated_and_two_channels_refused(root):
    net = DINOv2(root / "dinov2" / FILE)
    grey = IMAGES[:2, :1]
    assert torch.equal(prepared(grey), prepared(grey.repeat(1, 3, 1, 1)))
    with pytest.raises(NotApplicable, match="2"):
        net.features(IMAGES[:, :2])


def test_positions_are_resampled_around_the_class_token():
    """A ramp stays about one away from the borders, at the scale of the published net: (16 + 0.1) / 37."""
    ramp = torch.arange(37.0).repeat(37, 1)
    positions = torch.cat([torch.full((1, 1, 2), 9.0), torch.stack([ramp, ramp.T], 2).view(1, -1, 2)], 1)
    found = dinov2.resampled_positions(positions, 16)
    assert found.shape == (1, 257, 2)
    assert (found[0, 0] == 9).all()
    grid = found[0, 1:].view(16, 16, 2)
    expected = (torch.arange(16) + 0.5) * 37 / 16.1 - 0.5
    torch.testing.assert_close(grid[8, 1:-1, 0], expected[1:-1], rtol=0, atol=0.05)
    torch.testing.assert_close(grid[1:-1, 8, 1], expected[1:-1], rtol=0, atol=0.05)
    assert dinov2.resampled_positions(found, 16) is found


class Payload:
    """Unpickling this would create a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return (Path.touch, (self.path,))


def test_a_file_that_is_no_dinov2_is_refused_and_nothing_in_it_runs(tmp_path, state):
    path, mark = tmp_path / FILE, tmp_path / "ran"
    path.write_bytes(pickle.dumps({"x": Payload(mark)}, protocol=2))
    with pytest.raises(DataError, match="plain weights"):
        DINOv2(path)
    for content in ({"layer.weight": torch.zeros(3)}, {k: v for k, v in state.items() if "norm.bias" not in k}):
        torch.save(content, path)
        with pytest.raises(DataError, match="does not fit the net of its name") as caught:
            DINOv2(path)
        assert str(path) in str(caught.value)
    assert not mark.exists()


def test_the_distance_is_in_a_column_of_its_own_with_the_net_in_its_key(root, few_digits):
    metric = registry.describe("metrics", "fd_dinov2").constants
    assert metric["key"] == ("dinov2",)
    nets = FeatureExtractors(dinov2=lambda: feature_extractors.dinov2_extractor(root, torch.device("cpu")))
    test = few_digits.test.images[:6]
    data = type(few_digits)("few", few_digits.train, type(few_digits.test)(test, None), (), "")
    context = EvaluationContext(
        None, data, cell(), nets, torch.device("cpu"),
        given={("samples", "prior"): test, ("samples", "gmm"): 255 - test},
    )  # fmt: skip
    values = measure(context, ("fd_dinov2",))
    assert values["fd_dinov2_prior"]["value"] == pytest.approx(0, abs=1e-6)
    assert values["fd_dinov2_gmm"]["value"] > 1e-3
    assert values["fd_dinov2_gmm"]["key"] == {"dinov2": nets.get("dinov2").name}
    assert values["fd_dinov2_gmm"]["n"] == 6


def test_columns_that_waited_are_named_once_the_weights_are_there(root, tmp_path):
    waited, other = {"value": None, "reason": MISSING}, {"value": None, "reason": "the model is not linear"}
    metrics = {"fd_dinov2_prior": waited, "identity_error": other, "mse": {"value": 0.1}}
    record = Record("0" * 12, "s", "done", {}, metrics=metrics)
    assert waiting_for_weights(record, root) == ["fd_dinov2_prior"]
    assert waiting_for_weights(record, tmp_path) == []
