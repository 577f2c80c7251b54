"""The protocol around the metrics: what they are given, and what is recorded."""

from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import cell, cut

from bench import checkpoint, registry, rulers
from bench.artefacts import Artefacts, Rulers, quantise
from bench.datasets import Data, Split
from bench.embeddings import embed, plane
from bench.errors import NotApplicable
from bench.evaluate import evaluate
from bench.plan import expected_metrics
from bench.suite import Embed, Evaluate, Train
from bench.train import fit, to_float

METRICS = registry.names("metrics")
CPU = torch.device("cpu")


def no_ruler():
    raise NotApplicable("no ruler in this test")


def trained(c, data, epochs=3):
    def build():
        return checkpoint.build(data.shape, c.variant, c.net, c.likelihood, c.latent_size)

    [fitted] = fit(build, data, Train(epochs=epochs, batch_size=32), [c.seed])
    return fitted.model


@pytest.fixture(scope="module")
def feature_nets(tmp_path_factory, few_digits):
    folder = tmp_path_factory.mktemp("rulers")
    return Rulers(lambda: rulers.classifier(few_digits, folder, CPU), no_ruler)


@pytest.fixture(scope="module")
def evaluation(few_digits, feature_nets):
    c = cell()
    return evaluate(trained(c, few_digits), few_digits, c, METRICS, feature_nets)


def test_every_column_of_the_protocol_is_there_with_a_number_or_a_reason(evaluation):
    assert set(evaluation.metrics) == set(expected_metrics(METRICS, cell()))
    for name, entry in evaluation.metrics.items():
        assert ("reason" in entry) == (entry["value"] is None), name
        assert entry["better"] in ("lower", "higher", "none")


def test_only_what_needs_inception_has_no_number(evaluation):
    missing = {name for name, entry in evaluation.metrics.items() if entry["value"] is None}
    assert missing == {"fid_prior", "fid_gmm", "kid_prior", "kid_gmm", "trustworthiness_latent"}


def test_values_carry_what_they_may_be_compared_by(evaluation):
    assert evaluation.metrics["elbo"]["key"] == {"likelihood": "bernoulli", "binarisation": "none"}
    assert evaluation.metrics["fcd_prior"]["key"]["classifier"].startswith("digits-")
    assert evaluation.metrics["iw_bound"]["n"] == 20
    assert evaluation.metrics["mse"]["n"] == 100


def test_the_bound_with_more_draws_is_not_below_the_elbo_of_the_same_images(few_digits, feature_nets):
    c = cell(evaluate=Evaluate(iw_samples=200, iw_images=100))
    found = evaluate(trained(c, few_digits), few_digits, c, ("elbo", "iw_bound"), feature_nets).metrics
    assert found["iw_bound"]["value"] > found["elbo"]["value"]


def test_the_bound_is_taken_over_all_classes_also_where_images_lie_class_by_class(few_digits, feature_nets):
    order = few_digits.test.labels.argsort()
    split = Split(few_digits.test.images[order], few_digits.test.labels[order])
    data = Data("digits", few_digits.train, split, few_digits.classes, few_digits.source)
    c = cell(evaluate=Evaluate(iw_samples=1, iw_images=40))
    artefacts = Artefacts(trained(c, few_digits, 20), data, c, feature_nets, CPU)
    everything = -(artefacts.get("nll") + artefacts.get("kl")).mean().item()
    assert artefacts.get("log_weights").mean().item() == pytest.approx(everything, abs=3)


def test_evaluation_knows_no_train_image_that_the_model_did_not_see(few_digits, feature_nets):
    c = cell(train=Train(epochs=1, train_images=20))
    full = cell(train=Train(epochs=1))
    model = trained(c, few_digits)
    found = [evaluate(model, few_digits, x, ("knn_accuracy",), feature_nets).metrics for x in (c, full)]
    few, every = (metrics["knn_accuracy"]["value"] for metrics in found)
    assert few < every


def test_one_draw_is_an_unbiased_elbo(few_digits, feature_nets):
    """L_1 in expectation is −(nll + KL): many draws of k = 1 average to the analytic-KL ELBO."""
    c = cell(evaluate=Evaluate(iw_samples=500, iw_images=100))
    artefacts = Artefacts(trained(c, few_digits), few_digits, c, feature_nets, CPU)
    single = artefacts.get("log_weights").mean().item()
    elbo = -(artefacts.get("nll") + artefacts.get("kl")).mean().item()
    assert single == pytest.approx(elbo, abs=0.5)


def test_the_elbo_is_minus_the_test_loss_up_to_its_monte_carlo_noise(few_digits, feature_nets):
    c = cell()
    model = trained(c, few_digits, epochs=10)
    elbo = evaluate(model, few_digits, c, ("elbo",), feature_nets).metrics["elbo"]["value"]
    x = to_float(few_digits.test.images)
    with torch.no_grad():
        losses = [
            model(x, few_digits.test.labels, model.draw(x, torch.Generator().manual_seed(s)))["loss"].item()
            for s in range(50)
        ]
    assert -elbo == pytest.approx(np.mean(losses), abs=4 * np.std(losses))


