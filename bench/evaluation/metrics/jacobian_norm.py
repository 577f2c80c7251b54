"""How much the code moves when the image does: mean squared norm of the encoder's Jacobian at test images.

    norm = mean_n ‖∂z/∂x (x_n)‖²_F

`jacobian_norms` (n,), for at most 1,000 test images: a fixed subset. Exact up to 64 latent dimensions; above
that estimated without bias from 32 random sign vectors an image (Hutchinson), which moves the mean by less
than 1 %. Squared code units per squared pixel value; μ where there is a posterior.

Not scale-free: halving the codes quarters it, and a decoder can undo that. Compare at like reconstruction
error.
"""

from torch import Tensor

from . import metric


@metric(
    title="Jacobian norm of the encoder",
    symbol="Jacobian norm",
    unit="squared code units per squared pixel value",
    better="none",
    counts="jacobian_norms",
    reference="Rifai et al., Contractive Auto-Encoders: Explicit Invariance During Feature Extraction, ICML 2011, "
    "https://icml.cc/2011/papers/455_icmlpaper.pdf",
    cite="rifai2011contractive",
)
def jacobian_norm(jacobian_norms: Tensor) -> float:
    return jacobian_norms.cpu().double().mean().item()
