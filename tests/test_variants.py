"""What it means to be a variant: the contract of `bench check` and more, for all files in bench/models/variants."""

import copy
from pathlib import Path

import pytest
import torch
from conftest import cell, colour

from bench import registry
from bench.contracts.common import Subject
from bench.contracts.variants import CHECKS, eight_images_are_learned
from bench.datasets._splits import to_float
from bench.errors import BenchError, NotApplicable
from bench.models.likelihoods import Bernoulli
from bench.models.nets import Net, Size
from bench.models.variants.pca import PCA
from bench.suite import Choice, Train
from bench.training import checkpoint
from bench.training.noise import leaves
from bench.training.trainer import fit

VARIANTS = registry.names("variants")
TRAINED = [n for n in VARIANTS if not registry.describe("variants", n).constants["closed_form"]]
SCALARS = [(name, s) for name in VARIANTS for s in registry.describe("variants", name).constants["scalars"]]
OVERSHOOT = {"linear_ae", "pca"}  #: linear methods put out what they put out
NETS = [
    ("mlp", {"hidden": (16,), "activation": "relu"}),
    ("conv", {"channels": 4}),
    ("spatial", {"side": 1, "channels": 4}),
]
#: a net and a shape that is hard for it: one pixel more than a power of two, large, colour
BUILT = [(0, (1, 8, 8)), (0, (3, 45, 45)), (1, (1, 28, 28)), (1, (3, 96, 96)), (2, (3, 32, 32)), (2, (3, 45, 45))]


def make(name, net=NETS[0], shape=(1, 8, 8), latent_size=4, likelihood=None, classes=2, **given):
    constants = registry.describe("variants", name).constants
    torch.manual_seed(0)
    pair = Choice(*net) if constants["uses_net"] else None
    options = {k: o.default for k, o in registry.describe("variants", name).options.items()} | given
    terms = likelihood if isinstance(likelihood, Choice) else Choice(likelihood or constants["default_likelihood"], {})
    return checkpoint.build(shape, Choice(name, options), pair, terms, latent_size, classes)


def batch(shape=(1, 8, 8), n=6):
    generator = torch.Generator().manual_seed(1)
    return torch.rand(n, *shape, generator=generator), torch.arange(n) % 2


def objective(model, x, y, seed=0):
    return model(x, y, model.draw(x, torch.Generator().manual_seed(seed)))


@pytest.mark.parametrize("name", VARIANTS)
@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_a_variant_fulfils_the_contract(check, name):
    if (check, name) == (eight_images_are_learned, "vae_gan"):
        return  # it reconstructs features: the next test
    constants = registry.describe("variants", name).constants
    try:
        check(Subject(registry.describe("variants", name), Path()))
    except NotApplicable:
        assert constants["closed_form"] or not constants["has_code"]


def test_the_reconstruction_loss_of_features_falls():
    budget = Train(epochs=300, batch_size=8, lr=3e-3)  # log σ moves ten times as fast
    net = ("mlp", {"hidden": (64,), "activation": "relu"})
    builds = lambda: make("vae_gan", net, latent_size=8, likelihood="learned_gaussian")  # noqa: E731
    [fitted] = fit(builds, colour(8, 8, 1), budget, [0])
    assert fitted.history[-1]["train_rec"] < fitted.history[0]["train_rec"] - 9


@pytest.mark.parametrize(("name", "scalar"), SCALARS)
def test_a_scalar_is_a_float_option_that_neither_shapes_nor_noise_depend_on(name, scalar):
    option = registry.describe("variants", name).options[scalar]
    assert option.annotation == "float"
    model, other = make(name), make(name, **{scalar: option.default / 2 + 1 / 3})
    assert (getattr(model, scalar), getattr(other, scalar)) == (option.default, option.default / 2 + 1 / 3)
    assert all(type(getattr(m, scalar)) is float for m in (model, other))
    assert {k: v.shape for k, v in model.state_dict().items()} == {k: v.shape for k, v in other.state_dict().items()}
    assert model.labelled_fraction == other.labelled_fraction
    x, _ = batch()
    noises = [list(leaves(m.draw(x, torch.Generator().manual_seed(0)))) for m in (model, other)]
    assert all(torch.equal(a, b) for a, b in zip(*noises, strict=True))


