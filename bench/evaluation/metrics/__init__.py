"""The contract of a metric: a pure function with its unit and direction declared on it.

One file per metric, one function under `@metric(...)`. The function's parameter names say what it needs; the
evaluation makes each such artefact once, when the first metric asks for it (see `context.py`). Pixels are in
[0, 1] unless an artefact's name says otherwise; everything is taken on the test split unless it says `train_`.

| artefact | what it is |
|---|---|
| `images`, `reconstructions` | float32 (N, C, H, W); reconstructions decode μ |
| `train_images`, `train_reconstructions` | the same of a fixed subset of at most 10,000 images trained on |
| `train_mean` | float32 (C, H, W): the mean of the images that the model was trained on |
| `corrupted_pixels` | bool (N, 1, H, W): where this column's corruption (`per="corruption"`) sets an image to 0 |
| `corrupted_images` | float32 (N, C, H, W): what the model is shown under this column's corruption |
| `corrupted_reconstructions` | float32 (N, C, H, W): what it makes of them |
| `labels`, `train_labels` | int64 (N,), (M,) |
| `codes`, `train_codes` | float32 (N, D), (M, D): μ, or the deterministic code |
| `knn_predictions` | int64 (N,): the label that the `knn_k` train codes nearest to a test code vote for |
| `jacobian_norms` | float64 (n,): ‖∂z/∂x‖²_F of the encoder at a fixed subset of at most 1,000 test images |
| `linear_map` | float32 (P, P): M with x̂ = M x; only where the whole model is one matrix |
| `varying_pixels` | bool (P,): whether a pixel differs between any two of the images trained on |
| `posterior_mean`, `posterior_log_var` | float32 (N, D); only where there is a posterior |
| `nll` | float32 (N,): −log p(x|z) for one z ~ q(z|x), nats per image |
| `kl` | float32 (N,): analytic KL(q(z|x) ‖ N(0, I)), nats per image, of weight 1 whatever the model trained with |
| `log_weights` | float32 (n, k): log p(x|z) + log p(z) − log q(z|x) for k draws from q, first n test images |
| `samples` | uint8 (S, C, H, W), images generated through the sampler of this column (`per="sampler"`) |
| `sample_labels` | int64 (S,): the label each sample was given, or that the model itself reads off its code |
| `sample_logits` | float64 (S, K): class logits of the samples under the dataset's own classifier |
| `samples_covered` | bool (S,): whether a sample lies in the ball of a test image, in the classifier's features |
| `test_covered` | bool (N,): whether a test image lies in the ball of a sample |
| `test_uint8` | uint8 (N, C, H, W), the test images |
| `classifier_test`, `classifier_samples` | float64 (N, F), (S, F): features of the dataset's own small classifier |
| `classifier_interpolations` | float64 (N, F): features of images decoded half-way between two test images' codes |
| `inception_test`, `inception_samples` | float64 (N, 2048), (S, 2048): pool features of the TF-2015 Inception-v3 |
| `points`, `point_labels` | float32 (P, 2 or D), int64 (P,): a map of test codes, one per space (`per="space"`) |
| `points_source` | float32 (P, D), the test codes that `points` is a map of |
| `knn_k` | int, from the suite's protocol |

Recorded beside a value when a metric's `key` names them, so that nothing is compared that may not be: `likelihood`,
`binarisation`, `iw_k`, `knn_k`, `classifier` and `inception` (name and hash of the feature net), `map` (how a map is
made, where bench has made it otherwise before).

An artefact that does not exist for a model raises `NotApplicable`; its words stand in the table instead of a number.
"""

from collections.abc import Callable
from dataclasses import dataclass
from inspect import signature
from typing import Any


@dataclass(frozen=True)
class Metric:
    """A metric function and what is declared on it.

    title: the full name. symbol: the short name in tables and figures.
    unit: what the number is counted in. better: "lower", "higher" or "none".
    per: None for one value a cell; "sampler", "space" or "corruption" for one value of each, named `<metric>_<member>`.
    counts: the argument whose length is the `n` recorded beside the value.
    key: artefacts recorded beside the value that must agree before two values may be compared.
    cite: key of the entry in bench/references.bib.
    version: raised when the definition changes; older values are then computed anew.
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

    @property
    def needs(self) -> tuple[str, ...]:
        """Names of the artefacts the function takes."""
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
) -> Callable[[Callable[..., float]], Metric]:
    """Declare a metric. All keywords must be literals: the registry reads them without importing torch."""
    assert better in ("lower", "higher", "none"), better
    assert per in (None, "sampler", "space", "corruption"), per

    def declare(function: Callable[..., float]) -> Metric:
        name = function.__module__.rsplit(".", 1)[-1]
        return Metric(name, function, unit, better, counts, per, key, title, symbol, reference, cite, version)

    return declare
