"""The same layers and the same Adam, computed the way that is faster on this machine's CPU.

    with faster_layers(model, device):
        ...  # large nn.Linear, strided convolutions and the Bernoulli likelihood take the faster kernel

Which form is faster is measured, once a machine, and the answer kept in the user's cache folder (`choice`), so that
the same cell run twice takes the same path and gives the same bits. The layers' forms differ by rounding (1e-6 relative
in float32).
Under `torch.func` transforms, in other precisions than float32 and bfloat16, and on any device but the CPU, PyTorch's
own path is taken.
"""

from . import operators, pixels
from .adam import FusedAdam
from .choice import chosen, is_known, processor
from .layers import faster_layers

__all__ = ["FusedAdam", "chosen", "faster_layers", "is_known", "operators", "pixels", "processor"]