@pytest.mark.parametrize("name", TRAINED)
@pytest.mark.parametrize("likelihood", registry.names("likelihoods"))
def test_every_parameter_receives_a_gradient(name, likelihood):
    if name == "sigma_vae" and likelihood != "learned_gaussian":
        pytest.skip("its likelihood is the Gaussian with the optimal σ")
    model = make(name, likelihood=likelihood)
    objective(model, *batch())["loss"].backward()
    for parameter_name, parameter in model.named_parameters():
        if name == "linear_ae" and parameter_name.startswith("likelihood"):
            continue  # its loss is the squared error whatever the likelihood
        assert parameter.grad is not None, parameter_name
        assert parameter.grad.isfinite().all(), parameter_name


@pytest.mark.parametrize("name", ["ae", "vae"])
def test_terms_add_up_to_the_loss(name):
    terms = objective(make(name), *batch())
    torch.testing.assert_close(sum(v for k, v in terms.items() if k != "loss"), terms["loss"])


@pytest.mark.parametrize(("net", "shape"), BUILT)
@pytest.mark.parametrize("name", TRAINED)
def test_codes_and_images_have_the_shapes_they_should(name, net, shape):
    model, (x, y) = make(name, NETS[net], shape), batch(shape, 2)
    codes = model.encode(x, y)
    images = model.generate(codes, y)
    assert codes.shape == (2, 4)
    assert images.shape == x.shape
    if name not in OVERSHOOT:
        assert images.min() >= 0
        assert images.max() <= 1


@pytest.mark.parametrize(("name", "told"), [("ae", "ae has a deterministic code"), ("mean_image", "has no code")])
def test_a_model_without_a_posterior_says_so(name, told):
    with pytest.raises(NotApplicable, match=f"{told}: no posterior"):
        make(name).posterior(batch()[0])


@pytest.mark.parametrize("name", VARIANTS)
def test_a_checkpoint_gives_the_same_model_back(name, tmp_path, few_digits):
    [fitted] = fit(lambda: make(name, classes=10), few_digits, Train(epochs=1, batch_size=50), [0])
    checkpoint.save(fitted.model, tmp_path / "c.safetensors", {"a": 1})
    torch.manual_seed(9)
    again = checkpoint.restore(make(name, classes=10), tmp_path / "c.safetensors")
    x, y = to_float(few_digits.test.images[:5]), few_digits.test.labels[:5]
    images = [m.generate(m.encode(x, y), y) for m in (again, fitted.model)]
    assert torch.equal(*images)
    assert checkpoint.read_header(tmp_path / "c.safetensors") == {"a": 1}


def test_a_damaged_checkpoint_is_a_clear_error(tmp_path):
    (tmp_path / "c.safetensors").write_bytes(b"not a checkpoint")
    with pytest.raises(BenchError, match="not a readable checkpoint"):
        checkpoint.read_header(tmp_path / "c.safetensors")


def test_the_vae_without_noise_and_kl_is_the_autoencoder():
    """With ε = 0 the reconstruction term of a VAE is the loss of an AE whose encoder is its μ head."""
    vae, (x, y) = make("vae"), batch()
    ae = make("ae")
    ae.net.decoder.load_state_dict(vae.net.decoder.state_dict())
    heads, mu = vae.net.encoder.state_dict(), ae.net.encoder.state_dict()
    ae.net.encoder.load_state_dict({k: v[: len(mu[k])] for k, v in heads.items()})
    terms = vae(x, y, torch.zeros(len(x), 4))
    torch.testing.assert_close(terms["rec"], ae(x, y, ())["loss"])


def test_the_vae_kl_is_that_of_its_posterior():
    model, (x, y) = make("vae"), batch()
    q = model.posterior(x)
    normal = torch.distributions.Normal(q.mean, (q.log_var / 2).exp())
    expected = torch.distributions.kl_divergence(normal, torch.distributions.Normal(0.0, 1.0)).sum(1).mean()
    torch.testing.assert_close(objective(model, x, y)["kl"], expected)


# Identities between methods


def same_parameters(a, b):
    """Give `b` the parameters of `a`; both must have the same ones."""
    b.load_state_dict(a.state_dict())


