"""Accuracy on test codes of a logistic regression fitted to train codes.

    accuracy = mean_n [argmax_c (W z_n + b)_c = y_n]
    W, b = argmin Σ_m cross-entropy(y_m, softmax(W z_m + b)) + ½ ‖W‖²

z are codes (μ where there is a posterior), standardised per dimension with mean and deviation of the train
codes. `train_codes` (M, D), `train_labels` (M,), of which at most 10,000, evenly spaced through the train
set; where this gives a class less than half of its share, as with labels in a regular order, a fixed random draw, and
`probe_codes` in the key says so. `codes` (N, D), `labels` (N,). A fraction. scikit-learn's multinomial regression,
C = 1: L-BFGS until no component of the gradient of the mean loss is above 1e-8; a fit that needs more than 10,000
iterations has no value.

It measures how well hyperplanes separate the classes. The standardisation scales a collapsed dimension up to noise of
variance 1, whose weight the penalty keeps small but not 0. Larger codes have more directions to separate along.
"""

import warnings

from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import Tensor

from bench.errors import NotApplicable
from bench.evaluation.neighbors import as_numpy
from bench.evaluation.subsets import PROBE_CODES, probe_subset

from . import metric

TOLERANCE = 1e-8  #: largest component of the gradient of the mean loss at which the fit ends
MOST_ITERATIONS = 10_000


@metric(
    title="Linear-probe accuracy of the codes",
    symbol="Linear probe",
    unit="fraction",
    better="higher",
    counts="codes",
    key=("probe_codes",),
    reference="Alain & Bengio, Understanding intermediate layers using linear classifier probes, 2016, "
    "https://arxiv.org/abs/1610.01644",
    cite="alain2016understanding",
    version=2,
)
def linear_probe(train_codes: Tensor, train_labels: Tensor, codes: Tensor, labels: Tensor) -> float:
    every = train_labels.cpu().numpy()
    used, _ = probe_subset(every, PROBE_CODES)
    x, y = as_numpy(train_codes)[used], every[used]
    if len(set(y.tolist())) < 2:
        raise NotApplicable("needs train images of at least 2 classes")
    regression = LogisticRegression(C=1.0, tol=TOLERANCE, max_iter=MOST_ITERATIONS)
    with warnings.catch_warnings():
        warnings.simplefilter("error", ConvergenceWarning)
        try:
            probe = make_pipeline(StandardScaler(), regression).fit(x, y)
        except ConvergenceWarning as reason:
            raise NotApplicable(f"the regression did not converge in {MOST_ITERATIONS} iterations") from reason
    return float(probe.score(as_numpy(codes), labels.cpu().numpy()))
