"""The evaluation of a cell as one writes it by hand: the libraries' own functions, one after the other, on everything.

One process with all threads. scikit-learn's t-SNE, nearest neighbours, silhouettes, k-means, logistic regression and
trustworthiness, umap-learn, and torch-fidelity's `calculate_metrics` for each sampler; bounds in a loop over images. It
shares with bench what both sides must have alike: codes, reconstructions and generated images come from the same lines.
Not made by hand, although the full set has them: SSIM, and precision, recall and Fréchet distances in the features of
the dataset's classifier.
"""

import math
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from bench.datasets import Data
from bench.datasets._splits import to_float
from bench.errors import NotApplicable
from bench.evaluation.context import Artefacts, Rulers
from bench.models.likelihoods import gaussian_kl, gaussian_log_prob, reparametrise
from bench.suite import Cell

BATCH = 100  #: images of a step of the loops


class Naive:
    """The pipeline on one trained model. `seconds` and `cpu` fill as its parts are run, `values` with what came out."""

    def __init__(self, model: Any, data: Data, cell: Cell) -> None:
        self.model, self.data, self.cell = model, data, cell
        self.made = Artefacts(model, data, cell, Rulers(_none, _none), torch.device("cpu"))
        self.seconds: dict[str, float] = {}
        self.cpu: dict[str, float] = {}
        self.values: dict[str, float] = {}

    def run(self, maps: tuple[str, ...] = ("tsne", "umap")) -> None:
        """Everything but Inception."""
        warnings.simplefilter("ignore")  # the libraries' notes on convergence and threads
        points = {"latent": self.timed("codes", self.codes)}
        self.timed("reconstructions", self.reconstructions)
        self.timed("bounds", self.bounds)
        self.timed("samples", lambda: [self.made.get("samples", s) for s in self.cell.evaluate.samplers])
        self.timed("knn", self.knn)
        self.timed("probe", self.probe)
        self.timed("kmeans", self.kmeans)
        for name in maps:
            points[name] = self.timed(name, lambda name=name: self.map(name))  # type: ignore[misc]
        self.timed("silhouettes", lambda: self.silhouettes(points))
        self.timed("trustworthiness", lambda: self.trustworthiness(points))

    def timed(self, name: str, part: Callable[[], Any]) -> Any:
        """Run a part; its wall and CPU seconds are kept under `name`."""
        wall, cpu = time.perf_counter(), time.process_time()
        with torch.no_grad():
            found = part()
        self.seconds[name], self.cpu[name] = time.perf_counter() - wall, time.process_time() - cpu
        return found

    def codes(self) -> np.ndarray:
        self.train, self.test = (self.made.get(name).numpy() for name in ("train_codes", "codes"))
        self.y_train, self.y = self.made.get("train_labels").numpy(), self.made.get("labels").numpy()
        return self.test

    def reconstructions(self) -> None:
        error = (self.made.get("images") - self.made.get("reconstructions")).square().flatten(1).mean(1)
        self.values |= {"mse": error.mean().item(), "psnr": (-10 * error.clamp_min(1e-10).log10()).mean().item()}

    def bounds(self) -> None:
        images, posterior = to_float(self.data.test.images), self.model.posterior
        elbo = []
        for x in images.split(BATCH):
            q = posterior(x, None)
            z = reparametrise(q.mean, q.log_var, torch.randn_like(q.mean))
            elbo.append(-self.model.likelihood.nll(self.model.decode(z, None), x) - gaussian_kl(q.mean, q.log_var))
        bound = [self.weighted(x) for x in images[: self.cell.evaluate.iw_images].split(1)]
        self.values |= {"elbo": torch.cat(elbo).mean().item(), "iw_bound": float(np.mean(bound))}

    def weighted(self, x: Tensor) -> float:
        """The importance-weighted bound of one image."""
        q, k = self.model.posterior(x, None), self.cell.evaluate.iw_samples
        z = reparametrise(q.mean, q.log_var, torch.randn(k, q.mean.shape[1]))
        prior = gaussian_log_prob(z, torch.zeros_like(z), torch.zeros_like(z))
        likelihood = -self.model.likelihood.nll(self.model.decode(z, None), x.expand(k, -1, -1, -1))
        weights = prior + likelihood - gaussian_log_prob(z, q.mean, q.log_var)
        return weights.logsumexp(0).item() - math.log(k)

    def knn(self) -> None:
        from sklearn.neighbors import KNeighborsClassifier

        found = KNeighborsClassifier(self.cell.evaluate.knn_k, n_jobs=-1).fit(self.train, self.y_train)
        self.values["knn_accuracy"] = float(found.score(self.test, self.y))

    def probe(self) -> None:
        from sklearn.linear_model import LogisticRegression
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import StandardScaler

        found = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000)).fit(self.train, self.y_train)
        self.values["linear_probe"] = float(found.score(self.test, self.y))

    def kmeans(self) -> None:
        from sklearn.cluster import KMeans
        from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score

        classes = len(self.data.classes)
        clusters = KMeans(classes, n_init=10, random_state=0).fit_predict(self.test.astype(np.float64))
        self.values["kmeans_nmi"] = float(normalized_mutual_info_score(self.y, clusters))
        self.values["kmeans_ari"] = float(adjusted_rand_score(self.y, clusters))

    def map(self, name: str) -> np.ndarray:
        embed = self.cell.evaluate.embed
        if name == "tsne":
            from sklearn.manifold import TSNE

            return TSNE(perplexity=embed.perplexity, random_state=embed.seed, n_jobs=-1).fit_transform(self.test)
        from umap import UMAP

        mapper = UMAP(n_neighbors=embed.n_neighbors, min_dist=embed.min_dist, random_state=embed.seed)
        return mapper.fit_transform(self.test)

    def silhouettes(self, points: dict[str, np.ndarray]) -> None:
        from sklearn.metrics import silhouette_score

        for name, p in points.items():
            self.values[f"silhouette_{name}"] = float(silhouette_score(p, self.y))

    def trustworthiness(self, points: dict[str, np.ndarray]) -> None:
        from sklearn.manifold import trustworthiness

        for name in points.keys() - {"latent"}:
            self.values[f"trustworthiness_{name}"] = float(trustworthiness(self.test, points[name], n_neighbors=5))

    def inception(self, weights: Path) -> None:
        """torch-fidelity on the samples of each sampler, the test images as the second input every time."""
        for sampler in self.cell.evaluate.samplers:
            samples = self.made.get("samples", sampler)  # their seconds are counted by `run`
            self.timed(f"inception_{sampler}", lambda s=samples, n=sampler: self.fidelity(weights, s, n))  # type: ignore[misc]

    def fidelity(self, weights: Path, samples: Tensor, sampler: str) -> None:
        import torch_fidelity

        real, size = self.data.test.images, min(1000, len(samples), len(self.data.test))
        found = torch_fidelity.calculate_metrics(
            input1=_Images(samples), input2=_Images(real), fid=True, kid=True, prc=True, kid_subset_size=size,
            feature_extractor="inception-v3-compat", feature_extractor_weights_path=str(weights), cuda=False,
            save_cpu_ram=True, cache=False, verbose=False,
        )  # fmt: skip
        self.values[f"fid_{sampler}"] = found["frechet_inception_distance"]
        self.values[f"kid_{sampler}"] = found["kernel_inception_distance_mean"]


class _Images(Dataset):
    """uint8 images (N, 1 or 3, H, W) as torch-fidelity takes them."""

    def __init__(self, images: Tensor) -> None:
        self.images = images.cpu().expand(-1, 3, -1, -1)

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> Tensor:
        return self.images[index]


def _none() -> Any:
    raise NotApplicable("not by hand")
