"""The protocol around the metrics: what they are given, and what is recorded."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import ROOT, cell, colour, cut

from bench import registry
from bench.datasets import Data, Split
from bench.datasets._splits import to_float
from bench.errors import NotApplicable
from bench.evaluation import feature_extractors, umap_code
from bench.evaluation.context import PROVIDERS, EvaluationContext, codes, features, images, quantise
from bench.evaluation.embeddings import embed, plane
from bench.evaluation.evaluate import evaluate
from bench.evaluation.feature_extractors import FeatureExtractors
from bench.evaluation.subsets import fixed_pairs, fixed_subset
from bench.suite import Choice, Embed, Evaluate, Train
from bench.suite.columns import expected_metrics
from bench.suite.names import CORRUPTIONS, members
from bench.training import checkpoint
from bench.training.trainer import fit

METRICS = registry.names("metrics")
CPU = torch.device("cpu")
PLAIN = Evaluate(samplers=["prior"], n_samples=100, embed={"methods": [], "points": 60})  #: no maps: they take longest


def trained(c, data, epochs=3):
    def build():
        return checkpoint.build(data.shape, c.variant, c.net, c.likelihood, c.latent_size, len(data.classes))

    [fitted] = fit(build, data, Train(epochs=epochs, batch_size=32), [c.seed])
    return fitted.model


@pytest.fixture(scope="module")
def rulers(tmp_path_factory):
    """The folder that the classifier of `feature_nets` is kept in."""
    return tmp_path_factory.mktemp("rulers")


@pytest.fixture(scope="module")
def feature_nets(rulers, few_digits):
    nets = FeatureExtractors(lambda: feature_extractors.classifier(few_digits, rulers, CPU))
    nets.get("classifier")
    return nets


@pytest.fixture
def short_training(monkeypatch):
    """Classifiers are trained for four epochs: for what does not depend on how good they are."""
    monkeypatch.setattr(feature_extractors, "STEPS", 1)


@pytest.fixture(scope="module")
def evaluation(few_digits, feature_nets):
    c = cell()
    return evaluate(trained(c, few_digits), few_digits, c, METRICS, feature_nets)


def test_every_column_of_the_protocol_is_there_with_a_number_or_a_reason(evaluation):
    assert set(evaluation.metrics) == set(expected_metrics(METRICS, cell()))
    for name, entry in evaluation.metrics.items():
        assert ("reason" in entry) == (entry["value"] is None), name
        assert entry["better"] in ("lower", "higher", "none")


def test_only_what_needs_inception_or_another_kind_of_model_has_no_number(evaluation):
    missing = {name for name, entry in evaluation.metrics.items() if entry["value"] is None}
    inception = {f"{name}_{sampler}" for name in ("fid", "kid", "fd_dinov2") for sampler in ("prior", "gmm")}
    linear = {f"identity_{part}" for part in ("error", "error_span", "diagonal", "off_diagonal")}
    labelling = {"label_agreement_prior", "label_agreement_gmm"}
    maps, discrete = {"trustworthiness_latent", "continuity_latent"}, {"codebook_usage", "code_perplexity"}
    few_codes = {"knn_accuracy_600", "knn_accuracy_1000"}  # there are 200 train images
    few_samples = {"fcd_infinity_prior", "fcd_infinity_gmm"}  # there are fewer than ten for each of 64 features
    factors = {"mig", "sap", "factor_vae_score", *(f"dci_{w}" for w in ("disentanglement", "completeness"))}
    factors |= {"dci_informativeness"}
    others = {"bits_per_dim", "label_accuracy"}
    assert missing == inception | linear | labelling | maps | discrete | few_codes | few_samples | factors | others
    assert {evaluation.metrics[name]["reason"] for name in factors} == {"the dataset has no factors of variation"}
    assert evaluation.metrics["identity_error"]["reason"] == "the model is not linear"
    assert evaluation.metrics["label_agreement_gmm"]["reason"] == "vae gives its samples no label"


def test_values_carry_what_they_may_be_compared_by(evaluation):
    assert evaluation.metrics["elbo"]["key"] == {"likelihood": "bernoulli", "binarisation": "none"}
    assert evaluation.metrics["fcd_prior"]["key"]["classifier"].startswith("digits-")
    assert evaluation.metrics["iw_bound"]["n"] == 20
    assert evaluation.metrics["mse"]["n"] == 100


@pytest.mark.parametrize(("k", "n"), [(1, 100), (5, 20), (200, 30)])
def test_the_bound_is_never_below_the_elbo_of_the_same_images_and_draws(few_digits, feature_nets, k, n):
    c = cell(evaluate=Evaluate(iw_samples=k, iw_images=n))
    model = trained(c, few_digits)
    found = evaluate(model, few_digits, c, ("iw_bound",), feature_nets).metrics["iw_bound"]
    assert found["version"] == 2
    assert found["n"] == n
    if k == 1:
        assert found["value"] == pytest.approx(found["elbo_same_images"], rel=1e-12)
    else:
        assert found["value"] > found["elbo_same_images"]
    context = EvaluationContext(model, few_digits, c, feature_nets, CPU)
    same = fixed_subset(100, n)
    analytic = -(context.get("nll") + context.get("kl"))[same].mean().item()
    assert found["elbo_same_images"] == pytest.approx(analytic, abs=2)


def test_no_record_has_a_bound_below_the_elbo_of_the_same_images(evaluation):
    entries = [evaluation.metrics["iw_bound"]]
    for path in (ROOT / "results").glob("*/*/record.json"):
        entries.append(json.loads(path.read_text(encoding="utf-8"))["metrics"].get("iw_bound", {}))
    held = [entry for entry in entries if "elbo_same_images" in entry]
    assert all(entry["value"] >= entry["elbo_same_images"] for entry in held)
    assert entries[0] in held


def test_the_bound_is_taken_over_all_classes_also_where_images_lie_class_by_class(few_digits, feature_nets):
    order = few_digits.test.labels.argsort()
    split = Split(few_digits.test.images[order], few_digits.test.labels[order])
    data = Data("digits", few_digits.train, split, few_digits.classes, few_digits.source)
    c = cell(evaluate=Evaluate(iw_samples=1, iw_images=40))
    context = EvaluationContext(trained(c, few_digits, 20), data, c, feature_nets, CPU)
    everything = -(context.get("nll") + context.get("kl")).mean().item()
    assert context.get("log_weights").mean().item() == pytest.approx(everything, abs=3)


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
    context = EvaluationContext(trained(c, few_digits), few_digits, c, feature_nets, CPU)
    single = context.get("log_weights").mean().item()
    elbo = -(context.get("nll") + context.get("kl")).mean().item()
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


LABELS_ONLY = (
    *("knn_accuracy", "class_recall_min", "class_recall_max", "linear_probe", "kmeans_nmi", "kmeans_ari"),
    *("silhouette_latent", "silhouette_tsne", "silhouette_umap", "fcd_prior", "fcd_gmm", "fcd_interpolation"),
    *("precision_prior", "recall_prior", "sample_confidence_prior", "sample_entropy_gmm", "label_agreement_prior"),
)


@pytest.mark.parametrize("labels", [None, 0])
def test_data_without_labels_or_of_one_class_have_everything_but_what_needs_classes(few_digits, labels, tmp_path):
    splits = [
        Split(s.images, None if labels is None else torch.zeros_like(s.labels))
        for s in (few_digits.train, few_digits.test)
    ]
    data = Data("bare", *splits, () if labels is None else ("all",), "")
    nets = FeatureExtractors(lambda: feature_extractors.classifier(data, tmp_path, CPU))
    protocol = cell().evaluate.model_copy(update={"embed": PLAIN.embed.model_copy(update={"methods": ("tsne",)})})
    c = cell(evaluate=protocol)
    nets.prepare(METRICS)
    found = evaluate(trained(c, data), data, c, METRICS, nets)
    asked = [name for name in LABELS_ONLY if name in found.metrics]
    assert len(asked) >= len(LABELS_ONLY) - 1  # no UMAP here
    words = ("no labels",) if labels is None else ("1 class", "gives its samples no label")
    for name in asked:
        entry = found.metrics[name]
        assert entry["value"] is None, name
        assert any(word in entry["reason"] for word in (*words, "gives its samples no label")), name
    assert not list(tmp_path.glob("*.safetensors"))
    for name in ("mse", "elbo", "iw_bound", "active_units", "trustworthiness_tsne"):
        assert found.metrics[name]["value"] is not None, name
    assert (found.embeddings["labels"] == (-1 if labels is None else 0)).all()


def test_a_conditional_model_of_one_class_still_generates(few_digits):
    data = Data("one", *(Split(s.images, torch.zeros_like(s.labels)) for s in (few_digits.train, few_digits.test)),
                ("all",), "")  # fmt: skip
    c = cell("conditional_vae", evaluate=PLAIN)
    found = evaluate(trained(c, data), data, c, ("mse", "knn_accuracy"), FeatureExtractors())
    assert found.metrics["mse"]["value"] > 0
    assert "samples_prior" in found.pictures


@pytest.mark.parametrize(("size", "fits"), [(1, False), (7, False), (8, True)])
def test_images_below_eight_pixels_have_no_classifier_but_a_value_of_everything_else(
    size, fits, tmp_path, short_training
):
    data = colour(size=size)
    c = cell(evaluate=PLAIN)
    nets = FeatureExtractors(lambda: feature_extractors.classifier(data, tmp_path, CPU))
    found = evaluate(trained(c, data), data, c, ("mse", "ssim", "elbo", "fcd", "knn_accuracy"), nets).metrics
    assert all(found[name]["value"] is not None for name in ("mse", "ssim", "elbo", "knn_accuracy"))
    if fits:
        assert found["fcd_prior"]["value"] > 0
    else:
        assert found["fcd_prior"]["reason"] == (
            f"the classifier needs images of at least 8 pixels a side, not {size}×{size}"
        )


def test_a_classifier_that_is_hardly_better_than_chance_is_said_beside_the_value(few_digits, feature_nets, evaluation):
    good = evaluation.metrics["fcd_prior"]
    assert good["classifier_accuracy"] == feature_nets.get("classifier").accuracy > 0.7
    assert "caution" not in good
    poor = replace(feature_nets.get("classifier"), accuracy=0.31, chance=0.12)
    c = cell(evaluate=PLAIN)
    found = evaluate(trained(c, few_digits), few_digits, c, ("fcd",), FeatureExtractors(lambda: poor)).metrics
    assert found["fcd_prior"]["value"] > 0
    assert found["fcd_prior"]["classifier_accuracy"] == 0.31
    assert found["fcd_prior"]["caution"] == (
        "the classifier's test accuracy is 0.31, below 0.56, too low to measure with"
    )
    assert replace(poor, accuracy=0.56).caution() is None


def test_chance_is_the_share_of_the_most_frequent_class(few_digits, feature_nets):
    counts = np.bincount(few_digits.test.labels.numpy())
    assert feature_nets.get("classifier").chance == counts.max() / 100


def test_a_bernoulli_bound_of_grey_pixels_is_called_a_cross_entropy_bound(few_digits, feature_nets, evaluation):
    assert evaluation.metrics["elbo"]["quantity"] == "cross-entropy bound"
    assert evaluation.metrics["iw_bound"]["quantity"] == "cross-entropy bound"
    splits = (Split((s.images > 127).to(torch.uint8) * 255, s.labels) for s in (few_digits.train, few_digits.test))
    binary = Data("binary", *splits, few_digits.classes, "")
    grey = cell(likelihood=Choice("gaussian", {"sigma": 1.0}))
    for c, data in ((cell(), binary), (grey, few_digits)):
        found = evaluate(trained(c, data), data, c, ("elbo",), feature_nets).metrics["elbo"]
        assert found["value"] is not None
        assert "quantity" not in found


def test_the_spread_of_single_draws_is_recorded_beside_their_values(evaluation, few_digits, feature_nets):
    for name in ("elbo", "kmeans_nmi", "kmeans_ari", "silhouette_tsne", "silhouette_umap", "trustworthiness_umap"):
        entry = evaluation.metrics[name]
        assert 0 <= entry["evaluation_sd"] < 0.5 * abs(entry["value"]) + 1, name
        assert entry["evaluation_draws"] == (5 if name.startswith("kmeans") else 3), name
    assert not any("evaluation_sd" in evaluation.metrics[name] for name in ("mse", "silhouette_latent", "fcd_prior"))
    c = cell()
    model = trained(c, few_digits)
    context = EvaluationContext(model, few_digits, c, feature_nets, CPU)
    draws = [context.get("nll"), *context.get("redrawn_nll")]
    assert len({float(draw.mean()) for draw in draws}) == 3
    elbos = [-(draw + context.get("kl")).double().mean().item() for draw in draws]
    assert evaluation.metrics["elbo"]["value"] == pytest.approx(elbos[0], rel=1e-6)
    assert evaluation.metrics["elbo"]["evaluation_sd"] == pytest.approx(np.std(elbos, ddof=1), rel=1e-6)


def test_maps_are_drawn_again_for_training_seed_0_only(few_digits, feature_nets):
    for seed, count in ((0, 2), (1, 0)):
        c = cell("pca", None, seed=seed)
        context = EvaluationContext(trained(c, few_digits), few_digits, c, feature_nets, CPU)
        again = context.get("redrawn_points", "tsne")
        assert len(again) == count
        for other in again:
            assert not torch.equal(other, context.get("points", "tsne"))


@pytest.mark.parametrize(("points", "perplexity", "n_neighbors"), [(8, 7 / 3, 7), (40, 13.0, None), (100, None, None)])
def test_what_a_small_map_was_made_with_is_in_its_key(few_digits, feature_nets, points, perplexity, n_neighbors):
    data = Data("few", few_digits.train, cut(few_digits.test, points), few_digits.classes, "")
    c = cell(seed=1, evaluate=Evaluate(embed={"methods": ["tsne"], "points": 100}))
    entry = evaluate(trained(c, data), data, c, ("silhouette",), FeatureExtractors()).metrics["silhouette_tsne"]
    assert entry["key"] == ({} if perplexity is None else {"perplexity": perplexity})
    assert entry["map"].startswith("scikit-learn ")
    context = EvaluationContext(trained(c, data), data, c, FeatureExtractors(), CPU)
    assert context.get("n_neighbors", "umap") == n_neighbors
    assert context.get("map", "umap").startswith("umap-learn ")
    assert context.get("perplexity", "latent") is context.get("map", "latent") is None


def test_a_family_by_corruption_has_a_column_for_each_whatever_the_protocol():
    columns = expected_metrics(("corrupted_mse",), cell())
    assert list(columns) == [f"corrupted_mse_{name}" for name in CORRUPTIONS]
    assert members("corruption", Evaluate(samplers=["gmm"])) == CORRUPTIONS


def test_every_model_is_shown_the_same_damaged_images_and_the_clean_pixels_are_kept(few_digits, feature_nets):
    models = [(c := cell(v, net), trained(c, few_digits)) for v, net in (("vae", "mlp"), ("mean_image", None))]
    made = [EvaluationContext(model, few_digits, c, feature_nets, CPU) for c, model in models]
    for name in CORRUPTIONS:
        first, second = (a.get("corrupted_images", name) for a in made)
        assert torch.equal(first, second)
        lost = made[0].get("corrupted_pixels", name)
        assert (first[lost] == 0).all()
        assert torch.equal(first[~lost], made[0].get("images")[~lost])
    mean = made[1].get("corrupted_reconstructions", "square_40")
    assert torch.equal(mean, made[1].get("reconstructions"))


def test_a_copy_restores_nothing_and_the_mean_image_something(few_digits, feature_nets):
    names, found = ("corrupted_mse", "corruption_mse"), {}
    for variant, size in (("linear_ae", 64), ("mean_image", 2)):
        c = cell(variant, None, latent_size=size, evaluate=PLAIN)
        model = trained(c, few_digits, epochs=1)
        for weight in model.parameters():
            torch.nn.init.eye_(weight)
        found[variant] = evaluate(model, few_digits, c, names, feature_nets).metrics
    for name in CORRUPTIONS:
        copied, nothing, mean = (
            found[variant][f"{family}_{name}"]["value"]
            for variant, family in (("linear_ae", names[0]), ("linear_ae", names[1]), ("mean_image", names[0]))
        )
        assert copied == pytest.approx(nothing, rel=1e-6)
        assert mean < 0.5 * nothing
        assert found["mean_image"][f"corruption_mse_{name}"]["value"] == nothing


def test_a_linear_model_is_measured_as_the_matrix_it_is(few_digits, feature_nets):
    c = cell("linear_ae", None, latent_size=64, evaluate=PLAIN)
    model = trained(c, few_digits, epochs=1)
    made = EvaluationContext(model, few_digits, c, feature_nets, CPU)
    flat = made.get("images").flatten(1)
    assert torch.allclose(flat @ made.get("linear_map").T, made.get("reconstructions").flatten(1), atol=1e-5)
    pixels = few_digits.train.images.flatten(1).numpy()
    assert np.array_equal(made.get("varying_pixels").numpy(), pixels.var(0) > 0)
    assert 0 < made.get("varying_pixels").sum() < 64
    norm = evaluate(model, few_digits, c, ("jacobian_norm",), feature_nets).metrics["jacobian_norm"]["value"]
    assert norm == pytest.approx(model.w1.weight.square().sum().item(), rel=1e-5)


def test_the_jacobian_of_a_model_is_that_of_its_codes(few_digits, feature_nets):
    c = cell("conditional_vae", latent_size=3)
    model = trained(c, few_digits)
    norms = EvaluationContext(model, few_digits, c, feature_nets, CPU).get("jacobian_norms")
    x, y = to_float(few_digits.test.images[:5]), few_digits.test.labels[:5]
    rows = [torch.func.jacrev(lambda i, j=j: model.encode(i[None], y[j : j + 1])[0])(x[j]) for j in range(5)]
    assert len(norms) == 100
    assert norms[:5].tolist() == pytest.approx([r.square().sum().item() for r in rows], rel=1e-4)


def test_train_errors_are_of_images_that_were_trained_on(few_digits, feature_nets, monkeypatch):
    monkeypatch.setattr(images, "TRAIN_IMAGES", 20)
    c = cell("ae", train=Train(epochs=2, batch_size=32, train_images=50))
    made = EvaluationContext(trained(c, few_digits), few_digits, c, feature_nets, CPU)
    seen = {image.numpy().tobytes() for image in made.get("trained_on").images}
    used = {image.numpy().tobytes() for image in made.get("train_split").images}
    assert (len(seen), len(used)) == (50, 20)
    assert used < seen
    shown = made.get("train_images")
    assert torch.equal(made.get("train_reconstructions"), made.model.generate(made.model.encode(shown)))


def test_a_memorised_train_set_leaves_a_gap_and_a_mean_image_does_not(few_digits, feature_nets):
    few = Data("few", cut(few_digits.train, 30), few_digits.test, few_digits.classes, "")
    gaps = {}
    for variant, net, size in (("pca", None, 29), ("mean_image", None, 2)):
        c = cell(variant, net, latent_size=size, evaluate=PLAIN)
        found = evaluate(trained(c, few), few, c, ("generalisation_gap", "mse", "train_mse"), feature_nets).metrics
        gaps[variant] = found["generalisation_gap"]["value"]
        assert gaps[variant] == pytest.approx(found["mse"]["value"] / found["train_mse"]["value"])
    assert gaps["pca"] > 100
    assert gaps["mean_image"] == pytest.approx(1, abs=0.2)


def test_half_way_between_two_codes_of_a_linear_model_is_the_mean_of_two_reconstructions(few_digits, feature_nets):
    c = cell("pca", None, latent_size=8, evaluate=PLAIN)
    made = EvaluationContext(trained(c, few_digits), few_digits, c, feature_nets, CPU)
    first, second = fixed_pairs(100)
    assert (first != second).all()
    assert sorted(first) == sorted(second) == list(range(100))
    whole = made.get("reconstructions")
    expected = quantise((whole[first] + whole[second]) / 2)
    assert (made.get("interpolations").int() - expected.int()).abs().max() <= 1
    value = evaluate(made.model, few_digits, c, ("fcd_interpolation",), feature_nets).metrics["fcd_interpolation"]
    assert value["value"] > 0
    assert value["n"] == 100


def test_generated_images_agree_with_the_label_that_the_model_reads_off_the_code(few_digits, feature_nets):
    c = cell("semi_supervised_vae", evaluate=PLAIN)
    model = trained(c, few_digits)
    made = EvaluationContext(model, few_digits, c, feature_nets, CPU)
    read = model.classify(made.get("drawn_codes", "prior")).argmax(1)
    seen = made.get("sample_logits", "prior").argmax(1)
    found = evaluate(model, few_digits, c, ("label_agreement",), feature_nets).metrics["label_agreement_prior"]
    assert found["value"] == pytest.approx((seen == read).double().mean().item())
    assert found["key"]["classifier"].startswith("digits-")


def test_images_that_are_not_finite_have_no_distance(few_digits, feature_nets, monkeypatch):
    c = cell("vae", evaluate=PLAIN)
    model = trained(c, few_digits, 1)
    monkeypatch.setattr(model, "generate", lambda z, y=None: torch.full((len(z), 1, 8, 8), torch.nan))
    made = EvaluationContext(model, few_digits, c, feature_nets, CPU)
    with pytest.raises(NotApplicable, match="some of the generated images are not finite"):
        made.get("classifier_samples", "prior")
    with pytest.raises(NotApplicable, match="not finite"):
        made.get("interpolations")


@pytest.mark.parametrize("variant", ["semi_supervised_vae", "m2_vae", "vae"])
def test_label_accuracy_is_that_of_the_method_s_own_classifier(few_digits, feature_nets, variant):
    c = cell(variant, evaluate=PLAIN)
    model = trained(c, few_digits)
    found = evaluate(model, few_digits, c, ("label_accuracy",), feature_nets).metrics["label_accuracy"]
    if variant == "vae":
        assert found["reason"] == "vae has no classifier"
        return
    x, y = to_float(few_digits.test.images), few_digits.test.labels
    with torch.no_grad():
        logits = model.predict(x) if variant == "m2_vae" else model.classify(model.encode(x, None))
    assert found["value"] == pytest.approx((logits.argmax(1) == y).double().mean().item())


@pytest.mark.parametrize("shift", [0, 1])
def test_a_model_that_shows_what_it_is_asked_for_agrees_and_one_that_shows_another_class_does_not(
    few_digits, feature_nets, shift
):
    class Copies(registry.load("variants", "conditional_ae")):
        """Generates the first train image of the class it is given, or of the one after it."""

        def generate(self, z, y=None):
            shown = [int((few_digits.train.labels == (label + shift) % 10).nonzero()[0]) for label in y]
            return to_float(few_digits.train.images[shown])

    c = cell("conditional_ae", evaluate=PLAIN)
    model = trained(c, few_digits, epochs=1)
    model.__class__ = Copies
    made = EvaluationContext(model, few_digits, c, feature_nets, CPU)
    agreement = registry.load("metrics", "label_agreement")
    value = agreement(made.get("sample_logits", "prior"), made.get("sample_labels", "prior"))
    assert value > 0.8 if shift == 0 else value < 0.2


def test_codes_of_two_labels_are_not_interpolated(few_digits, feature_nets):
    c = cell("conditional_vae", evaluate=PLAIN)
    found = evaluate(trained(c, few_digits), few_digits, c, ("fcd_interpolation",), feature_nets).metrics
    assert found["fcd_interpolation"]["reason"] == "codes of two labels have no label half-way between them"


def test_neighbours_and_balls_are_found_once_for_all_who_ask(few_digits, feature_nets, monkeypatch):
    calls = {"nearest_label": 0, "covered_by_each_other": 0, "neighbour_radii": 0}
    places = {"nearest_label": codes, "covered_by_each_other": features, "neighbour_radii": features}

    def counting(name):
        original = getattr(places[name], name)

        def counted(*arguments):
            calls[name] += 1
            return original(*arguments)

        return counted

    for name in calls:
        monkeypatch.setattr(places[name], name, counting(name))
    fresh = FeatureExtractors(lambda: feature_nets.get("classifier"))
    names = ("knn_accuracy", "class_recall_min", "class_recall_max", "precision", "recall")
    for seed in (0, 1):
        c = cell("pca", None, seed=seed, evaluate=PLAIN)
        evaluate(trained(c, few_digits), few_digits, c, names, fresh)
    assert calls == {"nearest_label": 2, "covered_by_each_other": 2, "neighbour_radii": 3}  # of two cells


def test_too_few_images_for_a_ball_or_a_vote_are_told(few_digits, feature_nets):
    few = Data("few", cut(few_digits.train, 4), few_digits.test, few_digits.classes, "")
    c = cell("mean_image", None, evaluate=PLAIN.model_copy(update={"n_samples": 3}))
    found = evaluate(trained(c, few_digits), few_digits, c, ("precision", "recall"), feature_nets).metrics
    assert found["precision_prior"]["value"] in (0, 1)
    assert found["recall_prior"]["reason"] == "needs at least 4 generated images, there are 3"
    bare = Data("few", few_digits.train, cut(few_digits.test, 3), few_digits.classes, "")
    own = FeatureExtractors(lambda: feature_nets.get("classifier"))
    c = cell("mean_image", None, evaluate=PLAIN)
    found = evaluate(trained(c, bare), bare, c, ("precision", "recall"), own).metrics
    assert found["precision_prior"]["reason"] == "needs at least 4 test images, there are 3"
    assert found["recall_prior"]["value"] == 0
    c = cell("pca", None, evaluate=PLAIN)
    found = evaluate(trained(c, few), few, c, ("knn_accuracy", "class_recall_min"), feature_nets).metrics
    assert found["knn_accuracy"]["reason"] == "needs at least 5 train codes, there are 4"
    assert found["class_recall_min"]["value"] is None


def test_what_is_as_large_as_the_test_set_is_not_kept_for_each_corruption(few_digits, feature_nets):
    made = EvaluationContext(trained(cell(), few_digits), few_digits, cell(), feature_nets, CPU)
    again = [made.get("corrupted_reconstructions", "square_40") for _ in range(2)]
    assert again[0] is not again[1]
    assert torch.equal(*again)
    assert not {name for name, _ in made._inputs} & {name for name, provider in PROVIDERS.items() if not provider.kept}


def test_quantised_images_are_rounded_to_the_nearest_level():
    x = torch.tensor([-0.2, 0.0, 0.4 / 255, 0.6 / 255, 1.0, 1.7])
    assert quantise(x).tolist() == [0, 0, 0, 1, 255, 255]
    levels = torch.arange(256, dtype=torch.uint8)
    assert torch.equal(quantise(to_float(levels)), levels)


def test_the_classifier_is_trained_once_and_read_back_the_same(rulers, few_digits, feature_nets, monkeypatch):
    first = feature_nets.get("classifier")
    monkeypatch.setattr(feature_extractors, "_train_classifier", lambda *a: pytest.fail("trained twice"))
    second = feature_extractors.classifier(few_digits, rulers, CPU)
    assert first.name == second.name
    assert first.accuracy > 0.7
    images = few_digits.test.images
    assert torch.equal(first.features(images), second.features(images))
    assert first.features(images).dtype == torch.float64


def test_the_classifiers_logits_are_those_its_accuracy_was_taken_from(few_digits, feature_nets):
    ruler = feature_nets.get("classifier")
    logits = ruler.logits(ruler.features(few_digits.test.images))
    assert logits.shape == (100, 10)
    assert logits.dtype == torch.float64
    hits = (logits.argmax(1) == few_digits.test.labels).double().mean().item()
    assert hits == pytest.approx(ruler.accuracy, abs=1e-4)
    direct = ruler.net.model.head(ruler.net.model.features(to_float(few_digits.test.images)))
    assert torch.allclose(logits.float(), direct)


@pytest.mark.parametrize("name", ["fcd", "sample_entropy", "label_agreement", "recall", "fcd_interpolation"])
def test_a_classifier_is_made_ready_for_every_metric_that_is_read_off_it(feature_nets, name):
    fresh = FeatureExtractors(lambda: feature_nets.get("classifier"))
    fresh.prepare(("mse", name))
    assert set(fresh.used) == {"classifier"}


def test_a_ruler_of_other_data_is_another_ruler(tmp_path, few_digits, short_training):
    other = Data("digits", cut(few_digits.train, 150), few_digits.test, few_digits.classes, few_digits.source)
    first, second = (feature_extractors.classifier(data, tmp_path, CPU) for data in (few_digits, other))
    assert first.name != second.name
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


def test_a_map_leaves_pytorch_its_threads(monkeypatch):
    before = torch.get_num_threads()

    def as_numba_starts_its_threads(module, codes, *arguments, **settings):
        torch.set_num_threads(before + 1)
        return codes

    monkeypatch.setattr(umap_code, "umap", lambda: None)
    monkeypatch.setattr(umap_code, "layout", as_numba_starts_its_threads)
    embed("umap", np.eye(8, 2, dtype=np.float32), Embed())
    assert torch.get_num_threads() == before


def test_the_neighbours_given_to_umap_are_those_it_finds_itself(one_thread):
    from umap import UMAP

    codes = np.random.default_rng(0).standard_normal((150, 5)).astype(np.float32)
    codes[100:110] = codes[:10]  # copies
    protocol = Embed()
    alone = UMAP(n_neighbors=15, min_dist=protocol.min_dist, random_state=protocol.seed, n_jobs=1)
    assert np.array_equal(embed("umap", codes, protocol), alone.fit_transform(codes))


def test_a_tsne_map_is_scikit_learns_on_one_thread(one_thread):
    from sklearn.manifold import TSNE

    codes = np.random.default_rng(0).standard_normal((100, 5)).astype(np.float32)
    expected = TSNE(perplexity=30, init="pca", random_state=0, n_jobs=1).fit_transform(codes)
    assert np.array_equal(embed("tsne", codes, Embed()), expected)
