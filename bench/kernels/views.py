"""Tensors as the flat arrays that compiled loops work on; numpy has no bfloat16.

Of contiguous tensors they are the memory itself, of others a copy.
"""

import numpy as np
import torch
from torch import Tensor


def flat(values: Tensor) -> np.ndarray:
    """float32 as it is, bfloat16 as uint16; each of these calls takes half a microsecond: none is made for nothing."""
    if values.requires_grad:
        values = values.detach()
    if not values.is_contiguous():  # numpy would take every other number as it lies, in strides
        values = values.contiguous()
    if values.dtype == torch.bfloat16:
        values = values.view(torch.uint16)
    return values.numpy().reshape(-1)


def words(values: Tensor) -> np.ndarray:
    """float32 as it is, bfloat16 as uint32: two that lie side by side in one."""
    if values.dtype != torch.bfloat16:
        return flat(values)
    return flat(values.clone() if values.storage_offset() % 2 else values).view(np.uint32)  # words do not lie askew
