"""Accuracy on test codes of a logistic regression fitted to train codes.

    accuracy = mean_n [argmax_c (W z_n + b)_c = y_n]
    W, b = argmin Σ_m cross-entropy(y_m, softmax(W z_m + b)) + ½ ‖W‖²

z are codes (μ where there is a posterior), standardised per dimension with mean and deviation of the train
codes. `train_codes` (M, D), `train_labels` (M,), of which at most 10,000, evenly spaced through the train
set; `codes` (N, D), `labels` (N,). scikit-learn's multinomial regression, C = 1. A fraction.

How far the classes are apart along straight cuts. A collapsed dimension is blown up to pure noise by the
standardisation; the penalty keeps its weight small, not 0. Larger codes have more directions to cut along.
"""

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import Tensor

from bench.errors import NotApplicable
from bench.evaluation.neighbors import as_numpy

from . import metric

LIMIT = 10_000  #: train codes used, so that the fit takes seconds on every dataset


@metric(
    title="Linear-probe accuracy of the codes",
    symbol="Linear probe",
    unit="fraction",
    better="higher",
    counts="codes",
    reference="Alain & Bengio, Understanding intermediate layers using linear classifier probes, 2016, "
    "https://arxiv.org/abs/1610.01644",
    cite="alain2016understanding",
)
def linear_probe(train_codes: Tensor, train_labels: Tensor, codes: Tensor, labels: Tensor) -> float:
    m = len(train_codes)
    used = np.arange(min(m, LIMIT)) * m // min(m, LIMIT)  # spaced: a folder's images lie class by class
    x, y = as_numpy(train_codes)[used], train_labels.cpu().numpy()[used]
    if len(set(y.tolist())) < 2:
        raise NotApplicable("needs train images of at least 2 classes")
    probe = make_pipeline(StandardScaler(), LogisticRegression(C=1.0, max_iter=1000)).fit(x, y)
    return float(probe.score(as_numpy(codes), labels.cpu().numpy()))
