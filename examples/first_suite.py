# %% [markdown]
# # A first suite
#
# Does a VAE reconstruct worse than an autoencoder of the same size? Three seeds of each on scikit-learn's digits.

# %%
import torch

import bench

suite = {
    "title": "Does a VAE reconstruct worse than an autoencoder of the same size?",
    "grid": {
        "datasets": ["digits"],
        "variants": ["ae", "vae"],
        "nets": [{"name": "mlp", "hidden": [64]}],
        "latent_sizes": [2],
        "seeds": 3,
    },
    "train": {"epochs": 5, "batch_size": 64},
    "evaluate": {"embed": {"methods": []}},
    "metrics": ["mse", "elbo", "knn_accuracy"],
}

# %% [markdown]
# `run` trains what is not there yet. Run the cell again: nothing is computed twice.

# %%
frame = bench.run(suite, name="first")
print(frame[["label", "seed", "mse", "elbo", "knn_accuracy"]])

# %% [markdown]
# The comparison table has the mean over seeds with a 95 % t-interval. Bold (here between asterisks) is the best method,
# and all that are not surely worse.

# %%
print(bench.table("first", columns="metric"))

# %% [markdown]
# A trained model encodes and generates.

# %%
model = bench.load_model(frame["id"][0])
images = model.generate(torch.randn(16, 2))
print(images.shape)
