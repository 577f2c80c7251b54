"""fp32 means fp32: on every device, in training and in evaluation, unless a suite declares otherwise."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor


@contextmanager
def matmul_precision(name: str) -> Iterator[None]:
    """Matrix products and convolutions in TF32 only for "tf32"; torch's own default allows it for convolutions."""
    matmul, cudnn = torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32
    torch.set_float32_matmul_precision("high" if name == "tf32" else "highest")
    torch.backends.cudnn.allow_tf32 = name == "tf32"
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(matmul)
        torch.backends.cudnn.allow_tf32 = cudnn


def autocast(device: torch.device, half: bool) -> torch.autocast:
    """bf16 inside nets, float32 parameters. Opened anew for each step: it keeps copies of weights until it closes."""
    return torch.autocast(device.type, torch.bfloat16, enabled=half)


def double(values: Tensor) -> Tensor:
    """float64, on the same device where that has float64 (Apple's GPUs do not)."""
    return values.cpu().double() if values.device.type == "mps" else values.double()
