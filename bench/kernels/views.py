"""Tensors as the flat arrays that compiled loops work on; numpy has no bfloat16.

Of contiguous tensors they are the memory itself, of others a copy.
"""

import numpy as np
import torch
from torch import Tensor


def flat(values: Tensor) -> np.ndarray:
    """float32 as it is, bfloat16 as uint16."""
    values = values.detach().contiguous().reshape(-1)
    return values.numpy() if values.dtype == torch.float32 else values.view(torch.int16).numpy().view(np.uint16)


def words(values: Tensor) -> np.ndarray:
    """float32 as it is, bfloat16 as uint32: two that lie side by side in one."""
    values = values.detach().contiguous().reshape(-1)
    return values.numpy() if values.dtype == torch.float32 else values.view(torch.int32).numpy().view(np.uint32)
