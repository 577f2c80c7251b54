"""The contract of a metric: a pure function with its unit and direction declared on it.

One file per metric, one function under `@metric(...)`. The function's parameter names say what it needs; the
evaluation makes each such artefact once, when the first metric asks for it (see `bench/artefacts.py`). Pixels are in
[0, 1] unless an artefact's name says otherwise; everything is taken on the test split unless it says `train_`.

| artefact | what it is |
|---|---|
| `images`, `reconstructions` | float32 (N, C, H, W); reconstructions decode μ |
| `labels`, `train_labels` | int64 (N,), (M,) |
| `codes`, `train_codes` | float32 (N, D), (M, D): μ, or the deterministic code |
| `posterior_mean`, `posterior_log_var` | float32 (N, D); only where there is a posterior |
| `nll` | float32 (N,): −log p(x|z) for one z ~ q(z|x), nats per image |
| `kl` | float32 (N,): analytic KL(q(z|x) ‖ N(0, I)), nats per image, of weight 1 whatever the model trained with |
| `log_weights` | float32 (n, k): log p(x|z) + log p(z) − log q(z|x) for k draws from q, first n test images |
| `samples` | uint8 (S, C, H, W), images generated through the sampler of this column (`per="sampler"`) |
| `test_uint8` | uint8 (N, C, H, W), the test images |
| `classifier_test`, `classifier_samples` | float64 (N, F), (S, F): features of the dataset's own small classifier |
| `inception_test`, `inception_samples` | float64 (N, 2048), (S, 2048): pool features of the TF-2015 Inception-v3 |
| `points`, `point_labels` | float32 (P, 2 or D), int64 (P,): a map of test codes, one per space (`per="space"`) |
| `points_source` | float32 (P, D), the test codes that `points` is a map of |
| `knn_k` | int, from the suite's protocol |

Recorded beside a value when a metric's `key` names them, so that nothing is compared that may not be: `likelihood`,
`binarisation`, `iw_k`, `knn_k`, `classifier` and `inception` (name and hash of the feature net).

An artefact that does not exist for a model raises `NotApplicable`; its words stand in the table instead of a number.
"""

from collections.abc import Callable
from dataclasses import dataclass
from inspect import signature
from typing import Any


@dataclass(frozen=True)
class Metric:
    """A metric function and what is declared on it.

    unit: what the number is counted in. better: "lower", "higher" or "none".
    per: None for one value a cell; "sampler" or "space" for one value a sampler or a space, named `<metric>_<member>`.
    counts: the argument whose length is the `n` recorded beside the value.
    key: artefacts recorded beside the value that must agree before two values may be compared.
    version: raised when the definition changes; older values are then computed anew.
    """

    name: str
    function: Callable[..., float]
    unit: str
    better: str
    counts: str
    per: str | None = None
    key: tuple[str, ...] = ()
    reference: str = ""
    version: int = 1

    @property
    def needs(self) -> tuple[str, ...]:
        """Names of the artefacts the function takes."""
        return tuple(signature(self.function).parameters)

    def __call__(self, *args: Any, **kwargs: Any) -> float:
        return self.function(*args, **kwargs)


def metric(
    *,
    unit: str,
    better: str,
    counts: str,
    per: str | None = None,
    key: tuple[str, ...] = (),
    reference: str = "",
    version: int = 1,
) -> Callable[[Callable[..., float]], Metric]:
    """Declare a metric. All keywords must be literals: the registry reads them without importing torch."""
    assert better in ("lower", "higher", "none"), better
    assert per in (None, "sampler", "space"), per

    def declare(function: Callable[..., float]) -> Metric:
        name = function.__module__.rsplit(".", 1)[-1]
        return Metric(name, function, unit, better, counts, per, key, reference, version)

    return declare
