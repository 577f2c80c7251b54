"""Tensors as the flat arrays that compiled loops work on; numpy has no bfloat16.

Of contiguous tensors they are the memory itself, of others a copy.
"""

import numpy as np
import torch
from torch import Tensor


def flat(values: Tensor) -> np.ndarray:
    """float32 as it is, bfloat16 as uint16."""
    return _numbers(values).view(np.uint16) if values.dtype == torch.bfloat16 else _numbers(values)


def words(values: Tensor) -> np.ndarray:
    """float32 as it is, bfloat16 as uint32: two that lie side by side in one."""
    if values.dtype != torch.bfloat16:
        return _numbers(values)
    return _numbers(values.clone() if values.storage_offset() % 2 else values).view(np.uint32)  # words do not lie askew


def _numbers(values: Tensor) -> np.ndarray:
    """float32, or 16 bits; each of these calls takes half a microsecond, so none is made for nothing."""
    if values.requires_grad:
        values = values.detach()
    if not values.is_contiguous():
        values = values.contiguous()
    if values.dtype == torch.bfloat16:
        values = values.view(torch.int16)
    return values.numpy().reshape(-1)
