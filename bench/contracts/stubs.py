"""`bench new`: a file for each kind of plugin that fulfils its contract and is meant to be changed."""

import keyword
from pathlib import Path

from bench import plugins, registry
from bench.errors import UsageError


def write_stub(kind: str, name: str, folder: Path) -> Path:
    """Write `folder/variants/NAME.py` or its like. kind: singular.

    Raises `UsageError` for a name that cannot be one, is a built-in component's, or is taken.
    """
    if not plugins.NAME.fullmatch(name) or keyword.iskeyword(name):
        raise UsageError(f"{name!r} cannot be a name: letters, digits and _ only, a letter first, no word of Python")
    registry.activate(())
    if name in registry.names(f"{kind}s"):
        raise UsageError(f"{name!r} is a built-in {kind}; choose another name")
    path = folder / f"{kind}s" / f"{name}.py"
    if path.exists():
        raise UsageError(f"{path} is there already")
    path.parent.mkdir(parents=True, exist_ok=True)
    title = name.replace("_", " ").capitalize()
    symbol = "".join(part.capitalize() for part in name.split("_"))
    text = STUBS[kind].replace("TITLE", title).replace("CLASS", symbol).replace("NAME", name)
    path.write_text(text, encoding="utf-8")
    return path


STUBS = {
    "variant": '''"""TITLE: a VAE whose KL divergence has the weight w.

    loss = −log p(x|z) + w · KL(q(z|x) ‖ N(0, I))      nats per image

Reference: yours
"""

from torch import Tensor

from bench.models.likelihoods import Likelihood, gaussian_kl, reparametrise
from bench.models.nets import Net
from bench.models.variants.vae import VAE


class CLASS(VAE):
    title = "TITLE"
    symbol = "TITLE"
    reference = ""
    scalars = ("weight",)  # plain numbers in `forward`

    def __init__(self, net: Net, likelihood: Likelihood, *, weight: float = 0.5) -> None:
        super().__init__(net, likelihood)
        self.weight = weight

    def forward(self, x: Tensor, y: Tensor, noise: Tensor) -> dict[str, Tensor]:
        q = self.posterior(x)
        z = reparametrise(q.mean, q.log_var, noise)  # (B, D)
        rec = self.likelihood.nll(self.decode(z), x).mean()
        kl = self.weight * gaussian_kl(q.mean, q.log_var).mean()
        return {"loss": rec + kl, "rec": rec, "kl": kl}
''',
    "net": '''"""TITLE: one hidden layer each way."""

import torch
from torch import Tensor, nn

from bench.models.nets import Net, Size
from bench.models.seeding import part


class CLASS(Net):
    title = "TITLE"
    symbol = "TITLE"
    reference = ""

    def __init__(self, size: Size, *, width: int = 256) -> None:
        super().__init__(size)
        with part("encoder"):  # each half has its own stream of random numbers
            self.encoder = nn.Sequential(
                nn.Linear(size.pixels + size.encoder_given, width), nn.ReLU(),
                nn.Linear(width, size.heads * size.latent_size),
            )
        with part("decoder"):
            self.decoder = nn.Sequential(
                nn.Linear(size.code_size, width), nn.ReLU(),
                nn.Linear(width, size.pixels), nn.Unflatten(1, size.shape),
            )

    def encode(self, x: Tensor, given: Tensor | None = None) -> Tensor:
        x = x.flatten(1)
        return self.encoder(x if given is None else torch.cat([x, given], 1)).float()
''',
    "sampler": '''"""TITLE: a Gaussian with the mean and the variance of each code dimension."""

import numpy as np

from bench.models.samplers import Sampler


class CLASS(Sampler):
    title = "TITLE"
    symbol = "TITLE"
    reference = ""

    def fit(self, codes: np.ndarray, seed: int) -> None:
        self.mean, self.scale = codes.mean(0), codes.std(0)

    def sample(self, n: int, rng: np.random.Generator) -> np.ndarray:
        return self.mean + self.scale * rng.standard_normal((n, len(self.mean)))
''',
    "dataset": '''"""TITLE: 8×8 images of a bright row, whose place is the label."""

from pathlib import Path

import torch

from bench.datasets import Data, Dataset, to_split


class CLASS(Dataset):
    title = "TITLE"
    symbol = "TITLE"
    reference = ""
    channels = 1
    size = 8
    images = 800
    embedded = True  # False, with `missing` and `fetch`, for files under the data root
    source = "made by the file NAME.py"

    def where(self, root: Path) -> Path:
        return root

    def missing(self, root: Path) -> str | None:
        return None

    def fetch(self, root: Path) -> None:
        """Nothing to do."""

    def read(self, root: Path) -> Data:
        generator = torch.Generator().manual_seed(0)
        images = torch.randint(0, 60, (800, 1, 8, 8), generator=generator, dtype=torch.uint8)
        labels = torch.arange(800) % 8
        images[torch.arange(800), 0, labels] += 180
        train = to_split(images[:640], labels[:640], self.name)
        test = to_split(images[640:], labels[640:], self.name)
        return Data(self.name, train, test, tuple("01234567"), self.source)
''',
    "metric": '''"""TITLE: the largest absolute error of a pixel, averaged over the test images."""

from torch import Tensor

from bench.evaluation.metrics import metric


@metric(title="TITLE", symbol="TITLE", unit="1", better="lower", counts="images")
def NAME(images: Tensor, reconstructions: Tensor) -> float:
    return (images - reconstructions).abs().flatten(1).amax(1).mean().item()
''',
}
