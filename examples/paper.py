# %% [markdown]
# # From results to a paper's table and figure
#
# A suite with two methods, two sizes and three seeds, its table as LaTeX, and a figure from the same records.

# %%
from pathlib import Path

import matplotlib.pyplot as plt
from bench.report.figures import write_figures

import bench

suite = {
    "title": "Two methods at two sizes of the code",
    "grid": {
        "datasets": ["digits"],
        "variants": ["ae", {"name": "beta_vae", "beta": 4, "label": "β-VAE"}],
        "nets": [{"name": "mlp", "hidden": [64]}],
        "latent_sizes": [2, 8],
        "seeds": 3,
    },
    "train": {"epochs": 3, "batch_size": 64},
    "evaluate": {"embed": {"methods": []}},
    "metrics": ["mse", "knn_accuracy"],
}
frame = bench.run(suite, name="paper")

# %% [markdown]
# ## The table
#
# It fits one column. Its note says how it was measured. `bench verify --table` checks a pasted copy later.

# %%
latex = bench.table(
    "paper", ["mse", "knn_accuracy"], "latex", columns="metric", rows="label,latent_size", width="column"
)
Path("table.tex").write_text(latex, encoding="utf-8")
print(latex)

# %% [markdown]
# ## Figures
#
# `write_figures` makes figures with captions. The same numbers as a DataFrame go into a figure of yours.

# %%
write_figures(Path("results"), Path("figures"), ["paper"])

# %%
values = bench.table("paper", "mse", "frame", rows="label", columns="latent_size")
fig, axes = plt.subplots(figsize=(3.4, 2.4), layout="constrained")
for label, rows in values.groupby("label"):
    axes.errorbar(rows["latent_size"], rows["mean"], rows["half_width"], label=label, capsize=2, marker="o")
axes.set(xlabel="latent size", ylabel="MSE", yscale="log")
axes.legend()
fig.savefig("mse.pdf")
