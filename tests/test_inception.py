"""Inception-v3 for FID and KID: found, fetched, read safely, and the same features however one asks for them.

The weights are random and made here: what is tested is everything but the numbers of the published net.
"""

import hashlib
import io
import pickle
from pathlib import Path
from urllib.error import URLError

import pytest
import torch
import torch_fidelity
from torch import Tensor, nn
from torch.utils.data import Dataset
from torch_fidelity.feature_extractor_inceptionv3 import URL_INCEPTION_V3, FeatureExtractorInceptionV3

from bench import registry
from bench.errors import DataError, NotApplicable
from bench.evaluation import inception
from bench.evaluation.feature_extractors import FeatureExtractor
from bench.evaluation.inception import FILE, URL, Inception, fetch_weights, locate_weights, weights_digest


class Unloaded(FeatureExtractorInceptionV3):
    """The graph without weights."""

    def load_state_dict(self, state_dict, *args, **kwargs):
        return None


def empty_file() -> io.BytesIO:
    file = io.BytesIO()
    torch.save({}, file)
    file.seek(0)
    return file


@pytest.fixture(scope="module")
def weights(tmp_path_factory) -> Path:
    """A file as the published one is: a plain dict of float tensors. He's scale keeps the signal alive."""
    net = Unloaded("inception", ["2048"], feature_extractor_weights_path=empty_file())
    generator = torch.Generator().manual_seed(0)
    for module in net.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, generator=generator)
    path = tmp_path_factory.mktemp("weights") / FILE
    torch.save({k: v for k, v in net.state_dict().items() if "num_batches_tracked" not in k}, path)
    return path


@pytest.fixture(scope="module")
def net(weights) -> Inception:
    return Inception(weights)


@pytest.fixture(scope="module")
def images() -> Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.randint(0, 256, (4, 3, 12, 12), generator=generator, dtype=torch.uint8)


@pytest.fixture(scope="module")
def features(net, images) -> Tensor:
    return net.features(images, batch_size=4)


@pytest.fixture(autouse=True)
def nowhere_else(monkeypatch, tmp_path):
    """No weights of this machine's user are found by accident."""
    monkeypatch.delenv("BENCH_INCEPTION", raising=False)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch_home"))
    monkeypatch.setattr(torch.hub, "_hub_dir", None)


def put(path: Path, content: bytes = b"weights") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


# -- finding


def test_the_file_is_torch_fidelitys_own():
    assert URL == URL_INCEPTION_V3
    assert inception.DIGEST in FILE


def test_weights_are_found_under_the_data_root_in_torch_hub_and_by_the_variable(tmp_path, monkeypatch):
    root = tmp_path / "data"
    assert locate_weights(root) is None
    in_hub = put(tmp_path / "torch_home" / "hub" / "checkpoints" / FILE)
    assert locate_weights(root) == in_hub
    in_root = put(root / "inception" / FILE)
    assert locate_weights(root) == in_root
    named = put(tmp_path / "own.pth")
    monkeypatch.setenv("BENCH_INCEPTION", str(named))
    assert locate_weights(root) == named
    monkeypatch.setenv("BENCH_INCEPTION", str(in_hub.parent))
    assert locate_weights(root) == in_hub


def test_a_variable_that_names_nothing_is_an_error(tmp_path, monkeypatch):
    monkeypatch.setenv("BENCH_INCEPTION", str(tmp_path / "typo.pth"))
    with pytest.raises(DataError, match=r"BENCH_INCEPTION names .*typo\.pth"):
        locate_weights(tmp_path)


# -- fetching


def test_what_is_in_place_is_not_fetched(tmp_path, monkeypatch):
    monkeypatch.setattr(torch.hub, "download_url_to_file", lambda *a, **k: pytest.fail("downloaded"))
    path = put(tmp_path / "inception" / FILE)
    assert fetch_weights(tmp_path, offline=False) == path


def refuse(*args, **kwargs):
    raise URLError("no route to host")


@pytest.mark.parametrize("offline", [True, False])
def test_missing_weights_say_what_to_put_where(tmp_path, monkeypatch, offline):
    monkeypatch.setattr(torch.hub, "download_url_to_file", refuse)
    with pytest.raises(DataError) as error:
        fetch_weights(tmp_path, offline=offline)
    reason = "offline" if offline else "no route"
    for words in (URL, FILE, str(tmp_path / "inception"), "BENCH_INCEPTION", reason):
        assert words in str(error.value)


def test_a_download_lands_under_the_data_root_if_its_hash_is_right(tmp_path, monkeypatch):
    source = put(tmp_path / "server" / FILE)
    monkeypatch.setattr(inception, "URL", source.as_uri())
    with pytest.raises(DataError, match="hash"):
        fetch_weights(tmp_path / "data", offline=False)
    assert list((tmp_path / "data" / "inception").iterdir()) == []
    monkeypatch.setattr(inception, "DIGEST", weights_digest(source)[:8])
    assert fetch_weights(tmp_path / "data", offline=False) == tmp_path / "data" / "inception" / FILE


def test_the_digest_is_the_beginning_of_the_sha256(tmp_path, weights, net):
    assert weights_digest(put(tmp_path / "a", b"abc")) == hashlib.sha256(b"abc").hexdigest()[:12]
    assert net.digest == weights_digest(weights)


# -- reading


