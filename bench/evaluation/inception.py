"""The Inception-v3 behind FID and KID: where its weights lie, and the features it gives.

The net is torch-fidelity's: the TensorFlow graph of 2015-12-05, its resize included, so the numbers are those
of the original FID code up to rounding (https://github.com/toshas/torch-fidelity/blob/master/doc/precision.md).
Images are uint8 from end to end: what the net sees is what a saved file would hold. Its batch
normalisations are multiplied into the convolutions before them, and on CPUs its convolutions run on channels-last
tensors: the same sums in another order (features agree to about 1e-6), two thirds of the time and less.

Weights are looked for, in this order, in
    the file (or the folder) that the environment variable BENCH_INCEPTION names,
    <data root>/inception/, and torch hub's own folder of checkpoints.
They are never replaced by another net: without them FID and KID have no value, and the cell says why.
"""

import hashlib
import io
import os
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPException
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from bench.errors import DataError, NotApplicable

#: torch-fidelity's published file; a test holds this against the constant in its source
URL = "https://github.com/toshas/torch-fidelity/releases/download/v0.2.0/weights-inception-2015-12-05-6726825d.pth"
FILE = URL.rsplit("/", 1)[-1]
DIGEST = "6726825d"  #: first digits of its sha256, by torch hub's convention a part of the file name
VARIABLE = "BENCH_INCEPTION"
#: stands in a record in place of a FID; names no folder of the machine it was made on
MISSING = f"Inception-v3 weights are missing: {FILE} belongs into the folder `inception` of the data root"


def locate_weights(data_root: Path) -> Path | None:
    """The weights file, or None. Raises `DataError` if BENCH_INCEPTION is set and names nothing."""
    if named := os.environ.get(VARIABLE):
        path = Path(named).expanduser()
        path = path / FILE if path.is_dir() else path
        if not path.is_file():
            raise DataError(f"{VARIABLE} names {path}, which is not there")
        return path
    places = [data_root / "inception" / FILE, Path(torch.hub.get_dir()) / "checkpoints" / FILE]
    return next((p for p in places if p.is_file()), None)


def fetch_weights(data_root: Path, offline: bool) -> Path:
    """The weights file; downloaded into `<data_root>/inception/` (about 95 MB, hash checked) if missing.

    Raises `DataError`, saying what to put where by hand, if it is missing and `offline`, or cannot be loaded.
    """
    if found := locate_weights(data_root):
        return found
    target = data_root / "inception" / FILE
    if offline:
        raise DataError(f"offline, and {missing_message(data_root)}")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        torch.hub.download_url_to_file(URL, str(target), hash_prefix=DIGEST, progress=False)
    except (OSError, RuntimeError, HTTPException) as error:
        raise DataError(f"download failed ({error}), and {missing_message(data_root)}") from error
    return target


def missing_message(data_root: Path) -> str:
    """What is missing, and what to put where by hand: for an error, or in place of a FID."""
    folder = data_root / "inception"
    return f"Inception-v3 weights are missing; put {FILE} from {URL} into {folder}, or name it in {VARIABLE}"


def weights_digest(path: Path) -> str:
    """sha256 of a file, first 12 hex digits; recorded beside every value that came through these weights."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:12]


class Inception:
    """Inception-v3 pool features of images, on one device.

    Raises `DataError` if `weights` is not a plain state dict of this net; nothing in the file is executed.
    """

    def __init__(self, weights: Path, device: torch.device | str = "cpu") -> None:
        from torch_fidelity import FeatureExtractorInceptionV3  # takes seconds, so not at the top

        self.digest = weights_digest(weights)
        self.device = torch.device(device)
        # torch-fidelity unpickles what it is given without restriction, so it is given a copy that we wrote.
        copy = io.BytesIO()
        torch.save(plain_weights(weights, f"expected {URL}"), copy)
        copy.seek(0)
        try:
            net = FeatureExtractorInceptionV3("inception", ["2048"], feature_extractor_weights_path=copy)
        except RuntimeError as error:
            raise DataError(f"{weights} does not fit Inception-v3; expected {URL}") from error
        _fold(net)
        layout = torch.channels_last if self.device.type == "cpu" else torch.preserve_format
        self.net = net.to(self.device, memory_format=layout)

    @torch.no_grad()
    def features(self, images_uint8: Tensor, batch_size: int | None = None) -> Tensor:
        """Pool features, uint8 (N, C, H, W) → float64 (N, 2048) on the host; C is 1 (repeated) or 3.

        `batch_size` bounds memory and changes nothing but the last float32 digits; 16 on CPUs, else 64.
        """
        batch_size = batch_size or (16 if self.device.type == "cpu" else 64)
        assert images_uint8.dtype == torch.uint8, images_uint8.dtype
        if images_uint8.shape[1] not in (1, 3):
            raise NotApplicable(f"Inception takes 1 or 3 channels, these images have {images_uint8.shape[1]}")
        with _full_float32():
            batches = [self._batch(b) for b in images_uint8.split(batch_size)]
        return torch.cat(batches) if batches else torch.empty(0, 2048, dtype=torch.float64)

    def _batch(self, images: Tensor) -> Tensor:
        rgb = images.to(self.device).expand(-1, 3, -1, -1)
        (pooled,) = self.net(rgb)
        return pooled.cpu().double()


def _fold(net: nn.Module) -> None:
    """Multiply each batch normalisation into the convolution before it; in evaluation mode both are linear."""
    for block in net.modules():
        conv, norm = getattr(block, "conv", None), getattr(block, "bn", None)
        if isinstance(conv, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
            block.conv, block.bn = fuse_conv_bn_eval(conv, norm), nn.Identity()


@contextmanager
def _full_float32() -> Iterator[None]:
    """No TF32 in convolutions, which is cuDNN's default and keeps 10 of the 23 bits of each factor."""
    conv = torch.backends.cudnn.conv  # type: ignore[attr-defined]  # made at import, unseen by mypy
    before = conv.fp32_precision
    conv.fp32_precision = "ieee"
    try:
        yield
    finally:
        conv.fp32_precision = before


def plain_weights(weights: Path, expected: str) -> dict[str, Any]:
    """The file's state dict, read without running anything in it. Raises `DataError` saying what is `expected`."""
    try:
        state = torch.load(weights, map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged file may break the reader anywhere
        raise DataError(f"{weights} is not a file of plain weights; {expected}") from error
    if not isinstance(state, dict) or not all(isinstance(v, Tensor) for v in state.values()):
        raise DataError(f"{weights} holds something else than named tensors; {expected}")
    return dict(state)
