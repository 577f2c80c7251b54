"""Any image encoder of timm, with the convolutional decoder of `conv`; written `timm/<model>` in a suite.

Untrained weights, since this suite compares objectives and not pre-training. Every batch normalisation, of whatever
dimensions, is replaced by group normalisation with the same activation: its running statistics couple the images of a
batch, cannot be stacked over seeds, and leave a last batch of one image without a variance.
"""

from typing import Any

import timm
import torch
from timm.layers import BatchNormAct2d, GroupNormAct
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from bench.errors import UsageError, did_you_mean
from bench.models.seeding import part

from . import Net, Size
from .conv import ConvDecoder

GROUPS = 8  #: per group normalisation, or fewer where the channels do not divide


class Timm(Net):
    """`model`: a timm model name, such as `resnet18`. `channels`: width of the decoder's last stage."""

    title = "Encoder of timm"
    symbol = "timm"
    reference = "Wightman, PyTorch Image Models, 2019, https://github.com/huggingface/pytorch-image-models"
    min_size = 8
    max_size = 256

    def __init__(self, size: Size, *, model: str, channels: int = 32) -> None:
        """Raises `UsageError` for a name that timm does not have, and for images that the model cannot take."""
        super().__init__(size)
        if not timm.is_model(model):
            raise UsageError(f"unknown timm model {model!r}{did_you_mean(model, timm.list_models(), 'models')}")
        with part("encoder"):
            self.encoder = _encoder(model, size.encoder_shape, size.heads * size.latent_size)
        with part("decoder"):
            self.decoder = ConvDecoder(size.shape, size.code_size, channels)


def _encoder(model: str, shape: tuple[int, int, int], out: int) -> nn.Module:
    """The encoder without batch normalisation. Raises `UsageError` unless it encodes one image of this shape."""
    height, width = shape[1:]
    try:
        encoder = _without_batch_norm(_create(model, shape, out))
        with torch.no_grad(), torch.random.fork_rng(devices=[]):
            encoder(torch.zeros(1, *shape))
    except (RuntimeError, ValueError, AssertionError, IndexError, ZeroDivisionError) as error:
        reason = str(error).strip().split("\n", 1)[0] or type(error).__name__
        raise UsageError(f"timm/{model} takes no images of {height}×{width} pixels: {reason}") from error
    return encoder


def _create(model: str, shape: tuple[int, int, int], out: int) -> nn.Module:
    c, h, w = shape
    config = timm.get_pretrained_cfg(model)
    # Models with a fixed grid (transformers) take the image size; the others fit any size and refuse the argument.
    extra: dict[str, Any] = {"img_size": (h, w)} if config is not None and config.fixed_input_size else {}
    return timm.create_model(model, pretrained=False, in_chans=c, num_classes=out, **extra)


def _without_batch_norm(module: nn.Module) -> nn.Module:
    for name, child in module.named_children():
        if isinstance(child, BatchNormAct2d):
            norm: nn.Module = GroupNormAct(child.num_features, _groups(child.num_features))
            norm.drop, norm.act = child.drop, child.act
            setattr(module, name, norm)
        elif isinstance(child, nn.BatchNorm1d):
            features = child.num_features  # of one vector: a group of one number would be normalised to 0
            setattr(module, name, nn.GroupNorm(_groups(features, min(GROUPS, features // 2)), features))
        elif isinstance(child, _BatchNorm):
            setattr(module, name, nn.GroupNorm(_groups(child.num_features), child.num_features))
        else:
            _without_batch_norm(child)
    return module


def _groups(features: int, most: int = GROUPS) -> int:
    return next(g for g in range(max(1, min(most, features)), 0, -1) if features % g == 0)
