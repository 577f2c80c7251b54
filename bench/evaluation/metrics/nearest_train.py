"""How often a generated image is nearer to the images trained on than a test image is (memorisation).

    nearest_train = P(d(s) < d(t)) + ½ P(d(s) = d(t)),   s a generated image, t a test image, over all S·N pairs

d(u) is the distance from u to the nearest image that the model was trained on, in the features of the dataset's own
classifier: `train_distance_samples` (S,), `train_distance_test` (N,). A fraction: ½ for samples of the test images'
distribution, 1 for copies of train images, 0 for images unlike all of them. It is the Mann–Whitney statistic divided by
S·N.

Values above ½ are also had without copying, by samples that avoid rare images (blurred or typical ones), so look at the
nearest images before speaking of memorisation. Values below ½ say nothing about copies of a few images.
"""

import torch
from torch import Tensor

from . import metric


@metric(
    title="Samples nearer to train images than test images are",
    symbol="Nearest train",
    unit="fraction, 0.5 for equal distributions",
    better="none",
    counts="train_distance_samples",
    per="sampler",
    key=("classifier",),
    beside=("classifier_accuracy", "caution"),
    reference="Meehan et al., A Non-Parametric Test to Detect Data-Copying in Generative Models, AISTATS 2020, "
    "https://arxiv.org/abs/2004.05675",
    cite="meehan2020non",
)
def nearest_train(train_distance_samples: Tensor, train_distance_test: Tensor) -> float:
    samples, test = train_distance_samples.cpu().double(), train_distance_test.cpu().double().sort().values
    not_above = torch.searchsorted(test, samples, right=True)  # how many t have d(t) ≤ d(s)
    below = torch.searchsorted(test, samples)
    nearer = len(test) - not_above + (not_above - below) / 2
    return nearer.double().mean().item() / len(test)
