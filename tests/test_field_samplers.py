"""Samplers fitted to codes: each recovers a density that is known, and its log-likelihood is that of the density."""

import numpy as np
import pytest
import torch
from conftest import cell
from scipy.stats import gaussian_kde, multivariate_normal
from sklearn.mixture import GaussianMixture
from test_field_metrics import Symbols

from bench import registry
from bench.errors import NotApplicable
from bench.evaluation.context import EvaluationContext
from bench.evaluation.feature_extractors import FeatureExtractors
from bench.models.seeding import numpy_rng
from bench.suite import Choice
from bench.training import checkpoint

SAMPLERS = {name: registry.load("samplers", name) for name in registry.names("samplers")}
FITTED = ("kde", "maf", "nsf", "flow_matching", "two_stage")
#: a known density: z_1 ~ N(1, 2²), z_2 given z_1 ~ N(z_1²/4, ½²), which no Gaussian has
OF_FIRST, OF_SECOND = (1.0, 2.0), 0.5


def bent(n: int, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    first = OF_FIRST[0] + OF_FIRST[1] * rng.standard_normal(n)
    return np.stack([first, first**2 / 4 + OF_SECOND * rng.standard_normal(n)], axis=1)


def log_density(z: np.ndarray) -> np.ndarray:
    first = multivariate_normal(OF_FIRST[0], OF_FIRST[1] ** 2).logpdf(z[:, 0])
    return first + multivariate_normal(0, OF_SECOND**2).logpdf(z[:, 1] - z[:, 0] ** 2 / 4)


TRAIN, TEST = bent(3000, seed=0), bent(1000, seed=1)


@pytest.fixture(scope="module")
def fitted():
    """Name → sampler fitted to the bent density, fitted when first asked for."""
    made = {}

    def get(name):
        if name not in made:
            made[name] = SAMPLERS[name]()
            if name != "two_stage":
                made[name].steps = 500  # of training, for those that are trained
            made[name].fit(TRAIN, 0)
        return made[name]

    return get


@pytest.mark.parametrize("name", FITTED)
def test_the_moments_of_a_bent_density_are_recovered(fitted, name):
    z = fitted(name).sample(20_000, numpy_rng(0, "test"))
    scale = TRAIN.std(0)
    np.testing.assert_allclose(z.mean(0) / scale, TRAIN.mean(0) / scale, atol=0.1)
    np.testing.assert_allclose(z.std(0) / scale, 1, atol=0.12)
    bend = np.corrcoef(z[:, 0] ** 2, z[:, 1])[0, 1]  # 0.96 of the density; 0.30 of a Gaussian of the same moments
    assert bend > (0.7 if name == "two_stage" else 0.9)


@pytest.mark.parametrize(("name", "within"), [("kde", 0.35), ("maf", 0.1), ("nsf", 0.15), ("flow_matching", 0.25)])
def test_the_held_out_log_likelihood_comes_near_that_of_the_true_density(fitted, name, within):
    """The true density is the best in expectation; one Gaussian is 1.1 nats worse."""
    found, best = fitted(name).log_prob(TEST).mean(), log_density(TEST).mean()
    gaussian = SAMPLERS["gaussian"]()
    gaussian.fit(TRAIN, 0)
    assert best - within < found < best + 0.02
    assert found > gaussian.log_prob(TEST).mean() + 0.3


@pytest.mark.parametrize("name", ["kde", "maf", "nsf", "flow_matching"])
def test_a_density_integrates_to_one(fitted, name):
    """On a grid that holds nearly all of the mass."""
    side = np.linspace(-7, 9, 30), np.linspace(-3, 20, 45)
    grid = np.stack(np.meshgrid(*side), -1).reshape(-1, 2)
    cell = (side[0][1] - side[0][0]) * (side[1][1] - side[1][0])
    assert np.exp(fitted(name).log_prob(grid)).sum() * cell == pytest.approx(1, abs=0.08)


@pytest.mark.parametrize("name", ["prior", "gaussian", "gmm", "kde"])
def test_a_likelihood_in_closed_form_is_scipys(name):
    sampler = SAMPLERS[name]()
    sampler.fit(TRAIN, 0)
    if name == "prior":
        expected = multivariate_normal(np.zeros(2)).logpdf(TEST)
    elif name == "gaussian":
        expected = multivariate_normal(TRAIN.mean(0), np.cov(TRAIN.T)).logpdf(TEST)
    elif name == "gmm":
        z = TRAIN / sampler.scale
        mixture = GaussianMixture(10, max_iter=100, random_state=0).fit(z)
        expected = mixture.score_samples(TEST / sampler.scale) - 2 * np.log(sampler.scale)
    else:
        expected = gaussian_kde(TRAIN.T, bw_method=sampler.bandwidth).logpdf(TEST.T)
    np.testing.assert_allclose(sampler.log_prob(TEST), expected, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("name", FITTED)
def test_the_same_seed_gives_the_same_bits_whatever_was_drawn_before(name):
    kind, codes, drawn = SAMPLERS[name], TRAIN[:200], []
    for seed in (0, 0, 1):
        torch.rand(3)  # the global generator is of no concern
        sampler = kind()
        sampler.steps = 20
        sampler.fit(codes, seed)
        drawn.append(sampler.sample(10, numpy_rng(0, "test")))
    assert np.array_equal(drawn[0], drawn[1])
    assert not np.array_equal(drawn[0], drawn[2])


@pytest.mark.parametrize("name", ["kde", "maf", "two_stage"])
def test_a_dimension_that_does_not_vary_keeps_its_value_and_has_no_density(name):
    codes = np.insert(TRAIN[:300], 1, 4.0, axis=1)
    sampler = SAMPLERS[name]()
    sampler.steps = 20
    sampler.fit(codes, 0)
    assert np.abs(sampler.sample(50, numpy_rng(0, "test"))[:, 1] - 4).max() < 1e-6
    with pytest.raises(NotApplicable, match="no density"):
        sampler.log_prob(codes)


@pytest.mark.parametrize("name", FITTED)
def test_codes_of_one_dimension_are_sampled_too(name):
    sampler = SAMPLERS[name]()
    sampler.steps = 20
    sampler.fit(TRAIN[:100, :1], 0)
    assert sampler.sample(5, numpy_rng(0, "test")).shape == (5, 1)


def test_too_few_codes_are_refused():
    for name, fewest in (("kde", 20), ("maf", 50)):
        with pytest.raises(NotApplicable, match=f"at least {fewest} train codes"):
            SAMPLERS[name]().fit(TRAIN[: fewest - 1], 0)


# -- the model's own prior


class Shifted:
    """A model whose prior is N(3, I)."""

    own_prior = True

    def draw_prior(self, n, generator):
        return 3 + torch.randn(n, 2, generator=generator)

    def log_prior(self, z):
        return torch.distributions.Normal(3.0, 1.0).log_prob(z).sum(1)

    def parameters(self):
        return iter([torch.zeros(1)])


def test_the_own_prior_is_drawn_by_the_model_and_has_its_likelihood():
    sampler = SAMPLERS["own_prior"]()
    sampler.fit_model(Shifted())
    sampler.fit(np.zeros((1, 2)), 0)
    z = sampler.sample(20_000, numpy_rng(0, "test"))
    np.testing.assert_allclose(z.mean(0), 3, atol=0.03)
    assert np.array_equal(z, sampler.sample(20_000, numpy_rng(0, "test")))
    np.testing.assert_allclose(sampler.log_prob(z[:9]), multivariate_normal([3, 3]).logpdf(z[:9]), rtol=1e-5)
    with pytest.raises(NotApplicable, match="no prior of its own"):
        SAMPLERS["own_prior"]().fit_model(object())


# -- discrete codes


def chain(n: int, seed: int) -> np.ndarray:
    """Three symbols of four: the first uniform, each other the one before it with probability 0.7, else any other."""
    rng, columns = np.random.default_rng(seed), []
    columns.append(rng.integers(4, size=n))
    for _ in range(2):
        other = (columns[-1] + rng.integers(1, 4, size=n)) % 4
        columns.append(np.where(rng.random(n) < 0.7, columns[-1], other))
    return np.stack(columns, 1).astype(float)


def of_symbols(name):
    sampler = SAMPLERS[name]()
    sampler.fit_model(Symbols())
    sampler.steps = 300  # of training, for the one that is trained
    sampler.fit(chain(3000, 0), 0)
    return sampler


def test_symbol_frequencies_are_those_of_the_train_codes_with_one_added():
    sampler = of_symbols("code_marginals")
    codes = chain(3000, 0).astype(int)
    for i in range(3):
        counts = np.bincount(codes[:, i], minlength=4) + 1
        np.testing.assert_allclose(sampler.probabilities[i], counts / 3004)
    expected = sum(np.log(sampler.probabilities[i, codes[:, i]]) for i in range(3))
    np.testing.assert_allclose(sampler.log_prob(codes.astype(float)), expected)
    z = sampler.sample(20_000, numpy_rng(0, "test"))
    assert (z[:, 0] == z[:, 1]).mean() == pytest.approx(0.25, abs=0.02)  # the dependence is lost


def test_the_autoregressive_prior_learns_the_dependence_of_symbols():
    sampler, held_out = of_symbols("code_prior"), chain(1000, 1)
    entropy = np.log(4) - 2 * (0.7 * np.log(0.7) + 0.3 * np.log(0.1))
    assert sampler.log_prob(held_out).mean() == pytest.approx(-entropy, abs=0.1)
    every = np.stack(np.meshgrid(*[np.arange(4.0)] * 3), -1).reshape(-1, 3)
    assert np.exp(sampler.log_prob(every)).sum() == pytest.approx(1, abs=1e-4)
    z = sampler.sample(20_000, numpy_rng(0, "test"))
    assert np.array_equal(z, of_symbols("code_prior").sample(20_000, numpy_rng(0, "test")))
    assert (z[:, 0] == z[:, 1]).mean() == pytest.approx(0.7, abs=0.03)
    assert (z[:, 1] == z[:, 2]).mean() == pytest.approx(0.7, abs=0.03)
    frequency = np.array([(z == row).all(1).mean() for row in every])
    np.testing.assert_allclose(frequency, np.exp(sampler.log_prob(every)), atol=0.01)


def test_the_autoregressive_prior_of_one_position_is_that_of_independent_symbols():
    codes = chain(300, 0)[:, :1]
    made = []
    for name in ("code_prior", "code_marginals"):
        sampler = SAMPLERS[name]()
        sampler.fit_model(Symbols())
        sampler.fit(codes, 0)
        np.testing.assert_allclose(np.exp(sampler.log_prob(np.arange(4.0)[:, None])).sum(), 1, rtol=1e-6)
        z = sampler.sample(20_000, numpy_rng(0, "test"))
        made.append(np.array([(z == symbol).mean() for symbol in range(4)]))
    np.testing.assert_allclose(*made, atol=0.02)


def test_each_sampler_says_for_which_codes_it_is_legitimate():
    of_discrete = {name for name, kind in SAMPLERS.items() if kind.of_discrete}
    assert of_discrete == {"own_prior", "code_marginals", "code_prior"}
    assert {name for name, kind in SAMPLERS.items() if not kind.of_continuous} == {"code_marginals", "code_prior"}


# -- with the variants of the package


def context_of(variant, few_digits):
    c = cell(variant, latent_size=4)
    options = {name: option.default for name, option in registry.describe("variants", variant).options.items()}
    chosen = Choice(variant, options)
    model = checkpoint.build(few_digits.shape, chosen, c.net, c.likelihood, 4, len(few_digits.classes))
    return EvaluationContext(model.eval(), few_digits, c, FeatureExtractors(), torch.device("cpu"))


@pytest.mark.parametrize("variant", ["vq_vae", "fsq_ae", "categorical_vae"])
def test_draws_of_discrete_codes_are_codes_of_the_model(variant, few_digits, monkeypatch):
    monkeypatch.setattr(SAMPLERS["code_prior"], "steps", 20)
    context = context_of(variant, few_digits)
    for name in ("code_marginals", "code_prior"):
        z = context.get("drawn_codes", name)
        torch.testing.assert_close(context.model.values(context.model.indices(z)), z)
        assert context.get("samples", name).shape == (200, 1, 8, 8)
        assert (context.get("code_log_prob", name) < 0).all()
    counts = context.get("code_counts")
    assert counts.sum() == context.get("code_symbols").numel()
    with pytest.raises(NotApplicable, match="a continuous density is none of discrete codes"):
        context.get("samples", "prior")


def test_learned_priors_of_variants_are_a_sampler(few_digits):
    for variant, log_density in (("vamp_vae", True), ("gm_vae", True), ("two_layer_vae", False)):
        context = context_of(variant, few_digits)
        assert context.get("samples", "own_prior").shape == (200, 1, 8, 8), variant
        with pytest.raises(NotApplicable, match="trained with another prior, see own_prior"):
            context.get("samples", "prior")
        if log_density:
            assert context.get("code_log_prob", "own_prior").isfinite().all()
        else:
            with pytest.raises(NotApplicable, match="no density in closed form"):
                context.get("code_log_prob", "own_prior")
    with pytest.raises(NotApplicable, match="no prior of its own"):
        context_of("vae", few_digits).get("samples", "own_prior")
