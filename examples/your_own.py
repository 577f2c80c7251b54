# %% [markdown]
# # Your own data and your own method
#
# Images in memory take part in a suite under a name of your own. A model that you trained yourself is measured by the
# same protocol.

# %%
import numpy as np
import torch
from torch import nn

import bench

# %% [markdown]
# ## Data
#
# 8 × 8 images with a bright stripe; the class is the direction of the stripe.

# %%
rng = np.random.default_rng(0)


def stripes(n: int) -> tuple[np.ndarray, np.ndarray]:
    """n images (n, 8, 8) in [0, 1] and their labels (n,)."""
    labels, position = rng.integers(0, 2, n), rng.integers(0, 8, n)
    images = rng.random((n, 8, 8)) * 0.2
    for image, label, at in zip(images, labels, position, strict=True):
        image[(at, slice(None)) if label else (slice(None), at)] = 1
    return images, labels


data = bench.Data.from_arrays(*stripes(400), *stripes(100), classes=["vertical", "horizontal"])

# %%
suite = {
    "title": "Stripes",
    "grid": {"datasets": ["stripes"], "variants": ["vae", "pca"], "latent_sizes": [4], "seeds": 3},
    "train": {"epochs": 5, "batch_size": 50},
    "evaluate": {"embed": {"methods": []}},
    "metrics": ["mse", "knn_accuracy"],
}
frame = bench.run(suite, datasets={"stripes": data}, name="stripes")

# %% [markdown]
# ## A model of your own
#
# Any object with `encode` and `decode` can be measured. Here a small autoencoder in plain PyTorch.


# %%
class Autoencoder(nn.Module):
    """Two linear layers each way."""

    def __init__(self) -> None:
        super().__init__()
        self.encode = nn.Sequential(nn.Flatten(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 4))
        self.decode = nn.Sequential(nn.Linear(4, 64), nn.ReLU(), nn.Linear(64, 64), nn.Sigmoid())


torch.manual_seed(0)
mine = Autoencoder()
optimiser = torch.optim.Adam(mine.parameters(), lr=1e-2)
x = data.train.images.float() / 255
for _ in range(100):
    loss = (mine.decode(mine.encode(x)) - x.flatten(1)).square().mean()
    optimiser.zero_grad()
    loss.backward()
    optimiser.step()

# %%
found = bench.evaluate(mine, data, ["mse", "knn_accuracy", "elbo"])
for name, entry in found.items():
    print(name, entry["reason"] if entry["value"] is None else entry["value"])

# %% [markdown]
# `bench score --model my_file.py:load --suite stripes ...` puts such a row into the tables of a suite. A method that
# the suite shall train is one file: see *Add your own* in the documentation.
