"""Features of test and generated images under the dataset's classifier, Inception-v3 and DINOv2."""

from collections.abc import Callable

from torch import Tensor

from bench.evaluation.feature_extractors import FeatureExtractor
from bench.evaluation.neighbors import balls_around, covered_by_each_other, nearest, need, neighbour_radii

from .base import EvaluationContext, provides

BALL_K = 3  #: neighbours that set a ball's radius, the choice of Kynkäänniemi et al. 2019
DENSITY_K = 5  #: neighbours that set the radius of a ball of density and coverage, the choice of Naeem et al. 2020


@provides()
def classifier_test(context: EvaluationContext) -> Tensor:
    return _test_features(context, context.extractors.get("classifier"))


@provides(per="sampler")
def classifier_samples(context: EvaluationContext, sampler: str) -> Tensor:
    return context.extractors.get("classifier").features(context.get("samples", sampler))


@provides()
def classifier_interpolations(context: EvaluationContext) -> Tensor:
    return context.extractors.get("classifier").features(context.get("interpolations"))


@provides(per="sampler")
def sample_logits(context: EvaluationContext, sampler: str) -> Tensor:
    return context.extractors.get("classifier").logits(context.get("classifier_samples", sampler))


@provides()
def inception_test(context: EvaluationContext) -> Tensor:
    return _test_features(context, context.extractors.get("inception"))


@provides(per="sampler")
def inception_samples(context: EvaluationContext, sampler: str) -> Tensor:
    return context.extractors.get("inception").features(context.get("samples", sampler))


@provides()
def dinov2_test(context: EvaluationContext) -> Tensor:
    return _test_features(context, context.extractors.get("dinov2"))


@provides(per="sampler")
def dinov2_samples(context: EvaluationContext, sampler: str) -> Tensor:
    return context.extractors.get("dinov2").features(context.get("samples", sampler))


def _test_features(context: EvaluationContext, extractor: FeatureExtractor) -> Tensor:
    images = context.data.test.images
    return context.extractors.cached(extractor.name, lambda: extractor.test_features(images))


@provides(per="sampler")
def samples_covered(context: EvaluationContext, sampler: str) -> Tensor:
    need(BALL_K + 1, context.get("classifier_test"), "test images")
    return context.get("covered", sampler)[0]


@provides(per="sampler")
def test_covered(context: EvaluationContext, sampler: str) -> Tensor:
    need(BALL_K + 1, context.get("classifier_samples", sampler), "generated images")
    return context.get("covered", sampler)[1]


@provides(per="sampler")
def covered(context: EvaluationContext, sampler: str) -> tuple[Tensor, Tensor]:
    """`samples_covered` and `test_covered`, from one matrix of distances."""
    test, samples = context.get("classifier_test"), context.get("classifier_samples", sampler)
    name = f"{context.extractors.get('classifier').name} radii"
    of_test = context.extractors.cached(name, lambda: _radii(test))
    return covered_by_each_other(samples, test, _radii(samples), of_test)


def _radii(features: Tensor) -> Tensor:
    """The radius of each point's ball, (N, F) → (N,); NaN for fewer points than a ball needs."""
    if len(features) <= BALL_K:
        return features.new_full((len(features),), float("nan"))
    return neighbour_radii(features, BALL_K)


@provides(per="sampler")
def samples_balls(context: EvaluationContext, sampler: str) -> Tensor:
    return context.get("balls", sampler)[0]


@provides(per="sampler")
def test_balls_hit(context: EvaluationContext, sampler: str) -> Tensor:
    return context.get("balls", sampler)[1]


@provides(per="sampler")
def balls(context: EvaluationContext, sampler: str) -> tuple[Tensor, Tensor]:
    """`samples_balls` and `test_balls_hit`, from one matrix of distances."""
    test, samples = context.get("classifier_test"), context.get("classifier_samples", sampler)
    need(DENSITY_K + 1, test, "test images")
    name = f"{context.extractors.get('classifier').name} radii {DENSITY_K}"
    radii = context.extractors.cached(name, lambda: neighbour_radii(test, DENSITY_K))
    return balls_around(samples, test, radii)


@provides()
def classifier_train(context: EvaluationContext) -> Tensor:
    """float64 (M, F): features of all images that the model was trained on."""
    return _of_train(context, "train", lambda net: net.features(context.get("trained_on").images))


@provides()
def train_distance_test(context: EvaluationContext) -> Tensor:
    test, train = context.get("classifier_test"), context.get("classifier_train")
    return _of_train(context, "distances to train", lambda _: nearest(test, train, 1)[0][:, 0])


@provides(per="sampler")
def train_distance_samples(context: EvaluationContext, sampler: str) -> Tensor:
    return nearest(context.get("classifier_samples", sampler), context.get("classifier_train"), 1)[0][:, 0]


def _of_train(context: EvaluationContext, what: str, make: Callable[[FeatureExtractor], Tensor]) -> Tensor:
    """A tensor that is the same for all cells trained on the same images."""
    extractor = context.extractors.get("classifier")
    name = f"{extractor.name} {what} {len(context.get('trained_on'))}"
    return context.extractors.cached(name, lambda: make(extractor))


@provides()
def classifier(context: EvaluationContext) -> str:
    return context.extractors.get("classifier").name


@provides()
def classifier_accuracy(context: EvaluationContext) -> float | None:
    """Test accuracy of the classifier, from 0 to 1."""
    return context.extractors.get("classifier").accuracy


@provides()
def caution(context: EvaluationContext) -> str | None:
    """Why a value measured with the classifier is not to be trusted; None for a classifier that is accurate enough."""
    return context.extractors.get("classifier").caution()


@provides()
def inception(context: EvaluationContext) -> str:
    return context.extractors.get("inception").name


@provides()
def dinov2(context: EvaluationContext) -> str:
    return context.extractors.get("dinov2").name