@pytest.mark.parametrize(
    ("name", "off", "plain"),
    [
        ("beta_vae", {"beta": 1.0}, "vae"),
        ("contractive_ae", {"weight": 0.0}, "ae"),
        ("sparse_ae", {"weight": 0.0}, "ae"),
        ("denoising_ae", {"dropout": 0.0, "noise": 0.0}, "ae"),
        ("completion_ae", {"side": 0.0}, "ae"),
    ],
)
def test_a_method_with_its_term_switched_off_is_the_one_it_came_from(name, off, plain):
    method, origin, (x, y) = make(name, **off), make(plain), batch()
    same_parameters(origin, method)
    a, b = objective(method, x, y), objective(origin, x, y)
    torch.testing.assert_close(a["loss"], b["loss"], rtol=1e-6, atol=0)


def test_the_semi_supervised_vae_without_weight_is_the_vae():
    method, origin, (x, y) = make("semi_supervised_vae", weight=0.0), make("vae"), batch()
    method.load_state_dict(origin.state_dict(), strict=False)
    torch.testing.assert_close(objective(method, x, y)["loss"], objective(origin, x, y)["loss"])


def test_the_semi_supervised_vae_without_labels_has_no_label_term():
    method, (x, y) = make("semi_supervised_vae"), batch()
    terms = objective(method, x, torch.full_like(y, -1))
    assert terms["label"].item() == 0
    torch.testing.assert_close(terms["loss"], terms["rec"] + terms["kl"])
    half = objective(method, x, torch.where(torch.arange(6) < 3, y, -1))["label"]
    z = method.posterior(x)
    eps = method.draw(x, torch.Generator().manual_seed(0))
    logits = method.classify(z.mean + (z.log_var / 2).exp() * eps)[:3]
    torch.testing.assert_close(half, torch.nn.functional.cross_entropy(logits, y[:3]))


@pytest.mark.parametrize(("conditional", "plain"), [("conditional_ae", "ae"), ("conditional_vae", "vae")])
def test_conditioning_on_a_single_class_is_a_bias_and_nothing_more(conditional, plain):
    """With one class the label is the constant 1: moved into the biases, the unconditional model computes the same."""
    method, origin, (x, _) = make(conditional, classes=1), make(plain, classes=1), batch()
    y = torch.zeros(len(x), dtype=torch.int64)
    state = method.state_dict()
    for layer in ("net.encoder.1", "net.decoder.0"):
        weight = state[f"{layer}.weight"]
        state[f"{layer}.bias"] = state[f"{layer}.bias"] + weight[:, -1]
        state[f"{layer}.weight"] = weight[:, :-1]
    origin.load_state_dict(state)
    torch.testing.assert_close(objective(method, x, y)["loss"], objective(origin, x, y)["loss"])


def test_a_conditional_model_s_image_depends_on_the_label_it_is_given():
    model, (x, y) = make("conditional_vae"), batch()
    z = model.encode(x, y)
    assert not torch.equal(model.generate(z, y), model.generate(z, 1 - y))
    decoder_only = make("conditional_vae", labels="decoder")
    assert torch.equal(decoder_only.encode(x, y), decoder_only.encode(x, 1 - y))


@pytest.mark.parametrize("net", NETS, ids=["mlp", "conv", "spatial"])
def test_the_contractive_penalty_is_the_jacobian_of_autograd(net):
    model, (x, y) = make("contractive_ae", net, exact_up_to=4), batch()
    jacobian = torch.autograd.functional.jacobian(lambda images: model.encode(images).sum(0), x)  # (D, B, C, H, W)
    expected = jacobian.square().sum((0, 2, 3, 4)).mean()
    torch.testing.assert_close(objective(model, x, y)["jacobian"], expected)


def test_the_estimated_jacobian_is_unbiased():
    exact, estimate = make("contractive_ae", exact_up_to=4), make("contractive_ae", exact_up_to=0)
    same_parameters(exact, estimate)
    x, y = batch()
    truth = objective(exact, x, y)["jacobian"].item()
    draws = [objective(estimate, x, y, seed)["jacobian"].item() for seed in range(400)]
    spread = torch.tensor(draws).std().item() / len(draws) ** 0.5
    assert sum(draws) / len(draws) == pytest.approx(truth, abs=4 * spread)
    assert spread > 0