def test_twice_the_same_model_gives_the_same_numbers_to_the_bit(few_digits, feature_nets, evaluation):
    c = cell()
    again = evaluate(trained(c, few_digits), few_digits, c, METRICS, feature_nets)
    values = [{k: v["value"] for k, v in e.metrics.items()} for e in (evaluation, again)]
    assert values[0] == values[1]


def test_a_deterministic_code_has_no_elbo_and_a_mean_image_no_code(few_digits, feature_nets):
    ae = evaluate(trained(cell("ae"), few_digits), few_digits, cell("ae"), ("elbo", "mse"), feature_nets).metrics
    assert ae["elbo"]["reason"] == "a deterministic code has no posterior"
    assert ae["mse"]["value"] > 0
    c = cell("mean_image", None)
    names = ("knn_accuracy", "silhouette", "fcd", "mse")
    found = evaluate(trained(c, few_digits), few_digits, c, names, feature_nets)
    assert found.metrics["knn_accuracy"]["reason"] == "mean_image has no code"
    assert found.metrics["fcd_prior"]["value"] > 0
    assert found.metrics["fcd_gmm"]["reason"] == "mean_image has no code"
    assert found.codes is None
    assert set(found.pictures) == {"reconstructions", "samples_prior"}


def test_a_collapsed_generator_is_worse_than_the_model_it_came_from(few_digits, feature_nets):
    """The mean image repeated: far in FCD, and none of the test images could have come from it."""
    c, names = cell("pca", None, latent_size=16), ("fcd", "recall")
    alive = evaluate(trained(c, few_digits), few_digits, c, names, feature_nets).metrics
    c = cell("mean_image", None)
    collapsed = evaluate(trained(c, few_digits), few_digits, c, names, feature_nets).metrics
    assert collapsed["fcd_prior"]["value"] > 2 * alive["fcd_gmm"]["value"]
    assert collapsed["recall_prior"]["value"] == 0
    assert alive["recall_gmm"]["value"] > 0


def test_a_collapsed_code_is_told_and_not_measured(few_digits, feature_nets):
    model = trained(cell("ae"), few_digits)
    for p in model.net.encoder.parameters():
        p.data.zero_()
    names = ("silhouette", "fcd", "active_units")
    found = evaluate(model, few_digits, cell("ae"), names, feature_nets).metrics
    assert found["silhouette_tsne"]["reason"] == "all codes are the same point"
    assert found["fcd_gmm"]["reason"] == "all codes are the same point"


def test_unlabelled_data_have_everything_but_what_needs_labels(few_digits):
    bare = Data("bare", Split(few_digits.train.images, None), Split(few_digits.test.images, None), (), "")
    found = evaluate(trained(cell(), bare), bare, cell(), METRICS, Rulers(no_ruler, no_ruler))
    assert found.metrics["knn_accuracy"]["reason"] == "the dataset has no labels"
    assert found.metrics["mse"]["value"] > 0
    assert (found.embeddings["labels"] == -1).all()


def test_quantised_images_are_rounded_to_the_nearest_level():
    x = torch.tensor([-0.2, 0.0, 0.4 / 255, 0.6 / 255, 1.0, 1.7])
    assert quantise(x).tolist() == [0, 0, 0, 1, 255, 255]
    levels = torch.arange(256, dtype=torch.uint8)
    assert torch.equal(quantise(to_float(levels)), levels)


def test_the_classifier_is_trained_once_and_read_back_the_same(tmp_path, few_digits, monkeypatch):
    first = rulers.classifier(few_digits, tmp_path, CPU)
    monkeypatch.setattr(rulers, "_train_classifier", lambda *a: pytest.fail("trained twice"))
    second = rulers.classifier(few_digits, tmp_path, CPU)
    assert first.name == second.name
    assert first.accuracy > 0.7
    images = few_digits.test.images
    assert torch.equal(first.features(images), second.features(images))
    assert first.features(images).dtype == torch.float64


def test_a_ruler_of_other_data_is_another_ruler(tmp_path, few_digits):
    other = Data("digits", cut(few_digits.train, 150), few_digits.test, few_digits.classes, few_digits.source)
    assert rulers.classifier(few_digits, tmp_path, CPU).name != rulers.classifier(other, tmp_path, CPU).name
    assert len(list(Path(tmp_path).glob("*.safetensors"))) == 2


@pytest.mark.parametrize("method", ["tsne", "umap"])
@pytest.mark.parametrize("size", [1, 2, 5])
def test_maps_are_two_dimensional_finite_and_repeatable(method, size):
    codes = np.random.default_rng(0).standard_normal((40, size)).astype(np.float32)
    first, second = embed(method, codes, Embed()), embed(method, codes, Embed())
    assert first.shape == (40, 2)
    assert np.isfinite(first).all()
    assert np.array_equal(first, second)


def test_the_plane_of_many_dimensions_is_their_largest_variance():
    rng = np.random.default_rng(0)
    codes = rng.standard_normal((500, 4)) * [0.1, 5, 0.1, 2]
    assert np.allclose(plane(codes).var(0), [codes[:, 1].var(), codes[:, 3].var()], rtol=0.02)
    assert np.array_equal(plane(codes[:, :2]), codes[:, :2].astype(np.float32))
