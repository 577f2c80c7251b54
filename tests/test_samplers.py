"""Samplers must reproduce the distribution they say they draw from."""

import numpy as np
import pytest

from bench import registry
from bench.errors import NotApplicable
from bench.models.samplers.gaussian import Gaussian
from bench.models.samplers.gmm import GMM
from bench.models.samplers.prior import Prior
from bench.models.seeding import derive, numpy_rng

CLOSED_FORM = ("prior", "gaussian", "gmm")  #: the others are tested in test_field_samplers.py
RNG = np.random.default_rng(0)
CODES = RNG.standard_normal((2000, 3)) @ np.array([[2.0, 0, 0], [1, 0.5, 0], [0, 0, 0.1]]) + [5, -3, 0]


def drawn(sampler, codes=CODES, n=50_000, seed=0):
    sampler.fit(codes, derive(0, "test") % 2**32)
    return sampler.sample(n, numpy_rng(seed, "test"))


@pytest.mark.parametrize("name", CLOSED_FORM)
def test_codes_have_the_shape_asked_for_and_the_same_seed_draws_the_same(name):
    kind = registry.load("samplers", name)
    a, b, other = drawn(kind(), n=7), drawn(kind(), n=7), drawn(kind(), n=7, seed=1)
    assert a.shape == (7, 3)
    assert np.array_equal(a, b)
    assert not np.array_equal(a, other)


@pytest.mark.parametrize("name", CLOSED_FORM)
def test_codes_of_one_dimension_are_sampled_too(name):
    assert drawn(registry.load("samplers", name)(), CODES[:, :1], n=5).shape == (5, 1)


def test_the_prior_is_the_standard_normal_whatever_the_codes():
    z = drawn(Prior())
    assert np.abs(z.mean(0)).max() < 0.02
    assert np.abs(np.cov(z.T) - np.eye(3)).max() < 0.03


def test_the_gaussian_has_the_mean_and_covariance_of_the_codes():
    z = drawn(Gaussian())
    np.testing.assert_allclose(z.mean(0), CODES.mean(0), atol=0.05)
    np.testing.assert_allclose(np.cov(z.T), np.cov(CODES.T), rtol=0.03, atol=0.02)


def test_the_gaussian_accepts_a_dead_dimension():
    codes = CODES.copy()
    codes[:, 1] = 4.0
    assert np.abs(drawn(Gaussian(), codes)[:, 1] - 4).max() < 1e-6


def test_the_mixture_finds_clusters_that_one_gaussian_cannot():
    centres = np.array([[-10.0, 0], [10, 0], [0, 10]])
    codes = centres[RNG.integers(3, size=3000)] + 0.1 * RNG.standard_normal((3000, 2))
    nearest = [np.linalg.norm(drawn(s, codes, 2000)[:, None] - centres, axis=2).min(1) for s in (GMM(), Gaussian())]
    assert (nearest[0] < 1).mean() > 0.99
    assert (nearest[1] < 1).mean() < 0.2


@pytest.mark.parametrize("scale", [1e-4, 1.0, 1e4])
def test_the_mixture_does_not_depend_on_the_scale_of_the_codes(scale):
    z, reference = drawn(GMM(), CODES * scale, 500), drawn(GMM(), CODES, 500)
    np.testing.assert_allclose(z / scale, reference, rtol=1e-4, atol=1e-3)


def test_a_mixture_needs_more_codes_a_component_than_dimensions():
    codes = RNG.standard_normal((100, 10))
    with pytest.raises(NotApplicable, match="100 train codes are too few for 10 full covariances of 10 dimensions"):
        GMM().fit(codes, 0)
    GMM(components=9).fit(codes, 0)


def test_a_mixture_draws_each_component_with_its_own_covariance():
    mixture = GMM(components=2)
    mixture.scale, mixture.weights = 1.0, np.array([0.25, 0.75])
    mixture.means = np.array([[-50.0, 0], [50, 0]])
    mixture.covariances = np.array([[[1.0, 0.9], [0.9, 1]], [[4, -1], [-1, 1]]])
    z = mixture.sample(40_000, numpy_rng(0, "test"))
    for k, chosen in enumerate((z[:, 0] < 0, z[:, 0] > 0)):
        assert chosen.mean() == pytest.approx(mixture.weights[k], abs=0.01)
        np.testing.assert_allclose(np.cov(z[chosen].T), mixture.covariances[k], atol=0.1)