def test_pixel_dropout_drops_the_fraction_it_says_in_all_channels_at_once():
    model = make("denoising_ae", shape=(3, 8, 8), dropout=0.25)
    seen = []
    model.encode = lambda x, y=None: seen.append(x) or torch.zeros(len(x), 4)
    x = torch.ones(500, 3, 8, 8)
    model(x, None, model.draw(x, torch.Generator().manual_seed(0)))
    dropped = seen[0] == 0
    assert dropped.float().mean().item() == pytest.approx(0.25, abs=0.01)
    assert torch.equal(dropped[:, 0], dropped[:, 2])


def test_completion_hides_one_square_of_the_side_it_says():
    from bench.models.variants.completion_ae import square

    hidden = square(torch.rand(200, 2, generator=torch.Generator().manual_seed(0)), 0.4, 28, 28)
    assert (hidden.sum((1, 2, 3)) == 11 * 11).all()
    rows = hidden.amax(3).squeeze(1)
    assert (rows.sum(1) == 11).all()
    assert len({tuple(r.tolist()) for r in rows}) > 10


def test_the_linear_autoencoder_is_the_product_of_its_matrices():
    model, (x, _) = make("linear_ae", latent_size=64), batch()
    expected = x.flatten(1) @ model.linear_map().T
    torch.testing.assert_close(model.generate(model.encode(x)).flatten(1), expected)
    assert sum(p.numel() for p in model.parameters()) == 2 * 64 * 64


def test_a_spatial_code_of_one_pixel_is_a_linear_bottleneck():
    """The last stage from a 2×2 map to 1×1 sees the whole map: it equals a linear layer on the flattened map."""
    torch.manual_seed(0)
    stage = torch.nn.Conv2d(3, 5, 3, 2, 1)
    x = torch.randn(4, 3, 2, 2)
    weight = stage.weight[:, :, 1:, 1:].flatten(1)  # the rest of the kernel lies on the padding
    torch.testing.assert_close(stage(x).flatten(1), x.flatten(1) @ weight.T + stage.bias)


def test_a_spatial_code_keeps_its_place_in_the_image():
    torch.manual_seed(0)
    model = make("ae", ("spatial", {"side": 4, "channels": 4}), (1, 32, 32), 16)
    x = torch.zeros(1, 1, 32, 32)
    y = x.clone()
    y[0, 0, 28:, 28:] = 1.0  # a change in one corner
    change = (model.encode(y) - model.encode(x)).view(4, 4).abs()
    assert change[3, 3] > 0
    assert change[0].max() == 0


def test_a_code_that_does_not_fit_the_map_is_refused_in_words():
    with pytest.raises(BenchError, match="a code of 3 numbers has no 2×2 map"):
        make("ae", ("spatial", {"side": 2, "channels": 4}), latent_size=3)
    with pytest.raises(BenchError, match="never a side of 4"):
        make("ae", ("spatial", {"side": 4, "channels": 4}), (3, 96, 96), 16)


def test_mean_image_reconstructs_the_mean_of_the_train_images(few_digits):
    [fitted] = fit(lambda: make("mean_image"), few_digits, Train(), [0])
    expected = few_digits.train.images.double().mean(0) / 255
    torch.testing.assert_close(fitted.model.generate(torch.zeros(1, 4))[0], expected.float())


def test_pca_has_the_reconstruction_error_of_scikit_learn(few_digits):
    from sklearn import decomposition

    [fitted] = fit(lambda: make("pca"), few_digits, Train(), [0])
    train, test = (to_float(s.images).flatten(1) for s in (few_digits.train, few_digits.test))
    reference = decomposition.PCA(4, svd_solver="full").fit(train.numpy())
    expected = ((reference.inverse_transform(reference.transform(test.numpy())) - test.numpy()) ** 2).mean()
    made = fitted.model.generate(fitted.model.encode(test.view(-1, 1, 8, 8))).flatten(1)
    assert (made - test).square().mean().item() == pytest.approx(expected, rel=1e-5)


def test_pca_codes_of_the_train_images_are_white(few_digits):
    [fitted] = fit(lambda: make("pca"), few_digits, Train(), [0])
    codes = fitted.model.encode(to_float(few_digits.train.images)).double()
    covariance = torch.cov(codes.T, correction=0)
    torch.testing.assert_close(covariance, torch.eye(4, dtype=torch.float64), rtol=1e-4, atol=1e-4)


