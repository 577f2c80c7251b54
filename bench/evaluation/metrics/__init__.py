"""The contract of a metric: a pure function with its unit and direction declared on it.

One file per metric, one function under `@metric(...)`. The names of its parameters are the inputs that it needs; the
evaluation computes each input once for a cell (see `bench/evaluation/context/`). Pixels are in [0, 1] unless the table
says otherwise. Inputs are of the test split unless their name begins with `train_`.

| input | what it is |
|---|---|
| `images`, `reconstructions` | float32 (N, C, H, W); reconstructions decode μ |
| `train_images`, `train_reconstructions` | the same of a fixed random subset of at most 10,000 images trained on |
| `train_mean` | float32 (C, H, W): the mean of the images that the model was trained on |
| `corrupted_pixels` | bool (N, 1, H, W): the pixels that this column's corruption (`per="corruption"`) sets to 0 |
| `corrupted_images` | float32 (N, C, H, W): the test images under this column's corruption |
| `corrupted_reconstructions` | float32 (N, C, H, W): the reconstructions of the corrupted images |
| `labels`, `train_labels` | int64 (N,), (M,); only for train images of at least 2 classes |
| `factors`, `train_factors` | int64 (N, K), (M, K): the values of the K factors of variation that vary |
| `factor_categorical` | bool (K,): the factors whose values have no order |
| `factor_importances` | float64 (D, K): how important each code dimension is for a forest that predicts a factor |
| `factor_accuracies` | float64 (K,): accuracy of these forests, fitted to train codes, on test codes |
| `live_dimensions` | bool (D,): the code dimensions that differ between images, and whose posterior has not collapsed |
| `codes`, `train_codes` | float32 (N, D), (M, D): μ, or the deterministic code |
| `continuous_codes` | `codes`; there are none for a variant of discrete codes |
| `code_counts` | int64 (G, K): how often each of K symbols is used in each of G codebooks, over the test set |
| `code_log_prob` | float64 (n,): log-likelihood of a fixed random subset of `codes` under a fitted sampler |
| `knn_predictions` | int64 (N,): the most frequent label among the `knn_k` train codes nearest to a test code |
| `predicted_labels` | int64 (N,): the labels that the method's own classifier gives the test images |
| `clusters` | int64 (N,): k-means clusters of the test codes, as many as there are classes |
| `jacobian_norms` | float64 (n,): ‖∂z/∂x‖²_F of the encoder at a fixed random subset of at most 1,000 test images |
| `linear_map` | float32 (P, P): M with x̂ = M x; only where the whole model is one matrix |
| `varying_pixels` | bool (P,): whether a pixel differs between any two of the images trained on |
| `posterior_mean`, `posterior_log_var` | float32 (N, D); only where the posterior is a Gaussian |
| `posterior_draws` | float32 (n, D): one z ~ q(z|x) for each image of a fixed random subset |
| `drawn_mean`, `drawn_log_var` | float32 (n, D): the posterior of the same images |
| `nll` | float32 (N,): −log p(x|z) for one z ~ q(z|x), nats per image |
| `level_nll` | the same; only under a likelihood of the 256 levels of a pixel |
| `kl` | float32 (N,): KL(q(z|x) ‖ p(z)), nats per image, of weight 1; analytic, or of the draw that `nll` is of |
| `log_weights` | float32 (n, k): log p(x|z) + log p(z) − log q(z|x), k draws from q, n images: a fixed random subset |
| `samples` | uint8 (S, C, H, W), images generated through the sampler of this column (`per="sampler"`) |
| `sample_labels` | int64 (S,): the label each sample was decoded with, or that the model's classifier gives its code |
| `sample_logits` | float64 (S, K): class logits of the samples under the dataset's own classifier |
| `samples_covered` | bool (S,): whether a sample lies in the ball of a test image, in the classifier's features |
| `test_covered` | bool (N,): whether a test image lies in the ball of a sample |
| `samples_balls` | int64 (S,): the number of test images in whose ball of 5 neighbours a sample lies |
| `test_balls_hit` | bool (N,): whether a sample lies in the ball of 5 neighbours of a test image |
| `train_distance_test`, `train_distance_samples` | float64 (N,), (S,): distance to the nearest image trained on |
| `test_uint8` | uint8 (N, C, H, W), the test images |
| `classifier_test`, `classifier_samples` | float64 (N, F), (S, F): features of the dataset's own small classifier |
| `classifier_interpolations` | float64 (N, F): features of images decoded half-way between two test images' codes |
| `inception_test`, `inception_samples` | float64 (N, 2048), (S, 2048): pool features of the TF-2015 Inception-v3 |
| `dinov2_test`, `dinov2_samples` | float64 (N, F), (S, F): the class token of DINOv2 |
| `points`, `point_labels` | float32 (P, 2 or D), int64 (P,): a map of test codes, one per space (`per="space"`) |
| `points_source` | float32 (P, D), the test codes that `points` is a map of |
| `knn_k` | int, from the suite's protocol |
| `probe_codes`, `forest_codes` | "drawn at random" where the train codes of a fit are; None: they are evenly spaced |

`key` names what must agree before two values may be compared: `likelihood`, `binarisation`, `iw_k`, `knn_k`,
`classifier`, `inception` and `dinov2` (name and hash of the feature net), `perplexity` and `n_neighbors` (those used,
where they are not the protocol's because there are too few points), `probe_codes` and `forest_codes` (how train
codes are chosen, where they are not evenly spaced).

`beside` names what the reader of a value should know: `elbo_same_images`, `quantity` ("cross-entropy bound" where a
bound is none of a log-likelihood), `classifier_accuracy`, `caution` (why a value is not to be trusted), `map` (the
library that made a map, with its version), `forest` (the same of a forest).

`clusters`, `nll`, `level_nll`, `points` and `posterior_draws` are single random draws. A value that depends on one of
them is computed for a few further draws as well; their standard deviation is recorded as `evaluation_sd`, the number
of draws as `evaluation_draws`. It says how much of the spread over training seeds is the evaluation's own. Maps are
drawn again for training seed 0 only.

Some metrics average over draws that are the same for every cell: `knn_accuracy_100`, `_600` and `_1000`,
`factor_vae_score`. Their `evaluation_sd` is of the mean, and it is in no interval over training seeds.

A metric may return an `Estimate`, a number with further numbers that are recorded in the value's entry: the interval of
a fit, or the standard deviation over the draws that it averages.

An input that does not exist for a model or dataset raises `NotApplicable`; its message is recorded in place of a value.
"""

