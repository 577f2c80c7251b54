"""The DINOv2 net behind `fd_dinov2`: where its weights lie, and the features it gives.

The net is timm's vision transformer, filled with the published weights. torch-fidelity has the same net, but loads it
from a repository on the network only. Images are resized to 224×224 with Pillow's bicubic filter, as Stein et al. 2023,
https://arxiv.org/abs/2306.04675, do (https://github.com/layer6ai-labs/dgm-eval); the position embedding is resampled as
the authors of DINOv2 do, so that features are those of their net up to rounding.

A file of weights is looked for, in this order, as
    the file that the environment variable BENCH_DINOV2 names (called as one of `FILES`),
    the first of `FILES` in <data root>/dinov2/, the largest net first.
Nothing is downloaded: the file of the net that is recommended has 1.2 GB. Without one, `fd_dinov2` has no value. The
name of the net and the file's hash are recorded beside every value; values of different nets are not compared.
"""

import os
from pathlib import Path

import numpy as np
import timm
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn

from bench.errors import DataError, NotApplicable
from bench.models.precision import matmul_precision

from .inception import plain_weights, weights_digest

URL = "https://dl.fbaipublicfiles.com/dinov2"
#: name of a published file → timm's name of its net; Stein et al. recommend the first
FILES = {
    "dinov2_vitl14_pretrain.pth": "vit_large_patch14_dinov2",
    "dinov2_vitb14_pretrain.pth": "vit_base_patch14_dinov2",
    "dinov2_vits14_pretrain.pth": "vit_small_patch14_dinov2",
}
VARIABLE = "BENCH_DINOV2"
#: stands in a record in place of a distance; names no folder of the machine it was made on
MISSING = f"DINOv2 weights are missing: {next(iter(FILES))} belongs into the folder `dinov2` of the data root"
SIDE = 224  #: pixels an image is resized to
PATCH = 14
MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  #: of ImageNet's channels, by which inputs are scaled
OFFSET = 0.1  #: added to the number of patches a side when positions are resampled, as the published net does
BATCH = 16


def locate_weights(data_root: Path) -> Path | None:
    """The weights file, or None. Raises `DataError` if BENCH_DINOV2 is set and names no such file."""
    if named := os.environ.get(VARIABLE):
        path = Path(named).expanduser()
        if not path.is_file() or path.name not in FILES:
            raise DataError(f"{VARIABLE} names {path}; must be a file that is there, called {' or '.join(FILES)}")
        return path
    return next((path for path in (data_root / "dinov2" / name for name in FILES) if path.is_file()), None)


def missing_message(data_root: Path) -> str:
    """What is missing, and what to put where by hand."""
    name = next(iter(FILES))
    folder = name.removesuffix("_pretrain.pth")
    place = data_root / "dinov2"
    return f"DINOv2 weights are missing; put {URL}/{folder}/{name} into {place}, or name it in {VARIABLE}"


class DINOv2:
    """Features of the class token of DINOv2, on one device.

    Raises `DataError` if `weights` is not a plain state dict of the net of its name; nothing in the file is executed.
    """

    def __init__(self, weights: Path, device: torch.device | str = "cpu") -> None:
        self.device = torch.device(device)
        self.name = f"{weights.name.removesuffix('_pretrain.pth')}-{weights_digest(weights)}"
        state = plain_weights(weights, missing_message(Path("DATA_ROOT")))
        state.pop("mask_token", None)  # of training
        try:
            state["pos_embed"] = resampled_positions(state["pos_embed"], SIDE // PATCH)
            self.net = create(FILES[weights.name])
            self.net.load_state_dict(state)
        except (KeyError, RuntimeError) as error:
            reason = str(error).split("\n", 1)[0]
            raise DataError(f"{weights} does not fit the net of its name ({reason}); {URL}") from error
        self.net.to(self.device).eval()

    @torch.no_grad()
    def features(self, images: Tensor) -> Tensor:
        """uint8 (N, C, H, W), C 1 (repeated) or 3 → float64 (N, F) on the host; in float32 inside."""
        if images.shape[1] not in (1, 3):
            raise NotApplicable(f"DINOv2 takes 1 or 3 channels, these images have {images.shape[1]}")
        with matmul_precision("fp32"):
            batches = [self.net(prepared(part).to(self.device)).cpu().double() for part in images.split(BATCH)]
        return torch.cat(batches)


def create(name: str) -> nn.Module:
    """timm's net for 224×224 pixels, whose output is the normed class token."""
    return timm.create_model(name, pretrained=False, img_size=SIDE, num_classes=0)


def prepared(images: Tensor) -> Tensor:
    """uint8 (B, C, H, W) → float32 (B, 3, 224, 224), resized by Pillow and scaled by ImageNet's mean and deviation."""
    rgb = images.cpu().expand(-1, 3, -1, -1).permute(0, 2, 3, 1).numpy()
    resized = [Image.fromarray(image).resize((SIDE, SIDE), Image.Resampling.BICUBIC) for image in rgb]
    pixels = torch.from_numpy(np.stack([np.asarray(image) for image in resized])).permute(0, 3, 1, 2).float() / 255
    mean, deviation = (torch.tensor(numbers)[:, None, None] for numbers in (MEAN, DEVIATION))
    return (pixels - mean) / deviation


def resampled_positions(positions: Tensor, side: int) -> Tensor:
    """The embedding of the class token and n×n patches, (1, 1 + n², D), for side×side patches."""
    token, patches = positions[:, :1], positions[:, 1:]
    n = round(patches.shape[1] ** 0.5)
    if n == side:
        return positions
    grid = patches.unflatten(1, (n, n)).permute(0, 3, 1, 2)
    grid = F.interpolate(grid, scale_factor=(side + OFFSET) / n, mode="bicubic", antialias=False)
    return torch.cat([token, grid.flatten(2).transpose(1, 2)], 1)