def test_streamed_pca_of_large_images_finds_the_exact_components(monkeypatch, few_digits):
    import bench.models.variants.pca as module

    [exact] = fit(lambda: make("pca"), few_digits, Train(), [0])
    monkeypatch.setattr(module, "EXACT_PIXELS", 10)
    [streamed] = fit(lambda: make("pca"), few_digits, Train(), [0])
    torch.testing.assert_close(streamed.model.components, exact.model.components, rtol=1e-3, atol=1e-3)
    torch.testing.assert_close(streamed.model.scale, exact.model.scale, rtol=1e-4, atol=1e-4)


def test_pca_gives_a_dead_direction_a_code_of_zero():
    net = Net(Size((1, 2, 2), 3))
    model = PCA(net, Bernoulli())
    x = torch.rand(50, 1, 2, 2)
    x[:, 0, 1] = 0  # two pixels always black: only two directions carry anything
    model.fit(lambda: iter([x]))
    codes = model.encode(x)
    assert codes.isfinite().all()
    assert codes[:, 2].abs().max() == 0
    torch.testing.assert_close(model.generate(codes), x, rtol=1e-4, atol=1e-5)


def test_no_autoencoder_of_the_same_size_beats_pca_when_it_is_linear(few_digits):
    """PCA is the optimum of linear codes: any other projection of 4 directions reconstructs the train set worse."""
    [fitted] = fit(lambda: make("pca"), few_digits, Train(), [0])
    x = to_float(few_digits.train.images).flatten(1).double()
    best = (fitted.model.generate(fitted.model.encode(x.float().view(-1, 1, 8, 8))).flatten(1) - x).square().mean()
    centred = x - x.mean(0)
    for seed in range(20):
        basis = torch.linalg.qr(torch.randn(64, 4, generator=torch.Generator().manual_seed(seed)).double()).Q
        assert (centred @ basis @ basis.T - centred).square().mean() > best


@pytest.mark.parametrize("model", ["resnet18", "mobilenetv3_small_050", "vit_tiny_patch16_224"])
def test_timm_encoders_work_on_small_grey_images_without_batch_norm(model):
    shape = (1, 32, 32)
    built = make("vae", ("timm", {"model": model, "channels": 4}), shape)
    assert not any(isinstance(m, torch.nn.modules.batchnorm._BatchNorm) for m in built.modules())
    x, y = batch(shape, 2)
    objective(built, x, y)["loss"].backward()
    assert built.generate(built.encode(x)).shape == (2, *shape)


@pytest.mark.parametrize("model", ["levit_128s", "tiny_vit_5m_224"])
def test_no_batch_normalisation_of_any_dimension_is_left_and_a_last_batch_of_one_image_trains(model):
    shape = (1, 64, 64)
    built = make("vae", ("timm", {"model": model, "channels": 4}), shape).train()
    assert not any(isinstance(m, torch.nn.modules.batchnorm._BatchNorm) for m in built.modules())
    x, y = batch(shape, 5)
    whole = built.encode(x)
    for one in range(5):  # no image's code depends on the others of its batch
        torch.testing.assert_close(built.encode(x[one : one + 1])[0], whole[one], rtol=1e-4, atol=1e-4)
    assert len({tuple(code.tolist()) for code in whole.round(decimals=4)}) == 5
    objective(built, x[:1], y[:1])["loss"].backward()


@pytest.mark.parametrize(("model", "size"), [("levit_128s", 28), ("vit_tiny_patch16_224", 8), ("inception_v3", 32)])
def test_an_image_smaller_than_a_timm_model_can_take_is_refused_by_name(model, size):
    with pytest.raises(BenchError, match=f"timm/{model} takes no images of {size}×{size} pixels"):
        make("ae", ("timm", {"model": model, "channels": 4}), (1, size, size))


def test_an_unknown_timm_model_names_the_nearest():
    with pytest.raises(BenchError, match="did you mean 'resnet18'"):
        make("ae", ("timm", {"model": "resnet118", "channels": 4}))


def test_a_copy_of_a_model_is_independent():
    model = make("ae")
    other = copy.deepcopy(model)
    other.net.decoder[0].weight.data.zero_()
    assert model.net.decoder[0].weight.abs().sum() > 0
    assert cell().id != cell("ae").id