from collections.abc import Callable
from dataclasses import dataclass
from inspect import signature
from typing import Any


class Estimate(float):
    """A value with what its computation says about it: `about` is recorded in the value's entry.

    >>> Estimate(0.5, evaluation_sd=0.1).about
    {'evaluation_sd': 0.1}
    """

    about: dict[str, float]

    def __new__(cls, value: float, **about: float) -> "Estimate":
        """The number `value` with further numbers by name."""
        self = super().__new__(cls, value)
        self.about = {name: number if isinstance(number, int) else float(number) for name, number in about.items()}
        return self


@dataclass(frozen=True)
class Metric:
    """A metric function and what is declared on it.

    title: the full name. symbol: the short name in tables and figures.
    unit: of the number. better: "lower", "higher" or "none".
    per: None for one value a cell; "sampler", "space" or "corruption" for one value of each, named `<metric>_<member>`.
    counts: the argument whose length is the `n` recorded beside the value.
    key: inputs recorded in `key` of the value's entry, which must agree before two values may be compared.
    cite: key of the entry in bench/references.bib.
    beside: inputs recorded in the value's entry for the reader, under their own names.
    version: raised when the definition changes; older values are then computed again.
    """

    name: str
    function: Callable[..., float]
    unit: str
    better: str
    counts: str
    per: str | None = None
    key: tuple[str, ...] = ()
    title: str = ""
    symbol: str = ""
    reference: str = ""
    cite: str = ""
    version: int = 1
    beside: tuple[str, ...] = ()

    @property
    def needs(self) -> tuple[str, ...]:
        """Names of the inputs the function takes."""
        return tuple(signature(self.function).parameters)

    def __call__(self, *args: Any, **kwargs: Any) -> float:
        return self.function(*args, **kwargs)


def metric(
    *,
    title: str = "",
    symbol: str = "",
    unit: str,
    better: str,
    counts: str,
    per: str | None = None,
    key: tuple[str, ...] = (),
    reference: str = "",
    cite: str = "",
    version: int = 1,
    beside: tuple[str, ...] = (),
) -> Callable[[Callable[..., float]], Metric]:
    """Declare a metric. All keywords must be literals: the registry reads them without importing torch."""
    assert better in ("lower", "higher", "none"), better
    assert per in (None, "sampler", "space", "corruption"), per

    def declare(function: Callable[..., float]) -> Metric:
        name = function.__module__.rsplit(".", 1)[-1]
        return Metric(name, function, unit, better, counts, per, key, title, symbol, reference, cite, version, beside)

    return declare