class Payload:
    """Unpickling this would create a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return (Path.touch, (self.path,))


def test_code_in_a_weights_file_is_refused_and_never_run(tmp_path):
    mark = tmp_path / "ran"
    pickled = put(tmp_path / "pickled.pth", pickle.dumps({"x": Payload(mark)}, protocol=2))
    saved = tmp_path / "saved.pth"
    torch.save({"x": Payload(mark)}, saved)
    for path in (pickled, saved):
        with pytest.raises(DataError, match="plain weights"):
            Inception(path)
    assert not mark.exists()


def test_a_file_that_is_no_inception_is_refused_by_name(tmp_path):
    other, listed = tmp_path / "other.pth", tmp_path / "list.pth"
    torch.save({"layer.weight": torch.zeros(3)}, other)
    torch.save([torch.zeros(3)], listed)
    for path, words in (
        (other, "does not fit"),
        (listed, "named tensors"),
        (put(tmp_path / "text.pth", b"not found"), "plain weights"),
        (put(tmp_path / "empty.pth", b""), "plain weights"),
    ):
        with pytest.raises(DataError, match=words) as error:
            Inception(path)
        assert str(path) in str(error.value)


# -- features


def test_features_are_those_of_torch_fidelitys_extractor(weights, images, features):
    reference = FeatureExtractorInceptionV3("theirs", ["2048"], feature_extractor_weights_path=str(weights))
    assert features.shape == (4, 2048)
    assert features.dtype == torch.float64
    assert torch.allclose(features[:2], reference(images[:2])[0].double(), rtol=1e-5, atol=1e-6)


def test_features_differ_between_images(features):
    assert (features.std(0) > 1e-3).double().mean() > 0.5


def test_features_do_not_depend_on_the_batch_size(net, images, features):
    again = net.features(images[:3], batch_size=2)  # and a rest of 1
    assert torch.allclose(again, features[:3], rtol=1e-4, atol=1e-5)


def test_grey_images_are_repeated_to_three_channels(net, images):
    grey = images[:1, :1]
    assert torch.equal(net.features(grey), net.features(grey.repeat(1, 3, 1, 1)))


def test_images_of_two_channels_have_no_features(net):
    with pytest.raises(NotApplicable, match="2"):
        net.features(torch.zeros(1, 2, 8, 8, dtype=torch.uint8))


def test_the_precision_of_convolutions_is_left_as_it_was(net, images, monkeypatch):
    conv, seen = torch.backends.cudnn.conv, []
    before = conv.fp32_precision

    def look(x):
        seen.append(conv.fp32_precision)
        return (torch.zeros(len(x), 2048),)

    monkeypatch.setattr(net, "net", look)
    net.features(images)
    assert seen == ["ieee"]
    assert conv.fp32_precision == before


class Images(Dataset):
    def __init__(self, images: Tensor) -> None:
        self.images = images

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, i: int) -> Tensor:
        return self.images[i]


def test_kid_from_images_to_value_equals_torch_fidelitys(weights, images, features, net):
    real, other = images[:3], images[:3].flip(2) // 2
    expected = torch_fidelity.calculate_metrics(
        input1=Images(other), input2=Images(real), kid=True, kid_subset_size=3, rng_seed=2020, cuda=False,
        batch_size=4, feature_extractor_weights_path=str(weights), cache=False, verbose=False,
        save_cpu_ram=True,  # no worker processes
    )  # fmt: skip
    value = registry.load("metrics", "kid")(features[:3], net.features(other))
    assert value == pytest.approx(expected["kernel_inception_distance_mean"], rel=1e-4)


def test_the_net_is_folded_and_gives_torch_fidelitys_fid(weights, images, net):
    assert not any(isinstance(module, nn.BatchNorm2d) for module in net.net.modules())
    reference = FeatureExtractorInceptionV3("theirs", ["2048"], feature_extractor_weights_path=str(weights))
    fid = registry.load("metrics", "fid")
    other = images.flip(3) // 2
    theirs = fid(*(reference(x)[0].double() for x in (images, other)))
    assert fid(net.features(images), net.features(other)) == pytest.approx(theirs, rel=1e-4)


# -- kept features


class Counting:
    """A net whose features are told apart by how often it was asked."""

    def __init__(self) -> None:
        self.device, self.calls = torch.device("cpu"), 0

    def features(self, images: Tensor) -> Tensor:
        self.calls += 1
        return torch.full((len(images), 2), 0.5 + self.calls, dtype=torch.float64)


def test_features_of_a_test_set_are_made_once_and_read_by_the_next_process(tmp_path, images):
    first, second = Counting(), Counting()
    made = FeatureExtractor("net-1", first, kept=tmp_path / "features").test_features(images)
    read = FeatureExtractor("net-1", second, kept=tmp_path / "features").test_features(images)
    assert (first.calls, second.calls) == (1, 0)
    assert torch.equal(made, read)
    assert read.dtype == torch.float64


def test_features_of_other_images_or_another_net_are_not_mistaken_for_them(tmp_path, images):
    net = Counting()
    for ruler, x in (("a", images), ("a", images[:2]), ("a", images.flip(0)), ("b", images)):
        FeatureExtractor(ruler, net, kept=tmp_path).test_features(x)
    assert net.calls == 4


def test_where_nothing_can_be_kept_features_are_made_all_the_same(tmp_path, images):
    blocked = put(tmp_path / "file")
    net = Counting()
    assert len(FeatureExtractor("a", net, kept=blocked / "features").test_features(images)) == 4
    assert net.calls == 1
